"""Beginning a GANSynth training with the weights and timbres of a preset."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogen.errors import ParameterError, PresetError
from audiogen.models.gansynth import Generator, import_weights
from audiogen.presets import GansynthPreset, Preset, find_presets, load_preset
from audiogen.training.gansynth import Trainer

N_COMPARED = 4  # notes of an instrument, from its lowest to its highest
# With a preset's weights: a rate at which they aren't forgotten, and steps enough for new timbres.
LEARNING_RATE, STEPS = 1e-3, 1200


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
    weights = _weights(preset)
    import_weights(trainer.generator, weights)
    import_weights(trainer.average, weights)
    latents = torch.tensor([preset.timbre(name).z for name in nearest.values()])  # type: ignore[attr-defined]
    with torch.no_grad():
        trainer.latents.copy_(latents)
        trainer.average_latents.copy_(latents)
    trainer.begun_with = preset.name
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
    came: dict[str, Any] = preset.generator.model_dump() | preset.spectrogram.model_dump()
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
    import_weights(generator, _weights(preset))
    nearest: dict[str, str] = {}
    least: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        for index, instrument in enumerate(notes.names):
            own = np.flatnonzero(notes.instruments == index)
            own = own[np.argsort(notes.pitches[own], kind="stable")]
            some = own[np.unique(np.linspace(0, len(own) - 1, N_COMPARED).round().astype(int))]
            frames = (0, recipe.crop_frames)
            batch = trainer._batch(some, frames)
            distances: dict[str, float] = {}
            for timbre in preset.timbres:
                z: Tensor = torch.tensor([timbre.z] * len(some))
                image = generator(z, batch.pitch, batch.velocity, frames=frames)
                told = trainer._distances(image, batch.image, batch)
                distances[timbre.name] = float(told["magnitude"])
            nearest[instrument] = min(distances, key=lambda name: distances[name])
            least.append(distances[nearest[instrument]])
    return nearest, float(np.mean(least))


def _weights(preset: Preset) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(preset.weights_path)
