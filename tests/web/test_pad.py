"""Timbres are laid out so that they can be told apart, and their pictures show their sound."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.presets import load_preset
from audiogen.web import pad


def crowding(places: np.ndarray) -> float:
    """How near the two nearest are; 1 is room enough for their names."""
    apart = (places[:, None] - places) / [pad.DOT_WIDTH, pad.DOT_HEIGHT]
    distance = np.hypot(*np.moveaxis(apart, 2, 0))
    return float(distance[~np.eye(len(places), dtype=bool)].min())


@pytest.mark.parametrize("n", [2, 3, 12, 20])
def test_places_are_on_the_pad_and_apart(n):
    places = pad.place(np.random.default_rng(n).standard_normal((n, 16)))
    assert places.shape == (n, 2)
    assert (places >= 0.05).all() and (places <= 0.95).all()
    assert crowding(places) > 0.9


def test_equal_vectors_still_get_places_of_their_own():
    places = pad.place(np.ones((4, 3)))
    assert np.isfinite(places).all()
    assert crowding(places) > 0.9


def test_vectors_of_one_number():
    places = pad.place([[0.0], [1.0], [5.0]])
    assert places[0, 0] < places[1, 0] < places[2, 0]


def test_many_are_crowded_but_stay_on_the_pad():
    places = pad.place(np.random.default_rng(0).standard_normal((200, 8)))
    assert (places >= 0.0).all() and (places <= 1.0).all()


def test_the_direction_of_most_difference_runs_from_left_to_right():
    along = np.linspace(-1, 1, 9)[:, None] * np.array([[0.0, 5.0, 0.0]])
    places = pad.place(along + 0.01 * np.random.default_rng(0).standard_normal(along.shape))
    assert np.corrcoef(places[:, 0], along[:, 1])[0, 1] > 0.9


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_tone_is_one_line_of_one_hue(rate):
    hz = 880.0
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(2 * rate) / rate)
    image = pad.picture(tone, rate)
    assert image.shape == (pad.PICTURE_HEIGHT, pad.PICTURE_WIDTH, 2)
    inner = image[:, 8:-8]
    row = int(inner[..., 0].sum(axis=1).argmax())
    octaves = np.log2(hz / pad.LOWEST_HZ)
    wanted = pad.PICTURE_HEIGHT - 1 - octaves / pad.N_OCTAVES * pad.PICTURE_HEIGHT
    assert abs(row - wanted) <= 1
    assert inner[row, :, 0].min() > 240
    turns = np.exp(2j * np.pi * inner[row, :, 1] / 256)
    assert abs(turns.mean()) > 0.99
    assert np.median(inner[..., 0]) < 10


def test_silence_is_dark():
    assert not pad.picture(np.zeros(100), 16000)[..., 0].any()


def test_the_same_preset_is_measured_once(monkeypatch):
    preset = load_preset("plucked")
    first = pad.describe(preset)
    assert first["pictures"].shape[0] == len(first["places"]) == 15
    assert len({picture.tobytes() for picture in first["pictures"]}) == 15
    monkeypatch.setattr(pad, "Synth", None)
    assert pad.describe(preset) is first


def test_timbres_without_latents_are_laid_out_by_their_pictures(tmp_path, write_murmur):
    described = pad.describe(load_preset(write_murmur(tmp_path / "winds", notes=True)))
    assert described["places"].shape == (2, 2)
    assert crowding(described["places"]) > 0.9
