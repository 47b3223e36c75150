"""Beginning a GANSynth training: by which recipe, anew, with a preset, or from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from audiogen.data.notes.nsynth import NoteSet
from audiogen.data.notes.splits import (
    SPLIT,
    Split,
    holds_out_instruments,
    read_split,
    split_for_training,
)
from audiogen.data.subset import evenly_spaced
from audiogen.errors import ParameterError, PresetError
from audiogen.models.gansynth import Generator, import_weights
from audiogen.presets import GansynthPreset, Preset, find_presets, load_preset, read_weights
from audiogen.training.gansynth import trainer as gansynth
from audiogen.training.gansynth.progressive import GrowingTrainer, find_device
from audiogen.training.gansynth.trainer import Trainer
from audiogen.training.recipes import PUBLISHED, GrowingRecipe, growing_recipe, read_recipe
from audiogen.training.run.processes import Processes

BUILT_IN = "built-in"  # note by note, then a critic: `training.gansynth`
FEW_NOTES = 500  # a built-in training of fewer begins with a preset, if one fits
N_COMPARED = 4  # notes of an instrument, from its lowest to its highest
# With a preset's weights: a rate at which they aren't forgotten, and steps enough for new timbres.
LEARNING_RATE, STEPS = 1e-3, 1200


def choose_recipe(
    name: str | None,
    device: str | None,
    own: dict[str, Any],
    *,
    seed: int,
    steps: int | None,
    state: dict[str, Any] | None,
    own_samples: bool = False,
) -> GrowingRecipe | None:
    """Find the recipe of a training.

    Parameters
    ----------
    name : str, optional
        ``built-in``, or as `recipes.read_recipe` takes it. Without one, that of the checkpoint; the
        published one of a set of notes on a GPU; else the built-in one.
    device : str, optional
    own : dict
        Options that only the built-in recipe has, None where they weren't given.
    seed, steps : int
        Of a recipe that grows.
    state : dict, optional
        The checkpoint that is gone on from.
    own_samples : bool
        Whether a set is made of a folder first: too few notes for the published one.

    Returns
    -------
    GrowingRecipe or None
        None for the built-in one.

    Raises
    ------
    ParameterError
        If an option doesn't apply, or the recipe is unknown.
    FormatError
        If its file is wrong.
    """
    given = [option for option, value in own.items() if value is not None]
    recipe = None
    grows = state is not None and "average_latents" not in state
    if state is not None and name is not None and grows != (name != BUILT_IN):
        raise ParameterError(
            f"--recipe {name}: the training that is gone on from has another recipe; leave it out"
        )
    if state is not None and grows:
        steps = steps or growing_recipe(state["recipe"]).steps
    if name is None and state is not None and grows:
        recipe = growing_recipe(state["recipe"])
    elif name is None and state is None and not (given or own_samples):
        name = PUBLISHED if find_device(device).type == "cuda" else None
    if recipe is None and name not in (None, BUILT_IN):
        recipe = read_recipe(name)
    if recipe is None:
        if device not in (None, "cpu"):
            raise ParameterError(
                f"device {device!r} isn't for the {BUILT_IN} recipe, which trains on the CPU; give"
                " another --recipe"
            )
        return None
    if given:
        raise ParameterError(
            f"{' and '.join(given)} can't be used with a recipe that grows from nothing; leave it"
            + (" out" if grows else f" out, or give --recipe {BUILT_IN}")
        )
    return replace(recipe, seed=seed, steps=steps or 0)


def begin_training(
    notes: NoteSet,
    recipe: GrowingRecipe | None,
    device: str | None,
    options: dict[str, Any],
    steps: int | None,
    start: Preset | Literal["none"] | None,
    split_by: Literal["note", "instrument"] | None,
    state: dict[str, Any] | None,
    say: Callable[[str], None],
    processes: Processes,
) -> Trainer | GrowingTrainer:
    """Make the trainer of a recipe, and let it go on from a checkpoint if there is one.

    Parameters
    ----------
    notes : NoteSet
    recipe, device
        As `choose_recipe` has them.
    options : dict
        Of `gansynth.Recipe`, for the built-in one, as are the next three.
    steps : int, optional
    start : Preset or "none", optional
        To begin with; without one, the nearest for fewer than `FEW_NOTES`.
    split_by : "note" or "instrument", optional
        What is held out, as ``split.json`` says where it is by the same. Without it whole
        instruments where the recipe's share is one or more of them: fewer are all taught, since
        each is a timbre of the preset.
    state : dict, optional
    say : callable
        Gets a sentence on how it begins.
    processes : Processes
    """
    if recipe is not None:
        trainer = GrowingTrainer(notes, recipe, device, processes)
        if state is not None:
            trainer.restore(state)
        return trainer
    if start is None and len(notes) >= FEW_NOTES:
        start = "none"
    share, split = gansynth.Recipe().held_out, None
    if split_by == "instrument" or (split_by is None and holds_out_instruments(notes, share)):
        split = split_for_training(notes, share, options["seed"], "instrument")
    elif split_by == "note" and (notes.folder / SPLIT).is_file():
        if read_split(notes.folder / SPLIT).by == "note":
            split = split_for_training(notes, share, options["seed"], "note")
    read = gansynth.Notes.read(notes, split)
    return _begin_built_in(read, options, steps, start, state, say, processes)


def split_of(trainer: Trainer | GrowingTrainer, notes: NoteSet) -> Split:
    """What a training learns from and is measured by, as a file beside its checkpoints keeps it."""
    names, instruments = trainer.notes.note_names, {note.name: note.instrument for note in notes}
    training, held_out = (
        tuple(sorted(names[i] for i in chosen)) for chosen in (trainer.training, trainer.held_out)
    )
    apart = {instruments[n] for n in training}.isdisjoint(instruments[n] for n in held_out)
    by = "instrument" if apart else "note"
    return Split(by, trainer.recipe.seed, {"train": training, "valid": held_out})


def _begin_built_in(
    notes: gansynth.Notes,
    options: dict[str, Any],
    steps: int | None,
    start: Preset | Literal["none"] | None,
    state: dict[str, Any] | None,
    say: Callable[[str], None],
    processes: Processes,
) -> Trainer:
    def make(**options: Any) -> Trainer:
        return Trainer(notes, gansynth.Recipe(**options), processes=processes)

    if state is not None:
        options["learning_rate"] = state["recipe"]["learning_rate"]
        for name in ("adversarial_share", "variety"):
            options.setdefault(name, state["recipe"][name])
        steps = steps or state["recipe"]["steps"]
        trainer = make(steps=steps, **options)
        trainer.restore(state)
        return trainer
    if start == "none":
        return make(**options | ({"steps": steps} if steps else {}))
    trainer = make(steps=steps or STEPS, learning_rate=LEARNING_RATE, **options)
    preset = nearest_preset(trainer) if start is None else start
    if preset is None:
        say("no preset has the sizes of this training, so it begins anew")
        return _begin_built_in(notes, options, steps, "none", None, say, processes)
    nearest = start_from(trainer, preset)
    shown = ", ".join(dict.fromkeys(nearest.values()))
    say(f"begins with the preset {preset.name}: {shown}")
    return trainer


def start_from(trainer: Trainer, preset: Preset) -> dict[str, str]:
    """Give a fresh trainer a preset's weights, and each instrument the timbre that is nearest.

    Parameters
    ----------
    trainer : Trainer
    preset : Preset
        A GANSynth of the same sizes.

    Returns
    -------
    dict of str to str
        The timbre that each instrument begins as.

    Raises
    ------
    ParameterError
        If the preset is of another family or has other sizes.
    """
    different = difference(trainer, preset)
    if different:
        raise ParameterError(
            f"preset {preset.name!r} {different}: name another with --from, or none to begin anew"
        )
    assert isinstance(preset, GansynthPreset)
    nearest, _ = nearest_timbres(trainer, preset)
    weights = read_weights(preset)
    for generator in (trainer.generator, trainer.average):
        import_weights(generator, weights)
        gansynth.drop_slow_noise(generator)
    latents = torch.tensor([preset.timbre(name).z for name in nearest.values()])
    with torch.no_grad():
        trainer.latents.copy_(latents)
        trainer.average_latents.copy_(latents)
    trainer.begun_with, trainer.begun_licence = preset.name, preset.licence
    return nearest


def nearest_preset(trainer: Trainer) -> GansynthPreset | None:
    """The preset whose timbres come nearest to a trainer's notes; None if no sizes fit.

    Of all that can be loaded by name; what is damaged is passed over.
    """
    found: list[tuple[float, str, GansynthPreset]] = []
    for folder in find_presets():
        try:
            preset = load_preset(folder)
        except PresetError:
            continue
        if isinstance(preset, GansynthPreset) and not difference(trainer, preset):
            found.append((nearest_timbres(trainer, preset)[1], preset.name, preset))
    return min(found)[2] if found else None


def difference(trainer: Trainer, preset: Preset) -> str:
    """What keeps a preset's weights from fitting; empty if nothing does."""
    if not isinstance(preset, GansynthPreset):
        return "isn't a GANSynth"
    came: dict[str, Any] = preset.generator.table() | preset.spectrogram.table()
    came["sample_rate"] = preset.sample_rate
    recipe = trainer.recipe
    wanted = asdict(recipe.generator) | asdict(recipe.spectrogram)
    for name, value in came.items():
        expected = wanted.get(name)
        expected = list(expected) if isinstance(expected, tuple) else expected
        if value != expected:
            return f"has {name} = {value}, this training {expected}"
    return ""


@torch.no_grad()
def nearest_timbres(trainer: Trainer, preset: GansynthPreset) -> tuple[dict[str, str], float]:
    """Find the timbre of a preset that each instrument sounds most like.

    Beginnings of some notes are compared, by the training's own distance of magnitudes.

    Returns
    -------
    nearest : dict of str to str
        From instrument to timbre.
    distance : float
        Mean over the instruments.
    """
    recipe, notes = trainer.recipe, trainer.notes
    generator = Generator(recipe.generator, recipe.spectrogram)
    import_weights(generator, read_weights(preset))
    nearest: dict[str, str] = {}
    least: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        for index, instrument in enumerate(notes.names):
            own = np.flatnonzero(notes.instruments == index)
            own = own[np.argsort(notes.pitches[own], kind="stable")]
            some = own[evenly_spaced(range(len(own)), N_COMPARED)]
            frames = (0, recipe.crop_frames)
            batch = trainer._batch(some, frames)
            distances: dict[str, float] = {}
            for timbre in preset.timbres:
                z: Tensor = torch.tensor([timbre.z] * len(some))
                image = generator(z, batch.pitch, batch.velocity, frames=frames)
                told = trainer._distances(image, batch.image, batch)
                distances[timbre.name] = float(told["magnitude"] + 2.0 * told["loud"])
            nearest[instrument] = min(distances, key=lambda name: distances[name])
            least.append(distances[nearest[instrument]])
    return nearest, float(np.mean(least))
