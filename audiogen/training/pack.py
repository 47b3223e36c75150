"""From the folder of a run, finished or not, to a preset."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.errors import PresetError
from audiogen.models import gansynth, samplernn
from audiogen.presets import Preset, check_fields, require_replaceable
from audiogen.representation.config import SpectrogramConfig
from audiogen.training.gansynth.export import rounded
from audiogen.training.recipes import progressive_recipe
from audiogen.training.run.card import CARD_NAME, read_card
from audiogen.training.run.export import preview_notes, training_table, write_with_preview
from audiogen.training.run.log import read_log
from audiogen.training.samplernn.export import preview_texture


def pack_run(run: Path, folder: Path, state: dict[str, Any], *, as_it_was: bool = False) -> Preset:
    """Write the preset of a checkpoint.

    Parameters
    ----------
    run : Path
        Folder of the run.
    folder : Path
        Folder of the preset; its name becomes the preset's.
    state : dict
        State of one of the run's checkpoints.
    as_it_was : bool
        Whether a SampleRNN's weights are the averaged ones of that step, not quantised, in place of
        those that were best on held-out sound.

    Returns
    -------
    Preset

    Raises
    ------
    FormatError, PresetError
        If the folder has no card, the checkpoint is another run's, or the preset can't be written.
    """
    require_replaceable(folder)
    card = read_card(run)
    fields: dict[str, Any] = card["fields"] | {"name": folder.resolve().name}
    step, seed = int(state["step"]), state["recipe"]["seed"]
    fields["training"] = training_table(
        card["command"],
        seed,
        state["seconds"],
        step,
        state["initialised_from"],
        state.get("provenance", {}),  # older checkpoints lack it
    )
    if fields["kind"] == "gansynth":
        weights = _gansynth_weights(fields, state)
        fields["measured"] = _last_measured(run, step)
    else:
        best = state["best"]
        kept = None if as_it_was else best["weights"]
        weights = _samplernn_weights(state, kept or state["average"])
        if kept:
            measured = {"held_out_bits": best["bits"], "best_step": float(best["step"])}
            fields["measured"] = {name: round(value, 4) for name, value in measured.items()}
    preset = check_fields(fields, run / CARD_NAME)
    make_preview = preview_notes if preset.plays_notes else preview_texture
    return write_with_preview(folder, fields, weights, make_preview)


def _gansynth_weights(fields: dict[str, Any], state: dict[str, Any]) -> dict[str, np.ndarray]:
    """The averaged weights; learned latents go into the fields."""
    recipe = state["recipe"]
    generator = gansynth.Generator(
        gansynth.GeneratorConfig(**recipe["generator"]), SpectrogramConfig(**recipe["spectrogram"])
    )
    generator.load_state_dict(state["average"])
    weights = gansynth.export_weights(generator)
    if state["kind"] == "gansynth-progressive":
        _require_grown(state)
        return weights
    latents = state["average_latents"].tolist()
    if len(latents) != len(fields["timbres"]):
        raise PresetError(
            f"{CARD_NAME} has {len(fields['timbres'])} timbres and the checkpoint {len(latents)};"
            " they must be of one run"
        )
    fields["timbres"] = [
        timbre | {"z": rounded(z)} for timbre, z in zip(fields["timbres"], latents, strict=True)
    ]
    return weights


def _require_grown(state: dict[str, Any]) -> None:
    """Refuse a generator whose last block, the only one that a preset plays, isn't faded in."""
    recipe = progressive_recipe(state["recipe"])
    last = recipe.starts_at(recipe.n_stages - 1)
    if recipe.images_at(state["step"]) < last:
        first = math.ceil(last * recipe.n_steps / recipe.images)
        raise PresetError(
            f"the generator is still growing at step {state['step']}; a preset can be made from"
            f" step {first} on"
        )


def _samplernn_weights(state: dict[str, Any], kept: dict[str, Any]) -> dict[str, np.ndarray]:
    """Weights of a checkpoint, as a preset has them."""
    model = samplernn.SampleRNN(samplernn.SampleRNNConfig(**state["recipe"]["model"]))
    model.load_state_dict(kept)
    return samplernn.export_weights(model)


def _last_measured(run: Path, step: int) -> dict[str, float]:
    """The last evaluation on held-out notes up to a step."""
    measured: dict[str, float] = {}
    for entry in read_log(run / "log.jsonl"):
        values = {k: round(v, 4) for k, v in entry.items() if k.startswith("held_out_")}
        if entry["step"] <= step and values:
            measured = values
    return measured
