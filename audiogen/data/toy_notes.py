"""Parametric notes: an additive synthesiser whose distribution can be sampled without end.

Metrics of generated sound are checked on it, because a fresh draw is a perfect generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiogen.errors import ParameterError

SAMPLE_RATE, N_SAMPLES = 8000, 4096
PITCHES = tuple(range(48, 72, 2))  # MIDI numbers; C3 to Bb4 in whole tones
FAMILIES = ("plucked", "sustained")
_N_PARTIALS = 16
_HIGHEST_HZ = 0.48 * SAMPLE_RATE


@dataclass(frozen=True)
class ToyNotes:
    """Notes of the synthesiser.

    Parameters
    ----------
    sounds : array [n_notes, 4096], float32
        Waveforms at 8 kHz with a peak of 0.9.
    pitches : array [n_notes], MIDI numbers
        Pitch of each note.
    families : array [n_notes], int
        Index into `FAMILIES`.
    """

    sounds: np.ndarray
    pitches: np.ndarray
    families: np.ndarray

    def __len__(self) -> int:
        return len(self.sounds)


def draw_notes(n: int, seed: int) -> ToyNotes:
    """Draw independent notes: pitch, family, brightness, odd partials, vibrato, noise.

    Parameters
    ----------
    n : int
        Number of notes.
    seed : int
        Seed of the draw; different seeds give independent notes.

    Raises
    ------
    ParameterError
        If ``n`` is below 1.

    Examples
    --------
    >>> draw_notes(2, 0).sounds.shape
    (2, 4096)
    """
    if n < 1:
        raise ParameterError(f"n={n} must be 1 or more")
    random = np.random.default_rng(seed)
    pitches = random.choice(PITCHES, n)
    families = random.integers(len(FAMILIES), size=n)
    sounds = np.stack(
        [_note(float(p), bool(f), random) for p, f in zip(pitches, families, strict=True)]
    )
    return ToyNotes(sounds, pitches, families)


def recording_chain(sounds: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """Return notes through a bright or a dark recording chain, a spectral tilt.

    The bright chain is y[t] = x[t] - 0.7 x[t - 1], the dark one y[t] = x[t] + 0.7 x[t - 1].

    Parameters
    ----------
    sounds : array [n_notes, n_samples], float
        Notes.
    bright : array [n_notes], bool
        Whether a note passes the bright chain.

    Returns
    -------
    array [n_notes, n_samples], float32
        Notes with a peak of 0.9.
    """
    weight = np.where(bright, -0.7, 0.7)[:, None]
    chained = sounds.astype(np.float64)
    chained[:, 1:] += weight * sounds[:, :-1]
    return (0.9 * chained / np.abs(chained).max(axis=1, keepdims=True)).astype(np.float32)


def _note(pitch: float, sustained: bool, random: np.random.Generator) -> np.ndarray:
    time_s = np.arange(N_SAMPLES) / SAMPLE_RATE
    f0_hz = 440 * 2 ** ((pitch - 69) / 12)
    roll_off = random.uniform(0.6, 2.2)  # exponent of the partials' levels
    odd = random.uniform(0.0, 1.0)  # share of the even partials that is kept
    stretch = random.uniform(0.0, 4e-4)  # inharmonicity of a stiff string
    vibrato = random.uniform(0.0, 0.004) if sustained else 0.0
    turn = random.uniform(0, 2 * np.pi)
    swing = vibrato * np.sin(2 * np.pi * 5.5 * time_s + turn) / (2 * np.pi * 5.5)
    number = np.arange(1, _N_PARTIALS + 1)
    hz = f0_hz * number * np.sqrt(1 + stretch * number**2)
    level = number**-roll_off * np.where(number % 2, 1.0, odd) * (hz < _HIGHEST_HZ)
    level *= 10 ** (random.normal(0.0, 2.0, _N_PARTIALS) / 20)
    phase = random.uniform(0, 2 * np.pi, _N_PARTIALS)
    decay = (
        random.uniform(0.0, 0.5) * np.ones(_N_PARTIALS)
        if sustained
        else random.uniform(2.0, 5.0) * (1 + random.uniform(0.0, 0.5) * number)
    )  # nepers per second
    sound = np.zeros(N_SAMPLES)
    for a, f, p, d in zip(level, hz, phase, decay, strict=True):
        if a > 1e-3:
            sound += a * np.exp(-d * time_s) * np.sin(2 * np.pi * f * (time_s + swing) + p)
    rise_s = random.uniform(0.03, 0.12) if sustained else random.uniform(0.001, 0.004)
    sound *= np.minimum(1.0, time_s / rise_s)
    sound /= np.abs(sound).max()
    sound += 10 ** (random.uniform(-60, -40) / 20) * random.standard_normal(N_SAMPLES)
    return (0.9 * sound / np.abs(sound).max()).astype(np.float32)
