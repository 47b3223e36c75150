"""Metrics against closed forms and against other people's code."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.errors import ParameterError, ShapeError
from audiogen.evaluation import (
    click_ratio,
    dc_offset,
    frechet_distance,
    is_silent,
    kernel_distance,
    level_db,
    ndb,
    peak_db,
    pitch_accuracy,
)
from audiogen.evaluation.metrics import CLICK_RATIO

RATE = 16000


def sine(frequency_hz: float = 220.0, phase_rad: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(4 * RATE) / RATE + phase_rad)


# --- One note ------------------------------------------------------------------------------------


def test_level_and_peak_of_a_sine():
    assert level_db(sine()) == pytest.approx(-3.01, abs=0.01)
    assert peak_db(0.5 * sine()) == pytest.approx(-6.02, abs=0.01)
    assert level_db(np.zeros(10)) == level_db(np.zeros(0)) == peak_db(np.zeros(0)) == -200


def test_silence_begins_at_60_db():
    assert is_silent(0.9e-3 * sine())
    assert not is_silent(1.1e-3 * sine())


def test_dc_is_relative_to_the_level():
    assert dc_offset(1e-3 * sine()) == pytest.approx(0, abs=1e-9)
    assert dc_offset(np.full(10, -0.3)) == pytest.approx(-1)
    assert dc_offset(sine() + 0.1) == pytest.approx(0.1 / np.sqrt(0.5 + 0.01), rel=1e-3)
    assert dc_offset(np.zeros(10)) == 0


@pytest.mark.parametrize("frequency_hz", [50, 220, 3000])
@pytest.mark.parametrize("gain", [1.0, 1e-3])
def test_a_sine_does_not_click(frequency_hz, gain):
    assert click_ratio(gain * sine(frequency_hz), RATE) == pytest.approx(np.sqrt(2), abs=0.1)


def test_noise_does_not_click():
    noise = np.random.default_rng(0).normal(size=4 * RATE)
    assert 4 < click_ratio(noise, RATE) < 5


def test_pulses_of_the_lowest_key_do_not_click():
    """C1 with all its harmonics: a spike each 31 ms, and each has its like in reach."""
    time_s = np.arange(4 * RATE) / RATE
    pulses = sum(np.cos(2 * np.pi * 32.7 * n * time_s) for n in range(1, 238))
    assert click_ratio(pulses, RATE) < CLICK_RATIO


def test_a_phase_jump_clicks():
    waveform = sine()
    waveform[2 * RATE :] = sine(phase_rad=1.0)[2 * RATE :]
    assert click_ratio(waveform, RATE) == pytest.approx(168, rel=0.05)


def test_a_tick_in_a_decay_clicks():
    waveform = sine() * np.exp(-3 * np.arange(4 * RATE) / RATE)
    waveform[2 * RATE] += 0.001
    assert click_ratio(waveform, RATE) > CLICK_RATIO


def test_attack_silence_and_short_notes_do_not_click():
    attack = np.where(np.arange(4 * RATE) < 100, 0.0, sine(220, 1.0))
    assert click_ratio(attack, RATE) < 2
    assert click_ratio(attack, RATE, skip_s=0.0) > CLICK_RATIO
    assert click_ratio(np.zeros(4 * RATE), RATE) == 0
    assert click_ratio(np.ones(10), RATE) == 0


# --- Many notes ----------------------------------------------------------------------------------


def test_pitch_accuracy_counts_half_a_semitone():
    wanted = np.array([60, 60, 60, 60, 60.0])
    measured = np.array([60.49, 59.51, 60.51, 72.2, np.nan])
    assert pitch_accuracy(measured, wanted) == pytest.approx(2 / 5)
    assert pitch_accuracy(measured, wanted, octave_free=True) == pytest.approx(3 / 5)
    assert pitch_accuracy(measured, wanted, tolerance_cents=52) == pytest.approx(3 / 5)
    for bad in (np.zeros(0), np.zeros(2)):
        with pytest.raises(ShapeError, match="equal and not empty"):
            pitch_accuracy(bad, wanted[: len(bad) // 2])


def features(n: int, n_features: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_features)) @ rng.normal(size=(n_features, n_features))


def test_frechet_distance_of_shifted_and_scaled_gaussians():
    """|m|^2 for a shift m; sum of (s - 1)^2 variances for axes scaled by s."""
    x = features(500)
    shift = np.arange(6.0)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + shift) == pytest.approx(np.sum(shift**2))
    scaled = 3 * (x - x.mean(axis=0)) + x.mean(axis=0)
    assert frechet_distance(x, scaled) == pytest.approx(4 * np.trace(np.cov(x.T)))
    one = x[:, :1]
    assert frechet_distance(one, 2 * one) == pytest.approx(
        one.mean() ** 2 + one.var(ddof=1), rel=1e-9
    )


def test_frechet_distance_survives_fewer_notes_than_features():
    a, b = features(5, 20), features(5, 20, seed=1)
    assert frechet_distance(a, b) > 0
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)  # square roots of rounding


def test_kernel_distance_by_its_definition():
    a, b = features(7), features(9, seed=1)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 6 + 1) ** 3)

    within_a = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    within_b = np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(within_a + within_b - 2 * between)


def test_kernel_distance_is_unbiased():
    """Many small draws from one source average to nothing; a shifted source doesn't."""
    rng = np.random.default_rng(0)
    same = [kernel_distance(*rng.normal(size=(2, 10, 4))) for _ in range(2000)]
    shifted = [
        kernel_distance(rng.normal(size=(10, 4)), rng.normal(1, 1, size=(10, 4)))
        for _ in range(200)
    ]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(2000)
    assert np.mean(shifted) > 1


def test_distances_equal_torchmetrics():
    torch = pytest.importorskip("torch", reason="needs the extra train")
    pytest.importorskip("torchmetrics", reason="needs torchmetrics to compare with")
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    class Flat(torch.nn.Module):
        num_features = 6

        def forward(self, x):
            return x.reshape(len(x), -1)[:, :6].float()

    a, b = features(40).astype(np.float32), features(40, seed=1).astype(np.float32) + 1
    frechet = FrechetInceptionDistance(Flat(), input_img_size=(1, 1, 6))
    with pytest.warns(UserWarning, match="save all extracted features"):
        kernel = KernelInceptionDistance(Flat(), subsets=1, subset_size=40)
    for metric in (frechet, kernel):
        metric.update(torch.from_numpy(a).reshape(40, 1, 1, 6), real=True)
        metric.update(torch.from_numpy(b).reshape(40, 1, 1, 6), real=False)
    # torchmetrics computes in single precision.
    assert frechet_distance(a, b) == pytest.approx(float(frechet.compute()), rel=1e-3)
    assert kernel_distance(a, b) == pytest.approx(float(kernel.compute()[0]), rel=1e-3)


def test_ndb_of_one_source_and_of_a_missing_mode():
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=10, size=(10, 3))

    def draw(modes: int, n: int = 2000) -> np.ndarray:
        return centres[rng.integers(modes, size=n)] + rng.normal(size=(n, 3))

    reference = draw(10)
    assert ndb(reference, draw(10), n_bins=10) <= 0.2  # 0.05 on average
    # Without half of the modes their bins are empty and the others twice as full.
    assert ndb(reference, draw(5), n_bins=10) == 1.0
    assert ndb(reference, reference, n_bins=10) == 0.0


def test_ndb_repeats_by_seed_and_ignores_scale():
    a, b = features(300), features(300, seed=1)
    assert ndb(a, b, n_bins=20, seed=3) == ndb(a, b, n_bins=20, seed=3)
    factor = np.array([1, 16, 1, 0.25, 1, 1])
    assert ndb(a * factor, b * factor, n_bins=20) == ndb(a, b, n_bins=20)


def test_bad_features_are_named():
    good = features(10)
    for bad in (good[:, :3], good[0], good[:1]):
        with pytest.raises(ShapeError, match="must be \\[n_notes, n_features\\]"):
            frechet_distance(good, bad)
    with pytest.raises(ParameterError, match="n_bins=6 must be from 1 to half"):
        ndb(good, good, n_bins=6)
