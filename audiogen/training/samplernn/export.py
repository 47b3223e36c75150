"""From a trained SampleRNN to a preset: fields, weights, and a preview to hear and to see."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.data.source_toml import (
    folder_name,
    instrument_entries,
    program_of,
    read_source,
    timbre_names,
)
from audiogen.errors import ParameterError
from audiogen.evaluation.likelihood import bigram_bits, unigram_bits
from audiogen.models.samplernn import export_weights, import_weights
from audiogen.presets import Preset, SamplernnPreset, check_fields, read_weights
from audiogen.training.gansynth.export import (
    N_SKETCHED,
    draft_preset,
    each_timbre,
    licence_with,
    preview_notes,
    source_with,
    trained_by,
    write_preview,
    write_with_preview,
)
from audiogen.training.gansynth.training_data import TrainingData
from audiogen.training.samplernn.trainer import Trainer

if TYPE_CHECKING:
    from audiogen.engine import Texture

PREVIEW_S = 8.0  # of each class
SKETCH_S = 2.5  # of each class, while training
FINAL_S = 240.0  # of held-out sound that the finished preset is measured on


def samplernn_fields(
    trainer: Trainer,
    prepared: TrainingData,
    folder: Path,
    name: str,
    *,
    description: str,
    authors: list[str],
    source: str,
    licence: str,
    temperature: float,
    top_p: float = 1.0,
) -> dict[str, Any]:
    """What ``preset.toml`` says of the network and its data; checked.

    A ``source`` or ``licence`` that is empty is what the folder says of itself.

    Raises
    ------
    PresetError
        If a field is wrong.
    """
    said = read_source(folder)
    described = instrument_entries(said)
    source = source or said.get("source") or said.get("font") or folder_name(folder)
    licence = licence or said.get("licence", "unknown")
    fields: dict[str, Any] = {
        "format": 1,
        "name": name,
        "kind": "samplernn",
        "description": description,
        "authors": authors,
        "licence": licence_with(trainer, licence),
        "sample_rate": trainer.recipe.sample_rate,
        "samplernn": _sizes(trainer),
        "sampling": {"temperature": temperature, "top_p": top_p},
        "data": {
            "source": source_with(trainer, source),
            "licence": licence,
            "files": len(prepared.split["training"]) + len(prepared.split["held_out"]),
            "seconds": round(60.0 * prepared.minutes, 1),
        },
    }
    timbres = [
        {"name": timbre} | program_of(label, described)
        for label, timbre in zip(
            prepared.classes, timbre_names(prepared.classes, described), strict=True
        )
    ]
    if timbres:
        fields |= {"timbres": timbres, "default_timbre": timbres[0]["name"]}
    if prepared.pitch_range:
        fields["pitch_range"] = list(prepared.pitch_range)
    check_fields(fields, name)
    return fields


def start_from(trainer: Trainer, preset: Preset) -> None:
    """Give a fresh trainer a preset's weights: the way back of `export_samplernn`.

    Raises
    ------
    ParameterError
        If the preset's network has other sizes.
    """
    if not isinstance(preset, SamplernnPreset):
        raise ParameterError(f"preset {preset.name!r} isn't a SampleRNN; name one that is")
    sizes = _sizes(trainer) | {"sample_rate": trainer.recipe.sample_rate}
    came = preset.samplernn.table() | {"sample_rate": preset.sample_rate}
    different = [name for name in sizes if came[name] != sizes[name]]
    if different:
        name = different[0]
        raise ParameterError(
            f"preset {preset.name!r} has {name} = {came[name]}; this training has {sizes[name]}:"
            " give the same, or begin without it"
        )
    weights = read_weights(preset)
    import_weights(trainer.model, weights)
    import_weights(trainer.average, weights)
    trainer.begun_with, trainer.begun_licence = preset.name, preset.licence


def export_samplernn(
    trainer: Trainer,
    prepared: TrainingData,
    data: Path,
    folder: Path,
    *,
    command: str,
    **card: Any,
) -> Preset:
    """Write what a trainer has learned as a preset; see `presets.write_preset`.

    Parameters
    ----------
    trainer : Trainer
        Its averaged weights that did best on held-out sound are taken.
    prepared : TrainingData
    data : Path
        Where that was read from.
    folder : Path
        Its name becomes the preset's.
    command : str
        That made it.
    **card
        As `samplernn_fields`.

    Returns
    -------
    Preset
    """
    fields = samplernn_fields(trainer, prepared, data, folder.name, **card)
    recipe = trainer.recipe
    fields["training"] = trained_by(trainer, command)
    model = trainer.best_model()
    levels = prepared.training.levels, prepared.held_out.levels, recipe.model.q_levels
    fields["measured"] = {
        "held_out_bits": round(trainer.evaluate(FINAL_S, model), 4),
        "held_out_bits_bigram": round(bigram_bits(*levels), 4),
        "held_out_bits_unigram": round(unigram_bits(*levels), 4),
        "best_step": float(trainer.best["step"]),
    }
    listen = preview_notes if prepared.pitch_range else preview_texture
    return write_with_preview(folder, fields, export_weights(model), listen)


def sketch_samplernn(
    trainer: Trainer, prepared: TrainingData, data: Path, **card: Any
) -> tuple[np.ndarray, int]:
    """Let a training be heard as it is now, by its averaged weights, as the preset would sound.

    Returns
    -------
    samples : array [n_samples], float32
    sample_rate : int, Hz
    """
    from audiogen.engine import Texture

    fields = samplernn_fields(trainer, prepared, data, "sketch", **card)
    with draft_preset(fields, export_weights(trainer.average)) as draft:
        if prepared.pitch_range:
            samples, sample_rate, _ = each_timbre(draft, 1.0, N_SKETCHED)
            return samples, sample_rate
        texture = Texture(draft)
        return each_class(texture, SKETCH_S), texture.sample_rate


def _sizes(trainer: Trainer) -> dict[str, Any]:
    """``[samplernn]`` of a preset."""
    config = asdict(trainer.recipe.model)
    for key in ("weight_norm", "learn_h0"):  # of training alone
        del config[key]
    return config | {"frame_sizes": list(config["frame_sizes"])}


def each_class(texture: Texture, seconds: float) -> np.ndarray:
    """Let a texture sound, its classes one after the other."""
    names: list[str | None] = [*texture.timbres] or [None]
    return np.concatenate([texture.generate(seconds, seed=0, timbre=name) for name in names])


def preview_texture(folder: Path, scratch: Path) -> dict[str, Path]:
    """Let a preset sound for a while; returns ``preview.flac`` and ``preview.png``."""
    from audiogen.engine import Texture

    texture = Texture(folder)
    samples = each_class(texture, PREVIEW_S)
    return write_preview(scratch, samples, texture.sample_rate, texture.preset.name)
