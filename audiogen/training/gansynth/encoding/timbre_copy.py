"""A copy of a preset with a latent as a timbre: one more, or in place of a drum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from audiogen.errors import ParameterError, PresetError
from audiogen.presets import TOML_NAME, Preset, check_fields, load_preset, read_weights

# Fields measured from recordings, which a new latent doesn't inherit; `OF_DRUM` has those of drums.
OF_RECORDINGS = (
    *("program", "transpose", "semitones_per_key", "level_db", "gain_db"),
    *("vibrato", "partials", "inharmonicity"),
)
OF_DRUM = ("key", "pitch", "pan", "group")


def add_timbre(
    preset: Preset,
    z: list[float],
    family: str,
    name: str,
    folder: Path,
    *,
    key: int | None = None,
    pitch: float | None = None,
) -> Preset:
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
    key : int, MIDI key, optional
        Key of a drum kit that plays the timbre, in place of the drum that it has. That drum's pan
        and group stay.
    pitch : float, MIDI number, optional
        Pitch of the drum; by default that of the replaced drum.

    Returns
    -------
    Preset
        The copy, with a preview of the timbre.

    Raises
    ------
    PresetError
        If the name is taken or not allowed, or the folder holds something else.
    ParameterError
        If a drum kit has no key, or another preset has one.
    """
    from audiogen.training.run.export import preview_notes, write_with_preview

    fields, weights = copy_with(preset, name, folder, key)
    added = next(timbre for timbre in fields["timbres"] if timbre["name"] == name)
    added |= {"z": z, "family": family}
    if key is not None and pitch is not None:
        added["pitch"] = round(pitch, 2)
    return write_with_preview(folder, fields, weights, preview_notes)


def copy_with(
    preset: Preset, name: str, folder: Path, key: int | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fields and weights of a preset's copy with a new timbre; checked.

    Called before the latent is known as well, so that a bad name is an error at once.

    Parameters
    ----------
    preset, name, folder, key
        Arguments of `add_timbre`.

    Returns
    -------
    fields : dict
        The new timbre, which has the latent of another one, is at the end, or in the place of the
        drum that it replaces.
    weights : dict of str to array

    Raises
    ------
    PresetError, ParameterError
        As of `add_timbre`.
    """
    weights, base = read_weights(preset), preset
    if (folder / TOML_NAME).is_file():
        base = load_preset(folder)
    for each in (preset, base):
        if each.is_kit != (key is not None):
            raise ParameterError(
                f"preset {each.name!r} is a drum kit; give the --key that plays the sound"
                if each.is_kit
                else f"--key is for drum kits, and preset {each.name!r} plays pitches; leave it out"
            )
    if base is not preset:
        existing = read_weights(base)
        if existing.keys() != weights.keys() or any(
            not np.array_equal(existing[tensor], weights[tensor]) for tensor in weights
        ):
            raise PresetError(
                f"{folder}: isn't a copy of preset {preset.name!r}, its weights differ; name a"
                " folder that doesn't exist"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PresetError(f"{folder}: isn't empty and isn't a preset; choose another folder")
    fields = base.to_fields() | {"name": folder.resolve().name}
    # Without places: that of the new timbre depends on its latent, and all are placed together.
    timbres = [
        {field: value for field, value in timbre.items() if field != "place"}
        for timbre in fields["timbres"]
    ]
    replaced = [i for i, timbre in enumerate(timbres) if key is not None and timbre["key"] == key]
    at = replaced[0] if replaced else len(timbres)
    if any(timbre["name"] == name for i, timbre in enumerate(timbres) if i != at):
        raise PresetError(f"{folder}: has a timbre {name!r} already; give another name")
    left_out = OF_RECORDINGS if replaced else (*OF_RECORDINGS, *OF_DRUM)
    model = timbres[at if replaced else 0]
    new = {field: value for field, value in model.items() if field not in left_out}
    new |= {"name": name} | ({} if key is None else {"key": key})
    if replaced and fields["default_timbre"] == model["name"]:
        fields["default_timbre"] = name
    fields["timbres"] = [*timbres[:at], new, *timbres[at + 1 :]]
    if key is not None:
        low, high = fields["pitch_range"]
        fields["pitch_range"] = [min(low, key), max(high, key)]
    check_fields(fields, folder)
    return fields, weights
