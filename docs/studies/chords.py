"""Chords in real time without a sound card: how many notes wait, and how many blocks are late.

    python docs/studies/chords.py --preset brass --seconds 60 --threads 1 2

A thread that stands in for the audio thread asks for a block whenever one would be due. Every
second a chord is struck, whose notes end half a second later.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from audiogen.core import backend
from audiogen.engine.instrument import OpenPreset
from audiogen.presets import load_preset

RATE, BLOCK = 48000, 256


def play(
    opened: OpenPreset, n_threads: int, n_notes: int, margin_ms: float, seconds: float
) -> tuple[int, int, int, int]:
    """Return the numbers of notes, delayed notes, blocks and late blocks."""
    live = backend.load().LiveEngine(
        opened.instrument,
        RATE,
        BLOCK,
        2 * n_notes,
        0,
        n_channels=2,
        lookahead=BLOCK + round(margin_ms * RATE / 1000),
        n_threads=n_threads,
    )
    n_blocks, struck = round(seconds * RATE / BLOCK), 0
    begin = time.perf_counter()
    for b in range(n_blocks):
        rows = []
        place = b % round(RATE / BLOCK)
        first = 1000 * (b // round(RATE / BLOCK))
        for i in range(n_notes):
            if place == 0:
                rows.append((100, 1, first + i, i % 3, 45.0 + 3 * i + b % 5, 0.8, 0.0))
            if place == round(RATE / BLOCK / 2):
                rows.append((0, 0, first + i, 0, 60.0, 0.0, 0.0))
        struck += n_notes * (place == 0)
        due = begin + b * BLOCK / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        live.process(BLOCK, np.array(rows, backend.load().event_dtype))
    return struck, live.n_delayed, n_blocks, live.n_late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="brass")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--notes", type=int, default=8)
    parser.add_argument("--margin", type=float, default=5.0, help="ms")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    opened = OpenPreset(load_preset(asked.preset))
    print("| threads | notes | delayed | blocks | late |\n|---|---|---|---|---|", flush=True)
    for n_threads in asked.threads:
        notes, delayed, blocks, late = play(
            opened, n_threads, asked.notes, asked.margin, asked.seconds
        )
        print(f"| {n_threads} | {notes} | {delayed} | {blocks} | {late} |", flush=True)


if __name__ == "__main__":
    main()
