"""SampleRNN presets in both engines: notes, gates, and the audio input that gates continue."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from audiogen import _fallback as fallback
from audiogen._fallback.parameter_table import INDEX
from audiogen.core.events import (
    Event,
    all_off,
    event_array,
    note_off,
    note_on,
    set_parameter,
)
from audiogen.errors import ParameterError
from audiogen.presets import weight_shapes

from .networks import CLASS, NOTE, RATE, table_of, weights_for

GATES = {"gate": {}, "class": CLASS, "two bytes": {"q_levels": 1 << 16}}
FADE_IN, FADE_OUT = 40, 400  # samples, of a gate
TOLERANCE = 1e-5


def instrument(module: ModuleType, level: int | None = None, **changes: Any) -> Any:
    """An instrument with random weights, which draws nothing but ``level`` if it is given."""
    table = table_of(**changes)
    weights = weights_for(table)
    if level is not None:
        weights["sample.output.bias"][level] = 1e3
    network = module.SampleRNN(table.table() | {"sample_rate": float(RATE)}, weights)
    pitches = (40.0, 76.0) if table.conditioning == "note" else (-128.0, 256.0)
    return module.SampleInstrument(network, 0.9, 0.95, pitches, max(1, table.n_classes))


def engine(
    module: ModuleType, sample_rate: int = RATE, voices: int = 4, seed: int = 7, **options: Any
) -> Any:
    sizes = {name: options.pop(name) for name in ("n_channels", "n_inputs") if name in options}
    return module.Engine(instrument(module, **options), sample_rate, 1024, voices, seed, **sizes)


def play(
    engine: Any,
    n: int,
    score: list[Event],
    block: int = 1000,
    audio_input: np.ndarray | None = None,
) -> np.ndarray:
    """Samples of a score whose events have offsets from its start."""
    events = event_array(score)
    blocks = []
    for start in range(0, n, block):
        size = min(block, n - start)
        now = events[(events["offset"] >= start) & (events["offset"] < start + size)].copy()
        now["offset"] -= np.uint32(start)
        given = None if audio_input is None else audio_input[start : start + size]
        blocks.append(engine.process(size, now, given))
    return np.concatenate(blocks)


def parameter(offset: int, name: str, value: float, timbre: int = 0) -> Event:
    return set_parameter(INDEX[name], value, timbre, offset)


def tone(n: int, n_channels: int, dc: float = 0.1) -> np.ndarray:
    t = np.arange(n)[:, None] / RATE
    frequencies = 313.0 * np.arange(1, n_channels + 1)
    return (dc + 0.4 * np.sin(2 * np.pi * frequencies * t)).astype(np.float32)


NOTES = [
    note_on(1, 50.0, 0.8, 0, -0.5),
    note_on(2, 99.0, 0.5, 1, 0.3),
    parameter(100, "bend", 0.7),
    parameter(200, "temperature", 0.6),
    note_off(1, 333),
    note_on(3, 64.5, 1.0, 9, offset=333),
    parameter(500, "top_p", 0.5),
    parameter(600, "vibrato", 0.5),
    note_off(2, 900),
    note_off(3, 901),
]
GATE_SCORE = [
    note_on(1, 50.0, 0.8, 0, -1.0),
    note_on(2, -20.0, 0.5, 1, 0.3, 10),
    note_off(1, 30),  # in the fade-in
    parameter(200, "temperature", 1.2),
    note_on(3, 200.0, 1.0, 2, offset=333),
    parameter(500, "top_p", 0.3),
    note_on(4, 60.0, 1.0, 2, offset=550),
    note_on(5, 60.0, 1.0, 0, offset=600),  # steals a voice
    note_off(2, 900),
    all_off(offset=1200),
    note_on(6, 60.0, 0.7, 0, offset=1300),
    parameter(1500, "temperature", 0.0),
    all_off(silence=True, offset=1500),
    note_on(7, 60.0, 0.7, 0, offset=1700),
]
LISTENING = [
    parameter(0, "monitor", 0.6),
    parameter(5, "listen", 1.0, timbre=1),
    note_on(1, 60.0, 1.0, 0, -1.0, 9),  # before a frame was received
    note_on(2, 60.0, 0.9, 0, -1.0, 500),
    note_on(3, 60.0, 0.8, 1, 1.0, 777),
    parameter(900, "monitor", 0.0),
    note_off(1, 1000),
    parameter(1200, "listen", 0.0),
    note_on(4, 60.0, 1.0, 0, offset=1300),
    parameter(1400, "listen", 1.0),
    all_off(offset=1600),
    note_on(5, 60.0, 1.0, 0, offset=1700),
    note_off(5, 1750),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sample_rate", "n_channels"), [(RATE, 2), (11025, 1)])
def test_notes_equal_the_native_ones(native: ModuleType, sample_rate: int, n_channels: int) -> None:
    engines = [
        engine(module, sample_rate, seed=11, n_channels=n_channels, **NOTE)
        for module in (fallback, native)
    ]
    got, want = (play(one, int(2.3 * sample_rate), NOTES) for one in engines)
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE)
    for one in engines:
        assert (one.n_sounding, one.n_transposed, one.n_stolen) == (0, 1, 0)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("sample_rate", [RATE, 22050])
def test_gates_equal_the_native_ones(native: ModuleType, kind: str, sample_rate: int) -> None:
    ours, theirs = (
        engine(module, sample_rate, 3, n_channels=2, **GATES[kind]) for module in (fallback, native)
    )
    got, want = play(ours, 2200, GATE_SCORE, 300), play(theirs, 2200, GATE_SCORE)
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE)
    assert np.abs(got[-200:]).max() > 0.01
    assert ours.n_stolen == theirs.n_stolen > 0
    assert ours.n_transposed == theirs.n_transposed == 0
    assert ours.n_sounding == theirs.n_sounding


@pytest.mark.parametrize("release", [-1.0, -0.3, 0.6])
@pytest.mark.parametrize("kind", ["gate", "note"])
def test_shaped_ones_equal_the_native_ones(native: ModuleType, kind: str, release: float) -> None:
    score = [parameter(0, "attack", 0.15), parameter(0, "release", release)]
    score += [e for e in (NOTES if kind == "note" else GATE_SCORE[:9]) if e[1] != 2]
    score.sort(key=lambda event: event[0])
    sounds = [
        play(engine(module, n_channels=2, **(NOTE if kind == "note" else {})), 3000, score)
        for module in (fallback, native)
    ]
    np.testing.assert_allclose(*sounds, rtol=0, atol=TOLERANCE)
    assert np.abs(sounds[0]).max() > 0.01


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("n_inputs", [1, 2])
@pytest.mark.parametrize("sample_rate", [RATE, 11025, 4000])
def test_continued_inputs_equal_the_native_ones(
    native: ModuleType, kind: str, n_inputs: int, sample_rate: int
) -> None:
    ours, theirs = (
        engine(module, sample_rate, n_channels=2, n_inputs=n_inputs, **GATES[kind])
        for module in (fallback, native)
    )
    assert ours.input_latency == theirs.input_latency
    assert ours.latency == theirs.latency
    sound = tone(2000, n_inputs)
    sound[40, 0] = np.nan
    sound[400:410] = 1.5
    got = play(ours, 2000, LISTENING, 300, sound)
    want = play(theirs, 2000, LISTENING, 1000, sound)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(np.isfinite(got), finite)
    np.testing.assert_allclose(got[finite], want[finite], rtol=0, atol=TOLERANCE)


def test_notes_ignore_an_input_as_in_the_native_engine(native: ModuleType) -> None:
    score = [parameter(0, "listen", 1.0), parameter(0, "monitor", 0.5), *NOTES]
    got, want = (
        play(engine(module, n_inputs=2, **NOTE), 1000, score, 1000, tone(1000, 2))
        for module in (fallback, native)
    )
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["note", "gate"])
def test_samples_do_not_depend_on_blocks(module: ModuleType, kind: str) -> None:
    options = NOTE if kind == "note" else {"n_inputs": 1}
    score, n = (NOTES, 1000) if kind == "note" else (LISTENING, 2000)
    sound = None if kind == "note" else tone(n, 1)
    want = play(engine(module, **options), n, score, 1000, sound)
    assert want.any()
    for block in (1, 334, 77):
        got = play(engine(module, **options), n, score, block, sound)
        np.testing.assert_array_equal(got, want)


def test_reset_gives_a_new_engine(module: ModuleType) -> None:
    played = engine(module, n_inputs=1)
    want = play(played, 2000, LISTENING, audio_input=tone(2000, 1))
    played.reset(7)
    got = play(played, 2000, LISTENING, audio_input=tone(2000, 1))
    np.testing.assert_array_equal(got, want)


def test_a_gate_fades_in_and_out(module: ModuleType) -> None:
    played = engine(module, seed=3)
    out = play(played, 1000, [note_on(0, 60.0, 0.5), note_off(0, 500)])[:, 0]
    assert played.n_sounding == 0
    sustained = play(engine(module, seed=3), 1000, [note_on(0, 60.0, 1.0)])[:, 0]
    np.testing.assert_allclose(out[FADE_IN:500], 0.5 * sustained[FADE_IN:500], atol=1e-6)
    assert np.flatnonzero(out)[-1] == 500 + FADE_OUT - 1
    assert abs(out[0]) < 0.01 and abs(out[500 + FADE_OUT - 1]) < 0.01


@pytest.mark.parametrize(("release", "factor"), [(-1.0, 1 / 8), (1.0, 8)])
def test_the_release_of_a_gate_scales(module: ModuleType, release: float, factor: float) -> None:
    score = [parameter(0, "release", release), note_on(0, 60.0, 0.5), note_off(0, 500)]
    out = play(engine(module, seed=3), 5000, score)[:, 0]
    assert np.flatnonzero(out)[-1] == pytest.approx(500 + FADE_OUT * factor, abs=2)


def test_the_release_of_a_note_scales(module: ModuleType) -> None:
    for release, seconds in ((-1.0, 0.25), (-2 / 3, 0.5)):
        score = [parameter(0, "release", release), note_on(1, 60.0, 0.8), note_off(1, 500)]
        sound = play(engine(module, **NOTE), round(0.7 * RATE), score)[:, 0]
        last = np.flatnonzero(sound)[-1]  # random weights never become quiet
        assert last == pytest.approx(500 + seconds * RATE, rel=0.05)


def test_a_continuation_has_no_step(module: ModuleType) -> None:
    """The first sample continues the constant input, which the DC blocker removes afterwards."""
    one = engine(module, level=160, n_inputs=1)  # 0.25
    score = [parameter(0, "listen", 1.0), note_on(0, 60.0, 1.0, offset=500)]
    out = play(one, 1500, score, audio_input=np.full((1500, 1), 0.25, np.float32))[500:, 0]
    assert out[0] == pytest.approx(0.25, abs=0.01)
    assert np.abs(np.diff(out)).max() < 0.02 and abs(out[-1]) < 0.01


@pytest.mark.slow
def test_a_note_ends_at_most_two_seconds_after_its_release(module: ModuleType) -> None:
    played = engine(module, **NOTE)
    sound = play(played, int(2.3 * RATE), NOTES)[:, 0]
    assert played.n_sounding == 0
    last = np.flatnonzero(sound)[-1]
    assert 901 + 1.9 * RATE < last < 901 + 2.1 * RATE  # random weights never become quiet
    fade = np.abs(sound[last - 80 : last])
    assert fade[40:].max() < fade[:40].max()


def test_a_quiet_note_ends_soon(module: ModuleType) -> None:
    one = engine(module, level=128, **NOTE)  # silence
    one.process(1024, event_array([note_on(1, 60.0, 0.8)]))
    assert one.n_sounding == 1
    one.process(1024, event_array([note_off(1)]))
    assert one.n_sounding == 0


def test_a_chord_is_the_sum_of_its_notes(module: ModuleType) -> None:
    chord = [note_on(i, 50.0 + 7 * i, 0.8, i) for i in range(2)]
    together = play(engine(module, seed=3, **NOTE), 1000, chord)
    step = 0x9E3779B97F4A7C15
    alone = [
        play(engine(module, seed=(3 + step * i) % 2**64, **NOTE), 1000, chord[i : i + 1])
        for i in range(2)
    ]
    np.testing.assert_allclose(together, alone[0] + alone[1], rtol=0, atol=1e-6)
    assert not np.array_equal(alone[0], alone[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 2.5}, "temperature=2.5"),
        ({"top_p": 0.0}, "top_p=0"),
        ({"n_timbres": 3}, "n_timbres=3"),
        ({"n_timbres": 0}, "timbre"),
        ({"pitch_range": (60.0, 50.0)}, "highest_pitch"),
        ({"pitch_range": (-200.0, 50.0)}, "-128 to 256"),
    ],
)
def test_a_bad_instrument_is_refused(
    module: ModuleType, arguments: dict[str, Any], message: str
) -> None:
    table = table_of()
    weights = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(table).items()}
    network = module.SampleRNN(table.table(), weights)
    with pytest.raises(ParameterError, match=message):
        module.SampleInstrument(network, **arguments)


@pytest.mark.parametrize("shape", [(10,), (10, 1), (9, 2), (10, 3)])
def test_an_input_of_another_shape_is_refused(module: ModuleType, shape: tuple[int, ...]) -> None:
    one = engine(module, n_inputs=2)
    with pytest.raises(ParameterError, match=r"input must have the shape \[10, 2\]"):
        one.process(10, event_array([]), np.zeros(shape, np.float32))


@pytest.mark.parametrize(("name", "value"), [("n_inputs", 3), ("n_channels", 0), ("n_channels", 3)])
def test_bad_numbers_of_channels_are_refused(module: ModuleType, name: str, value: int) -> None:
    with pytest.raises(ParameterError, match=f"{name}={value}"):
        engine(module, **{name: value})
