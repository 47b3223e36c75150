"""Baselines by counting: entropies that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audiogen.errors import ParameterError
from audiogen.evaluation.likelihood import bigram_bits, likelihood, unigram_bits


def chain(n: int, seed: int) -> np.ndarray:
    """Levels 0..3; each is the one before with probability 0.9, or one of the others."""
    random = np.random.default_rng(seed)
    steps = np.where(random.random(n) < 0.9, 0, random.integers(1, 4, n))
    return np.cumsum(steps) % 4


def test_a_markov_chain_has_its_own_entropy():
    training, held = chain(400_000, 0), chain(100_000, 1)
    assert unigram_bits(training, held, 256) == pytest.approx(2.0, abs=0.01)
    entropy = -0.9 * np.log2(0.9) - 0.1 * np.log2(0.1 / 3)
    assert bigram_bits(training, held, 256) == pytest.approx(entropy, abs=0.01)


def test_two_bytes_are_guessed_one_after_the_other():
    random = np.random.default_rng(2)
    upper = chain(2_000_000, 3)
    levels = 256 * upper + random.integers(0, 2, len(upper)) + 8 * upper
    training, held = levels[:1_900_000], levels[1_900_000:]
    entropy = -0.9 * np.log2(0.9) - 0.1 * np.log2(0.1 / 3)
    assert unigram_bits(training, held, 65536) == pytest.approx(2.0 + 1.0, abs=0.01)
    assert bigram_bits(training, held, 65536) == pytest.approx(entropy + 1.0, abs=0.01)


def test_what_was_never_seen_costs_but_not_infinitely():
    bits = unigram_bits(np.zeros(1000, int), np.array([255]), 256)
    assert bits == pytest.approx(np.log2(1256))


def test_batches_do_not_run_into_each_other():
    rows = np.array([[0, 0, 0, 0], [1, 1, 1, 1]])
    many = np.tile(rows, (2000, 1))
    assert bigram_bits(many, rows, 256) < 0.1


def periodic(seconds: float, noise: float = 0.0) -> np.ndarray:
    """A sine of 100 Hz at 8 kHz, quantised alike in every period, with noise."""
    t = np.arange(round(8000 * seconds))
    return 0.5 * np.sin(2 * np.pi * t / 80) + noise * np.random.default_rng(0).standard_normal(
        len(t)
    )


def test_the_bits_of_a_preset_are_those_of_its_network(write_murmur, tmp_path):
    torch = pytest.importorskip("torch")
    from audiogen.models.samplernn import SampleRNN, import_weights
    from audiogen.presets import load_preset, read_weights
    from audiogen.representation.levels import quantise

    preset = load_preset(write_murmur(tmp_path / "murmur"))
    sound = periodic(10.0, noise=0.01)
    found = likelihood(preset, sound)
    model = SampleRNN(replace(preset.samplernn, weight_norm=False))
    import_weights(model, read_weights(preset))
    config, means = preset.samplernn, []
    for part in quantise(sound, config.q_levels, config.quantisation).reshape(20, -1):
        part = part[: len(part) // config.frame_sizes[0] * config.frame_sizes[0]]
        bits, _ = model.bits(torch.from_numpy(part.astype(np.int64))[None], model.initial_state(1))
        means.append(float(bits.mean()))
    assert found["preset"].mean == pytest.approx(np.mean(means), rel=1e-4)
    assert found["preset"].error == pytest.approx(np.std(means, ddof=1) / np.sqrt(20), rel=1e-3)
    # A sine's next level follows from the last one but for its direction.
    assert found["bigram"].mean < found["unigram"].mean < np.log2(config.q_levels)


def test_recordings_that_cannot_be_scored_are_refused(write_murmur, tmp_path):
    from audiogen.presets import load_preset

    with pytest.raises(ParameterError, match=r"last 1\.0 s; the likelihood needs 2\.2 s or more"):
        likelihood(load_preset(write_murmur(tmp_path / "murmur")), periodic(1.0))
    with pytest.raises(ParameterError, match="'winds', whose conditioning is 'note'"):
        likelihood(load_preset(write_murmur(tmp_path / "winds", notes=True)), periodic(10.0))
