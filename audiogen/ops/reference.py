"""The definition of each op: slow, obvious, in float64. Faster versions are tested against it.

Arguments, shapes and units are those of the functions of the same name in `audiogen.ops`, on NumPy
arrays of any float type; results are float64 or complex128, except those of `philox_uniform`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen.errors import ParameterError

__all__ = [
    "hann_window",
    "instantaneous_frequency",
    "integrate",
    "istft",
    "overlap_add",
    "philox_uniform",
    "polar_to_rectangular",
    "unwrap",
    "window_gain",
    "wrap",
]

TWO_PI = 2 * np.pi
PIXEL_NORM_EPSILON = 1e-8
GAIN_FLOOR = 1e-3


def wrap(phase: ArrayLike) -> NDArray[np.float64]:
    """Subtract whole turns: [...] rad to [-pi, pi)."""
    return np.mod(np.asarray(phase, np.float64) + np.pi, TWO_PI) - np.pi


def unwrap(phase: ArrayLike, axis: int = -2) -> NDArray[np.float64]:
    """`numpy.unwrap`, which is the definition."""
    return np.unwrap(np.asarray(phase, np.float64), axis=axis)


def instantaneous_frequency(phase: ArrayLike, axis: int = -2) -> NDArray[np.float64]:
    """The wrapped first frame, then the differences of the unwrapped phase, over pi."""
    unwrapped = unwrap(phase, axis)
    first = np.take(unwrapped, [0] if unwrapped.shape[axis] else [], axis=axis)
    return np.concatenate([wrap(first), np.diff(unwrapped, axis=axis)], axis=axis) / np.pi


def integrate(inst_freq: ArrayLike, axis: int = -2) -> NDArray[np.float64]:
    """The running sum of pi * inst_freq, wrapped."""
    return wrap(np.cumsum(np.asarray(inst_freq, np.float64) * np.pi, axis=axis))


def polar_to_rectangular(log_magnitude: ArrayLike, phase: ArrayLike) -> NDArray[np.complex128]:
    """e^(log_magnitude + i phase)."""
    exponent = np.asarray(log_magnitude, np.float64) + 1j * np.asarray(phase, np.float64)
    return np.exp(exponent)


def overlap_add(frames: ArrayLike, hop_length: int) -> NDArray[np.float64]:
    """Sum frames [..., n_frames, n_fft] to a signal; frame f starts at sample f * hop_length."""
    frames = np.asarray(frames, np.float64)
    *batch, n_frames, n_fft = frames.shape
    span = hop_length * (n_frames - 1) + n_fft if n_frames else 0
    signal = np.zeros((*batch, span))
    for f in range(n_frames):
        signal[..., f * hop_length : f * hop_length + n_fft] += frames[..., f, :]
    return signal


def hann_window(n_fft: int) -> NDArray[np.float64]:
    """Periodic Hann window, [n_fft]."""
    return np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2


def window_gain(n_fft: int, hop_length: int, n_frames: int) -> NDArray[np.float64]:
    """Reciprocal of the sum of squared windows at each sample, bounded at the ends, [span]."""
    squared = np.broadcast_to(hann_window(n_fft) ** 2, (n_frames, n_fft))
    total = overlap_add(squared, hop_length)
    return 1 / np.maximum(total, GAIN_FLOOR * total.max(initial=0.0))


def istft(spectrum: ArrayLike, n_fft: int, hop_length: int) -> NDArray[np.float64]:
    """Inverse transform of each frame, window, overlap-add, gain."""
    spectrum = np.array(spectrum, np.complex128)
    spectrum[..., [0, -1]] = spectrum[..., [0, -1]].real
    frames = np.fft.irfft(spectrum, n=n_fft, axis=-1) * hann_window(n_fft)
    return overlap_add(frames, hop_length) * window_gain(n_fft, hop_length, spectrum.shape[-2])


def philox_uniform(seed: int, stream: int, row: int, n: int) -> NDArray[np.float32]:
    """Philox4x32-10 in plain integers (Salmon et al., SC 2011)."""
    if not 0 <= seed < 2**64:
        raise ParameterError(f"seed={seed} must be 0 to 2**64 - 1; use seed % 2**64")
    mask = 0xFFFFFFFF
    words: list[int] = []
    for block in range((n + 3) // 4):
        c0, c1, c2, c3 = block, row, stream, 0
        k0, k1 = seed & mask, seed >> 32
        for _ in range(10):
            p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
            c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & mask, (p0 >> 32) ^ c3 ^ k1, p0 & mask
            k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
        words += [c0, c1, c2, c3]
    upper = np.array(words[:n], np.uint32) >> np.uint32(8)
    return upper.astype(np.float32) * np.float32(2**-24)
