"""Mel bands as GANSynth uses them: as many bands as bins, and an approximate inverse.

The filters are triangles of peak 1 with slopes linear in Hz, at least 1.5 bins wide.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from audiogen.representation.config import SpectrogramConfig

if TYPE_CHECKING:
    from torch import Tensor

_BREAK_HZ = 700.0
_MEL_SCALE = 1127.0
_LEAST_WIDTH_BINS = 1.5


def hz_to_mel(frequency_hz):
    """Convert a frequency to mel: 1127 ln(1 + f / 700)."""
    return _MEL_SCALE * np.log1p(np.asarray(frequency_hz) / _BREAK_HZ)


def mel_to_hz(mel):
    """Invert `hz_to_mel`."""
    return _BREAK_HZ * np.expm1(np.asarray(mel) / _MEL_SCALE)


@lru_cache(maxsize=8)
def band_edges_hz(n_bins: int, nyquist_hz: float, released: bool) -> np.ndarray:
    """Compute the lower edge, centre and upper edge of each band, [3, n_bins] in Hz.

    A band narrower than 1.5 bins is widened about its centre. With ``released``, all bands share
    one list of edges, as in the code that trained the released checkpoints: widening a band moves
    its neighbours too, so that bands below 5 kHz are evenly spaced.
    """
    edges = np.linspace(0.0, hz_to_mel(nyquist_hz), n_bins + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    if not released:
        lower, centre, upper = lower.copy(), centre.copy(), upper.copy()
    least_hz = _LEAST_WIDTH_BINS * nyquist_hz / n_bins
    for band in range(n_bins):
        if mel_to_hz(upper[band]) - mel_to_hz(lower[band]) < least_hz:
            half = 0.5 * least_hz / (mel_to_hz(centre[band]) + _BREAK_HZ)
            reach = _MEL_SCALE * np.arcsinh(half)
            lower[band] = centre[band] - reach
            upper[band] = centre[band] + reach
    return mel_to_hz(np.stack((lower, centre, upper)))


@lru_cache(maxsize=8)
def _matrix(n_bins: int, nyquist_hz: float, released: bool) -> np.ndarray:
    lower, centre, upper = band_edges_hz(n_bins, nyquist_hz, released)
    # As published, the grid starts at 0 Hz although the DC bin was dropped, and its first row is
    # zero.
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
    # `mel_nearest` needs the released spacing too: it is finer than a bin below 5 kHz.
    return config.frequency != "mel"


def matrix(config: SpectrogramConfig) -> Tensor:
    """Return the matrix from linear bins to mel bands [n_bins, n_bands], float64."""
    import torch

    return torch.from_numpy(_matrix(config.n_bins, config.sample_rate / 2, _released(config)))


def inverse_matrix(config: SpectrogramConfig) -> Tensor:
    """Return the matrix from mel bands to linear bins [n_bands, n_bins], float64.

    It is the transpose of `matrix` with columns scaled so that their product's rows sum to 1.
    """
    import torch

    inverse = _inverse_matrix(config.n_bins, config.sample_rate / 2, _released(config))
    return torch.from_numpy(inverse)


def band_map(config: SpectrogramConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nonzero entries of `inverse_matrix`, bin by bin, for the engine. Needs no torch.

    Returns
    -------
    starts : array [n_bins + 1], uint32
        Index of each bin's first entry; bin k has entries ``starts[k]`` to ``starts[k + 1] - 1``.
    bands : array [n], uint32
        Band of each entry.
    weights : array [n], float32
        Weight of each entry.
    """
    inverse = _inverse_matrix(config.n_bins, config.sample_rate / 2, _released(config))
    bins, bands = np.nonzero(inverse.T)
    starts = np.searchsorted(bins, np.arange(config.n_bins + 1))
    weights = inverse.T[bins, bands].astype(np.float32)
    return starts.astype(np.uint32), bands.astype(np.uint32), weights


def nearest_bands(config: SpectrogramConfig) -> Tensor:
    """Return the mel band with the nearest centre for each linear bin, [n_bins]."""
    import torch

    centres = band_edges_hz(config.n_bins, config.sample_rate / 2, _released(config))[1]
    bins = np.linspace(0.0, config.sample_rate / 2, config.n_bins)
    return torch.from_numpy(np.abs(bins[:, None] - centres[None]).argmin(axis=1))
