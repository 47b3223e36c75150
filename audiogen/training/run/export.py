"""Parts of the export of a preset that all trainings share: origin, previews, draft folders."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiogen.audio.plots import plot_timbres
from audiogen.presets import (
    PREVIEW_PICTURE,
    PREVIEW_SOUND,
    GansynthPreset,
    Preset,
    load_preset,
    places,
    write_preset,
)
from audiogen.training.run.trainer import Trainer

PREVIEW_PITCHES = (60, 64, 67, 72)  # C4 E4 G4 C5, in turn over the timbres
N_SKETCHED = 3  # timbres of a preview while training
UNKNOWN_LICENCES = ("", "unknown", "not stated")


def write_with_preview(
    folder: Path,
    fields: dict[str, Any],
    weights: dict[str, np.ndarray],
    make_preview: Callable[[Path, Path], dict[str, Path]],
) -> Preset:
    """Write a preset with its preview, and with the map of its timbres.

    Parameters
    ----------
    folder : Path
        Folder of the preset; its name becomes the preset's.
    fields : dict
        Fields of ``preset.toml``.
    weights : dict of str to array
        The weights by name.
    make_preview : callable
        Takes the folder of a draft and one to write to; returns files by name.

    Returns
    -------
    Preset
    """
    with draft_preset(fields, weights) as draft:
        files = make_preview(draft, draft.parent)
        preset = load_preset(draft)
        if isinstance(preset, GansynthPreset):
            files["timbres.png"] = draft.parent / "timbres.png"
            families = [timbre.family for timbre in preset.timbres]
            plot_timbres(places(preset), preset.timbre_names, families, files["timbres.png"])
        return write_preset(folder, fields, weights, files)


@contextmanager
def draft_preset(fields: dict[str, Any], weights: dict[str, np.ndarray]) -> Iterator[Path]:
    """Write a preset to a temporary folder, and remove it afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / fields["name"]
        write_preset(draft, fields, weights)
        yield draft


def preview_notes(folder: Path, scratch: Path) -> dict[str, Path]:
    """Play each timbre of a preset once; return ``preview.flac`` and ``preview.png``."""
    samples, sample_rate, timbres = each_timbre(folder, 1.5)
    return write_preview(scratch, samples, sample_rate, ", ".join(timbres))


def write_preview(
    scratch: Path, samples: np.ndarray, sample_rate: int, title: str
) -> dict[str, Path]:
    """Write the sound and the picture of a preview; return them by name."""
    from audiogen.audio.files import write_audio
    from audiogen.audio.plots import plot_rainbowgram

    files = {name: scratch / name for name in (PREVIEW_SOUND, PREVIEW_PICTURE)}
    write_audio(files[PREVIEW_SOUND], samples, sample_rate)
    plot_rainbowgram(samples, sample_rate, files[PREVIEW_PICTURE], title)
    return files


def each_timbre(
    folder: Path, each_s: float, most: int | None = None
) -> tuple[np.ndarray, int, list[str]]:
    """Play a note with each timbre of a preset, or with some from the first to the last.

    Parameters
    ----------
    folder : Path
        Folder of the preset.
    each_s : float, s
        Time for each timbre; its note is held for two thirds of it.
    most : int, optional
        Largest number of timbres.

    Returns
    -------
    samples : array [n_samples], float32
    sample_rate : int, Hz
    timbres : list of str
    """
    from audiogen.engine import Synth
    from audiogen.engine.render import default_rate

    preset = load_preset(folder)
    synth = Synth(preset, default_rate([preset]))
    assert preset.pitch_range is not None
    lowest, highest = preset.pitch_range
    timbres = synth.timbres
    if most is not None and len(timbres) > most:
        timbres = [timbres[i * (len(timbres) - 1) // (most - 1)] for i in range(most)]
    length = round(each_s * synth.sample_rate)
    parts = []
    for i, timbre in enumerate(timbres):
        pitch = min(max(PREVIEW_PITCHES[i % len(PREVIEW_PITCHES)], lowest), highest)
        part = synth.render([(0.0, each_s / 1.5, pitch)], timbre=timbre, stereo=False)
        parts.append(np.pad(part, (0, max(0, length - len(part))))[:length])
    samples = np.concatenate(parts)
    # Fade out each cut tail, so that there is no click where the next timbre begins.
    fade = np.linspace(1.0, 0.0, length // 10, dtype=np.float32)
    for end in range(length, len(samples) + 1, length):
        samples[end - len(fade) : end] *= fade
    return samples, synth.sample_rate, timbres


def source_with(trainer: Trainer, source: str) -> str:
    """Origin of what a preset has learned: its data, and the preset it was initialised from."""
    if not trainer.initialised_from:
        return source
    weights = f"weights initialised from the preset {trainer.initialised_from}"
    if is_unknown(source_licence := trainer.initial_licence):
        return f"{source}; {weights}"
    return f"{source}; {weights} ({source_licence})"


def licence_with(trainer: Trainer, licence: str) -> str:
    """Licence of a preset: an SPDX expression of its data's and its initial weights' licences.

    It is ``unknown`` where either is; `source_with` names the known one.
    """
    if not trainer.initialised_from:
        return licence
    both = [licence, trainer.initial_licence]
    if any(map(is_unknown, both)):
        return "unknown"
    both = [f"({one})" if " OR " in one and "(" not in one else one for one in both]
    return " AND ".join(dict.fromkeys(" AND ".join(both).split(" AND ")))


def is_unknown(licence: str) -> bool:
    """Whether a licence says nothing."""
    return licence.strip().lower() in UNKNOWN_LICENCES


def training_table(
    command: str,
    seed: int,
    seconds: float,
    steps: int,
    initialised_from: str,
    provenance: Mapping[str, str],
) -> dict[str, Any]:
    """``[training]`` of a preset: how its weights were made.

    Parameters
    ----------
    command : str
        The command line.
    seed : int
        Seed of the training.
    seconds : float, s
        Time spent in steps.
    steps : int
        Number of steps.
    initialised_from : str
        Name of the preset that the training began with; empty if none.
    provenance : mapping of str to str
        Code and sounds, as `card.provenance` described them when the training began.
    """
    if initialised_from and "--init-from" not in command and "--from" not in command:
        command += f" --init-from {initialised_from}"
    return {
        "command": command,
        "seed": seed,
        "seconds": round(float(seconds), 1),
        "steps": steps,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        **provenance,
    }


def trained_by(trainer: Trainer, command: str) -> dict[str, Any]:
    """``[training]`` of the preset that a trainer makes now."""
    t = trainer
    made = t.recipe.seed, t.seconds, t.step, t.initialised_from, t.provenance
    return training_table(command, *made)
