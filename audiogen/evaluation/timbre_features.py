"""Timbre features of notes, and distances between sets of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audiogen.core.packages import require_package
from audiogen.evaluation import metrics

HOLD_S = 3.0  # time of the key's release
MIN_NOTES_FOR_DISTANCES = 20
N_FFT, HOP_LENGTH, N_MELS = 2048, 512, 32


class Distance(NamedTuple):
    """Distance of generated notes to real ones, with its values for a perfect and a bad generator.

    Parameters
    ----------
    to_real : float
        Distance of generated to real notes.
    among_real : float
        Distance between two sets of real notes with the generated ones' pitches and velocities.
    random_phase : float
        Distance of generated notes with random phase to real notes.
    oracle : float
        Distance of the oracle's notes to real notes; NaN without an oracle.
    """

    to_real: float
    among_real: float
    random_phase: float
    oracle: float = float("nan")


def note_features(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return 96 timbre features of a note, independent of its level.

    32 mel bands, from the loudest down to 80 dB below it, averaged over the first quarter of a
    second and over the rest until the release of the key; and the mean change of each band from
    frame to frame in that rest, which separates steady partials from noise. Levels are in units of
    20 dB around the middle, from -2 to 2; changes are in dB.

    Parameters
    ----------
    waveform : array [n_samples], float
        NaN and infinity count as 0.
    sample_rate : int, Hz
        Sample rate of the samples.

    Returns
    -------
    array [96], float64

    Raises
    ------
    MissingPackageError
        If librosa is not installed.
    """
    librosa = require_package("librosa", "train", "measuring timbre features")
    n_samples = round(HOLD_S * sample_rate)
    held = np.zeros(n_samples)
    waveform = np.nan_to_num(np.asarray(waveform, float), posinf=0.0, neginf=0.0)[:n_samples]
    held[: len(waveform)] = waveform
    mel = librosa.feature.melspectrogram(
        y=held, sr=sample_rate, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS
    )
    level_db = librosa.power_to_db(mel, ref=max(float(mel.max()), 1e-20), amin=1e-20, top_db=80)
    attack = max(1, round(0.25 * sample_rate / HOP_LENGTH))
    first, rest = level_db[:, :attack], level_db[:, attack:]
    change = np.abs(np.diff(rest, axis=1)).mean(axis=1)
    return np.concatenate([(first.mean(1) + 40) / 20, (rest.mean(1) + 40) / 20, change])


def with_random_phase(waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a sound with the magnitudes of its spectrogram and uniformly random phases.

    It is the output of a network with right magnitudes that has learned nothing about phase.

    Parameters
    ----------
    waveform : array [n_samples], float
        NaN and infinity count as 0.
    random : numpy Generator
        Source of the random phases.

    Returns
    -------
    array [n_samples], float

    Raises
    ------
    MissingPackageError
        If librosa is not installed.
    """
    librosa = require_package("librosa", "train", "randomising phases")
    waveform = np.nan_to_num(np.asarray(waveform, float), posinf=0.0, neginf=0.0)
    padded = np.pad(waveform, (0, max(0, N_FFT - len(waveform))))
    magnitude = np.abs(librosa.stft(padded, n_fft=N_FFT, hop_length=HOP_LENGTH))
    phase = random.uniform(-np.pi, np.pi, magnitude.shape)
    sound = librosa.istft(magnitude * np.exp(1j * phase), hop_length=HOP_LENGTH, length=len(padded))
    return sound[: len(waveform)]


def distances(
    generated: Sequence[np.ndarray],
    random_phase: Sequence[np.ndarray],
    real: Sequence[np.ndarray],
    n: int,
    seed: int,
    oracle: Sequence[np.ndarray] = (),
) -> dict[str, Distance]:
    """Return the distances by their names, from sets of equal size.

    Parameters
    ----------
    generated, random_phase, real : sequence of array [n_features]
        Features. The first half of the real ones is the reference, the second half stands for a
        perfect generator.
    n : int
        Largest size of a set.
    seed : int
        Seed of the k-means initialisation.
    oracle : sequence of array [n_features]
        Features of the oracle's notes; empty for none.

    Returns
    -------
    dict of str to Distance
        Empty for sets of fewer than `MIN_NOTES_FOR_DISTANCES` notes.
    """
    n = min(n, len(generated), len(real) // 2)
    if n < MIN_NOTES_FOR_DISTANCES:
        return {}
    first = np.array(real[:n])
    parts = [generated[:n], real[n : 2 * n], random_phase[:n], *([oracle[:n]] if oracle else [])]
    compared = [np.array(part) for part in parts]
    n_bins = min(50, n // 10)

    def different_bins(a: np.ndarray, b: np.ndarray) -> float:
        return metrics.ndb(b, a, n_bins=n_bins, seed=seed)

    functions = {
        "Frechet distance": metrics.frechet_distance,
        "kernel distance": metrics.kernel_distance,
        f"different bins of {n_bins}": different_bins,
    }
    return {
        name: Distance(*(measure(part, first) for part in compared))
        for name, measure in functions.items()
    }
