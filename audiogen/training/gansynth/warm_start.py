"""Initialising a built-in GANSynth training from a preset: its weights, its nearest timbres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogen.data.subset import evenly_spaced
from audiogen.errors import ParameterError, PresetError
from audiogen.models.gansynth import Generator, import_weights, pixel_norm
from audiogen.objectives import losses
from audiogen.presets import GansynthPreset, Preset, find_presets, load_preset, read_weights
from audiogen.training.gansynth.recipe import BuiltInRecipe, scaled_sizes
from audiogen.training.gansynth.trainer import BuiltInTrainer, drop_slow_noise

FEW_NOTES = 500  # below this a training is initialised from the nearest preset, if one fits
N_COMPARED = 4  # notes of an instrument, from its lowest to its highest
MOST_FAR = 2.0  # distance of the timbre of an instrument's name over the least, to be its timbre
# Angles of two instruments' latents: below the first one moves, by the second; independent ones
# have 90 degrees.
MIN_ANGLE, NEW_ANGLE = math.radians(15.0), math.radians(45.0)
N_CANDIDATES = 64  # random directions for an instrument
# A rate at which the preset isn't forgotten, and steps enough for new timbres.
LEARNING_RATE, STEPS = 1e-3, 1200


def shortened(recipe: BuiltInRecipe, chosen: dict[str, Any]) -> BuiltInRecipe:
    """The recipe for a training that is initialised from a preset.

    Parameters
    ----------
    recipe : BuiltInRecipe
        The recipe of a training from random weights.
    chosen : dict
        Settings that the user chose, which stay.

    Returns
    -------
    BuiltInRecipe
    """
    return replace(recipe, **{"learning_rate": LEARNING_RATE, "steps": STEPS} | chosen)


def initialise(trainer: BuiltInTrainer, preset: Preset) -> dict[str, str]:
    """Give a new trainer a preset's weights, and each instrument the latent of its nearest timbre.

    Parameters
    ----------
    trainer : BuiltInTrainer
        A trainer before its first step.
    preset : Preset
        A GANSynth of the same sizes, or of these at another sample rate, or with fewer maps.

    Returns
    -------
    dict of str to str
        The timbre of each instrument.

    Raises
    ------
    ParameterError
        If the preset is of another kind or has other sizes.
    """
    if different := difference(trainer, preset):
        raise ParameterError(
            f"preset {preset.name!r} {different}; name another with --init-from, or none for random"
            " weights"
        )
    assert isinstance(preset, GansynthPreset)
    nearest, distances = nearest_timbres(trainer, preset)
    weights = weights_for(trainer, preset)
    for generator in (trainer.generator, trainer.average):
        import_weights(generator, weights)
        drop_slow_noise(generator)
    z = {timbre.name: timbre.z for timbre in preset.timbres}
    notes, unseen = trainer.notes, trainer.notes.instruments[trainer.unseen_notes]
    named = [name == own for name, own in zip(nearest.values(), notes.timbres, strict=True)]
    order = sorted(
        range(len(named)), key=lambda i: (not named[i], i in unseen, distances[notes.names[i]])
    )
    latents = torch.tensor([z[name] for name in nearest.values()])
    latents = separate_latents(latents, order, trainer.recipe.seed)
    with torch.no_grad():
        trainer.latents.copy_(latents)
        trainer.average_latents.copy_(latents)
    trainer.initialised_from, trainer.initial_licence = preset.name, preset.licence
    return nearest


@torch.no_grad()
def separate_latents(latents: Tensor, order: Sequence[int], seed: int) -> Tensor:
    """Move latents that are nearly equal to earlier ones to random places farther away.

    Instruments whose latents are nearly equal would stay one sound: the noise on latents in
    training, about 11 degrees, hides the difference.

    Parameters
    ----------
    latents : Tensor [n_instruments, latent_size]
        Latents.
    order : sequence of int
        The instruments, from the first, whose latent stays.
    seed : int
        Seed of the places.

    Returns
    -------
    Tensor [n_instruments, latent_size]
        Latents of which none that moved is closer to another than `NEW_ANGLE`, as far as there is
        room.
    """
    z = latents.clone()
    random = torch.Generator().manual_seed(seed)
    for n, i in enumerate(order):
        here, others = z[i : i + 1], z[list(order[:n])]
        if not n or losses.angle(others, here).min() > MIN_ANGLE:
            continue
        candidates = []
        for _ in range(N_CANDIDATES):
            direction = pixel_norm(torch.randn((1, z.shape[1]), generator=random))
            share = NEW_ANGLE / losses.angle(here, direction)
            candidates.append(losses.slerp(here, direction, share[:, None]))
            if losses.angle(others, candidates[-1]).min() > 0.99 * NEW_ANGLE:
                break
        z[i] = max(candidates, key=lambda place: float(losses.angle(others, place).min()))[0]
    return z


def nearest_preset(trainer: BuiltInTrainer) -> GansynthPreset | None:
    """Find the preset whose timbres are nearest to a trainer's notes.

    Parameters
    ----------
    trainer : BuiltInTrainer
        The trainer.

    Returns
    -------
    GansynthPreset or None
        None if no preset has the trainer's sizes. Damaged presets are skipped.
    """
    found: list[tuple[float, str, GansynthPreset]] = []
    for folder in find_presets():
        try:
            preset = load_preset(folder)
        except PresetError:
            continue
        if isinstance(preset, GansynthPreset) and not difference(trainer, preset):
            distances = nearest_timbres(trainer, preset)[1]
            found.append((float(np.mean(list(distances.values()))), preset.name, preset))
    return min(found)[2] if found else None


def difference(trainer: BuiltInTrainer, preset: Preset) -> str:
    """Reason why a preset's weights don't fit; empty if they do."""
    if not isinstance(preset, GansynthPreset):
        return "isn't a GANSynth"
    recipe = trainer.recipe
    came: dict[str, Any] = preset.generator.table() | preset.spectrogram.table()
    came["sample_rate"] = preset.sample_rate
    wanted = asdict(recipe.generator) | asdict(recipe.spectrogram)
    rates = preset.sample_rate, recipe.spectrogram.sample_rate
    if max(rates) % min(rates):
        return f"has sample_rate = {rates[0]}, this training {rates[1]}"
    came = scaled_sizes(came, max(rates) // rates[0])
    wanted = scaled_sizes(wanted, max(rates) // rates[1])
    for name, value in came.items():
        if not _equal(value, wanted.get(name)):
            return f"has {name} = {value}, this training {wanted.get(name)}"
    return ""


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-5)  # rounded in a preset's description
    return (tuple(a) if isinstance(a, list) else a) == (tuple(b) if isinstance(b, list) else b)


def weights_for(trainer: BuiltInTrainer, preset: GansynthPreset) -> dict[str, np.ndarray]:
    """Weights of a preset with the bins of a trainer's first block, and its maps of the pitch.

    At twice the sample rate the first layer has twice the bins; the added ones start as copies of
    the highest. At half the rate the upper bins are dropped. All other layers are the same for
    every bin. Maps that the preset doesn't have begin without an effect.
    """
    weights, generator = read_weights(preset), trainer.recipe.generator
    name = "blocks.0.conv1.weight"
    kept = weights[name][..., : generator.start_shape[1]]
    n_added = generator.start_shape[1] - kept.shape[-1]
    padded = {name: np.pad(kept, ((0, 0),) * 3 + ((0, n_added),), "edge")}
    n_added = generator.n_maps - preset.generator.n_maps
    for name in [name for name in weights if name.endswith(".maps.weight")]:
        padded[name] = np.pad(weights[name], ((0, 0), (0, n_added)))
    return weights | padded


@torch.no_grad()
def nearest_timbres(
    trainer: BuiltInTrainer, preset: GansynthPreset
) -> tuple[dict[str, str], dict[str, float]]:
    """Match each instrument to a preset's timbre: the nearest, or the one of its name.

    Compares the beginnings of some notes by the training's own distance of magnitudes. A timbre of
    the instrument's name is its timbre unless it is more than `MOST_FAR` times as far as the
    nearest.

    Parameters
    ----------
    trainer : BuiltInTrainer
        The trainer with the notes.
    preset : GansynthPreset
        A preset that fits (`difference`).

    Returns
    -------
    nearest : dict of str to str
        Timbre of each instrument.
    distances : dict of str to float
        Distance of the nearest timbre to each instrument.
    """
    recipe, notes = trainer.recipe, trainer.notes
    generator = Generator(recipe.generator, recipe.spectrogram)
    import_weights(generator, weights_for(trainer, preset))
    generator.to(trainer.device)
    nearest: dict[str, str] = {}
    least: dict[str, float] = {}
    gpus = [] if trainer.device.type == "cpu" else [trainer.device]
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(recipe.seed)
        for index, instrument in enumerate(notes.names):
            own = np.flatnonzero(notes.instruments == index)
            own = own[np.argsort(notes.pitches[own], kind="stable")]
            frames = (0, recipe.crop_frames)
            batch = trainer.batch(own[evenly_spaced(range(len(own)), N_COMPARED)], frames)
            distances: dict[str, float] = {}
            for timbre in preset.timbres:
                z = torch.tensor([timbre.z] * len(batch.pitch), device=trainer.device)
                notes_of = batch.pitch, batch.velocity
                image = generator(z, *notes_of, frames=frames, partials=batch.partials)
                far = trainer.loss.distances(image, batch.image, batch)
                distances[timbre.name] = float(far["magnitude"] + 2.0 * far["loud"])
            near, name = min(distances, key=distances.__getitem__), notes.timbres[index]
            is_named = distances.get(name, math.inf) <= MOST_FAR * distances[near]
            nearest[instrument] = name if is_named else near
            least[instrument] = distances[near]
    return nearest, least
