"""What a SampleRNN is trained on: excerpts as levels, and what the network is told about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from audiogen.data.fundamental import HOP, fundamental_phase
from audiogen.data.nsynth import NoteSet, read_notes
from audiogen.data.recordings import Recording, joined, read_recordings
from audiogen.data.soundfont import NOTE_ON_S
from audiogen.errors import ParameterError
from audiogen.models.samplernn import SampleRNNConfig
from audiogen.representation.harmonic import pitch_to_hz
from audiogen.representation.levels import quantise, silence
from audiogen.representation.note_features import note_features


class Excerpts(Protocol):
    """Sounds of one length, each begun with a fresh state."""

    n_samples: int  # of each
    levels: np.ndarray  # of all the sound there is

    def draw(self, random: np.random.Generator) -> int:
        """Choose an excerpt."""

    def all(self) -> list[int]:
        """Excerpts that cover the sound once."""

    def chunk(self, which: int, start: int, n: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Levels [past + n] and features [n, n_features] of samples start .. start + n.

        ``past`` is the model's longest frame.
        """


LONGEST_DELAY = 80  # samples by which a note may sound after its note-on


class RecordedExcerpts:
    """Stretches of recordings that were put one after the other.

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
    ):
        self._past = config.frame_sizes[0]
        samples, owners = joined(files, sample_rate, seed)
        longest = (len(samples) - self._past) // chunk * chunk
        self.n_samples = min(round(excerpt_s * sample_rate) // chunk * chunk, longest)
        if self.n_samples < chunk:
            raise ParameterError(
                f"the recordings that are for one purpose last {len(samples)} samples in all; a"
                f" chunk of {chunk} and a frame of {self._past} more are wanted: give longer ones"
            )
        levels = quantise(samples, config.q_levels, config.quantisation)
        self.levels = levels.astype(np.uint16 if config.two_bytes else np.uint8)
        self._classes = None
        if config.conditioning == "class":
            index = np.array([labels.index(file.label) for file in files])
            self._classes = index[owners]
            self._eye = np.eye(config.n_classes, dtype=np.float32)

    def draw(self, random: np.random.Generator) -> int:
        return int(random.integers(self._past, len(self.levels) - self.n_samples + 1))

    def all(self) -> list[int]:
        last = len(self.levels) - self.n_samples
        return list(range(self._past, last + 1, self.n_samples))

    def chunk(self, which: int, start: int, n: int) -> tuple[np.ndarray, np.ndarray | None]:
        first = which + start
        levels = self.levels[first - self._past : first + n]
        classes = self._classes
        return levels, None if classes is None else self._eye[classes[first : first + n]]


class NoteExcerpts:
    """Notes from their note-on, with pitch, velocity, time and the fundamental's phase.

    Each sounds some samples late, by chance: so a network that has drawn silence at first has seen
    that, and how it ends.

    Parameters
    ----------
    notes : NoteSet
    instruments : tuple of str
        The classes.
    config : SampleRNNConfig
    sample_rate : int, Hz
    chunk : int, samples
    """

    def __init__(
        self,
        notes: NoteSet,
        instruments: tuple[str, ...],
        config: SampleRNNConfig,
        sample_rate: int,
        chunk: int,
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
        levels = quantise(waveforms, config.q_levels, config.quantisation)
        quiet = silence(config.q_levels, config.quantisation)
        self._past = config.frame_sizes[0]
        before = self._past + LONGEST_DELAY
        levels = np.pad(levels, ((0, 0), (before, 0)), constant_values=quiet)
        self.levels = levels.astype(np.uint16 if config.two_bytes else np.uint8)

    def draw(self, random: np.random.Generator) -> int:
        return int(random.integers(len(self.levels) * (LONGEST_DELAY + 1)))

    def all(self) -> list[int]:
        return [note * (LONGEST_DELAY + 1) for note in range(len(self.levels))]

    def chunk(self, which: int, start: int, n: int) -> tuple[np.ndarray, np.ndarray | None]:
        note, delay = divmod(which, LONGEST_DELAY + 1)
        first = start + LONGEST_DELAY - delay
        levels = self.levels[note, first : first + n + self._past]
        time = np.arange(start, start + n)
        readings = self._ahead[note]
        ahead = np.interp(time - delay, HOP * np.arange(len(readings)), readings)
        off_s = time / self._rate - NOTE_ON_S
        features = note_features(
            self._f0[note] * (time - delay) / self._rate + ahead,
            self._pitch[note],
            self._velocity[note],
            time / self._rate,
            off_s,
            self._rate,
        )
        classes = np.broadcast_to(self._one_hot[note], (n, self._one_hot.shape[1]))
        return levels, np.concatenate((features, classes), axis=1)


@dataclass(frozen=True)
class TrainingData:
    """A folder made ready for a model.

    Parameters
    ----------
    training, held_out : Excerpts
    model : SampleRNNConfig
        With the conditioning that goes with the data.
    classes : tuple of str
        Names of the model's classes.
    pitch_range : tuple of int or None
        Lowest and highest MIDI number that all classes have notes of.
    split : dict of str to list of str
        Names of what is in ``training`` and ``held_out``, and of what was ``skipped`` and why.
    minutes : float
        Of sound to train on.
    """

    training: Excerpts
    held_out: Excerpts
    model: SampleRNNConfig
    classes: tuple[str, ...]
    pitch_range: tuple[int, int] | None
    split: dict[str, list[str]]
    minutes: float


def read_training_data(
    folder: Path,
    model: SampleRNNConfig,
    *,
    sample_rate: int,
    excerpt_s: float,
    chunk: int,
    held_out: float,
    seed: int,
    by_subfolder: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingData:
    """Read a folder of notes in NSynth's layout (pitch-conditioned), or of any recordings.

    Parameters
    ----------
    folder : Path
    model : SampleRNNConfig
        Without conditioning.
    sample_rate : int, Hz
    excerpt_s : float, s
    chunk : int, samples
    held_out : float
        Share of the files or notes.
    seed : int
        Of the split.
    by_subfolder : bool
        Whether the subfolders of recordings are classes.
    progress : callable, optional
        Gets files done and files in all.

    Raises
    ------
    FormatError, ParameterError
        If there is nothing to train on, or too little.
    """
    if (folder / "examples.json").is_file():
        return _notes(folder, model, sample_rate, chunk, held_out, seed)
    found = read_recordings(folder, sample_rate, progress)
    labels = found.labels if by_subfolder else []
    if by_subfolder and len(labels) < 2:
        raise ParameterError(
            f"{folder}: classes are wanted, but its sounds lie in {len(labels)} subfolder; put"
            " each class into a subfolder of its own"
        )
    if labels:
        model = replace(model, conditioning="class", n_classes=len(labels))
    training, held = found.split(held_out, seed)

    def excerpts(files: list[Recording]) -> RecordedExcerpts:
        return RecordedExcerpts(files, labels, model, sample_rate, excerpt_s, chunk, seed)

    return TrainingData(
        training=excerpts(training),
        held_out=excerpts(held),
        model=model,
        classes=tuple(labels),
        pitch_range=None,
        split={
            "training": [file.name for file in training],
            "held_out": [file.name for file in held],
            "skipped": [f"{name}: {why}" for name, why in found.skipped],
        },
        minutes=sum(len(file.samples) for file in training) / sample_rate / 60.0,
    )


def _notes(
    folder: Path, model: SampleRNNConfig, sample_rate: int, chunk: int, held_out: float, seed: int
) -> TrainingData:
    notes = read_notes(folder, sample_rate=sample_rate)
    names = [note.name for note in notes]
    if len(names) < 2:
        raise ParameterError(
            f"{folder}: has {len(names)} notes; 2 or more are wanted, of which one is held out"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    n_held = max(1, round(held_out * len(names)))
    held = sorted(names[i] for i in order[:n_held])
    trained = sorted(names[i] for i in order[n_held:])
    model = replace(model, conditioning="note", n_classes=len(notes.instruments))

    def excerpts(chosen: list[str]) -> NoteExcerpts:
        return NoteExcerpts(notes.take(chosen), notes.instruments, model, sample_rate, chunk)

    training = excerpts(trained)
    ranges: dict[str, list[int]] = {}
    for note in notes:
        ranges.setdefault(note.instrument, []).append(note.pitch)
    lowest = max(min(pitches) for pitches in ranges.values())
    highest = min(max(pitches) for pitches in ranges.values())
    if lowest > highest:
        raise ParameterError(f"{folder}: its instruments have no pitch in common; train them apart")
    return TrainingData(
        training=training,
        held_out=excerpts(held),
        model=model,
        classes=notes.instruments,
        pitch_range=(lowest, highest),
        split={"training": trained, "held_out": held, "skipped": []},
        minutes=len(trained) * training.n_samples / sample_rate / 60.0,
    )
