"""Writes hashes.json: what every shipped preset sounds like, as hashes of short renders.

    AUDIOGEN_ISA=baseline python tests/golden/make_hashes.py          # writes the file beside it
    AUDIOGEN_ISA=baseline python tests/golden/make_hashes.py --check  # compares with it

The samples of other instruction sets differ in their last bits, so the hashes are those of the
baseline set. A preset that plays notes plays the score in the file; an unconditional one generates
the seconds in the file. Each sound is made three times and must be the same each time: as a render,
as the blocks of a stream one after another, and live, from events at the same samples. The hash is
SHA-256 of its samples: mono, float32, little-endian.

Write the file again only when the sound is meant to change, and say why in the commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

import audiogen
from audiogen.engine import Synth

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("hashes.json")
# Start and duration (s), pitch, velocity; whole samples at all rates here.
SCORE = [(0.0, 0.125, 60.0, 0.8), (0.0625, 0.0625, 67.5, 0.5)]
SECONDS, FADE_OUT_S = 0.25, 0.05
SEED = 7
STREAM_BLOCK, LIVE_BLOCKS = 77, (1, 333, 64, 500)  # samples


def main(arguments: list[str]) -> int:
    """Write the file, or compare with it; returns the exit status."""
    if os.environ.get("AUDIOGEN_ISA") != "baseline":
        print("set AUDIOGEN_ISA=baseline; the hashes are those of that instruction set")
        return 2
    folders = sorted(path.parent for path in ROOT.glob("presets/*/preset.toml"))
    hashes = {folder.name: dict(hashes_of(folder)) for folder in folders}
    content = {
        "score": SCORE,
        "seconds": SECONDS,
        "seed": SEED,
        "hashes": hashes,
    }
    if "--check" not in arguments:
        FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return 0
    expected = json.loads(FILE.read_text(encoding="utf-8"))
    different = [
        f"{name} at {rate} Hz"
        for name in sorted(hashes.keys() | expected["hashes"].keys())
        for rate in sorted(hashes.get(name, {}).keys() | expected["hashes"].get(name, {}).keys())
        if hashes.get(name, {}).get(rate) != expected["hashes"].get(name, {}).get(rate)
    ]
    for sound in different:
        print(f"{sound}: the hash is not that of {FILE.name}")
    print(f"{sum(map(len, hashes.values()))} sounds of {len(hashes)} presets")
    return 1 if different else 0


def hashes_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Rates and hashes of a preset: its own rate, and 48 kHz."""
    synth = audiogen.load(folder, seed=SEED)
    for rate in dict.fromkeys((synth.sample_rate, 48000)):
        sound = rendered(synth, rate)
        assert sound.dtype == np.float32 and np.abs(sound).max() > 0.001, f"{folder} is silent"
        played = live(folder, rate)
        if synth.preset.is_kit:  # whose drums have places in the stereo field
            both = synth.render(SCORE, sample_rate=rate, stereo=True)
            assert np.array_equal(played[: len(both)], both), f"{folder}: live is not the render"
            played = sound
        else:
            assert np.array_equal(played[:, 0], played[:, 1])
            played = played[:, 0]
        for name, other in (("stream", streamed(synth, rate)), ("live", played)):
            same = np.array_equal(other[: len(sound)], sound)
            assert same, f"{folder} at {rate} Hz: {name} is not the render"
            # `generate` ends at its length; the resampler's filter has a few faint samples more.
            more = np.abs(other[len(sound) :]).max(initial=0.0)
            assert more <= (0.0 if synth.plays_notes else 1e-3), f"{folder}: {name} goes on"
        yield str(rate), hashlib.sha256(sound.astype("<f4").tobytes()).hexdigest()


def rendered(synth: Synth, rate: int) -> np.ndarray:
    """The sound of a preset, [n_samples]."""
    if synth.plays_notes:
        return synth.render(SCORE, sample_rate=rate, stereo=False)
    return synth.generate(SECONDS, sample_rate=rate)


def streamed(synth: Synth, rate: int) -> np.ndarray:
    """The same, from the blocks of a stream."""
    if synth.plays_notes:
        blocks = synth.stream(STREAM_BLOCK, SCORE, sample_rate=rate, stereo=False)
    else:
        blocks = synth.generate_stream(SECONDS, block=STREAM_BLOCK, sample_rate=rate)
    return np.concatenate(list(blocks))


def live(folder: Path, rate: int) -> np.ndarray:
    """The same, played live, [n_samples, 2], from the first sound to the end of the last note."""
    synth = audiogen.load(folder, sample_rate=rate, seed=SEED)
    events: list[tuple[int, Any]] = []
    if synth.plays_notes:
        for start_s, duration_s, pitch, velocity in SCORE:
            events.append((round(start_s * rate), ("note_on", pitch, velocity)))
            events.append((round((start_s + duration_s) * rate), ("note_off", pitch)))
    else:
        end = round(SECONDS * rate) - int(np.ceil(FADE_OUT_S * rate))
        events = [(0, ("note_on", 60.0, 1.0)), (end, ("note_off", 60.0))]
    events.sort(key=lambda event: event[0])
    blocks, size = [], cycle(LIVE_BLOCKS)
    for sample, (name, *arguments) in events:
        while synth.position < sample:
            blocks.append(synth.process(min(sample - synth.position, next(size))))
        getattr(synth, name)(*arguments)
    while True:
        blocks.append(synth.process(next(size)))
        if not synth.n_sounding and not blocks[-1].any():
            break
    blocks.append(synth.process(2 * synth.latency + 1))
    return np.concatenate(blocks)[synth.latency :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
