"""The native engine plays a SampleRNN from Python as the network's own stream sounds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
native = pytest.importorskip("audiogen._native")

from audiogen.core.events import EVENT, NOTE_OFF, NOTE_ON
from audiogen.errors import ParameterError
from audiogen.models.samplernn import SampleRNN, SampleRNNConfig, export_weights

RATE = 16000
NOTE_SEED = 0x9E3779B97F4A7C15  # seeds of successive notes are this far apart
SETTINGS = {"temperature": 0.8, "top_p": 0.95}


def network(conditioning: str, precision: str = "float32") -> Any:
    torch.manual_seed(0)
    n_classes = 0 if conditioning == "none" else 2
    config = SampleRNNConfig(
        (4, 2), 16, embedding_size=4, q_levels=64, n_classes=n_classes, conditioning=conditioning
    )
    fields = asdict(config) | {"sample_rate": float(RATE)}
    for training_only in ("weight_norm", "learn_h0"):
        del fields[training_only]
    return native.SampleRNN(fields, export_weights(SampleRNN(config)), precision)


def engine_of(instrument: Any, voices: int = 4, seed: int = 0, rate: int = RATE) -> Any:
    return native.Engine(instrument, rate, 65536, voices, seed)


def events(*rows: tuple) -> np.ndarray:
    return np.array(list(rows), EVENT)


def on(offset: int, id: int, pitch: float = 60.0, timbre: int = 0) -> tuple:
    return offset, NOTE_ON, id, timbre, pitch, 0.5, 0.0


def off(offset: int, id: int) -> tuple:
    return offset, NOTE_OFF, id, 0, 0.0, 0.0, 0.0


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("conditioning", ["none", "class", "note"])
def test_notes_are_those_of_the_stream(conditioning: str, precision: str) -> None:
    net = network(conditioning, precision)
    timbre = 0 if conditioning == "none" else 1
    instrument = native.SampleInstrument(net, **SETTINGS, n_timbres=timbre + 1)
    engine = engine_of(instrument, seed=5)
    heard = engine.process(
        3000, events(on(0, 1, 55.3, timbre), off(1000, 1), on(2000, 2, 72.0, timbre))
    )[:, 0]
    first, second = (native.SampleStream(net, seed=(5 + NOTE_SEED * i) % 2**64) for i in range(2))
    if conditioning == "class":
        first.set_class(0, 1)
        second.set_class(0, 1)
    elif conditioning == "note":
        first.start_note(0, np.float32(55.3), 0.5, 1)
        second.start_note(0, 72.0, 0.5, 1)
    wanted = first.process(1000, **SETTINGS)[0]
    assert np.abs(wanted).max() > 0.1
    if conditioning == "note":
        assert np.array_equal(heard[:1000], wanted)
        first.release(0)
        rest = first.process(2000, **SETTINGS)[0]
        rest[1000:] += second.process(1000, **SETTINGS)[0]
        assert np.array_equal(heard[1000:], rest) and engine.n_sounding == 2
    else:  # a gate: its velocity is its level; Hann fades of 5 and 50 ms
        rise, fall = hann_rise(80), hann_rise(800)[::-1]
        np.testing.assert_allclose(heard[:80], 0.5 * wanted[:80] * rise, rtol=1e-6)
        assert np.array_equal(heard[80:1000], 0.5 * wanted[80:])
        fading = 0.5 * first.process(800, **SETTINGS)[0] * fall
        np.testing.assert_allclose(heard[1000:1800], fading, rtol=1e-6)
        assert not heard[1800:2000].any() and engine.n_sounding == 1
        wanted = second.process(1000, **SETTINGS)[0]
        np.testing.assert_allclose(heard[2000:2080], 0.5 * wanted[:80] * rise, rtol=1e-6)
        assert np.array_equal(heard[2080:], 0.5 * wanted[80:])


def hann_rise(n: int) -> np.ndarray:
    """The rising half of a Hann window, without its 0 and its 1."""
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1))).astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_released_note_ends_and_a_reset_is_as_new(rate: int) -> None:
    engine = engine_of(native.SampleInstrument(network("note")), seed=1, rate=rate)
    score = events(on(0, 1), on(10, 2, 67.0), off(rate // 10, 1), off(rate // 8, 2))
    first = engine.process(rate, score)
    assert engine.n_sounding == 2 and first[-100:].any()
    engine.process(rate, score[:0])
    last = engine.process(rate, score[:0])
    assert engine.n_sounding == 0 and not last[-rate // 4 :].any()
    engine.reset(2)
    assert not np.array_equal(engine.process(rate, score), first)
    engine.reset(1)
    assert np.array_equal(engine.process(rate, score), first)


def test_notes_outside_the_range_move_by_octaves() -> None:
    instrument = native.SampleInstrument(network("note"), pitch_range=(48.0, 72.0))
    low, inside = engine_of(instrument), engine_of(instrument)
    assert np.array_equal(
        low.process(500, events(on(0, 1, 30.0))), inside.process(500, events(on(0, 1, 54.0)))
    )
    assert (low.n_transposed, inside.n_transposed) == (1, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": -1.0}, "temperature=-1.0.* must be from 0"),
        ({"temperature": 2.5}, "temperature=2.5.* must be from 0"),
        ({"temperature": np.nan}, "temperature=nan"),
        ({"top_p": 0.0}, "top_p=0.0.* must be from 0.01"),
        ({"pitch_range": (72.0, 48.0)}, "highest_pitch must be lowest_pitch or more"),
        ({"n_timbres": 0}, "no timbre"),
        ({"n_timbres": 3}, "n_timbres=3 must be 1 to 2"),
        ({"network": None}, "no network"),
    ],
)
def test_bad_instruments_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        native.SampleInstrument(**{"network": network("note")} | changes)
