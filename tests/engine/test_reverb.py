"""The parameter reverb in both engines: dry at 0, a tail that decays and ends, in any blocks."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from audiogen import _fallback as fallback
from audiogen import load
from audiogen.core.events import event_array, note_off, note_on, set_parameter
from audiogen.core.parameters import INDEX

RATE = 16000


@pytest.fixture(params=["native", "fallback"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return fallback if request.param == "fallback" else request.getfixturevalue("native")


@pytest.fixture
def preset(make_preset: Any) -> Path:
    return make_preset()


def played(
    module: ModuleType, preset: Path, level: float, n: int = 32000, block: int = 4000
) -> Any:
    """A note of 0.2 s in stereo; the level is set at its start, and to 0 after 0.5 s."""
    instrument = module.open_preset(preset).instrument()
    engine = module.Engine(instrument, RATE, 8192, 4, 7, 2)
    events = [note_on(1, 60.0, 0.8)]
    if level:
        events.insert(0, set_parameter(INDEX["reverb"], level))
    events += [note_off(1, offset=3200), set_parameter(INDEX["reverb"], 0.0, offset=8000)]
    table, pieces = event_array(events), []
    for start in range(0, n, block):
        now = table[(table["offset"] >= start) & (table["offset"] < start + block)].copy()
        now["offset"] -= np.uint32(start)
        pieces.append(engine.process(min(block, n - start), now))
    return np.concatenate(pieces)


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples)) + 1e-20))


def test_a_room_is_added_and_decays(module: ModuleType, preset: Path) -> None:
    dry, wet = played(module, preset, 0.0), played(module, preset, 0.5)
    room = wet - dry
    assert not room[:400].any() and room[2000:4000].any()  # the first echo comes after 30 ms
    assert -20.0 < level_db(room[1000:6000]) - level_db(dry[1000:6000]) < 0.0
    end = int(np.flatnonzero(dry.any(axis=1))[-1])
    tail = [level_db(wet[end + 800 * i : end + 800 * (i + 1)]) for i in range(10)]
    assert -4.5 < np.mean(np.diff(tail)) < -2.5  # dB in 50 ms; 60 dB in 0.9 s are 3.3
    assert np.abs(np.corrcoef(room[:, 0], room[:, 1])[0, 1]) < 0.5


def test_the_tail_ends(module: ModuleType, preset: Path) -> None:
    wet = played(module, preset, 1.0, n=64000)
    assert wet[20000:24000].any() and not wet[-4000:].any()


def test_blocks_do_not_matter(module: ModuleType, preset: Path) -> None:
    whole = played(module, preset, 0.7, n=16000, block=8000)
    cut = played(module, preset, 0.7, n=16000, block=250)
    assert np.array_equal(whole, cut)


def test_the_fallback_has_the_same_room(native: ModuleType, preset: Path) -> None:
    one, other = (played(module, preset, 0.7) for module in (native, fallback))
    assert np.abs(one - other).max() < 5e-5


def test_a_render_has_its_tail_and_is_what_streams(preset: Path) -> None:
    synth = load(preset)
    dry = synth.render("C4:0.2")
    synth.reverb = 0.4
    wet = synth.render("C4:0.2")
    assert len(wet) > len(dry) + RATE // 4
    assert np.array_equal(wet, np.concatenate(list(synth.stream(100, "C4:0.2"))))
    synth.reverb = 0.0
    assert np.array_equal(dry, synth.render("C4:0.2"))


def test_controller_91_moves_it(preset: Path) -> None:
    synth = load(preset)
    synth.midi(bytes([0xB0, 91, 127]))
    assert synth.get("reverb") == 1.0
