"""Streaming sample rate conversion by a rational factor (csrc/engine/resampler.h)."""

from __future__ import annotations

import math

import numpy as np

from audiogen._fallback.instrument import Array, require

KAISER_BETA, TAPS = 11.2, 72
LARGEST_TABLE = 1 << 24  # filter coefficients


class Resampler:
    """Polyphase windowed-sinc filter.

    Parameters
    ----------
    from_hz, to_hz : int, Hz
        Rates of the input and of the output.
    """

    def __init__(self, from_hz: int, to_hz: int):
        for rate in (from_hz, to_hz):
            require(
                1000 <= rate <= 384000,
                f"sample_rate={rate} Hz must be 1000 to 384000, for instance 48000",
            )
        common = math.gcd(from_hz, to_hz)
        self.up, self.down = to_hz // common, from_hz // common
        # Down to a lower rate the band is narrower, and the filter longer by the same factor.
        band = min(1.0, to_hz / from_hz)
        half = math.ceil(TAPS / (2 * band)) if self.up != self.down else 0
        self._taps = 2 * half
        require(
            self.up * self._taps <= LARGEST_TABLE,
            f"sample_rate={to_hz} Hz and the other rate, {from_hz} Hz, have too small a common"
            " divisor; use a usual rate",
        )
        self.latency = -(-half * self.up // self.down)
        if half:
            # Input samples from half - 1 before the moment to half after it.
            x = np.arange(1 - half, half + 1) - np.arange(self.up)[:, None] / self.up
            rows = np.i0(KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - (x / half) ** 2)))
            rows *= np.sinc(x * band)
            self._filter = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the input."""
        # Input from sample `start` on; before sample 0 it is silence.
        self._start = -(self.latency * self.down // self.up + self._taps + 1)
        self._input = np.zeros(-self._start, np.float32)
        self._n_pulled = 0

    def needed(self, n: int) -> int:
        """Input samples that output sample ``n`` needs."""
        return n * self.down // self.up + 1

    def push(self, samples: Array) -> None:
        """Append input."""
        self._input = np.append(self._input, samples)

    def pull(self, n: int) -> Array:
        """The next ``n`` samples, 1 or more; what they need must have been pushed."""
        moments = (self._n_pulled + np.arange(n) - self.latency) * self.down
        self._n_pulled += n
        first = moments // self.up - max(0, self._taps // 2 - 1) - self._start
        if self._taps:
            windows = np.lib.stride_tricks.sliding_window_view(self._input, self._taps)[first]
            out = np.einsum("nt,nt->n", self._filter[moments % self.up], windows)
        else:
            out = self._input[first]
        self._start += int(first[-1])
        self._input = self._input[first[-1] :]
        return out
