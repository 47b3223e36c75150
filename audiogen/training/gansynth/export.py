"""From a trained network to a preset: fields, weights, and a preview to hear and to see."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiogen.audio.plots import plot_timbres
from audiogen.data.notes.nsynth import NoteSet
from audiogen.data.source_toml import instrument_entries, program_of, read_source, timbre_names
from audiogen.models.gansynth import export_weights
from audiogen.presets import (
    PREVIEW_PICTURE,
    PREVIEW_SOUND,
    GansynthPreset,
    Preset,
    check_fields,
    latent_map,
    load_preset,
    write_preset,
)
from audiogen.training.gansynth.progressive import GrowingTrainer
from audiogen.training.gansynth.trainer import Trainer

# Of the note that every timbre plays in the preview.
_PREVIEW_PITCHES = (60, 64, 67, 72)
N_SKETCHED = 3  # timbres, while training


def export_preset(
    trainer: Trainer | GrowingTrainer,
    notes: NoteSet,
    folder: Path,
    *,
    command: str,
    **card: Any,
) -> Preset:
    """Write what a trainer has learned as a preset; see `presets.write_preset`.

    Parameters
    ----------
    trainer : Trainer or GrowingTrainer
        Its averaged weights are taken.
    notes : NoteSet
        What it was trained on. Names, General MIDI programs, source and licence come from the
        ``font.toml`` beside the notes, when there is one.
    folder : Path
        Its name becomes the preset's.
    command : str
        That made it.
    **card
        As `preset_fields`.

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
    fields["measured"] = {
        f"held_out_{name}": round(value, 4) for name, value in trainer.evaluate().items()
    }
    return write_with_preview(folder, fields, export_weights(trainer.average), preview_notes)


def write_with_preview(
    folder: Path,
    fields: dict[str, Any],
    weights: dict[str, np.ndarray],
    listen: Callable[[Path, Path], dict[str, Path]],
) -> Preset:
    """Write a preset with what is heard and seen of it.

    Parameters
    ----------
    folder, fields, weights
        As `presets.write_preset` takes them.
    listen : callable
        `preview_notes` or `preview_texture`: gets a draft's folder and one to write to, gives files
        by name.

    Returns
    -------
    Preset
    """
    with draft_preset(fields, weights) as draft:
        files = listen(draft, draft.parent)
        preset = load_preset(draft)
        if isinstance(preset, GansynthPreset):
            files["timbres.png"] = draft.parent / "timbres.png"
            families = [timbre.family for timbre in preset.timbres]
            plot_timbres(latent_map(preset), preset.timbre_names, families, files["timbres.png"])
        return write_preset(folder, fields, weights, files)


def sketch_notes(
    trainer: Trainer | GrowingTrainer, notes: NoteSet, **card: Any
) -> tuple[np.ndarray, int]:
    """Let a training be heard as it is now: some of its timbres, as the preset would play them.

    What is still growing can't be a preset, and is heard through the inverse transform.

    Parameters
    ----------
    trainer : Trainer or GrowingTrainer
        Its averaged weights are taken.
    notes : NoteSet
    **card
        As `preset_fields`.

    Returns
    -------
    samples : array [n_samples], float32
    sample_rate : int, Hz
    """
    if isinstance(trainer, GrowingTrainer) and not trainer.grown:
        return _sketch_growing(trainer)
    fields = preset_fields(trainer, notes, "sketch", **card)
    with draft_preset(fields, export_weights(trainer.average)) as draft:
        samples, sample_rate, _ = each_timbre(draft, 1.0, N_SKETCHED)
    return samples, sample_rate


def _sketch_growing(trainer: GrowingTrainer) -> tuple[np.ndarray, int]:
    lowest, highest = trainer.notes.pitches.min(), trainer.notes.pitches.max()
    pitches = np.clip(np.array(_PREVIEW_PITCHES[:N_SKETCHED], np.float64), lowest, highest)
    z = np.array(trainer.latents()[:N_SKETCHED], np.float32)
    sample_rate = trainer.recipe.spectrogram.sample_rate
    sounds = trainer.hear(z, pitches)[:, :sample_rate]
    return sounds.flatten().cpu().numpy(), sample_rate


@contextmanager
def draft_preset(fields: dict[str, Any], weights: dict[str, np.ndarray]) -> Iterator[Path]:
    """The folder of a preset that is there for a moment, alone in a folder of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / fields["name"]
        write_preset(draft, fields, weights)
        yield draft


def preset_fields(
    trainer: Trainer | GrowingTrainer,
    notes: NoteSet,
    name: str,
    description: str,
    authors: list[str],
    default_timbre: str | None = None,
    licence: str = "",
) -> dict[str, Any]:
    """What ``preset.toml`` says of the network, its timbres and its data; checked.

    Worth a call before training: a bad name shows now, not at the end. A `licence` that is empty is
    what the folder of the notes says of itself.

    Raises
    ------
    PresetError
        If a field is wrong.
    """
    recipe = trainer.recipe
    spectrogram, generator = recipe.spectrogram, recipe.generator
    source = read_source(notes.folder)
    described = instrument_entries(source)
    if isinstance(trainer, GrowingTrainer):
        timbres = _drawn_timbres(trainer)
    else:
        timbres = _learned_timbres(trainer, notes, described)
    config = asdict(spectrogram)
    for key in ("sample_rate", "n_samples", "padding"):
        del config[key]
    off = generator.note_off_frame
    licence = licence or source.get("licence", "unknown")
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
        # Back to where attacks are over; the release begins late, since the frames that first
        # hear it end with it.
        "sustain": {
            "loop_start_frame": off // 2 - 6,
            "loop_end_frame": off - 5,
            "release_frame": off + 2,
        },
        "timbres": timbres,
        "data": {
            "source": source_with(trainer, source.get("font", notes.folder.name)),
            "licence": licence,
            "instruments": [entry.get("name", key) for key, entry in described.items()]
            or list(trainer.notes.names),
            "notes": len(trainer.notes.pitches),
        },
    }
    if isinstance(trainer, Trainer):
        untaught = np.unique(trainer.notes.instruments[trainer.untaught])
        names = [trainer.notes.names[i] for i in untaught]
        if names:
            fields["data"]["held_out"] = [described.get(n, {}).get("name", n) for n in names]
    check_fields(fields, name)
    return fields


def _learned_timbres(
    trainer: Trainer, notes: NoteSet, described: dict[str, Any]
) -> list[dict[str, Any]]:
    """``[[timbres]]``: one for each instrument."""
    families = {note.instrument: note.family for note in notes}
    timbres: list[dict[str, Any]] = []
    names = timbre_names(trainer.notes.names, described)
    for instrument, name, z in zip(
        trainer.notes.names, names, trainer.average_latents.tolist(), strict=True
    ):
        z = [round(value, 5) for value in z]
        timbre = {"name": name, "z": z, "family": families[instrument]}
        timbres.append(timbre | program_of(instrument, described))
    return timbres


def _drawn_timbres(trainer: GrowingTrainer) -> list[dict[str, Any]]:
    """``[[timbres]]`` of a generator that never heard of instruments: latents drawn at random."""
    return [
        {"name": f"latent-{i}", "z": [round(value, 5) for value in z], "family": "other"}
        for i, z in enumerate(trainer.latents(), 1)
    ]


def source_with(trainer: Any, source: str) -> str:
    """Where all that a preset has learned is from: its data, and the preset it began with."""
    return source + (f"; begun with the preset {trainer.begun_with}" if trainer.begun_with else "")


def licence_with(trainer: Any, licence: str) -> str:
    """The licence of a preset, as an SPDX expression: its data's, and that it began with."""
    if not trainer.begun_licence:
        return licence
    both = [licence, trainer.begun_licence]
    both = [f"({one})" if " OR " in one and "(" not in one else one for one in both]
    return " AND ".join(dict.fromkeys(" AND ".join(both).split(" AND ")))


def training_table(
    command: str, seed: int, seconds: float, steps: int, begun_with: str | None
) -> dict[str, Any]:
    """``[training]`` of a preset: how its weights came to be."""
    if begun_with and "--from" not in command:
        command += f" --from {begun_with}"
    return {
        "command": command,
        "seed": seed,
        "seconds": round(float(seconds), 1),
        "steps": steps,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }


def trained_by(trainer: Any, command: str) -> dict[str, Any]:
    """``[training]`` of what a trainer has learned."""
    recipe = trainer.recipe
    return training_table(command, recipe.seed, trainer.seconds, trainer.step, trainer.begun_with)


def preview_notes(folder: Path, scratch: Path) -> dict[str, Path]:
    """Play each timbre of a preset once; returns ``preview.flac`` and ``preview.png``."""
    samples, sample_rate, timbres = each_timbre(folder, 1.5)
    return write_preview(scratch, samples, sample_rate, ", ".join(timbres))


def write_preview(
    scratch: Path, samples: np.ndarray, sample_rate: int, title: str
) -> dict[str, Path]:
    """Sound and picture of a preset's preview, by name."""
    from audiogen.audio.files import write_audio
    from audiogen.audio.plots import plot_rainbowgram

    files = {name: scratch / name for name in (PREVIEW_SOUND, PREVIEW_PICTURE)}
    write_audio(files[PREVIEW_SOUND], samples, sample_rate)
    plot_rainbowgram(samples, sample_rate, files[PREVIEW_PICTURE], title)
    return files


def each_timbre(
    folder: Path, each_s: float, most: int | None = None
) -> tuple[np.ndarray, int, list[str]]:
    """A note of two thirds of ``each_s`` by each timbre, or by some from the first to the last.

    Returns
    -------
    samples : array [n_samples], float32
    sample_rate : int, Hz
    timbres : list of str
    """
    from audiogen.engine import Synth

    synth = Synth(folder)
    assert synth.preset.pitch_range is not None
    lowest, highest = synth.preset.pitch_range
    timbres = synth.timbres
    if most is not None and len(timbres) > most:
        timbres = [timbres[i * (len(timbres) - 1) // (most - 1)] for i in range(most)]
    length = round(each_s * synth.sample_rate)
    parts = []
    for i, timbre in enumerate(timbres):
        pitch = min(max(_PREVIEW_PITCHES[i % len(_PREVIEW_PITCHES)], lowest), highest)
        part = synth.render([(0.0, each_s / 1.5, pitch)], timbre=timbre)
        parts.append(np.pad(part, (0, max(0, length - len(part))))[:length])
    samples = np.concatenate(parts)
    # Fade each cut tail out, so that the preview doesn't click where the next timbre begins.
    fade = np.linspace(1.0, 0.0, length // 10, dtype=np.float32)
    for end in range(length, len(samples) + 1, length):
        samples[end - len(fade) : end] *= fade
    return samples, synth.sample_rate, timbres
