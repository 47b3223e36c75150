"""Baselines of a SampleRNN's likelihood: unigram and bigram models of its levels."""

from __future__ import annotations

import numpy as np


def unigram_bits(training: np.ndarray, held_out: np.ndarray, q_levels: int) -> float:
    """Return the bits per sample of a model that knows the frequency of each level.

    Parameters
    ----------
    training, held_out : array [..., n_samples], int
        Levels that are counted, and levels that are predicted.
    q_levels : int
        Number of levels. Above 256, the upper byte is predicted first, then the lower byte from
        the upper one.

    Returns
    -------
    float
        Counts start at one, so that unseen levels are possible.
    """
    upper_t, lower_t = _bytes(training, q_levels)
    upper_h, lower_h = _bytes(held_out, q_levels)
    zeros_t, zeros_h = np.zeros_like(upper_t), np.zeros_like(upper_h)
    bits = _conditional_bits((zeros_t, upper_t), (zeros_h, upper_h))
    if q_levels > 256:
        bits += _conditional_bits((upper_t, lower_t), (upper_h, lower_h))
    return bits


def bigram_bits(training: np.ndarray, held_out: np.ndarray, q_levels: int) -> float:
    """Return the bits per sample of a model that knows the previous level.

    Parameters are those of `unigram_bits`. Of two bytes, the upper one is predicted from the
    previous upper byte, the lower one from the upper byte of its sample.
    """
    upper_t, lower_t = _bytes(training, q_levels)
    upper_h, lower_h = _bytes(held_out, q_levels)
    bits = _conditional_bits(
        (upper_t[..., :-1], upper_t[..., 1:]), (upper_h[..., :-1], upper_h[..., 1:])
    )
    if q_levels > 256:
        bits += _conditional_bits((upper_t, lower_t), (upper_h, lower_h))
    return bits


def _bytes(levels: np.ndarray, q_levels: int) -> tuple[np.ndarray, np.ndarray]:
    wide = np.asarray(levels, np.int64)
    return (wide >> 8, wide & 255) if q_levels > 256 else (wide, np.zeros_like(wide))


def _conditional_bits(
    training: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray]
) -> float:
    """Return the mean bits of the second array given the first; both hold bytes."""
    pairs = 256 * training[0].ravel() + training[1].ravel()
    counts = np.bincount(pairs, minlength=1 << 16).reshape(256, 256) + 1.0
    bits = -np.log2(counts / counts.sum(axis=1, keepdims=True))
    return float(bits[held_out[0].ravel(), held_out[1].ravel()].mean())
