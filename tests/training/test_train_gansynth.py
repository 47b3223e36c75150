"""`audiogen train gansynth`: notes in, a preset that plays out; previews and resuming."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import audiogen
from audiogen.cli.main import main
from audiogen.cli.train.gansynth import _rate_of
from audiogen.data.notes.nsynth import SetWriter, read_notes
from audiogen.data.notes.splits import (
    SPLIT,
    Split,
    holds_out_instruments,
    read_split,
    split_for_training,
)
from audiogen.data.source_toml import toml_text
from audiogen.errors import FormatError
from audiogen.models.gansynth import GeneratorConfig
from audiogen.notes import Note, Score
from audiogen.presets import load_preset
from audiogen.training.gansynth import recipe as recipes
from audiogen.training.gansynth import trainer as gansynth
from audiogen.training.gansynth.note_batches import Notes

pytestmark = pytest.mark.usefixtures("plain_reports")
RATE = 16000
SMALL = recipes.BuiltInRecipe(
    batch=2,
    adversarial_batch=2,
    crop_frames=16,
    generator=GeneratorConfig("harmonic", 3, (8, 8, 6, 6, 4), (2, 4), note_off_frame=24),
    spectrogram=dataclasses.replace(
        recipes.PRESET_SPECTROGRAM, n_samples=1000, n_fft=128, hop_length=32, n_frames=32
    ),
)


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight notes that are over in a moment, and a recipe that is as short."""
    monkeypatch.setattr(recipes, "default_recipe", lambda: SMALL)
    monkeypatch.setattr(gansynth.shutil, "which", lambda name: None)  # no torch.compile
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # the built-in recipe
    folder = tmp_path / "notes"
    t = np.arange(1000) / RATE
    with SetWriter(folder, RATE) as writer:
        for i in range(8):
            writer.add(
                0.3 * np.sin(2 * np.pi * 440.0 * 2 ** (i / 12) * t) * np.exp(-t / 0.03),
                instrument=f"mallet_acoustic_00{i % 2}",
                family="mallet",
                source="acoustic",
                pitch=69 + i,
                velocity=100,
                qualities=[0] * 10,
            )
    return folder


def test_samples_are_trained_at_32_khz_and_sets_at_their_own_rate(
    notes: Path, tmp_path: Path
) -> None:
    (tmp_path / "samples").mkdir()
    assert _rate_of(tmp_path / "samples", SMALL) == 32000
    assert _rate_of(notes, SMALL) == RATE
    assert _rate_of(notes, recipes.one_shot_recipe()) == 32000  # its lowest
    with SetWriter(tmp_path / "other", 22050) as writer:
        note = {"family": "mallet", "source": "acoustic", "velocity": 100, "qualities": [0] * 10}
        writer.add(np.full(100, 0.1), instrument="mallet_acoustic_000", pitch=60, **note)
    assert _rate_of(tmp_path / "other", SMALL) == 32000  # which reading the notes then refuses


@pytest.mark.slow
@pytest.mark.usefixtures("curves")
def test_notes_become_a_preset_with_previews_on_the_way(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("audiogen.training.run.loop.LARGEST_SHARE", 1.0)
    words = ("train", "gansynth", notes, "--steps", 3, "--adversarial-share", 0.4)
    assert run(*words, "-o", tmp_path / "heard", "--preview-minutes", 1e-9) == 0
    assert "training continues" not in capsys.readouterr().err
    folder = tmp_path / "heard.run"
    assert sorted(p.name for p in (folder / "previews").glob("*.flac")) == ["1.flac", "2.flac"]
    page = (folder / "report.html").read_text()
    assert "7 to train on, 1 held out" in page and page.count("<audio") == 3
    assert "overfit" in page and "log mel db" in page
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 3 and {"critic", "fooled", "overfit", "held_out_log_mel_db"} < set(last)
    preset = load_preset(tmp_path / "heard")
    assert preset.training.steps == 3 and len(preset.timbres) == 2
    assert len(audiogen.load(preset.folder).render("A4:0.1")) > 0
    # What is heard changes nothing.
    assert run(*words, "-o", tmp_path / "unheard", "--preview-minutes", 0) == 0
    heard, unheard = (tmp_path / n / "weights.safetensors" for n in ("heard", "unheard"))
    assert heard.read_bytes() == unheard.read_bytes()


def test_timbres_have_the_partials_of_their_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "default_recipe", lambda: SMALL)
    monkeypatch.setattr(gansynth.shutil, "which", lambda name: None)  # no torch.compile
    bell, string = [1.0, 2.43, 3.55], 0.004
    series = np.arange(1, 9) * np.sqrt((1 + string * np.arange(1, 9) ** 2) / (1 + string))
    ratios = {"mallet": np.array(bell), "string": series, "organ": np.arange(1, 9)}
    time = np.arange(SMALL.spectrogram.n_samples) / RATE
    with SetWriter(tmp_path / "notes", RATE) as writer:
        for i, (family, own) in enumerate(ratios.items()):
            for pitch in (69, 72, 75, 78):
                hz = 440.0 * 2.0 ** ((pitch - 69) / 12) * own
                sound = np.sin(2 * np.pi * np.outer(hz[hz < RATE / 2], time)).sum(axis=0)
                writer.add(
                    0.05 * sound,
                    instrument=f"{family}_acoustic_00{i}",
                    family=family,
                    source="acoustic",
                    pitch=pitch,
                    velocity=100,
                    qualities=[0] * 10,
                )
    words = ("train", "gansynth", tmp_path / "notes", "--steps", 2, "-o", tmp_path / "own")
    assert run(*words) == 0
    preset = load_preset(tmp_path / "own")
    by_family = {timbre.family: timbre for timbre in preset.timbres}
    assert by_family["mallet"].partials == pytest.approx(bell, rel=0.01)
    lowest = preset.generator.pitch_min
    coefficients = by_family["string"].inharmonicity
    assert len(coefficients) == preset.generator.n_pitches
    assert coefficients[72 - lowest] == pytest.approx(string, rel=0.2)
    assert by_family["organ"].partials is by_family["organ"].inharmonicity is None
    assert by_family["string"].partials is by_family["mallet"].inharmonicity is None


def test_a_kit_becomes_a_preset_whose_keys_play_its_sounds(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"mallet_acoustic_000": 36, "mallet_acoustic_001": 42}
    entries = [
        {
            "instrument_str": name,
            "name": f"drum {key}",
            "key": key,
            "pitch": key + 24.25,
            "pan": 0.5,
        }
        for name, key in keys.items()
    ]
    entries[1]["group"] = 1
    (notes / "font.toml").write_text(
        toml_text(
            "Source.", {"font": "Kit", "file": "kit.sf2", "gain_db": 5.5}, "instruments", entries
        )
    )
    last = SMALL.spectrogram.n_frames - 1
    generator = dataclasses.replace(SMALL.generator, pitch_min=60, note_off_frame=last)
    small = dataclasses.replace(SMALL, generator=generator)
    assert small.is_one_shot and recipes.one_shot_recipe().is_one_shot and not SMALL.is_one_shot
    monkeypatch.setattr(recipes, "one_shot_recipe", lambda: small)
    words = ("train", "gansynth", notes, "--steps", 2, "--adversarial-share", 0)
    assert run(*words, "-o", tmp_path / "kit") == 0
    kit = load_preset(tmp_path / "kit")
    assert [(timbre.name, timbre.key) for timbre in kit.timbres] == [
        ("drum-36", 36),
        ("drum-42", 42),
    ]
    assert kit.is_kit and kit.sustain is None and kit.pitch_range == [36, 42]
    assert [timbre.level_db for timbre in kit.timbres] == [-5.5, -5.5]
    assert kit.data.held_out is None  # each drum has to be learned
    placed = [(timbre.pitch, timbre.pan, timbre.group) for timbre in kit.timbres]
    assert placed == [(60.25, 0.5, None), (66.25, 0.5, 1)]
    assert sorted(set(Notes.read(read_notes(notes)).pitches)) == [60.25, 66.25]
    assert {timbre.family for timbre in kit.timbres} == {"percussion"}


def test_one_shot_sounds_play_to_their_end_on_keys_of_any_distance(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taiko = {"instrument_str": "mallet_acoustic_000", "name": "Taiko", "program": 116}
    entry = {**taiko, "transpose": 12, "semitones_per_key": 0.5, "gain_db": 3.0}
    (notes / "font.toml").write_text(toml_text("Source.", {"font": "F"}, "instruments", [entry]))
    last = SMALL.spectrogram.n_frames - 1
    small = dataclasses.replace(
        SMALL, generator=dataclasses.replace(SMALL.generator, note_off_frame=last)
    )
    monkeypatch.setattr(recipes, "one_shot_recipe", lambda: small)
    words = ("train", "gansynth", notes, "--steps", 2, "--adversarial-share", 0)
    assert run(*words, "--recipe", "one-shot", "-o", tmp_path / "hits") == 0
    preset = load_preset(tmp_path / "hits")
    assert not preset.is_kit and preset.sustain is None
    timbre = preset.timbres[0]
    assert (timbre.transpose, timbre.semitones_per_key) == (12, 0.5)
    assert timbre.level_db is None  # the set is of recordings: their gains are not levels
    synth = audiogen.load(preset.folder)
    short, held = (synth.render(f"A4:{seconds}") for seconds in (0.05, 0.4))
    assert len(short) == len(held) and np.allclose(short, held)
    score = Score((Note(0.0, 0.1, 56, 0.8, program=116),))  # sounds at 70
    voice = {None: f"{preset.folder}:{timbre.name}"}
    assert np.array_equal(audiogen.render(score, voice), synth.render("A#4:0.1@0.8"))


def test_instruments_are_held_out(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "gansynth", notes, "-o", tmp_path / "out", "--steps", 2)
    assert run(*words) == 0
    assert read_split(tmp_path / "out.run" / "split.json").by == "note"
    assert run(*words, "--resume", "--split-by", "instrument") == 2
    assert "another split" in capsys.readouterr().err
    held = (*words, "--run", tmp_path / "held", "--split-by", "instrument")
    assert run(*held) == 0
    split = read_split(tmp_path / "held" / "split.json")
    assert split.by == "instrument" and sorted(map(len, split.parts.values())) == [4, 4]
    preset = load_preset(tmp_path / "out")
    assert len(preset.timbres) == 2 and preset.data.held_out[0] in preset.data.instruments
    page = (tmp_path / "held" / "report.html").read_text()
    assert f"<dt>instruments held out</dt><dd>{preset.data.held_out[0]}</dd>" in page
    capsys.readouterr()
    assert run("info", tmp_path / "out") == 0
    assert f"only their latents fitted: {preset.data.held_out[0]}" in capsys.readouterr().out
    grown = ("--run", tmp_path / "grown", "--recipe", "gansynth-small", "--split-by", "note")
    assert run(*words, *grown) == 2
    assert "--split-by not supported by recipe gansynth-small" in capsys.readouterr().err


def test_all_instruments_are_trained_by_default(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the share that is held out is one of them."""
    monkeypatch.setattr(recipes, "default_recipe", lambda: dataclasses.replace(SMALL, held_out=0.5))
    words = ("train", "gansynth", notes, "-o", tmp_path / "out", "--steps", 2)
    assert run(*words) == 0
    split = read_split(tmp_path / "out.run" / "split.json")
    assert split.by == "note" and all(
        any(f"_00{i}" in name for name in split.parts["train"]) for i in range(2)
    )
    assert load_preset(tmp_path / "out").data.held_out is None


def test_of_many_instruments_some_are_held_out(notes: Path, tmp_path: Path) -> None:
    """As split.json says, or drawn."""
    read = read_notes(notes)
    whole = holds_out_instruments(read, 0.5), holds_out_instruments(read, 0.4)
    assert whole == (True, False)
    names = [note.name for note in read]
    first = tuple(name for name in names if "_000" in name)
    other = tuple(name for name in names if "_001" in name)
    drawn = split_for_training(read, 0.5, 0)
    assert drawn.by == "instrument" and set(drawn.parts.values()) == {first, other}
    said = Split("instrument", 7, {"train": other, "valid": first[:1], "test": first[1:]})
    said.write(notes / SPLIT)
    assert split_for_training(read, 0.5, 0, "instrument") == said
    assert split_for_training(read, 0.5, 0, "note").by == "note"
    Split("instrument", 7, {"train": first}).write(notes / SPLIT)
    with pytest.raises(FormatError, match="no note of this set in 'valid'"):
        split_for_training(read, 0.5, 0, "instrument")


def test_a_run_is_resumed_only_when_asked(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "gansynth", notes, "-o", tmp_path / "out", "--steps", 2)
    assert run(*words, "--resume") == 2
    assert "has no checkpoint" in capsys.readouterr().err
    assert run(*words, "--variety", 0.3, "--seed", 2) == 0
    assert run(*words) == 2
    assert "--resume continues that run" in capsys.readouterr().err
    weights = (tmp_path / "out" / "weights.safetensors").read_bytes()
    assert run(*words, "--resume") == 0  # nothing is left to do: written again
    assert (tmp_path / "out" / "weights.safetensors").read_bytes() == weights
    assert run(*words, "--resume", "--seed", 1) == 2
    assert "another recipe" in capsys.readouterr().err


@pytest.mark.slow
def test_weights_are_initialised_from_a_preset(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "gansynth", notes, "--steps", 2, "--preview-minutes", 0)
    assert run(*words, "-o", tmp_path / "first") == 0
    assert "no preset has the sizes of this training: random weights" in capsys.readouterr().err
    assert run(*words, "-o", tmp_path / "second", "--init-from", tmp_path / "first") == 0
    assert "weights initialised from the preset first: mallet" in capsys.readouterr().err
    again = ("train", "gansynth", notes, "-o", tmp_path / "second", "--preview-minutes", 0)
    assert run(*again, "--resume") == 0
    preset = load_preset(tmp_path / "second")
    assert preset.training.steps == 2 and preset.training.command.endswith("--init-from first")
    assert preset.data.source == "notes; weights initialised from the preset first"
    assert (preset.licence, preset.data.licence) == ("unknown", "unknown")
    mine = (*words, "-o", tmp_path / "mine", "--from", tmp_path / "first")
    assert run(*mine, "--licence", "Apache-2.0 OR MIT") == 0
    preset = load_preset(tmp_path / "mine")
    assert preset.licence == "unknown"
    assert preset.data.licence == "Apache-2.0 OR MIT"
    assert run(*words, "-o", tmp_path / "other", "--table", tmp_path / "x.csv") == 2
    assert "--table is for a folder of samples" in capsys.readouterr().err
    assert run(*words, "-o", tmp_path / "third", "--from", "struck") == 2
    assert "preset 'struck' has latent_size = 16, this training 3" in " ".join(
        capsys.readouterr().err.split()
    )
