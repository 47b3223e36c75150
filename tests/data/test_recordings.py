"""A folder of recordings: read, trimmed, split by file; what can't be used is named."""

from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile

from audiogen.data.recordings import MARGIN_S, PEAK, concatenate, read_recordings
from audiogen.errors import FormatError, ParameterError

RATE = 16000


def tone(seconds: float, rate: int = RATE, level: float = 0.5, hz: float = 440.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def folder(tmp_path):
    quiet = np.zeros(RATE)
    soundfile.write(tmp_path / "a.wav", np.concatenate((quiet, tone(1.0), quiet)), RATE)
    (tmp_path / "drums").mkdir()
    stereo = np.stack((tone(2.0, 44100, 0.25), tone(2.0, 44100, 0.25)), axis=1)
    soundfile.write(tmp_path / "drums" / "b.flac", stereo, 44100)
    soundfile.write(tmp_path / "drums" / "silent.wav", quiet, RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFFnonsense")
    (tmp_path / "notes.txt").write_text("not a sound")
    return tmp_path


def test_files_are_resampled_mixed_trimmed_and_scaled_by_one_gain(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    found = read_recordings(folder, RATE)
    assert [(f.name, f.label) for f in found.files] == [("a.wav", ""), ("drums/b.flac", "drums")]
    a, b = (file.samples for file in found.files)
    assert len(a) == pytest.approx(RATE * (1.0 + 2 * MARGIN_S), abs=50)
    assert len(b) == pytest.approx(2 * RATE, abs=50)
    assert np.abs(a).max() == pytest.approx(PEAK, abs=1e-6)
    assert np.abs(b).max() == pytest.approx(PEAK / 2, rel=0.02)  # as much fainter as it was
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_is_left_out_is_named_with_the_reason(folder):
    skipped = dict(read_recordings(folder, RATE).skipped)
    assert set(skipped) == {"broken.wav", "drums/silent.wav"}
    assert "can't be read" in skipped["broken.wav"] and skipped["drums/silent.wav"] == "is silent"


def test_a_sample_that_resampling_leaves_nothing_of_is_left_out(folder):
    soundfile.write(folder / "one.wav", np.ones(1), 48000)
    assert dict(read_recordings(folder, RATE).skipped)["one.wav"] == "is too short"


def test_a_subfolder_that_cannot_be_opened_is_named(folder, monkeypatch):
    scan = os.scandir

    def refuse(place):
        if os.fspath(place).endswith("drums"):
            raise PermissionError(13, "Permission denied", place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)
    found = read_recordings(folder, RATE)
    assert dict(found.skipped)["drums"] == "can't be opened"
    assert [file.name for file in found.files] == ["a.wav"]


def test_sound_that_is_not_read_is_left_out_and_named(folder):
    (folder / "drums" / "phone.M4A").write_bytes(b"....ftypM4A ")
    (folder / "._a.wav").write_bytes(b"what a Mac leaves behind")
    opus = np.concatenate((tone(0.5, 48000), tone(0.5, 48000, hz=880.0)))
    soundfile.write(folder / "voice.opus", opus, 48000, format="OGG", subtype="OPUS")
    found = read_recordings(folder, RATE)
    skipped = dict(found.skipped)
    assert skipped["drums/phone.M4A"] == ".M4A files can't be read; export as wav"
    assert "._a.wav" not in skipped
    assert [file.name for file in found.files][-1] == "voice.opus"
    assert len(found.files[-1].samples) == pytest.approx(RATE, abs=1000)


def test_files_of_no_subfolder_are_of_no_label(folder):
    found = read_recordings(folder, RATE).by_label()
    assert found.labels == ["drums"] and dict(found.skipped)["a.wav"] == "is in no subfolder"


def test_progress_names_each_file(folder):
    seen = []
    read_recordings(folder, RATE, lambda *told: seen.append(told))
    names = ["a.wav", "broken.wav", "drums/b.flac", "drums/silent.wav"]
    assert seen == [(i, 4, name) for i, name in enumerate(names)]


def test_a_folder_without_sound_is_refused(tmp_path):
    with pytest.raises(FormatError, match="isn't a folder"):
        read_recordings(tmp_path / "nowhere", RATE)
    with pytest.raises(FormatError, match="holds no sound file; wav, flac"):
        read_recordings(tmp_path, RATE)
    soundfile.write(tmp_path / "x.wav", np.zeros(100), RATE)
    with pytest.raises(FormatError, match=r"left out: x.wav \(is silent\)"):
        read_recordings(tmp_path, RATE)


@pytest.fixture
def many(tmp_path):
    for label in ("low", "high"):
        (tmp_path / label).mkdir()
        for i in range(10):
            soundfile.write(tmp_path / label / f"{i}.wav", tone(0.2 + 0.02 * i), RATE)
    return read_recordings(tmp_path, RATE)


def test_a_split_shares_out_files_of_every_label(many):
    training, held = many.split(0.2, seed=3, by_label=True)
    assert sorted(f.name for f in training + held) == [f.name for f in many.files]
    for label in ("low", "high"):
        parts = [[f for f in part if f.label == label] for part in (training, held)]
        length = [sum(len(f.samples) for f in part) for part in parts]
        assert 0.2 <= length[1] / sum(length) < 0.36
    again = many.split(0.2, seed=3, by_label=True)
    assert [f.name for f in again[1]] == [f.name for f in held]
    other = many.split(0.2, seed=4, by_label=True)
    assert {f.name for f in other[1]} != {f.name for f in held}


def test_one_file_cannot_be_split(tmp_path):
    soundfile.write(tmp_path / "only.wav", tone(1.0), RATE)
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    with pytest.raises(ParameterError, match=r"1 usable file; .*left out: broken\.wav"):
        read_recordings(tmp_path, RATE).split(0.1, 0)


def test_subfolders_that_are_no_classes_change_no_split(tmp_path):
    for i in range(6):
        (tmp_path / f"{i}").mkdir()
        soundfile.write(tmp_path / f"{i}" / "a.wav", tone(0.3), RATE)
    found = read_recordings(tmp_path, RATE)
    training, held = found.split(0.3, 0)
    assert (len(training), len(held)) == (4, 2)
    with pytest.raises(ParameterError, match="each class has 1 usable file"):
        found.split(0.3, 0, by_label=True)


def test_joined_files_stand_in_random_order_with_gaps(many):
    files = list(many.files)
    samples, owners = concatenate(files, RATE, seed=0)
    assert len(samples) == len(owners) == sum(len(f.samples) + RATE // 10 for f in files)
    order = owners[np.flatnonzero(np.diff(owners, prepend=-1))]
    assert sorted(order) == list(range(20)) and list(order) != sorted(order)
    for i, file in enumerate(files):
        part = samples[owners == i]
        assert np.array_equal(part[: len(file.samples)], file.samples)
        assert not part[len(file.samples) :].any()
