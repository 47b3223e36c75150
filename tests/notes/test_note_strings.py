"""Written notes, lists of notes, and the values that a note may have."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiogen.errors import AudiogenError, MidiError, ParameterError
from audiogen.notes import (
    DEFAULT_VELOCITY,
    Note,
    Score,
    as_score,
    parse_notes,
    parse_pitch,
    pitch_name,
)


def spans(score: Score) -> list[tuple[float, float, float]]:
    return [(note.pitch, note.start_s, note.duration_s) for note in score]


def test_duration_carries_on_and_begins_at_half_a_second():
    assert spans(parse_notes("C4 E4:1 G4")) == [(60, 0, 0.5), (64, 0.5, 1), (67, 1.5, 1)]


def test_rests_chords_and_bar_lines():
    score = parse_notes("r:1 | [C4 E4]:2 |r| A4")
    assert spans(score) == [(60, 1, 2), (64, 1, 2), (69, 5, 2)]


def test_velocity_is_for_one_note_or_chord():
    score = parse_notes("C4@0.6 E4 [G4 B4@0.1]:2@1 C5:1@.5")
    assert [note.velocity for note in score] == [0.6, DEFAULT_VELOCITY, 1.0, 0.1, 0.5]
    assert spans(parse_notes("C4@0.6:2")) == spans(parse_notes("C4:2@0.6"))


@pytest.mark.parametrize(
    ("text", "pitch"),
    [
        ("C4", 60),
        ("c4", 60),
        ("A4", 69),
        ("F#3", 54),
        ("Bb3", 58),
        ("b3", 59),
        ("bb3", 58),
        ("E♭5", 75),
        ("C##4", 62),
        ("C-1", 0),
        ("G9", 127),
        ("60", 60),
        ("60.25", 60.25),
        ("C4+30", 60.3),
        ("C4-15.5", 59.845),
        ("60+50", 60.5),
    ],
)
def test_pitch(text, pitch):
    assert parse_pitch(text) == pytest.approx(pitch)
    assert parse_notes(text).notes[0].pitch == pytest.approx(pitch)


@given(st.integers(0, 12799))
def test_pitch_names_are_read_back(cents):
    pitch = cents / 100
    if pitch_name(pitch).startswith("G#9"):  # rounds to a name above MIDI's highest
        return
    assert parse_pitch(pitch_name(pitch)) == pytest.approx(pitch)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no notes"),
        ("r:2 | r", "has no notes"),
        ("H4", "pitch 'H4' can't be read"),
        ("C", "pitch 'C' can't be read"),
        ("C4 E4:long", "note 'E4:long' can't be read"),
        ("C4:", "note 'C4:' can't be read"),
        ("C4:0", "lasts 0 s"),
        ("C4@1.5", "velocity 1.5; it must be from 0 to 1"),
        ("C4:-1", "can't be read"),
        ("G#9", "is 128; it must be from 0"),
        ("C-1-50", r"is -0\.5; it must be from 0"),
        ("[C4 E4", r"can't be read from '\[C4' on"),
        ("[C4 E4]x", r"can't be read from '\[C4' on"),
        ("[C4:1 E4]", "'C4:1' has a duration inside a chord"),
        ("[ ]", "chord .* is empty"),
        ("C4]", "can't be read"),
    ],
)
def test_bad_text_is_named(text, sentence):
    with pytest.raises(ParameterError, match=sentence):
        parse_notes(text)


@given(st.text(alphabet="ACGb#r[]:@.|+-0129 ", max_size=30))
def test_any_text_gives_a_score_or_an_error(text):
    try:
        assert len(parse_notes(text))
    except AudiogenError:
        pass


def test_score_sorts_by_start_and_keeps_the_order_of_equals():
    notes = [Note(1, 1, 60), Note(0, 1, 72), Note(0, 1, 61)]
    score = Score(notes)
    assert [note.pitch for note in score] == [72, 61, 60]
    assert score.duration_s == 2
    assert Score().duration_s == 0


def test_as_score_takes_what_can_be_played(tmp_path: Path):
    wanted = Score([Note(0.0, 1.0, 60.0, 0.5)])
    assert as_score(wanted) is wanted
    assert as_score("60:1@0.5") == wanted
    assert as_score([Note(0.0, 1.0, 60.0, 0.5)]) == wanted
    assert as_score([(0.0, 1.0, "C4", 0.5)]) == wanted
    assert as_score(np.array([[0.0, 1.0, 60.0, 0.5]])) == wanted
    assert as_score(np.array([[0.0, 1.0, 60.0, 0.5, 0.0, 0.0]])) == wanted
    assert as_score([{"start_s": 0.0, "duration_s": 1.0, "pitch": "C4", "velocity": 0.5}]) == wanted
    assert as_score(note for note in wanted) == wanted
    for name in ("no.mid", tmp_path / "no.mid", "NO.MIDI"):
        with pytest.raises(MidiError, match="can't be read"):
            as_score(name)


@pytest.mark.parametrize(
    ("notes", "sentence"),
    [
        ([], "has no notes"),
        (Score(), "has no notes"),
        (3, "notes=3 must be a MIDI file"),
        (["C4"], r"notes\[0\]='C4' must be a Note"),
        ([(0, 1)], r"notes\[0\]=\(0, 1\) must be a Note"),
        ([{"start_s": 0.0, "pitch": 60}], r"notes\[0\]=.* must be a Note"),
        ([{"start_s": 0.0, "duration_s": 1.0, "pitch": 60, "x": 1}], r"notes\[0\]=.* must be"),
        ({"start_s": 0.0, "duration_s": 1.0, "pitch": 60}, "must be a MIDI file"),
        ([(0, 1, 60), (0, 1, "X")], r"notes\[1\]: pitch 'X'"),
        ([(0, 1, 60, 2.0)], r"notes\[0\]: velocity=2.0"),
    ],
)
def test_as_score_names_what_is_wrong(notes, sentence):
    with pytest.raises(ParameterError, match=sentence):
        as_score(notes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start_s", -0.1),
        ("start_s", math.inf),
        ("duration_s", -1),
        ("duration_s", math.nan),
        ("pitch", 128),
        ("pitch", "C4"),
        ("velocity", 1.01),
        ("velocity", None),
        ("program", 128),
        ("program", 1.5),
        ("channel", 16),
    ],
)
def test_note_refuses(field, value):
    fields = {"start_s": 0.0, "duration_s": 1.0, "pitch": 60, field: value}
    with pytest.raises(ParameterError, match=rf"{field}={value!r} must be"):
        Note(**fields)
