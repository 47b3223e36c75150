"""Phase of a recorded note's fundamental over time."""

from __future__ import annotations

import numpy as np

from audiogen.core.packages import require_package

HOP = 64  # samples between two phase readings
_MIN_WINDOW_S = 0.02  # the window is longer where 4 periods are
# Fraction of the fundamental's largest amplitude. Below it the phase is unreliable, and the last
# reliable reading is repeated.
_MIN_AMPLITUDE = 0.01


def fundamental_phase(waveform: np.ndarray, f0_hz: float, sample_rate: int) -> np.ndarray:
    """Return the phase lead of a note's fundamental over a cosine of its nominal frequency.

    The waveform is multiplied by a complex exponential of ``-f0_hz`` and low-pass filtered, which
    leaves the fundamental (heterodyne analysis).

    Parameters
    ----------
    waveform : array [n_samples], float
        Samples of one channel.
    f0_hz : float, Hz
        Nominal frequency of the fundamental.
    sample_rate : int, Hz
        Sample rate of the samples.

    Returns
    -------
    array [1 + n_samples // HOP], float32, cycles
        Continuous phase at samples 0, `HOP`, 2 `HOP`, ...

    Raises
    ------
    MissingPackageError
        If scipy is not installed.

    References
    ----------
    J. Beauchamp, "Analysis, Synthesis, and Perception of Musical Sounds", 2007, chapter 1.
    """
    signal = require_package("scipy.signal", "train", "reading a note's phase")
    n = np.arange(len(waveform))
    shifted = np.asarray(waveform, np.float64) * np.exp(-2j * np.pi * f0_hz * n / sample_rate)
    window = np.hanning(2 * int(0.5 * max(_MIN_WINDOW_S, 4.0 / f0_hz) * sample_rate) + 3)
    baseband = signal.fftconvolve(shifted, window / window.sum(), mode="same")[::HOP]
    baseband = np.append(baseband, baseband[-1:])[: 1 + len(waveform) // HOP]
    amplitude = np.abs(baseband)
    reliable = np.flatnonzero(amplitude > _MIN_AMPLITUDE * amplitude.max(initial=0.0))
    if not len(reliable):
        return np.zeros(len(baseband), np.float32)
    cycles = np.unwrap(np.angle(baseband[reliable])) / (2.0 * np.pi)
    latest = np.searchsorted(reliable, np.arange(len(baseband)), side="right") - 1
    return cycles[np.maximum(latest, 0)].astype(np.float32)
