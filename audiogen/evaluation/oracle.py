"""The oracle: real notes through a preset's representation and the engine's synthesis.

It bounds what a generator can reach: what the oracle loses, no training can bring back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from audiogen.core.packages import require_package
from audiogen.errors import ParameterError
from audiogen.representation.partials import stack

if TYPE_CHECKING:
    from audiogen.representation.config import SpectrogramConfig

_BATCH = 8  # notes at a time: a batch of spectrograms has 17 MB


def oracle(
    notes: Sequence[np.ndarray],
    pitches: Sequence[float],
    config: SpectrogramConfig,
    partials: Sequence[np.ndarray | None] | None = None,
) -> list[np.ndarray]:
    """Analyse notes into frames, clip these as a generator's output is, and play them.

    Parameters
    ----------
    notes : sequence of array [n_samples]
        Notes at the representation's sample rate, each from its start; cut to the clip's length.
    pitches : sequence of float, MIDI number
        Pitch of each note.
    config : SpectrogramConfig
        The representation; its phase channel must be ``harmonic``.
    partials : sequence of array [n_partials] or None, optional
        Partials of each note (`audiogen.representation.partials`); harmonic ones by default.

    Returns
    -------
    list of array [n_samples], float32
        Notes, as long as the real ones, or as the clip.

    Raises
    ------
    ParameterError
        If the representation is not ``harmonic``.
    MissingPackageError
        If torch is not installed.
    """
    if config.phase != "harmonic":
        raise ParameterError(
            f"phase={config.phase!r} is not supported by the oracle; evaluate a preset with"
            " phase='harmonic'"
        )
    torch = require_package("torch", "train", "the oracle")
    from audiogen.representation.resynthesis import resynthesise
    from audiogen.representation.spectrogram import (
        denormalise,
        normalise,
        waveform_to_spectrogram,
    )

    frames = (0, config.n_frames)
    played: list[np.ndarray] = []
    with torch.no_grad():
        for first in range(0, len(notes), _BATCH):
            part = [np.asarray(note)[: config.n_samples] for note in notes[first : first + _BATCH]]
            batch = torch.zeros(len(part), config.n_samples)
            for row, note in zip(batch, part, strict=True):
                row[: len(note)] = torch.from_numpy(np.nan_to_num(note.astype(np.float32)))
            pitch = torch.tensor(pitches[first : first + _BATCH], dtype=torch.float64)
            own = None if partials is None else stack(partials[first : first + _BATCH])
            spectrogram = waveform_to_spectrogram(batch, config, pitch=pitch, partials=own)
            image = normalise(spectrogram, config)
            sound = resynthesise(denormalise(image, config), config, pitch, frames, own)
            whole = sound[:, config.pad_front :].numpy()
            played += [row[: len(note)] for row, note in zip(whole, part, strict=True)]
    return played
