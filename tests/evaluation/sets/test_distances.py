"""Distances of sets: their errors, their smallest sets, class scores with known values."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from audiogen.errors import ParameterError
from audiogen.evaluation.sets import distances


def features(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 4)) + shift


def test_a_shift_is_many_standard_errors_from_equal_sets():
    a, b, moved = features(400, 0), features(400, 1), features(400, 2, shift=0.5)
    for measure in (distances.frechet, distances.kernel):
        equal, far = measure(a, b), measure(a, moved)
        assert far.value - equal.value > 5 * np.hypot(far.standard_error, equal.standard_error)
        assert far.n == 400
    assert abs(distances.kernel(a, b).value) < 3 * distances.kernel(a, b).standard_error
    assert distances.frechet(a, moved).value == pytest.approx(4 * 0.5**2, rel=0.35)


def test_missing_modes_are_different_bins():
    a, b = features(600, 0), features(600, 1)
    half = b[b[:, 0] > 0]
    assert distances.different_bins(a, b).value < 0.15
    assert distances.different_bins(a, half).value > 0.25


def test_too_few_notes_are_refused_with_the_number():
    for measure, n, least in (
        (distances.frechet, 7, 8),
        (distances.kernel, 39, 40),
        (distances.different_bins, 249, 250),
    ):
        with pytest.raises(ParameterError, match=f"{n} notes are too few.*needs {least} "):
            measure(features(n, 0), features(400, 1))


def test_class_scores_have_their_known_values():
    sure = np.eye(5)[np.arange(200) % 5]
    unsure = np.full((200, 5), 0.2)
    assert distances.inception_score(sure) == pytest.approx(5)
    assert distances.inception_score(unsure) == pytest.approx(1)
    assert distances.pitch_entropy(sure) == pytest.approx(0)
    assert distances.pitch_entropy(unsure) == pytest.approx(np.log(5))
    # Five copies have the best score: it does not see variety within a class.
    assert distances.inception_score(sure[:5]) == pytest.approx(5)


def test_inception_score_equals_torchmetrics():
    pytest.importorskip("torchmetrics")
    torch = pytest.importorskip("torch")
    from torchmetrics.image.inception import InceptionScore

    logits = torch.randn(60, 6, generator=torch.Generator().manual_seed(0)).double()
    metric = InceptionScore(feature=torch.nn.Identity(), splits=1)
    metric.update(logits)
    wanted = float(metric.compute()[0])
    ours = distances.inception_score(logits.softmax(dim=1).numpy())
    assert ours == pytest.approx(wanted, rel=1e-5)
