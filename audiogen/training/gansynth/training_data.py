"""What a SampleRNN is trained on: a folder of notes or of recordings, read and split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audiogen.data.notes.nsynth import is_note_set, read_notes
from audiogen.data.recordings import Recording, read_recordings
from audiogen.errors import ParameterError
from audiogen.models.samplernn import SampleRNNConfig
from audiogen.training.samplernn.excerpts import Excerpts, NoteExcerpts, RecordedExcerpts


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
    augmentation: float = 0.0,
    astray: float = 0.0,
    onset_weight: float = 1.0,
    progress: Callable[[int, int, str], None] | None = None,
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
        Share of the sound or of the notes.
    seed : int
        Of the split.
    by_subfolder : bool
        Whether the subfolders of recordings are classes; files in none are left out.
    augmentation : float
        As `RecordedExcerpts`, of the recordings to train on.
    astray : float
        As `RecordedExcerpts` or `NoteExcerpts`, of what is trained on.
    onset_weight : float
        As `RecordedExcerpts`, of the recordings to train on.
    progress : callable, optional
        As `read_recordings`.

    Raises
    ------
    FormatError, ParameterError
        If there is nothing to train on, or too little.
    """
    if is_note_set(folder):
        if augmentation:
            raise ParameterError(
                f"augmentation={augmentation:g} is for recordings, and {folder} holds notes, which"
                " keep their pitch and velocity: leave it out"
            )
        if onset_weight != 1.0:
            raise ParameterError(
                f"onset_weight={onset_weight:g} is for recordings, and {folder} holds notes, which"
                " are told when they begin: leave it out"
            )
        if by_subfolder:
            raise ParameterError(
                f"classes are of recordings, and {folder} holds notes, whose instruments become"
                " timbres by themselves: leave it out"
            )
        return _notes(folder, model, sample_rate, chunk, held_out, seed, astray)
    found = read_recordings(folder, sample_rate, progress)
    if by_subfolder:
        found = found.by_label()
    labels = found.labels if by_subfolder else []
    if by_subfolder and len(labels) < 2:
        raise ParameterError(
            f"{folder}: classes are wanted, but its sounds lie in {len(labels)} subfolders; put"
            " each class into a subfolder of its own"
        )
    if labels:
        model = replace(model, conditioning="class", n_classes=len(labels))
    training, held = found.split(held_out, seed, by_label=by_subfolder)

    def excerpts(files: list[Recording], *changes: float) -> RecordedExcerpts:
        return RecordedExcerpts(files, labels, model, sample_rate, excerpt_s, chunk, seed, *changes)

    return TrainingData(
        training=excerpts(training, augmentation, astray, onset_weight),
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
    folder: Path,
    model: SampleRNNConfig,
    sample_rate: int,
    chunk: int,
    held_out: float,
    seed: int,
    astray: float,
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

    def excerpts(chosen: list[str], astray: float) -> NoteExcerpts:
        taken = notes.take(chosen)
        return NoteExcerpts(taken, notes.instruments, model, sample_rate, chunk, astray)

    training = excerpts(trained, astray)
    ranges: dict[str, list[int]] = {}
    for note in notes:
        ranges.setdefault(note.instrument, []).append(note.pitch)
    lowest = max(min(pitches) for pitches in ranges.values())
    highest = min(max(pitches) for pitches in ranges.values())
    if lowest > highest:
        raise ParameterError(f"{folder}: its instruments have no pitch in common; train them apart")
    return TrainingData(
        training=training,
        held_out=excerpts(held, 0.0),
        model=model,
        classes=notes.instruments,
        pitch_range=(lowest, highest),
        split={"training": trained, "held_out": held, "skipped": []},
        minutes=len(trained) * training.n_samples / sample_rate / 60.0,
    )
