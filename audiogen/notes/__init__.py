"""Notes and scores: MIDI files, note strings and lists become timed events."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

from audiogen.errors import ParameterError
from audiogen.notes.midi_file import read_midi
from audiogen.notes.score import (
    DEFAULT_VELOCITY,
    DRUM_CHANNEL,
    Control,
    Note,
    Score,
    expresses_notes,
    zone_masters,
)
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
    "expresses_notes",
    "music_of",
    "parse_notes",
    "parse_pitch",
    "pitch_name",
    "read_midi",
    "zone_masters",
]

ScoreLike = Union[Score, str, "os.PathLike[str]", Iterable["Note | Sequence[Any] | Mapping"]]

_FIELDS = ("start_s", "duration_s", "pitch", "velocity", "program", "channel")


def as_score(notes: ScoreLike) -> Score:
    """Turn anything playable into a score.

    Parameters
    ----------
    notes : Score, path, str, or iterable of Note, tuple, array row or mapping
        A path, or a string that ends in ``.mid`` or ``.midi``, is a MIDI file; any other string
        is a note string (`parse_notes`). A tuple or row is ``(start_s, duration_s, pitch)``,
        optionally followed by velocity, program and channel; a mapping has these keys. A pitch
        may be a name such as ``"C4"``.

    Returns
    -------
    Score
        At least one note.

    Raises
    ------
    ParameterError
        If there are no notes, or one of them is invalid.
    MidiError
        If a MIDI file cannot be read.

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
    elif isinstance(notes, Iterable) and not isinstance(notes, (bytes, Mapping)):
        score = Score(_as_note(index, item) for index, item in enumerate(notes))
    else:
        raise ParameterError(
            f"notes={notes!r} must be a MIDI file, a string such as 'C4:0.5 E4', or a list of notes"
        )
    if not score.notes:
        raise ParameterError("notes has no notes; give at least one")
    return score


def music_of(notes: ScoreLike, if_drums_alone: str) -> tuple[Score, int]:
    """Return the score without percussion, which no preset plays, and the number of drum notes.

    Parameters
    ----------
    notes : Score, path, str, or iterable of Note, tuple, array row or mapping
        Argument of `as_score`.
    if_drums_alone : str
        Error message for a score of percussion only.

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
    values = item.tolist() if hasattr(item, "tolist") else item  # numpy row
    if isinstance(values, Sequence) and not isinstance(values, str) and 3 <= len(values) <= 6:
        values = dict(zip(_FIELDS, values, strict=False))
    if not isinstance(values, Mapping) or not set(_FIELDS[:3]) <= set(values) <= set(_FIELDS):
        raise ParameterError(
            f"notes[{index}]={item!r} must be a Note, or a tuple or mapping of "
            f"{', '.join(_FIELDS)}, of which the first three are required"
        )
    fields = dict(values)
    if isinstance(fields["pitch"], str):
        fields["pitch"] = _located(index, parse_pitch, fields["pitch"])
    for name in ("program", "channel"):  # whole numbers of a float array
        if isinstance(fields.get(name), float) and fields[name].is_integer():
            fields[name] = int(fields[name])
    return _located(index, Note, **fields)


def _located(index: int, call: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call a function, and add the note's index to its error message."""
    try:
        return call(*arguments, **keywords)
    except ParameterError as error:
        raise ParameterError(f"notes[{index}]: {error}") from error
