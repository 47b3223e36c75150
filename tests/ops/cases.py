"""Inputs that every op is tried on, and how far a float32 result may be from the float64 one."""

from __future__ import annotations

import numpy as np

# [n_outer, n_frames, n_inner]: odd, single, empty, long, wider than the kernels' chunk of 1024
# columns, and narrower than a vector.
SHAPES = [
    (1, 1, 1),
    (2, 5, 3),
    (3, 17, 31),
    (1, 2, 16),
    (2, 9, 1037),
    (1, 3, 2500),
    (4, 33, 1),
    (1, 100_000, 1),
    (1, 20_000, 5),
    (0, 4, 4),
    (2, 0, 4),
    (2, 4, 0),
]

# (n_batch, n_frames, n_fft, hop_length): hops that don't divide n_fft, more or fewer frames than
# the 16 lanes, the smallest transform, gaps of nothing, both published sizes.
ISTFT_SHAPES = [
    (1, 1, 16, 16),
    (2, 3, 16, 1),
    (1, 17, 16, 5),
    (3, 7, 64, 48),
    (2, 16, 256, 64),
    (1, 33, 1024, 256),
    (1, 5, 2048, 512),
    (2, 0, 64, 16),
    (0, 3, 64, 16),
]

# (in_channels, out_channels, n_frames, n_bins)
CONV_SHAPES = [
    (1, 1, 1, 1),
    (3, 5, 4, 7),
    (16, 8, 2, 16),
    (9, 17, 13, 33),
    (33, 2, 5, 9),
]


def rng(*key: int) -> np.random.Generator:
    """Numbers that depend on the case alone."""
    return np.random.default_rng([20260, *key])


def wrapped_phase(shape: tuple[int, ...]) -> np.ndarray:
    return rng(*shape).uniform(-np.pi, np.pi, shape).astype(np.float32)


def circle_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of two phases where whole turns don't count, rad."""
    return np.abs(np.mod(np.asarray(a, np.float64) - b + np.pi, 2 * np.pi) - np.pi)
