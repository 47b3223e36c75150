"""`audiogen preset`: what is wrong with a preset is listed, and a stopped training becomes one."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from audiogen.audio.files import write_audio
from audiogen.evaluation import verify
from audiogen.presets import load_preset, read_fields, write_preset

SHIPPED = Path(__file__).parents[2] / "presets"
FEW = ("marimba", "vibraphone")
RATE = 16000
STRUCK_RATE = 32000


@pytest.fixture
def struck(folder: Path) -> Path:
    """Two timbres of a shipped preset, with its previews."""
    whole = SHIPPED / "struck"
    fields = read_fields(whole / "preset.toml") | {"name": "mine", "default_timbre": FEW[0]}
    fields["timbres"] = [timbre for timbre in fields["timbres"] if timbre["name"] in FEW]
    files = {name: whole / name for name in ("preview.flac", "preview.png")}
    write_preset(folder / "mine", fields, load_file(whole / "weights.safetensors"), files)
    return folder / "mine"


def change_weights(preset: Path, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    weights = load_file(preset / "weights.safetensors")
    change(weights)
    save_file(weights, preset / "weights.safetensors")


class TestMacros:
    def test_they_are_stored_and_shown(self, call, struck, monkeypatch):
        from audiogen.evaluation.latents import macros
        from audiogen.evaluation.latents.probe import FEATURES
        from audiogen.presets import Macro

        def fit(preset, seed, n_latents, progress):
            made = Macro("brightness", "Dark to bright.", [0.25] * 16, [-1.0, 2.0], "Rises.")
            first, second = FEATURES[:2]
            return [macros.MacroFit(first, made), macros.MacroFit(second, reason="notes click")]

        monkeypatch.setattr(macros, "fit_macros", fit)
        before = (struck / "preset.toml").read_text()
        result = call("preset macros mine --dry-run")
        assert "1 macro found" in result.out and (struck / "preset.toml").read_text() == before
        result = call("preset macros mine --seed 3")
        assert "brightness: Rises. Distances -1 to 2." in result.out
        assert "breath: not stored, notes click" in result.out
        (stored,) = load_preset(struck).macros
        assert stored.command == "audiogen preset macros mine --seed 3 --latents 160"
        assert "Dark to bright." in call("info mine").out

    def test_too_few_latents_are_refused(self, call, struck):
        result = call("preset macros mine --latents 3")
        assert result.status and "--latents 3 must be 40 to 10000" in result.err


def sine(self, notes, timbre):
    """Stands in for the engine: a note is a sine."""
    [(_, seconds, pitch, velocity)] = notes
    t = np.arange(round(seconds * STRUCK_RATE)) / STRUCK_RATE
    return velocity * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * t)


class TestVerify:
    @pytest.fixture(autouse=True)
    def few_notes(self, monkeypatch):
        """Few, and without the second tracker, which takes half a minute to compile."""
        pytest.importorskip("parselmouth", reason="needs praat-parselmouth, of the extra eval")
        monkeypatch.setitem(sys.modules, "librosa", None)
        monkeypatch.setitem(verify.N_NOTES, "gansynth", 6)
        monkeypatch.setitem(verify.N_NOTES, "samplernn", 6)
        monkeypatch.setattr(verify, "_N_OTHER", 2)

    @pytest.mark.parametrize(("n_wrong", "status"), [(19, 0), (20, 2)])
    def test_ten_percent_of_200_notes_out_of_tune_fail(
        self, call, struck, monkeypatch, n_wrong, status
    ):
        from audiogen.engine import Synth

        played = []

        def render(self, notes, timbre, stereo):
            [(start, seconds, pitch, velocity)] = notes
            played.append(pitch)
            pitch += len(played) <= n_wrong
            return sine(self, [(start, seconds, pitch, velocity)], timbre)

        monkeypatch.setattr(Synth, "render", render)
        monkeypatch.setattr(Synth, "timbres", property(lambda self: [f"t{i}" for i in range(10)]))
        monkeypatch.setattr(verify, "verified_pitches", lambda *_: [range(45, 65)] * 10)
        result = call("preset verify mine")
        assert len(played) == 200 and result.status == status
        assert f"{200 - n_wrong} of 200 notes in tune" in result.out
        if status:
            wanted = "pitch: 20 of 200 notes out of tune; it must be less than 10%"
            assert wanted in result.err

    def test_the_other_tracker_is_shown_and_does_not_count(self, call, struck, monkeypatch):
        from audiogen.engine import Synth

        def note_pitch(samples, sample_rate, *, note_on_s, tracker):
            return asked[-1] + (tracker == "praat")

        asked = []

        def render(self, notes, timbre, stereo):
            asked.append(notes[0][2])
            return sine(self, notes, timbre)

        monkeypatch.setattr(verify, "note_pitch", note_pitch)
        monkeypatch.setattr(Synth, "render", render)
        result = call("preset verify mine")
        assert result.status == 2 and "6 of 6 notes out of tune" in result.err
        assert "key 29 off by +100 cents [pyin: +0]" in result.out

    def test_programs_without_a_pitch_do_not_count(self, call, struck, monkeypatch):
        monkeypatch.setattr(verify, "UNPITCHED", {t.program for t in load_preset(struck).timbres})
        result = call("preset verify mine")
        assert ": has no pitch" in result.out and "0 of 0 notes in tune" in result.out
        assert "out of tune" not in result.err

    def test_notes_cover_the_range(self):
        pitches = verify.verified_pitches(13, 24, 84, 200)
        assert sum(map(len, pitches)) >= 200 and min(map(len, pitches)) >= 3
        assert set(range(24, 85)) == {pitch for of in pitches for pitch in of}
        assert verify.verified_pitches(1, 60, 61, 200) == [[60, 61]]

    def test_a_good_one(self, call, struck):
        result = call("preset verify mine")
        assert (result.status, result.err.strip()) == (0, "")
        assert "marimba: in tune" in result.out and "vibraphone: in tune" in result.out
        assert "6 of 6 notes in tune" in result.out and "is valid" in result.out

    def test_a_preset_with_a_third_of_its_notes_out_of_tune_fails(self, call, struck, monkeypatch):
        """One of its two timbres plays two of three notes sharp by a semitone."""
        from audiogen.engine import Synth

        render = Synth.render

        def sharpen(self, notes, timbre, **options):
            [(start, seconds, pitch, velocity)] = notes
            pitch += timbre == "marimba" and pitch > 40
            return render(self, [(start, seconds, pitch, velocity)], timbre=timbre, **options)

        monkeypatch.setattr(Synth, "render", sharpen)
        result = call("preset verify mine")
        assert result.status == 2
        assert "pitch: 2 of 6 notes out of tune; it must be less than 10%" in result.err
        assert "mine has 1 fault\n" in result.err
        assert "marimba: partly out of tune (key 59 off by +" in result.out
        assert "vibraphone: in tune" in result.out

    def test_a_texture(self, call, folder):
        assert call(f"preset verify {SHIPPED / 'speech-sketch'}").status == 0

    def test_all_that_is_wrong_with_files_is_listed(self, call, struck):
        text = (struck / "preset.toml").read_text()
        text = text.replace("sample_rate = 32000", "sample_rate = 1")
        (struck / "preset.toml").write_text(text.replace('licence = "MIT"', "licence = 3", 1))
        write_audio(struck / "preview.flac", np.zeros(1600), 16000)
        (struck / "preview.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
        (struck / "setup.py").write_text("import os")
        result = call("preset verify mine")
        assert result.status == 2
        for fault in (
            "preset.toml: sample_rate=1 must be",
            "preset.toml: licence=3 must be",
            "preview.flac: is silent",
            "preview.png: can't be read as a picture",
            "setup.py: isn't data of a preset",
        ):
            assert fault in result.err
        assert "mine has 5 faults" in result.err

    def test_all_that_is_wrong_with_weights_is_listed(self, call, struck):
        def spoil(weights):
            del weights["to_rgb.bias"]
            weights["blocks.1.conv2.bias"][3] = np.nan
            weights["more"] = np.zeros(3, np.float32)

        change_weights(struck, spoil)
        (struck / "preview.flac").unlink()
        (struck / "preview.png").unlink()
        result = call("preset verify mine")
        assert result.status == 2
        for fault in (
            "weights.safetensors: tensor to_rgb.bias is missing",
            "weights.safetensors: tensor blocks.1.conv2.bias has 1 values that are NaN",
            "weights.safetensors: tensor more not found in the network",
            "preview.flac: is missing",
            "preview.png: is missing",
        ):
            assert fault in result.err

    @pytest.mark.parametrize(
        ("bias", "fault"),
        [(-9.0, "timbre marimba: is silent"), (0.35, "timbre marimba: is too loud")],
    )
    def test_the_audio_is_judged(self, call, struck, bias, fault):
        def turn(weights):
            weights["to_rgb.bias"][0] += bias

        change_weights(struck, turn)
        result = call("preset verify mine")
        assert result.status == 2
        assert fault in result.err

    def test_one_that_has_no_pitch(self, call, murmur):
        """It was never trained, and makes noise."""
        result = call("preset verify winds")
        assert result.status == 2
        assert "notes out of tune; it must be less than 10%" in result.err
        assert ": out of tune (" in result.out

    def test_one_that_is_not_there(self, call, struck):
        result = call("preset verify mien")
        assert result.status == 2
        assert "preset 'mien' not found" in result.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of a short training, ``out.run``, its preset ``out`` and its notes."""
    torch = pytest.importorskip("torch")
    from audiogen.cli.main import main
    from audiogen.data.notes.nsynth import SetWriter
    from audiogen.models.gansynth import GeneratorConfig
    from audiogen.training.gansynth import recipe as recipes
    from audiogen.training.gansynth import trainer as gansynth

    small = recipes.BuiltInRecipe(
        batch=2,
        adversarial_batch=2,
        crop_frames=16,
        generator=GeneratorConfig("harmonic", 3, (8, 8, 6, 6, 4), (2, 4), note_off_frame=24),
        spectrogram=dataclasses.replace(
            recipes.PRESET_SPECTROGRAM, n_samples=1000, n_fft=128, hop_length=32, n_frames=32
        ),
    )
    folder = tmp_path_factory.mktemp("trained")
    t = np.arange(1000) / RATE
    with SetWriter(folder / "notes", RATE) as writer:
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
    options = "--steps 4 --adversarial-share 0.5 --preview-minutes 0 --author me"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(recipes, "default_recipe", lambda: small)
        patch.setattr(gansynth.shutil, "which", lambda name: None)  # no torch.compile
        # The report is read by no test, and its curves take longer than the training.
        patch.setattr("audiogen.training.run.html_report.curves", lambda entries: "")
        patch.setattr(torch.cuda, "is_available", lambda: False)  # the built-in recipe
        with pytest.raises(SystemExit) as end:
            main(f"train gansynth notes -o out {options}".split())
    assert not end.value.code
    return folder


@pytest.fixture
def run(folder: Path, trained: Path) -> Path:
    """The folder of a training of a few steps, whose preset is ``out``."""
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    return folder / "out.run"


class TestSaveTimbre:
    @pytest.mark.parametrize("timbre", ["harp+guitar", "harp:0.6+guitar:0.4", "random:7", "harp"])
    def test_it_plays_as_what_was_saved(self, call, folder, timbre):
        result = call(f"preset save-timbre plucked {timbre} -o mine.json")
        assert (result.status, result.err) == (0, "")
        assert "play it: audiogen play plucked --timbre mine.json" in result.out
        saved, mixed = (
            call(f"render --notes C4:0.1 --preset plucked --timbre {which} -o {name}.wav")
            for which, name in (("mine.json", "saved"), (timbre, "mixed"))
        )
        assert saved.status == mixed.status == 0
        assert (folder / "saved.wav").read_bytes() == (folder / "mixed.wav").read_bytes()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("plucked harp+kazoo -o a.json", "kazoo"),
            ("pluckd harp -o a.json", "did you mean plucked?"),
            ("winds flute -o a.json", "latents are not supported by preset 'winds'"),
            ("plucked harp -o a.wav", "output a.wav ends in .wav; use .json"),
            ("plucked harp -o no/a.json", "there is no folder no"),
        ],
    )
    def test_bad_input_is_named(self, call, folder, murmur, words, message):
        result = call(f"preset save-timbre {words}")
        assert result.status == 2 and message in result.err and not list(folder.iterdir())


class TestPack:
    @pytest.mark.slow
    def test_of_its_end_is_what_the_training_wrote(self, call, run, folder):
        result = call("preset pack out.run -o packed")
        assert "packed  of step 4, 2 timbres" in result.out
        made, packed = load_preset("out"), load_preset("packed")
        assert result.status == (2 if "packed has" in result.err else 0)
        without_gains = [dataclasses.replace(timbre, gain_db=None) for timbre in made.timbres]
        assert packed.timbres == without_gains and packed.authors == ["me"]
        assert made.timbres != without_gains and "audiogen preset levels packed" in result.out
        assert packed.training == made.training
        for name in ("weights.safetensors", "timbres.png"):
            assert (packed.folder / name).read_bytes() == (made.folder / name).read_bytes(), name
        distances = ("magnitude", "loud", "peak", "frequency", "log_mel_db", "energy_db")
        names = {f"held_out_{name}" for name in distances}
        baseline = {"held_out_log_mel_db_random"}
        assert set(packed.measured) == names and set(made.measured) == names | baseline
        # Of a step before the last.
        first = min(int(path.stem.split("-")[1]) for path in run.glob("checkpoint-*.pt"))
        assert first < 4
        assert f"of step {first}" in call(f"preset pack out.run -o before --step {first}").out
        before = load_preset("before")
        assert before.training.steps == first and before.timbres != made.timbres

    def test_bad_words_are_named(self, call, run):
        for words, sentence in (
            ("none -o packed", "none: isn't a folder"),
            ("notes -o packed", "notes: has no checkpoint"),
            ("out.run -o packed --step 99", "checkpoint-99.pt: not found; the run has steps"),
            ("out.run -o notes", "notes: isn't empty and isn't a preset"),
            ("out.run -o Packed", "name='Packed' must be"),
        ):
            result = call(f"preset pack {words}")
            assert result.status == 2
            assert sentence in result.err
            assert not Path("packed").exists()

    def test_a_folder_without_its_card(self, call, run):
        card = run / "card.json"
        text = json.loads(card.read_text())
        text["fields"]["timbres"].pop()
        for content, sentence in (
            (json.dumps(text), "card.json has 1 timbres and the checkpoint 2"),
            ("{", "card.json: can't be read"),
            ('{"fields": {}}', "card.json: can't be read"),
            (None, "card.json: not found"),
        ):
            card.write_text(content) if content else card.unlink()
            result = call("preset pack out.run -o packed")
            assert result.status == 2 and sentence in result.err

    @pytest.mark.slow
    def test_of_a_texture(self, call, folder):
        pytest.importorskip("torch")
        from audiogen.training.pack import pack_run
        from audiogen.training.run.checkpoints import Checkpoints

        (folder / "sounds").mkdir()
        for i in range(3):
            tone = 0.5 * np.sin(2 * np.pi * (200 + 30 * i) * np.arange(8000) / 8000)
            write_audio(folder / "sounds" / f"{i}.wav", tone, 8000)
        small = "--dim 8 --embedding 4 --frame-sizes 8,2 --batch 2 --chunk 64 --sample-rate 8000"
        line = (
            "train samplernn sounds -o out --steps 3 --held-out 0.3 --preview-minutes 0 --top-p 0.9"
        )
        line = f"{line} {small}"
        assert call(line).status == 0
        result = call("preset pack out.run -o packed")
        assert "packed  of step 3" in result.out
        made, packed = load_preset("out"), load_preset("packed")
        assert packed.data == made.data and packed.training == made.training
        assert made.sampling.top_p == packed.sampling.top_p == 0.9
        for name in ("weights.safetensors", "preview.flac"):
            assert (packed.folder / name).read_bytes() == (made.folder / name).read_bytes(), name
        # By its number the checkpoint gives its own averaged weights, not the best on the grid.
        assert "then  of step 3" in call("preset pack out.run -o then --step 3").out
        then = load_preset("then")
        assert then.training == made.training and not then.measured
        state = Checkpoints(folder / "out.run", print).newest()
        own = load_file(then.weights_path)["sample.output.bias"]
        assert np.array_equal(own, state["average"]["sample.output.bias"])
        state["best"]["weights"]["sample.output.bias"].zero_()
        best = load_file(pack_run(folder / "out.run", Path("best"), state).weights_path)
        assert own.any() and not best["sample.output.bias"].any()
