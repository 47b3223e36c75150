"""Spoiled versions of real notes: known faults that a metric should find."""

from __future__ import annotations

import numpy as np

from audiogen.audio.files import resample
from audiogen.core.packages import require_package
from audiogen.errors import ParameterError
from audiogen.evaluation.sets.sounds import SoundSet
from audiogen.evaluation.timbre_features import with_random_phase

BLUR = 0.05  # share of the note's length that magnitudes are averaged over
MOST_SEMITONES = 6
MEMORISED_SHARE = 8  # an eighth of the notes are distinct
_N_FFT, _HOP_LENGTH = 1024, 256


def random_phase(notes: SoundSet, seed: int) -> SoundSet:
    """Return notes with the magnitudes of their spectrograms and random phases."""
    random = np.random.default_rng(seed)
    return notes.with_sounds(np.stack([with_random_phase(x, random) for x in notes.sounds]))


def wrong_pitch(notes: SoundSet, seed: int) -> SoundSet:
    """Return notes that sound 1 to 6 semitones above or below their label."""
    random = np.random.default_rng(seed)
    shifts = random.integers(1, MOST_SEMITONES + 1, len(notes)) * random.choice([-1, 1], len(notes))
    moved = np.zeros_like(notes.sounds)
    for row, sound, shift in zip(moved, notes.sounds, shifts, strict=True):
        faster = round(notes.sample_rate * 2 ** (shift / 12))
        played = resample(sound, faster, notes.sample_rate)[: len(row)]
        row[: len(played)] = played
    return notes.with_sounds(moved)


def averaged_over_time(notes: SoundSet, share: float = BLUR) -> SoundSet:
    """Return notes whose magnitudes are averaged over 5 % of the note's length; phases are kept."""
    librosa = require_package("librosa", "train", "blurring notes")
    n_frames = 1 + notes.sounds.shape[1] // _HOP_LENGTH
    width = 1 + 2 * round(share * n_frames / 2)  # odd, so that the mean is centred
    changed = []
    for sound in notes.sounds:
        spectrum = librosa.stft(sound, n_fft=_N_FFT, hop_length=_HOP_LENGTH)
        magnitude = np.abs(spectrum)
        padded = np.pad(magnitude, ((0, 0), (width // 2,) * 2), mode="edge")
        mean = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1).mean(axis=-1)
        spectrum *= mean / np.maximum(magnitude, 1e-9)
        changed.append(librosa.istft(spectrum, hop_length=_HOP_LENGTH, length=len(sound)))
    return notes.with_sounds(np.stack(changed))


def memorised(training: SoundSet, n: int, seed: int) -> SoundSet:
    """Return n notes of a model that has memorised n / 8 training notes.

    Raises
    ------
    ParameterError
        If there are fewer training notes than that.
    """
    n_known = max(2, n // MEMORISED_SHARE)
    if len(training) < n_known:
        raise ParameterError(
            f"{len(training)} training notes are too few for a memorised set; {n_known} are needed"
        )
    random = np.random.default_rng(seed)
    known = random.permutation(len(training))[:n_known]
    return training.take(np.concatenate([known, random.choice(known, n - n_known)]))
