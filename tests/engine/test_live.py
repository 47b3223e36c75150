"""Bindings of live playing: the engine with its worker thread, and the reader of MIDI."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("audiogen._native")

from audiogen.core.events import ALL_OFF, EVENT, NOTE_OFF, NOTE_ON, PARAMETER
from audiogen.core.parameters import INDEX
from audiogen.engine.instrument import OpenPreset
from audiogen.errors import ParameterError
from audiogen.presets import load_preset

RATE, BLOCK, VOICES, SEED = 44100, 256, 4, 3
NONE = np.zeros(0, EVENT)


@pytest.fixture(scope="module")
def instrument() -> Any:
    return OpenPreset(load_preset("plucked")).instrument


def events(*rows: tuple) -> np.ndarray:
    return np.array(list(rows), EVENT)


def on(offset: int, id: int, pitch: float) -> tuple:
    return offset, NOTE_ON, id, 0, pitch, 0.8, 0.0


def move(offset: int, name: str, value: float) -> tuple:
    return offset, PARAMETER, INDEX[name], 0, 0.0, value, 0.0


def open_live(instrument: Any, synchronous: bool, **options: Any) -> Any:
    return native.LiveEngine(
        instrument, RATE, BLOCK, VOICES, SEED, synchronous=synchronous, **options
    )


def play(live: Any, score: np.ndarray, n: int, size: int) -> np.ndarray:
    blocks = []
    for start in range(0, n, size):
        while not live.ready:
            time.sleep(1e-4)
        now = score[(score["offset"] >= start) & (score["offset"] < start + size)].copy()
        now["offset"] -= start
        blocks.append(live.process(min(size, n - start), now))
    return np.concatenate(blocks)


@pytest.mark.parametrize("synchronous", [False, True])
@pytest.mark.parametrize("size", [64, 251])
def test_live_samples_are_the_engines(instrument: Any, synchronous: bool, size: int) -> None:
    score = events(
        on(0, 1, 60), move(500, "pan", -0.7), on(3001, 2, 64.5), (6000, NOTE_OFF, 1, 0, 0, 0, 0)
    )
    n = 12000
    wanted = native.Engine(instrument, RATE, n, VOICES, SEED, n_channels=2).process(n, score)
    live = open_live(instrument, synchronous)
    assert live.lookahead == BLOCK + RATE // 200 and live.n_channels == 2
    # So far ahead that no note waits for the worker, however busy the machine is.
    live = open_live(instrument, synchronous, lookahead=RATE)
    heard = play(live, score, n + RATE, size)
    assert heard.dtype == np.float32 and np.abs(wanted).max() > 0.05
    assert not heard[: live.lookahead].any()
    assert np.array_equal(heard[live.lookahead :], wanted)
    assert (live.n_late, live.n_dropped, live.n_stolen, live.n_transposed) == (0, 0, 0, 0)
    last = live.process(size, NONE)
    assert live.peak == np.abs(last).max()
    assert (live.load == 0) if synchronous else (live.load > 0)
    assert live.latency == live.lookahead + native.Engine(instrument, RATE, 1, 1).latency


def test_other_channels_lookahead_and_block(instrument: Any) -> None:
    live = open_live(instrument, True, n_channels=1, lookahead=0)
    score = events(on(0, 1, 60))
    heard = live.process(4 * BLOCK, score)  # without a thread a block may be of any length
    wanted = native.Engine(instrument, RATE, 4 * BLOCK, VOICES, SEED).process(4 * BLOCK, score)
    assert heard.shape == (4 * BLOCK, 1) and np.array_equal(heard, wanted)


@pytest.mark.parametrize("synchronous", [False, True])
def test_posted_events_and_another_instrument(instrument: Any, synchronous: bool) -> None:
    live = open_live(instrument, synchronous)
    assert live.post(events(on(0, 1, 60), on(0, 2, 64))) == 2
    play(live, NONE, 4000, BLOCK)
    assert live.n_sounding == 2 and live.peak > 0.01
    live.swap(OpenPreset(load_preset("woodwinds")).instrument)
    play(live, NONE, 4000, BLOCK)
    assert live.n_sounding == 0 and live.peak == 0.0
    live.post(events(on(0, 3, 60)))
    play(live, NONE, 9000, BLOCK)
    assert live.n_sounding == 1 and live.peak > 0.01
    live.post(events((0, ALL_OFF, 0, 0, 0.0, 1.0, 0.0)))
    play(live, NONE, 4000, BLOCK)
    assert live.n_sounding == 0 and live.n_late == 0


def test_more_events_than_there_is_room_for(instrument: Any) -> None:
    live = open_live(instrument, True)
    many = events(*[on(0, i, 60) for i in range(3000)])
    taken = live.post(many)
    assert 0 < taken < 3000 and live.n_dropped == 3000 - taken


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instrument": None}, "no instrument"),
        ({"sample_rate": 10}, "sample_rate=10 Hz"),
        ({"n_inputs": 3}, "n_inputs=3"),
        ({"max_block": 0}, "max_block=0 must be 1 to 65536"),
        ({"max_voices": 0}, "max_voices=0"),
        ({"n_channels": 3}, "n_channels=3"),
        ({"lookahead": 256}, "lookahead=256 samples must be 257"),
    ],
)
def test_bad_settings_are_refused(instrument: Any, options: dict[str, Any], message: str) -> None:
    settings = {"instrument": instrument, "sample_rate": RATE, "max_block": BLOCK, "max_voices": 1}
    with pytest.raises(ParameterError, match=message):
        native.LiveEngine(**settings | options)


def test_too_large_a_block_is_refused(instrument: Any) -> None:
    with pytest.raises(ParameterError, match="n=257 must be at most max_block=256"):
        open_live(instrument, False).process(BLOCK + 1, NONE)


def test_the_reader_knows_an_instruments_programs(instrument: Any) -> None:
    reader = native.MidiReader()
    reader.set_programs(instrument)
    assert reader.timbre == instrument.default_timbre
    reader.read(bytes([0xC3, 46]))
    assert reader.timbre == instrument.programs[46] != instrument.default_timbre
    assert reader.read(bytes([0x93, 60, 1]))[0]["timbre"] == instrument.programs[46]
    assert reader.read(bytes([0x90, 60, 1]))[0]["timbre"] == instrument.default_timbre
    reader.choose_timbre(5)
    assert [event["timbre"] for event in reader.read(bytes([0x93, 61, 1, 0x90, 61, 1]))] == [5, 5]


def test_midi_becomes_events() -> None:
    reader = native.MidiReader()
    assert len(reader.read(b"\x90\x3c")) == 0
    first, second = reader.read(b"\x7f\x3e\x40", 17)
    assert (first["kind"], first["pitch"], first["value"], first["offset"]) == (1, 60, 1, 17)
    off, bend = reader.read(bytes([0x80, 62, 0, 0xE0, 0, 0]))
    assert (off["kind"], off["id"]) == (NOTE_OFF, second["id"])
    assert (bend["kind"], bend["id"], bend["value"]) == (PARAMETER, INDEX["pitch_wheel"], -1.0)
