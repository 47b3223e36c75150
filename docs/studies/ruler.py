"""How the two-sample test answers to real notes spoiled in known ways.

    python docs/studies/ruler.py FOLDER [N_NOTES] [N_CLASSIFIERS]

prints its area under the curve (AUC) for real notes of FOLDER (a set in NSynth's layout) against
other real notes of the same keys, against themselves, and against spoiled copies.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from audiogen.data.notes.nsynth import read_notes
from audiogen.evaluation.note_comparison import same_key_halves
from audiogen.evaluation.timbre_features import with_random_phase
from audiogen.evaluation.two_sample import FEATURES, two_sample_test

HELD_S = 3.0
N_FFT, HOP_LENGTH = 1024, 256


def with_noise(sounds: np.ndarray, level_db: float, random: np.random.Generator) -> np.ndarray:
    """White noise at a level below each note's."""
    rms = np.sqrt(np.mean(np.square(sounds), axis=1, keepdims=True))
    return sounds + 10 ** (level_db / 20) * rms * random.standard_normal(sounds.shape)


def mixed_over_frames(sound: np.ndarray, share: float) -> np.ndarray:
    """Magnitudes mixed with their mean over five frames, 64 ms at 16 kHz; phases are kept."""
    import librosa

    spectrum = librosa.stft(sound, n_fft=N_FFT, hop_length=HOP_LENGTH)
    magnitude = np.abs(spectrum)
    padded = np.pad(magnitude, ((0, 0), (2, 2)), mode="edge")
    mean = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=1).mean(axis=-1)
    mixed = (1 - share) * magnitude + share * mean
    changed = spectrum * mixed / np.maximum(magnitude, 1e-9)
    return librosa.istft(changed, hop_length=HOP_LENGTH, length=len(sound))


def main() -> None:
    folder, *rest = sys.argv[1:]
    n_notes, n_classifiers = (int(rest.pop(0)) if rest else n for n in (300, 3))
    chosen = read_notes(folder)
    order = np.random.default_rng(0).permutation(len(chosen))[:n_notes]
    infos = [chosen.notes[index] for index in order]
    rate = infos[0].sample_rate
    end = round(HELD_S * rate)
    real = np.stack([np.pad(chosen.waveform(info), (0, end))[:end] for info in infos])
    pitches = np.array([info.pitch for info in infos], float)
    random = np.random.default_rng(1)
    first, second = same_key_halves(pitches, random)
    made = {
        "other real notes of the same keys": None,
        "themselves": real,
        "noise 60 dB below": with_noise(real, -60.0, random),
        "noise 40 dB below": with_noise(real, -40.0, random),
        "20 % blur over 64 ms": np.stack([mixed_over_frames(sound, 0.2) for sound in real]),
        "random phases": np.stack([with_random_phase(sound, random) for sound in real]),
    }
    print(f"{len(real)} notes of {folder}; AUC of {n_classifiers} classifiers")
    for title, sounds in made.items():
        start, texts = time.process_time(), []
        for features in FEATURES:
            options = {"features": features, "n_seeds": n_classifiers}
            if sounds is None:
                pair, keys, options["paired"] = (real[first], real[second]), pitches[first], False
            else:
                pair, keys = (real, sounds.astype(np.float32)), pitches
            areas = two_sample_test(*pair, keys, rate, **options)
            texts += [f"{features}, {part} {area}" for part, area in areas.items()]
        print(f"{title}: {'; '.join(texts)} ({time.process_time() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
