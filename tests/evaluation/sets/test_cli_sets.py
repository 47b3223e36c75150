"""`audiogen evaluate --against`: folders and presets against real sounds, and its errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")
pytest.importorskip("scipy")

from audiogen.cli.main import main
from audiogen.data.toy_notes import SAMPLE_RATE, draw_notes
from audiogen.evaluation.sets import spoiled
from audiogen.evaluation.sets.rendered import render_like
from audiogen.evaluation.sets.sounds import read_sounds


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "cache"))
    for name in ("random_phase", "wrong_pitch"):
        monkeypatch.setattr(spoiled, name, lambda notes, seed: notes)
    monkeypatch.setattr(spoiled, "averaged_over_time", lambda notes: notes)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of toy notes: ``real`` (90), ``made`` (45), ``odd`` (45 at another rate)."""
    home = tmp_path_factory.mktemp("sets")
    for seed, (name, n, rate) in enumerate(
        [("real", 90, SAMPLE_RATE), ("made", 45, SAMPLE_RATE), ("odd", 45, 2 * SAMPLE_RATE)]
    ):
        (home / name).mkdir()
        notes = draw_notes(n, seed)
        for i, (sound, pitch) in enumerate(zip(notes.sounds, notes.pitches, strict=True)):
            soundfile.write(home / name / f"n{i:03d}-{pitch:03d}-100.wav", sound, rate)
    return home


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.mark.slow
def test_a_folder_is_compared_and_copies_are_reported(folders, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    words = ("evaluate", folders / "made", "--against", folders / "real", "--metrics", "copies")
    words = (*words, "--train", folders / "made", "-o", tmp_path / "report")
    assert run(*words) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "ALARM, copies. 45 of 45 notes" in out and "held-out" in out
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["n"] == 45 and content["generated"]["sounds"] == 45
    assert content["metrics"]["copies (0.05 by chance)"]["generated"]["value"] == 1
    assert (tmp_path / "report" / "report.html").exists()
    assert any((tmp_path / "cache" / "evaluation").iterdir())


def test_bad_input_has_one_clear_error(folders, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    made, real = folders / "made", folders / "real"
    for arguments, message in (
        ((made,), "isn't a preset; give --against DATA"),
        ((tmp_path / "empty", "--against", real), "holds no sound file"),
        ((made, "--against", tmp_path / "empty"), "holds no sound file"),
        ((made, "--against", folders / "odd"), "all must have 8000 Hz: resample"),
        ((made, "--against", real, "--metrics", "ear"), "'ear' must be one of pitch, is, fid"),
        (
            (made, "--against", real, "--metrics", "nnd"),
            "which needs 100 or more: give 100 generated",
        ),
        ((made, "--against", real, "--metrics", "is"), "give --judge"),
        ((made, "--against", real, "--judge", tmp_path / "j"), "not found; give --train"),
        ((made, "--against", real, "--data", real), "--data is not supported by --against"),
        ((made, "--against", real, "--velocities", "70"), "isn't a note set"),
        (("plucked", "--train", real), "--train must come with --against"),
        (("speech-sketch", "--against", real), "plays no notes; render clips into a folder"),
        (("plucked", "--against", real), "all must have 32000 Hz"),
    ):
        assert run("evaluate", *arguments, "-o", tmp_path / "report") == 2, message
        error = " ".join(capsys.readouterr().err.split())
        assert message in error and "Traceback" not in error, error


def test_a_preset_plays_the_pitches_of_the_real_sounds(folders):
    real = read_sounds(folders / "real")
    asked = []

    def render(timbre, pitch, velocity, seconds):
        asked.append((timbre, pitch))
        return np.full(100, 0.5)

    class Timbre:
        family, program = "reed", None

        def __init__(self, name):
            self.name = name

    made = render_like(
        render,
        [Timbre("a"), Timbre("b")],
        real,
        title="mine",
        pitch_range=(50, 60),
        sample_rate=SAMPLE_RATE,
        n_notes=30,
    )
    assert 0 < len(made) <= 30 and made.sounds.shape[1] == 3 * SAMPLE_RATE
    assert {pitch for _, pitch in asked} <= set(real.pitches) & set(range(50, 61))
    assert {timbre for timbre, _ in asked} == {"a", "b"}
    assert made.pitches.tolist() == [pitch for _, pitch in asked]
