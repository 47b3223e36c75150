"""Pitches and notes written as text: `C#4`, `C4:0.5 [E4 G4]@0.9`."""

from __future__ import annotations

import math
import re
from typing import Any

from audiogen.errors import ParameterError
from audiogen.notes.score import DEFAULT_VELOCITY, Note, Score

DEFAULT_DURATION_S = 0.5

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"#": 1, "♯": 1, "b": -1, "♭": -1}

_PITCH = re.compile(
    r"(?:(?P<letter>[A-Ga-g])(?P<accidental>[#b♯♭]{0,2})(?P<octave>-?\d)|(?P<number>\d+(?:\.\d+)?))"
    r"(?P<cents>[+-]\d+(?:\.\d+)?)?"
)
_SUFFIX = r"(?P<suffix>(?:[:@]\d*\.?\d+)*)"
_TOKEN = re.compile(
    rf"\s*(?:(?P<bar>\|)|\[(?P<chord>[^\[\]]*)\]{_SUFFIX}(?=[\s|]|$)|(?P<word>[^\s|\[\]]+)(?=[\s|]|$))"
)
_WORD = re.compile(rf"(?P<pitch>[^:@]+){_SUFFIX}")


def parse_pitch(text: str) -> float:
    """Read a pitch: a note name or a MIDI number, optionally with cents.

    Parameters
    ----------
    text : str
        ``C4`` (middle C, 60), ``F#3``, ``Bb-1``, ``60``, ``60.5``, ``A4+30`` (30 cents sharp).

    Returns
    -------
    float, MIDI number

    Raises
    ------
    ParameterError
        If the text is neither, or the pitch is outside MIDI's range.

    Examples
    --------
    >>> parse_pitch("Bb3"), parse_pitch("A4-50")
    (58.0, 68.5)
    """
    match = _PITCH.fullmatch(text.strip())
    if not match:
        raise ParameterError(
            f"pitch {text!r} can't be read; write a name and octave such as C4, F#3 or Bb2, or a "
            "MIDI number such as 60, optionally with cents: C4+30"
        )
    if match["letter"]:
        pitch = 12.0 * (int(match["octave"]) + 1) + _SEMITONES[match["letter"].lower()]
        pitch += sum(_ACCIDENTALS[sign] for sign in match["accidental"])
    else:
        pitch = float(match["number"])
    pitch += float(match["cents"] or 0.0) / 100.0
    if not 0 <= pitch < 128:
        raise ParameterError(f"pitch {text!r} is {pitch:g}; it must be from 0 (C-1) to 127 (G9)")
    return pitch


def pitch_name(pitch: float) -> str:
    """Format a MIDI number as text that `parse_pitch` reads, to the nearest cent.

    Examples
    --------
    >>> pitch_name(60), pitch_name(68.5)
    ('C4', 'A4-50')
    """
    nearest = math.floor(pitch + 0.5)
    cents = round(100 * (pitch - nearest))
    return f"{_NAMES[nearest % 12]}{nearest // 12 - 1}" + (f"{cents:+d}" if cents else "")


def parse_notes(text: str) -> Score:
    """Read notes written as text, one after another.

    Parameters
    ----------
    text : str
        Words separated by spaces. A word is a pitch (see `parse_pitch`), ``r`` for a rest, or
        several pitches in brackets for a chord. Optional suffixes are ``:`` with a duration in
        seconds (default: the previous one, or 0.5) and ``@`` with a velocity from 0 to 1
        (default 0.8). Bar lines ``|`` are ignored.

    Returns
    -------
    Score
        At least one note.

    Raises
    ------
    ParameterError
        If a word cannot be read (the message names it), or there are no notes.

    Examples
    --------
    >>> score = parse_notes("C4:0.5 E4 G4 C5:2 | r:1 [C4 E4 G4]:2@0.6")
    >>> len(score), score.duration_s
    (7, 6.5)
    """
    notes: list[Note] = []
    position, now_s, duration_s = 0, 0.0, DEFAULT_DURATION_S
    text = text.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if not token:
            raise ParameterError(
                f"notes can't be read from {text[position:].split()[0]!r} on; write chords as "
                "[C4 E4 G4]:2, with spaces between words"
            )
        position = token.end()
        if token["bar"]:
            continue
        if token["chord"] is not None:
            duration_s, velocity = _read_suffix(token[0].strip(), token["suffix"], duration_s)
            if not token["chord"].strip():
                raise ParameterError("a chord [] is empty; write its pitches, or r for a rest")
            for word in token["chord"].split():
                pitch, own_duration, own_velocity = _read_word(word, None, velocity)
                if own_duration is not None:
                    raise ParameterError(
                        f"note {word!r} has a duration inside a chord; write it after the bracket"
                    )
                notes.append(Note(now_s, duration_s, parse_pitch(pitch), own_velocity))
        else:
            pitch, duration_s, velocity = _read_word(token["word"], duration_s, DEFAULT_VELOCITY)
            if pitch.lower() not in ("r", "rest"):
                notes.append(Note(now_s, duration_s, parse_pitch(pitch), velocity))
        now_s += duration_s
    if not notes:
        raise ParameterError(f"notes={text!r} has no notes; write at least one, such as C4:0.5")
    return Score(notes)


def _read_word(word: str, duration_s: Any, velocity: float) -> tuple[str, Any, float]:
    match = _WORD.fullmatch(word)
    if not match:
        raise ParameterError(
            f"note {word!r} can't be read; write pitch:seconds@velocity, such as C4:0.5@0.8"
        )
    return (match["pitch"], *_read_suffix(word, match["suffix"], duration_s, velocity))


def _read_suffix(
    word: str, suffix: str, duration_s: Any, velocity: float = DEFAULT_VELOCITY
) -> tuple[Any, float]:
    for sign, number in re.findall(r"([:@])([\d.]+)", suffix):
        if sign == ":":
            duration_s = float(number)
        else:
            velocity = float(number)
    if velocity > 1:
        raise ParameterError(f"note {word!r} has velocity {velocity:g}; it must be from 0 to 1")
    if duration_s == 0:
        raise ParameterError(f"note {word!r} lasts 0 s; the duration must be more than 0")
    return duration_s, velocity
