"""Levels of partials 1 to 10 of recorded notes and of a preset's, relative to the loudest, in dB.

python docs/studies/partials.py NOTES PRESET TIMBRE=INSTRUMENT ... [--pitches 48 60 72]

With --sidebands the levels beside the fundamental, at multiples of the frame rate, relative to it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import audiogen
from audiogen.data.notes.nsynth import read_notes
from audiogen.representation.harmonic import pitch_to_hz

N, SIDEBAND_N, START_S, VELOCITY = 32768, 65536, 0.8, 70
FRAMES = (-2, -1, 1, 2)  # multiples of the frame rate
REACH = 6  # bins around each of them


def levels(sound: np.ndarray, sample_rate: int, f0: float) -> np.ndarray:
    """Highest bin within a quarter of f0 around each partial, dB relative to the loudest."""
    start = int(START_S * sample_rate)
    spectrum = np.abs(np.fft.rfft(sound[start : start + N] * np.hanning(N)))
    width = f0 * N / sample_rate
    peaks = [spectrum[int((h - 0.25) * width) : int((h + 0.25) * width) + 2] for h in range(1, 11)]
    db = 20.0 * np.log10([peak.max() + 1e-9 for peak in peaks])
    return db - db.max()


def sidebands(sound: np.ndarray, sample_rate: int, f0: float, frame_rate: float) -> np.ndarray:
    """Levels at ``f0 + FRAMES * frame_rate``, relative to that at f0, in dB."""
    start = int(START_S * sample_rate)
    spectrum = np.abs(np.fft.rfft(sound[start : start + SIDEBAND_N] * np.blackman(SIDEBAND_N)))
    peaks = []
    for hz in (f0, *(f0 + multiple * frame_rate for multiple in FRAMES)):
        centre = round(hz * SIDEBAND_N / sample_rate)
        near = spectrum[max(centre - REACH, 0) : max(centre + REACH + 1, 0)]
        peaks.append(near.max() if len(near) else np.nan)  # NaN below 0 Hz
    db = 20.0 * np.log10(np.array(peaks) + 1e-12)
    return db[1:] - db[0]


def main() -> None:
    """Print the levels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notes", type=Path, help="note set in NSynth's layout")
    parser.add_argument("preset")
    parser.add_argument("pairs", nargs="+", metavar="TIMBRE=INSTRUMENT")
    parser.add_argument("--pitches", type=int, nargs="+", default=[48, 60, 72])
    parser.add_argument("--sidebands", action="store_true", help=f"at {FRAMES} frame rates")
    given = parser.parse_args()
    synth = audiogen.load(given.preset)
    real = read_notes(given.notes, sample_rate=synth.sample_rate)
    frame_rate = synth.preset.sample_rate / synth.preset.spectrogram.hop_length
    for pair in given.pairs:
        timbre, instrument = pair.split("=")
        for info in real.filter(instruments=[instrument], velocities=[VELOCITY]):
            if info.pitch not in given.pitches:
                continue
            f0 = float(pitch_to_hz(info.pitch))
            note = (0.0, 3.0, float(info.pitch), VELOCITY / 127)
            played = synth.render([note], timbre=timbre, seed=1)
            for name, sound in (("recording", real.waveform(info)), (given.preset, played)):
                rate = synth.sample_rate
                if given.sidebands:
                    measured = sidebands(sound, rate, f0, frame_rate)
                else:
                    measured = levels(sound, rate, f0)
                print(timbre, info.pitch, name, *np.rint(measured))


if __name__ == "__main__":
    main()
