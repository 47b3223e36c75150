"""Where sounds begin in recordings, to a few milliseconds."""

from __future__ import annotations

import numpy as np

WINDOW_S, HOP_S = 0.016, 0.004
APART_S = 0.06  # between two onsets
# How much more a spectrum's bins rise within two hops at an onset than nearby, on the mean, and the
# level that silence has.
RISE_DB, FAINTEST_DB = 3.0, -80.0
NEARBY_S = 0.2
BEFORE_S, AFTER_S = 0.006, 0.004  # of an onset, that belong to it
_N_FRAMES = 1 << 14  # that are transformed at once


def onsets(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Find where sounds begin: where a spectrum's decibels rise most.

    After the spectral flux of Dixon, "Onset Detection Revisited", DAFx 2006.

    Parameters
    ----------
    samples : array [n_samples]
        Full scale is 1.
    sample_rate : int, Hz

    Returns
    -------
    array [n_onsets], samples
        Rising, to about 3 ms; none in the first and last 16 ms.
    """
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import find_peaks

    hop, window = round(HOP_S * sample_rate), round(WINDOW_S * sample_rate)
    rises = _rises_db(samples, hop, window)
    if not len(rises):
        return np.zeros(0, np.int64)
    usual = uniform_filter1d(rises, round(NEARBY_S / HOP_S), mode="nearest")
    peaks, _ = find_peaks(rises - usual, height=RISE_DB, distance=round(APART_S / HOP_S))
    # It rises most when a frame has just reached the sound, which begins behind its middle.
    return window // 2 + hop * (peaks + 2)


def around_onsets(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """As `onsets`; whether each sample belongs to one: array [n_samples], bool."""
    before, after = round(BEFORE_S * sample_rate), round(AFTER_S * sample_rate)
    around = np.zeros(len(samples), bool)
    for at in onsets(samples, sample_rate):
        around[at - before : at + after] = True
    return around


def _rises_db(samples: np.ndarray, hop: int, window: int) -> np.ndarray:
    """By how much bins are louder, on the mean, than those two frames before."""
    shape = np.hanning(window).astype(np.float32)
    n = max(0, (len(samples) - window) // hop - 1)
    if not n:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    rises = np.empty(n, np.float32)
    for first in range(0, n, _N_FRAMES):
        stop = min(first + _N_FRAMES, n)
        spectra = np.abs(np.fft.rfft(shape * frames[first : stop + 2])) / shape.sum()
        level = 20.0 * np.log10(spectra + 10.0 ** (FAINTEST_DB / 20.0))
        rises[first:stop] = np.maximum(0.0, level[2:] - level[:-2]).mean(axis=1)
    return rises
