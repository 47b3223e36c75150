"""The LV2 plug-in in Ardour without a window: a track with it sounds, and records its notes."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.jack_probe import PERIOD, Probe, await_, load_soak, strongest_hz
from tests.plugin.hosts import LV2, ROOT, environment, needs

pytestmark = [
    needs(LV2, "AUDIOGEN_LV2", "lv2-dev"),
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("jackd"), reason="jackd is not installed (Debian: jackd2)"),
    pytest.mark.skipif(
        not shutil.which("ardour8-lua"), reason="ardour8-lua is not installed (Debian: ardour)"
    ),
]
pytest.importorskip("jack", reason="jack is not installed; pip install 'audiogen-synth[test]'")

NOTE_S = 0.7


def test_a_note_is_heard_and_recorded(tmp_path: Path) -> None:
    with load_soak().jack_server(PERIOD) as (server, _):
        ardour = subprocess.Popen(
            ["ardour8-lua", ROOT / "tests" / "plugin" / "ardour.lua", tmp_path / "session"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(JACK_DEFAULT_SERVER=server, HOME=str(tmp_path)),
        )
        lines: list[str] = []

        def read() -> None:
            assert ardour.stdout is not None
            lines.extend(iter(ardour.stdout.readline, ""))

        reader = threading.Thread(target=read)
        reader.start()
        probe = Probe(server)
        try:
            await_(lambda: "rolling\n" in lines or ardour.poll() is not None)
            assert ardour.poll() is None, lines
            [master] = probe.client.get_ports("Master/audio_out 1", is_output=True)
            [track] = probe.client.get_ports("synth/midi_in 1", is_input=True)
            probe.client.connect(master, probe.client.inports[0])
            probe.client.connect(probe.client.midi_outports[0], track)
            assert not probe.hear(0.2).any()
            probe.send(0x90, 69, 100)
            await_(lambda: probe.hear(0.05).any())
            time.sleep(0.1)
            ratio = strongest_hz(probe.hear(NOTE_S - 0.15)) / 440.0
            probe.send(0x80, 69, 0)
            assert ratio == pytest.approx(max(1, round(ratio)), rel=0.01)
            await_(lambda: "saved\n" in lines or ardour.poll() is not None)
        finally:
            probe.close()
            ardour.kill()
            ardour.wait()
            reader.join()
    [(pitch, beats)] = [line.split()[1:] for line in lines if line.startswith("note")]
    assert int(pitch) == 69 and 0.5 < float(beats) < 6.0, lines  # at 120 beats per minute
