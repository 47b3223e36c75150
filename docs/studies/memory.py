"""Resident memory of an engine of 16 voices, and of more engines of the same instrument.

    python docs/studies/memory.py [--presets plucked brass] [--voices 16]

Each number is of a fresh process, since memory that was freed before would be used again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

RATE = 48000  # Hz
BLOCK = 1024  # samples


def resident_mb() -> float:
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(preset: str, n_voices: int) -> tuple[float, float, float]:
    """Return the MB of an open instrument, of its first engine and of a second one."""
    import numpy as np

    from audiogen.core import backend
    from audiogen.engine.instrument import OpenPreset
    from audiogen.presets import load_preset

    module = backend.require()
    loaded = load_preset(preset)
    loaded.instrument("float32")  # what is imported and read for the first
    before = resident_mb()
    opened = OpenPreset(loaded)
    with_instrument = resident_mb()
    rows = [(0, 1, i, 0, 45.0 + i, 0.8, 0.0) for i in range(n_voices)]
    engines, sizes = [], [with_instrument]
    for _ in range(2):
        engine = module.Engine(opened.instrument, RATE, BLOCK, n_voices, 0, 2, 2, 1)
        engine.process(BLOCK, np.array(rows, module.event_dtype))
        engines.append(engine)
        sizes.append(resident_mb())
    return with_instrument - before, sizes[1] - sizes[0], sizes[2] - sizes[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["plucked", "brass"])
    parser.add_argument("--voices", type=int, default=16)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(*(f"{value:.1f}" for value in measure(given.measure, given.voices)))
        return
    print("| preset | instrument | first engine | second engine | one voice |")
    print("|---|---|---|---|---|")
    for preset in given.presets:
        line = [sys.executable, __file__, "--voices", str(given.voices), "--measure", preset]
        run = subprocess.run(line, capture_output=True, text=True, check=True)
        instrument, first, second = map(float, run.stdout.split())
        voice = second / given.voices
        print(
            f"| `{preset}` | {instrument:.1f} MB | {first:.1f} MB | {second:.1f} MB |"
            f" {voice:.1f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
