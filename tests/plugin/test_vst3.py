"""The VST3 plug-in in the hosts of three Python packages: its samples are those of `render`.

The hosts are under the GPL and run in processes of their own.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiogen
from audiogen.core.parameters import PARAMETERS
from tests.plugin.hosts import (
    NOTES,
    OWN_LIBRARIES,
    RATE,
    RESAMPLING,
    ROOT,
    VST3,
    assert_same,
    environment,
    exported,
    fundamental,
    libraries,
    needs,
    rendered,
    run_python,
    vst3_host,
)

pytestmark = needs(VST3, "AUDIOGEN_VST3", "libvst3sdk-dev")

PEDALBOARD = """
import sys, numpy as np, mido, pedalboard
plugin = pedalboard.load_plugin(sys.argv[1])
out = sys.argv[2]
notes = {notes}
messages = []
for at, duration, pitch, velocity in notes:
    key = dict(note=round(pitch), velocity=round(127 * velocity))
    messages.append(mido.Message("note_on", **key, time=at))
    messages.append(mido.Message("note_off", note=round(pitch), time=at + duration))
def play(name, block=512, seconds=0.6):
    sound = plugin(messages, duration=seconds, sample_rate={rate}, num_channels=2,
                   buffer_size=block, reset=True)
    np.save(f"{{out}}/{{name}}.npy", sound.T)
    print(name, plugin.reported_latency_samples)
"""


def pedalboard(program: str, folder: Path, **variables: str) -> dict[str, int]:
    """Runs a program in pedalboard; returns the latency of each sound that it saved."""
    if not importlib.util.find_spec("pedalboard"):
        pytest.skip("pedalboard is not installed (pip install pedalboard mido)")
    setup = PEDALBOARD.format(notes=NOTES, rate=RATE)
    printed = run_python(setup + program, VST3, folder, **variables)
    return {name: int(n) for name, n in (line.split() for line in printed.splitlines())}


def test_only_the_entry_points_are_exported() -> None:
    library = next(VST3.glob("Contents/*-linux/audiogen.so"))
    assert exported(library) == {"GetPluginFactory", "ModuleEntry", "ModuleExit"}
    assert libraries(library) <= OWN_LIBRARIES


def test_pedalboard_plays_the_samples_of_render(tmp_path: Path) -> None:
    program = "for block in (64, 777): play(f'block{block}', block)"
    latencies = pedalboard(program, tmp_path)
    assert latencies == {"block64": 64 + 240 + RESAMPLING, "block777": 777 + 240 + RESAMPLING}
    for name, latency in latencies.items():
        assert_same(np.load(tmp_path / f"{name}.npy")[latency:], rendered())


def test_parameters_and_state_in_pedalboard(tmp_path: Path) -> None:
    names = [parameter.name for parameter in PARAMETERS]
    program = f"""
shown = " ".join(plugin.parameters)
for name in {names}:
    assert name in shown, name
assert plugin.is_instrument
plugin.preset = "woodwinds"
plugin.morph = 0.25
plugin.morph_timbre = 3.0
play("load")  # the preset is opened while this plays
play("first")
state = plugin.raw_state
other = pedalboard.load_plugin(sys.argv[1])
other.raw_state = state
assert other.preset == "woodwinds", other.preset
assert abs(other.morph - 0.25) < 1e-6, other.morph
plugin = other
play("second")
"""
    pedalboard(program, tmp_path)
    first, second = (np.load(tmp_path / f"{name}.npy") for name in ("first", "second"))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[860 : 860 + 10000], rendered("woodwinds")[:10000])


def test_a_missing_preset_in_pedalboard(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(VST3 / "Contents/Resources/presets/plucked", mine / "of-mine")
    save = """
plugin.preset = "of-mine"
play("first")
open(out + "/state", "wb").write(plugin.raw_state)
"""
    load = """
plugin.raw_state = open(out + "/state", "rb").read()
play("second")
open(out + "/kept", "wb").write(plugin.raw_state)
"""
    pedalboard(save, tmp_path, AUDIOGEN_PRESETS=str(mine))
    pedalboard(load, tmp_path)
    assert np.load(tmp_path / "first.npy").any()
    assert not np.load(tmp_path / "second.npy").any()
    (tmp_path / "kept").replace(tmp_path / "state")
    latency = pedalboard(load, tmp_path, AUDIOGEN_PRESETS=str(mine))["second"]
    assert_same(np.load(tmp_path / "second.npy")[latency:], rendered())


def test_many_instances_come_and_go(tmp_path: Path) -> None:
    program = """
for i in range(10):
    plugin = pedalboard.load_plugin(sys.argv[1])
play("last")
"""
    latency = pedalboard(program, tmp_path)["last"]
    assert_same(np.load(tmp_path / "last.npy")[latency:], rendered())


def test_dawdreamer_plays_the_samples_of_render(tmp_path: Path) -> None:
    if not importlib.util.find_spec("dawdreamer"):
        pytest.skip("dawdreamer is not installed (pip install dawdreamer)")
    program = f"""
import sys, numpy as np, dawdreamer
engine = dawdreamer.RenderEngine({RATE}, 512)
plugin = engine.make_plugin_processor("plugin", sys.argv[1])
for at, duration, pitch, velocity in {NOTES}:
    plugin.add_midi_note(round(pitch), round(127 * velocity), at, duration)
engine.load_graph([(plugin, [])])
engine.render(0.6)
np.save(sys.argv[2], engine.get_audio().T)
"""
    run_python(program, VST3, tmp_path / "sound.npy")
    sound = np.load(tmp_path / "sound.npy")[512 + 240 + RESAMPLING :]
    assert_same(sound, rendered())
    assert fundamental(sound[1000:5500, 0]) == pytest.approx(261.63, rel=0.02)


def test_minihost_renders_a_midi_file(tmp_path: Path) -> None:
    if not shutil.which("minihost"):
        pytest.skip("minihost is not installed (pip install minihost)")
    import mido

    file = mido.MidiFile(ticks_per_beat=RATE // 2)  # a tick is a sample
    track = mido.MidiTrack()
    file.tracks.append(track)
    events = []
    for at, duration, pitch, velocity in NOTES:
        for t, v in ((at, round(127 * velocity)), (at + duration, 0)):
            events.append((round(t * RATE), round(pitch), v))
    now = 0
    for at, pitch, velocity in sorted(events):
        track.append(mido.Message("note_on", note=pitch, velocity=velocity, time=at - now))
        now = at
    track.append(mido.MetaMessage("end_of_track", time=10000))
    file.save(tmp_path / "notes.mid")
    command = ["minihost", "process", VST3, "-m", tmp_path / "notes.mid", "-o", tmp_path / "a.wav"]
    subprocess.run(
        [*map(str, command), "--non-realtime", "-b", "128"],
        env=environment(),
        check=True,
        capture_output=True,
    )
    sound, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert rate == RATE
    # minihost takes off the latency, clips, and writes 24 bits.
    expected = np.clip(rendered()[:20000], -1.0, 1.0)
    np.testing.assert_allclose(sound[:20000], expected, rtol=0, atol=2.0**-22)


def play_vst3(script: str, n: int = 24000, block: int = 480) -> tuple[np.ndarray, str]:
    """Samples from the first one after the latency, and what the host printed."""
    library = next(VST3.glob("Contents/*-linux/audiogen.so"))
    done = subprocess.run(
        [vst3_host("vst3_host.cpp"), library, str(n), str(block)],
        input=script.encode(),
        capture_output=True,
        env=environment(),
        check=True,
    )
    printed = done.stderr.decode()
    latency = int(re.search(r"^latency (\d+)$", printed, re.MULTILINE)[1])
    return np.frombuffer(done.stdout, "<f4").reshape(-1, 2)[latency:], printed


def test_note_expression_is_that_of_the_engine() -> None:
    """Types 0, 2 and 5 are the format's volume, tuning and brightness, 100000 is the pressure."""
    script = """0 on 7 60
0 express 7 2 0.525
0 on 8 67
4801 express 8 2 0.4875
7200 express 7 5 0.9
9605 express 8 0 0.125
12000 express 7 100000 1
"""
    sound, printed = play_vst3(script)
    for line in ("type 2 Tuning 0.5", "type 5 Brightness 0.5", "type 0 Volume 0.25"):
        assert line in printed
    assert "physical 0 2\nphysical 1 5\nphysical 2 100000\n" in printed
    synth = audiogen.load(ROOT / "presets" / "plucked", sample_rate=RATE)
    events: list[tuple[int, int, dict[str, float]]] = [
        (4801, 2, {"bend": np.float32(240) * (np.float32(0.4875) - np.float32(0.5))}),
        (7200, 1, {"slide": np.float32(2) * np.float32(0.9) - 1}),
        (9605, 2, {"level": 0.5}),
        (12000, 1, {"level": 2.0}),
    ]
    synth.express(1, bend=float(np.float32(240) * (np.float32(0.525) - np.float32(0.5))))
    synth.note_on(60, velocity=1.0)
    synth.note_on(67, velocity=1.0)
    blocks, done = [], 0
    for at, note, values in events:
        while done < at:
            blocks.append(synth.process(min(500, at - done)))
            done += len(blocks[-1])
        synth.express(note, **{name: float(value) for name, value in values.items()})
    while done < 23000:
        blocks.append(synth.process(min(500, 23000 - done)))
        done += len(blocks[-1])
    expected = np.concatenate(blocks)[synth.latency :]
    assert_same(sound, expected)
    for block in (64, 777):
        assert_same(play_vst3(script, block=block)[0], expected)


def test_the_bend_range_is_read_before_another_number_ends_it() -> None:
    """A host queues controllers apart: 101 and 100 have two points each, and 6 one between them."""
    numbers = [(101, 0), (100, 0), (6, 12), (101, 127), (100, 127)]
    script = "".join(f"{i} set {200 + n} {v / 127}\n" for i, (n, v) in enumerate(numbers))
    sound, _ = play_vst3(script + "5 set 329 1\n480 on 1 60")  # the wheel, at its end
    synth = audiogen.load(ROOT / "presets" / "plucked", sample_rate=RATE)
    synth.bend_range, synth.pitch_wheel = 12.0, 1.0
    synth.process(480)
    synth.note_on(60, velocity=1.0)
    expected = np.concatenate([synth.process(480) for _ in range(45)])[synth.latency :]
    assert_same(sound[480:], expected)


def test_the_host_is_told_of_another_latency() -> None:
    """The drums have twice the sample rate of the first preset."""
    presets = sorted(path.name for path in VST3.glob("Contents/Resources/presets/*"))
    value = (presets.index("drums") + 1) / len(presets)
    _, printed = play_vst3(f"0 set 100 {value}\n4800 wait")
    latencies = [int(n) for n in re.findall(r"^latency (\d+)$", printed, re.MULTILINE)]
    synths = [audiogen.load(ROOT / "presets" / name, RATE) for name in ("plucked", "drums")]
    change = synths[1].latency - synths[0].latency
    assert change != 0 and latencies == [latencies[0], latencies[0] + change]


def test_key_pressure_raises_a_note() -> None:
    plain, _ = play_vst3("0 on -1 60")
    pressed, _ = play_vst3("0 on -1 60\n0 press 60 1")
    np.testing.assert_array_equal(pressed[:, 0], 2 * plain[:, 0])
