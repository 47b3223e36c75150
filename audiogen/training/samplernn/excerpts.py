"""Excerpts that a SampleRNN learns from, as levels, and what it is told about them."""

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
from audiogen.representation.levels import quantise
from audiogen.representation.note_features import note_features


class Chunk(NamedTuple):
    """A stretch of an excerpt; ``past`` is the model's longest frame.

    Parameters
    ----------
    levels : array [past + n]
    features : array [n, n_features] or None
    heard : array [past + n]
        What the network hears of the past: the levels, or something that went astray from them.
    weights : array [n] or None
        How much each sample counts in training; 1 where there are none.
    """

    levels: np.ndarray
    features: np.ndarray | None
    heard: np.ndarray
    weights: np.ndarray | None = None


class Excerpts(Protocol):
    """Sounds of one length, each begun with a fresh state."""

    n_samples: int  # of each
    levels: np.ndarray  # of all the sound there is

    def draw(self, random: np.random.Generator) -> int:
        """Choose an excerpt."""

    def all(self) -> list[int]:
        """Excerpts that cover the sound once."""

    def chunk(self, which: int, start: int, n: int) -> Chunk:
        """Samples start .. start + n."""


# At augmentation = 1: how much faster or slower, and louder or softer, a recording is heard; speeds
# are multiples of 1/40.
LARGEST_SPEED, LARGEST_GAIN_DB, SPEEDS = 1.25, 6.0, 40
N_VARIED = 256  # excerpts that are kept as they are heard; a batch reads no more at once
RESAMPLING_MARGIN = 16  # samples beyond an excerpt that its last ones are resampled from
LONGEST_DELAY = 80  # samples by which a note may sound after its note-on
N_WAYS = 1 << 20  # to vary a recording, or for a note to go astray
# At astray = 1, of notes: by how much the past may be too soft, and the normal deviation of its
# levels in halves of their range.
LARGEST_FALL_DB, LEVEL_ERROR = 240.0, 0.1
# Those of the pitch, semitones, and of the velocity, 0 to 1, that a network is told.
PITCH_ERROR, VELOCITY_ERROR = 0.8, 0.2
SILENT_SHARE = 0.15  # of notes whose past is silent half of the time
# At astray = 1, of recordings: the deviation of levels, and semitones by which the past may be out
# of tune, how slowly at least, and so how many seconds from where it was.
RECORDED_ERROR, LARGEST_BEND, SLOWEST_BEND_HZ = 0.125, 2.0, 0.2
LARGEST_SHIFT_S = (2.0 ** (LARGEST_BEND / 12.0) - 1.0) / (np.pi * SLOWEST_BEND_HZ)
BENT_SHARE = 0.6  # of excerpts


class RecordedExcerpts:
    """Stretches of recordings that were put one after the other.

    Little sound is soon known by heart. With an augmentation each excerpt is heard at another
    speed, and with it pitch (Ko et al., "Audio augmentation for speech recognition", Interspeech
    2015), level and polarity, drawn by chance.

    A network that has only heard what was recorded takes its own mistakes for the sound: noise that
    it has drawn is gone on with, and tones glide. So what is heard of the past may go astray: noise
    comes and goes in it, and its pitch wavers, where the sample to be drawn goes on from there at
    the pitch that was recorded. What sounds is then up to 0.2 s from where it was.

    A note begins at few samples of many, and a network that misses some has hardly more bits for
    that, but holds its tones for seconds when it plays. So these samples may count for more.

    Parameters
    ----------
    files : list of Recording
    labels : list of str
        The classes, where the model has any.
    config : SampleRNNConfig
    sample_rate : int, Hz
    excerpt_s : float, s
    chunk : int, samples
        Excerpts are a multiple of it long.
    seed : int
        Of the order of the files.
    augmentation : float
        How much excerpts that are drawn vary, 0 to 1.
    astray : float
        How wrong what is heard of their past may be, 0 to 1. With either above 0 the sound is kept
        as float32, too.
    onset_weight : float
        How much samples count with which a sound begins (`around_onsets`), 1 or more.
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
        astray: float = 0.0,
        onset_weight: float = 1.0,
    ):
        self._config, self._past, self._rate = config, config.frame_sizes[0], sample_rate
        samples, owners = concatenate(files, sample_rate, seed)
        self._augmentation, self._astray = augmentation, astray
        self._samples = samples if augmentation or astray else None
        self._fastest = math.floor(SPEEDS * LARGEST_SPEED**augmentation)
        longest = len(samples) * SPEEDS // self._fastest - self._past
        wanted = max(chunk, round(excerpt_s * sample_rate))
        self.n_samples = min(wanted, longest) // chunk * chunk
        if self.n_samples < chunk:
            raise ParameterError(
                f"the recordings that are for one purpose last {len(samples)} samples in all;"
                f" {self._most_heard(chunk)} are wanted, for a chunk of {chunk} and a frame of"
                f" {self._past} more: give longer ones"
            )
        self.levels = _levels(samples, config)
        self._classes = None
        if config.conditioning == "class":
            index = np.array([labels.index(file.label) for file in files])
            self._classes = index[owners]
            self._eye = np.eye(config.n_classes, dtype=np.float32)
        self._onset_weight = np.float32(onset_weight)
        self._begins = around_onsets(samples, sample_rate) if onset_weight > 1.0 else None
        self._varied = lru_cache(N_VARIED)(self._vary)

    def draw(self, random: np.random.Generator) -> int:
        """A place, and how the sound there varies and goes astray, in one number."""
        last = len(self.levels) - self._most_heard(self.n_samples)
        first = self._past + int(random.integers(last + 1))
        way = int(random.integers(1, N_WAYS)) if self._samples is not None else 0
        return way * len(self.levels) + first

    def all(self) -> list[int]:
        last = len(self.levels) - self.n_samples
        return list(range(self._past, last + 1, self.n_samples))

    def chunk(self, which: int, start: int, n: int) -> Chunk:
        way, first = divmod(which, len(self.levels))
        stop = start + n
        # Samples of the excerpt and of the frame before it, where nothing bends them.
        places = np.arange(start, self._past + stop)
        if way:
            levels, heard, places = self._changed(which, places)
        else:
            levels = heard = self.levels[first - self._past :][start : self._past + stop]
        if self._classes is None and self._begins is None:
            return Chunk(levels, None, heard)
        recorded = self._recorded(way, first, places[self._past :])
        features = None if self._classes is None else self._eye[self._classes[recorded]]
        if self._begins is None:
            return Chunk(levels, features, heard)
        weights = np.where(self._begins[recorded], self._onset_weight, np.float32(1.0))
        return Chunk(levels, features, heard, weights)

    def _recorded(self, way: int, first: int, places: np.ndarray) -> np.ndarray:
        """Which samples of the recordings are at some places of an excerpt."""
        speed, _ = self._way(way)
        there = (places * speed.numerator // speed.denominator).astype(np.int64)
        return np.clip(first - self._past + there, 0, len(self.levels) - 1)

    def _most_heard(self, n: int) -> int:
        """Samples of the recordings that n and a frame before them take at the fastest."""
        return math.ceil((self._past + n) * self._fastest / SPEEDS)

    def _way(self, way: int) -> tuple[Fraction, float]:
        """Speed and gain; way 0 leaves a recording as it is."""
        if not (way and self._augmentation):
            return Fraction(1), 1.0
        random = np.random.default_rng(way)
        slowest = round(SPEEDS**2 / self._fastest)
        speed = Fraction(int(random.integers(slowest, self._fastest + 1)), SPEEDS)
        gain_db = self._augmentation * random.uniform(-LARGEST_GAIN_DB, LARGEST_GAIN_DB)
        return speed, random.choice((-1.0, 1.0)) * 10.0 ** (gain_db / 20.0)

    def _vary(self, which: int) -> np.ndarray:
        """An excerpt, the frame before it and what it may be bent to, float32; no gain clips."""
        from scipy.signal import resample_poly

        way, first = divmod(which, len(self.levels))
        speed, gain = self._way(way)
        n = self._past + self.n_samples
        if self._astray:
            n += math.ceil(LARGEST_SHIFT_S * self._rate)
        there = self._samples[first - self._past :][: math.ceil(n * speed) + RESAMPLING_MARGIN]
        varied = gain * resample_poly(there, speed.denominator, speed.numerator)[:n]
        return (varied / max(1.0, np.abs(varied).max())).astype(np.float32)

    def _changed(self, which: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Levels of a stretch and of the frame before it, what is heard of them, where they are."""
        way, first = divmod(which, len(self.levels))
        if self._augmentation:
            sound = self._varied(which)
        else:
            sound = self._samples[first - self._past :]
        if self._astray:
            return self._gone_astray(sound, way, places)
        levels = _levels(sound[places[0] : places[-1] + 1], self._config)
        return levels, levels, places

    def _gone_astray(
        self, sound: np.ndarray, way: int, places: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `_changed`: out of tune in some places, noisy in others."""
        random = np.random.default_rng((way, 1))
        deviation = RECORDED_ERROR * self._astray * random.random() ** 3
        noise_hz, noise_turn = _slow(random, 0.3, 6.0)
        is_bent = random.random() < BENT_SHARE
        bend = 2.0 ** (LARGEST_BEND * self._astray * random.random() / 12.0) - 1.0
        bend_hz, bend_turn = _slow(random, SLOWEST_BEND_HZ, 5.0)
        start = int(places[0])
        # From the sample before, where what is to be drawn goes on from.
        seconds = (start - self._past - 1 + np.arange(len(places) + 1)) / self._rate
        if is_bent:
            swing = _sine(bend_hz * seconds + bend_turn) - _sine(bend_turn)
            away = bend * self._rate / (2.0 * np.pi * bend_hz) * swing
            heard = _levels(_between(sound, places + away[1:]), self._config)
            places = places + away[:-1]
            levels = _levels(_between(sound, places), self._config)
        else:
            levels = heard = _levels(sound[start : start + len(places)], self._config)
        comes = np.maximum(0.0, _sine(noise_hz * seconds[1:] + noise_turn))
        return levels, _wrong(heard, deviation * comes, (way, start), self._config), places


def _slow(
    random: np.random.Generator, lowest_hz: float, highest_hz: float, shape: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies, Hz, and phases, turns, of what comes and goes."""
    hz = np.exp(random.uniform(np.log(lowest_hz), np.log(highest_hz), shape))
    return hz, random.random(shape)


def _sine(turns: np.ndarray) -> np.ndarray:
    return np.sin(2.0 * np.pi * turns)


class NoteExcerpts:
    """Notes from their note-on, with pitch, velocity, time and the fundamental's phase.

    Each sounds some samples late, by chance: so a network that has drawn silence at first has seen
    that, and how it ends. And what is heard of its past goes astray: its phase wanders about what
    it should be, it is too soft or silent at times, and its levels are a little wrong. So a network
    learns to come back from its own mistakes to what it is told (the idea of Bengio et al.,
    "Scheduled Sampling", 2015, without a second pass through the network). Its pitch and velocity
    are told a little wrong, too: a network knows few notes, and would know each by its numbers.

    Parameters
    ----------
    notes : NoteSet
    instruments : tuple of str
        The classes.
    config : SampleRNNConfig
    sample_rate : int, Hz
    chunk : int, samples
    astray : float
        The furthest that the phase wanders, in periods of the fundamental; the other faults grow
        with it.
    """

    def __init__(
        self,
        notes: NoteSet,
        instruments: tuple[str, ...],
        config: SampleRNNConfig,
        sample_rate: int,
        chunk: int,
        astray: float = 0.0,
    ):
        waveforms = notes.waveforms()
        self.n_samples = waveforms.shape[1] // chunk * chunk
        if self.n_samples < chunk:
            raise ParameterError(
                f"notes last {waveforms.shape[1]} samples; chunk={chunk} or more are wanted"
            )
        self._rate = sample_rate
        self._pitch = np.array([note.pitch for note in notes], np.float64)
        self._velocity = np.array([note.velocity for note in notes]) / 127.0
        index = [instruments.index(note.instrument) for note in notes]
        self._one_hot = np.eye(config.n_classes, dtype=np.float32)[index]
        self._f0 = pitch_to_hz(self._pitch)
        self._ahead = [
            fundamental_phase(waveform, f0, sample_rate)
            for waveform, f0 in zip(waveforms, self._f0, strict=True)
        ]
        self._past = config.frame_sizes[0]
        self._astray, self._config = astray, config
        self._waveforms = np.pad(waveforms, ((0, 0), (self._past + LONGEST_DELAY, 0)))
        self.levels = _levels(self._waveforms, config)
        self._n_late = len(self.levels) * (LONGEST_DELAY + 1)

    def draw(self, random: np.random.Generator) -> int:
        """A note, its delay, and how its past goes astray, in one number."""
        late = int(random.integers(self._n_late))
        way = int(random.integers(1, N_WAYS)) if self._astray else 0
        return way * self._n_late + late

    def all(self) -> list[int]:
        """Every note on time, and its past as it was."""
        return [note * (LONGEST_DELAY + 1) for note in range(len(self.levels))]

    def chunk(self, which: int, start: int, n: int) -> Chunk:
        way, late = divmod(which, self._n_late)
        note, delay = divmod(late, LONGEST_DELAY + 1)
        first = start + LONGEST_DELAY - delay
        levels = self.levels[note, first : first + n + self._past]
        heard = self._heard(note, first, n + self._past, way) if way else levels
        pitch, velocity = self._told(note, way)
        time = np.arange(start, start + n)
        readings = self._ahead[note]
        ahead = np.interp(time - delay, HOP * np.arange(len(readings)), readings)
        off_s = time / self._rate - NOTE_ON_S
        features = note_features(
            self._f0[note] * (time - delay) / self._rate + ahead,
            pitch,
            velocity,
            time / self._rate,
            off_s,
            self._rate,
        )
        classes = np.broadcast_to(self._one_hot[note], (n, self._one_hot.shape[1]))
        return Chunk(levels, np.concatenate((features, classes), axis=1), heard)

    def _told(self, note: int, way: int) -> tuple[float, float]:
        """Pitch and velocity; right if nothing goes astray."""
        pitch, velocity = self._pitch[note], self._velocity[note]
        if not way:
            return pitch, velocity
        wrong = self._astray * np.random.default_rng((way, 0, 2)).standard_normal(2)
        velocity = np.clip(velocity + VELOCITY_ERROR * wrong[1], 0.0, 1.0)
        return pitch + PITCH_ERROR * wrong[0], float(velocity)

    def _heard(self, note: int, first: int, n: int, way: int) -> np.ndarray:
        """Levels first .. first + n of a note, wrong in some way in phase, loudness and value."""
        random = np.random.default_rng(way)
        furthest, softest_db, deviation = (
            np.array((1.0, LARGEST_FALL_DB, LEVEL_ERROR)) * self._astray * random.random(3) ** 2
        )
        rates, turns = _slow(random, 0.3, 30.0, (3, 1))
        silent = random.random() < SILENT_SHARE
        where = np.arange(first, first + n)
        swings = _sine(rates * where / self._rate + turns)
        away = furthest * swings[:2].mean(axis=0) * self._rate / self._f0[note]
        gain_db = -softest_db * (0.5 + 0.5 * swings[2])
        gain = np.where(silent & (swings[2] > 0.0), 0.0, 10.0 ** (gain_db / 20.0))
        samples = gain * _between(self._waveforms[note], where + away)
        levels = _levels(samples, self._config)
        return _wrong(levels, deviation, (way, first), self._config)


def _levels(samples: np.ndarray, config: SampleRNNConfig) -> np.ndarray:
    levels = quantise(samples, config.q_levels, config.quantisation)
    return levels.astype(np.uint16 if config.two_bytes else np.uint8)


def _wrong(
    levels: np.ndarray,
    deviation: float | np.ndarray,
    seed: tuple[int, int],
    config: SampleRNNConfig,
) -> np.ndarray:
    """Levels with normal errors, whose deviation is in halves of the range."""
    errors = deviation * np.random.default_rng(seed).standard_normal(len(levels))
    errors = np.round(0.5 * config.q_levels * errors)
    return np.clip(levels + errors, 0, config.q_levels - 1).astype(levels.dtype)


N_BETWEEN = 4  # points that are put between two samples by a filter; a line joins them


def _between(waveform: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A waveform between its samples; it is silent outside.

    Parameters
    ----------
    waveform : array [n_samples]
    places : array [n], samples
        Not far from one another.
    """
    from scipy.signal import resample_poly

    margin = 16
    first, last = int(places.min()) - margin, int(places.max()) + margin + 1
    inside = waveform[max(first, 0) : last]
    around = ((max(-first, 0), max(last - len(waveform), 0)),)
    fine = resample_poly(np.pad(inside, around), N_BETWEEN, 1)
    return np.interp((places - first) * N_BETWEEN, np.arange(len(fine)), fine)
