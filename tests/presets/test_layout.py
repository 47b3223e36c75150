"""Timbres are laid out so that they can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.presets import layout


def crowding(places: np.ndarray) -> float:
    """How near the two nearest are; 1 is room enough for their names."""
    apart = (places[:, None] - places) / [layout.DOT_WIDTH, layout.DOT_HEIGHT]
    distance = np.hypot(*np.moveaxis(apart, 2, 0))
    return float(distance[~np.eye(len(places), dtype=bool)].min())


@pytest.mark.parametrize("n", [2, 3, 12, 20])
def test_places_are_on_the_pad_and_apart(n):
    places = layout.place(np.random.default_rng(n).standard_normal((n, 16)))
    assert places.shape == (n, 2)
    assert (places >= 0.05).all() and (places <= 0.95).all()
    assert crowding(places) > 0.9


def test_equal_vectors_still_get_places_of_their_own():
    places = layout.place(np.ones((4, 3)))
    assert np.isfinite(places).all()
    assert crowding(places) > 0.9


def test_vectors_of_one_number():
    places = layout.place([[0.0], [1.0], [5.0]])
    assert places[0, 0] < places[1, 0] < places[2, 0]


def test_many_are_crowded_but_stay_on_the_pad():
    places = layout.place(np.random.default_rng(0).standard_normal((200, 8)))
    assert (places >= 0.0).all() and (places <= 1.0).all()


def test_the_direction_of_most_difference_runs_from_left_to_right():
    along = np.linspace(-1, 1, 9)[:, None] * np.array([[0.0, 5.0, 0.0]])
    places = layout.place(along + 0.01 * np.random.default_rng(0).standard_normal(along.shape))
    assert np.corrcoef(places[:, 0], along[:, 1])[0, 1] > 0.9
