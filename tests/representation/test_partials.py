"""Ratios and numbers of partials, of strings, of bells and between two timbres."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.representation.partials import (
    HARMONIC,
    MOST_PARTIALS,
    TimbrePartials,
    are_valid,
    interpolate,
    position_among,
    ratio_of,
    stack,
    string_partials,
)

BELL = np.array([0.62, 1.2, 1.98, 2.92])


@pytest.mark.parametrize("partials", [None, BELL, string_partials(1e-3)])
def test_places_and_ratios_are_inverse(partials: np.ndarray | None) -> None:
    number = np.arange(1.0, 90.0)
    place, slope = position_among(ratio_of(number, partials), partials)
    np.testing.assert_allclose(place, number, rtol=1e-12)
    step = 1e-6
    after, _ = position_among(ratio_of(number, partials) + step, partials)
    np.testing.assert_allclose((after - place) / step, slope * np.ones(len(number)), rtol=1e-3)


def test_partials_above_the_last_are_at_distances_of_the_pitch() -> None:
    np.testing.assert_allclose(ratio_of(np.array([4.0, 5.0, 9.0]), BELL), [2.92, 3.92, 7.92])
    place, slope = position_among(np.array([0.0, 0.31, 4.42]), BELL)
    np.testing.assert_allclose(place, [0.0, 0.5, 5.5])
    np.testing.assert_allclose(slope, [1 / 0.62, 1 / 0.62, 1.0])


def test_partials_of_a_string() -> None:
    """Fletcher's formula; the first partial is the pitch."""
    partials = string_partials(4e-4)
    h = np.arange(1, MOST_PARTIALS + 1)
    assert partials[0] == 1.0
    np.testing.assert_allclose((partials / h) ** 2, (1 + 4e-4 * h**2) / (1 + 4e-4))
    np.testing.assert_allclose(string_partials(0.0), h)


def test_a_string_of_each_key() -> None:
    piano = TimbrePartials((), (1e-4, 2e-4, 3e-4), 60)
    for pitch, coefficient in [(40.0, 1e-4), (60.4, 1e-4), (60.5, 2e-4), (61.0, 2e-4), (99, 3e-4)]:
        np.testing.assert_array_equal(piano.at(pitch), string_partials(coefficient))
    np.testing.assert_array_equal(TimbrePartials(BELL).at(61.0), BELL)
    assert HARMONIC.at(61.0) is None


def test_between_two_timbres() -> None:
    assert interpolate(None, None, 0.5) is None
    assert interpolate(None, BELL, 0.0) is None
    square = np.array([1.005, 3.015, 5.025])
    assert interpolate(square, None, 0.5) is None and interpolate(None, square, 0.49) is None
    assert interpolate(square, None, 0.01) is square and interpolate(None, square, 0.5) is square
    stiff = string_partials(5e-6)
    morphed = interpolate(stiff, None, 0.5)
    assert morphed is not None and morphed[63] == 0.5 * (stiff[63] + 64.0)
    assert interpolate(square, square, 0.5) is square
    ends = interpolate(None, square, 1.0)
    assert ends is not None and ends[1] == square[1]
    between = interpolate(square, BELL, 0.5)
    assert between is not None and between[1] == 0.5 * (square[1] + BELL[1])
    middle = interpolate(None, BELL, 0.5)
    assert middle is not None and len(middle) == MOST_PARTIALS
    np.testing.assert_allclose(middle[:5], np.add(np.arange(1, 6), [*BELL, 3.92]) / 2)
    np.testing.assert_allclose(interpolate(None, BELL, 1.0), ratio_of(np.arange(1.0, 65.0), BELL))


def test_notes_with_and_without() -> None:
    assert stack([None, None]) is None
    rows = stack([None, BELL])
    assert rows is not None
    np.testing.assert_array_equal(rows[0], np.arange(1, MOST_PARTIALS + 1))
    np.testing.assert_array_equal(rows[1, :4], BELL)


@pytest.mark.parametrize("ratios", [[1.0], BELL, list(range(1, 65))])
def test_ratios_that_are_allowed(ratios: list[float]) -> None:
    assert are_valid(ratios)


@pytest.mark.parametrize(
    "ratios",
    [[], [0.0, 1.0], [2.0, 1.0], [1.0, 1.0], [2048.1], list(range(1, 66)), [float("nan")]],
)
def test_ratios_that_are_not(ratios: list[float]) -> None:
    assert not are_valid(ratios)
