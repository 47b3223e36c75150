"""A latent in a file of its own: `audiogen encode` writes it, and it is played like a timbre."""

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

SUFFIX = ".json"  # no timbre's name has a dot
LARGEST_BYTES = 1 << 20  # 4096 numbers have a tenth of it


@dataclass(frozen=True)
class Latent:
    """A sound of a GANSynth preset, without a name.

    Parameters
    ----------
    preset : str
        Name of the preset that it is for.
    z : list of float
        The latent.
    pitch : float, MIDI number, optional
        Pitch of the note that it was found for.
    velocity : float, 0 to 1, optional
        Velocity of that note.
    measured : dict of str to float
        How near it comes to that note, and what else does.
    """

    preset: str
    z: list[float]
    pitch: float | None = None
    velocity: float | None = None
    measured: dict[str, float] = field(default_factory=dict)


def is_latent_file(timbre: str) -> bool:
    """Whether a text names a latent's file, not a timbre.

    Examples
    --------
    >>> is_latent_file("found/note.json"), is_latent_file("harp")
    (True, False)
    """
    return timbre.lower().endswith(SUFFIX)


def read_latent(path: str | os.PathLike[str]) -> Latent:
    """Read a latent's file.

    Raises
    ------
    PresetError
        If it can't be read, or holds no latent.
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
    """Write a latent's file, which `read_latent` reads.

    Raises
    ------
    ParameterError
        If it can't be written.
    """
    write_whole(path, json.dumps(asdict(latent), indent=1) + "\n")


def check_latent(z: list[float], preset: Preset, what: str) -> list[float]:
    """Return a latent that a preset can play.

    Parameters
    ----------
    z : list of float
        The latent.
    preset : Preset
        Preset that is to play it.
    what : str
        Names the latent in messages.

    Raises
    ------
    ParameterError
        If the preset has no latents, or others.
    """
    if not isinstance(preset, GansynthPreset):
        raise ParameterError(
            f"preset {preset.name!r} has no latents, so {what} can't be played; name one of its"
            " timbres, or a GANSynth preset"
        )
    wanted = preset.generator.latent_size
    if len(z) != wanted:
        raise ParameterError(
            f"{what} isn't a latent of preset {preset.name!r}: {len(z)} numbers came, {wanted} are"
            " wanted; use the preset that it was made for"
        )
    if not all(map(_is_number, z)) or not any(z):
        raise ParameterError(
            f"{what} can't be played: it holds NaN or infinity, or is all 0; give finite numbers"
        )
    return z


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
