"""Mel bands as GANSynth uses them: as many as there are bins, and an approximate inverse.

The filters are triangles with peak 1 whose slopes are straight in Hz, at least 1.5 bins wide.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from audiogen.representation.config import SpectrogramConfig

if TYPE_CHECKING:
    from torch import Tensor

_BREAK_HZ = 700.0
_Q = 1127.0
_LEAST_WIDTH_BINS = 1.5


def hz_to_mel(frequency_hz):
    """mel = 1127 ln(1 + f / 700)."""
    return _Q * np.log1p(np.asarray(frequency_hz) / _BREAK_HZ)


def mel_to_hz(mel):
    """Inverse of `hz_to_mel`."""
    return _BREAK_HZ * np.expm1(np.asarray(mel) / _Q)


@lru_cache(maxsize=8)
def band_edges_hz(n_bins: int, nyquist_hz: float, released: bool) -> np.ndarray:
    """Lower edge, centre and upper edge of each band, [3, n_bins] in Hz.

    A band narrower than 1.5 bins is widened about its centre. With ``released`` the widening
    works on one list of edges that all bands share, as in the code that trained the released
    checkpoints: it moves the neighbours too, and leaves the bands spaced evenly below 5 kHz.
    """
    edges = np.linspace(0.0, hz_to_mel(nyquist_hz), n_bins + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    if not released:
        lower, centre, upper = lower.copy(), centre.copy(), upper.copy()
    least_hz = _LEAST_WIDTH_BINS * nyquist_hz / n_bins
    for band in range(n_bins):
        if mel_to_hz(upper[band]) - mel_to_hz(lower[band]) < least_hz:
            half = 0.5 * least_hz / (mel_to_hz(centre[band]) + _BREAK_HZ)
            reach = _Q * np.arcsinh(half)
            lower[band] = centre[band] - reach
            upper[band] = centre[band] + reach
    return mel_to_hz(np.stack((lower, centre, upper)))


@lru_cache(maxsize=8)
def _matrix(n_bins: int, nyquist_hz: float, released: bool) -> np.ndarray:
    lower, centre, upper = band_edges_hz(n_bins, nyquist_hz, released)
    # The grid labels bins 0 .. nyquist although the constant bin was dropped, as published; its
    # first row, taken for the constant, is zero.
    f = np.linspace(0.0, nyquist_hz, n_bins)[1:, None]
    rising = (f - lower) / (centre - lower)
    falling = (upper - f) / (upper - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return np.pad(weights, ((1, 0), (0, 0)))


@lru_cache(maxsize=8)
def _inverse_matrix(n_bins: int, nyquist_hz: float, released: bool) -> np.ndarray:
    forward = _matrix(n_bins, nyquist_hz, released)
    total = (forward @ forward.T).sum(axis=1)
    return forward.T * np.divide(1.0, total, out=total.copy(), where=np.abs(total) > 1e-8)


def _released(config: SpectrogramConfig) -> bool:
    # Nearest-bin phases want the released spacing too: it is finer than a bin below 5 kHz.
    return config.frequency != "mel"


def matrix(config: SpectrogramConfig) -> Tensor:
    """Linear bins to mel bands, Tensor [n_bins, n_bands], float64."""
    import torch

    return torch.from_numpy(_matrix(config.n_bins, config.sample_rate / 2, _released(config)))


def inverse_matrix(config: SpectrogramConfig) -> Tensor:
    """Mel bands to linear bins: the transpose, each column of their product scaled to sum to 1."""
    import torch

    inverse = _inverse_matrix(config.n_bins, config.sample_rate / 2, _released(config))
    return torch.from_numpy(inverse)


def band_map(config: SpectrogramConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`inverse_matrix` as the engine takes it: what is not zero, bin by bin; without torch.

    Returns
    -------
    starts : array [n_bins + 1], uint32
        The bands of bin k are those from ``starts[k]`` to ``starts[k + 1]``.
    bands : array [n], uint32
    weights : array [n], float32
    """
    inverse = _inverse_matrix(config.n_bins, config.sample_rate / 2, _released(config))
    bins, bands = np.nonzero(inverse.T)
    starts = np.searchsorted(bins, np.arange(config.n_bins + 1))
    weights = inverse.T[bins, bands].astype(np.float32)
    return starts.astype(np.uint32), bands.astype(np.uint32), weights


def nearest_bands(config: SpectrogramConfig) -> Tensor:
    """For each linear bin, the mel band whose centre is nearest."""
    import torch

    centres = band_edges_hz(config.n_bins, config.sample_rate / 2, _released(config))[1]
    bins = np.linspace(0.0, config.sample_rate / 2, config.n_bins)
    return torch.from_numpy(np.abs(bins[:, None] - centres[None]).argmin(axis=1))
