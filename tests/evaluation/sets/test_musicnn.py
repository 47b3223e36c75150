"""The judge musicnn: its checkpoint is read, and its network gives the numbers of TensorFlow."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from audiogen.data.toy_notes import SAMPLE_RATE, draw_notes
from audiogen.errors import FormatError, MissingPackageError, ParameterError
from audiogen.evaluation.sets import musicnn
from audiogen.evaluation.sets.tensorflow_checkpoint import DATA, INDEX, read_checkpoint

needs_musicnn = pytest.mark.skipif(
    find_spec("musicnn") is None, reason="needs the package musicnn: pip install --no-deps musicnn"
)


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A block of a table: each key shares what it can with the one before."""
    out, last = b"", b""
    for key, value in entries:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b),
            min(len(key), len(last)),
        )
        out += (
            varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        )
        last = key
    return out + struct.pack("<II", 0, 1)


def write_checkpoint(folder: Path, variables: dict[str, np.ndarray]) -> None:
    entries, data = [(b"", b"\x08\x01")], b""
    for name in sorted(variables):
        x = variables[name]
        dims = b"".join(b"\x12" + varint(len(d)) + d for n in x.shape if (d := b"\x08" + varint(n)))
        offset = b"\x20" + varint(len(data)) if data else b""  # zeros are left out
        shape = b"\x12" + varint(len(dims)) + dims
        value = b"\x08\x01" + shape + offset + b"\x28" + varint(x.nbytes) + b"\x35abcd"
        entries.append((name.encode(), value))
        data += x.tobytes()
    content = block(entries)
    table = content + b"\0crc0"
    index = block([(b"z", varint(0) + varint(len(content)))])
    handle = varint(len(table)) + varint(len(index))
    footer = (b"\0\0" + handle).ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")
    (folder / INDEX).write_bytes(table + index + b"\0crc0" + footer)
    (folder / DATA).write_bytes(data)


def test_checkpoint_is_read(tmp_path):
    random = np.random.default_rng(0)
    shapes = {"conv/bias": (3,), "conv/kernel": (2, 200, 1, 3), "step": (), "zeros": (0, 4)}
    wanted = {name: random.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    write_checkpoint(tmp_path, wanted)
    found = read_checkpoint(tmp_path)
    assert found.keys() == wanted.keys()
    for name, x in wanted.items():
        np.testing.assert_array_equal(found[name], x)


def test_bad_checkpoints_are_refused(tmp_path):
    with pytest.raises(FormatError, match="isn't a TensorFlow checkpoint"):
        read_checkpoint(tmp_path)
    write_checkpoint(tmp_path, {"a": np.zeros(100, np.float32)})
    index = (tmp_path / INDEX).read_bytes()
    (tmp_path / DATA).write_bytes(bytes(40))
    with pytest.raises(FormatError, match="the TensorFlow checkpoint can't be read"):
        read_checkpoint(tmp_path)
    for broken in (index[:-1], index[-48:], b"", index.replace(b"\0crc0", b"\1crc0")):
        (tmp_path / INDEX).write_bytes(broken)
        with pytest.raises(FormatError, match="the TensorFlow checkpoint can't be read"):
            read_checkpoint(tmp_path)


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(musicnn, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install --no-deps musicnn"):
        musicnn.MusicnnJudge()


@needs_musicnn
def test_features_are_those_of_tensorflow():
    """The numbers are of TensorFlow 2.15.1 and musicnn 0.1.0's `models`; they differ by 2e-6."""
    time, band = np.meshgrid(np.arange(187), np.arange(96), indexing="ij")
    mel = (2 + np.sin(time / 7) + np.cos(band / 5)).astype(np.float32)
    judge = musicnn.MusicnnJudge()
    features = musicnn.penultimate(torch.from_numpy(mel[None]), judge._weights)[0].numpy()
    wanted = [0.25557756, -0.47367823, -0.04280083, 0.38030359, 0.72887874]
    np.testing.assert_allclose(features[[0, 50, 100, 150, 199]], wanted, atol=2e-5)
    assert features.mean() == pytest.approx(0.11384366, abs=1e-5)


@needs_musicnn
def test_features_do_not_depend_on_level_and_tell_notes_from_noise():
    pytest.importorskip("librosa")
    judge = musicnn.MusicnnJudge()
    notes = draw_notes(8, 1)
    features = judge.embed(notes.sounds, SAMPLE_RATE)
    assert features.shape == (8, musicnn.N_FEATURES) and not judge.pitches
    np.testing.assert_allclose(judge.embed(0.01 * notes.sounds, SAMPLE_RATE), features, atol=1e-3)
    noise = np.random.default_rng(0).normal(size=(4, notes.sounds.shape[1]))
    away = judge.embed(noise, SAMPLE_RATE).mean(0) - features.mean(0)
    assert np.linalg.norm(away) > 2 * np.linalg.norm(features[:4].mean(0) - features[4:].mean(0))
    assert np.isfinite(judge.embed(np.zeros((1, 100)), SAMPLE_RATE)).all()
    assert judge.embed(np.zeros((0, 100)), SAMPLE_RATE).shape == (0, musicnn.N_FEATURES)
    with pytest.raises(ParameterError, match="pitch probabilities"):
        judge.pitch_probabilities(notes.sounds, SAMPLE_RATE)
