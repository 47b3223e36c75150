"""How much of the power of recorded or rendered sounds lies above a frequency.

    python docs/studies/bandwidth.py NOTES [--above 16000] [--preset PRESET] [--velocity 110]

NOTES is a note set in NSynth's layout at its own sample rate, such as those of `audiogen data`.
With a preset, the same notes are also rendered at that rate. Prints, for each instrument, the
highest value over its notes: power above the frequency relative to all power, dB, in the loudest
window of 8192 samples.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

import audiogen
from audiogen.data.notes.nsynth import read_notes
from audiogen.data.source_toml import instrument_entries, read_source, timbre_names

N, STEP, LENGTH_S = 8192, 2048, 4.0


def share_db(sound: np.ndarray, sample_rate: int, above_hz: float) -> float:
    """Power above a frequency in the loudest window, dB relative to all of it."""
    sound = np.pad(sound, (0, max(0, N - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(sound, N)[::STEP] * np.hanning(N)
    power = np.square(np.abs(np.fft.rfft(frames)))
    loudest = power[power.sum(axis=1).argmax()]
    high = np.fft.rfftfreq(N, 1.0 / sample_rate) >= above_hz
    return float(10.0 * np.log10(loudest[high].sum() / (loudest.sum() + 1e-20) + 1e-12))


def main() -> None:
    """Print a row for each instrument, the highest share first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path)
    parser.add_argument("--above", type=float, default=16000.0)
    parser.add_argument("--preset")
    parser.add_argument("--velocity", type=int, default=110)
    given = parser.parse_args()
    notes = read_notes(given.notes).filter(velocities=[given.velocity])
    rate = next(iter(notes)).sample_rate
    entries = instrument_entries(read_source(given.notes))
    names = dict(zip(entries, timbre_names(list(entries), entries), strict=True))
    synth = audiogen.load(given.preset, sample_rate=rate) if given.preset else None
    shares = defaultdict(list)
    for info in notes:
        entry = entries[info.instrument]
        row = [share_db(notes.waveform(info)[: round(LENGTH_S * rate)], rate, given.above)]
        if synth:
            note = (0.0, LENGTH_S - 1.0, entry.get("key", info.pitch), given.velocity / 127)
            played = synth.render([note], timbre=names[info.instrument], seed=0, stereo=False)
            row.append(share_db(played, rate, given.above))
        shares[entry["name"]].append(row)
    highest = {name: np.max(rows, axis=0) for name, rows in shares.items()}
    for name, row in sorted(highest.items(), key=lambda item: -item[1][0]):
        print(f"{name:24}", *(f"{value:6.1f}" for value in row))


if __name__ == "__main__":
    main()
