"""Copies: nearest notes, a threshold from held-out notes, and the alarm's error rate."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from audiogen.errors import ParameterError, ShapeError
from audiogen.evaluation.sets.copies import find_copies


def notes(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 6))


def test_copies_are_found_beside_fresh_notes():
    training, held_out, fresh = notes(300, 0), notes(200, 1), notes(150, 2)
    made = np.concatenate([training[[7, 9]] + 0.01, fresh])
    found = find_copies(training, held_out, made)
    assert found.nearest[:2].tolist() == [7, 9]
    assert found.distances[:2] == pytest.approx(0.01, rel=0.01)
    assert found.suspicious[:2].all()
    assert not find_copies(training, held_out, fresh).alarm
    assert find_copies(training, held_out, np.concatenate([training[:30], fresh])).alarm


def test_nearest_distances_are_those_of_all_pairs():
    training, made = notes(50, 0), notes(60, 1)
    found = find_copies(training, notes(40, 2), made)
    all_pairs = np.sqrt(np.square(made[:, None] - training).mean(axis=-1))
    assert found.distances == pytest.approx(all_pairs.min(axis=1), rel=1e-5)


def test_p_values_of_exchangeable_notes_are_uniform_or_larger():
    random, training = np.random.default_rng(3), notes(60, 0)
    p = []
    for _ in range(400):
        both = random.standard_normal((100, 6))
        p.append(find_copies(training, both[:50], both[50:]).p_value)
    for level in (0.02, 0.1, 0.3):
        assert np.mean(np.array(p) <= level) < level + 3 * np.sqrt(level / 400)
    assert np.mean(np.array(p) <= 0.3) > 0.1  # it isn't merely cautious


def test_bad_sets_are_refused():
    with pytest.raises(ParameterError, match=r"39 notes are too few for copies.*40"):
        find_copies(notes(9, 0), notes(39, 1), notes(50, 2))
    with pytest.raises(ShapeError, match="one size"):
        find_copies(notes(9, 0)[:, :5], notes(50, 1), notes(50, 2))
