"""Notes of a preset as a set of sounds, with the timbres, pitches and velocities of real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from audiogen.data.notes.nsynth import NoteSet
from audiogen.errors import ParameterError
from audiogen.evaluation.note_report import Render, TimbreLike, draw_real
from audiogen.evaluation.sets.sounds import SoundSet, rounded
from audiogen.evaluation.timbre_features import HOLD_S

VELOCITY = 100  # for real sounds that don't have one


def render_like(
    render: Render,
    timbres: Sequence[TimbreLike],
    real: NoteSet | SoundSet,
    *,
    title: str,
    pitch_range: tuple[int, int],
    sample_rate: int,
    n_notes: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SoundSet:
    """Render notes that can be compared with a set of real ones.

    Parameters
    ----------
    render : callable
        Function of timbre name, pitch, velocity (0 to 1) and seconds until the release of the key.
    timbres : sequence
        Timbres of the preset.
    real : NoteSet or SoundSet
        Real notes. Those of a note set give timbre, pitch and velocity; those of other sets only
        pitches, and timbres are drawn at random.
    title : str
        Name of the preset.
    pitch_range : tuple of int, MIDI numbers
        Lowest and highest pitch of the preset.
    sample_rate : int, Hz
        Sample rate of the rendered sounds.
    n_notes : int
        Largest number of notes.
    seed : int
        Seed of the draw.
    progress : callable
        Function of (notes done, notes in all).

    Raises
    ------
    ParameterError
        If no real note is in the preset's pitch range.
    """
    random = np.random.default_rng(seed)
    low, high = pitch_range
    if isinstance(real, NoteSet):
        drawn = draw_real(real, timbres, len(real), random)
        asked = [(name, note.pitch, note.velocity) for name, note in drawn]
    else:
        known = np.round(real.pitches[~np.isnan(real.pitches)]).astype(int)
        pitches = known if len(known) else np.arange(low, high + 1)
        asked = [
            (
                timbres[int(random.integers(len(timbres)))].name,
                int(random.choice(pitches)),
                VELOCITY,
            )
            for _ in range(n_notes)
        ]
    asked = [note for note in asked if low <= note[1] <= high][:n_notes]
    if not asked:
        raise ParameterError(
            f"no real note has a pitch from {low} to {high}, the range of {title}; give real sounds"
            " in that range"
        )
    sounds = np.zeros((len(asked), round(HOLD_S * sample_rate)), np.float32)
    for i, (timbre, pitch, velocity) in enumerate(asked):
        sound = np.asarray(render(timbre, pitch, velocity / 127, HOLD_S))[: sounds.shape[1]]
        sounds[i, : len(sound)] = np.nan_to_num(sound, posinf=0.0, neginf=0.0)
        progress(i + 1, len(asked))
    names = tuple(f"{t}-{p:03d}-{v:03d}" for t, p, v in asked)
    labels = np.array([float(pitch) for _, pitch, _ in asked])
    return SoundSet(title, names, rounded(sounds), labels, sample_rate)
