"""Samples <-> levels: inverse pairs, silence in its place, torchaudio's mu-law."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.errors import ParameterError
from audiogen.representation.levels import QUANTISATIONS, dequantise, quantise, silence

CASES = [(q, kind) for q in (2, 17, 256, 65536) for kind in QUANTISATIONS]


@pytest.mark.parametrize(("q_levels", "kind"), CASES)
def test_every_level_comes_back(q_levels, kind):
    levels = np.arange(q_levels)
    assert np.array_equal(quantise(dequantise(levels, q_levels, kind), q_levels, kind), levels)


@pytest.mark.parametrize(("q_levels", "kind"), CASES)
def test_levels_rise_with_samples_and_clip(q_levels, kind):
    x = np.linspace(-1.5, 1.5, 4001)
    levels = quantise(x, q_levels, kind)
    assert (np.diff(levels) >= 0).all()
    assert levels[0] == 0 and levels[-1] == q_levels - 1


@pytest.mark.parametrize("kind", QUANTISATIONS)
def test_rounding_is_to_the_nearest(kind):
    x = np.random.default_rng(0).uniform(-0.99, 0.99, 2000)
    levels = quantise(x, 256, kind)
    error = np.abs(dequantise(levels, 256, kind) - x)
    for step in (-1, 1):
        others = np.clip(levels + step, 0, 255)
        inside = others == levels + step
        distance = np.abs(dequantise(others, 256, kind) - x)
        if kind == "linear":
            assert (error <= distance + 1e-6)[inside].all()
        else:  # nearest on the compressed axis
            assert (error <= 1.6 * distance + 1e-6)[inside].all()


def test_silence_is_silent():
    for q_levels in (256, 65536):
        assert dequantise(silence(q_levels, "linear"), q_levels, "linear") == 0.0
        assert abs(dequantise(silence(q_levels, "mu_law"), q_levels, "mu_law")) < 1e-4


def test_16_bit_linear_is_pcm():
    pcm = np.random.default_rng(1).integers(-32768, 32768, 1000)
    assert np.array_equal(quantise(pcm / 32768.0, 65536, "linear") - 32768, pcm)


def test_mu_law_is_torchaudios():
    torch = pytest.importorskip("torch")
    from audiogen.representation._torchaudio import find

    functional = find().functional
    x = np.random.default_rng(2).uniform(-1, 1, 5000)
    theirs = functional.mu_law_encoding(torch.from_numpy(x), 256).numpy()
    ours = quantise(x, 256, "mu_law")
    assert (ours != theirs).mean() < 0.001 and np.abs(ours - theirs).max() <= 1
    decoded = functional.mu_law_decoding(torch.arange(256), 256).numpy()
    np.testing.assert_allclose(dequantise(np.arange(256), 256, "mu_law"), decoded, atol=1e-6)


def test_an_unknown_quantisation_is_named():
    for call in (quantise, dequantise):
        with pytest.raises(ParameterError, match="'a_law' must be one of 'linear', 'mu_law'"):
            call(0, 256, "a_law")
