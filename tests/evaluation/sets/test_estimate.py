"""Standard errors: of shares, of the jackknife, over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.errors import ParameterError
from audiogen.evaluation.sets.estimate import jackknife, normal_estimate, over_seeds, share


def test_wilsons_interval():
    """Values of the formula by hand: 0 of 10 has an upper end of z^2 / (n + z^2)."""
    assert share(0, 10).interval == pytest.approx((0.0, 1.96**2 / (10 + 1.96**2)))
    assert share(50, 100).standard_error == pytest.approx(0.05)
    low, high = share(10, 10).interval
    assert low < 1 and high == pytest.approx(1.0)
    with pytest.raises(ParameterError, match="hits=3 of n=2"):
        share(3, 2)


def test_the_jackknife_gives_the_standard_error_of_a_mean():
    random = np.random.default_rng(0)
    errors = []
    for seed in range(40):
        x, y = random.standard_normal((400, 1)), 2 * random.standard_normal((400, 1))
        estimate = jackknife(lambda a, b: float(b.mean() - a.mean()), x, y, seed=seed)
        assert estimate.value == pytest.approx(float(y.mean() - x.mean()))
        errors.append(estimate.standard_error)
    assert np.mean(errors) == pytest.approx(np.sqrt((1 + 4) / 400), rel=0.1)
    with pytest.raises(ParameterError, match="must have 20 or more"):
        jackknife(lambda a: 0.0, np.zeros((19, 1)))


def test_the_error_over_seeds_is_that_of_their_mean():
    estimate = over_seeds([1.0, 2.0, 3.0], 7)
    assert (estimate.value, estimate.n) == (2.0, 7)
    assert estimate.standard_error == pytest.approx(1 / np.sqrt(3))
    assert np.isnan(over_seeds([1.0], 7).standard_error)
    with pytest.raises(ParameterError, match="empty"):
        over_seeds([], 7)


def test_texts_have_two_digits_of_the_error():
    assert str(normal_estimate(0.12345, 0.0123, 9)) == "0.123 ±0.012"
    assert str(normal_estimate(12.345, 1.5, 9)) == "12.3 ±1.5"
    assert str(normal_estimate(float("nan"), 1.0, 9)) == "-"
