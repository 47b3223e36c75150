"""The pitch trackers: tones whose pitch is known, from low to high, and what has none."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from audiogen.audio.pitch import cents_error, note_pitch
from audiogen.errors import MissingPackageError, ParameterError

RATE = 16000
TRACKERS = [
    pytest.param(
        "praat",
        marks=pytest.mark.skipif(
            find_spec("parselmouth") is None, reason="needs praat-parselmouth, of the extra eval"
        ),
    ),
    pytest.param("pyin", marks=pytest.mark.slow),  # compiled by numba in each process
]


def tone(
    pitch: float, *, seconds: float = 3.5, decay_s: float = 1e9, slope: float = 1.0
) -> np.ndarray:
    """Harmonics up to 7 kHz, each 1 / n^slope, that end 0.1 s after 3 s."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    f0_hz = 440 * 2 ** ((pitch - 69) / 12)
    waveform = np.zeros(time_s.size)
    for n in range(1, max(1, int(7000 / f0_hz)) + 1):
        waveform += np.sin(2 * np.pi * n * f0_hz * time_s + n) / n**slope
    return 0.2 * waveform * np.exp(-time_s / decay_s) * np.clip((3.1 - time_s) / 0.1, 0, 1)


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize("pitch", [24, 36.3, 48, 60.5, 72, 84, 96])
def test_tones_have_the_pitch_they_were_made_with(tracker, pitch):
    # The trackers interpolate between lags or bins: within 12 cents, pyin's bin being 10.
    assert note_pitch(tone(pitch), RATE, tracker=tracker) == pytest.approx(pitch, abs=0.12)


@pytest.mark.parametrize("tracker", TRACKERS)
def test_decaying_tone_keeps_its_pitch(tracker):
    """After 40 dB of decay there are only rounding and noise left, which mustn't count."""
    noise = np.random.default_rng(0).normal(size=round(3.5 * RATE))
    waveform = tone(50, decay_s=0.15) + 1e-4 * noise
    assert note_pitch(waveform, RATE, tracker=tracker) == pytest.approx(50, abs=0.12)


@pytest.mark.parametrize("tracker", TRACKERS)
def test_release_and_attack_dont_count(tracker):
    time_s = np.arange(round(3.5 * RATE)) / RATE
    attack, release = tone(85), tone(40, seconds=4.5)[: time_s.size]
    waveform = np.where(time_s < 0.09, attack, np.where(time_s < 1.0, tone(60), release))
    measured = note_pitch(waveform, RATE, note_on_s=1.0, tracker=tracker)
    assert measured == pytest.approx(60, abs=0.12)


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize(
    "waveform",
    [np.zeros(0), np.zeros(100), np.zeros(3 * RATE)],
    ids=["empty", "short", "silence"],
)
def test_what_has_no_pitch_gives_nan(tracker, waveform):
    assert np.isnan(note_pitch(waveform, RATE, tracker=tracker))


def test_praat_hears_no_pitch_in_noise():
    pytest.importorskip("parselmouth", reason="needs praat-parselmouth, of the extra eval")
    assert np.isnan(note_pitch(np.random.default_rng(0).normal(size=3 * RATE), RATE))


def test_cents_and_octaves():
    measured, wanted = np.array([60.5, 72.1, 47.9, np.nan]), np.array([60.0, 60.0, 60.0, 60.0])
    np.testing.assert_allclose(cents_error(measured, wanted), [50, 1210, -1210, np.nan])
    np.testing.assert_allclose(
        cents_error(measured, wanted, octave_free=True), [50, 10, -10, np.nan], atol=1e-9
    )


def test_bad_arguments_are_named():
    with pytest.raises(ParameterError, match=r"shape \(2, 5\) must have one dimension"):
        note_pitch(np.zeros((2, 5)), RATE)
    with pytest.raises(ParameterError, match="finite"):
        note_pitch(np.array([0.0, np.nan]), RATE)
    with pytest.raises(ParameterError, match="tracker='ear' must be one of praat, pyin"):
        note_pitch(np.zeros(5), RATE, tracker="ear")


def test_missing_tracker_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(MissingPackageError, match=r"audiogen-synth\[eval\]"):
        note_pitch(tone(60), RATE)
