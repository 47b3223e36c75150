"""Half a minute of live playing on a JACK server: nothing breaks, grows, or is lost uncounted."""

from __future__ import annotations

import importlib
import shutil
from typing import Any

import pytest

pytest.importorskip("audiogen._native")

SECONDS, PERIOD = 30.0, 256


@pytest.fixture
def soak() -> Any:
    if shutil.which("jackd") is None:
        pytest.skip("jackd isn't installed; apt install jackd2")
    pytest.importorskip("jack", reason="JACK-Client isn't installed; pip install JACK-Client")
    try:
        pytest.importorskip("sounddevice", reason="sounddevice isn't installed")
    except OSError:
        pytest.skip("PortAudio isn't installed; apt install libportaudio2")
    return importlib.import_module("audiogen.studies.soak")


@pytest.mark.slow
def test_half_a_minute(soak: Any) -> None:
    """Late blocks are counted and not judged: the machine's other programs cause them, too."""
    run = soak.soak(PERIOD, SECONDS, ["plucked", "struck", "woodwinds"])
    print(" | ".join(soak.HEADINGS), " | ".join(soak.row(run)), sep="\n")
    assert run.notes > 20 and run.knobs > 20 and run.changes > 2
    assert run.ours.blocks > 0 and run.idle.blocks > 0
    assert run.silent == 0 or run.late > 0  # silence is always counted
    assert run.growth_mb < soak.MOST_GROWTH_MB
