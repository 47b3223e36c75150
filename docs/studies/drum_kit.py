"""Compares the sounds of a drum kit with the recordings that it was trained on.

    python docs/studies/drum_kit.py PRESET DATA [--velocity 110]

DATA is made by `audiogen data drums`. Each key is played once; the oracle is the recording itself,
analysed and resynthesised by the preset's representation. Prints a table of levels, spectral
centroids, times from the loudest 10 ms to 20 dB below, and log-mel distances, and their means.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import audiogen
from audiogen.cli.evaluate import preset_spectrogram
from audiogen.data.notes.nsynth import read_notes
from audiogen.data.source_toml import instrument_entries, read_source
from audiogen.objectives.losses import log_mel_distance
from audiogen.representation.resynthesis import resynthesise
from audiogen.representation.spectrogram import waveform_to_spectrogram

BLOCK_S = 0.01
LENGTH_S = 2.0


def level_db(sound: np.ndarray, rate: int) -> float:
    """Energy of a sound, dB relative to a second of full scale."""
    return float(10.0 * np.log10(np.sum(np.square(sound, dtype=np.float64)) / rate + 1e-12))


def centroid_hz(sound: np.ndarray, rate: int) -> float:
    power = np.square(np.abs(np.fft.rfft(sound[: rate // 2])))
    return float(power @ np.fft.rfftfreq(len(sound[: rate // 2]), 1.0 / rate) / power.sum())


def decay_ms(sound: np.ndarray, rate: int) -> float:
    """Time from the loudest block to the first one of 20 dB less."""
    n = round(BLOCK_S * rate)
    blocks = np.square(sound[: len(sound) // n * n].reshape(-1, n)).mean(axis=1)
    top = int(blocks.argmax())
    below = np.flatnonzero(blocks[top:] < 0.01 * blocks[top])
    return 1000.0 * BLOCK_S * float(below[0] if len(below) else len(blocks) - top)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("data", type=Path)
    parser.add_argument("--velocity", type=int, default=110)
    options = parser.parse_args()
    synth = audiogen.load(options.preset)
    rate, config = synth.sample_rate, preset_spectrogram(synth.preset)
    notes = read_notes(options.data, sample_rate=rate).filter(velocities=(options.velocity,))
    keys = {
        name: entry["key"] for name, entry in instrument_entries(read_source(options.data)).items()
    }
    length = round(LENGTH_S * rate)

    def of_length(sound: np.ndarray) -> np.ndarray:
        return np.pad(sound[:length], (0, max(0, length - len(sound)))).astype(np.float32)

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        pair = (torch.from_numpy(each[None]) for each in (a, b))
        return float(log_mel_distance(*pair, rate))

    print(
        "| key | level: recording, oracle, kit (dB) | centroid (Hz) | decay (ms) | log-mel (dB) |"
    )
    print("|---|---|---|---|---|")
    rows = []
    sounds = []
    for note in notes:
        key = keys[note.instrument]
        drum = next(timbre for timbre in synth.preset.timbres if timbre.key == key)
        lowest = synth.preset.generator.pitch_min
        pitch = torch.tensor([float(lowest if drum.pitch is None else drum.pitch)])
        real = of_length(notes.waveform(note))
        image = waveform_to_spectrogram(torch.from_numpy(real[None]), config, pitch=pitch)
        oracle = resynthesise(image, config, pitch, (0, config.n_frames))[0, config.pad_front :]
        made = of_length(synth.render([(0.0, 0.1, key, options.velocity / 127)], stereo=False))
        three = real, of_length(oracle.numpy()), made
        sounds.append(real)
        levels = [level_db(each, rate) for each in three]
        centroids = [centroid_hz(each, rate) for each in three]
        decays = [decay_ms(each, rate) for each in three]
        far = [distance(real, each) for each in three[1:]]
        rows.append([*levels, *np.log2(centroids), *np.log2(decays), *far])
        print(
            f"| {key} {drum.name} | {levels[0]:.1f}, {levels[1]:.1f}, {levels[2]:.1f} |"
            f" {centroids[0]:.0f}, {centroids[1]:.0f}, {centroids[2]:.0f} |"
            f" {decays[0]:.0f}, {decays[1]:.0f}, {decays[2]:.0f} | {far[0]:.1f}, {far[1]:.1f} |"
        )
    table = np.array(rows)
    others = [distance(a, b) for a, b in zip(sounds, sounds[1:] + sounds[:1], strict=True)]
    print()
    for name, first in (("level (dB)", 0), ("centroid (octaves)", 3), ("decay (octaves)", 6)):
        error = np.abs(table[:, first + 1 : first + 3] - table[:, [first]])
        oracle_error, kit_error = error.mean(axis=0)
        print(f"{name}: mean error of the oracle {oracle_error:.2f}, kit {kit_error:.2f}")
    print(
        f"log-mel distance (dB): oracle {table[:, 9].mean():.1f}, kit {table[:, 10].mean():.1f},"
        f" another key's recording {np.mean(others):.1f}"
    )


if __name__ == "__main__":
    main()
