"""Where sounds begin."""

import numpy as np
import pytest

from audiogen.data.onsets import around_onsets, onsets

RATE = 16000


def tones(starts: list[int], seconds: float = 3.0) -> np.ndarray:
    """Struck tones, each of which rings on under the next."""
    random, sound = np.random.default_rng(0), np.zeros(round(seconds * RATE))
    for i, start in enumerate(starts):
        t = np.arange(len(sound) - start) / RATE
        partials = sum(np.sin(2 * np.pi * k * 220.0 * 1.19**i * t) / k for k in range(1, 9))
        strike = random.standard_normal(len(t)) * np.exp(-t / 0.005)
        sound[start:] += 0.1 * np.exp(-t / 0.5) * partials + 0.2 * strike
    return sound


@pytest.mark.parametrize("rate", [8000, RATE, 44100])
def test_tones_are_found_where_they_begin(rate):
    starts = [1000, 8000, 12000, 20011, 21500, 40000]
    sound = tones(starts)
    if rate != RATE:
        from scipy.signal import resample_poly

        sound = resample_poly(sound, rate, RATE)
    found = onsets(sound, rate)
    late = found / rate - np.array(starts) / RATE
    assert np.abs(late).max() < 0.003 and abs(np.mean(late)) < 0.0015
    around = around_onsets(sound, rate)
    for start in starts:
        first = start * rate // RATE
        assert around[first : first + rate // 1000].all()


@pytest.mark.parametrize("gain_db", [-40.0, 0.0])
def test_what_goes_on_does_not_begin(gain_db):
    gain, t = 10.0 ** (gain_db / 20.0), np.arange(4 * RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(4 * RATE)
    for sound in (0.1 * noise, np.sin(2 * np.pi * 440.0 * t) * np.exp(-t), 0.0 * t):
        assert not len(onsets(gain * sound, RATE))


def test_six_milliseconds_before_and_four_after_belong_to_an_onset():
    sound = tones([8000, 20000])
    where = np.flatnonzero(around_onsets(sound, RATE))
    assert [at.tolist() for at in np.split(where, 2)] == [
        list(range(at - 96, at + 64)) for at in onsets(sound, RATE)
    ]


@pytest.mark.parametrize("n", [0, 1, 3, 100])
def test_little_sound_has_none(n):
    assert not len(onsets(np.zeros(n), RATE)) and not around_onsets(np.zeros(n), RATE).any()


def test_long_sound_is_read_piece_by_piece(monkeypatch):
    from audiogen.data import onsets as module

    sound = tones([8000, 20000])
    whole = onsets(sound, RATE)
    monkeypatch.setattr(module, "_FRAMES_AT_ONCE", 37)
    assert onsets(sound, RATE).tolist() == whole.tolist()
