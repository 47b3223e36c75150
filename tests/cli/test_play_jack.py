"""`audiogen play` on a JACK server without a sound card: MIDI goes in, the pitch comes out."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.jack_probe import (
    PATIENCE_S,
    PERIOD,
    RATE,
    Probe,
    await_,
    load_soak,
    strongest_hz,
)

ROOT = Path(__file__).parents[2]
pytest.importorskip("audiogen._native")

if shutil.which("jackd") is None:
    pytest.skip("jackd isn't installed; apt install jackd2", allow_module_level=True)
for package in ("jack", "rtmidi"):
    pytest.importorskip(
        package, reason=f"{package} isn't installed; pip install 'audiogen-synth[test]'"
    )
try:
    import sounddevice  # noqa: F401
except OSError:
    pytest.skip("PortAudio isn't installed; apt install libportaudio2", allow_module_level=True)
except ImportError:
    pytest.skip("sounddevice isn't installed; pip install sounddevice", allow_module_level=True)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with load_soak().jack_server(PERIOD) as (name, _):
        yield name


@contextmanager
def playing(server: str, *options: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """The command in a terminal of its own, and the terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "audiogen.cli.main", "play", *options],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"JACK_DEFAULT_SERVER": server, "TERM": "xterm-256color"},
        cwd=ROOT,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def said(process: subprocess.Popen, terminal: int) -> str:
    """What the terminal shows until the program ends."""
    text = b""
    while True:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                text += os.read(terminal, 1 << 16)
            except OSError:  # the other side is closed
                return text.decode(errors="replace")
        elif process.poll() is not None:
            return text.decode(errors="replace")


def test_midi_in_sound_out(server: str, tmp_path: Path) -> None:
    take = tmp_path / "take.wav"
    options = ("woodwinds", "--midi", "virtual", "--block", str(PERIOD), "--record", str(take))
    with playing(server, *options) as (process, terminal):
        drain = threading.Thread(target=lambda: shown.append(said(process, terminal)))
        shown: list[str] = []
        drain.start()
        probe = Probe(server)
        try:
            probe.connect()
            assert not probe.hear(0.2).any()
            for pitch, hz in ((69, 440.0), (60, 261.63)):
                probe.send(0x90, pitch, 100)
                await_(lambda: probe.hear(0.1).any())
                # On a machine too slow to play, some of it is silent; no other pitch is heard.
                ratio = strongest_hz(probe.hear(1.0)) / hz
                assert ratio == pytest.approx(max(1, round(ratio)), rel=0.01)
                probe.send(0x80, pitch, 0)
                probe.send(0xB0, 120, 0)
                await_(lambda: not probe.hear(0.1).any())
            os.write(terminal, b"d")  # E4, by the computer's keyboard
            await_(lambda: probe.hear(0.1).any())
            os.write(terminal, b"q")
            assert process.wait(PATIENCE_S) == 0
        finally:
            probe.close()
            process.kill()
            drain.join()
    text = re.sub(r"\x1b\[[0-9;?>]*[A-Za-z]", "", shown[0])
    assert "audiogen:in (Jack)" in text and "JACK Audio Connection Kit: system" in text
    assert "late blocks" in text and "Traceback" not in text
    sound, rate = soundfile.read(take)
    assert rate == RATE and sound.shape[1] == 2 and np.abs(sound).max() > 0.01


def test_a_signal_ends_it_with_the_recording_kept(server: str, tmp_path: Path) -> None:
    take = tmp_path / "take.flac"
    line = [sys.executable, "-m", "audiogen.cli.main", "play", "plucked", "--midi", "virtual"]
    process = subprocess.Popen(
        [*line, "--record", str(take)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"JACK_DEFAULT_SERVER": server},
        cwd=ROOT,
        text=True,
    )
    probe = Probe(server)
    try:
        probe.connect()
        probe.send(0x90, 60, 100)
        await_(lambda: probe.hear(0.1).any())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        probe.close()
        process.kill()
    assert process.returncode == 0 and err == ""
    assert "playing plucked: JACK Audio Connection Kit: system, audiogen:in (Jack)" in out
    assert "take.flac" in out and np.abs(soundfile.read(take)[0]).max() > 0.01


def test_a_card_that_goes_ends_it_with_the_recording_kept(tmp_path: Path) -> None:
    take = tmp_path / "take.wav"
    line = [sys.executable, "-m", "audiogen.cli.main", "play", "plucked", "--midi", "virtual"]
    with load_soak().jack_server(PERIOD) as (name, _):
        process = subprocess.Popen(
            [*line, "--record", str(take)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"JACK_DEFAULT_SERVER": name},
            cwd=ROOT,
            text=True,
        )
        probe = Probe(name)
        probe.connect()
        probe.send(0x90, 60, 100)
        await_(lambda: probe.hear(0.1).any())
        probe.close()
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 2
    assert err.endswith("and play again\n") and "system has requested no sound for 3 s" in err
    assert "take.wav" in out and np.abs(soundfile.read(take)[0]).max() > 0.01


def test_a_block_is_as_long_as_the_servers_period() -> None:
    """In blocks of 256 a period of 1024 came out of step: three of four were asked for at once."""
    code = """
from audiogen.devices.sound_card import block_of, find_device
print(block_of(find_device(), 48000, 256))
"""
    with load_soak().jack_server(1024) as (name, _):
        environment = os.environ | {"JACK_DEFAULT_SERVER": name}
        told = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True
        )
    assert (told.stdout, told.returncode) == ("1024\n", 0), told.stderr


def test_the_library_plays_through_the_card(server: str) -> None:
    code = """
import time
from audiogen import Synth
synth = Synth("plucked")
synth.volume = 0.9
with synth.play(block=256) as card:
    assert synth.sample_rate == 48000 and synth.volume > 0.89
    synth.note_on("A4")
    while synth.position < 4800 or synth.peak == 0.0:
        time.sleep(0.01)
    print(card.device.host)
assert synth.sample_rate == 32000 and not synth.realtime
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"JACK_DEFAULT_SERVER": server},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE_S,
    )
    assert run.returncode == 0 and run.stdout == "JACK Audio Connection Kit\n", run.stderr
