"""Onset detection in recordings, accurate to a few milliseconds."""

from __future__ import annotations

import numpy as np

from audiogen.core.packages import require_package

WINDOW_S, HOP_S = 0.016, 0.004
MIN_DISTANCE_S = 0.06  # between two onsets
# An onset's spectrum rises by so much more than the mean of its neighbourhood: mean over the bins
# of the rise within two hops.
MIN_RISE_DB, NEIGHBOURHOOD_S = 3.0, 0.2
FLOOR_DB = -80.0  # level of silence
BEFORE_S, AFTER_S = 0.006, 0.004  # stretch around an onset that belongs to it
_FRAMES_AT_ONCE = 1 << 14


def onsets(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Find onsets: peaks of the spectral flux in decibels.

    Parameters
    ----------
    samples : array [n_samples]
        Full scale is 1.
    sample_rate : int, Hz
        Sample rate of the samples.

    Returns
    -------
    array [n_onsets], samples
        Sorted, accurate to about 3 ms; none in the first and last 16 ms.

    Raises
    ------
    MissingPackageError
        If scipy is not installed.

    References
    ----------
    Dixon, "Onset Detection Revisited", DAFx 2006.
    """
    ndimage = require_package("scipy.ndimage", "train", "finding onsets")
    signal = require_package("scipy.signal", "train", "finding onsets")
    hop, window = round(HOP_S * sample_rate), round(WINDOW_S * sample_rate)
    rise_db = _spectral_rise_db(samples, hop, window)
    if not len(rise_db):
        return np.zeros(0, np.int64)
    mean_db = ndimage.uniform_filter1d(rise_db, round(NEIGHBOURHOOD_S / HOP_S), mode="nearest")
    distance = round(MIN_DISTANCE_S / HOP_S)
    peaks, _ = signal.find_peaks(rise_db - mean_db, height=MIN_RISE_DB, distance=distance)
    # The rise is largest when a frame has just reached the sound, which begins after its middle.
    return window // 2 + hop * (peaks + 2)


def around_onsets(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return whether each sample is within 6 ms before or 4 ms after an onset, [n_samples], bool.

    Parameters and errors are those of `onsets`.
    """
    before, after = round(BEFORE_S * sample_rate), round(AFTER_S * sample_rate)
    around = np.zeros(len(samples), bool)
    for onset in onsets(samples, sample_rate):
        around[onset - before : onset + after] = True
    return around


def _spectral_rise_db(samples: np.ndarray, hop: int, window: int) -> np.ndarray:
    """Return the mean over the bins of the rise of their level within two frames."""
    shape = np.hanning(window).astype(np.float32)
    n_frames = max(0, (len(samples) - window) // hop - 1)
    if not n_frames:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    rise_db = np.empty(n_frames, np.float32)
    for first in range(0, n_frames, _FRAMES_AT_ONCE):
        stop = min(first + _FRAMES_AT_ONCE, n_frames)
        spectra = np.abs(np.fft.rfft(shape * frames[first : stop + 2])) / shape.sum()
        level_db = 20.0 * np.log10(spectra + 10.0 ** (FLOOR_DB / 20.0))
        rise_db[first:stop] = np.maximum(0.0, level_db[2:] - level_db[:-2]).mean(axis=1)
    return rise_db
