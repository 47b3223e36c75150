"""`audiogen data folder` and `audiogen train FOLDER`: own samples become notes, and a preset."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiogen.data import read_notes
from audiogen.data.ingest.model_kind import choose_kind
from audiogen.errors import FormatError
from audiogen.presets import load_preset

RATE = 16000


def put(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


def note(pitch: int, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * 440.0 * 2.0 ** ((pitch - 69) / 12) * time
    return np.exp(-3.0 * time) * (0.4 * np.sin(phase) + 0.2 * np.sin(2 * phase))


def hiss(seconds: float, seed: int = 0) -> np.ndarray:
    return 0.2 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bells(folder) -> Path:
    for pitch, rate in ((60, 44100), (64, 22050), (67, 16000), (72, 48000)):
        put(folder / "bells" / f"{pitch}.wav", note(pitch, rate=rate), rate)
    (folder / "bells" / "broken.wav").write_bytes(b"nothing")
    return folder / "bells"


@pytest.mark.slow
def test_a_folder_becomes_a_set_and_is_reported(bells, call):
    result = call("data folder bells -o notes --licence CC0-1.0")
    assert result.status == 0, result.err
    assert result.out == "4 notes in notes\n"
    assert "left out: broken.wav: can't be read as sound" in result.err
    assert "4 notes of 1 instrument in 4 of 5 files: " in result.err
    assert {n.pitch for n in read_notes("notes")} == {60, 64, 67, 72}
    again = call("data folder bells --licence CC0-1.0")
    assert again.status == 0 and "from the cache" in again.err and "left out" not in again.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data folder nowhere", "nowhere: isn't a folder"),
        ("data folder bells -o bells", "--output bells must be outside bells"),
        ("data folder nowhere -o .", "output='.' exists and isn't an empty folder"),
        ("data folder bells -o bells/notes", "--output bells/notes must be outside bells"),
        ("data folder bells --table bells/none.csv", "none.csv: can't be read as a table"),
        ("train nowhere -o x", "'nowhere' is neither a folder of sounds nor one of gansynth"),
        ("train bells --family wavenet -o x", "--family 'wavenet' must be one of gansynth"),
    ],
)
def test_bad_input_ends_with_an_error_message(bells, call, line, message):
    result = call(line)
    assert result.status == 2
    assert message in " ".join(result.err.split()) and "Traceback" not in result.err


def test_sounds_choose_the_family(folder, bells):
    assert choose_kind(bells)[0] == "gansynth"
    put(folder / "rain" / "long.wav", hiss(20.0))
    put(folder / "rain" / "drop.wav", note(60, 0.3))
    family, why = choose_kind(folder / "rain")
    assert family == "samplernn" and "single notes with a pitch" in why
    for i in range(6):  # hits that have a pitch for a moment
        put(folder / "hits" / f"{i}.wav", note(60 + i, 0.15))
    assert choose_kind(folder / "hits")[0] == "samplernn"
    (folder / "none").mkdir()
    put(folder / "none" / "silent.wav", np.zeros(RATE))
    with pytest.raises(FormatError, match="none of its 1 sound file can be used"):
        choose_kind(folder / "none")


@pytest.mark.slow
def test_a_folder_of_notes_becomes_a_preset_that_plays(bells, call, monkeypatch):
    pytest.importorskip("torch")
    from audiogen.training.gansynth import recipe as recipes

    recipe = recipes.default_recipe()
    generator = dataclasses.replace(recipe.generator, channels=(8, 8, 8, 8, 6, 6, 4))
    small = dataclasses.replace(recipe, batch=2, crop_frames=16, generator=generator)
    monkeypatch.setattr(recipes, "default_recipe", lambda: small)
    # The report's curves take longer than the training.
    monkeypatch.setattr("audiogen.training.run.html_report.curves", lambda entries: "")
    before = {path: path.read_bytes() for path in bells.iterdir()}
    result = call("train bells -o mine --from none --steps 1 --preview-minutes 0 --licence CC0-1.0")
    assert result.status == 0, result.err
    assert "gansynth: " in result.err and "--family chooses" in result.err
    preset = load_preset("mine")
    assert preset.kind == "gansynth" and preset.licence == "CC0-1.0"
    assert preset.timbre_names == ["bells"] and preset.pitch_range == [60, 72]
    assert preset.timbres[0].level_db is None  # of a soundfont's instruments only
    report = (Path("mine.run") / "report.html").read_text()
    assert "broken.wav" in report
    assert {path: path.read_bytes() for path in bells.iterdir()} == before


@pytest.mark.slow
def test_a_folder_of_texture_becomes_a_preset_that_sounds(folder, call):
    pytest.importorskip("torch")
    for i in range(3):
        put(folder / "rain" / f"{i}.wav", hiss(1.5, i))
    small = "--dim 8 --embedding 4 --batch 2 --steps 2 --preview-minutes 0"
    result = call(f"train rain -o wet {small}")
    assert result.status == 0, result.err
    assert "samplernn: only 0% of the sound" in result.err
    assert load_preset("wet").kind == "samplernn"
