"""`audiogen data`: the command renders, and bad input ends with a sentence and status 2."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.cli.main import main
from audiogen.data import read_notes
from audiogen.data.source_toml import read_source
from audiogen.notes.general_midi import PERCUSSION_NAMES


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_command_renders_a_set(tiny_font, tmp_path, capsys):
    pytest.importorskip("midirenderer", reason="needs the extra soundfont")
    options = ["--programs", "0,73", "--pitches", "58-60", "--velocities", "64,127"]
    options += ["--transpose", "0:-2"]
    assert run("data", "soundfont", tiny_font, "-o", tmp_path / "set", *options) == 0
    assert "12 notes in" in capsys.readouterr().out
    notes = read_notes(tmp_path / "set")
    assert {note.pitch for note in notes} == {58, 59, 60}
    assert {note.velocity for note in notes} == {64, 127}
    assert len(notes.instruments) == 2
    piano, flute = read_source(tmp_path / "set")["instruments"]
    assert piano["transpose"] == -2 and "transpose" not in flute


@pytest.mark.slow
def test_a_program_is_used_at_all_keys_when_asked(tiny_font, tmp_path):
    pytest.importorskip("midirenderer", reason="needs the extra soundfont")
    options = ["--programs", "0,73", "--pitches", "24-84", "--velocities", "64"]
    command = ["data", "soundfont", tiny_font, *options, "-o"]
    assert run(*command, tmp_path / "near") == 0
    assert run(*command, tmp_path / "all", "--all-keys", "73") == 0
    near, every = (read_notes(tmp_path / name) for name in ("near", "all"))
    flute, piano = near.instruments
    assert len(near.filter(instruments=[flute])) < 61 == len(every.filter(instruments=[flute]))
    assert len(near.filter(instruments=[piano])) == len(every.filter(instruments=[piano]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--programs", "0,x"], "--programs '0,x' must be a list of numbers, such as 0,4,8-15"),
        (["--pitches", "60-50"], "--pitches '60-50' must be a list"),
        (["--velocities", "-5"], "--velocities '-5' must be a list"),
        (["--velocities", "200"], "velocities=[200] must be"),
        (["--programs", "99"], "program=99 not found in bank 0"),
        (["--sample-rate", "1"], "sample_rate=1 must be a whole number"),
        (["--transpose", "31"], "--transpose '31' must be a list of PROGRAM:SEMITONES, such as"),
        (["--transpose", "0:99"], "transpose={0: 99} must be whole semitones"),
        (["--all-keys", "0,x"], "--all-keys '0,x' must be a list of numbers"),
        (["--all-keys", "5"], "all_keys=[5]: program 5 is not among those that are rendered"),
    ],
)
def test_bad_options_end_with_status_2(tiny_font, tmp_path, capsys, options, message):
    assert run("data", "soundfont", tiny_font, "-o", tmp_path / "set", *options) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "set").exists()


def test_bad_font_ends_with_status_2(tmp_path, capsys):
    (tmp_path / "bad.sf2").write_bytes(b"RIFF")
    assert run("data", "soundfont", tmp_path / "bad.sf2", "-o", tmp_path / "set") == 2
    assert "isn't a whole SoundFont 2 file" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_command_renders_a_drum_kit(general_midi_font, tmp_path, capsys):
    pytest.importorskip("midirenderer", reason="needs the extra soundfont")
    words = ["data", "drums", general_midi_font, "-o", tmp_path / "kit", "--velocities", "60,110"]
    assert run(*words, "--sample-rate", 8000) == 0
    assert f"{2 * len(PERCUSSION_NAMES)} notes in" in " ".join(capsys.readouterr().out.split())
    notes = read_notes(tmp_path / "kit")
    entries = read_source(tmp_path / "kit")["instruments"]
    assert [entry["key"] for entry in entries] == list(PERCUSSION_NAMES)
    by_key = {entry["key"]: entry for entry in entries}
    assert by_key[42]["group"] == by_key[46]["group"] and "group" not in by_key[36]
    assert all(-1.0 <= entry["pan"] <= 1.0 for entry in entries)
    assert abs(by_key[42]["pan"]) < 1.0  # a stereo pair of one class sounds on both sides
    assert by_key[49]["pitch"] == 24.0  # a cymbal has no tone
    toms = [by_key[key]["pitch"] for key in (41, 43, 45, 47, 48, 50)]
    assert 30.0 < min(toms) and max(toms) < 55.0 and toms[0] < toms[-1]
    pitches = {note.instrument: note.pitch for note in notes}
    assert pitches == {entry["instrument_str"]: round(entry["pitch"]) for entry in entries}
    frequency = np.fft.rfftfreq(4 * 8000, 1 / 8000)
    centroids = {}
    for note, waveform in zip(notes, notes.waveforms(), strict=True):
        power = np.square(np.abs(np.fft.rfft(waveform)))
        centroids[note.instrument] = float(power @ frequency / power.sum())
    assert centroids["mallet_acoustic_036"] < 500 < 2000 < centroids["mallet_acoustic_042"]
    words = ["data", "drums", general_midi_font, "-o", tmp_path / "two", "--keys", "36,42"]
    assert run(*words, "--velocities", "60,110", "--sample-rate", 8000) == 0
    assert [entry["key"] for entry in read_source(tmp_path / "two")["instruments"]] == [36, 42]
    capsys.readouterr()
    words = ["data", "drums", general_midi_font, "-o", tmp_path / "none", "--keys", "36,90"]
    assert run(*words) == 2 and not (tmp_path / "none").exists()
    assert "keys=90 must be 35 to 81" in " ".join(capsys.readouterr().err.split())
    assert run("data", "drums", general_midi_font, "-o", tmp_path / "none", "--kit", 99) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "program=99 not found in bank 128" in error and not (tmp_path / "none").exists()
