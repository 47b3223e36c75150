"""A map of timbres: similar timbres are near each other, with space for their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen.presets.description import GansynthPreset, Preset, check_fields, find_faults

DIGITS = 4  # decimals of the places in a preset

# Size of a dot with the name under it, as fractions of the map's width and height.
DOT_WIDTH, DOT_HEIGHT = 0.24, 0.115
MARGIN_X, MARGIN_Y = 0.12, 0.085


def place_vectors(vectors: ArrayLike) -> NDArray[np.float64]:
    """Place vectors on a unit square, similar ones near each other and none overlapping.

    The axes are the first two principal components. Each coordinate is the average of the
    component's value and its rank, so that the points fill the square. Points whose names would
    overlap are then pushed apart.

    Parameters
    ----------
    vectors : array [n, size]
        Vectors to place_vectors.

    Returns
    -------
    ndarray [n, 2]
        x and y, 0 to 1.

    Examples
    --------
    >>> place_vectors([[0.0, 1.0]]).tolist()
    [[0.5, 0.5]]
    """
    x = np.asarray(vectors, np.float64)
    centred = x - x.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = np.vstack([axes, np.zeros((2, x.shape[1]))])[:2]
    # The sign of a component is arbitrary: make its largest entry positive.
    largest = np.abs(axes).argmax(axis=1)
    axes *= np.where(axes[np.arange(2), largest] < 0, -1.0, 1.0)[:, None]
    flat = centred @ axes.T
    extent = np.abs(flat).max(axis=0)
    flat = np.divide(flat, extent, out=np.zeros_like(flat), where=extent > 1e-9)
    rank = flat.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    rank = 2.0 * (rank + 0.5) / len(x) - 1.0
    rank[:, extent <= 1e-9] = 0.0
    return _push_apart(0.5 + 0.25 * (flat + rank))


def _push_apart(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Push points apart until no names overlap, for 400 iterations at most."""
    low, high = np.array([MARGIN_X, MARGIN_Y]), np.array([1.0 - MARGIN_X, 1.0 - MARGIN_Y])
    size = np.array([DOT_WIDTH, DOT_HEIGHT])
    nudge = 1e-3 * np.random.default_rng(0).standard_normal(at.shape)  # for points that coincide
    at = np.clip(at + nudge * (len(at) > 1), low, high)
    for _ in range(400):
        offset = (at[:, None] - at[None]) / size
        distance = np.hypot(*np.moveaxis(offset, 2, 0))
        np.fill_diagonal(distance, np.inf)
        if distance.min() >= 1.0:
            break
        push = np.maximum(0.0, 1.0 - distance) / np.maximum(distance, 1e-6)
        at = np.clip(at + 0.3 * (push[..., None] * offset).sum(axis=1) * size, low, high)
    return at


def places(preset: Preset) -> NDArray[np.float64]:
    """Place of each timbre on the map, which the page, the plug-ins and `Synth` share.

    Parameters
    ----------
    preset : Preset
        A preset with timbres. The places are those of ``preset.toml``, or else computed: a
        GANSynth's timbres are laid out by their latents, so that neighbours sound alike; a
        SampleRNN has no latents, and its timbres are laid out evenly.

    Returns
    -------
    ndarray [n_timbres, 2]
        x and y, 0 to 1.
    """
    stored = [timbre.place for timbre in preset.timbres if timbre.place is not None]
    if stored:
        return np.array(stored)
    if isinstance(preset, GansynthPreset):
        z = np.array([timbre.z for timbre in preset.timbres])
        length = np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
        return place_vectors(z / length).round(DIGITS)
    n = len(preset.timbres)
    angle = 2.0 * np.pi * np.arange(n) / max(1, n)
    return place_vectors(np.column_stack([np.cos(angle), np.sin(angle)])).round(DIGITS)


def with_places(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a preset with a place for each timbre.

    Parameters
    ----------
    fields : mapping
        Fields of a ``preset.toml``; they stay as they are if they have faults, places or no
        timbres.

    Returns
    -------
    mapping
    """
    timbres = fields.get("timbres")
    if not timbres or find_faults(fields) or timbres[0].get("place") is not None:
        return fields
    at = places(check_fields(fields)).tolist()
    placed = [{**timbre, "place": place} for timbre, place in zip(timbres, at, strict=True)]
    return {**fields, "timbres": placed}
