"""Partials of recorded notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from audiogen.data.notes.partials import partials_of
from audiogen.representation.harmonic import pitch_to_hz
from audiogen.representation.partials import HARMONIC, TimbrePartials, string_partials

RATE = 32000


def note(pitch: float, ratios: Sequence[float], decay_s: float = 2.0) -> np.ndarray:
    """Decaying partials of 4 s, each 2 dB below the one before, and noise."""
    time = np.arange(4 * RATE) / RATE
    hz = float(pitch_to_hz(pitch)) * np.asarray(ratios)
    hz = hz[hz < 12000]
    sound = sum(0.8**k * np.sin(2 * np.pi * f * time + k * k) for k, f in enumerate(hz))
    noise = np.random.default_rng(round(pitch)).standard_normal(len(time))
    return (0.1 * np.exp(-time / decay_s) * sound + 1e-4 * noise).astype(np.float32)


def measured(ratios: Callable[[float], Sequence[float]], pitches: np.ndarray) -> TimbrePartials:
    sounds = np.stack([note(pitch, ratios(pitch)) for pitch in pitches])
    return partials_of(sounds, pitches, RATE)


def test_harmonic_notes() -> None:
    assert measured(lambda _: np.arange(1, 20), np.arange(40.0, 80.0, 4.0)) == HARMONIC


def test_a_piano() -> None:
    """The coefficient doubles every eight keys; the note is up to 4 cents off."""

    def coefficient(pitch: float) -> float:
        return 3e-4 * 2.0 ** ((pitch - 60.0) / 8.0)

    def ratios(pitch: float) -> np.ndarray:
        return 2.0 ** (4.0 * np.sin(pitch) / 1200.0) * string_partials(coefficient(pitch))[:18]

    found = measured(ratios, np.arange(36.0, 85.0, 3.0))
    assert not found.ratios and found.lowest_pitch == 36 and len(found.inharmonicity) == 49
    for pitch in (45.0, 60.0, 75.0):
        got = found.at(pitch)
        assert got is not None
        far = np.abs(got - string_partials(coefficient(pitch)))[:10] * pitch_to_hz(pitch)
        assert far.max() < 12.0  # Hz; the tenth of a harmonic series is up to 1,000 Hz off


def test_a_bell() -> None:
    bell = [0.62, 1.208, 1.982, 2.925, 4.018, 5.243]
    found = measured(lambda _: bell, np.arange(66.0, 80.0, 2.0))
    assert not len(found.inharmonicity)
    np.testing.assert_allclose(found.ratios, bell, rtol=2e-3)


def test_harmonics_between_other_partials_are_kept_if_some_notes_have_them() -> None:
    def ratios(pitch: float) -> Sequence[float]:
        return [1.0, 4.0, 7.6] if pitch < 70.0 else [1.0, 2.0, 4.0, 7.6]

    found = measured(ratios, np.arange(60.0, 76.0, 2.0))
    np.testing.assert_allclose(found.ratios, [1.0, 2.0, 4.0, 7.6], rtol=2e-3)


@pytest.mark.parametrize(
    "ratios",
    [
        pytest.param(range(1, 20, 2), id="square"),
        pytest.param([3, 4, 6, 8, 9, 12, 15, 16, 18], id="fifths"),
        pytest.param([1, 2, 3, 4, 6, 8, 10, 12, 16], id="organ"),
    ],
)
def test_harmonics_that_all_notes_lack_are_left_out(ratios: Sequence[int]) -> None:
    found = measured(lambda _: ratios, np.arange(40.0, 60.0, 4.0))
    assert found == TimbrePartials(tuple(map(float, ratios)))


def test_a_few_weak_harmonics_are_no_reason_for_a_list() -> None:
    assert measured(lambda _: [1, 2, 3, 5, 6, 7], np.arange(40.0, 60.0, 4.0)) == HARMONIC


def test_a_partial_of_the_highest_keys_is_left_out() -> None:
    def organ(pitch: float) -> Sequence[float]:
        return [1.012, 2.03, 3.04] if pitch < 72.0 else [1.012, 1.5, 2.03, 3.04]

    found = measured(organ, np.arange(40.0, 84.0, 4.0))  # 3 of 11 notes
    np.testing.assert_allclose(found.ratios[:3], [1.012, 2.03, 3.04], rtol=2e-3)


@pytest.mark.parametrize("n_notes", [1, 8])
def test_noise_has_none(n_notes: int) -> None:
    sounds = np.random.default_rng(0).standard_normal((n_notes, 3 * RATE)).astype(np.float32)
    assert partials_of(sounds, np.linspace(50.0, 70.0, n_notes), RATE) == HARMONIC


def test_silence_and_short_notes() -> None:
    pitches = np.array([60.0, 64.0])
    assert partials_of(np.zeros((2, 1000), np.float32), pitches, RATE) == HARMONIC
    assert partials_of(np.zeros((2, 0), np.float32), pitches, RATE) == HARMONIC
