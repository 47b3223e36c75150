"""The compiled module takes nothing from the heap while it plays, as counted in front of malloc."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("audiogen._native")

BLOCK = 256
PRESETS = ("plucked", "piano-sketch")
COUNTER = "AUDIOGEN_TEST_COUNTER"


def count_calls() -> None:
    """Print what each call of `process` took: of engines that wait, and of engines that play.

    All calls have as long a block and as many events, so that Python's own part is the same.
    """
    from audiogen.core.events import EVENT, NOTE_OFF, NOTE_ON
    from audiogen.engine.instrument import OpenPreset
    from audiogen.presets import load_preset

    counter = ctypes.CDLL(os.environ[COUNTER]).allocations_of_this_thread
    counter.restype = ctypes.c_long
    nothing = np.array([(0, NOTE_OFF, 999, 0, 0.0, 0.0, 0.0)] * 8, EVENT)
    for name in PRESETS:
        engine = OpenPreset(load_preset(name)).engine(48000, 3, 0)
        n = 0
        for block in range(60):
            played = nothing
            if block % 4 == 0 and block >= 20:  # more notes than voices
                notes = [
                    (i, NOTE_ON, n + i, 0, 40.0 + 7 * (n + i) % 40, 0.8, 0.0) for i in range(6)
                ]
                played = np.array(
                    notes + [(99, NOTE_OFF, n + i, 0, 0.0, 0.0, 0.0) for i in (0, 5)], EVENT
                )
                n += 6
            before = counter()
            engine.process(BLOCK, played)
            after = counter()
            assert bytearray(1 << 20) and counter() > after  # the counter counts
            print(name, "plays" if n else "waits", after - before)
        assert engine.n_stolen > 0


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not shutil.which("c++"),
    reason="wants g++ and the GNU C library, whose malloc it stands in front of",
)
def test_playing_takes_nothing_from_the_heap(tmp_path: Path) -> None:
    source, library = Path(__file__).with_name("count_allocations.cpp"), tmp_path / "count.so"
    subprocess.run(["c++", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    environment = os.environ | {"LD_PRELOAD": str(library), COUNTER: str(library)}
    done = subprocess.run(
        [sys.executable, __file__],
        env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts: dict[tuple[str, str], set[int]] = {}
    for line in done.stdout.splitlines():
        name, state, count = line.split()
        counts.setdefault((name, state), set()).add(int(count))
    for name in PRESETS:
        assert max(counts[name, "plays"]) <= max(counts[name, "waits"]), counts


if __name__ == "__main__":
    count_calls()
