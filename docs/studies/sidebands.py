"""Levels beside the fundamental, at multiples of the frame rate, of recorded notes and a preset's.

python docs/studies/sidebands.py NOTES PRESET TIMBRE=INSTRUMENT ... [--pitches 48 55 60]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import audiogen
from audiogen.data.notes.nsynth import read_notes
from audiogen.representation.harmonic import pitch_to_hz

N, START_S, VELOCITY = 65536, 0.8, 70
FRAMES = (-2, -1, 1, 2)  # multiples of the frame rate
REACH = 6  # bins around each of them


def levels(sound: np.ndarray, sample_rate: int, f0: float, frame_rate: float) -> np.ndarray:
    """Levels at ``f0 + FRAMES * frame_rate``, relative to that at f0, in dB."""
    start = int(START_S * sample_rate)
    spectrum = np.abs(np.fft.rfft(sound[start : start + N] * np.blackman(N)))
    peaks = []
    for hz in (f0, *(f0 + multiple * frame_rate for multiple in FRAMES)):
        centre = round(hz * N / sample_rate)
        near = spectrum[max(centre - REACH, 0) : max(centre + REACH + 1, 0)]
        peaks.append(near.max() if len(near) else np.nan)  # NaN below 0 Hz
    db = 20.0 * np.log10(np.array(peaks) + 1e-12)
    return db[1:] - db[0]


def main() -> None:
    """Print the levels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notes", type=Path, help="note set in NSynth's layout, 2.9 s or longer")
    parser.add_argument("preset")
    parser.add_argument("pairs", nargs="+", metavar="TIMBRE=INSTRUMENT")
    parser.add_argument("--pitches", type=int, nargs="+", default=[48, 55, 60])
    given = parser.parse_args()
    synth = audiogen.load(given.preset)
    real = read_notes(given.notes, sample_rate=synth.sample_rate)
    frame_rate = synth.preset.sample_rate / synth.preset.spectrogram.hop_length
    print("timbre, pitch, sound, dB at frame rate times", *FRAMES)
    for pair in given.pairs:
        timbre, instrument = pair.split("=")
        for info in real.filter(instruments=[instrument], velocities=[VELOCITY]):
            if info.pitch not in given.pitches:
                continue
            note = (0.0, 3.0, float(info.pitch), VELOCITY / 127)
            played = synth.render([note], timbre=timbre, seed=1)
            for name, sound in (("recording", real.waveform(info)), (given.preset, played)):
                f0 = float(pitch_to_hz(info.pitch))
                beside = levels(sound, synth.sample_rate, f0, frame_rate)
                print(timbre, info.pitch, name, *np.rint(beside))


if __name__ == "__main__":
    main()
