"""Excerpts of recordings and of notes, as levels with their conditioning, for a SampleRNN."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from audiogen.audio.fundamental import HOP, fundamental_phase
from audiogen.data.notes.nsynth import NOTE_ON_S, NoteSet
from audiogen.data.onsets import around_onsets
from audiogen.data.recordings import Recording, concatenate
from audiogen.errors import ParameterError
from audiogen.models.samplernn import SampleRNNConfig
from audiogen.representation.harmonic import pitch_to_hz
from audiogen.representation.note_features import note_features
from audiogen.training.samplernn.input_noise import (
    LARGEST_SHIFT_S,
    levels_of,
    noisy_conditioning,
    noisy_note,
    noisy_recording,
)

# At augmentation = 1: largest change of speed and of level; speeds are multiples of 1/40.
LARGEST_SPEED, LARGEST_GAIN_DB, SPEEDS = 1.25, 6.0, 40
N_CACHED = 256  # resampled excerpts; the rows of a batch are read chunk by chunk
RESAMPLING_MARGIN = 16  # samples beyond an excerpt, for the filter's tail
LONGEST_DELAY = 80  # samples by which a note may sound after its note-on
N_VARIATIONS = 1 << 20  # seeds of the variation of an excerpt; 0 is none


class Chunk(NamedTuple):
    """A stretch of an excerpt; ``past`` is the model's longest frame.

    Parameters
    ----------
    levels : array [past + n]
        The target, after ``past`` samples of context.
    features : array [n, n_features] or None
        The conditioning.
    inputs : array [past + n]
        The network's input: the levels, or a noisy version of them.
    weights : array [n] or None
        Weight of each sample in the loss; None for 1.
    """

    levels: np.ndarray
    features: np.ndarray | None
    inputs: np.ndarray
    weights: np.ndarray | None = None


class Excerpts(Protocol):
    """Excerpts of one length, each read from a fresh recurrent state.

    Attributes
    ----------
    n_samples : int
        Length of an excerpt.
    levels : array
        All the sound there is.
    """

    n_samples: int
    levels: np.ndarray

    def draw(self, random: np.random.Generator) -> int:
        """Choose an excerpt."""

    def all(self) -> list[int]:
        """Return excerpts that cover the sound once."""

    def chunk(self, which: int, start: int, n: int) -> Chunk:
        """Return samples start .. start + n of an excerpt."""


class RecordedExcerpts:
    """Excerpts of recordings, concatenated in random order.

    With an augmentation each excerpt has a random speed, and with it pitch (Ko et al., "Audio
    augmentation for speech recognition", Interspeech 2015), level and polarity. With input noise
    its input is as of `noisy_recording`; a target is then up to `LARGEST_SHIFT_S` from its place.

    A network that misses onsets has hardly more bits, since few samples are near one, but holds
    tones for seconds when it generates; ``onset_weight`` raises their weight in the loss.

    Parameters
    ----------
    files : list of Recording
        The recordings.
    labels : list of str
        Names of the classes; empty for none.
    config : SampleRNNConfig
        The network.
    sample_rate : int, Hz
        Sample rate of the recordings.
    excerpt_s : float, s
        Length of an excerpt.
    chunk : int, samples
        Length of a chunk, which divides that of an excerpt.
    seed : int
        Seed of the order of the files.
    augmentation : float, 0 to 1
        Strength of the augmentation.
    input_noise : float, 0 to 1
        Strength of the input noise. With either above 0 the sound is also kept as float32.
    onset_weight : float, 1 or more
        Weight of samples near onsets (`around_onsets`) in the loss.
    """

    def __init__(
        self,
        files: list[Recording],
        labels: list[str],
        config: SampleRNNConfig,
        sample_rate: int,
        excerpt_s: float,
        chunk: int,
        seed: int,
        augmentation: float = 0.0,
        input_noise: float = 0.0,
        onset_weight: float = 1.0,
    ):
        self._config, self._past, self._rate = config, config.frame_sizes[0], sample_rate
        samples, owners = concatenate(files, sample_rate, seed)
        self._augmentation, self._input_noise = augmentation, input_noise
        self._samples = samples if augmentation or input_noise else None
        self._fastest = math.floor(SPEEDS * LARGEST_SPEED**augmentation)
        longest = len(samples) * SPEEDS // self._fastest - self._past
        wanted = max(chunk, round(excerpt_s * sample_rate))
        self.n_samples = min(wanted, longest) // chunk * chunk
        if self.n_samples < chunk:
            raise ParameterError(
                f"the recordings of one part (training or held out) have {len(samples)} samples;"
                f" at least {self._most_read(chunk)} are needed for a chunk of {chunk} and a frame"
                f" of {self._past}: give longer recordings"
            )
        self.levels = levels_of(samples, config)
        self._classes = None
        if config.conditioning == "class":
            index = np.array([labels.index(file.label) for file in files])
            self._classes = index[owners]
            self._one_hot = np.eye(config.n_classes, dtype=np.float32)
        self._onset_weight = np.float32(onset_weight)
        self._is_onset = around_onsets(samples, sample_rate) if onset_weight > 1.0 else None
        self._resampled = lru_cache(N_CACHED)(self._resample)

    def draw(self, random: np.random.Generator) -> int:
        """Choose a position and a variation, as one number."""
        last = len(self.levels) - self._most_read(self.n_samples)
        first = self._past + int(random.integers(last + 1))
        variation = int(random.integers(1, N_VARIATIONS)) if self._samples is not None else 0
        return variation * len(self.levels) + first

    def all(self) -> list[int]:
        """Return excerpts, without variation, that cover the sound once."""
        last = len(self.levels) - self.n_samples
        return list(range(self._past, last + 1, self.n_samples))

    def chunk(self, which: int, start: int, n: int) -> Chunk:
        """Return samples start .. start + n of an excerpt."""
        variation, first = divmod(which, len(self.levels))
        stop = start + n
        places = np.arange(start, self._past + stop)  # in the excerpt and the frame before it
        if variation:
            levels, inputs, places = self._varied(which, places)
        else:
            levels = inputs = self.levels[first - self._past :][start : self._past + stop]
        if self._classes is None and self._is_onset is None:
            return Chunk(levels, None, inputs)
        recorded = self._recorded(variation, first, places[self._past :])
        features = None if self._classes is None else self._one_hot[self._classes[recorded]]
        if self._is_onset is None:
            return Chunk(levels, features, inputs)
        weights = np.where(self._is_onset[recorded], self._onset_weight, np.float32(1.0))
        return Chunk(levels, features, inputs, weights)

    def _recorded(self, variation: int, first: int, places: np.ndarray) -> np.ndarray:
        """Positions in the recordings of positions in an excerpt."""
        speed, _ = self._speed_and_gain(variation)
        recorded = (places * speed.numerator // speed.denominator).astype(np.int64)
        return np.clip(first - self._past + recorded, 0, len(self.levels) - 1)

    def _most_read(self, n: int) -> int:
        """Samples of the recordings that n samples and a frame take at the highest speed."""
        return math.ceil((self._past + n) * self._fastest / SPEEDS)

    def _speed_and_gain(self, variation: int) -> tuple[Fraction, float]:
        """Speed and linear gain of a variation."""
        if not (variation and self._augmentation):
            return Fraction(1), 1.0
        random = np.random.default_rng(variation)
        slowest = round(SPEEDS**2 / self._fastest)
        speed = Fraction(int(random.integers(slowest, self._fastest + 1)), SPEEDS)
        gain_db = self._augmentation * random.uniform(-LARGEST_GAIN_DB, LARGEST_GAIN_DB)
        return speed, random.choice((-1.0, 1.0)) * 10.0 ** (gain_db / 20.0)

    def _resample(self, which: int) -> np.ndarray:
        """An excerpt with the frame before it and room for detuning, float32; it doesn't clip."""
        from scipy.signal import resample_poly

        variation, first = divmod(which, len(self.levels))
        speed, gain = self._speed_and_gain(variation)
        n = self._past + self.n_samples
        if self._input_noise:
            n += math.ceil(LARGEST_SHIFT_S * self._rate)
        n_read = math.ceil(n * speed) + RESAMPLING_MARGIN
        recorded = self._samples[first - self._past :][:n_read]
        sound = gain * resample_poly(recorded, speed.denominator, speed.numerator)[:n]
        return (sound / max(1.0, np.abs(sound).max())).astype(np.float32)

    def _varied(self, which: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Levels, inputs and positions of a stretch with augmentation and input noise."""
        variation, first = divmod(which, len(self.levels))
        if self._augmentation:
            sound = self._resampled(which)
        else:
            sound = self._samples[first - self._past :]
        if self._input_noise:
            return noisy_recording(
                sound,
                places,
                seed=variation,
                strength=self._input_noise,
                past=self._past,
                sample_rate=self._rate,
                config=self._config,
            )
        levels = levels_of(sound[places[0] : places[-1] + 1], self._config)
        return levels, levels, places


class NoteExcerpts:
    """Notes from their note-on, conditioned on pitch, velocity, time and the fundamental's phase.

    Each sounds up to `LONGEST_DELAY` samples late, at random: so a network that generated some
    silence at first has seen that, and how it ends. Input noise is as of `noisy_note` and
    `noisy_conditioning`.

    Parameters
    ----------
    notes : NoteSet
        The notes.
    instruments : tuple of str
        Names of the classes.
    config : SampleRNNConfig
        The network.
    sample_rate : int, Hz
        Sample rate of the notes.
    chunk : int, samples
        Length of a chunk, which divides that of an excerpt.
    input_noise : float
        Largest phase error of the input, periods of the fundamental; the other errors grow with it.
    """

    def __init__(
        self,
        notes: NoteSet,
        instruments: tuple[str, ...],
        config: SampleRNNConfig,
        sample_rate: int,
        chunk: int,
        input_noise: float = 0.0,
    ):
        waveforms = notes.waveforms()
        self.n_samples = waveforms.shape[1] // chunk * chunk
        if self.n_samples < chunk:
            raise ParameterError(
                f"chunk={chunk} must be at most the length of a note, {waveforms.shape[1]} samples"
            )
        self._rate = sample_rate
        self._pitch = np.array([note.pitch for note in notes], np.float64)
        self._velocity = np.array([note.velocity for note in notes]) / 127.0
        index = [instruments.index(note.instrument) for note in notes]
        self._one_hot = np.eye(config.n_classes, dtype=np.float32)[index]
        self._f0 = pitch_to_hz(self._pitch)
        self._phase = [
            fundamental_phase(waveform, f0, sample_rate)
            for waveform, f0 in zip(waveforms, self._f0, strict=True)
        ]
        self._past = config.frame_sizes[0]
        self._input_noise, self._config = input_noise, config
        self._waveforms = np.pad(waveforms, ((0, 0), (self._past + LONGEST_DELAY, 0)))
        self.levels = levels_of(self._waveforms, config)
        self.n_delayed = len(self.levels) * (LONGEST_DELAY + 1)  # notes times delays

    def draw(self, random: np.random.Generator) -> int:
        """Choose a note, its delay and a variation, as one number."""
        delayed = int(random.integers(self.n_delayed))
        variation = int(random.integers(1, N_VARIATIONS)) if self._input_noise else 0
        return variation * self.n_delayed + delayed

    def all(self) -> list[int]:
        """Return every note, without delay and without noise."""
        return [note * (LONGEST_DELAY + 1) for note in range(len(self.levels))]

    def chunk(self, which: int, start: int, n: int) -> Chunk:
        """Return samples start .. start + n of an excerpt."""
        variation, delayed = divmod(which, self.n_delayed)
        note, delay = divmod(delayed, LONGEST_DELAY + 1)
        first = start + LONGEST_DELAY - delay
        levels = inputs = self.levels[note, first : first + n + self._past]
        pitch, velocity = self._pitch[note], self._velocity[note]
        if variation:
            inputs = noisy_note(
                self._waveforms[note],
                first,
                n + self._past,
                f0=self._f0[note],
                seed=variation,
                strength=self._input_noise,
                sample_rate=self._rate,
                config=self._config,
            )
            pitch, velocity = noisy_conditioning(
                pitch, velocity, seed=variation, strength=self._input_noise
            )
        time = np.arange(start, start + n)
        phase = self._phase[note]
        offset = np.interp(time - delay, HOP * np.arange(len(phase)), phase)
        features = note_features(
            self._f0[note] * (time - delay) / self._rate + offset,
            pitch,
            velocity,
            time / self._rate,
            time / self._rate - NOTE_ON_S,
            self._rate,
        )
        classes = np.broadcast_to(self._one_hot[note], (n, self._one_hot.shape[1]))
        return Chunk(levels, np.concatenate((features, classes), axis=1), inputs)
