"""From the folder of a training, finished or not, to a preset.

Beside its checkpoints a training keeps a card: what its preset will say that no checkpoint knows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.core.atomic_write import write_whole
from audiogen.errors import FormatError, PresetError
from audiogen.models import gansynth, samplernn
from audiogen.presets import Preset, check_fields, require_replaceable
from audiogen.representation.config import SpectrogramConfig
from audiogen.training.gansynth.export import preview_notes, training_table, write_with_preview
from audiogen.training.recipes import growing_recipe
from audiogen.training.run.log import read_log
from audiogen.training.samplernn.export import preview_texture

CARD_NAME = "card.json"


def write_card(run: Path, fields: dict[str, Any], command: str, said: dict[str, Any]) -> None:
    """Keep what a preset will say, beside the checkpoints.

    Parameters
    ----------
    run : Path
        The folder of the checkpoints.
    fields : dict
        As `preset_fields` or `samplernn_fields`.
    command : str
        That trains.
    said : dict
        What its user said of the preset.
    """
    card = json.dumps({"command": command, "fields": fields, "said": said}, indent=1)
    write_whole(run / CARD_NAME, card + "\n")


def pack_run(run: Path, folder: Path, state: dict[str, Any], *, as_it_was: bool = False) -> Preset:
    """Write a preset of a checkpoint, as the end of the training would unless ``as_it_was``.

    Parameters
    ----------
    run : Path
        The folder of a training.
    folder : Path
        Its name becomes the preset's.
    state : dict
        Of one of the folder's checkpoints.
    as_it_was : bool
        Whether a SampleRNN's weights are those averaged up to then, not brought to the grid
        (`training.grid`), in place of those that have done best on held-out sound.

    Returns
    -------
    Preset

    Raises
    ------
    FormatError, PresetError
        If the folder has no card, the checkpoint is another training's, or the preset can't be
        written.
    """
    require_replaceable(folder)
    card = _read_card(run)
    fields: dict[str, Any] = card["fields"] | {"name": folder.resolve().name}
    step = int(state["step"])
    fields["training"] = training_table(
        card["command"], state["recipe"]["seed"], state["seconds"], step, state.get("begun_with")
    )
    if fields["kind"] == "gansynth":
        weights = _of_gansynth(fields, state)
        fields["measured"] = _last_measured(run, step)
    else:
        best = state["best"]
        kept = None if as_it_was else best["weights"]
        weights = _of_samplernn(state, kept or state["average"])
        if kept:
            measured = {"held_out_bits": best["bits"], "best_step": float(best["step"])}
            fields["measured"] = {name: round(value, 4) for name, value in measured.items()}
    preset = check_fields(fields, run / CARD_NAME)
    listen = preview_notes if preset.plays_notes else preview_texture
    return write_with_preview(folder, fields, weights, listen)


def said_before(run: Path, say: Callable[[str], None]) -> tuple[str | None, dict[str, Any]]:
    """The command that began a training, and what its user said of the preset; nothing if lost.

    Parameters
    ----------
    run : Path
    say : callable
        Gets a sentence if it's lost.
    """
    try:
        card = _read_card(run)
    except FormatError as error:
        say(f"{error}; say again who made the preset, and the like")
        return None, {}
    if isinstance(card.get("said"), dict):
        return card["command"], card["said"]
    fields = card["fields"]  # all that an earlier build kept
    kept = {name: fields.get(name) for name in ("description", "authors", "default_timbre")}
    return card["command"], kept | fields.get("sampling", {})


def family_of(run: Path) -> str | None:
    """The family of the training in a folder; None if its card can't be read."""
    try:
        return str(_read_card(run)["fields"]["kind"])
    except FormatError:
        return None


def _read_card(run: Path) -> dict[str, Any]:
    path = run / CARD_NAME
    if not path.is_file():
        raise FormatError(
            f"{path}: is missing; give a folder that `audiogen train` made, or go on with --resume,"
            " which writes it"
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(card["fields"]["kind"], str) or not isinstance(card["command"], str):
            raise ValueError("kind or command isn't a text")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path}: can't be read ({error!r}); go on with --resume, which writes it"
        ) from error
    return card


def _of_gansynth(fields: dict[str, Any], state: dict[str, Any]) -> dict[str, np.ndarray]:
    """The averaged weights; latents that were learned go into the fields."""
    recipe = state["recipe"]
    generator = gansynth.Generator(
        gansynth.GeneratorConfig(**recipe["generator"]), SpectrogramConfig(**recipe["spectrogram"])
    )
    generator.load_state_dict(state["average"])
    weights = gansynth.export_weights(generator)
    if "average_latents" not in state:
        _require_grown(state)
        return weights
    latents = state["average_latents"].tolist()
    if len(latents) != len(fields["timbres"]):
        raise PresetError(
            f"{CARD_NAME} names {len(fields['timbres'])} timbres, and the checkpoint has"
            f" {len(latents)}; they aren't of one training"
        )
    fields["timbres"] = [
        timbre | {"z": [round(number, 5) for number in z]}
        for timbre, z in zip(fields["timbres"], latents, strict=True)
    ]
    return weights


def _require_grown(state: dict[str, Any]) -> None:
    """A generator plays with its last block alone, which must have been faded in."""
    recipe = growing_recipe(state["recipe"])
    last = recipe.starts_at(recipe.n_stages - 1)
    if recipe.images_at(state["step"]) < last:
        first = math.ceil(last * recipe.n_steps / recipe.images)
        raise PresetError(
            f"the checkpoint of step {state['step']} is still growing; from step {first} on there"
            " is a preset in it"
        )


def _of_samplernn(state: dict[str, Any], kept: dict[str, Any]) -> dict[str, np.ndarray]:
    """Some of a checkpoint's weights, as a preset has them."""
    model = samplernn.SampleRNN(samplernn.SampleRNNConfig(**state["recipe"]["model"]))
    model.load_state_dict(kept)
    return samplernn.export_weights(model)


def _last_measured(run: Path, step: int) -> dict[str, float]:
    """What was last measured on held-out notes, up to a step."""
    measured: dict[str, float] = {}
    for entry in read_log(run / "log.jsonl"):
        seen = {k: round(v, 4) for k, v in entry.items() if k.startswith("held_out_")}
        if entry["step"] <= step and seen:
            measured = seen
    return measured
