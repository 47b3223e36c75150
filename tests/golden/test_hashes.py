"""Shipped presets sound as they did: render, stream and live playing give the golden hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("audiogen._native")

SCRIPT = Path(__file__).with_name("make_hashes.py")


@pytest.mark.slow
def test_render_stream_and_live_give_the_golden_hashes() -> None:
    """In a process of its own, for the instruction set is chosen when the module is loaded."""
    environment = os.environ | {
        "AUDIOGEN_ISA": "baseline",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout == "28 sounds of 14 presets\n"
