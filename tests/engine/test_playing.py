"""A shipped preset is held, released, bent, glided and morphed live, without clicks and in tune."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from audiogen.audio.pitch import cents_error, note_pitch
from audiogen.core import backend as _native
from audiogen.engine import Synth

pytestmark = pytest.mark.skipif(_native.find() is None, reason="audiogen._native is not built")

RATE, BLOCK = 48000, 240  # 5 ms


def organ() -> Synth:
    """A church organ, which sounds for as long as it is held, and wavers."""
    synth = Synth("woodwinds", RATE, max_block=BLOCK)
    synth.timbre = "church-organ"
    return synth


@pytest.fixture
def synth() -> Synth:
    return organ()


def hold(synth: Synth, seconds: float) -> np.ndarray:
    return np.concatenate(
        [synth.process(BLOCK)[:, 0] for _ in range(round(seconds * RATE / BLOCK))]
    )


def level_db(samples: np.ndarray, window_s: float = 0.05) -> np.ndarray:
    n = round(window_s * RATE)
    power = np.square(samples[: len(samples) // n * n].reshape(-1, n)).mean(axis=1)
    return 10 * np.log10(power + 1e-12)


def roughness(samples: np.ndarray) -> np.ndarray:
    """The largest second difference in each 5 ms, where a click stands out."""
    second = np.abs(np.diff(samples.astype(np.float64), 2))
    return second[: len(second) // BLOCK * BLOCK].reshape(-1, BLOCK).max(axis=1)


def pitch_of(samples: np.ndarray) -> float:
    return note_pitch(samples, RATE, note_on_s=len(samples) / RATE)


def track(samples: np.ndarray) -> np.ndarray:
    """Pitch each 10 ms."""
    hop = RATE // 100
    hz = librosa.yin(samples, fmin=180, fmax=600, sr=RATE, frame_length=2048, hop_length=hop)
    return librosa.hz_to_midi(hz[: len(samples) // hop])


def spectrum(samples: np.ndarray) -> np.ndarray:
    """Level of the first 12 harmonics of C4, dB."""
    windowed = np.fft.rfft(samples[:RATE] * np.hanning(RATE))
    harmonics = np.rint(261.626 * np.arange(1, 13)).astype(int)
    return np.array([20 * np.log10(np.abs(windowed[h - 4 : h + 5]).max()) for h in harmonics])


def test_a_held_note_never_ends_and_never_clicks(synth):
    synth.note_on(60)
    hold(synth, 1.0)
    first, rest = hold(synth, 3.0), hold(synth, 57.0)
    assert synth.n_sounding == 1
    assert roughness(rest).max() < 1.3 * roughness(first).max()
    assert np.ptp(level_db(rest, 1.0)) < 5.0  # it wavers, as the preset has learned, and stays
    assert abs(level_db(rest[-10 * RATE :], 10.0) - level_db(rest[: 10 * RATE], 10.0)) < 1.0
    assert abs(cents_error(pitch_of(rest[-RATE:]), 60.0)) < 10


@pytest.mark.parametrize("moment", range(8))
def test_a_release_at_any_moment_is_without_a_click(synth, moment):
    synth.note_on(55)
    hold(synth, 0.5)
    held = hold(synth, 0.4 + 0.013 * moment)
    synth.note_off(55)
    released = hold(synth, 1.5)
    # The sound goes on as it was, and then fades.
    assert roughness(np.append(held[-BLOCK:], released)).max() < 1.3 * roughness(held).max()
    assert level_db(released)[0] > level_db(held)[-1] - 3.0
    assert synth.n_sounding == 0 and level_db(released)[-1] < -90


@pytest.mark.parametrize("bend", [-5.0, -0.5, 2.0, 7.0])
def test_a_sounding_note_bends_in_tune_at_the_same_level(synth, bend):
    synth.note_on(60)
    before = hold(synth, 1.0)[-RATE // 2 :]
    synth.bend = bend
    moving, after = hold(synth, 0.2), hold(synth, 1.0)
    other = organ()  # the same note without the bend
    other.note_on(60)
    hold(other, 1.0)
    still = hold(other, 0.2)
    assert abs(cents_error(pitch_of(before), 60.0)) < 10
    assert abs(cents_error(pitch_of(after), 60.0 + bend)) < 10
    assert np.abs(level_db(moving) - level_db(still)).max() < 3.0
    assert roughness(moving).max() < 2.0 * max(roughness(before).max(), roughness(after).max())


def test_the_wheel_bends_as_far_as_its_range(synth):
    synth.midi(bytes([0x90, 60, 100, 0xE0, 0, 96]))  # half of the way up
    hold(synth, 1.0)
    assert synth.bend_range == 2.0
    assert abs(cents_error(pitch_of(hold(synth, 0.5)), 61.0)) < 10
    synth.bend_range = 12.0  # the wheel stays where it is
    hold(synth, 0.1)
    assert abs(cents_error(pitch_of(hold(synth, 0.5)), 66.0)) < 10
    synth.midi(bytes([0xB0, 101, 0, 100, 0, 6, 5]))
    hold(synth, 0.1)
    assert synth.bend_range == 5.0
    assert abs(cents_error(pitch_of(hold(synth, 0.5)), 62.5)) < 10


def test_a_variation_is_added_to_the_seed():
    both = [Synth("brass", RATE, seed=seed, max_block=BLOCK) for seed in (3, 10)]
    both[0].variation = 7.0
    for each in both:
        each.note_on(55)
    np.testing.assert_array_equal(hold(both[0], 0.5), hold(both[1], 0.5))
    both[0].variation = 8.0  # for later notes
    np.testing.assert_array_equal(hold(both[0], 0.5), hold(both[1], 0.5))
    for each in both:
        each.note_on(62)
    assert np.abs(hold(both[0], 0.5) - hold(both[1], 0.5)).max() > 0.001


def test_a_glide_takes_its_time_and_stays_loud(synth):
    synth.timbre = "clarinet"  # whose level is steady
    synth.note_on(60)
    before = hold(synth, 1.0)
    synth.glide = 1.0
    synth.note_off(60)
    synth.note_on(67)
    hold(synth, 0.3)  # the first note rings off
    gliding = hold(synth, 0.6)
    there = hold(synth, 1.0)
    # 7 semitones a second; windows of 128 ms make it a little late.
    slope, start = np.polyfit(np.arange(60) / 100, track(gliding), 1)
    assert 6.0 < slope < 8.0 and 61.3 < start < 62.3
    assert abs(cents_error(pitch_of(there[RATE // 4 :]), 67.0)) < 10
    assert np.abs(level_db(gliding) - level_db(before)[-4:].mean()).max() < 4.0


def test_vibrato_moves_about_the_pitch(synth):
    synth.note_on(60)
    synth.vibrato = 0.5
    sound = hold(synth, 3.0)[RATE:]
    pitches = track(sound)
    assert abs(pitches.mean() - 60.0) < 0.1
    assert 0.4 < np.ptp(pitches) < 1.2
    turns = np.abs(np.fft.rfft(pitches - pitches.mean()))
    assert 5.0 <= np.argmax(turns) / (len(pitches) / 100) <= 6.0  # Hz


def test_a_sounding_note_morphs_into_another_timbre(synth):
    synth.timbre = "flute"
    synth.note_on(60)
    flute = hold(synth, 1.5)[RATE // 2 :]
    synth.morph_timbre = "clarinet"
    synth.morph = 0.5
    moving = hold(synth, 0.5)
    between = hold(synth, 1.0)
    synth.morph = 1.0
    hold(synth, 0.5)
    became = hold(synth, 1.0)
    other = Synth("woodwinds", RATE, max_block=BLOCK)
    other.note_on(60, timbre="clarinet")
    hold(other, 3.5)
    clarinet = hold(other, 1.0)
    assert roughness(moving).max() < 1.5 * max(roughness(x).max() for x in (flute, clarinet))
    ends = [spectrum(flute), spectrum(clarinet)]
    apart = np.abs(ends[1] - ends[0]).mean()
    assert apart > 6.0  # dB: they are different instruments
    assert np.abs(spectrum(became) - ends[1]).mean() < 0.4 * apart
    for end in ends:
        assert 0.25 * apart < np.abs(spectrum(between) - end).mean() < 0.8 * apart
    assert abs(cents_error(pitch_of(between), 60.0)) < 10


def test_the_pedal_holds_released_notes(synth):
    synth.sustain = 1
    synth.note_on(60)
    hold(synth, 0.5)
    synth.note_off(60)
    assert level_db(hold(synth, 2.0))[-1] > -40 and synth.n_sounding == 1
    synth.sustain = 0
    hold(synth, 1.5)
    assert synth.n_sounding == 0


def test_all_off_silences_at_once_and_without_a_click(synth):
    for pitch in (48, 55, 60, 64):
        synth.note_on(pitch)
    held = hold(synth, 1.0)
    synth.all_off(silence=True)
    ended = hold(synth, 0.1)
    assert synth.n_sounding == 0 and not ended[round(0.012 * RATE) :].any()
    assert roughness(np.append(held[-BLOCK:], ended)).max() < 1.5 * roughness(held).max()


def test_a_samplernn_follows_a_bend_at_once():
    synth = Synth("winds-sketch", RATE, max_block=BLOCK, precision="int8")
    synth.note_on(65, timbre="clarinet")
    before = hold(synth, 1.0)
    synth.bend = 2.0
    after = hold(synth, 0.8)
    assert abs(np.median(track(before)[20:]) - 65.0) < 0.1
    assert (np.abs(track(after)[5:] - 67.0) < 0.3).mean() > 0.9  # from 50 ms on
    assert np.abs(level_db(after) - level_db(before)[-4:].mean()).max() < 4.0
