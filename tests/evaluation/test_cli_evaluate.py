"""`audiogen evaluate`: asks the engine for notes, prints a table, writes the report."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

import audiogen
import audiogen.engine  # takes `load_preset` from its home before a test changes it
import audiogen.presets
from audiogen.audio.files import write_audio
from audiogen.cli.main import main
from audiogen.data.notes.nsynth import SetWriter
from audiogen.data.notes.splits import Split
from audiogen.data.source_toml import NOTES_TOML, toml_text
from audiogen.errors import PresetError

pytestmark = pytest.mark.skipif(
    find_spec("parselmouth") is None, reason="needs praat-parselmouth, of the extra eval"
)


class Sine:
    """Stands in for the engine: plays every note as a sine of its pitch."""

    n_rendered = 0

    def render(self, notes, *, sample_rate, seed, timbre, stereo):
        Sine.n_rendered += 1
        (note,) = notes
        time_s = np.arange(round((note.duration_s + 1) * sample_rate)) / sample_rate
        f0_hz = 440 * 2 ** ((note.pitch - 69) / 12)
        sound = note.velocity * np.sin(2 * np.pi * f0_hz * time_s)
        return (sound * np.clip((3.1 - time_s) / 0.1, 0, 1)).astype(np.float32)


@pytest.fixture
def preset(monkeypatch):
    timbres = [SimpleNamespace(name="sine", family="reed", program=71)]
    description = SimpleNamespace(
        is_kit=False,
        name="sines",
        timbres=timbres,
        pitch_range=[50, 70],
        plays_notes=True,
        sample_rate=16000,
    )

    def load_preset(name):
        if name != "sines":
            raise PresetError(f"there is no preset {name!r}")
        return description

    monkeypatch.setattr(audiogen.presets, "load_preset", load_preset)
    monkeypatch.setattr(audiogen, "load", lambda name, device: Sine(), raising=False)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_command_prints_and_writes(preset, tmp_path, capsys):
    folder = tmp_path / "report"
    assert run("evaluate", "sines", "--notes", 5, "--seed", 3, "-o", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("pitch within half a semitone" in line and "100.0%" in line for line in lines)
    content = json.loads((folder / "report.json").read_text())
    assert (content["seed"], content["generated"]["notes"]) == (3, 5)
    assert content["generated"]["pitch_ok"] == 1


def test_card_gets_what_was_measured(tmp_path):
    folder = tmp_path / "plucked"
    shutil.copytree(audiogen.presets.find_preset("plucked"), folder)
    before = audiogen.presets.read_fields(folder / "preset.toml")
    arguments = ("--notes", 2, "--card", "-o", tmp_path / "report")
    assert run("evaluate", folder, *arguments) == 0
    after = audiogen.presets.read_fields(folder / "preset.toml")
    measured, former = after.pop("measured"), before.pop("measured")
    assert measured["evaluated_notes"] == 2
    kept = {name: value for name, value in former.items() if name.startswith("held_out_")}
    assert kept and measured == kept | measured
    assert "kernel_distance_to_real" in former and "kernel_distance_to_real" not in measured
    assert after == before
    audiogen.presets.load_preset(folder)


def test_card_of_an_unconditional_preset_has_the_likelihood(write_murmur, tmp_path, capsys):
    pytest.importorskip("torch")
    folder, recordings = write_murmur(tmp_path / "murmur"), tmp_path / "recordings"
    recordings.mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 100 * np.arange(10 * 8000) / 8000)
    write_audio(recordings / "tone.wav", tone, 8000)
    options = ("--data", recordings, "--clips", 1, "--minutes", 0.2, "--card")
    assert run("evaluate", folder, *options, "-o", tmp_path / "report") == 0
    measured = audiogen.presets.load_preset(folder).measured
    assert measured["bits_bigram"] < measured["bits_unigram"] < measured["bits"]  # it is untrained
    assert measured["stream_s"] == 12.0 and measured["clicking_seams"] in (0.0, 1.0)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"bits per sample of the recordings {measured['bits']:.3f} +-" in shown
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["bits"]["preset"]["mean"] == pytest.approx(measured["bits"], abs=1e-4)


def test_rows_of_held_out_sounds_are_a_mode_of_gansynth_presets(write_murmur, tmp_path, capsys):
    folder = write_murmur(tmp_path / "murmur")
    rows = ("--held-out-bank", tmp_path)
    for arguments, message in (
        ((folder, *rows), "--held-out-... is not supported by preset 'murmur', which has no"),
        ((folder, *rows, "--train", tmp_path), "--train is not supported by --held-out-...; leave"),
        ((folder, *rows, "--data", tmp_path), "--data is not supported by --held-out-...; leave"),
        ((folder, *rows, "--against", tmp_path), "--held-out-bank is not supported by --against"),
        (("bowed", *rows), "examples.json"),
    ):
        assert run("evaluate", *arguments, "-o", tmp_path / "report") == 2
        error = " ".join(capsys.readouterr().err.split())
        assert message in error and "Traceback" not in error
    assert not (tmp_path / "report").exists()


def test_only_what_was_held_out_is_compared(preset, tmp_path, capsys):
    data, rate = tmp_path / "set", 16000
    with SetWriter(data, rate) as writer:
        for pitch in range(50, 60):
            hz = 440 * 2 ** ((pitch - 69) / 12)
            tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(4 * rate) / rate)
            options = {"instrument": "reed_acoustic_071", "family": "reed", "source": "acoustic"}
            writer.add(tone, pitch=pitch, velocity=100, qualities=[0] * 10, **options)
    names = tuple(f"reed_acoustic_071-{pitch:03d}-100" for pitch in range(50, 60))
    split, other = tmp_path / "split.json", tmp_path / "other.json"
    Split("note", 0, {"train": names[:7], "valid": names[7:9], "test": names[9:]}).write(split)
    Split("note", 0, {"train": names, "valid": ("x",)}).write(other)
    words = ("evaluate", "sines", "--notes", 3, "-o", tmp_path / "report", "--split")
    assert run(*words, split, "--data", data) == 0
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["real"]["notes"] == 3
    capsys.readouterr()
    assert run(*words, other, "--data", data) == 2
    assert "holds out none of the notes" in capsys.readouterr().err
    assert run(*words, split) == 2 and "--split must come with --data" in capsys.readouterr().err


def test_compared_notes_are_chosen_by_velocity(preset, tmp_path, capsys):
    data, rate = tmp_path / "set", 16000
    with SetWriter(data, rate) as writer:
        for pitch in range(50, 62):
            for velocity in (70, 100):
                hz = 440 * 2 ** ((pitch - 69) / 12)
                tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(4 * rate) / rate)
                options = {"instrument": "reed_a_071", "family": "reed", "source": "acoustic"}
                writer.add(tone, pitch=pitch, velocity=velocity, qualities=[0] * 10, **options)
    words = ("evaluate", "sines", "--data", data, "--notes", 12, "-o", tmp_path / "report")
    assert run(*words, "--metrics", "statistics") == 0
    out = capsys.readouterr().out
    assert "24 / 0" in out and max(map(len, out.splitlines()[:-3])) <= 80
    for arguments, message in (
        (["--velocities", "70", "--metrics", "statistics"], "12 real notes are too few for stat"),
        (["--velocities", "71"], "none of the 24 notes"),
        (["--velocities", "loud"], "--velocities 'loud' must be a list of numbers"),
        (["--metrics", "c2st"], "24 real notes are too few for c2st, which needs 60 or more"),
    ):
        assert run(*words, *arguments) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    for option in ("velocities", "metrics"):
        assert run("evaluate", "sines", f"--{option}", "70") == 2
        assert f"--{option} must come with --data" in capsys.readouterr().err


def test_bad_input_ends_with_status_2_before_the_work(preset, tmp_path, capsys):
    n_rendered = Sine.n_rendered
    (tmp_path / "file").write_text("")
    for arguments, message in (
        (["nothing", "-o", tmp_path / "report"], "there is no preset 'nothing'"),
        (["sines", "--data", tmp_path, "-o", tmp_path / "report"], "examples.json"),
        (["sines", "-o", tmp_path / "file" / "report"], "can't be made"),
        (["sines", "--tracker", "ear"], "ear"),
    ):
        assert run("evaluate", *arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
    assert not (tmp_path / "report").exists()
    assert Sine.n_rendered == n_rendered


DRUM_KEYS = {"kick": 36, "snare": 38, "hat": 42}


def write_kit_set(folder, kit, keys=DRUM_KEYS, seed=None):
    """Write what a kit plays as a set of recordings; return the entries of its instruments.

    Without a seed, each velocity has its own.
    """
    entries = []
    with SetWriter(folder, 16000) as writer:
        for name, key in keys.items():
            instrument = f"mallet_acoustic_{key:03d}"
            entries.append(
                {"instrument_str": instrument, "name": f"my {name}", "key": key, "notes": 8}
            )
            for velocity in range(20, 100, 10):
                sound = audiogen.load(kit).render(
                    [(0.0, 0.5, key, velocity / 127)], stereo=False, seed=seed or velocity
                )
                writer.add(
                    sound,
                    instrument=instrument,
                    family="mallet",
                    source="acoustic",
                    pitch=24,
                    velocity=velocity,
                    qualities=[0] * 10,
                )
    text = toml_text("Source.", {"font": "Kit"}, "instruments", entries)
    (folder / NOTES_TOML).write_text(text)
    return entries


def test_a_drum_kit_is_compared_key_by_key(tmp_path, write_kit, capsys):
    drums = {"kick": {"pitch": 60.5, "pan": -0.5}, "snare": {"pitch": 66.0}}
    kit, keys = write_kit(tmp_path / "kit", drums), DRUM_KEYS
    entries = write_kit_set(tmp_path / "real", kit)
    words = ("--notes", 12, "--metrics", "statistics", "-o", tmp_path / "report", "--card")
    assert run("evaluate", kit, "--data", tmp_path / "real", *words) == 0
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    keys_of = {note["timbre"]: note["pitch"] for note in content["notes"]}
    assert keys_of.items() <= keys.items()
    assert {note["pitch"] for note in content["real_notes"]} <= set(keys.values())
    out = capsys.readouterr().out
    assert "level (dBFS)" in out and "pitch" not in out and "nan" not in out
    card = audiogen.presets.read_fields(kit / "preset.toml")["measured"]
    assert card["evaluated_notes"] == 12 and "pitch_ok" not in card
    for group in ("steady", "varying"):
        name = f"level_dbfs_{group}"
        if name in card:  # another seed of the same sounds
            assert card[name] == pytest.approx(card[f"real_{name}"], abs=1.5)
    # A set without any of its keys.
    entries = [{**entry, "key": entry["key"] + 40, "name": f"x{entry['key']}"} for entry in entries]
    text = toml_text("Source.", {"font": "Kit"}, "instruments", entries)
    (tmp_path / "real" / NOTES_TOML).write_text(text)
    assert run("evaluate", kit, "--data", tmp_path / "real", "-o", tmp_path / "other") == 2
    assert "has no recordings of the kit's keys" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_sounds_of_other_kits_are_encoded(tmp_path, write_tiny, preset_fields, monkeypatch, capsys):
    from audiogen.evaluation import held_out, two_sample
    from audiogen.training.gansynth.encoding import encode

    monkeypatch.setattr(held_out, "MIN_NOTES", 10)
    monkeypatch.setattr(two_sample, "MIN_NOTES", 10)
    monkeypatch.setattr(two_sample, "N_STEPS", {"attack": 3, "held": 3})
    monkeypatch.setattr(encode, "STEPS", 2)
    keys = {"kick": 36, "snare": 38, "hat": 42, "tom": 45}
    random = np.random.default_rng(1)
    drums = [
        {"name": name, "family": "percussion", "key": key, "pitch": 40.0 + key / 2}
        | {"z": random.standard_normal(3).tolist()}
        for name, key in keys.items()
    ]
    fields = {"timbres": drums, "default_timbre": "snare", "sustain": None}
    # Sounds of 128 ms with peaks of 0.1 to 0.7.
    fields["spectrogram"] = preset_fields["spectrogram"] | {"n_frames": 64, "magnitude_scale": 0.4}
    fields["generator"] = preset_fields["generator"] | {"start_shape": [16, 16]}
    kit = write_tiny(tmp_path / "kit", **fields, pitch_range=[36, 45])
    write_kit_set(tmp_path / "real", kit, keys, seed=1)
    rows = ("--held-out-notes", tmp_path / "real", "--held-out-bank", tmp_path / "real")
    words = ("--encoded", 1, "--seed", 1, "-o", tmp_path / "report", "--card")
    assert run("evaluate", kit, *rows, *words) == 0
    out = capsys.readouterr().out
    assert "4 notes encoded" in out and "nan" not in out and "left out" not in out
    card = audiogen.presets.read_fields(kit / "preset.toml")["measured"]
    assert card["held_out_notes_count"] == 32 and card["held_out_bank_count"] == 28
    assert "held_out_notes_pitch_ok" not in card  # drums have none
    of_notes, of_bank = (card[f"held_out_{row}_frechet_distance"] for row in ("notes", "bank"))
    among_real = card["held_out_notes_frechet_distance_among_real"]
    assert of_notes == pytest.approx(among_real, abs=0.01)  # it plays its own sounds
    assert among_real < of_bank < 1.0  # and those that were encoded with few steps
    notes = tmp_path / "real" / NOTES_TOML
    notes.write_text(notes.read_text().replace("key = ", "place = "))
    assert run("evaluate", kit, *rows, "-o", tmp_path / "other") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "isn't of a drum kit, but the preset is one" in error and "Traceback" not in error
