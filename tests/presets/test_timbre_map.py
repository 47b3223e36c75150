"""The timbre map keeps timbres apart and on the square."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.presets import timbre_map


def crowding(places: np.ndarray) -> float:
    """Distance of the two nearest points; from 1 on their names do not overlap."""
    offset = (places[:, None] - places) / [timbre_map.DOT_WIDTH, timbre_map.DOT_HEIGHT]
    distance = np.hypot(*np.moveaxis(offset, 2, 0))
    return float(distance[~np.eye(len(places), dtype=bool)].min())


@pytest.mark.parametrize("n", [2, 3, 12, 20])
def test_points_are_on_the_square_and_apart(n):
    places = timbre_map.place_vectors(np.random.default_rng(n).standard_normal((n, 16)))
    assert places.shape == (n, 2)
    assert (places >= 0.05).all() and (places <= 0.95).all()
    assert crowding(places) > 0.9


def test_equal_vectors_get_different_points():
    places = timbre_map.place_vectors(np.ones((4, 3)))
    assert np.isfinite(places).all()
    assert crowding(places) > 0.9


def test_vectors_of_one_number():
    places = timbre_map.place_vectors([[0.0], [1.0], [5.0]])
    assert places[0, 0] < places[1, 0] < places[2, 0]


def test_many_points_stay_on_the_square():
    places = timbre_map.place_vectors(np.random.default_rng(0).standard_normal((200, 8)))
    assert (places >= 0.0).all() and (places <= 1.0).all()


def test_the_first_principal_component_runs_from_left_to_right():
    along = np.linspace(-1, 1, 9)[:, None] * np.array([[0.0, 5.0, 0.0]])
    places = timbre_map.place_vectors(
        along + 0.01 * np.random.default_rng(0).standard_normal(along.shape)
    )
    assert np.corrcoef(places[:, 0], along[:, 1])[0, 1] > 0.9
