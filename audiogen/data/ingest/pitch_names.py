"""Check of the pitches that file names state against the measured ones."""

from __future__ import annotations

from collections import Counter

import numpy as np

from audiogen.data.ingest.extraction import ExtractedNote

_MIN_CONFIDENCE = 0.6  # of a measured pitch that may contradict a name
_MIN_NOTES = 3  # with such a pitch, for a decision about all names
_MIN_OCTAVE_SHARE = 0.8  # of these notes that must be off by the same number of octaves
_MIN_AGREEING_SHARE = 0.5  # of these notes; below, names are not pitches
_TOLERANCE = 0.7  # semitones


def check_named_pitches(notes: list[ExtractedNote]) -> list[str]:
    """Compare stated and measured pitches of all notes, and correct or drop the stated ones.

    Some conventions call middle C C3: if the named notes are off by the same number of octaves,
    they are shifted. If names and measurements disagree (a number that counts takes), the names
    are dropped. Pitches of a table are kept.

    Parameters
    ----------
    notes : list of ExtractedNote
        Their `pitch` and `pitch_by` are changed.

    Returns
    -------
    list of str
        Decisions, as sentences for the report.
    """
    remarks: list[str] = []
    for by, what in (("name", "note names"), ("number", "numbers")):
        named = [note for note in notes if note.pitch_by == by]
        measured = [note for note in named if note.confidence >= _MIN_CONFIDENCE]
        error = np.array([note.measured - (note.pitch or 0.0) for note in measured])
        if len(measured) < _MIN_NOTES:
            if by == "number" and len(measured):
                _drop_pitches(
                    [n for n in measured if abs(n.measured - (n.pitch or 0.0)) > _TOLERANCE]
                )
            continue
        octaves = np.round(error / 12.0)
        agrees = np.abs(error - 12.0 * octaves) < _TOLERANCE  # but for octaves
        usual, n_usual = Counter(octaves[agrees]).most_common(1)[0] if agrees.any() else (0.0, 0)
        n_right = n_usual if by == "name" else int(np.sum(np.abs(error) < _TOLERANCE))
        if n_right < _MIN_AGREEING_SHARE * len(measured) and (
            by == "number" or agrees.mean() < _MIN_AGREEING_SHARE
        ):
            _drop_pitches(named)
            remarks.append(
                f"the {what} in {len(named)} file names disagree with the measured pitches, so"
                " they weren't taken for pitches"
            )
        elif by == "name" and usual and n_usual >= _MIN_OCTAVE_SHARE * len(measured):
            for note in named:
                note.pitch = (note.pitch or 0.0) + 12.0 * float(usual)
            count = abs(int(usual))
            remarks.append(
                f"the notes sound {'an octave' if count == 1 else f'{count} octaves'}"
                f" {'higher' if usual > 0 else 'lower'} than their names say with middle C as C4;"
                " the measured octave is used"
            )
    return remarks


def _drop_pitches(notes: list[ExtractedNote]) -> None:
    for note in notes:
        note.pitch, note.pitch_by = None, "sound"
