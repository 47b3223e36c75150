"""From a trained SampleRNN to a preset: fields, weights, measurements and a preview."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

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
from audiogen.training.run.export import (
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
from audiogen.training.samplernn.trainer import SampleRNNTrainer
from audiogen.training.samplernn.training_data import TrainingData

PREVIEW_S = 8.0  # preview of each class
SKETCH_S = 2.5  # preview of each class during training
FINAL_S = 240.0  # held-out audio that the finished preset is measured on


def samplernn_fields(
    trainer: SampleRNNTrainer,
    data: TrainingData,
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
    """Fields of ``preset.toml`` that describe the network and its data; checked.

    Parameters
    ----------
    trainer : SampleRNNTrainer
        The trainer.
    data : TrainingData
        The data that it trains on.
    folder : Path
        The folder of the data.
    name : str
        Name of the preset.
    description, authors : str, list of str
        Description and authors of the preset.
    source, licence : str
        Source and licence of the data; if empty, as the folder states.
    temperature, top_p : float
        Defaults of sampling.

    Returns
    -------
    dict

    Raises
    ------
    PresetError
        If a field is wrong.
    """
    stated = read_source(folder)
    described = instrument_entries(stated)
    source = source or stated.get("source") or stated.get("font") or folder_name(folder)
    licence = licence or stated.get("licence", "unknown")
    fields: dict[str, Any] = {
        "format": 1,
        "name": name,
        "kind": "samplernn",
        "description": description,
        "authors": authors,
        "licence": licence_with(trainer, licence),
        "sample_rate": trainer.recipe.sample_rate,
        "samplernn": _network(trainer),
        "sampling": {"temperature": temperature, "top_p": top_p},
        "data": {
            "source": source_with(trainer, source),
            "licence": licence,
            "files": len(data.split["training"]) + len(data.split["held_out"]),
            "seconds": round(60.0 * data.minutes, 1),
        },
    }
    names = timbre_names(data.classes, described)
    timbres = [
        {"name": timbre} | program_of(label, described)
        for label, timbre in zip(data.classes, names, strict=True)
    ]
    if timbres:
        fields |= {"timbres": timbres, "default_timbre": timbres[0]["name"]}
    if data.pitch_range:
        fields["pitch_range"] = list(data.pitch_range)
    check_fields(fields, name)
    return fields


def initialise(trainer: SampleRNNTrainer, preset: Preset) -> None:
    """Give a new trainer the weights of a preset.

    Parameters
    ----------
    trainer : SampleRNNTrainer
        A trainer before its first step.
    preset : Preset
        A SampleRNN of the same sizes.

    Raises
    ------
    ParameterError
        If the preset is of another kind or has other sizes.
    """
    if not isinstance(preset, SamplernnPreset):
        raise ParameterError(f"preset {preset.name!r} isn't a SampleRNN; name one that is")
    wanted = _network(trainer) | {"sample_rate": trainer.recipe.sample_rate}
    came = preset.samplernn.table() | {"sample_rate": preset.sample_rate}
    for name in wanted:
        if came[name] != wanted[name]:
            raise ParameterError(
                f"preset {preset.name!r} has {name} = {came[name]}, this training {wanted[name]};"
                " give the same sizes, or leave --init-from out"
            )
    weights = read_weights(preset)
    import_weights(trainer.model, weights)
    import_weights(trainer.average, weights)
    trainer.initialised_from, trainer.initial_licence = preset.name, preset.licence


def export_samplernn(
    trainer: SampleRNNTrainer,
    data: TrainingData,
    data_folder: Path,
    folder: Path,
    *,
    command: str,
    **card: Any,
) -> Preset:
    """Write a preset with the averaged weights that were best on held-out sound.

    Parameters
    ----------
    trainer : SampleRNNTrainer
        The trainer.
    data : TrainingData
        The data that it trained on.
    data_folder : Path
        The folder of the data.
    folder : Path
        Folder of the preset; its name becomes the preset's.
    command : str
        The command line of the training.
    **card
        Further arguments of `samplernn_fields`.

    Returns
    -------
    Preset
    """
    fields = samplernn_fields(trainer, data, data_folder, folder.name, **card)
    fields["training"] = trained_by(trainer, command)
    model = trainer.best_model()
    levels = data.training.levels, data.held_out.levels, trainer.recipe.model.q_levels
    fields["measured"] = {
        "held_out_bits": round(trainer.evaluate(FINAL_S, model), 4),
        "held_out_bits_bigram": round(bigram_bits(*levels), 4),
        "held_out_bits_unigram": round(unigram_bits(*levels), 4),
        "best_step": float(trainer.best["step"]),
    }
    make_preview = preview_notes if data.pitch_range else preview_texture
    return write_with_preview(folder, fields, export_weights(model), make_preview)


def sketch_samplernn(
    trainer: SampleRNNTrainer, data: TrainingData, folder: Path, **card: Any
) -> tuple[np.ndarray, int]:
    """Generate a preview of the averaged weights as they are now, as the preset would sound.

    Parameters
    ----------
    trainer, data, folder
        Arguments of `export_samplernn`.
    **card
        Further arguments of `samplernn_fields`.

    Returns
    -------
    samples : array [n_samples], float32
    sample_rate : int, Hz
    """
    fields = samplernn_fields(trainer, data, folder, "sketch", **card)
    weights = export_weights(copy.deepcopy(trainer.average).cpu())
    with draft_preset(fields, weights) as draft:
        if data.pitch_range:
            samples, sample_rate, _ = each_timbre(draft, 1.0, N_SKETCHED)
            return samples, sample_rate
        return each_class(draft, SKETCH_S)


def _network(trainer: SampleRNNTrainer) -> dict[str, Any]:
    """``[samplernn]`` of a preset."""
    config = asdict(trainer.recipe.model)
    for key in ("weight_norm", "learn_h0"):  # they matter to training only
        del config[key]
    return config | {"frame_sizes": list(config["frame_sizes"])}


def each_class(folder: Path, seconds: float) -> tuple[np.ndarray, int]:
    """Generate sound of each class of a preset, one after the other.

    Parameters
    ----------
    folder : Path
        Folder of the preset.
    seconds : float, s
        Length of each.

    Returns
    -------
    samples : array [n_samples], float32
    sample_rate : int, Hz
    """
    from audiogen.engine import Synth

    synth = Synth(folder, seed=0)
    names: list[str | None] = [*synth.timbres] or [None]
    sounds = [synth.generate(seconds, timbre=name) for name in names]
    return np.concatenate(sounds), synth.sample_rate


def preview_texture(folder: Path, scratch: Path) -> dict[str, Path]:
    """Generate sound with a preset; return ``preview.flac`` and ``preview.png``."""
    samples, sample_rate = each_class(folder, PREVIEW_S)
    return write_preview(scratch, samples, sample_rate, folder.name)
