"""Vibrato of recorded notes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiogen.data.notes.vibrato import vibrato_of, without_vibrato
from audiogen.evaluation.note_statistics import level_changes, vibrato_cents

RATE = 16000


def note(
    pitch: float,
    depth: float = 0.0,
    rate: float = 5.2,
    rise_s: float = 0.0,
    phase: float = 0.0,
    strongest: int = 1,
    tremolo: tuple[float, float] = (0.0, 0.0),
    n_partials: int = 4,
) -> np.ndarray:
    """A harmonic tone of 4 s with a vibrato of ``depth`` cents, and a tremolo in dB and degrees."""
    time = np.arange(4 * RATE) / RATE
    share = np.minimum(1.0, time / rise_s) if rise_s else 1.0
    cents = depth * share * np.sin(2 * np.pi * rate * time + phase)
    hz = 440.0 * 2.0 ** ((pitch - 69) / 12 + cents / 1200)
    turns = np.cumsum(hz) / RATE
    sound = sum(
        np.sin(2 * np.pi * k * turns) / (1 + abs(k - strongest)) for k in range(1, n_partials + 1)
    )
    db = tremolo[0] * share * np.sin(2 * np.pi * rate * time + phase + np.radians(tremolo[1]))
    return (0.1 * sound * np.exp(-time / 8) * 10.0 ** (db / 20)).astype(np.float32)


def notes(**how: Any) -> tuple[np.ndarray, np.ndarray]:
    pitches = np.arange(50.0, 74.0, 3.0)
    sounds = [note(pitch, phase=pitch, **how) for pitch in pitches]
    return np.stack(sounds), pitches


def held_cents(sound: np.ndarray, pitch: float) -> float:
    return vibrato_cents(sound[RATE // 2 : 5 * RATE // 2], pitch, RATE)


@pytest.mark.parametrize(("depth", "rate", "rise_s"), [(12.0, 5.2, 0.0), (30.0, 4.0, 0.6)])
def test_depth_rate_and_rise_are_measured(depth: float, rate: float, rise_s: float) -> None:
    found = vibrato_of(*notes(depth=depth, rate=rate, rise_s=rise_s), RATE)
    assert found is not None
    assert found.depth_cents == pytest.approx(depth, rel=0.1)
    assert found.rate_hz == pytest.approx(rate, abs=0.1)
    assert found.rise_s == pytest.approx(rise_s, abs=0.2)


@pytest.mark.parametrize("tremolo", [(1.5, -120.0), (4.0, 30.0)])
def test_a_tremolo_is_measured_and_removed(tremolo: tuple[float, float]) -> None:
    sounds, pitches = notes(depth=15.0, tremolo=tremolo)
    found = vibrato_of(sounds, pitches, RATE)
    assert found is not None and len(found.numbers()) == 5
    assert found.tremolo_db == pytest.approx(tremolo[0], rel=0.1)
    assert found.tremolo_phase == pytest.approx(tremolo[1], abs=5.0)
    assert found.depth_cents == pytest.approx(15.0, rel=0.1)
    part = slice(RATE // 2, 5 * RATE // 2)
    for sound, pitch in zip(sounds, pitches, strict=True):
        before, after = (
            level_changes(each[part], RATE)["flutter_db"]
            for each in (sound, without_vibrato(sound, pitch, RATE))
        )
        assert after < 0.15 * before and before > tremolo[0] / 2
    # Of another phase in each note, it isn't the vibrato's.
    for index, pitch in enumerate(pitches):
        sounds[index] = note(pitch, 15.0, phase=pitch, tremolo=(tremolo[0], 45.0 * index))
    found = vibrato_of(sounds, pitches, RATE)
    assert found is not None and len(found.numbers()) == 3


@pytest.mark.parametrize("pitch", [36.0, 40.0, 48.0, 55.0, 67.0])
def test_a_steady_level_stays(pitch: float) -> None:
    """Harmonics of the pitch, near the rate at which the level is sampled, are no tremolo."""
    wavering = note(pitch, 15.0, rate=5.5, n_partials=20)
    part = slice(RATE // 2, 5 * RATE // 2)
    before, after = (
        level_changes(each[part], RATE)["flutter_db"]
        for each in (wavering, without_vibrato(wavering, pitch, RATE))
    )
    assert after < before + 0.02


@pytest.mark.parametrize("end_s", [1.8, 2.4, 2.7])
def test_an_early_end_is_no_tremolo(end_s: float) -> None:
    wavering = note(60.0, 15.0)
    time = np.arange(len(wavering)) / RATE
    for fade_s in (0.0, 0.1, 0.5):
        release = np.clip(1.0 - (time - end_s) / max(fade_s, 1e-3), 0.0, 1.0)
        fading = (wavering * 10.0 ** (-3.0 * (1.0 - release)) * (release > 0)).astype(np.float32)
        straight = without_vibrato(fading, 60.0, RATE)
        assert np.abs(straight).max() < 1.5 * np.abs(fading).max()


@pytest.mark.parametrize("pitch", [48.0, 72.0, 81.0])
@pytest.mark.parametrize("depth", [20.0, 60.0])
def test_a_deep_vibrato_of_an_upper_partial(pitch: float, depth: float) -> None:
    """The fundamental, by its own instantaneous frequency, is steady afterwards."""

    def change(sound: np.ndarray) -> float:
        f0 = 440.0 * 2.0 ** ((pitch - 69) / 12)
        spectrum = np.fft.fft(sound[: 3 * RATE])
        hz = np.fft.fftfreq(3 * RATE, 1 / RATE)
        spectrum[np.abs(hz - f0) > 0.45 * f0] = 0
        turns = np.unwrap(np.angle(np.fft.ifft(spectrum))) / (2 * np.pi)
        step = RATE // 100
        cents = 1200 * np.log2(np.diff(turns[::step]) * RATE / step / f0)[40:260]
        return float(np.std(cents))

    wavering = note(pitch, depth, strongest=3)
    found = vibrato_of(wavering[None], np.array([pitch]), RATE)
    assert found is not None and found.depth_cents == pytest.approx(depth, rel=0.15)
    assert change(wavering) == pytest.approx(depth / np.sqrt(2.0), rel=0.1)
    assert change(without_vibrato(wavering, pitch, RATE)) < 0.1 * depth


def test_beats_are_no_vibrato() -> None:
    pitches = np.arange(50.0, 74.0, 3.0)
    time = np.arange(4 * RATE) / RATE
    for ratio in (0.1, 0.4):
        beating = []
        for pitch in pitches:
            f0 = 440.0 * 2.0 ** ((pitch - 69) / 12)
            tones = [
                (
                    np.sin(2 * np.pi * k * f0 * time)
                    + ratio * np.sin(2 * np.pi * (k * f0 + 5) * time)
                )
                / k
                for k in range(1, 5)
            ]
            beating.append(0.1 * sum(tones))
        assert vibrato_of(np.stack(beating), pitches, RATE) is None


def test_steady_notes_and_random_changes_are_no_vibrato() -> None:
    sounds, pitches = notes()
    assert vibrato_of(sounds, pitches, RATE) is None
    first = sounds[0]
    assert without_vibrato(first, pitches[0], RATE) is first
    random = np.random.default_rng(0)
    jitter = np.cumsum(random.normal(0, 1, (len(pitches), 4 * RATE // 160)), axis=1)
    jitter -= np.apply_along_axis(np.convolve, 1, jitter, np.ones(50) / 50, "same")
    for sound, pitch, cents in zip(sounds, pitches, 4 * jitter, strict=True):
        hz = 440.0 * 2.0 ** ((pitch - 69) / 12 + np.repeat(cents, 160) / 1200)
        sound[:] = 0.1 * np.sin(2 * np.pi * np.cumsum(hz) / RATE)
    assert held_cents(sounds[0], pitches[0]) > 2.0
    assert vibrato_of(sounds, pitches, RATE) is None
    assert vibrato_of(0.1 * random.normal(0, 1, sounds.shape), pitches, RATE) is None


@pytest.mark.parametrize("pitch", [40.0, 62.5, 81.0])
def test_a_note_without_its_vibrato_is_the_steady_note(pitch: float) -> None:
    wavering, steady = note(pitch, 15.0), note(pitch)
    straight = without_vibrato(wavering, pitch, RATE)
    assert straight.shape == wavering.shape and straight.dtype == np.float32
    assert held_cents(wavering, pitch) == pytest.approx(15.0 / np.sqrt(2.0), rel=0.1)
    assert held_cents(straight, pitch) < 0.5
    # Nothing else changes: the spectrum is the steady note's.
    part = slice(RATE // 2, 5 * RATE // 2)
    window = np.blackman(2 * RATE)
    power = [np.abs(np.fft.rfft(window * x[part])) ** 2 for x in (straight, steady)]
    hz = np.arange(len(power[0])) / 2.0
    for k in range(1, 5):
        near = np.abs(hz - k * 440.0 * 2.0 ** ((pitch - 69) / 12)) < 12.0
        levels = [10 * np.log10(each[near].sum()) for each in power]
        assert levels[0] == pytest.approx(levels[1], abs=0.1)
    between = 10 * np.log10(power[0][hz > 5.0 * 440.0 * 2.0 ** ((pitch - 69) / 12)].max())
    assert between < 10 * np.log10(power[0].max()) - 60.0


def test_silent_and_too_high_notes_are_left_alone() -> None:
    silent = np.zeros(4 * RATE, np.float32)
    assert without_vibrato(silent, 60.0, RATE) is silent
    high = note(126.0)
    assert without_vibrato(high, 126.0, RATE) is high
