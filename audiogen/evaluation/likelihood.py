"""Likelihood of recordings by a SampleRNN, beside unigram and bigram models of its levels."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from audiogen.errors import ParameterError
from audiogen.presets import SamplernnPreset, read_weights
from audiogen.representation.levels import quantise

N_PARTS, N_FOLDS = 20, 5  # of the recordings
PART_S = 12.0  # scored at most of each part, from its start
CHUNK_S = 0.5  # input of the network at a time


class Bits(NamedTuple):
    """Negative log-likelihood of recordings, bits per sample.

    Parameters
    ----------
    mean : float
        Mean over the scored samples.
    error : float
        Standard error of the mean, over parts of the recordings.
    """

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} +-{self.error:.3f}"


def likelihood(preset: SamplernnPreset, recordings: np.ndarray) -> dict[str, Bits]:
    """Return the bits per sample of recordings by a preset and by two baselines.

    The recordings are divided into 20 parts, whose first 12 s (or less) are scored, each from the
    network's initial state. The baselines score a part by counts over the other four folds. They
    are comparable only on recordings that the preset was not trained on.

    Parameters
    ----------
    preset : SamplernnPreset
        An unconditional SampleRNN without classes.
    recordings : array [n_samples], float
        Recordings at the preset's sample rate.

    Returns
    -------
    dict of str to Bits
        By ``preset``, ``bigram`` and ``unigram``.

    Raises
    ------
    ParameterError
        If the preset is conditioned, or the recordings are too short.
    MissingPackageError
        If torch is not installed.
    """
    config = preset.samplernn
    if config.conditioning != "none":
        raise ParameterError(
            f"the likelihood of recordings isn't defined by preset {preset.name!r}, whose"
            f" conditioning is {config.conditioning!r}"
        )
    top = config.frame_sizes[0]
    length = len(recordings) // N_PARTS
    n_scored = min(length, round(PART_S * preset.sample_rate)) // top * top - top
    if n_scored < preset.sample_rate // 10:
        raise ParameterError(
            f"the recordings last {len(recordings) / preset.sample_rate:.1f} s; the likelihood"
            f" needs {N_PARTS * 0.11:.1f} s or more"
        )
    levels = quantise(recordings[: N_PARTS * length], config.q_levels, config.quantisation)
    parts = levels.reshape(N_PARTS, length)
    scored = parts[:, : top + n_scored]
    found = {"preset": _network_bits(preset, scored)}
    for name, baseline in (("bigram", bigram_bits), ("unigram", unigram_bits)):
        values = np.empty(N_PARTS)
        for fold in range(N_FOLDS):
            inside = np.arange(N_PARTS) % N_FOLDS == fold
            for i in np.flatnonzero(inside):
                values[i] = baseline(parts[~inside], scored[i, top:], config.q_levels)
        found[name] = values
    return {
        name: Bits(float(values.mean()), float(values.std(ddof=1) / np.sqrt(N_PARTS)))
        for name, values in found.items()
    }


def _network_bits(preset: SamplernnPreset, levels: np.ndarray) -> np.ndarray:
    """Mean bits per sample of each row, after its first frame."""
    from audiogen.core.packages import require_package

    torch = require_package("torch", "train", "measuring the likelihood")
    from audiogen.models.samplernn import SampleRNN, import_weights

    model = SampleRNN(replace(preset.samplernn, weight_norm=False)).eval()
    import_weights(model, read_weights(preset))
    top = preset.samplernn.frame_sizes[0]
    size = max(1, round(CHUNK_S * preset.sample_rate) // top) * top
    rows = torch.from_numpy(levels.astype(np.int64))
    totals = np.zeros(len(levels))
    with torch.no_grad():
        state = model.initial_state(len(levels))
        for start in range(top, levels.shape[1], size):
            bits, state = model.bits(rows[:, start - top : start + size], state)
            totals += bits.double().sum(dim=1).numpy()
    return totals / (levels.shape[1] - top)


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
