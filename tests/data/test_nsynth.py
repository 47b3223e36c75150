"""Sets in NSynth's layout: NSynth's own records are read, and whatever is wrong is counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiogen.data import NoteInfo, NoteSet, SetWriter, read_notes
from audiogen.errors import FormatError, ParameterError

# A record of NSynth's own examples.json, as published.
NSYNTH_RECORD = {
    "bass_synthetic_033-022-050": {
        "note": 201034,
        "sample_rate": 16000,
        "instrument_family": 0,
        "qualities": [0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        "instrument_source_str": "synthetic",
        "note_str": "bass_synthetic_033-022-050",
        "instrument_family_str": "bass",
        "instrument_str": "bass_synthetic_033",
        "pitch": 22,
        "instrument": 417,
        "velocity": 50,
        "instrument_source": 2,
        "qualities_str": ["dark"],
    }
}


def write_set(folder: Path, n_samples: int = 160) -> np.ndarray:
    """Write 2 instruments x 3 pitches x 2 velocities; return the waveforms in order of name."""
    rng = np.random.default_rng(0)
    waveforms = {}
    with SetWriter(folder, 16000) as writer:
        for instrument, family, source in (
            ("reed_acoustic_071", "reed", "acoustic"),
            ("bass_synthetic_038", "bass", "synthetic"),
        ):
            for pitch in (40, 50, 60):
                for velocity in (50, 127):
                    waveform = rng.uniform(-1, 1, n_samples)
                    waveforms[f"{instrument}-{pitch:03d}-{velocity:03d}"] = waveform
                    writer.add(
                        waveform,
                        instrument=instrument,
                        family=family,
                        source=source,
                        pitch=pitch,
                        velocity=velocity,
                        qualities=[0] * 9 + [1],
                    )
    return np.stack([waveforms[name] for name in sorted(waveforms)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_set(tmp_path / "set")
    return tmp_path / "set"


def edit(folder: Path, **changes: object) -> None:
    """Change fields of the first listed record."""
    path = folder / "examples.json"
    examples = json.loads(path.read_text())
    next(iter(examples.values())).update(changes)
    path.write_text(json.dumps(examples))


def test_what_is_written_is_read(tmp_path):
    written = write_set(tmp_path / "set")
    notes = read_notes(tmp_path / "set", sample_rate=16000)
    assert len(notes) == 12
    assert notes.instruments == ("bass_synthetic_038", "reed_acoustic_071")
    first = notes.notes[0]
    assert (first.name, first.pitch, first.velocity) == ("bass_synthetic_038-040-050", 40, 50)
    assert (first.family, first.source, first.qualities) == ("bass", "synthetic", ("tempo-synced",))
    read = notes.waveforms()
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, written, atol=1 / 32768)  # 16 bits


def test_nsynth_itself_is_read_unchanged(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "examples.json").write_text(json.dumps(NSYNTH_RECORD))
    name = next(iter(NSYNTH_RECORD))
    soundfile.write(tmp_path / "audio" / f"{name}.wav", np.full(64000, 0.25), 16000, "PCM_16")
    notes = read_notes(tmp_path, sample_rate=16000)
    note = notes.notes[0]
    assert (note.pitch, note.velocity, note.qualities) == (22, 50, ("dark",))
    assert (note.instrument, note.family, note.source) == (
        "bass_synthetic_033",
        "bass",
        "synthetic",
    )
    assert notes.waveform(note).shape == (64000,)


def test_filters_agree_with_everything_given(folder):
    notes = read_notes(folder)
    assert len(notes.filter(pitches=(40, 50))) == 8
    assert len(notes.filter(velocities=[127], families=["reed"])) == 3
    chosen = notes.filter(pitches=(60, 60), sources=["synthetic"], velocities=[50])
    assert [note.name for note in chosen] == ["bass_synthetic_038-060-050"]
    assert notes.filter(instruments=["reed_acoustic_071"]).instruments == ("reed_acoustic_071",)
    assert isinstance(chosen, NoteSet)
    assert chosen.waveforms().shape == (1, 160)


def test_filter_that_leaves_nothing_is_named(folder):
    notes = read_notes(folder)
    with pytest.raises(ParameterError, match=r"none of the 12 notes .* is left: pitches=\(0, 5\)"):
        notes.filter(pitches=(0, 5))
    with pytest.raises(ParameterError, match=r"family='brass' not found in .*it has bass, reed"):
        notes.filter(families=["brass"])
    with pytest.raises(ParameterError, match=r"1 of 1 names not found in"):
        notes.take(["nothing"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"examples\.json' can't be read \(No such file"),
        ("", "\\(faults: 1\\); the first is in the file itself: Invalid JSON"),
        ('{"a": ', "Invalid JSON"),
        ("[]", "the first is in the file itself"),
        ("{}", "lists no notes"),
        ('{"a": {"pitch": 60}}', r"\(faults: 6\); the first is in a\."),
    ],
)
def test_broken_list_is_refused(folder, content, message):
    if content is None:
        (folder / "examples.json").unlink()
    else:
        (folder / "examples.json").write_text(content)
    with pytest.raises(FormatError, match=message):
        read_notes(folder)


@pytest.mark.parametrize(
    ("field", "value"), [("pitch", 128), ("pitch", "high"), ("velocity", -1), ("sample_rate", 0)]
)
def test_wrong_field_is_named(folder, field, value):
    edit(folder, **{field: value})
    with pytest.raises(FormatError, match=rf"\(faults: 1\); the first is in .*{field}"):
        read_notes(folder)


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", "", "a\\b", "/etc/passwd"])
def test_names_that_are_paths_are_refused(folder, name):
    with pytest.raises(FormatError, match="must be a file name without a path"):
        NoteInfo(name, "reed_acoustic_071", "reed", "acoustic", 40, 50, 16000)
    edit(folder, note_str=name)
    with pytest.raises(FormatError, match=r"examples\.json': note .* must be a file name"):
        read_notes(folder)


def test_missing_sounds_are_counted(folder):
    for name in ("bass_synthetic_038-040-050", "reed_acoustic_071-060-127"):
        (folder / "audio" / f"{name}.wav").unlink()
    with pytest.raises(FormatError, match=r"2 of 12 sound files not found .*038-040-050\.wav"):
        read_notes(folder)
    for path in (folder / "audio").iterdir():
        path.unlink()
    (folder / "audio").rmdir()
    with pytest.raises(FormatError, match="audio' can't be read"):
        read_notes(folder)


def test_wrong_sample_rates_are_counted(folder):
    with pytest.raises(FormatError, match=r"must have 44100 Hz, .* \(12 at 16000 Hz\)"):
        read_notes(folder, sample_rate=44100)
    edit(folder, sample_rate=8000)
    with pytest.raises(FormatError, match=r"one sample rate, .* \(1 at 8000 Hz, 11 at 16000 Hz\)"):
        read_notes(folder)


def test_sound_that_contradicts_the_list_is_refused(folder):
    notes = read_notes(folder)
    path = folder / "audio" / f"{notes.notes[0].name}.wav"
    soundfile.write(path, np.zeros(160), 8000)
    with pytest.raises(FormatError, match="has 8000 Hz and 1 channel;"):
        notes.waveforms()
    soundfile.write(path, np.zeros((160, 2)), 16000)
    with pytest.raises(FormatError, match="has 16000 Hz and 2 channels"):
        notes.waveforms()
    path.write_bytes(b"not a sound")
    with pytest.raises(FormatError, match="can't be read"):
        notes.waveforms()
    soundfile.write(path, np.zeros(100), 16000)
    with pytest.raises(FormatError, match="1 of 100 samples, 11 of 160 samples"):
        notes.waveforms()


def test_writer_leaves_nothing_of_a_broken_run(tmp_path):
    with pytest.raises(RuntimeError), SetWriter(tmp_path / "set", 16000):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for folder, message in (("file", "isn't an empty folder"), ("file/set", "can't be written")):
        with (
            pytest.raises(ParameterError, match=message),
            SetWriter(tmp_path / folder, 16000),
        ):
            pass


def test_reading_needs_no_heavy_package(folder):
    """Arrays only: neither torch nor what rendering needs is imported."""
    code = (
        "import sys; from audiogen.data import read_notes;"
        f"read_notes({str(folder)!r}).waveforms();"
        "heavy = {'torch', 'scipy', 'librosa', 'numba', 'mido', 'soxr', 'matplotlib'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
