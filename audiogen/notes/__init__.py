"""Notes and scores: MIDI files, note strings and lists become timed events."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Union

from audiogen.errors import ParameterError
from audiogen.notes.midi_file import read_midi
from audiogen.notes.score import DEFAULT_VELOCITY, DRUM_CHANNEL, Control, Note, Score
from audiogen.notes.text import DEFAULT_DURATION_S, parse_notes, parse_pitch, pitch_name

__all__ = [
    "DEFAULT_DURATION_S",
    "DEFAULT_VELOCITY",
    "DRUM_CHANNEL",
    "Control",
    "Note",
    "Score",
    "ScoreLike",
    "as_score",
    "music_of",
    "parse_notes",
    "parse_pitch",
    "pitch_name",
    "read_midi",
]

ScoreLike = Union[Score, str, "os.PathLike[str]", Iterable["Note | Sequence[Any]"]]


def as_score(notes: ScoreLike) -> Score:
    """Turn anything that can be played into a score.

    Parameters
    ----------
    notes : Score, path, str, or iterable of Note or tuple
        A path, or a string that ends in ``.mid`` or ``.midi``, is a MIDI file; any other string
        is a note string (`parse_notes`). A tuple is ``(start_s, duration_s, pitch)`` with an
        optional velocity, program and channel after; its pitch may be a name such as ``"C4"``.

    Returns
    -------
    Score
        Of one note or more.

    Raises
    ------
    ParameterError
        If there are no notes or one of them can't be understood.
    MidiError
        If a MIDI file can't be read.

    Examples
    --------
    >>> as_score([(0.0, 1.0, "A4"), (1.0, 1.0, 60, 0.5)]).duration_s
    2.0
    """
    if isinstance(notes, Score):
        score = notes
    elif isinstance(notes, os.PathLike):
        return read_midi(notes)
    elif isinstance(notes, str):
        is_file = notes.lower().endswith((".mid", ".midi"))
        return read_midi(notes) if is_file else parse_notes(notes)
    elif isinstance(notes, Iterable):
        score = Score(_as_note(index, item) for index, item in enumerate(notes))
    else:
        raise ParameterError(
            f"notes={notes!r} can't be played; give a MIDI file, a string such as 'C4:0.5 E4', "
            "or a list of notes"
        )
    if not score.notes:
        raise ParameterError("notes has no notes; give at least one")
    return score


def music_of(notes: ScoreLike, if_drums_alone: str) -> tuple[Score, int]:
    """As `as_score`, less its drums, which no preset plays; and how many notes those are.

    Parameters
    ----------
    notes : Score, path, str, or iterable of Note or tuple
    if_drums_alone : str
        What is said if nothing else is there.

    Raises
    ------
    ParameterError, MidiError
    """
    score = as_score(notes)
    music = score.without_drums()
    if not music.notes:
        raise ParameterError(if_drums_alone)
    return music, len(score) - len(music)


def _as_note(index: int, item: Any) -> Note:
    if isinstance(item, Note):
        return item
    if isinstance(item, str) or not isinstance(item, Sequence) or not 3 <= len(item) <= 6:
        raise ParameterError(
            f"notes[{index}]={item!r} isn't a note; give a Note or a tuple "
            "(start_s, duration_s, pitch, velocity, program, channel) of which the first three "
            "are needed"
        )
    start_s, duration_s, pitch, *rest = item
    try:
        return Note(
            start_s, duration_s, parse_pitch(pitch) if isinstance(pitch, str) else pitch, *rest
        )
    except ParameterError as error:
        raise ParameterError(f"notes[{index}]: {error}") from error
