"""The phase of a recorded note's fundamental over time."""

from __future__ import annotations

import numpy as np

HOP = 64  # samples between two readings of the phase
SHORTEST_S = 0.02  # of the window, or 4 periods
FAINTEST = 0.01  # of the fundamental's largest amplitude; below, the last reading holds


def fundamental_phase(waveform, f0_hz: float, sample_rate: int) -> np.ndarray:
    """Phase by which the fundamental runs ahead of a cosine of its nominal frequency.

    The note is turned down by ``f0_hz`` and smoothed, which leaves the fundamental alone
    (heterodyne analysis; J. Beauchamp, "Analysis, Synthesis, and Perception of Musical Sounds",
    2007, chapter 1).

    Parameters
    ----------
    waveform : array [n_samples], float
    f0_hz : float, Hz
    sample_rate : int, Hz

    Returns
    -------
    array [1 + n_samples // HOP], float32, cycles
        At samples 0, HOP, ...; continuous.
    """
    from scipy.signal import fftconvolve

    n = np.arange(len(waveform))
    turned = np.asarray(waveform, np.float64) * np.exp(-2j * np.pi * f0_hz * n / sample_rate)
    window = np.hanning(2 * int(0.5 * max(SHORTEST_S, 4.0 / f0_hz) * sample_rate) + 3)
    smooth = fftconvolve(turned, window / window.sum(), mode="same")[::HOP]
    smooth = np.append(smooth, smooth[-1:])[: 1 + len(waveform) // HOP]
    amplitude = np.abs(smooth)
    sure = np.flatnonzero(amplitude > FAINTEST * amplitude.max(initial=0.0))
    if not len(sure):
        return np.zeros(len(smooth), np.float32)
    cycles = np.unwrap(np.angle(smooth[sure])) / (2.0 * np.pi)
    places = np.searchsorted(sure, np.arange(len(smooth)), side="right") - 1
    return cycles[np.maximum(places, 0)].astype(np.float32)
