"""`audiogen encode` writes a latent that the other commands play, and says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from audiogen.audio.files import read_audio, write_audio
from audiogen.engine import Synth
from audiogen.presets import load_preset


@pytest.fixture
def note(folder: Path) -> Path:
    time_s = np.arange(11025) / 22050  # another rate than the preset's
    harmonics = sum(np.sin(2 * np.pi * 261.6 * k * time_s) / k for k in range(1, 8))
    write_audio(folder / "note.wav", 0.2 * harmonics * np.exp(-4 * time_s), 22050)
    return folder / "note.wav"


def test_a_note_becomes_a_file_that_is_played(call, note):
    result = call("encode note.wav --preset plucked --steps 3")
    assert result.status == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].startswith("note.wav  C4")
    assert [line.split()[0] for line in lines[1:4]] == ["encoded", "nearest", "random"]
    assert lines[3].rstrip().endswith("dB off")
    saved = json.loads(Path("note.json").read_text())
    assert saved["preset"] == "plucked" and len(saved["z"]) == 3
    assert saved["pitch"] == pytest.approx(60.0, abs=0.1)
    assert set(saved["measured"]) == {"error_db", "nearest_db", "random_db"}
    # What it says plays it, and so does every place that takes a timbre.
    assert lines[-1].strip().startswith("play it: audiogen render --notes C4:2@0.")
    assert call(lines[-1].partition("audiogen ")[2]).status == 0
    assert call("render --notes C4 --timbre note.json -o other.wav").status == 0
    wanted = Synth("plucked").render("C4", timbre=saved["z"])
    heard = read_audio("other.wav", 16000)  # turned down, since it's over full scale
    np.testing.assert_allclose(heard * np.abs(wanted).max() / np.abs(heard).max(), wanted, atol=0.1)


def test_a_latent_that_another_preset_plays_is_remarked_on(call, note):
    assert call("encode note.wav --preset plucked --steps 1 -o a.json").status == 0
    result = call("render --notes C4 --preset struck --timbre a.json -o b.wav")
    assert result.status == 0
    assert "a.json was made for preset 'plucked'; 'struck' gives it another sound" in result.out


def test_it_goes_into_a_copy(call, note):
    result = call("encode note.wav --preset plucked --steps 1 --pitch C4 --name mine --into copy")
    assert result.status == 0, result.err
    assert "copy  4 timbres, mine among them" in result.out
    z = json.loads(Path("note.json").read_text())["z"]
    assert load_preset("copy").timbre("mine").z == z
    assert "mine" not in load_preset("plucked").timbre_names
    assert call("render --notes C4 --preset copy --timbre mine -o c.wav").status == 0


def test_a_drum_takes_the_place_of_another(call, note, write_kit):
    write_kit(Path("kit"), {"kick": {"pitch": 40.0, "group": 2}})
    line = "encode note.wav --preset ./kit --steps 1 --name tick --key 36 --into mine"
    result = call(line)
    assert result.status == 0, result.err
    assert "mine  3 timbres, tick among them" in result.out
    kick = load_preset("mine").timbre("tick")
    assert (kick.key, kick.group) == (36, 2) and kick.pitch == pytest.approx(60.0, abs=0.3)
    assert "--notes C2:2@" in result.out.splitlines()[-1]
    assert call(result.out.splitlines()[-1].partition("audiogen ")[2]).status == 0
    # Without --into the latent is played at the key of the drum of the nearest pitch.
    result = call("encode note.wav --preset ./kit --steps 1 --pitch 41")
    assert "--notes C2:2@" in result.out.splitlines()[-1], result.err
    assert call(result.out.splitlines()[-1].partition("audiogen ")[2]).status == 0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("note.wav --preset plucked --name a", "--name and --into must be given together"),
        ("note.wav --preset plucked --into copy", "--name and --into must be given together"),
        ("note.wav --preset plucked --key 36", "--key must be given with --into and --name"),
        (
            "note.wav --preset plucked --key 36 --name a --into copy",
            "--key is for drum kits, and preset 'plucked' plays pitches; leave it out",
        ),
        ("note.wav --preset plucked -o note.wav", "output note.wav ends in .wav; use .json"),
        ("none.wav --preset plucked", "none.wav: isn't there; check the name"),
        ("note.wav --preset plukced", "preset 'plukced' not found; did you mean plucked?"),
        ("note.wav --preset plucked --pitch H4", "pitch 'H4' can't be read"),
        ("note.wav --preset plucked --pitch C1", "pitch=24.00 must be 36 to 84"),
        ("note.wav --preset plucked --name harp --into copy", "has a timbre 'harp' already"),
        ("note.wav --preset murmur", "preset 'murmur' has no latents"),
    ],
)
def test_bad_input_is_named(call, note, murmur, line, sentence):
    result = call(f"encode {line}")
    assert result.status == 2
    assert sentence in result.err
    assert not Path("copy").exists() and not Path("note.json").exists()
