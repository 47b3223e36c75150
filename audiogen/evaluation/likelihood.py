"""How well levels can be guessed without a network: baselines of a SampleRNN's bits a sample."""

from __future__ import annotations

import numpy as np


def unigram_bits(training: np.ndarray, held_out: np.ndarray, q_levels: int) -> float:
    """Bits a sample of a guess from how often each level is.

    Parameters
    ----------
    training, held_out : array [..., n_samples], int
    q_levels : int
        Of more than 256, the upper byte is guessed first, then the lower one given it.

    Returns
    -------
    float
        With one added to every count, so that what was never seen is possible.
    """
    upper_t, lower_t = _bytes(training, q_levels)
    upper_h, lower_h = _bytes(held_out, q_levels)
    nothing_t, nothing_h = np.zeros_like(upper_t), np.zeros_like(upper_h)
    bits = _guessed((nothing_t, upper_t), (nothing_h, upper_h))
    return bits + (_guessed((upper_t, lower_t), (upper_h, lower_h)) if q_levels > 256 else 0.0)


def bigram_bits(training: np.ndarray, held_out: np.ndarray, q_levels: int) -> float:
    """Bits a sample of a guess from the level before; as `unigram_bits`.

    Of two bytes, the upper one is guessed from the upper byte before, the lower one from the upper
    one beside it.
    """
    upper_t, lower_t = _bytes(training, q_levels)
    upper_h, lower_h = _bytes(held_out, q_levels)
    bits = _guessed((upper_t[..., :-1], upper_t[..., 1:]), (upper_h[..., :-1], upper_h[..., 1:]))
    return bits + (_guessed((upper_t, lower_t), (upper_h, lower_h)) if q_levels > 256 else 0.0)


def _bytes(levels: np.ndarray, q_levels: int) -> tuple[np.ndarray, np.ndarray]:
    wide = np.asarray(levels, np.int64)
    return (wide >> 8, wide & 255) if q_levels > 256 else (wide, np.zeros_like(wide))


def _guessed(
    training: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray]
) -> float:
    """Mean bits of the second given the first, both below 256, by counting."""
    pairs = 256 * training[0].ravel() + training[1].ravel()
    counts = np.bincount(pairs, minlength=1 << 16).reshape(256, 256) + 1.0
    bits = -np.log2(counts / counts.sum(axis=1, keepdims=True))
    return float(bits[held_out[0].ravel(), held_out[1].ravel()].mean())
