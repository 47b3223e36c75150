"""Neural network divergence: its order on known sets, its budget, its randomness."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.errors import ParameterError, ShapeError
from audiogen.evaluation.sets import divergence
from audiogen.evaluation.sets.divergence import Budget, critic_value, neural_divergence

SMALL = {"width": 4, "batch": 16}


def noise(n: int, seed: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (n, 8, 8)).astype(np.float32)


@pytest.fixture(autouse=True)
def fast_critic(monkeypatch):
    """Small images take fewer steps at a higher rate."""
    monkeypatch.setattr(divergence, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(divergence, "N_FINAL", 512)


def test_a_shift_has_its_wasserstein_distance_as_a_bound():
    """The critic's slope is 1, so its value is at most the distance of the means, and near it."""
    shift = 0.5
    sets = (noise(256, 0), noise(256, 1), noise(256, 2) + shift, noise(256, 3) + shift)
    distance = shift * 8  # of images of 64 pixels
    value, seen = critic_value(*sets, steps=200, **SMALL)
    assert 0.5 * distance < value < distance
    assert seen == pytest.approx(value, rel=0.3)


@pytest.mark.slow
def test_repeated_images_lose_to_fresh_ones():
    real, held_out = noise(512, 0), noise(512, 1)
    known = noise(4, 4)
    fresh = critic_value(real, held_out, noise(512, 2), noise(512, 3), steps=300, **SMALL)
    copied = critic_value(real, held_out, known, known, steps=300, **SMALL)
    assert copied[0] > fresh[0] + 0.5


def test_the_curve_has_a_critic_of_each_seed_and_budget(monkeypatch):
    monkeypatch.setattr(divergence, "N_FINAL", 128)
    monkeypatch.setattr(divergence, "N_FINAL_SEEN", 128)
    torch.manual_seed(5)
    before, calls = torch.get_rng_state(), []
    sets = [noise(20, seed) for seed in range(4)]
    results = [
        neural_divergence(
            *sets, budget=Budget(16, 2, 4), n_seeds=2, progress=lambda: calls.append(None)
        )
        for _ in range(2)
    ]
    assert list(results[0].values) == [1, 4, 16] and results[0].steps == 16
    assert results[0] == results[1] and len(calls) == 12
    assert len(set(results[0].values[16])) == 2  # the seeds differ
    assert results[0].estimate().value == pytest.approx(np.mean(results[0].values[16]))
    assert results[0].n == 40
    assert torch.equal(before, torch.get_rng_state())


def test_bad_sets_are_refused():
    good = noise(4, 0)
    with pytest.raises(ShapeError, match="one height and width"):
        critic_value(good, good, good, good[:, :4], steps=1)
    with pytest.raises(ParameterError, match="2 or more"):
        critic_value(good, good, good, good[:1], steps=1)
    with pytest.raises(ParameterError, match="n_seeds=0"):
        neural_divergence(good, good, good, good, n_seeds=0)
    with pytest.raises(ParameterError, match="1 or more"):
        Budget(0)
