"""The LV2 plug-in in jalv on a JACK server without a sound card: it plays live, note by note."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.jack_probe import PERIOD, Probe, await_, load_soak, strongest_hz
from tests.plugin.hosts import LV2, environment, needs

pytestmark = [
    needs(LV2, "AUDIOGEN_LV2", "lv2-dev"),
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("jalv"), reason="jalv is not installed (Debian: jalv)"),
    pytest.mark.skipif(not shutil.which("jackd"), reason="jackd is not installed (Debian: jackd2)"),
]
pytest.importorskip("jack", reason="jack is not installed; pip install 'audiogen-synth[test]'")


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """A client that is connected to the plug-in, which plays `plucked`."""
    with load_soak().jack_server(PERIOD) as (server, _):
        jalv = subprocess.Popen(
            ["jalv", "-i", "-n", "audiogen", "urn:audiogen:synth"],
            stdin=subprocess.PIPE,  # jalv ends with its input
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(JACK_DEFAULT_SERVER=server),
        )
        probe = Probe(server)
        try:
            probe.connect()
            yield probe
        finally:
            probe.close()
            jalv.kill()
            jalv.wait()


def assert_pitch(probe: Probe, hz: float) -> None:
    """Hold what sounds to a pitch; the strongest partial need not be the first."""
    await_(lambda: probe.hear(0.1).any())
    ratio = strongest_hz(probe.hear(0.5)) / hz
    assert ratio == pytest.approx(max(1, round(ratio)), rel=0.01)


def silence(probe: Probe) -> None:
    probe.send(0xB0, 120, 0)
    await_(lambda: not probe.hear(0.1).any())


def test_live_notes_have_their_pitches(probe: Probe) -> None:
    assert not probe.hear(0.2).any()
    for pitch, hz in ((69, 440.0), (60, 261.63)):
        probe.send(0x90, pitch, 100)
        assert_pitch(probe, hz)
        silence(probe)


def test_a_live_note_of_mpe_is_bent(probe: Probe) -> None:
    for message in ((0xB0, 101, 0), (0xB0, 100, 6), (0xB0, 6, 2), (0xE1, 0, 74)):
        probe.send(*message)
    probe.send(0x91, 57, 100)
    assert_pitch(probe, 220.0 * 2 ** (48 * (74 * 128 - 8192) / 8191 / 12))  # 7.5 semitones up
    silence(probe)
