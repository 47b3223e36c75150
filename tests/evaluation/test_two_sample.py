"""The two-sample test: blind for equal sets, sharp for spoiled ones."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from audiogen.errors import ParameterError, ShapeError
from audiogen.evaluation import two_sample
from audiogen.evaluation.note_comparison import same_key_halves
from audiogen.evaluation.two_sample import Area, area_under_curve, two_sample_test

RATE, SECONDS = 8000, 3.0
TIME_S = np.arange(round(RATE * SECONDS)) / RATE


def notes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random instruments: partials with random levels and decays, noise, two notes a key."""
    random = np.random.default_rng(seed)
    pitches = 48.0 + np.arange(n) // 4
    sounds = []
    for pitch in pitches:
        f0 = 440 * 2 ** ((pitch - 69) / 12)
        sound = 0.003 * random.standard_normal(len(TIME_S))
        for h in range(1, 1 + min(8, int(3600 / f0))):
            level = 10 ** random.uniform(-1.5, 0) / h * np.exp(-random.uniform(0, 2) * TIME_S)
            sound += level * np.sin(2 * np.pi * h * f0 * TIME_S + random.uniform(0, 6))
        sounds.append(0.2 * sound * np.minimum(1, TIME_S / random.uniform(0.01, 0.1)))
    return np.array(sounds, np.float32), pitches


@pytest.mark.slow
def test_equal_sets_are_indistinguishable_and_noise_is_found(monkeypatch):
    monkeypatch.setattr(two_sample, "N_STEPS", {"attack": 100, "held": 75})  # half of them
    sounds, pitches = notes(240, 0)
    first, second = same_key_halves(pitches, np.random.default_rng(0))
    keys = pitches[first]
    options = {"features": "log-mel", "n_seeds": 1, "paired": False}
    equal = two_sample_test(sounds[first], sounds[second], keys, RATE, **options)
    noise = 0.006 * np.random.default_rng(1).standard_normal(sounds[second].shape)
    noisy = two_sample_test(
        sounds[first], (sounds[second] + noise).astype(np.float32), keys, RATE, **options
    )
    # 60 notes of each kind are tested: a standard error of 0.05 for a classifier that guesses.
    for part in two_sample.PARTS:
        assert abs(equal[part].median - 0.5) < 0.15, equal
        assert noisy[part].median > 0.8, noisy
    assert min(noisy["held"].values) > max(equal["held"].values)


@pytest.mark.slow
def test_blurred_notes_are_found():
    """Levels averaged over 64 ms, by copies of each note at 4 delays."""
    sounds, pitches = notes(160, 2)
    blurred = np.mean([np.roll(sounds, 170 * i, axis=1) for i in range(4)], axis=0)
    areas = two_sample_test(
        sounds, blurred.astype(np.float32), pitches, RATE, n_seeds=1, parts=["attack"]
    )
    assert areas["attack"].median > 0.8


def test_results_repeat_and_leave_the_random_state_of_torch_alone(monkeypatch):
    import torch

    monkeypatch.setattr(two_sample, "N_STEPS", dict.fromkeys(two_sample.PARTS, 3))
    sounds, pitches = notes(60, 3)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    calls = []
    areas = [
        two_sample_test(
            sounds,
            sounds[::-1].copy(),
            pitches,
            RATE,
            features="log-mel",
            n_seeds=2,
            progress=lambda: calls.append(None),
        )
        for _ in range(2)
    ]
    assert areas[0] == areas[1] and len(areas[0]["held"].values) == 2 and len(calls) == 4
    assert torch.equal(before, torch.get_rng_state())
    alone = two_sample_test(
        sounds, sounds[::-1].copy(), pitches, RATE, features="log-mel", n_seeds=2, parts=["held"]
    )
    assert alone == {"held": areas[0]["held"]}


def test_keys_are_split_in_halves():
    pitches = np.repeat(np.arange(40.0, 61.0), 3)
    trained = two_sample._half_of_keys(pitches, np.random.default_rng(0))
    assert not set(pitches[trained]) & set(pitches[~trained])
    assert len(set(pitches[trained])) == 10


def test_area_is_the_share_of_ordered_pairs():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 9, 30), random.integers(2, 11, 40)
    wanted = np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b))
    assert area_under_curve(a, b) == pytest.approx(wanted)
    assert str(Area((0.8, 0.9, 0.86))) == "0.86 +-0.05"


def test_subsonics_are_removed_and_low_notes_kept():
    t = np.arange(16000 * 3) / 16000
    low = 0.3 + 0.1 * np.sin(2 * np.pi * 5 * t)
    note = 0.1 * np.sin(2 * np.pi * 32.7 * t)
    filtered = two_sample.without_subsonics(np.stack([low, low + note]), 16000)
    inner = slice(8000, -8000)
    assert np.abs(filtered[0, inner]).max() < 0.003
    assert np.abs(filtered[1] - note)[inner].max() < 0.003


def test_bad_sets_are_refused():
    sounds, pitches = np.zeros((60, len(TIME_S)), np.float32), np.arange(60.0)
    for arguments, error, message in (
        ((sounds[:59], sounds[:59], pitches[:59]), ParameterError, "59 notes are too few.*60"),
        ((sounds, sounds[:50], pitches), ShapeError, "must be"),
        ((sounds[:, :-2000], sounds[:, :-2000], pitches), ShapeError, "23200 or more"),
        ((sounds, sounds, pitches % 3), ParameterError, "4 keys"),
    ):
        with pytest.raises(error, match=message):
            two_sample_test(*arguments, RATE)
    with pytest.raises(ParameterError, match="features='mel' must be one of log-mel, linear"):
        two_sample_test(sounds, sounds, pitches, RATE, features="mel")
    with pytest.raises(ParameterError, match=r"parts=\['tail'\] must be of attack, held"):
        two_sample_test(sounds, sounds, pitches, RATE, parts=["tail"])
