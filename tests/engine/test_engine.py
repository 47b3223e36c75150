"""The native engine: any blocks, any rate, any moment of release, and voices that make room."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soxr

pytest.importorskip("audiogen._native")

from audiogen.core.events import Event, event_array, note_off, note_on
from audiogen.engine import Synth
from audiogen.errors import ParameterError

from .conftest import FULL
from .sounds import band_limited, engine_output, second_difference, snr_db

RATES = (16000, 22050, 44100, 48000, 96000)


@pytest.fixture
def synth(make_preset: Callable[..., Path]) -> Synth:
    return Synth(make_preset())


def engine_of(synth: Synth, rate: int, voices: int = 8, seed: int = 0, n_channels: int = 1) -> Any:
    return synth._opened.engine(rate, voices, seed, n_channels)


def on(offset: int, id: int, pitch: float = 60.0, timbre: int = 0) -> Event:
    return note_on(id, pitch, 0.8, timbre, offset=offset)


def off(offset: int, id: int) -> Event:
    return note_off(id, offset)


def some_events(rate: int) -> list[Event]:
    """Three notes that overlap, one of them a sample long, by sample from the start."""
    at = [round(x * rate) for x in (0.0, 0.01, 0.0503, 0.0713, 0.15, 0.2)]
    return [
        on(at[0], 1, 50.0),
        on(at[1], 2, 57.3, timbre=1),
        off(at[1] + 1, 2),
        on(at[3], 3, 69.0, timbre=2),
        off(at[4], 1),
        off(at[5], 3),
    ]


@pytest.mark.parametrize("rate", RATES)
def test_any_blocks_give_the_same_bits(synth: Synth, rate: int) -> None:
    n, events = rate * 2 // 5, some_events(rate)
    wanted = engine_output(engine_of(synth, rate), n, events)
    assert np.abs(wanted).max() > 1e-3 and np.isfinite(wanted).all()
    random = np.random.default_rng(rate)
    for sizes in (
        cycle([1]),
        cycle([7]),
        cycle([64]),
        cycle([1000]),
        cycle([1, 1000, 7, 333, 64, 2]),
        iter(random.integers(1, 1025, n)),
    ):
        assert np.array_equal(engine_output(engine_of(synth, rate), n, events, sizes), wanted)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_block_has_a_row_for_each_sample(synth: Synth, n_channels: int) -> None:
    engine = engine_of(synth, 16000, n_channels=n_channels)
    assert engine.process(33, event_array([on(0, 1)])).shape == (33, n_channels)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_reset_is_as_new(synth: Synth, rate: int) -> None:
    n, events = rate // 3, some_events(rate)
    wanted = engine_output(engine_of(synth, rate, seed=5), n, events)
    engine = engine_of(synth, rate, voices=2, seed=9)
    some = engine_output(engine, n // 2, [on(0, 1, 20.0), *events])
    assert engine.n_sounding and engine.n_transposed and engine.n_stolen and some.any()
    for seed in (5, 5):
        engine.reset(seed)
        assert (engine.n_sounding, engine.n_transposed, engine.n_stolen) == (0, 0, 0)
        # Two voices are one too few for the whole of it.
        fresh = engine_output(engine_of(synth, rate, voices=2, seed=5), n, events)
        assert np.array_equal(engine_output(engine, n, events), fresh)
    silent = engine_of(synth, rate)
    silent.reset()
    assert not engine_output(silent, n).any() and wanted.any()


@pytest.mark.parametrize(
    ("model_rate", "rate"),
    [
        (16000, 48000),
        (16000, 44100),
        (16000, 22050),
        (16000, 96000),
        (16000, 32000),
        (16000, 11025),
        (16000, 8000),
        (48000, 44100),
        (44100, 16000),
    ],
)
def test_other_rates_are_the_same_sound(
    make_preset: Callable[..., Path], model_rate: int, rate: int
) -> None:
    """The engine's resampler against Fourier's and soxr's, and the latency that it reports."""
    synth = Synth(make_preset(sample_rate=model_rate))
    own, other = engine_of(synth, model_rate), engine_of(synth, rate)
    assert own.latency == 0

    def notes(rate: int) -> list[Event]:
        start, end = rate * 3 // 25, rate * 2 // 5  # with silence before and after
        return [on(start, 1, 48.0), on(start, 2, 60.5), off(end, 1), off(end, 2)]

    sound = engine_output(own, model_rate, notes(model_rate)).astype(np.float64)
    got = engine_output(other, rate + other.latency, notes(rate))[other.latency :]
    assert not sound[: model_rate // 10].any() and not sound[-model_rate // 10 :].any()
    highest = 0.44 * min(rate, model_rate)
    wanted = band_limited(scipy.signal.resample(sound, rate), rate, highest)
    got = band_limited(got, rate, highest)
    assert snr_db(wanted, got) > 105.0
    # soxr interpolates its filter where the ratio is not a small one, and is less exact then.
    by_soxr = soxr.resample(sound, model_rate, rate, quality="VHQ")
    by_soxr = band_limited(by_soxr, rate, highest)
    small = max(rate, model_rate) % min(rate, model_rate) == 0
    assert snr_db(by_soxr, got) > (105.0 if small else 75.0)
    # And nowhere else: the best shift is none.
    spectrum = np.conj(np.fft.rfft(by_soxr, 2 * rate)) * np.fft.rfft(got, 2 * rate)
    assert np.argmax(np.fft.irfft(spectrum)) == 0


def test_nothing_lies_above_the_models_band(synth: Synth) -> None:
    sound = engine_output(engine_of(synth, 48000), 12000, [on(0, 1, 48.0)])
    sound = sound * np.hanning(len(sound))
    power = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1.0 / 48000)
    assert power[hz > 8900].max() < 1e-9 * power.max()


def test_a_held_note_neither_ends_nor_clicks(make_preset: Callable[..., Path]) -> None:
    engine = engine_of(Synth(make_preset("full", FULL)), 16000)
    sound = engine_output(engine, 30 * 16000, [on(0, 1, 57.0)])
    assert engine.n_sounding == 1 and np.isfinite(sound).all()
    level = np.sqrt(np.mean(sound[:480000].reshape(-1, 4000) ** 2, axis=1))
    steady = level[4:]
    assert steady.min() > 0.3 * np.median(steady) and steady.max() < 3.0 * np.median(steady)
    bend = second_difference(sound)[16000:]
    by_hop = bend[: len(bend) // 512 * 512].reshape(-1, 512).max(axis=1)
    assert by_hop.max() < 2.5 * np.median(by_hop)
    assert abs(sound.mean()) < 1e-2 * steady.mean()


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_release_at_any_moment_ends_the_note(make_preset: Callable[..., Path], rate: int) -> None:
    synth = Synth(make_preset("full", FULL))
    for held_s in (0.0, 0.003, 0.1, 0.9, 2.2, 2.5, 2.6, 4.7):
        end = max(1, round(held_s * rate))
        engine = engine_of(synth, rate)
        sound = engine_output(engine, end, [on(0, 1, 57.0)])
        if held_s >= 0.1:
            assert engine.n_sounding == 1
        release = engine_output(engine, 2 * rate, [off(0, 1)])
        assert engine.n_sounding == 0 and not release[-rate // 10 :].any()
        if held_s >= 0.9:
            bend = second_difference(np.concatenate((sound, release)))
            assert bend[end - 8 :].max() < 2.0 * bend[rate // 4 : end].max()


def test_a_stolen_voice_is_counted(synth: Synth) -> None:
    engine = engine_of(synth, 16000, voices=2)
    engine.process(64, event_array([on(i, i, 50.0 + i) for i in range(2)]))
    assert (engine.n_sounding, engine.n_stolen) == (2, 0)
    engine.process(64, event_array([on(2, 2, 52.0)]))
    assert (engine.n_sounding, engine.n_stolen) == (2, 1)
    # The oldest made room, unless another was released.
    engine.process(64, event_array([off(0, 2), on(1, 9, 70.0)]))
    assert engine.n_stolen == 2
    engine_output(engine, 32000)
    assert engine.n_sounding == 2  # held notes 1 and 9: had note 1 been stolen, 2 would have ended


def test_no_events_are_silence(synth: Synth) -> None:
    assert not engine_output(engine_of(synth, 44100), 5000).any()


def test_too_large_a_block_is_refused(synth: Synth) -> None:
    with pytest.raises(ParameterError, match="n=1025 must be at most max_block=1024"):
        engine_of(synth, 16000).process(1025, event_array([]))
