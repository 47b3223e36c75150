"""Latent files: `audiogen encode` writes them, and they can be played like timbres."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from audiogen.core.atomic_write import write_whole
from audiogen.errors import ParameterError, PresetError
from audiogen.presets.description import GansynthPreset, Preset

SUFFIX = ".json"  # names of timbres have no dot
LARGEST_BYTES = 1 << 20  # ten times the size of 4096 numbers


@dataclass(frozen=True)
class Latent:
    """A latent of a GANSynth preset, without a name.

    Parameters
    ----------
    preset : str
        Name of the preset that it was encoded for.
    z : list of float
        The latent.
    pitch : float, MIDI number, optional
        Pitch of the recorded note.
    velocity : float, 0 to 1, optional
        Velocity that fits the recorded note best.
    measured : dict of str to float
        Errors of the latent and of its baselines, as `audiogen encode` prints them.
    """

    preset: str
    z: list[float]
    pitch: float | None = None
    velocity: float | None = None
    measured: dict[str, float] = field(default_factory=dict)


def is_latent_file(timbre: str) -> bool:
    """Return whether a text is the path of a latent file, rather than the name of a timbre.

    Examples
    --------
    >>> is_latent_file("latents/note.json"), is_latent_file("harp")
    (True, False)
    """
    return timbre.lower().endswith(SUFFIX)


def read_latent(path: str | os.PathLike[str]) -> Latent:
    """Read a latent file.

    Raises
    ------
    PresetError
        If the file can't be read or holds no latent.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        fields = json.loads(content) if len(content) <= LARGEST_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PresetError(f"{path}: can't be read as a latent ({reason})") from error
    z = fields.get("z") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or not isinstance(fields.get("preset"), str):
        raise PresetError(f"{path}: holds no latent; give a file that `audiogen encode` wrote")
    if not isinstance(z, list) or not z or not all(map(_is_number, z)):
        raise PresetError(f"{path}: z isn't a list of numbers; `audiogen encode` writes one")
    others: dict[str, Any] = {}
    for name in ("pitch", "velocity"):
        value = fields.get(name)
        if value is not None and not _is_number(value):
            raise PresetError(f"{path}: {name} = {value!r} isn't a number; write one, or nothing")
        others[name] = value
    return Latent(fields["preset"], [float(number) for number in z], **others)


def write_latent(path: str | os.PathLike[str], latent: Latent) -> None:
    """Write a latent file, which `read_latent` reads.

    Raises
    ------
    ParameterError
        If the file can't be written.
    """
    write_whole(path, json.dumps(asdict(latent), indent=1) + "\n")


def check_latent(z: list[float], preset: Preset, what: str) -> list[float]:
    """Return a latent, after checking that a preset can play it.

    Parameters
    ----------
    z : list of float
        The latent.
    preset : Preset
        Preset that will play it.
    what : str
        Name of the latent in messages.

    Raises
    ------
    ParameterError
        If the preset has no latents, or latents of another size.
    """
    if not isinstance(preset, GansynthPreset):
        raise ParameterError(
            f"preset {preset.name!r} has no latents, so {what} can't be played; name one of its"
            " timbres, or a GANSynth preset"
        )
    wanted = preset.generator.latent_size
    if len(z) != wanted:
        raise ParameterError(
            f"{what} isn't a latent of preset {preset.name!r}: it has {len(z)} numbers and must"
            f" have {wanted}; use the preset that it was made for"
        )
    if not all(map(_is_number, z)) or not any(z):
        raise ParameterError(
            f"{what} can't be played: it holds NaN or infinity, or is all 0; give finite numbers"
        )
    return z


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
