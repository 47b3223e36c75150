"""How far the pitch of single lines moves within their notes.

    audiogen render --preset piano-sketch --seconds 120 -o piano.wav
    python docs/studies/glides.py piano.wav melodies/101-bwv245.40.wav

prints for each file how many notes a second begin, and by how many semitones the pitch (pYIN, Mauch
and Dixon, 2014) moves from one beginning to the next: 10th to 90th percentile of each note, then
the median and the 90th percentile over notes.
"""

import sys

import librosa
import numpy as np

from audiogen.audio.files import read_audio

RATE, HOP, FRAME = 16000, 256, 1024
LOWEST_HZ, HIGHEST_HZ = 150.0, 1000.0
LEAST_FRAMES = 12  # of a note that counts


def main() -> None:
    for path in sys.argv[1:]:
        samples = read_audio(path, RATE)
        f0, _, _ = librosa.pyin(
            samples,
            fmin=LOWEST_HZ,
            fmax=HIGHEST_HZ,
            sr=RATE,
            frame_length=FRAME,
            hop_length=HOP,
        )
        pitch = librosa.hz_to_midi(f0)
        onsets = librosa.onset.onset_detect(y=samples, sr=RATE, hop_length=HOP, units="frames")
        moved = []
        for start, end in zip(onsets, [*onsets[1:], len(pitch)], strict=True):
            note = pitch[start + 3 : end - 1]  # without attack
            note = note[~np.isnan(note)]
            if len(note) >= LEAST_FRAMES:
                moved.append(np.ptp(np.percentile(note, [10, 90])))
        middle, most = np.percentile(moved, [50, 90])
        print(
            f"{path}: {len(onsets) * RATE / len(samples):.2f} notes a second,"
            f" pitch moves by {middle:.2f} semitones in the median, {most:.2f} in a tenth of"
            f" {len(moved)}; no pitch {np.isnan(pitch).mean():.0%} of the time"
        )


if __name__ == "__main__":
    main()
