"""Where timbres lie on a map: like beside like, and room for each name."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen.presets.description import GansynthPreset

# Room for a name under its dot, in parts of the map's width and height.
DOT_WIDTH, DOT_HEIGHT = 0.24, 0.115
MARGIN_X, MARGIN_Y = 0.12, 0.085


def place(vectors: ArrayLike) -> NDArray[np.float64]:
    """Lay vectors out on a unit square: like beside like, and no two too close to be named.

    The two directions in which the vectors differ most (principal components) are the axes. Half
    of a coordinate is its rank, so that the square is filled; then points that are too near push
    each other away.

    Parameters
    ----------
    vectors : array [n, size]
        Points to lay out.

    Returns
    -------
    ndarray [n, 2]
        x and y, 0 to 1.

    Examples
    --------
    >>> place([[0.0, 1.0]]).tolist()
    [[0.5, 0.5]]
    """
    x = np.asarray(vectors, np.float64)
    centred = x - x.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = np.vstack([axes, np.zeros((2, x.shape[1]))])[:2]
    # The sign of a component is arbitrary; the largest entry decides it.
    largest = np.abs(axes).argmax(axis=1)
    axes *= np.where(axes[np.arange(2), largest] < 0, -1.0, 1.0)[:, None]
    flat = centred @ axes.T
    extent = np.abs(flat).max(axis=0)
    flat = np.divide(flat, extent, out=np.zeros_like(flat), where=extent > 1e-9)
    rank = flat.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    rank = 2.0 * (rank + 0.5) / len(x) - 1.0
    rank[:, extent <= 1e-9] = 0.0
    return _spread(0.5 + 0.25 * (flat + rank))


def _spread(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Push points apart until each has room for its name, or for 400 rounds."""
    low, high = np.array([MARGIN_X, MARGIN_Y]), np.array([1.0 - MARGIN_X, 1.0 - MARGIN_Y])
    room = np.array([DOT_WIDTH, DOT_HEIGHT])
    nudge = 1e-3 * np.random.default_rng(0).standard_normal(at.shape)  # for points that coincide
    at = np.clip(at + nudge * (len(at) > 1), low, high)
    for _ in range(400):
        apart = (at[:, None] - at[None]) / room
        distance = np.hypot(*np.moveaxis(apart, 2, 0))
        np.fill_diagonal(distance, np.inf)
        if distance.min() >= 1.0:
            break
        push = np.maximum(0.0, 1.0 - distance) / np.maximum(distance, 1e-6)
        at = np.clip(at + 0.3 * (push[..., None] * apart).sum(axis=1) * room, low, high)
    return at


def latent_map(preset: GansynthPreset) -> NDArray[np.float64]:
    """The places of a GANSynth's timbres by their latents' directions, [n_timbres, 2], 0 to 1."""
    z = np.array([timbre.z for timbre in preset.timbres])
    return place(z / np.linalg.norm(z, axis=1, keepdims=True))
