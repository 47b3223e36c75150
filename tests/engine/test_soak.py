"""Half a minute of live playing on a JACK server: nothing breaks, grows, or is lost uncounted."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("audiogen._native")

SCRIPT = Path(__file__).parents[2] / "docs" / "studies" / "soak.py"
SECONDS, PERIOD = 30.0, 256
MOST_GROWTH_MB = 50.0  # of a process that holds hundreds; a leak of a preset's weights is more


@pytest.fixture
def soak() -> Any:
    if shutil.which("jackd") is None:
        pytest.skip("jackd isn't installed; apt install jackd2")
    pytest.importorskip("jack", reason="JACK-Client isn't installed; pip install JACK-Client")
    try:
        pytest.importorskip("sounddevice", reason="sounddevice isn't installed")
    except OSError:
        pytest.skip("PortAudio isn't installed; apt install libportaudio2")
    spec = importlib.util.spec_from_file_location("soak", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_half_a_minute(soak: Any) -> None:
    """How much is late is printed and not judged: that is the machine's doing, too."""
    run = soak.soak(PERIOD, SECONDS, ["plucked", "struck", "sustained"])
    print(f"| {' | '.join(soak.HEADINGS)} |", soak.row(run), sep="\n")
    assert run.notes > 20 and run.knobs > 20 and run.changes > 2
    assert run.ours.blocks > 0 and run.idle.blocks > 0
    assert run.silent == 0 or run.late > 0  # silence is always counted
    assert run.growth_mb < MOST_GROWTH_MB
