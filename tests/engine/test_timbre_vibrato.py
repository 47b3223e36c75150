"""Notes of a timbre with a vibrato have it from their start, live and offline, in both backends."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("audiogen._native", reason="the compiled module isn't built")

from audiogen import _fallback as fallback
from audiogen.core import backend
from audiogen.core.events import note_on, set_parameter
from audiogen.core.parameters import INDEX
from audiogen.data.notes.vibrato import Vibrato, vibrato_of
from audiogen.engine import Synth
from audiogen.errors import PresetError
from audiogen.presets import find_preset, load_preset

RATE = 32000
VIBRATO = [40.0, 5.0, 0.4, 3.0, -60.0]  # cents, Hz, s, dB, degrees


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`woodwinds` with a vibrato of the clarinet; its recording has none."""
    folder = tmp_path_factory.mktemp("presets") / "wavering"
    shutil.copytree(find_preset("woodwinds"), folder)
    text = (folder / "preset.toml").read_text().replace('name = "woodwinds"', 'name = "wavering"')
    before, clarinet, after = text.partition('name = "clarinet"\n')
    assert clarinet and "vibrato" not in after.partition("[[timbres]]")[0]
    (folder / "preset.toml").write_text(f"{before}{clarinet}vibrato = {VIBRATO}\n{after}")
    return folder


@pytest.fixture(scope="module")
def preset(folder: Path) -> Any:
    return load_preset(folder)


def found(sound: np.ndarray, pitch: float = 69.0) -> Vibrato | None:
    return vibrato_of(sound.reshape(1, -1), np.array([pitch]), RATE)


def test_notes_have_the_vibrato_of_their_timbre(preset: Any) -> None:
    synth = Synth(preset, RATE)
    measured = found(synth.render("A4:3.5", timbre="clarinet"))
    assert measured is not None
    assert measured[0] == pytest.approx(VIBRATO[0], rel=0.1)
    assert measured[1] == pytest.approx(VIBRATO[1], abs=0.15)
    assert measured[2] == pytest.approx(VIBRATO[2], abs=0.2)
    assert measured[3] == pytest.approx(VIBRATO[3], rel=0.15)
    assert measured[4] == pytest.approx(VIBRATO[4], abs=10.0)
    assert found(synth.render("A4:3.5", timbre="oboe+bagpipe")) is None  # a latent has none


def test_the_wheel_adds_to_the_depth_at_the_rate_of_the_timbre(preset: Any) -> None:
    synth = Synth(preset, RATE)
    synth.set("vibrato", 0.4)
    synth.timbre = "clarinet"
    synth.note_on("A4")
    sound = np.concatenate([synth.process(4096)[:, 0] for _ in range(28)])
    measured = found(sound)
    assert measured is not None
    assert measured[0] == pytest.approx(80.0, rel=0.1)
    assert measured[1] == pytest.approx(VIBRATO[1], abs=0.15)


@pytest.mark.parametrize("octaves", [-0.5, 0.5])
def test_its_rate_is_a_parameter(preset: Any, octaves: float) -> None:
    synth = Synth(preset, RATE)
    synth.set("vibrato_rate", octaves)
    measured = found(synth.render("A4:3.5", timbre="clarinet"))
    assert measured is not None
    assert measured[0] == pytest.approx(VIBRATO[0], rel=0.15)
    assert measured[1] == pytest.approx(VIBRATO[1] * 2.0**octaves, rel=0.03)
    assert measured[2] == pytest.approx(VIBRATO[2], abs=0.25)
    assert measured[3] == pytest.approx(VIBRATO[3], rel=0.25)
    assert measured[4] == pytest.approx(VIBRATO[4], abs=12.0)


def test_a_change_of_the_rate_is_no_jump_of_the_phase(preset: Any) -> None:
    """The wheel's vibrato at 5.5 Hz, from 1.5 s on at 11 Hz; the bassoon has none of its own."""
    dtype = backend.load().event_dtype
    engine = native.Engine(preset.instrument(), RATE, 4000, 1, 5)
    note = note_on(0, 69.0, 0.8, preset.timbre_names.index("bassoon"))
    events = {0: [note, set_parameter(INDEX["vibrato"], 0.5)]}
    events[12] = [set_parameter(INDEX["vibrato_rate"], 1.0)]
    blocks = [engine.process(4000, np.array(events.get(i, []), dtype)) for i in range(24)]
    fundamental = np.fft.rfft(np.concatenate(blocks)[:, 0])
    frequency = np.arange(len(fundamental)) * RATE / (24 * 4000)
    fundamental[(frequency < 300) | (frequency > 600)] = 0
    analytic = np.fft.ifft(2 * fundamental, 24 * 4000)
    cents = 1200 * np.log2(np.diff(np.unwrap(np.angle(analytic))) * RATE / (2 * np.pi) / 440)
    time = np.arange(24 * 4000) / RATE
    octaves = np.clip((time - 1.5) / 0.05, 0, 1)
    wanted = np.sin(2 * np.pi * 5.5 * np.cumsum(2**octaves) / RATE)
    wanted = np.roll(wanted, RATE * 64 // 1000)  # heard half a window later
    for part in (slice(RATE // 2, 7 * RATE // 5), slice(17 * RATE // 10, 5 * RATE // 2)):
        assert np.corrcoef(cents[part], wanted[part])[0, 1] > 0.8


def test_it_begins_with_the_note_however_long_the_blocks(preset: Any) -> None:
    def sound(block: int) -> np.ndarray:
        engine = native.Engine(preset.instrument(), RATE, block, 8, 5)
        timbre = preset.timbre_names.index("clarinet")
        event = np.array([note_on(0, 69.0, 0.8, timbre, offset=100)], backend.load().event_dtype)
        none = event[:0]
        n = RATE // block
        return np.concatenate([engine.process(block, none if i else event) for i in range(n)])

    assert np.array_equal(sound(500), sound(4000))


def test_both_backends_play_it_alike(folder: Path, preset: Any) -> None:
    timbre = preset.timbre_names.index("clarinet")
    dtype = backend.load().event_dtype
    chord = [note_on(i, 69.0 + 4 * i, 0.8, timbre, offset=200 * i) for i in range(3)]
    parameters = {"vibrato": 0.3, "vibrato_rate": 0.6}
    changes = [set_parameter(INDEX[name], value) for name, value in parameters.items()]
    event = np.array([*chord, *changes], dtype)
    none = event[:0]
    ours = fallback.Engine(fallback.open_preset(folder).instrument(), RATE, 1000, 4, 5)
    theirs = native.Engine(preset.instrument(), RATE, 1000, 4, 5)
    got, want = (
        np.concatenate([engine.process(1000, none if i else event) for i in range(16)])
        for engine in (ours, theirs)
    )
    assert np.abs(want).max() > 0.02
    np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        *("[1.0, 5.0]", "[300.0, 5.0, 0.0]", "[10.0, 0.1, 0.0]", "3.0"),
        *("[10.0, 5.0, 0.0, 1.0]", "[10.0, 5.0, 0.0, 30.0, 0.0]", "[10.0, 5.0, 0.0, 1.0, 200.0]"),
    ],
)
def test_a_vibrato_out_of_range(folder: Path, tmp_path: Path, wrong: str) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    text = (broken / "preset.toml").read_text()
    (broken / "preset.toml").write_text(text.replace(f"vibrato = {VIBRATO}", f"vibrato = {wrong}"))
    with pytest.raises(PresetError, match=r"vibrato.* must be three or five numbers: depth, 0 to"):
        load_preset(broken)
