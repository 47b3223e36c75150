"""Noise on the input of a SampleRNN in training, against exposure bias.

A network that only ever received recorded samples treats its own errors as sound: noise that it
drew is continued, and tones glide. With noise on its input, and the recorded sample still the
target, it learns to return from errors to the sound, or to the pitch that it is conditioned on.
The idea is that of Bengio et al., "Scheduled Sampling for Sequence Prediction with Recurrent Neural
Networks", NIPS 2015, without a second pass through the network.
"""

from __future__ import annotations

import numpy as np

from audiogen.models.samplernn import SampleRNNConfig
from audiogen.representation.levels import quantise

# Notes, at strength 1: largest attenuation of the input, and the standard deviation of its levels
# in halves of their range.
LARGEST_FALL_DB, LEVEL_ERROR = 240.0, 0.1
PITCH_ERROR = 0.8  # semitones; standard deviation of the pitch that a note is conditioned on
VELOCITY_ERROR = 0.2  # 0 to 1; of the velocity
SILENT_SHARE = 0.15  # share of notes; their input is silent half of the time
# Recordings, at strength 1: standard deviation of levels, largest detuning in semitones, and the
# lowest frequency at which the detuning changes sign.
RECORDED_ERROR, LARGEST_BEND, SLOWEST_BEND_HZ = 0.125, 2.0, 0.2
# How far detuning moves a sample at most: the integral of half a period of its sine.
LARGEST_SHIFT_S = (2.0 ** (LARGEST_BEND / 12.0) - 1.0) / (np.pi * SLOWEST_BEND_HZ)
BENT_SHARE = 0.6  # share of the excerpts of recordings
OVERSAMPLING = 4  # points per sample that a filter makes; between them it is linear
FILTER_MARGIN = 16  # samples on both sides, for the filter's tails


def noisy_recording(
    sound: np.ndarray,
    places: np.ndarray,
    *,
    seed: int,
    strength: float,
    past: int,
    sample_rate: int,
    config: SampleRNNConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A stretch of a recording whose input is detuned in some places and noisy in others.

    The target at each step continues from the detuned input at the recorded pitch.

    Parameters
    ----------
    sound : array [n_samples], float
        The excerpt.
    places : array [n], samples
        Consecutive positions in ``sound``.
    seed : int
        Seed of the noise of the whole excerpt.
    strength : float, 0 to 1
        Strength of the noise.
    past : int, samples
        Samples of the excerpt that precede its first target.
    sample_rate : int, Hz
        Sample rate.
    config : SampleRNNConfig
        The network, for its levels.

    Returns
    -------
    levels : array [n]
        The target.
    inputs : array [n]
        The network's input.
    places : array [n], samples
        Positions of the target in ``sound``.
    """
    random = np.random.default_rng((seed, 1))
    deviation = RECORDED_ERROR * strength * random.random() ** 3
    noise_hz, noise_turn = _modulation(random, 0.3, 6.0)
    is_bent = random.random() < BENT_SHARE
    bend = 2.0 ** (LARGEST_BEND * strength * random.random() / 12.0) - 1.0
    bend_hz, bend_turn = _modulation(random, SLOWEST_BEND_HZ, 5.0)
    start = int(places[0])
    # From one sample earlier, since each target continues from the input before it.
    seconds = (start - past - 1 + np.arange(len(places) + 1)) / sample_rate
    if is_bent:
        swing = _sine(bend_hz * seconds + bend_turn) - _sine(bend_turn)
        shift = bend * sample_rate / (2.0 * np.pi * bend_hz) * swing
        inputs = levels_of(_interpolated(sound, places + shift[1:]), config)
        places = places + shift[:-1]
        levels = levels_of(_interpolated(sound, places), config)
    else:
        levels = inputs = levels_of(sound[start : start + len(places)], config)
    envelope = np.maximum(0.0, _sine(noise_hz * seconds[1:] + noise_turn))
    return levels, _noisy(inputs, deviation * envelope, (seed, start), config), places


def noisy_note(
    waveform: np.ndarray,
    first: int,
    n: int,
    *,
    f0: float,
    seed: int,
    strength: float,
    sample_rate: int,
    config: SampleRNNConfig,
) -> np.ndarray:
    """Levels of a stretch of a note with errors of phase, loudness and value.

    Parameters
    ----------
    waveform : array [n_samples]
        The note.
    first, n : int, samples
        Start and length of the stretch.
    f0 : float, Hz
        Fundamental of the note.
    seed : int
        Seed of the noise of the whole note.
    strength : float
        Largest phase error, periods of the fundamental; the other errors grow with it.
    sample_rate : int, Hz
        Sample rate.
    config : SampleRNNConfig
        The network, for its levels.

    Returns
    -------
    array [n]
    """
    random = np.random.default_rng(seed)
    furthest, softest_db, deviation = (
        np.array((1.0, LARGEST_FALL_DB, LEVEL_ERROR)) * strength * random.random(3) ** 2
    )
    rates, turns = _modulation(random, 0.3, 30.0, (3, 1))
    silent = random.random() < SILENT_SHARE
    places = np.arange(first, first + n)
    swings = _sine(rates * places / sample_rate + turns)
    shift = furthest * swings[:2].mean(axis=0) * sample_rate / f0
    gain_db = -softest_db * (0.5 + 0.5 * swings[2])
    gain = np.where(silent & (swings[2] > 0.0), 0.0, 10.0 ** (gain_db / 20.0))
    levels = levels_of(gain * _interpolated(waveform, places + shift), config)
    return _noisy(levels, deviation, (seed, first), config)


def noisy_conditioning(
    pitch: float, velocity: float, *, seed: int, strength: float
) -> tuple[float, float]:
    """Pitch and velocity with an error each, constant over a note.

    A training set has few notes, and a network would recognise each by its exact numbers.

    Parameters
    ----------
    pitch : float, MIDI number
        The note's pitch.
    velocity : float, 0 to 1
        The note's velocity.
    seed : int
        Seed of the noise of the note.
    strength : float
        Standard deviation of the noise, relative to the range of each feature.

    Returns
    -------
    pitch, velocity : float
    """
    error = strength * np.random.default_rng((seed, 0, 2)).standard_normal(2)
    velocity = float(np.clip(velocity + VELOCITY_ERROR * error[1], 0.0, 1.0))
    return pitch + PITCH_ERROR * error[0], velocity


def levels_of(samples: np.ndarray, config: SampleRNNConfig) -> np.ndarray:
    """Quantise samples to the network's levels, as uint8 or uint16."""
    levels = quantise(samples, config.q_levels, config.quantisation)
    return levels.astype(np.uint16 if config.two_bytes else np.uint8)


def _modulation(
    random: np.random.Generator, low_hz: float, high_hz: float, shape: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Random frequencies, Hz, uniform in their logarithm, and phases in turns."""
    hz = np.exp(random.uniform(np.log(low_hz), np.log(high_hz), shape))
    return hz, random.random(shape)


def _sine(turns: np.ndarray) -> np.ndarray:
    return np.sin(2.0 * np.pi * turns)


def _noisy(
    levels: np.ndarray,
    deviation: float | np.ndarray,
    seed: tuple[int, int],
    config: SampleRNNConfig,
) -> np.ndarray:
    """Levels plus Gaussian noise, whose standard deviation is in halves of the range."""
    noise = deviation * np.random.default_rng(seed).standard_normal(len(levels))
    noise = np.round(0.5 * config.q_levels * noise)
    return np.clip(levels + noise, 0, config.q_levels - 1).astype(levels.dtype)


def _interpolated(waveform: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A waveform at fractional positions, samples; zero outside of it."""
    from scipy.signal import resample_poly

    first, last = int(places.min()) - FILTER_MARGIN, int(places.max()) + FILTER_MARGIN + 1
    inside = waveform[max(first, 0) : last]
    padding = ((max(-first, 0), max(last - len(waveform), 0)),)
    fine = resample_poly(np.pad(inside, padding), OVERSAMPLING, 1)
    return np.interp((places - first) * OVERSAMPLING, np.arange(len(fine)), fine)
