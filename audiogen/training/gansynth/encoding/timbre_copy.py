"""A copy of a preset with one more timbre."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from audiogen.errors import PresetError
from audiogen.presets import TOML_NAME, Preset, check_fields, load_preset, read_weights

# Fields measured from a timbre's recordings; a bare latent has none.
OF_RECORDINGS = (
    *("program", "transpose", "semitones_per_key", "level_db"),
    *("vibrato", "partials", "inharmonicity"),
)


def add_timbre(preset: Preset, z: list[float], family: str, name: str, folder: Path) -> Preset:
    """Save a latent as a timbre of a copy of its preset, which is made if it doesn't exist.

    Parameters
    ----------
    preset : Preset
        The preset of the latent.
    z : list of float
        The latent.
    family : str
        Instrument family of the timbre.
    name : str
        Name of the timbre; small letters, digits, - and _.
    folder : Path
        Folder of the copy; its name becomes the preset's. An existing one must have the same
        weights.

    Returns
    -------
    Preset
        The copy, with a preview of the timbre.

    Raises
    ------
    PresetError
        If the name is taken or not allowed, or the folder holds something else.
    """
    from audiogen.training.run.export import preview_notes, write_with_preview

    fields, weights = copy_with(preset, name, folder)
    fields["timbres"][-1] |= {"z": z, "family": family}
    return write_with_preview(folder, fields, weights, preview_notes)


def copy_with(
    preset: Preset, name: str, folder: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fields and weights of a preset's copy with a new timbre at the end; checked.

    Called before the latent is known as well, so that a bad name is an error at once.

    Parameters
    ----------
    preset, name, folder
        Arguments of `add_timbre`.

    Returns
    -------
    fields : dict
        The new timbre has the latent of the first one.
    weights : dict of str to array

    Raises
    ------
    PresetError
        As of `add_timbre`.
    """
    weights, base = read_weights(preset), preset
    if (folder / TOML_NAME).is_file():
        base = load_preset(folder)
        existing = read_weights(base)
        if existing.keys() != weights.keys() or any(
            not np.array_equal(existing[key], weights[key]) for key in weights
        ):
            raise PresetError(
                f"{folder}: isn't a copy of preset {preset.name!r}, its weights differ; name a"
                " folder that doesn't exist"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PresetError(f"{folder}: isn't empty and isn't a preset; choose another folder")
    if name in base.timbre_names:
        raise PresetError(f"{folder}: has a timbre {name!r} already; give another name")
    fields = base.to_fields() | {"name": folder.resolve().name}
    fields["timbres"] = [*fields["timbres"], dict(fields["timbres"][0]) | {"name": name}]
    for name_of_field in OF_RECORDINGS:
        fields["timbres"][-1].pop(name_of_field, None)
    check_fields(fields, folder)
    return fields, weights
