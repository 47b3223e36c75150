"""The mel matrices are the published ones, and the harmonic reference is a harmonic tone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.representation import mel
from audiogen.representation.config import PAPER_BASE, PAPER_HIGH

RELEASED = dataclasses.replace(PAPER_HIGH, frequency="mel_released")
INTENDED = dataclasses.replace(PAPER_HIGH, frequency="mel")


def test_mel_scale_has_an_inverse() -> None:
    f = np.linspace(0.0, 8000.0, 1001)
    np.testing.assert_allclose(mel.mel_to_hz(mel.hz_to_mel(f)), f, atol=1e-9)
    assert mel.hz_to_mel(1000.0) == pytest.approx(999.99, abs=0.02)  # 1000 mel are 1 kHz


@pytest.mark.parametrize(
    ("config", "n_nonzero", "rank", "centres_hz"),
    [
        (RELEASED, 2042, 811, (1.77, 7.66, 589, 2350, 4695, 5000, 5714, 7979)),
        (INTENDED, 2343, 726, (1.72, 3.45, 197, 1176, 4316, 5000, 5714, 7979)),
    ],
    ids=["released", "intended"],
)
def test_published_facts(config, n_nonzero: int, rank: int, centres_hz: tuple) -> None:
    matrix = mel.matrix(config).numpy()
    assert matrix.shape == (1024, 1024) and matrix.dtype == np.float64
    assert np.count_nonzero(matrix) == n_nonzero
    assert np.linalg.matrix_rank(matrix) == rank
    assert np.count_nonzero(matrix.max(axis=0) == 0.0) == 1  # one empty band
    assert 0.0 <= matrix.min() and matrix.max() <= 1.0
    # Bins of a band, and bands that hear one bin: the intended ones crowd at low frequencies.
    assert np.count_nonzero(matrix, axis=0).max() == 6
    assert np.count_nonzero(matrix, axis=1).max() == (2 if config is RELEASED else 7)
    centres = mel.band_edges_hz(1024, 8000.0, config is RELEASED)[1]
    for band, wanted in zip((0, 1, 100, 400, 800, 852, 900, 1023), centres_hz, strict=True):
        assert centres[band] == pytest.approx(wanted, abs=0.005 if wanted < 10 else 0.5)


def test_released_bands_are_evenly_spaced_below_5_khz() -> None:
    centres = mel.band_edges_hz(1024, 8000.0, True)[1]
    np.testing.assert_allclose(np.diff(centres[2:850]), 5.87, atol=0.02)
    base = mel.matrix(dataclasses.replace(PAPER_BASE, frequency="mel_released"))
    assert np.linalg.matrix_rank(base.numpy()) == 405


@pytest.mark.parametrize("config", [RELEASED, INTENDED], ids=["released", "intended"])
def test_inverse_sums_to_one(config) -> None:
    product = (mel.matrix(config) @ mel.inverse_matrix(config)).sum(dim=0).numpy()
    heard = np.abs(product) > 1e-8
    np.testing.assert_allclose(product[heard], 1.0)
    assert np.flatnonzero(~heard).tolist() == [0, 1023]


def test_nearest_band_is_nearest() -> None:
    config = dataclasses.replace(PAPER_HIGH, frequency="mel_nearest")
    bands = mel.nearest_bands(config).numpy()
    centres = mel.band_edges_hz(1024, 8000.0, True)[1]
    for k in (0, 1, 100, 639, 700, 1000, 1023):
        distance = np.abs(centres - k * 8000.0 / 1023)
        assert distance[bands[k]] == distance.min()
    assert len(set(bands[:639])) == 639  # below 5 kHz each bin has its own
