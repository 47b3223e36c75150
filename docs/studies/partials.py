"""Levels of partials 1 to 10 of recorded notes and of a preset's, relative to the loudest, in dB.

python docs/studies/partials.py NOTES PRESET TIMBRE=INSTRUMENT ... [--pitches 48 60 72]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import audiogen
from audiogen.data.notes.nsynth import read_notes
from audiogen.representation.harmonic import pitch_to_hz

N, START_S, VELOCITY = 32768, 0.8, 70


def levels(sound: np.ndarray, sample_rate: int, f0: float) -> np.ndarray:
    """Highest bin within a quarter of f0 around each partial, dB relative to the loudest."""
    start = int(START_S * sample_rate)
    spectrum = np.abs(np.fft.rfft(sound[start : start + N] * np.hanning(N)))
    width = f0 * N / sample_rate
    peaks = [spectrum[int((h - 0.25) * width) : int((h + 0.25) * width) + 2] for h in range(1, 11)]
    db = 20.0 * np.log10([peak.max() + 1e-9 for peak in peaks])
    return db - db.max()


def main() -> None:
    """Print the levels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notes", type=Path, help="note set in NSynth's layout")
    parser.add_argument("preset")
    parser.add_argument("pairs", nargs="+", metavar="TIMBRE=INSTRUMENT")
    parser.add_argument("--pitches", type=int, nargs="+", default=[48, 60, 72])
    given = parser.parse_args()
    synth = audiogen.load(given.preset)
    real = read_notes(given.notes, sample_rate=synth.sample_rate)
    for pair in given.pairs:
        timbre, instrument = pair.split("=")
        for info in real.filter(instruments=[instrument], velocities=[VELOCITY]):
            if info.pitch not in given.pitches:
                continue
            f0 = float(pitch_to_hz(info.pitch))
            note = (0.0, 3.0, float(info.pitch), VELOCITY / 127)
            played = synth.render([note], timbre=timbre, seed=1)
            for name, sound in (("recording", real.waveform(info)), (given.preset, played)):
                print(timbre, info.pitch, name, *np.rint(levels(sound, synth.sample_rate, f0)))


if __name__ == "__main__":
    main()
