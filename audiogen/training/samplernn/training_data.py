"""Training data of a SampleRNN: a folder of notes or of recordings, read and split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audiogen.data.notes.nsynth import is_note_set, read_notes, sound_file
from audiogen.data.notes.splits import hold_out_keys
from audiogen.data.recordings import Recording, read_recordings
from audiogen.errors import ParameterError
from audiogen.models.samplernn import SampleRNNConfig
from audiogen.training.samplernn.excerpts import Excerpts, NoteExcerpts, RecordedExcerpts
from audiogen.training.samplernn.recipe import SampleRNNRecipe


@dataclass(frozen=True)
class TrainingData:
    """The data of a folder, ready for a model.

    Parameters
    ----------
    training, held_out : Excerpts
        The two parts.
    model : SampleRNNConfig
        The model with the conditioning that the data provide.
    classes : tuple of str
        Names of the model's classes.
    pitch_range : tuple of int or None
        Lowest and highest MIDI number that all classes have notes of.
    split : dict of str to list of str
        Names of the files or notes in ``training`` and ``held_out``; names and reasons of those
        that were ``skipped``.
    minutes : float
        Length of the training part.
    """

    training: Excerpts
    held_out: Excerpts
    model: SampleRNNConfig
    classes: tuple[str, ...]
    pitch_range: tuple[int, int] | None
    split: dict[str, list[str]]
    minutes: float

    def files(self, folder: Path) -> list[Path]:
        """The sound files in a folder of notes or of recordings that both parts are of."""
        names = [*self.split["training"], *self.split["held_out"]]
        if self.pitch_range:
            return [sound_file(folder, name) for name in names]
        return [folder / name for name in names]


def read_training_data(
    folder: Path,
    recipe: SampleRNNRecipe,
    *,
    by_subfolder: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> TrainingData:
    """Read a folder of notes in NSynth's layout (pitch-conditioned), or of any recordings.

    Parameters
    ----------
    folder : Path
        The folder.
    recipe : SampleRNNRecipe
        The recipe; its model is without conditioning.
    by_subfolder : bool
        Whether the subfolders of recordings are classes; files in none are skipped.
    progress : callable, optional
        Called with the number of files read, that of all, and a name (`read_recordings`).

    Returns
    -------
    TrainingData

    Raises
    ------
    FormatError, ParameterError
        If there is too little sound, or the recipe doesn't suit it.
    """
    if is_note_set(folder):
        return _notes(folder, recipe, by_subfolder)
    found = read_recordings(folder, recipe.sample_rate, progress)
    if by_subfolder:
        found = found.by_label()
    labels = found.labels if by_subfolder else []
    if by_subfolder and len(labels) < 2:
        raise ParameterError(
            f"{folder}: --classes needs 2 or more subfolders with sounds, one for each class; it"
            f" has {len(labels)}"
        )
    model = recipe.model
    if labels:
        model = replace(model, conditioning="class", n_classes=len(labels))
    training, held_out = found.split(recipe.held_out, recipe.seed, by_label=by_subfolder)

    def excerpts(files: list[Recording], *variation: float) -> RecordedExcerpts:
        sizes = recipe.sample_rate, recipe.excerpt_s, recipe.chunk, recipe.seed
        return RecordedExcerpts(files, labels, model, *sizes, *variation)

    return TrainingData(
        training=excerpts(training, recipe.augmentation, recipe.input_noise, recipe.onset_weight),
        held_out=excerpts(held_out),
        model=model,
        classes=tuple(labels),
        pitch_range=None,
        split={
            "training": [file.name for file in training],
            "held_out": [file.name for file in held_out],
            "skipped": [f"{name}: {why}" for name, why in found.skipped],
        },
        minutes=sum(len(file.samples) for file in training) / recipe.sample_rate / 60.0,
    )


def _notes(folder: Path, recipe: SampleRNNRecipe, by_subfolder: bool) -> TrainingData:
    for name, plain in (("augmentation", 0.0), ("onset_weight", 1.0)):
        if getattr(recipe, name) != plain:
            raise ParameterError(
                f"{name}={getattr(recipe, name):g} is for recordings, but {folder} holds notes;"
                " leave it out"
            )
    if by_subfolder:
        raise ParameterError(
            f"--classes is for recordings, but {folder} holds notes, whose instruments become"
            " timbres anyway; leave it out"
        )
    notes = read_notes(folder, sample_rate=recipe.sample_rate)
    names = [note.name for note in notes]
    if len(names) < 2:
        raise ParameterError(
            f"{folder}: has {len(names)} notes; training needs 2 or more, one of them held out"
        )
    known_at, unseen_at = hold_out_keys(
        np.array([notes.instruments.index(note.instrument) for note in notes]),
        np.array([note.pitch for note in notes]),
        recipe.held_out,
        np.random.default_rng(recipe.seed),
    )
    training = sorted(names[i] for i in known_at)
    held_out = sorted(names[i] for i in unseen_at)
    model = replace(recipe.model, conditioning="note", n_classes=len(notes.instruments))

    def excerpts(chosen: list[str], input_noise: float) -> NoteExcerpts:
        sizes = recipe.sample_rate, recipe.chunk
        return NoteExcerpts(notes.take(chosen), notes.instruments, model, *sizes, input_noise)

    pitches: dict[str, list[int]] = {}
    for note in notes:
        pitches.setdefault(note.instrument, []).append(note.pitch)
    lowest = max(min(each) for each in pitches.values())
    highest = min(max(each) for each in pitches.values())
    if lowest > highest:
        raise ParameterError(
            f"{folder}: its instruments have no pitch in common; train one preset of each"
        )
    known = excerpts(training, recipe.input_noise)
    return TrainingData(
        training=known,
        held_out=excerpts(held_out, 0.0),
        model=model,
        classes=notes.instruments,
        pitch_range=(lowest, highest),
        split={"training": training, "held_out": held_out, "skipped": []},
        minutes=len(training) * known.n_samples / recipe.sample_rate / 60.0,
    )
