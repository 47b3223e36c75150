"""Live engines in both backends: synchronous, with posted events and replaced instruments."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from audiogen import _fallback as fallback
from audiogen.core import backend
from audiogen.core.events import Event, event_array, note_off, note_on, set_parameter
from audiogen.core.parameters import INDEX
from audiogen.engine.instrument import OpenPreset
from audiogen.errors import MissingPackageError, ParameterError
from audiogen.presets import load_preset

RATE, BLOCK = 11025, 100
NONE = event_array([])


@pytest.fixture
def instruments(write_tiny, write_murmur, tmp_path, monkeypatch) -> Any:
    """A function that opens three instruments with a backend: two kinds of notes, and gates."""
    folders = [
        write_tiny(tmp_path / "tiny"),
        write_murmur(tmp_path / "notes", notes=True),
        write_murmur(tmp_path / "gates"),
    ]

    def opened(module: ModuleType) -> list[Any]:
        monkeypatch.setattr(backend, "load", lambda: module)
        return [OpenPreset(load_preset(folder)).instrument for folder in folders]

    return opened


def live(module: ModuleType, instrument: Any, **options: Any) -> Any:
    options = {"n_channels": 2, "n_inputs": 2, "synchronous": True, **options}
    return module.LiveEngine(instrument, RATE, BLOCK, 3, 5, **options)


def parameter(offset: int, name: str, value: float) -> Event:
    return set_parameter(INDEX[name], value, offset=offset)


def sound(n: int) -> np.ndarray:
    t = np.arange(n)[:, None] / RATE
    return (0.3 * np.sin(2 * np.pi * np.array([200.0, 330.0]) * t)).astype(np.float32)


def session(module: ModuleType, opened: list[Any], **options: Any) -> tuple[np.ndarray, list[Any]]:
    """Samples and meters of a session that uses all that there is."""
    frames, notes, gates = opened
    one = live(module, frames, **options)
    blocks: list[np.ndarray] = []
    meters: list[Any] = [(one.lookahead, one.latency, one.max_block, one.n_channels, one.load)]
    received = sound(10_000)
    now = 0

    def process(n: int, *events: Event, silent: bool = False) -> None:
        nonlocal now
        given = None if silent else received[now : now + n]
        blocks.append(one.process(n, event_array(list(events)), given))
        now += n
        counts = (one.n_late, one.n_delayed, one.n_dropped, one.n_sounding)
        meters.append((*counts, one.n_transposed, one.n_stolen, one.latency, one.ready))
        meters.append(pytest.approx(one.peak, abs=1e-4, rel=5e-5))

    process(70, note_on(1, 60.0, 0.8, 0, 0.4, 10), parameter(20, "bend", 1.0))
    process(0, note_on(2, 20.0, 0.7, 1))
    process(BLOCK, parameter(99, "volume", 0.8), note_off(2, 5000))
    meters.append(one.post(event_array([note_on(3, 65.0, 0.5, offset=77), note_on(4, 50.0, 0.5)])))
    process(350, note_off(1, 20), note_on(5, 61.0, 0.9, offset=340), silent=True)  # in pieces
    one.swap(notes)
    meters.append(one.latency)
    one.post(event_array([note_on(6, 62.0, 0.9), parameter(0, "temperature", 0.7)]))
    process(130, note_on(7, 64.0, 0.6, 1, -0.5, 60))
    one.swap(frames)  # replaced before it plays
    one.swap(gates)
    process(0, note_on(8, 60.0, 0.5))
    process(60, parameter(0, "listen", 1.0), parameter(0, "monitor", 0.5))
    process(500)
    process(200, note_on(9, 60.0, 0.9, 0, 1.0), note_on(10, 60.0, 0.9, 0, -1.0, 50))
    one.swap(gates)
    process(77, note_on(11, 60.0, 0.9, offset=3))
    one.swap(frames)
    process(77, note_on(12, 60.0, 0.9, offset=3), parameter(9, "pan", float("nan")))
    process(400, note_off(12, 230), note_on(13, 55.0, 0.9, offset=10))  # not in order
    return np.concatenate(blocks), meters


@pytest.mark.parametrize(
    "options",
    [{}, {"lookahead": 0}, {"lookahead": 7, "n_channels": 1}],
    ids=["default", "no lookahead", "mono"],
)
def test_sessions_are_the_same(native: ModuleType, instruments: Any, options: Any) -> None:
    got, our_meters = session(fallback, instruments(fallback), **options)
    want, their_meters = session(native, instruments(native), **options)
    assert got.shape == want.shape and np.abs(want).max() > 0.05
    # Sums in another order, over the level of random weights.
    np.testing.assert_allclose(got, want, rtol=0, atol=5e-5 * max(1.0, np.abs(want).max()))
    for step, (ours, theirs) in enumerate(zip(our_meters, their_meters, strict=True)):
        ours = getattr(ours, "expected", ours)
        assert ours == theirs, step


def test_samples_are_those_of_an_engine_later(module: ModuleType, instruments: Any) -> None:
    frames = instruments(module)[0]
    events = event_array([note_on(1, 60.0, 0.8, offset=5), note_off(1, 700)])
    one = live(module, frames, n_inputs=0)
    got = one.process(2000, events)
    want = module.Engine(frames, RATE, 2000, 3, 5, 2).process(2000, events)
    np.testing.assert_array_equal(got[one.lookahead :], want[: -one.lookahead])
    assert not got[: one.lookahead].any()


def test_a_replaced_instrument_fades_out_in_20_ms(module: ModuleType, instruments: Any) -> None:
    frames, notes, _ = instruments(module)
    one, other = (live(module, frames, lookahead=0, n_inputs=0) for _ in range(2))
    start = event_array([note_on(1, 60.0, 0.8)])
    one.process(300, start), other.process(300, start)
    one.swap(notes)
    got, want = (engine.process(400, NONE) for engine in (one, other))
    length = RATE // 50
    gain = (length - np.arange(length)) / (length + 1)
    np.testing.assert_allclose(got[:length], gain[:, None] * want[:length], atol=1e-6)
    assert got[: length - 1].any() and not got[length:].any()


def test_posted_events_without_room_are_counted(module: ModuleType, instruments: Any) -> None:
    one = live(module, instruments(module)[0])
    events = event_array([note_off(9)] * 1000)
    assert [one.post(events) for _ in range(2)] == [1000, 24]
    assert one.n_dropped == 976
    one.process(10, NONE)
    assert one.post(events) == 1000


@pytest.mark.parametrize(("lookahead", "named"), [(10 * RATE + 1, "lookahead=110251"), (None, "")])
def test_bad_arguments_are_refused(
    module: ModuleType, instruments: Any, lookahead: int | None, named: str
) -> None:
    frames = instruments(module)[0]
    if named:
        with pytest.raises(ParameterError, match=named):
            live(module, frames, lookahead=lookahead)
    one = live(module, frames)
    with pytest.raises(ParameterError, match=r"input must have the shape \[10, 2\]"):
        one.process(10, NONE, np.zeros((10, 1), np.float32))
    with pytest.raises(ParameterError, match="max_block=0"):
        module.LiveEngine(frames, RATE, 0, 3, synchronous=True)


def test_a_thread_needs_the_compiled_module(instruments: Any) -> None:
    with pytest.raises(MissingPackageError, match=r"C\+\+20 compiler"):
        live(fallback, instruments(fallback)[0], synchronous=False)
