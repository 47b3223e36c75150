"""The external of Pure Data in a patch without a window: its samples are those of `render`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiogen
from tests.plugin.hosts import (
    MPE,
    NOTES,
    OWN_LIBRARIES,
    PD,
    RATE,
    RESAMPLING,
    ROOT,
    assert_same,
    environment,
    exported,
    libraries,
    needs,
    rendered,
    rendered_mpe,
)

pytestmark = [
    needs(PD, "AUDIOGEN_PD", "puredata-dev"),
    pytest.mark.skipif(not shutil.which("pd"), reason="Pd is not installed (puredata-core)"),
]
LATENCY = RESAMPLING  # a message takes effect one block of 64 later, as does the recording


def play(
    events: list[tuple[float, str]], folder: Path, arguments: str = "plucked", seconds: float = 0.7
) -> tuple[np.ndarray, str]:
    """Sends messages at their times (ms) to [audiogen~], and records it."""
    objects = ["#X obj 0 0 loadbang;", f"#X obj 0 0 audiogen~ {arguments};"]
    objects += ["#X obj 0 0 writesf~ 2;", "#X obj 0 0 print out;"]
    objects.append(f"#X msg 0 0 open -bytes 4 {folder}/out.wav \\, start;")
    objects.append("#X msg 0 0 \\; pd dsp 1;")
    links = ["1 0 2 0", "1 1 2 1", "1 2 3 0", "0 0 4 0", "4 0 2 0", "0 0 5 0"]
    # [writesf~] writes on a thread of its own, which may need some time after `stop`.
    for at, message in [*events, (1000 * seconds, "STOP"), (1000 * seconds + 5000, "QUIT")]:
        i = len(objects)
        objects.append(f"#X obj 0 0 delay {at};")
        text = {"STOP": "stop", "QUIT": "\\; pd quit"}.get(message, message)
        objects.append(f"#X msg 0 0 {text};")
        links += [f"0 0 {i} 0", f"{i} 0 {i + 1} 0", f"{i + 1} 0 {2 if message == 'STOP' else 1} 0"]
    patch = folder / "patch.pd"
    lines = ["#N canvas 0 0 400 300 10;", *objects, *(f"#X connect {link};" for link in links)]
    patch.write_text("\n".join(lines) + "\n")
    options = ["-batch", "-nogui", "-noprefs", "-stderr", "-r", str(RATE), "-path", str(PD)]
    done = subprocess.run(
        ["pd", *options, patch], capture_output=True, text=True, env=environment(), check=False
    )
    sound, _ = soundfile.read(folder / "out.wav", dtype="float32", always_2d=True)
    return sound, done.stderr + done.stdout


def notes() -> list[tuple[float, str]]:
    on = [(1000 * at, f"{pitch} {127 * velocity}") for at, _, pitch, velocity in NOTES]
    off = [(1000 * (at + duration), f"{pitch} 0") for at, duration, pitch, _ in NOTES]
    return sorted(on + off)


def test_only_the_entry_point_is_exported() -> None:
    assert exported(PD / "audiogen~.pd_linux") == {"audiogen_tilde_setup"}
    assert libraries(PD / "audiogen~.pd_linux") <= OWN_LIBRARIES


def test_a_patch_plays_the_samples_of_render(tmp_path: Path) -> None:
    sound, _ = play(notes(), tmp_path)
    assert_same(sound[LATENCY:], rendered())


def test_timbres_and_parameters_are_messages(tmp_path: Path) -> None:
    sound, printed = play([(0, "info"), *notes()], tmp_path, "plucked harp")
    assert_same(sound[LATENCY:], rendered(timbre="harp"))
    assert (
        f"latency {LATENCY}" in printed
        and "timbre koto" in printed
        and "found woodwinds" in printed
    )
    morphed, _ = play([(0, "morph_timbre 5"), (0, "morph 0.7"), *notes()], tmp_path)
    synth = audiogen.load(ROOT / "presets" / "plucked", sample_rate=RATE)
    synth.set("morph_timbre", 5)
    synth.set("morph", 0.7)
    assert_same(morphed[LATENCY:], synth.render(NOTES, stereo=True))


def test_mpe_moves_single_notes(tmp_path: Path) -> None:
    messages = [
        (1000 * at / RATE, f"midi {int(byte, 16)}") for at, text in MPE for byte in text.split()
    ]
    sound, _ = play(messages, tmp_path, seconds=0.4)
    assert_same(sound[LATENCY:], rendered_mpe())


def test_a_state_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "song.state"
    setup = [(0, "morph_timbre 5"), (0, "morph 0.7"), (0, "timbre koto"), (0, f"write {path}")]
    first, _ = play([*setup, *notes()], tmp_path)
    assert "timbre koto" in path.read_text()
    second, printed = play([(0, f"read {path}"), *notes()], tmp_path, "woodwinds")
    assert "error" not in printed
    np.testing.assert_array_equal(second, first)


def test_mistakes_have_messages(tmp_path: Path) -> None:
    _, printed = play(notes(), tmp_path, "pluckd")
    assert "preset 'pluckd' not found" in printed
    _, printed = play([(0, "timbre harpp"), (0, "wobble 3")], tmp_path)
    assert "timbre 'harpp' not found" in printed and "no message 'wobble'" in printed
