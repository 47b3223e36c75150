"""Kernels compiled by numba, for an installation without the native module.

The functions have the signatures of those of `audiogen._native`: float32, C-contiguous, and time
in the middle of three dimensions, [n_outer, n_frames, n_inner].
"""

from __future__ import annotations

import numba
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiogen.ops import reference

Array = NDArray[np.float32]

PI = np.float32(np.pi)
TWO_PI = np.float32(2 * np.pi)
# 2 pi as a sum of three floats; products of the first two with small integers are exact.
TWO_PI_HIGH = np.float32(6.28125)
TWO_PI_MIDDLE = np.float32(1.9350051879882812e-3)
TWO_PI_LOW = np.float32(3.019916050561733e-7)
INVERSE_TWO_PI = np.float32(1 / (2 * np.pi))
INVERSE_PI = np.float32(1 / np.pi)


@numba.njit(cache=True, inline="always")
def _subtract_turns(x, turns):
    return ((x - turns * TWO_PI_HIGH) - turns * TWO_PI_MIDDLE) - turns * TWO_PI_LOW


@numba.njit(cache=True, inline="always")
def _turns_in(x):
    """Whole turns nearest to x; 0 for +-pi, where the product is just below a half."""
    return np.float32(np.rint(x * INVERSE_TWO_PI))


@numba.njit(cache=True, inline="always")
def _wrap_step(x):
    y = _subtract_turns(x, _turns_in(x))
    y = y + TWO_PI if y < -PI else y
    return y - TWO_PI if y >= PI else y


@numba.njit(cache=True)
def _wrap(x, out):
    for i in range(x.size):
        out[i] = _wrap_step(x[i])


@numba.njit(cache=True)
def _unwrap(x, out):
    turns = np.empty(x.shape[2], np.float32)
    for outer in range(x.shape[0]):
        turns[:] = np.float32(0)
        out[outer, 0] = x[outer, 0]
        for t in range(1, x.shape[1]):
            for j in range(x.shape[2]):
                turns[j] += _turns_in(x[outer, t, j] - x[outer, t - 1, j])
                out[outer, t, j] = _subtract_turns(x[outer, t, j], turns[j])


@numba.njit(cache=True)
def _instantaneous_frequency(x, out):
    for outer in range(x.shape[0]):
        for j in range(x.shape[2]):
            out[outer, 0, j] = _wrap_step(x[outer, 0, j]) * INVERSE_PI
        for t in range(1, x.shape[1]):
            for j in range(x.shape[2]):
                difference = x[outer, t, j] - x[outer, t - 1, j]
                out[outer, t, j] = _subtract_turns(difference, _turns_in(difference)) * INVERSE_PI


@numba.njit(cache=True)
def _integrate(x, out):
    turns = np.empty(x.shape[2], np.float32)
    for outer in range(x.shape[0]):
        turns[:] = np.float32(0)
        for t in range(x.shape[1]):
            for j in range(x.shape[2]):
                total = turns[j] + np.float32(0.5) * x[outer, t, j]
                turns[j] = total - np.float32(np.rint(total))
                out[outer, t, j] = turns[j] * TWO_PI


@numba.njit(cache=True)
def _polar_to_rectangular(log_magnitude, phase, out):
    for i in range(phase.size):
        magnitude = np.exp(log_magnitude[i])
        out[i] = complex(magnitude * np.cos(phase[i]), magnitude * np.sin(phase[i]))


@numba.njit(cache=True)
def _overlap_add(frames, hop_length, out):
    for item in range(frames.shape[0]):
        for f in range(frames.shape[1]):
            for i in range(frames.shape[2]):
                out[item, f * hop_length + i] += frames[item, f, i]


def wrap(x: Array) -> Array:
    out = np.empty_like(x)
    _wrap(x.reshape(-1), out.reshape(-1))
    return out


def unwrap(phase: Array) -> Array:
    out = np.empty_like(phase)
    if phase.size:
        _unwrap(phase, out)
    return out


def instantaneous_frequency(phase: Array) -> Array:
    out = np.empty_like(phase)
    if phase.size:
        _instantaneous_frequency(phase, out)
    return out


def integrate(inst_freq: Array) -> Array:
    out = np.empty_like(inst_freq)
    if inst_freq.size:
        _integrate(inst_freq, out)
    return out


def polar_to_rectangular(log_magnitude: Array, phase: Array) -> NDArray[np.complex64]:
    out = np.empty(phase.shape, np.complex64)
    _polar_to_rectangular(log_magnitude.reshape(-1), phase.reshape(-1), out.reshape(-1))
    return out


class IstftPlan:
    """Window and gain for spectrograms of one shape."""

    def __init__(self, n_fft: int, hop_length: int, n_frames: int) -> None:
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.window = reference.hann_window(n_fft).astype(np.float32)
        self.gain = reference.window_gain(n_fft, hop_length, n_frames).astype(np.float32)


def istft(plan: IstftPlan, spectrum: NDArray[np.complex64]) -> Array:
    frames = scipy.fft.irfft(spectrum, n=plan.n_fft, axis=-1)
    frames *= plan.window
    signal = np.zeros((len(frames), len(plan.gain)), np.float32)
    _overlap_add(frames, plan.hop_length, signal)
    return signal * plan.gain


def conv3x3(x: Array, weight: Array, bias: Array, upsample: bool) -> Array:
    """A zero-padded 3x3 convolution of x [in_channels, n_frames, n_bins], x2 upsampled if asked."""
    if upsample:
        x = x.repeat(2, axis=1).repeat(2, axis=2)
    n_frames, n_bins = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    y = np.repeat(bias[:, None], n_frames * n_bins, axis=1)
    for i in range(3):
        for j in range(3):
            shifted = padded[:, i : i + n_frames, j : j + n_bins].reshape(x.shape[0], -1)
            y += np.ascontiguousarray(weight[:, :, i, j]) @ shifted
    return y.reshape(-1, n_frames, n_bins)


def philox_uniform(seed: int, stream: int, row: int, n: int) -> Array:
    return _philox(
        np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32), np.uint64(stream), np.uint64(row), n
    )


@numba.njit(cache=True)
def _philox(key_low, key_high, stream, row, n):
    out = np.empty(n, np.float32)
    for block in range((n + 3) // 4):
        words = philox_block(key_low, key_high, stream, row, np.uint64(block))
        for i in range(min(4, n - 4 * block)):
            out[4 * block + i] = np.float32(words[i] >> np.uint64(8)) * np.float32(2**-24)
    return out


@numba.njit(cache=True)
def philox_block(key_low, key_high, stream, row, block):
    """The four words of one Philox block; all arguments are uint64 below 2**32."""
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1, c2, c3 = block, row, stream, np.uint64(0)
    k0, k1 = key_low, key_high
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c0
        p1 = np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> half) ^ c1 ^ k0, (p0 >> half) ^ c3 ^ k1
        c1, c3 = p1 & mask, p0 & mask
        k0 = (k0 + np.uint64(0x9E3779B9)) & mask
        k1 = (k1 + np.uint64(0xBB67AE85)) & mask
    return c0, c1, c2, c3
