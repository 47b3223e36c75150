"""Samples to quantisation levels and back, for models that predict samples with a softmax.

There is one convention for every bit depth. Clips are not scaled by their own extremes, so silence
is the same level in every file.
"""

from __future__ import annotations

import numpy as np

from audiogen.errors import ParameterError

QUANTISATIONS = ("linear", "mu_law")
MU = 255.0  # ITU-T G.711's value, for any number of levels


def quantise(samples, q_levels: int, quantisation: str) -> np.ndarray:
    """Quantise samples to levels.

    Parameters
    ----------
    samples : array [...], full scale is 1
        Samples; clipped to full scale.
    q_levels : int
        Number of levels.
    quantisation : str
        ``linear``: steps of ``2 / q_levels``, as PCM. ``mu_law``: with ``q_levels=256`` the levels
        of `torchaudio.functional.mu_law_encoding`.

    Returns
    -------
    array [...], int32, 0 .. q_levels - 1
        Levels.

    Raises
    ------
    ParameterError
        If ``quantisation`` is neither.

    Examples
    --------
    >>> quantise([-1.0, 0.0, 0.5, 1.0], 256, "linear").tolist()
    [0, 128, 192, 255]
    >>> quantise([-1.0, 0.0, 0.5, 1.0], 256, "mu_law").tolist()
    [0, 128, 239, 255]
    """
    x = np.clip(np.asarray(samples, np.float64), -1.0, 1.0)
    if quantisation == "linear":
        levels = np.floor(0.5 * q_levels * x + 0.5) + q_levels // 2
    elif quantisation == "mu_law":
        compressed = np.sign(x) * np.log1p(MU * np.abs(x)) / np.log1p(MU)
        levels = np.floor(0.5 * (compressed + 1.0) * (q_levels - 1) + 0.5)
    else:
        raise _unknown(quantisation)
    return np.clip(levels, 0, q_levels - 1).astype(np.int32)


def dequantise(levels, q_levels: int, quantisation: str) -> np.ndarray:
    """Convert levels to samples; the inverse of `quantise`.

    Parameters
    ----------
    levels : array [...], int, 0 .. q_levels - 1
        Levels.
    q_levels : int
        Number of levels.
    quantisation : str
        ``linear`` or ``mu_law``.

    Returns
    -------
    array [...], float32
        Samples in the middle of each level's range.
    """
    q = np.asarray(levels, np.float64)
    if quantisation == "linear":
        samples = (q - q_levels // 2) / (0.5 * q_levels)
    elif quantisation == "mu_law":
        y = 2.0 * q / (q_levels - 1) - 1.0
        samples = np.sign(y) * np.expm1(np.abs(y) * np.log1p(MU)) / MU
    else:
        raise _unknown(quantisation)
    return samples.astype(np.float32)


def silence(q_levels: int, quantisation: str) -> int:
    """Return the level of a sample of zero."""
    return int(quantise(0.0, q_levels, quantisation))


def _unknown(quantisation: str) -> ParameterError:
    choices = ", ".join(map(repr, QUANTISATIONS))
    return ParameterError(f"quantisation={quantisation!r} must be one of {choices}")
