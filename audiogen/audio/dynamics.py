"""A look-ahead peak limiter for finished audio."""

from __future__ import annotations

import numpy as np

CEILING_DB = -0.1  # below full scale, so that players and lossy formats do not clip
WINDOW_S = 0.005  # half the length over which the gain moves: short, but no click at 20 Hz


def limit(
    samples: np.ndarray, sample_rate: int, ceiling_db: float = CEILING_DB
) -> tuple[np.ndarray, float]:
    """Bring peaks below a ceiling by a gain that moves smoothly around them.

    The gain of a sample is the largest that no peak within 5 ms exceeds, averaged over as long by
    two moving means (Giannoulis, Massberg and Reiss 2012, section on look-ahead). All channels have
    the same gain.

    Parameters
    ----------
    samples : ndarray [n_samples] or [n_samples, n_channels], float32
        Audio; full scale is 1.
    sample_rate : int, Hz
        Sample rate.
    ceiling_db : float, dB
        Highest peak of the result.

    Returns
    -------
    limited : ndarray, float32
        Audio of the same shape; the same samples where no peak is near.
    reduction_db : float, dB
        Largest gain reduction; 0 if nothing had to be limited.

    Examples
    --------
    >>> limited, reduction_db = limit(np.array([0.5, 2.0, 0.5], np.float32), 16000)
    >>> bool(np.abs(limited).max() < 1.0), round(reduction_db, 1)
    (True, 6.1)
    """
    ceiling = 10.0 ** (ceiling_db / 20.0)
    peaks = np.abs(samples) if samples.ndim == 1 else np.abs(samples).max(axis=1, initial=0.0)
    if not len(peaks) or peaks.max() <= ceiling:
        return samples, 0.0
    half = max(1, round(WINDOW_S * sample_rate))
    needed = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-12))
    # A minimum over 4 half + 1 samples, then two means over 2 half + 1: the mean at a peak is over
    # minima that all include it, so that its gain is small enough.
    gain = _moving_mean(_moving_mean(_moving_minimum(needed, 2 * half), half), half)
    gain = np.minimum(gain, needed).astype(np.float32)  # rounding
    shaped = gain if samples.ndim == 1 else gain[:, None]
    return samples * shaped, float(-20.0 * np.log10(gain.min()))


def _moving_minimum(x: np.ndarray, reach: int) -> np.ndarray:
    """Minimum from ``reach`` samples before to ``reach`` after (van Herk 1992)."""
    width = 2 * reach + 1
    n_blocks = -(-(len(x) + 2 * reach) // width) + 1
    padded = np.full(n_blocks * width, np.inf)
    padded[reach : reach + len(x)] = x
    blocks = padded.reshape(n_blocks, width)
    forward = np.minimum.accumulate(blocks, axis=1).ravel()
    backward = np.minimum.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.minimum(backward[: len(x)], forward[width - 1 : width - 1 + len(x)])


def _moving_mean(x: np.ndarray, reach: int) -> np.ndarray:
    """Mean from ``reach`` samples before to ``reach`` after; the ends are repeated."""
    sums = np.cumsum(np.concatenate(([0.0], np.pad(x, reach, "edge"))))
    width = 2 * reach + 1
    return (sums[width:] - sums[:-width]) / width
