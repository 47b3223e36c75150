"""How much a recorded note varies at random, as the share of it that two notes should differ by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.spectrogram import waveform_to_spectrogram

# Changes of the level of loud bins over `SPAN_FRAMES`: below the first a note counts as steady,
# loops of one period have 0.0 to 0.2 dB; above the second as noise, bowed strings have 4 to 5 dB.
STEADY_DB, VARYING_DB = 0.5, 3.0
SPAN_FRAMES = 4
SKIPPED_FRAMES = 10  # of the attack
SILENT_DB = 60.0  # frames further below the loudest do not count
FEWEST_FRAMES = 8
_DB = 20.0 / np.log(10.0)  # dB in a neper
_AT_ONCE = 16  # notes


def note_varieties(
    waveforms: np.ndarray, config: SpectrogramConfig, note_off_frame: int
) -> np.ndarray:
    """Measure the variety of notes, 0 (steady) to 1 (noise).

    Parameters
    ----------
    waveforms : array [n_notes, n_samples], float32
        The notes.
    config : SpectrogramConfig
        Their representation.
    note_off_frame : int
        First frame after the note-off.

    Returns
    -------
    array [n_notes], float32
    """
    with_phase = replace(config, phase="phase")  # needs no pitch
    varieties = []
    for first in range(0, len(waveforms), _AT_ONCE):
        notes = torch.from_numpy(waveforms[first : first + _AT_ONCE])
        levels = waveform_to_spectrogram(notes, with_phase)[:, 0]
        varieties += [variety_of_change(change_db(note[:note_off_frame])) for note in levels]
    return np.array(varieties, np.float32)


def change_db(log_magnitude: Tensor) -> float:
    """Mean change of a held note's bins beside their steady decay, weighted by magnitude.

    ``sum w |d - median(d)| / sum w`` with ``d`` the change of a bin's level over 4 frames, its
    median over the note, and ``w`` its magnitude over the loudest of its frame.

    Parameters
    ----------
    log_magnitude : Tensor [n_frames, n_bins], nats
        Frames from the beginning to the note-off; the first ten are left out.

    Returns
    -------
    float, dB
        0 for a note that is silent so soon that nothing can be said.

    Examples
    --------
    >>> decay = torch.linspace(0.0, -3.0, 90)[:, None].expand(-1, 8)
    >>> round(change_db(decay), 2)
    0.0
    >>> change_db(decay + torch.randn(90, 8)) > 5.0
    True
    """
    loudest = log_magnitude.amax(dim=1, keepdim=True)
    n = int((loudest > loudest.max() - SILENT_DB / _DB).sum())
    if n < SKIPPED_FRAMES + SPAN_FRAMES + FEWEST_FRAMES:
        return 0.0
    level, loudest = log_magnitude[SKIPPED_FRAMES:n], loudest[SKIPPED_FRAMES:n]
    change = level[SPAN_FRAMES:] - level[:-SPAN_FRAMES]
    weight = torch.exp(level - loudest)[SPAN_FRAMES:]
    beside = (change - change.median(dim=0).values).abs()
    return float(_DB * (weight * beside).sum() / weight.sum())


def variety_of_change(change: float) -> float:
    """Variety of a note whose bins change by so many dB."""
    return min(1.0, max(0.0, (change - STEADY_DB) / (VARYING_DB - STEADY_DB)))
