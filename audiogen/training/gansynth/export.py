"""From a trained GANSynth to a preset: fields, weights, measurements and a preview."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.data.notes.nsynth import NoteSet
from audiogen.data.notes.splits import Split
from audiogen.data.source_toml import (
    KIT_FIELDS,
    instrument_entries,
    is_kit,
    program_of,
    read_source,
)
from audiogen.evaluation.latents.timbre_gains import timbre_gains, with_gains
from audiogen.models.config import GeneratorConfig
from audiogen.models.gansynth import export_weights
from audiogen.presets import GansynthPreset, Preset, check_fields, load_preset
from audiogen.representation.partials import TimbrePartials
from audiogen.training.gansynth.progressive import ProgressiveTrainer
from audiogen.training.gansynth.recipe import BuiltInRecipe
from audiogen.training.gansynth.trainer import BuiltInTrainer
from audiogen.training.run.export import (
    N_SKETCHED,
    PREVIEW_PITCHES,
    draft_preset,
    each_timbre,
    licence_with,
    preview_notes,
    source_with,
    trained_by,
    write_with_preview,
)

Trainer = BuiltInTrainer | ProgressiveTrainer


def export_preset(
    trainer: Trainer, notes: NoteSet, folder: Path, *, command: str, **card: Any
) -> Preset:
    """Write a preset with the averaged weights.

    Parameters
    ----------
    trainer : BuiltInTrainer or ProgressiveTrainer
        The trainer.
    notes : NoteSet
        The notes that it trained on. Names, General MIDI programs, source and licence come from
        the ``font.toml`` beside them, if there is one.
    folder : Path
        Folder of the preset; its name becomes the preset's.
    command : str
        The command line of the training.
    **card
        Further arguments of `preset_fields`.

    Returns
    -------
    Preset

    Raises
    ------
    PresetError
        If there is no timbre of that name, or the folder can't be written.
    """
    fields = preset_fields(trainer, notes, folder.name, **card)
    fields["training"] = trained_by(trainer, command)
    measured = trainer.evaluate() | trainer.baseline()
    fields["measured"] = {f"held_out_{name}": round(value, 4) for name, value in measured.items()}
    weights = export_weights(trainer.average)
    if isinstance(trainer, BuiltInTrainer):  # its timbres have recordings
        with draft_preset(fields, weights) as draft:
            preset = load_preset(draft)
            assert isinstance(preset, GansynthPreset)
            gains = timbre_gains(preset, notes, seed=trainer.recipe.seed)
        fields["timbres"] = with_gains(fields["timbres"], gains)
    return write_with_preview(folder, fields, weights, preview_notes)


def sketch_notes(trainer: Trainer, notes: NoteSet, **card: Any) -> tuple[np.ndarray, int]:
    """Generate a preview of some timbres with the averaged weights as they are now.

    The engine plays it, as the preset would; while a generator grows, the inverse transform.

    Parameters
    ----------
    trainer : BuiltInTrainer or ProgressiveTrainer
        The trainer.
    notes : NoteSet
        The notes that it trains on.
    **card
        Further arguments of `preset_fields`.

    Returns
    -------
    samples : array [n_samples], float32
    sample_rate : int, Hz
    """
    if isinstance(trainer, ProgressiveTrainer) and not trainer.grown:
        return _sketch_growing(trainer)
    fields = preset_fields(trainer, notes, "sketch", **card)
    with draft_preset(fields, export_weights(trainer.average)) as draft:
        samples, sample_rate, _ = each_timbre(draft, 1.0, N_SKETCHED)
    return samples, sample_rate


def _sketch_growing(trainer: ProgressiveTrainer) -> tuple[np.ndarray, int]:
    lowest, highest = trainer.notes.pitches.min(), trainer.notes.pitches.max()
    pitches = np.clip(np.array(PREVIEW_PITCHES[:N_SKETCHED], np.float64), lowest, highest)
    z = np.array(trainer.timbre_latents()[:N_SKETCHED], np.float32)
    sample_rate = trainer.recipe.spectrogram.sample_rate
    sounds = trainer.generate_audio(z, pitches)[:, :sample_rate]
    return sounds.flatten().cpu().numpy(), sample_rate


def preset_fields(
    trainer: Trainer,
    notes: NoteSet,
    name: str,
    description: str,
    authors: list[str],
    default_timbre: str | None = None,
    licence: str = "",
) -> dict[str, Any]:
    """Fields of ``preset.toml`` that describe the network, its timbres and its data; checked.

    Called before training as well, so that a bad name is an error at once.

    Parameters
    ----------
    trainer : BuiltInTrainer or ProgressiveTrainer
        The trainer.
    notes : NoteSet
        The notes that it trains on.
    name : str
        Name of the preset.
    description, authors : str, list of str
        Description and authors of the preset.
    default_timbre : str, optional
        The timbre that plays by default; the first if not given.
    licence : str
        Licence of the notes; if empty, as their folder states.

    Returns
    -------
    dict

    Raises
    ------
    PresetError
        If a field is wrong.
    """
    recipe = trainer.recipe
    spectrogram, generator = recipe.spectrogram, recipe.generator
    source = read_source(notes.folder)
    described = instrument_entries(source)
    if isinstance(trainer, ProgressiveTrainer):
        timbres = _random_timbres(trainer)
    else:
        timbres = _learned_timbres(trainer, notes, source)
    config = asdict(spectrogram)
    for key in ("sample_rate", "n_samples", "padding"):
        del config[key]
    off = generator.note_off_frame
    licence = licence or source.get("licence", "unknown")
    instruments = [entry.get("name", key) for key, entry in described.items()]
    fields: dict[str, Any] = {
        "format": 1,
        "name": name,
        "kind": "gansynth",
        "description": description,
        "authors": authors,
        "licence": licence_with(trainer, licence),
        "default_timbre": default_timbre or timbres[0]["name"],
        "sample_rate": spectrogram.sample_rate,
        "pitch_range": [int(trainer.notes.pitches.min()), int(trainer.notes.pitches.max())],
        "spectrogram": config,
        "generator": asdict(generator)
        | {"channels": list(generator.channels), "start_shape": list(generator.start_shape)},
        "timbres": timbres,
        "data": {
            "source": source_with(trainer, source.get("font", notes.folder.name)),
            "licence": licence,
            "instruments": instruments or list(trainer.notes.names),
            "notes": len(trainer.notes.pitches),
        },
    }
    if is_kit(source):
        keys = [timbre["key"] for timbre in timbres]
        fields["pitch_range"] = [min(keys), max(keys)]
    if not (isinstance(recipe, BuiltInRecipe) and recipe.is_one_shot):
        # The loop starts after the attack. The release begins after note-off, since the frames
        # whose convolutions first receive it end there.
        fields["sustain"] = {
            "loop_start_frame": off // 2 - 6,
            "loop_end_frame": off - 5,
            "release_frame": off + 2,
        }
    if isinstance(trainer, BuiltInTrainer):
        unseen = np.unique(trainer.notes.instruments[trainer.unseen_notes])
        names = [trainer.notes.names[i] for i in unseen]
        if names:
            fields["data"]["held_out"] = [described.get(n, {}).get("name", n) for n in names]
    check_fields(fields, name)
    return fields


def _learned_timbres(
    trainer: BuiltInTrainer, notes: NoteSet, source: dict[str, Any]
) -> list[dict[str, Any]]:
    """``[[timbres]]``: one for each instrument."""
    described = instrument_entries(source)
    families = {note.instrument: note.family for note in notes}
    instruments = trainer.notes.names
    return [
        {"name": name, "z": rounded(z), "family": families[instrument]}
        | program_of(instrument, described)
        | ({"vibrato": vibrato.numbers()} if vibrato else {})
        | _partials_of(partials, trainer.recipe.generator)
        | _key_of(instrument, described)
        | _level_of(described.get(instrument, {}), source)
        for instrument, name, vibrato, partials, z in zip(
            instruments,
            trainer.notes.timbres,
            trainer.notes.vibratos,
            trainer.notes.timbre_partials,
            trainer.average_latents.tolist(),
            strict=True,
        )
    ]


def _partials_of(partials: TimbrePartials, generator: GeneratorConfig) -> dict[str, Any]:
    """Partials that aren't harmonic; those of strings at each of the generator's pitches."""
    if len(partials.inharmonicity):
        pitches = range(generator.pitch_min, generator.pitch_min + generator.n_pitches)
        return {"inharmonicity": [partials.coefficient(pitch) for pitch in pitches]}
    return {"partials": list(partials.ratios)} if len(partials.ratios) else {}


def _key_of(instrument: str, described: dict[str, Any]) -> dict[str, Any]:
    """How a drum kit plays a sound, and its family; nothing for other instruments."""
    entry = described.get(instrument, {})
    if "key" not in entry:
        return {}
    return {"family": "percussion"} | {name: entry[name] for name in KIT_FIELDS if name in entry}


def _level_of(entry: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """Level of an instrument in its soundfont: what its gain, or that of its kit, made up for.

    Gains of a user's recordings say how these were recorded, not how loud an instrument is; only a
    set of a soundfont names a file.
    """
    gain_db = entry.get("gain_db", source.get("gain_db"))
    return {"level_db": -float(gain_db)} if gain_db is not None and "file" in source else {}


def _random_timbres(trainer: ProgressiveTrainer) -> list[dict[str, Any]]:
    """``[[timbres]]`` of a generator without instruments: random latents."""
    return [
        {"name": f"latent-{i}", "z": rounded(z), "family": "other"}
        for i, z in enumerate(trainer.timbre_latents(), 1)
    ]


def rounded(z: list[float]) -> list[float]:
    """A latent with the digits that ``preset.toml`` keeps."""
    return [round(value, 5) for value in z]


def split_of(trainer: Trainer, notes: NoteSet) -> Split:
    """Split of the notes, as the run's folder keeps it.

    Parameters
    ----------
    trainer : BuiltInTrainer or ProgressiveTrainer
        The trainer.
    notes : NoteSet
        The notes that it trains on.
    """
    names, instruments = trainer.notes.note_names, {note.name: note.instrument for note in notes}
    training, held_out = (
        tuple(sorted(names[i] for i in chosen)) for chosen in (trainer.training, trainer.held_out)
    )
    disjoint = {instruments[n] for n in training}.isdisjoint(instruments[n] for n in held_out)
    by = "instrument" if disjoint else "note"
    return Split(by, trainer.recipe.seed, {"train": training, "valid": held_out})
