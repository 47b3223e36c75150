"""`audiogen train samplernn`: a folder in, a preset that plays out; stopped and resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

import audiogen
from audiogen.cli.main import main
from audiogen.data.notes.nsynth import SetWriter
from audiogen.data.notes.splits import read_split
from audiogen.evaluation.verify import verify_preset
from audiogen.models.samplernn import SampleRNNConfig
from audiogen.presets import load_preset
from audiogen.representation.harmonic import pitch_to_hz
from audiogen.representation.levels import dequantise
from audiogen.training.run import device as devices
from audiogen.training.run.checkpoints import Checkpoints
from audiogen.training.run.log import Journal
from audiogen.training.samplernn.excerpts import LONGEST_DELAY
from audiogen.training.samplernn.recipe import SampleRNNRecipe
from audiogen.training.samplernn.training_data import TrainingData, read_training_data

pytestmark = pytest.mark.usefixtures("plain_reports")
RATE = 8000
SMALL = (
    *("--dim", 8, "--embedding", 4, "--frame-sizes", "8,2", "--batch", 2, "--chunk", 64),
    *("--sample-rate", RATE, "--held-out", 0.2),
)


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    for label, hz in (("low", 200.0), ("high", 700.0)):
        (folder / label).mkdir(parents=True)
        for i in range(3):
            t = np.arange(RATE // 2) / RATE
            sound = 0.5 * np.sin(2 * np.pi * (hz + 10 * i) * t)
            soundfile.write(folder / label / f"{i}.wav", sound, RATE)
    (folder / "broken.wav").write_bytes(b"nothing")
    return folder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Five notes of each of two instruments, of different ranges."""
    folder = tmp_path / "notes"
    t = np.arange(4 * RATE) / RATE
    with SetWriter(folder, RATE) as writer:
        for instrument, pitches in (
            ("reed_acoustic_000", range(60, 65)),
            ("flute_000", range(62, 67)),
        ):
            for pitch in pitches:
                sound = 0.5 * np.sin(2 * np.pi * pitch_to_hz(pitch) * t) * (t < 3.1)
                writer.add(
                    sound,
                    instrument=instrument,
                    family="reed" if "reed" in instrument else "flute",
                    source="acoustic",
                    pitch=pitch,
                    velocity=100,
                    qualities=[0] * 10,
                )
    return folder


def read_data(folder: Path, model: SampleRNNConfig, **changes: float) -> TrainingData:
    sizes = {"sample_rate": RATE, "chunk": 64, "excerpt_s": 1.0, "held_out": 0.2}
    return read_training_data(folder, SampleRNNRecipe(model=model, **sizes | changes))


def test_recordings_become_a_preset_that_sounds(recordings, tmp_path, capsys):
    out = tmp_path / "babble"
    card = ("--licence", "CC0-1.0", "--source", "sines", "--author", "me", "--temperature", 0.8)
    assert run("train", "samplernn", recordings, "-o", out, "--steps", 3, *SMALL, *card) == 0
    captured = capsys.readouterr()
    assert "broken.wav" not in captured.err and "1 left out, listed in report" in captured.err
    assert re.search(r"(good|fair|poor): \S+ bits per sample .* a bigram", captured.out)
    assert "--seconds 10" in captured.out
    preset = load_preset(out)
    assert (preset.kind, preset.licence, preset.sampling.temperature) == (
        "samplernn",
        "CC0-1.0",
        0.8,
    )
    assert preset.data.source == "sines" and preset.data.files == 6
    assert preset.training.steps == 3
    measured = preset.measured
    assert measured["held_out_bits"] > 0 and measured["held_out_bits_bigram"] > 0
    split = json.loads((tmp_path / "babble.run" / "split.json").read_text())
    assert len(split["training"]) + len(split["held_out"]) == 6
    log = (tmp_path / "babble.run" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == 3 and "held_out_bits" in json.loads(log[-1])
    sound = audiogen.load(out).generate(0.1)
    assert sound.shape == (800,) and (out / "preview.png").exists()


def test_a_run_is_resumed_only_when_asked(recordings, tmp_path, capsys):
    out = tmp_path / "babble"
    words = ("train", "samplernn", recordings, "-o", out, *SMALL)
    assert run(*words, "--steps", 2, "--resume") == 2
    assert "has no checkpoint to resume" in capsys.readouterr().err
    assert run(*words, "--steps", 2) == 0
    assert run(*words, "--steps", 2) == 2
    assert "--resume continues that run" in capsys.readouterr().err
    assert run(*words, "--resume") == 0  # nothing is left to do: written again
    assert "all 2 steps are taken; to train further" in capsys.readouterr().err
    assert run(*words, "--steps", 4, "--resume") == 2
    assert "--steps 4: the run to resume has 2" in capsys.readouterr().err
    assert run(*words) == 2
    assert "give --minutes or --steps" in capsys.readouterr().err


def test_resuming_may_change_the_rate_but_not_the_sounds(recordings, tmp_path, capsys):
    words = ("train", "samplernn", recordings, "-o", tmp_path / "babble", *SMALL)
    assert run(*words, "--steps", 2, "--learning-rate", 0.01) == 0

    def rate() -> float:
        state = Checkpoints(tmp_path / "babble.run", print).newest()
        return state["recipe"]["learning_rate"]

    assert run(*words, "--resume") == 0 and rate() == 0.01
    assert run(*words, "--resume", "--learning-rate", 0.005) == 0 and rate() == 0.005
    soundfile.write(recordings / "low" / "new.wav", 0.5 * np.ones(RATE), RATE)
    assert run(*words, "--resume") == 2
    assert "made with other sounds" in capsys.readouterr().err


def test_published_sizes_have_a_name(recordings, tmp_path, capsys):
    words = ("train", "samplernn", recordings, "--steps", 1, "--sample-rate", RATE)
    words = (*words, "--batch", 1, "--chunk", 64, "--dim", 8, "--preview-minutes", 0)
    assert run(*words, "-o", tmp_path / "prism", "--config", "prism", "--embedding", 4) == 0
    network = load_preset(tmp_path / "prism").samplernn
    assert network.frame_sizes == (64, 16) and network.n_rnn == 4
    assert (network.dim, network.embedding_size) == (8, 4)
    state = Checkpoints(tmp_path / "prism.run", print).newest()
    assert not state["recipe"]["model"]["weight_norm"]
    assert run(*words, "-o", tmp_path / "other", "--config", "wavenet") == 2
    complaint = capsys.readouterr().err
    assert "'wavenet'" in complaint and "'prism'" in complaint


def test_a_refused_training_changes_nothing_of_the_one_that_runs(recordings, tmp_path, capsys):
    out, folder = tmp_path / "babble", tmp_path / "babble.run"
    words = ("train", "samplernn", recordings, "-o", out, *SMALL, "--steps", 4)
    assert run(*words) == 0

    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    before = contents()
    with Checkpoints(folder, print).claimed():
        assert run(*words, "--resume", "--description", "another") == 2
    assert "another training writes there" in capsys.readouterr().err
    assert run(*words, "--resume", "--seed", 1, "--dim", 9) == 2
    assert "another recipe (seed, dim)" in capsys.readouterr().err
    assert contents() == before


# The command line, killed where no one is asked: at the 5th step of 6.
KILLED = """
import os, signal, sys
from audiogen.training.samplernn import trainer as samplernn
samplernn.SAMPLES_BETWEEN = 1
Trainer = samplernn.SampleRNNTrainer
step = Trainer.train_step
def dies(trainer):
    if trainer.step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(trainer)
Trainer.train_step = dies
from audiogen.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_preset(recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "audiogen.training.samplernn.trainer.SAMPLES_BETWEEN", 1
    )  # looks, as in KILLED

    def words(name: str) -> list[str]:
        line = ("train", "samplernn", recordings, "-o", tmp_path / name, "--steps", 6, *SMALL)
        return [str(word) for word in line]

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *words("killed")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run_folder = tmp_path / "killed.run"
    assert list(run_folder.glob("checkpoint-[1-3].pt"))  # where it was best so far
    (run_folder / "checkpoint-4.pt").write_bytes(b"torn")
    assert run("train", "samplernn", recordings, "-o", tmp_path / "killed", "--resume") == 0
    assert "checkpoint-4.pt: can't be read" in capsys.readouterr().err
    assert run(*words("whole")) == 0
    for name in ("weights.safetensors", "preview.flac"):
        killed_one, whole = ((tmp_path / n / name).read_bytes() for n in ("killed", "whole"))
        assert killed_one == whole


@pytest.mark.slow
@pytest.mark.usefixtures("curves")
def test_previews_come_while_training_and_change_nothing(recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("audiogen.training.run.loop.LARGEST_SHARE", 1.0)
    words = ("train", "samplernn", recordings, "--steps", 3, *SMALL)
    assert run(*words, "-o", tmp_path / "heard", "--preview-minutes", 1e-9) == 0
    assert run(*words, "-o", tmp_path / "unheard", "--preview-minutes", 0) == 0
    heard, unheard = ((tmp_path / n / "weights.safetensors") for n in ("heard", "unheard"))
    assert heard.read_bytes() == unheard.read_bytes()
    previews = tmp_path / "heard.run" / "previews"
    assert sorted(path.name for path in previews.glob("*.flac")) == ["1.flac", "2.flac"]
    assert soundfile.info(previews / "2.flac").duration == pytest.approx(2.5)
    assert not (tmp_path / "unheard.run" / "previews").exists()
    page = (tmp_path / "heard.run" / "report.html").read_text()
    assert "1 left out" in page and "<li>broken.wav" in page and "audiogen" in page
    assert page.count("<audio") == 3 and "training continues" not in capsys.readouterr().err


def test_resuming_keeps_the_precision(recordings, tmp_path, monkeypatch):
    words = ("train", "samplernn", recordings, "-o", tmp_path / "out", *SMALL, "--steps", 2)
    for has, resume in ((True, ()), (False, ("--resume",))):
        monkeypatch.setattr(devices, "has_bfloat16", lambda device="cpu", has=has: has)
        assert run(*words, *resume) == 0
        newest = Checkpoints(tmp_path / "out.run", print).newest()
        assert newest["recipe"]["bfloat16"] is True


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classes", "notes"])
def test_resuming_needs_no_options(recordings, notes, tmp_path, kind):
    out, of_notes = tmp_path / "out", kind == "notes"
    words = ("train", "samplernn", notes if of_notes else recordings, "-o", out)
    own = ("--input-noise", 0.5) if of_notes else ("--classes", "--augmentation", 0.5)
    assert run(*words, *SMALL, *own, "--steps", 2, "--seed", 3, "--levels", 128) == 0
    weights = (out / "weights.safetensors").read_bytes()
    assert run(*words, "--resume") == 0
    assert (out / "weights.safetensors").read_bytes() == weights
    assert load_preset(out).training.seed == 3
    folder = ("train", words[2], "-o", out, "--resume")  # which would choose by listening
    assert run(*folder) == 0 and (out / "weights.safetensors").read_bytes() == weights


def test_the_initial_preset_is_checked_before_sounds_are_read(recordings, tmp_path, capsys):
    for family, initialised_from in (("gansynth", "piano-sketch"), ("samplernn", "plucked")):
        words = ("train", family, recordings, "-o", tmp_path / "out", "--steps", 1)
        assert run(*words, "--from", initialised_from) == 2
        told = capsys.readouterr().err
        assert f"name one of kind {family}" in told and "left out" not in told
        assert run(*words, "--from", "unknown") == 2
        assert "preset 'unknown' not found" in capsys.readouterr().err


def test_minutes_become_steps_that_a_resumed_training_keeps(recordings, tmp_path, capsys):
    out = tmp_path / "babble"
    words = ("train", "samplernn", recordings, "-o", out, *SMALL, "--minutes", 0.01)
    assert run(*words) == 0
    steps = load_preset(out).training.steps
    assert steps > 1
    assert run(*words, "--resume") == 0
    assert load_preset(out).training.steps == steps
    assert f"--minutes is for a new run; this one has {steps}" in capsys.readouterr().err
    assert run(*words, "--steps", 3) == 2
    assert "give one of the two" in capsys.readouterr().err


def test_a_folder_says_where_it_is_from(recordings, tmp_path):
    words = ("train", "samplernn", recordings, *SMALL, "--steps", 1, "--preview-minutes", 0)
    assert run(*words, "-o", tmp_path / "mute") == 0
    (recordings / "source.toml").write_text('source = "two tones"\nlicence = "CC0-1.0"\n')
    assert run(*words, "-o", tmp_path / "said") == 0
    assert run(*words, "-o", tmp_path / "told", "--source", "mine", "--licence", "MIT") == 0
    for name, source, licence in (
        ("mute", "recordings", "unknown"),
        ("said", "two tones", "CC0-1.0"),
        ("told", "mine", "MIT"),
    ):
        preset = load_preset(tmp_path / name)
        assert (preset.data.source, preset.data.licence, preset.licence) == (source, *2 * [licence])


def test_subfolders_become_timbres(recordings, notes, tmp_path, capsys):
    (recordings / "broken.wav").unlink()
    soundfile.write(recordings / "loose.wav", 0.5 * np.sin(np.arange(RATE)), RATE)
    out = tmp_path / "two"
    assert run("train", "samplernn", recordings, "-o", out, "--steps", 2, "--classes", *SMALL) == 0
    texture = audiogen.load(out)
    assert texture.timbres == ["high", "low"]
    assert not np.array_equal(
        texture.generate(0.1, timbre="high"), texture.generate(0.1, timbre="low")
    )
    assert "1 left out" in capsys.readouterr().err
    page = (tmp_path / "two.run" / "report.html").read_text()
    assert "<li>loose.wav: is in no subfolder" in page
    assert verify_preset(out).n_sounds == 2
    preview, rate = soundfile.read(out / "preview.flac")
    assert len(preview) == 2 * 8 * rate  # each sounds
    words = ("--steps", 2, "--classes", *SMALL)
    assert run("train", "samplernn", notes, "-o", tmp_path / "x", *words) == 2
    assert "--classes is for recordings" in capsys.readouterr().err


def test_notes_become_an_instrument(notes, tmp_path, capsys):
    out = tmp_path / "winds"
    levels = ("--levels", 65536)
    assert run("train", "samplernn", notes, "-o", out, "--steps", 2, *SMALL, *levels) == 0
    assert "--notes" in capsys.readouterr().out
    preset = load_preset(out)
    assert preset.pitch_range == [62, 64]  # what both have
    assert preset.samplernn.conditioning == "note" and len(preset.timbres) == 2
    assert len(audiogen.load(out).render("D4:0.1")) > 0
    split = read_split(tmp_path / "winds.run" / "split.json")
    assert sorted(map(len, split.parts.values())) == [2, 8]
    capsys.readouterr()
    again = ("train", "gansynth", notes, "-o", out, "--resume")
    assert run(*again) == 2
    assert (
        "is of kind samplernn; resume it with `audiogen train samplernn`" in capsys.readouterr().err
    )


def test_notes_have_larger_batches_and_slower_tiers(recordings, notes, tmp_path):
    little = ("--dim", 8, "--embedding", 4, "--chunk", 64, "--sample-rate", RATE, "--steps", 1)
    usual = ((recordings, (2,), 16, 0.0, 0.0), (notes, (16, 4), 64, 0.25, 0.05))
    for data, frame_sizes, batch, astray, lost in usual:
        out = tmp_path / f"of-{data.name}"
        assert run("train", "samplernn", data, "-o", out, *little, "--held-out", 0.2) == 0
        assert load_preset(out).samplernn.frame_sizes == frame_sizes
        assert load_preset(out).sampling.top_p == (0.99 if data == notes else 1.0)
        state = Checkpoints(tmp_path / f"{out.name}.run", print).newest()
        assert state["recipe"]["batch"] == batch and state["recipe"]["input_noise"] == astray
        assert state["recipe"]["state_shuffle"] == lost


def test_a_note_sounds_late_by_its_delay_and_phase_and_sound_go_together(notes):
    config = SampleRNNConfig(frame_sizes=(8, 2), dim=8, embedding_size=4)
    prepared = read_data(notes, config)
    source, past = prepared.training, config.frame_sizes[0]
    on_time, features, heard, _ = source.chunk(2 * (LONGEST_DELAY + 1), 0, 512)
    late, told, *_ = source.chunk(2 * (LONGEST_DELAY + 1) + 30, 0, 512)
    assert np.array_equal(heard, on_time)
    assert np.array_equal(late[past + 30 :], on_time[past:-30])
    assert (late[: past + 30] == 128).all()
    np.testing.assert_allclose(told[30:, 9:], features[:-30, 9:], atol=1e-4)  # phases, late alike
    np.testing.assert_array_equal(told[:, :7], features[:, :7])  # pitch, velocity, time: not
    assert {source.draw(np.random.default_rng(i)) % (LONGEST_DELAY + 1) for i in range(99)} > {
        0,
        80,
    }
    assert [which % (LONGEST_DELAY + 1) for which in source.all()] == [0] * len(source.all())


@pytest.mark.slow
def test_the_input_is_noisy_and_the_target_is_not(notes):
    config = SampleRNNConfig(
        frame_sizes=(8, 2), dim=8, embedding_size=4, q_levels=65536, quantisation="mu_law"
    )
    prepared = read_data(notes, config, input_noise=0.25)
    source, random = prepared.training, np.random.default_rng(0)
    n = source.n_samples // 64 * 64
    errors, silences = [], 0
    for _ in range(60):
        which = source.draw(random)
        levels, features, heard, _ = source.chunk(which, 0, n)
        again = source.chunk(which, 0, n)
        assert np.array_equal(heard, again.inputs) and np.array_equal(features, again.features)
        on_time = source.chunk(which % source.n_delayed, 0, n)
        assert np.array_equal(on_time.levels, levels) and np.array_equal(on_time.inputs, levels)
        sound, past = (dequantise(x, 65536, "mu_law") for x in (levels, heard))
        errors.append(np.sqrt(np.mean((past - sound) ** 2) / np.mean(sound**2)))
        quiet = np.abs(past[1000:]) < 1e-3 * np.abs(sound).max()
        silences += np.mean(quiet) > 0.3
    assert min(errors) < 0.05 and max(errors) > 0.8  # from hardly to wholly
    assert 3 <= silences <= 30
    held = prepared.held_out
    for which in held.all():
        assert np.array_equal(held.chunk(which, 0, 64).inputs, held.chunk(which, 0, 64).levels)


def test_pitch_and_velocity_have_an_error_that_is_constant_over_a_note(notes):
    config = SampleRNNConfig(frame_sizes=(2,), dim=8, embedding_size=4)
    prepared = read_data(notes, config, input_noise=0.25)
    source, random, wrong = prepared.training, np.random.default_rng(0), []
    for _ in range(300):
        which = source.draw(random)
        told, later = (source.chunk(which, start, 64).features for start in (0, 128))
        right = source.chunk(which % source.n_delayed, 0, 64).features
        assert np.array_equal(told[:, 2:15], right[:, 2:15])  # time, three harmonics
        assert np.array_equal(told[:, :2], later[:, :2]) and np.ptp(told[:, :2], axis=0).max() == 0
        wrong.append((told - right)[0, :2] * (24.0, 0.5))
    assert 0.17 < np.std(wrong, axis=0)[0] < 0.23 and 0.042 < np.std(wrong, axis=0)[1] < 0.058
    assert np.abs(np.mean(wrong, axis=0)).max() < 0.05
    held = prepared.held_out
    exact = read_data(notes, config).held_out
    for which in held.all():
        assert np.array_equal(held.chunk(which, 0, 64).features, exact.chunk(which, 0, 64).features)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--steps", 2, "--frame-sizes", "8,3"), "multiple"),
        (("--steps", 2, "--frame-sizes", "eight"), "'eight' must be integers such as 16,4"),
        (("--steps", 2, "--rnn", "rnn"), "'gru', 'lstm'"),
        (("--steps", 2, "--levels", 1000), "65536"),
        (("--steps", 2, "--chunk", 31), "multiple of the longest frame"),
        (("--steps", 2, "--from", "nowhere"), "preset 'nowhere' not found"),
        (("--steps", 2, "--seed", 2**63), "seed=9.22337e+18 must be"),
        ((), "give --minutes or --steps"),
    ],
)
def test_bad_options_are_named_before_anything_is_read(tmp_path, capsys, words, message):
    (tmp_path / "empty").mkdir()
    assert run("train", "samplernn", tmp_path / "empty", "-o", tmp_path / "x", *words) == 2
    assert message in capsys.readouterr().err


def test_a_place_that_cannot_be_made_is_named(recordings, tmp_path, capsys):
    out = tmp_path / "file" / "mine"
    (tmp_path / "file").write_text("in the way")
    assert run("train", "samplernn", recordings, "-o", out, "--steps", 1, *SMALL) == 2
    assert "file/mine.run: can't be made" in capsys.readouterr().err


def test_a_start_that_fails_leaves_nothing(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run("train", "samplernn", tmp_path / "empty", "-o", tmp_path / "x", "--steps", 1) == 2
    assert "holds no sound file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize("option", ["-o", "--run"])
def test_no_place_within_the_sounds(recordings, tmp_path, capsys, option):
    out = recordings / "mine" if option == "-o" else tmp_path / "mine"
    run_folder = () if option == "-o" else ("--run", recordings / "low" / "run")
    assert run("train", "samplernn", recordings, "-o", out, *run_folder, "--steps", 1, *SMALL) == 2
    assert "whose sounds are trained on" in capsys.readouterr().err
    assert not (recordings / "mine").exists() and not (recordings / "low" / "run").exists()


def test_what_lies_beside_a_preset_is_not_lost(recordings, tmp_path, capsys):
    out = tmp_path / "mine"
    words = ("train", "samplernn", recordings, "-o", out, "--steps", 1, *SMALL)
    assert run(*words, "--run", out) == 2
    assert "must be outside of the new preset" in capsys.readouterr().err
    assert run(*words) == 0
    assert run(*words, "--run", tmp_path / "other") == 0
    assert "is a preset already; it will be replaced" in capsys.readouterr().err
    (out / "notes.txt").write_text("mine")
    assert run(*words, "--run", tmp_path / "third") == 2
    assert "holds notes.txt, which is not part of a preset" in capsys.readouterr().err
    assert run("preset", "pack", tmp_path / "other", "-o", out) == 2
    (out / "notes.txt").rename(out / ".notes")
    assert run(*words, "--run", tmp_path / "third") == 2
    (out / ".notes").rename(out / "notes.txt")
    assert (out / "notes.txt").read_text() == "mine"


def test_a_preset_that_cannot_be_written_at_the_end_is_not_lost(recordings, tmp_path, capsys):
    report = Journal.report

    def put_something_there(*args: Any) -> None:
        report(*args)
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / "try.wav").write_text("put there meanwhile")

    words = ("train", "samplernn", recordings, "-o", tmp_path / "mine", "--steps", 1, *SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "report", put_something_there)
        assert run(*words) == 2
    assert "the training is saved: `audiogen preset pack" in capsys.readouterr().err
    run("preset", "pack", tmp_path / "mine.run", "-o", tmp_path / "other")
    assert load_preset(tmp_path / "other").training.steps == 1


def test_statements_of_the_first_command_hold_on_resume(recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(recordings)
    out = tmp_path / "babble"
    words = ("train", "samplernn", ".", "-o", out, *SMALL)
    said = ("--author", "Ann", "--licence", "CC0-1.0", "--temperature", 0.7, "--top-p", 0.9)
    monkeypatch.setattr(sys, "argv", ["audiogen", "train", "once"])
    assert run(*words, "--steps", 1, *said) == 0
    monkeypatch.setattr(sys, "argv", ["audiogen", "train", "again", "--resume"])
    assert run(*words, "--resume", "--description", "A hall.") == 0
    preset = load_preset(out)
    assert (preset.authors, preset.licence, preset.description) == (["Ann"], "CC0-1.0", "A hall.")
    assert (preset.sampling.temperature, preset.sampling.top_p) == (0.7, 0.9)
    assert preset.data.source == "recordings" and preset.training.command == "audiogen train once"


def test_a_preset_has_a_name(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    out = tmp_path / "My Preset"
    assert run("train", "samplernn", tmp_path / "empty", "-o", out, "--steps", 2) == 2
    assert "name='My Preset' must be a name of 1 to 64 small" in capsys.readouterr().err
    assert run("train", "-o", tmp_path / "x", tmp_path / "empty") == 2
    assert "-o must follow the folder of sounds" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_an_empty_folder_is_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run("train", "samplernn", tmp_path / "empty", "-o", tmp_path / "x", "--steps", 2) == 2
    assert "holds no sound file" in capsys.readouterr().err


def test_augmentation_is_for_recordings(recordings, notes, tmp_path, capsys):
    words = ("train", "samplernn", "-o", tmp_path / "x", "--steps", 2, *SMALL)
    assert run(*words, notes, "--augmentation", 0.5) == 2
    assert "augmentation=0.5 is for recordings" in capsys.readouterr().err
    assert run(*words, recordings, "--augmentation", 1) == 0
    state = Checkpoints(tmp_path / "x.run", print).newest()
    assert state is not None and state["recipe"]["augmentation"] == 1.0


def test_input_noise_of_recordings_is_kept_on_resume(recordings, tmp_path, capsys):
    words = ("train", "samplernn", recordings, "-o", tmp_path / "x", *SMALL, "--steps", 2)
    assert run(*words, "--astray", 1) == 0
    state = Checkpoints(tmp_path / "x.run", print).newest()
    assert state is not None and state["recipe"]["input_noise"] == 1.0
    assert run(*words, "--resume", "--astray", 0.5) == 2
    assert "another recipe (input_noise)" in capsys.readouterr().err
    assert run(*words, "--resume") == 0
    config = SampleRNNConfig(frame_sizes=(2,), dim=8, embedding_size=4, q_levels=65536)
    prepared = read_data(recordings, config, excerpt_s=0.25, input_noise=1.0)
    random, training = np.random.default_rng(0), prepared.training
    n = training.n_samples
    chunks = [training.chunk(training.draw(random), 0, n) for _ in range(20)]
    assert sum(not np.array_equal(chunk.inputs, chunk.levels) for chunk in chunks) > 15
    held = prepared.held_out
    for which in {held.draw(random) for _ in range(20)} | set(held.all()):
        assert np.array_equal(held.chunk(which, 0, 64).inputs, held.chunk(which, 0, 64).levels)


def test_onset_weight_is_for_recordings(recordings, notes, tmp_path, capsys):
    words = ("train", "samplernn", "-o", tmp_path / "x", *SMALL, "--steps", 2)
    assert run(*words, notes, "--onset-weight", 8) == 2
    assert "onset_weight=8 is for recordings" in capsys.readouterr().err
    assert run(*words, recordings, "--onset-weight", 8) == 0
    state = Checkpoints(tmp_path / "x.run", print).newest()
    assert state is not None and state["recipe"]["onset_weight"] == 8.0
    assert run(*words, recordings, "--resume", "--onset-weight", 1) == 2
    assert "another recipe (onset_weight)" in capsys.readouterr().err
    assert run(*words, recordings, "--resume", "--onset-weight", 8) == 0


def test_the_licence_includes_that_of_the_initial_weights(recordings, tmp_path):
    words = ("train", "samplernn", recordings, *SMALL, "--steps", 2, "--preview-minutes", 0)
    names = [tmp_path / name for name in ("first", "second", "third")]
    assert run(*words, "-o", names[0], "--licence", "CC-BY-SA-3.0") == 0
    assert run(*words, "-o", names[1], "--licence", "MIT", "--from", names[0]) == 0
    assert run(*words, "-o", names[2], "--licence", "MIT", "--from", names[1]) == 0
    again = (*words, "-o", names[2], "--licence", "CC0-1.0", "--resume")
    assert run(*again, "--from", names[0]) == 2 and run(*again, "--from", names[1]) == 0
    assert run(*again) == 0
    licences = [(preset.licence, preset.data.licence) for preset in map(load_preset, names)]
    both = "MIT AND CC-BY-SA-3.0"
    last = (f"CC0-1.0 AND {both}", "CC0-1.0")
    assert licences == [("CC-BY-SA-3.0",) * 2, (both, "MIT"), last]
    assert load_preset(names[2]).training.command.endswith("--init-from second")


def test_weights_are_initialised_from_a_preset_of_the_same_sizes(recordings, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    words = ("train", "samplernn", recordings, *SMALL)
    assert run(*words, "-o", first, "--steps", 3) == 0
    start = ("--from", first, "--learning-rate", 0.0)
    assert run(*words, "-o", second, "--steps", 1, *start) == 0  # nothing is learned
    assert load_preset(second).measured["held_out_bits"] == pytest.approx(
        load_preset(first).measured["held_out_bits"], abs=1e-3
    )
    assert (
        load_preset(second).data.source
        == f"{recordings.name}; weights initialised from the preset first"
    )
    wider = (*words, "-o", tmp_path / "third", "--steps", 1, "--from", first, "--dim", 9)
    assert run(*wider) == 2
    assert "has dim = 8, this training 9" in capsys.readouterr().err
    faster = (*words, "-o", tmp_path / "third", "--steps", 1, "--from", first)
    assert run(*faster, "--sample-rate", 16000) == 2
    assert "has sample_rate = 8000, this training 16000" in capsys.readouterr().err
