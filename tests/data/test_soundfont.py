"""A soundfont becomes a set of notes: the right keys, dry, on time, whole or not at all."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from audiogen.data import read_notes, read_split, render_soundfont
from audiogen.data.notes.families import FAMILIES, SOURCES, family_of, source_of
from audiogen.data.notes.nsynth import NOTE_ON_S, NOTE_S, PEAK
from audiogen.data.notes.qualities import QUALITIES, measure_qualities
from audiogen.data.render.sf2 import read_soundfont
from audiogen.errors import FormatError, MissingPackageError, ParameterError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RATE = 16000
needs_renderer = pytest.mark.skipif(
    find_spec("midirenderer") is None,
    reason="needs midirenderer, of the extra soundfont",
)


def peak_frequency_hz(waveform: np.ndarray, sample_rate: int) -> float:
    """Frequency of the highest peak of the spectrum; within 1 Hz for a second of sine."""
    part = waveform[sample_rate : 2 * sample_rate] * np.hanning(sample_rate)
    return float(np.argmax(np.abs(np.fft.rfft(part, 8 * sample_rate)))) / 8


# --- Reading a font ------------------------------------------------------------------------------


def test_font_tells_name_licence_and_recorded_keys(tiny_font):
    font = read_soundfont(tiny_font)
    assert (font.name, font.licence) == ("Tiny", "CC0-1.0")
    assert sorted(font.presets) == [(0, 0), (0, 1), (0, 73)]
    sine, two = font.presets[0, 0], font.presets[0, 73]
    assert (sine.name, two.name) == ("Sine", "Two zones")
    assert sine.distance_semitones(67, 100) == 7
    assert [zone.keys for zone in two.zones] == [(0, 71), (72, 127)]
    # A tuning of +50 cents moves the untransposed key down half a semitone, -12 semitones up 12.
    assert [zone.recorded_key for zone in two.zones] == [59.5, 71.5]


def test_key_that_no_zone_answers_is_infinitely_far(tiny_font):
    preset = read_soundfont(tiny_font).presets[0, 73]
    assert preset.distance_semitones(71, 100) == 11.5
    assert preset.distance_semitones(72, 100) == 0.5
    assert preset.distance_semitones(128, 100) == np.inf


def test_a_font_beyond_the_limit_is_refused(tiny_font, monkeypatch):
    monkeypatch.setattr("audiogen.data.render.sf2.MAX_FILE_BYTES", 1000)
    with pytest.raises(FormatError, match=r"tiny\.sf2: is too large"):
        read_soundfont(tiny_font)


@pytest.mark.parametrize("keep", [0, 11, 60, 2000, -1, -50, -300])
def test_truncated_font_is_refused(tiny_font, keep):
    tiny_font.write_bytes(tiny_font.read_bytes()[:keep])
    with pytest.raises(FormatError, match=r"tiny\.sf2.*isn't a whole SoundFont 2"):
        read_soundfont(tiny_font)


def test_garbled_font_is_refused_or_read(tiny_font):
    """Whatever a byte says, the reader never fails in another way."""
    original = tiny_font.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(original)
        for place in rng.integers(len(data) - 1500, len(data), 3):  # the hydra
            data[place] = rng.integers(256)
        tiny_font.write_bytes(data)
        try:
            read_soundfont(tiny_font)
        except FormatError:
            pass


def test_missing_font_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"none\.sf2.*can't be read \(No such file"):
        read_soundfont(tmp_path / "none.sf2")


# --- Rendering -----------------------------------------------------------------------------------


@needs_renderer
def test_notes_have_pitch_onset_length_and_level(tiny_font, tmp_path):
    options = {"programs": [0], "velocities": [60, 127], "sample_rate": RATE}
    n = render_soundfont(tiny_font, tmp_path / "set", **options)
    notes = read_notes(tmp_path / "set", sample_rate=RATE)
    assert n == len(notes) == 15 * 2  # 60 +- 7 semitones
    assert {note.pitch for note in notes} == set(range(53, 68))
    waveforms = notes.waveforms()
    assert waveforms.shape == (30, round(NOTE_S * RATE))
    assert np.abs(waveforms).max() == pytest.approx(PEAK, abs=1e-3)
    for note, waveform in zip(notes, waveforms, strict=True):
        wanted_hz = 440 * 2 ** ((note.pitch - 69) / 12)
        assert peak_frequency_hz(waveform, RATE) == pytest.approx(wanted_hz, abs=0.6)
        sounding = np.flatnonzero(np.abs(waveform) > 0.01)
        assert sounding[0] < 0.004 * RATE
        assert abs(sounding[-1] / RATE - NOTE_ON_S) < 0.15
    loud, soft = (waveforms[[v.velocity == velocity for v in notes]] for velocity in (127, 60))
    assert 10 < 20 * np.log10(loud.std() / soft.std()) < 16  # 13 dB by the standard's curve


@needs_renderer
def test_notes_are_dry_however_wet_the_font(tiny_font, wet_font, tmp_path):
    for font in (tiny_font, wet_font):
        render_soundfont(font, tmp_path / font.stem, programs=[0], pitches=(60, 60))
    dry, wet = (read_notes(tmp_path / font.stem).waveforms() for font in (tiny_font, wet_font))
    np.testing.assert_array_equal(wet, dry)


@needs_renderer
def test_silent_and_far_notes_are_left_out_and_named(tiny_font, tmp_path):
    render_soundfont(tiny_font, tmp_path / "set", pitches=(66, 80), velocities=[100])
    notes = read_notes(tmp_path / "set")
    pitches = {
        name: [note.pitch for note in notes.filter(instruments=[name])]
        for name in notes.instruments
    }
    assert pitches == {
        "flute_acoustic_073": [66, 72, 73, 74, 75, 76, 77, 78],
        "keyboard_acoustic_000": [66, 67],
    }
    table = tomllib.loads((tmp_path / "set" / "font.toml").read_text())
    assert table["left_out"] == ["1 Silence"]
    assert [instrument["pitches"] for instrument in table["instruments"]] == [[66, 67], [66, 78]]


@needs_renderer
def test_transposed_program_is_stored_under_its_sounding_pitch(tiny_font, tmp_path):
    settings = {"velocities": [100], "pitches": (60, 72), "programs": [0]}
    render_soundfont(tiny_font, tmp_path / "plain", **settings)
    render_soundfont(tiny_font, tmp_path / "set", transpose={0: 7}, **settings)
    plain, moved = (read_notes(tmp_path / name) for name in ("plain", "set"))
    assert [note.pitch for note in moved] == list(range(60, 73))  # keys 53 to 65 of 53 to 67
    by_pitch = {note.pitch: sound for note, sound in zip(plain, plain.waveforms(), strict=True)}
    for note, sound in zip(moved, moved.waveforms(), strict=True):
        if note.pitch - 7 in by_pitch:
            gain = np.abs(sound).max() / np.abs(by_pitch[note.pitch - 7]).max()
            np.testing.assert_allclose(sound, gain * by_pitch[note.pitch - 7], atol=1e-3)
    table = tomllib.loads((tmp_path / "set" / "font.toml").read_text())
    assert table["instruments"][0]["transpose"] == 7
    assert "transpose" not in (tmp_path / "plain" / "font.toml").read_text().split("instruments")[1]


@needs_renderer
def test_keys_half_a_semitone_apart_are_stored_where_pitches_are_whole(half_step_font, tmp_path):
    assert read_soundfont(half_step_font).presets[0, 0].distance_semitones(70, 100) == 5
    settings = {"velocities": [100], "pitches": (60, 72), "programs": [0], "sample_rate": RATE}
    render_soundfont(half_step_font, tmp_path / "set", transpose={0: 2}, **settings)
    notes = read_notes(tmp_path / "set")
    assert [note.pitch for note in notes] == list(range(60, 70))  # of each second key, 56 to 74
    for note, sound in zip(notes, notes.waveforms(), strict=True):
        wanted = 440 * 2 ** ((note.pitch - 2 - 69) / 12)
        assert peak_frequency_hz(sound, RATE) == pytest.approx(wanted, rel=0.005)
    (entry,) = tomllib.loads((tmp_path / "set" / "font.toml").read_text())["instruments"]
    assert (entry["transpose"], entry["semitones_per_key"]) == (2, 0.5)


@needs_renderer
def test_font_toml_names_font_and_licence(tiny_font, tmp_path):
    for name, licence in (("own", None), ("given", 'say "MIT"')):
        folder = tmp_path / name
        render_soundfont(tiny_font, folder, programs=[0], pitches=(60, 60), licence=licence)
        table = tomllib.loads((folder / "font.toml").read_text())
        assert table["font"] == "Tiny"
        assert table["licence"] == (licence or "CC0-1.0")
        assert table["instruments"][0]["notes"] == 3
    tiny_font.write_bytes(tiny_font.read_bytes().replace(b"CC0-1.0", b"\0" * 7))
    render_soundfont(tiny_font, tmp_path / "mute", programs=[0], pitches=(60, 60))
    table = tomllib.loads((tmp_path / "mute" / "font.toml").read_text())
    assert table["licence"] == "not stated by the font"


@needs_renderer
def test_examples_have_nsynth_keys(tiny_font, tmp_path):
    render_soundfont(tiny_font, tmp_path / "set", programs=[0, 73], velocities=[100])
    examples = json.loads((tmp_path / "set" / "examples.json").read_text())
    example = examples["flute_acoustic_073-060-100"]
    assert set(example) == {
        "note", "note_str", "instrument", "instrument_str", "instrument_family",
        "instrument_family_str", "instrument_source", "instrument_source_str", "pitch",
        "velocity", "sample_rate", "qualities", "qualities_str",
    }  # fmt: skip
    assert (example["instrument_family"], example["instrument_family_str"]) == (2, "flute")
    assert (example["instrument_source"], example["instrument_source_str"]) == (0, "acoustic")
    assert len(example["qualities"]) == 10
    assert sorted(e["note"] for e in examples.values()) == list(range(len(examples)))
    assert {e["instrument"] for e in examples.values()} == {0, 1}


@needs_renderer
def test_rendering_repeats_to_the_byte(tiny_font, tmp_path):
    for name in ("a", "b"):
        render_soundfont(
            tiny_font, tmp_path / name, programs=[73], pitches=(58, 62), split_by="note", seed=3
        )
    a, b = (sorted((tmp_path / name).rglob("*.*")) for name in ("a", "b"))
    assert len(a) == 5 * 3 + 3
    assert [path.read_bytes() for path in a] == [path.read_bytes() for path in b]


@needs_renderer
def test_other_sample_rate_keeps_pitch(tiny_font, tmp_path):
    render_soundfont(tiny_font, tmp_path / "set", programs=[0], pitches=(60, 60), sample_rate=22050)
    waveform = read_notes(tmp_path / "set", sample_rate=22050).waveforms()[0]
    assert len(waveform) == 4 * 22050
    assert peak_frequency_hz(waveform, 22050) == pytest.approx(261.63, abs=0.6)


@needs_renderer
def test_more_notes_than_one_midi_file_holds_stay_in_order(tiny_font, tmp_path):
    velocities = list(range(60, 66))  # 15 keys x 6: more than the 64 of one file
    options = {"programs": [0], "velocities": velocities, "sample_rate": RATE}
    render_soundfont(tiny_font, tmp_path / "set", **options)
    notes = read_notes(tmp_path / "set")
    assert len(notes) == 90
    for note, waveform in zip(notes, notes.waveforms(), strict=True):
        wanted_hz = 440 * 2 ** ((note.pitch - 69) / 12)
        assert peak_frequency_hz(waveform, RATE) == pytest.approx(wanted_hz, abs=0.6)


@needs_renderer
@pytest.mark.parametrize("split_by", ["note", "instrument"])
def test_split_is_recorded_when_there_is_enough(tiny_font, tmp_path, split_by):
    options = {"pitches": (58, 62), "velocities": [100]}
    render_soundfont(tiny_font, tmp_path / "set", split_by=split_by, seed=5, **options)
    path = tmp_path / "set" / "split.json"
    if split_by == "instrument":  # two instruments can't make three parts
        assert not path.exists()
    else:
        split = read_split(path)
        notes = read_notes(tmp_path / "set")
        assert (split.by, split.seed) == ("note", 5)
        assert sum(len(notes.take(part)) for part in split.parts.values()) == len(notes)


@needs_renderer
def test_nothing_is_left_of_a_broken_run(tiny_font, tmp_path):
    def stop(done: int, total: int, name: str) -> None:
        if done:
            raise KeyboardInterrupt

    before = set(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        render_soundfont(tiny_font, tmp_path / "set", programs=[0, 73], progress=stop)
    assert set(tmp_path.iterdir()) == before


@needs_renderer
def test_occupied_folder_is_refused_and_kept(tiny_font, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("precious")
    with pytest.raises(ParameterError, match=r"set.*exists and isn't an empty folder"):
        render_soundfont(tiny_font, tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"programs": [5, 200]}, r"program=5 not found in bank 0 of tiny.sf2, which has 3"),
        ({"velocities": [0]}, r"velocities=\[0\] must be"),
        ({"velocities": []}, r"velocities=\[\] must be"),
        ({"pitches": (60, 50)}, r"pitches=\(60, 50\) must be"),
        ({"sample_rate": 10}, "sample_rate=10 must be a whole number"),
        ({"pitches": (0, 20)}, r"no usable note within pitches=\(0, 20\)"),
        ({"programs": [0], "transpose": {1: 12}}, "transpose=.1: 12.: program 1 is not among"),
        ({"transpose": {0: 50}}, "transpose=.0: 50. must be whole semitones from -48 to 48"),
    ],
)
@needs_renderer
def test_bad_options_are_named(tiny_font, tmp_path, options, message):
    with pytest.raises(ParameterError, match=message):
        render_soundfont(tiny_font, tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_missing_renderer_is_named(tiny_font, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "midirenderer", None)
    with pytest.raises(MissingPackageError, match=r"audiogen-synth\[soundfont\]"):
        render_soundfont(tiny_font, tmp_path / "set")


@needs_renderer
def test_flute_of_a_general_midi_font_has_its_pitch(general_midi_font: Path, tmp_path):
    import librosa

    options = {"programs": [73], "velocities": [100], "pitches": (60, 84), "sample_rate": RATE}
    render_soundfont(general_midi_font, tmp_path / "set", **options)
    notes = read_notes(tmp_path / "set")
    assert len(notes) == 25
    for note in notes.notes[::6]:
        waveform = notes.waveform(note)[8000:24000]
        frequency_hz, voiced, _ = librosa.pyin(waveform, fmin=100, fmax=2000, sr=RATE)
        measured = float(librosa.hz_to_midi(np.median(frequency_hz[voiced])))
        assert measured == pytest.approx(note.pitch, abs=0.5)


# --- Words ---------------------------------------------------------------------------------------


def test_every_program_has_family_and_source():
    assert {family_of(program) for program in range(128)} == set(FAMILIES)
    assert {source_of(program) for program in range(128)} == set(SOURCES)
    known = {0: "keyboard", 11: "mallet", 19: "organ", 25: "guitar", 33: "bass", 40: "string"}
    known |= {47: "mallet", 52: "vocal", 56: "brass", 65: "reed", 73: "flute", 81: "synth_lead"}
    assert {program: family_of(program) for program in known} == known
    with pytest.raises(ParameterError, match="program=128"):
        family_of(128)


def test_qualities_are_audible():
    rng = np.random.default_rng(0)
    time_s = np.arange(4 * RATE) / RATE
    pluck = np.sin(2 * np.pi * 200 * time_s) * np.exp(-time_s * 12)
    hiss = rng.normal(size=time_s.size) * 0.1

    def names(waveform: np.ndarray) -> set[str]:
        flags = measure_qualities(waveform, RATE, NOTE_ON_S)
        return {name for name, found in zip(QUALITIES, flags, strict=True) if found}

    assert names(pluck) == {"dark", "percussive", "fast_decay"}
    assert names(hiss) == {"bright", "long_release"}
    assert names(hiss * (time_s < 3)) == {"bright"}
    swell = np.minimum(time_s / 0.3, 1) * np.exp(-12 * np.maximum(time_s - 0.3, 0))
    assert names(np.sin(2 * np.pi * 1000 * time_s) * swell) == {"fast_decay"}
    assert names(np.zeros(64000)) == set()
