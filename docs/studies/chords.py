"""Chords in real time without a sound card: do their notes begin together, and are blocks late?

    python docs/studies/chords.py --preset brass --seconds 60 --threads 1 2

A thread that stands in for the audio thread asks for a block whenever one would be due. Every
second a chord is struck, whose notes end half a second later. Delay and spread are in blocks of
5.3 ms: from the block of the note-ons to that in which the worker has started the first note, and
from there to the last. Both are those of the worst chord.
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
) -> list[int]:
    """Return the numbers of notes and delayed notes, delay and spread, blocks and late blocks."""
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
    sounding: list[int] = []
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
        sounding.append(live.n_sounding)
    return [struck, live.n_delayed, *worst(sounding, n_notes), n_blocks, live.n_late]


def worst(sounding: list[int], n_notes: int) -> tuple[int, int]:
    """Return the latest first note and the widest spread of chords, blocks."""
    delay = spread = 0
    per_chord = round(RATE / BLOCK)
    for at in range(0, len(sounding) - per_chord + 1, per_chord):
        counts = sounding[at : at + per_chord // 2]
        before = sounding[at - 1] if at else 0
        first = next(b for b, n in enumerate(counts) if n > before)
        last = counts.index(max(counts))
        delay, spread = max(delay, first), max(spread, last - first)
    return delay, spread


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="brass")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--notes", type=int, default=8)
    parser.add_argument("--margin", type=float, default=5.0, help="ms")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    opened = OpenPreset(load_preset(asked.preset), asked.precision)
    print("| threads | notes | delayed | delay | spread | blocks | late |\n" + 7 * "|---" + "|")
    for n_threads in asked.threads:
        row = play(opened, n_threads, asked.notes, asked.margin, asked.seconds)
        print("".join(f"| {value} " for value in (n_threads, *row)) + "|", flush=True)


if __name__ == "__main__":
    main()
