"""Inputs that every op is tested on."""

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

# (n_batch, n_frames, n_fft, hop_length): hops that do not divide n_fft, more and fewer frames than
# the 16 lanes, the smallest transform, frames without overlap, no frames, both published sizes.
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


def rng(*key: int) -> np.random.Generator:
    """A generator seeded by the case."""
    return np.random.default_rng([20260, *key])


def wrapped_phase(shape: tuple[int, ...]) -> np.ndarray:
    return rng(*shape).uniform(-np.pi, np.pi, shape).astype(np.float32)


def circle_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of two phases up to whole turns, rad."""
    return np.abs(np.mod(np.asarray(a, np.float64) - b + np.pi, 2 * np.pi) - np.pi)
