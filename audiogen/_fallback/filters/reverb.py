"""Reverberation of a small room (csrc/engine/reverb.h)."""

from __future__ import annotations

import math

import numba
import numpy as np

from audiogen._fallback.instrument import Array

DELAYS_S = (0.0297, 0.0371, 0.0411, 0.0437, 0.0533, 0.0617, 0.0679, 0.0731)
DECAY_S = 0.9  # to -60 dB
DAMPING_HZ = 4500.0
SILENT = np.float32(1e-5)


class Reverb:
    """Eight delay lines that feed one another.

    Parameters
    ----------
    sample_rate : float, Hz
        Rate of the samples.
    n_channels : int
        1 or 2.
    """

    def __init__(self, sample_rate: float, n_channels: int):
        lengths = [max(1, int(delay * sample_rate + 0.5)) for delay in DELAYS_S]
        gains = [10.0 ** (-3.0 * n / sample_rate / DECAY_S) for n in lengths]
        n_lines = len(lengths)
        energy = sum(g * g / (1.0 - g * g) / n_lines for g in gains)
        self._n_channels = n_channels
        self._lengths = np.array(lengths)
        self._feedback = np.array(gains, np.float32)
        cutoff = min(DAMPING_HZ, 0.45 * sample_rate) / sample_rate
        self._damping = np.float32(math.exp(-2.0 * math.pi * cutoff))
        self._input_gain = np.float32(1.0 / math.sqrt(n_lines * energy))
        self._check_every = 2 * lengths[-1]
        self.reset()

    def reset(self) -> None:
        """Forget all former input."""
        n_lines = len(self._lengths)
        self._lines = np.zeros((n_lines, self._lengths.max()), np.float32)
        self._at = np.zeros(n_lines, np.int64)
        self._low_pass = np.zeros(n_lines, np.float32)
        self._loudest = np.zeros(1, np.float32)
        self._counts = np.zeros(2, np.int64)  # samples since the last check, whether it sounds

    @property
    def sounding(self) -> bool:
        """Whether anything can be heard of former input."""
        return bool(self._counts[1])

    def add(self, channels: Array, level: np.float32, slope: np.float32, first: int) -> None:
        """Add the reverberation of samples, [n_channels, n], to them.

        Parameters
        ----------
        channels : ndarray [n_channels, n], float32
            Samples, which are changed.
        level, slope : float
            The gain of the input is ``level + slope * (first + i + 1)`` at sample i.
        first : int
            Samples since the gain was ``level``.
        """
        _add(
            channels,
            np.float32(level),
            np.float32(slope),
            first,
            self._input_gain,
            self._damping,
            self._feedback,
            self._lengths,
            self._lines,
            self._at,
            self._low_pass,
            self._loudest,
            self._counts,
            self._check_every,
        )


@numba.njit(cache=True)
def _add(
    channels,
    level,
    slope,
    first,
    input_gain,
    damping,
    feedback,
    lengths,
    lines,
    at,
    low_pass,
    loudest,
    counts,
    check_every,
):
    n_channels, n = channels.shape
    n_lines = len(lengths)
    out = np.zeros(n_lines, np.float32)
    for t in range(n):
        gain = input_gain * (level + slope * np.float32(first + t + 1))
        left, right = gain * channels[0, t], gain * channels[n_channels - 1, t]
        if counts[1] == 0 and left == 0 and right == 0:
            continue
        counts[1] = 1
        total = np.float32(0)
        for i in range(n_lines):
            delayed = feedback[i] * lines[i, at[i]]
            low_pass[i] = delayed + damping * (low_pass[i] - delayed)
            out[i] = low_pass[i]
            total += out[i]
        reflected = total * np.float32(2.0 / n_lines)
        for i in range(n_lines):
            value = (left if i % 2 == 0 else right) + out[i] - reflected
            lines[i, at[i]] = value
            at[i] = at[i] + 1 if at[i] + 1 < lengths[i] else 0
            loudest[0] = max(loudest[0], abs(value))
        for c in range(n_channels):
            wet = np.float32(0)
            for i in range(n_lines):
                wet += -out[i] if c == 1 and (i // 2) % 2 == 1 else out[i]
            channels[c, t] += wet
        counts[0] += 1
        if counts[0] == check_every:
            counts[0] = 0
            if loudest[0] < SILENT:
                lines[:] = 0
                at[:] = 0
                low_pass[:] = 0
                counts[1] = 0
            loudest[0] = 0
