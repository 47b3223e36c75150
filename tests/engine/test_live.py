"""Live playing from Python: the engine with its thread, and the native reader of MIDI."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("audiogen._native")

from audiogen.engine.midi import MidiReader
from audiogen.engine.networks import open_network

from audiogen.core.events import ALL_OFF, EVENT, NOTE_OFF, NOTE_ON, PARAMETER
from audiogen.core.parameters import INDEX, PARAMETERS
from audiogen.errors import ParameterError
from audiogen.presets import load_preset

RATE, BLOCK, VOICES, SEED = 44100, 256, 4, 3
NONE = np.zeros(0, EVENT)


@pytest.fixture(scope="module")
def instrument() -> Any:
    return open_network(load_preset("plucked")).instrument()


def events(*rows: tuple) -> np.ndarray:
    return np.array(list(rows), EVENT)


def on(offset: int, id: int, pitch: float) -> tuple:
    return offset, NOTE_ON, id, 0, pitch, 0.8


def turn(offset: int, name: str, value: float) -> tuple:
    return offset, PARAMETER, INDEX[name], 0, 0.0, value


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
        on(0, 1, 60), turn(500, "pan", -0.7), on(3001, 2, 64.5), (6000, NOTE_OFF, 1, 0, 0, 0)
    )
    n = 12000
    wanted = native.Engine(instrument, RATE, n, VOICES, SEED, n_channels=2).process(n, score)
    live = open_live(instrument, synchronous)
    assert live.lookahead == BLOCK + RATE // 200 and live.n_channels == 2
    heard = play(live, score, n, size)
    assert heard.dtype == np.float32 and np.abs(wanted).max() > 0.05
    assert not heard[: live.lookahead].any()
    assert np.array_equal(heard[live.lookahead :], wanted[: n - live.lookahead])
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
    assert heard.shape == (4 * BLOCK, 1) and np.array_equal(heard[:, 0], wanted)


@pytest.mark.parametrize("synchronous", [False, True])
def test_posted_events_and_another_instrument(instrument: Any, synchronous: bool) -> None:
    live = open_live(instrument, synchronous)
    assert live.post(events(on(0, 1, 60), on(0, 2, 64))) == 2
    play(live, NONE, 4000, BLOCK)
    assert live.n_sounding == 2 and live.peak > 0.01
    live.swap(open_network(load_preset("sustained")).instrument())
    play(live, NONE, 4000, BLOCK)
    assert live.n_sounding == 0 and live.peak == 0.0
    live.post(events(on(0, 3, 60)))
    play(live, NONE, 9000, BLOCK)
    assert live.n_sounding == 1 and live.peak > 0.01
    live.post(events((0, ALL_OFF, 0, 0, 0.0, 1.0)))
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
        ({"max_block": 0}, "max_block=0; wanted 1 to 65536"),
        ({"max_voices": 0}, "max_voices=0"),
        ({"n_channels": 3}, "n_channels=3"),
        ({"lookahead": 256}, "lookahead=256 samples; wanted 257"),
    ],
)
def test_bad_settings_are_refused(instrument: Any, options: dict[str, Any], message: str) -> None:
    settings = {"instrument": instrument, "sample_rate": RATE, "max_block": BLOCK, "max_voices": 1}
    with pytest.raises(ParameterError, match=message):
        native.LiveEngine(**settings | options)


def test_too_large_a_block_is_refused(instrument: Any) -> None:
    with pytest.raises(ParameterError, match="n=257 is more than max_block=256"):
        open_live(instrument, False).process(BLOCK + 1, NONE)


def test_midi_becomes_events() -> None:
    reader = native.MidiReader()
    assert len(reader.read(b"\x90\x3c")) == 0
    first, second = reader.read(b"\x7f\x3e\x40", 17)
    assert (first["kind"], first["pitch"], first["value"], first["offset"]) == (1, 60, 1, 17)
    off, bend = reader.read(bytes([0x80, 62, 0, 0xE0, 0, 0]))
    assert (off["kind"], off["id"]) == (NOTE_OFF, second["id"])
    assert (bend["kind"], bend["id"], bend["value"]) == (PARAMETER, INDEX["bend"], -2.0)


class Recorder:
    """A player that notes down what it is told, less the keys let go."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def note_on(self, pitch: float, velocity: float) -> None:
        self.told.append(("on", pitch, pytest.approx(velocity)))

    def note_off(self, pitch: float) -> None:
        pass

    def program(self, number: int) -> None:
        pass

    def set(self, name: str, value: float) -> None:
        self.told.append((name, pytest.approx(value)))

    def all_off(self, silence: bool = False) -> None:
        self.told.append(("all off", silence))


def test_both_readers_of_midi_understand_the_same() -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(0, 128, 30_000)
    statuses = rng.random(len(data)) < 0.3
    data[statuses] = rng.integers(128, 256, statuses.sum())
    controls = np.flatnonzero(rng.random(len(data)) < 0.05)  # more of those that matter
    for at in controls[controls < len(data) - 3]:
        data[at : at + 2] = 0xB0, rng.choice([1, 5, 6, 7, 10, 64, 98, 100, 101, 120, 121, 123])
        data[at + 2] = rng.choice([0, 0, 1, 63, 64, 127])
    stream = data.astype(np.uint8).tobytes()

    recorder = Recorder()
    MidiReader().feed(stream, recorder)
    said = []
    for event in native.MidiReader().read(stream):
        if event["kind"] == NOTE_ON:
            said.append(("on", event["pitch"], event["value"]))
        elif event["kind"] == PARAMETER:
            said.append((PARAMETERS[event["id"]].name, event["value"]))
        elif event["kind"] == ALL_OFF:
            said.append(("all off", event["value"] == 1.0))
    assert len(said) > 3000 and {"bend", "morph", "volume", "on", "all off"} <= {s[0] for s in said}
    assert said == recorder.told
