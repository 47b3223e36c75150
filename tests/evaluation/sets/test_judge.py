"""Judges: a pitch classifier that is accurate on unseen notes, its file, its hash."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")
from safetensors.numpy import save_file

from audiogen.data.toy_notes import SAMPLE_RATE, draw_notes
from audiogen.errors import FormatError, ParameterError
from audiogen.evaluation.sets.images import log_mel_images
from audiogen.evaluation.sets.judge import TimbreJudge, read_judge, train_judge


@pytest.fixture(scope="module")
def judge():
    notes = draw_notes(240, 0)
    return train_judge(notes.sounds, notes.pitches, SAMPLE_RATE, n_steps=60)


@pytest.mark.slow
def test_it_hears_the_pitch_of_unheard_notes_at_any_level(judge):
    notes = draw_notes(60, 1)
    p = judge.pitch_probabilities(notes.sounds, SAMPLE_RATE)
    assert p.sum(axis=1) == pytest.approx(1)
    read = np.array(judge.pitches)[p.argmax(axis=1)]
    assert np.mean(read == notes.pitches) > 0.8
    quiet = judge.embed(0.01 * notes.sounds, SAMPLE_RATE)
    assert quiet == pytest.approx(judge.embed(notes.sounds, SAMPLE_RATE), abs=1e-3)


def test_its_file_keeps_everything(judge, tmp_path):
    notes = draw_notes(5, 2)
    judge.save(tmp_path / "judge.safetensors")
    again = read_judge(tmp_path / "judge.safetensors")
    assert (again.name, again.hash, again.pitches) == (judge.name, judge.hash, judge.pitches)
    features = [j.embed(notes.sounds, SAMPLE_RATE) for j in (judge, again)]
    assert np.array_equal(*features) and features[0].shape == (5, 32)
    changed = dict(judge.weights)
    changed["0.bias"] = changed["0.bias"] + 1
    assert type(judge)(changed, judge.pitches, SAMPLE_RATE).hash != judge.hash


def test_bad_input_is_refused(judge, tmp_path):
    with pytest.raises(ParameterError, match=r"sample_rate=16000 must be 8000 Hz"):
        judge.embed(np.zeros((1, 100), np.float32), 16000)
    (tmp_path / "x").write_text("no judge")
    with pytest.raises(FormatError, match="can't be read as a judge"):
        read_judge(tmp_path / "x")
    with pytest.raises(ParameterError, match=r"199 notes and .* needs 200 notes and 4 pitches"):
        train_judge(np.zeros((199, 100)), np.arange(199.0), 8000)
    with pytest.raises(ParameterError, match="not supported by the judge timbre-96"):
        TimbreJudge().pitch_probabilities(np.zeros((1, 100)), 8000)


@pytest.mark.parametrize(
    ("kind", "card", "message"),
    [
        (
            "audiogen pitch judge 1",
            {"name": "x"},
            "x: the judge's card lacks pitches, sample_rate;",
        ),
        (
            "audiogen pitch judge 1",
            {"name": "x", "pitches": ["C4"], "sample_rate": 8000},
            r"x: pitches and sample_rate of the judge's card must be whole numbers",
        ),
        ("audiogen pitch judge 1", [1], "x: isn't a judge; name a new file"),
        ("audiogen domain judge 1", {"name": "x"}, "x: the judge's tensors or card are incomplete"),
        ("another", {"name": "x"}, "x: isn't a judge; name a new file"),
    ],
)
def test_an_incomplete_card_is_one_error(tmp_path, kind, card, message):
    metadata = {"format": kind, "card": json.dumps(card)}
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "x", metadata)
    with pytest.raises(FormatError, match=message):
        read_judge(tmp_path / "x")


def test_images_are_relative_to_the_loudest_bin_and_show_the_pitch():
    t = np.arange(4096) / 8000
    low, high = (np.sin(2 * np.pi * hz * t) for hz in (200, 800))
    images = log_mel_images(np.stack([low, 0.01 * low, high]).astype(np.float32), 8000)
    assert images.shape == (3, 32, 32) and images.max() == 1 and images.min() >= -1
    assert images[1] == pytest.approx(images[0], abs=1e-3)
    assert images[0, :, 16].argmax() < images[2, :, 16].argmax()
