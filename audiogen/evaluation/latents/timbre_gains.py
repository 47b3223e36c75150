"""Gain of each timbre that brings its notes to the level of its recordings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from audiogen.data.notes.nsynth import NoteSet
from audiogen.data.subset import evenly_spaced
from audiogen.engine import Synth
from audiogen.errors import ParameterError
from audiogen.evaluation.metrics import SILENCE_DB, level_db
from audiogen.evaluation.note_report import own_notes
from audiogen.evaluation.note_statistics import HELD_S
from audiogen.evaluation.timbre_features import HOLD_S
from audiogen.notes import Note
from audiogen.presets import GansynthPreset

N_NOTES = 24  # of each timbre, from its lowest to its highest
MOST_DB = 12.0


def timbre_gains(
    preset: GansynthPreset,
    real: NoteSet,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Measure the gain of each timbre.

    Parameters
    ----------
    preset : GansynthPreset
        The preset.
    real : NoteSet
        Recordings at the preset's rate; a timbre's are those of its name, program or key.
    seed : int
        Seed of the notes.
    progress : callable
        Function of (notes played, all notes).

    Returns
    -------
    dict of str to float, dB
        By the names of the timbres that have recordings: mean difference of the levels of up to
        `N_NOTES` recordings and the same notes of the preset without its present gain, at most
        `MOST_DB`.

    Raises
    ------
    ParameterError
        If no timbre has recordings.
    """
    synth = Synth(preset)
    low, high = preset.pitch_range
    drums = preset.drums
    chosen = {}
    for name, notes in own_notes(real, preset.timbres, drums).items():
        playable = [note for note in notes if drums or low <= note.pitch <= high]
        in_order = sorted(playable, key=lambda note: (note.pitch, note.velocity))
        if in_order:
            chosen[name] = evenly_spaced(in_order, N_NOTES)
    if not chosen:
        raise ParameterError(f"{real.folder}: has no recordings of a timbre of {preset.name!r}")
    end = round(HELD_S[1] * preset.sample_rate)  # as of the statistic level_dbfs
    gains, done, total = {}, 0, sum(map(len, chosen.values()))
    for name, notes in chosen.items():
        errors = []
        for note in notes:
            key = drums[name][0] if drums else note.pitch
            played = synth.render(
                [Note(0.0, HOLD_S, key, note.velocity / 127)],
                timbre=name,
                seed=seed,
                stereo=False,
            )
            sounds = (real.waveform(note)[:end], played[:end])
            levels = [level_db(np.pad(sound, (0, end - len(sound)))) for sound in sounds]
            if min(levels) > SILENCE_DB:
                errors.append(levels[0] - levels[1])
            done += 1
            progress(done, total)
        if errors:
            present = preset.timbre(name).gain_db or 0.0
            gain = present + float(np.mean(errors))
            gains[name] = round(float(np.clip(gain, -MOST_DB, MOST_DB)), 2)
    return gains


def with_gains(timbres: list[dict[str, Any]], gains: dict[str, float]) -> list[dict[str, Any]]:
    """Return the timbres of a ``preset.toml`` with gains; others keep what they have."""
    return [
        timbre | ({"gain_db": gains[timbre["name"]]} if timbre["name"] in gains else {})
        for timbre in timbres
    ]
