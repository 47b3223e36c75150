"""Selection of presets and timbres, by specification and by General MIDI program."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from audiogen.core.names import suggest
from audiogen.errors import ParameterError, PresetError
from audiogen.presets.description import TOML_NAME, GansynthPreset, Preset
from audiogen.presets.folders import default_preset, find_preset, find_presets, load_preset
from audiogen.presets.latents import is_latent_file, read_latent

DRUMS = "drums"  # key of `assign_programs` for the notes of the percussion channel

# ``PRESET:TIMBRE`` of each General MIDI program, of `DRUMS`, and under None of all others.
Voices = dict[int | str | None, str]


def split_spec(spec: str) -> tuple[str, str | None]:
    """Split ``PRESET[:TIMBRE]``.

    Examples
    --------
    >>> split_spec("plucked:harp"), split_spec("plucked")
    (('plucked', 'harp'), ('plucked', None))
    """
    if ":" not in spec or (Path(spec) / TOML_NAME).is_file():
        return spec, None
    name, _, timbre = spec.rpartition(":")
    if ":" in name:  # the path of a latent file or of a preset may contain colons
        parts = spec.split(":")
        for i in range(len(parts) - 1, 0, -1):
            front = ":".join(parts[:i])
            with suppress(PresetError):
                find_preset(front)
                return front, ":".join(parts[i:])
    return name, timbre


def presets_to_play(preset: str | os.PathLike[str] | None = None) -> list[Preset]:
    """Load one preset, or all presets that play notes.

    The default preset is first, and other GANSynths are before SampleRNNs.

    Parameters
    ----------
    preset : str or path, optional
        Argument of `load_preset`; None loads all, and leaves out broken ones with a warning.

    Raises
    ------
    PresetError
        If the preset is unknown, broken or plays no notes, or if there is no preset.
    """
    if preset is not None:
        loaded = load_preset(preset)
        if not loaded.plays_notes:
            raise PresetError(
                f"notes are not supported by preset {loaded.name!r}, which is unconditional; give "
                "--seconds instead of notes, or another preset"
            )
        return [loaded]
    default = default_preset()
    playable = []
    for folder in find_presets():
        try:
            loaded = load_preset(folder)
        except PresetError as error:
            warnings.warn(f"preset {folder.name!r} is left out: {error}", stacklevel=2)
            continue
        if loaded.plays_notes:
            playable.append(loaded)
    # A SampleRNN plays a program only if no GANSynth has it: it takes ten times as long.
    playable.sort(key=lambda each: (each.folder.name != default, each.kind == "samplernn"))
    if not playable:
        raise PresetError(
            "all installed presets are broken or play no notes; `audiogen presets` says why"
        )
    return playable


def assign_programs(
    programs: Iterable[int], presets: Sequence[Preset], timbre: str | None = None
) -> Voices:
    """Choose a timbre for each General MIDI program of a score, and a kit for its drums.

    The choice is a timbre of the same program; otherwise the timbre of the same family of eight
    programs whose number is nearest; otherwise the default timbre of the first preset. Drum kits
    play drums only, unless there is nothing else.

    Parameters
    ----------
    programs : iterable of int
        General MIDI programs, such as `Score.programs`.
    presets : sequence of Preset
        Presets to choose from; the first one is the default.
    timbre : str, optional
        Timbre for all programs: a name, a mix or ``random`` (`engine.latents.read_timbre`), played
        by the first preset that can; or a latent file, played by the preset that it was made for if
        ``presets`` contains it, otherwise by the first preset.

    Returns
    -------
    dict of int, str or None to str
        ``PRESET:TIMBRE`` for each program; the key None is for all other programs. ``PRESET`` of
        the first drum kit for `DRUMS`, if there is any.

    Raises
    ------
    ParameterError
        If there are no presets.
    PresetError
        If no preset has the timbre; the message names the nearest ones.
    """
    if not presets:
        raise ParameterError("presets is empty; give one preset or more to choose from")
    kits = [preset for preset in presets if preset.is_kit]
    drums: Voices = {DRUMS: _spec_name(kits[0])} if kits else {}
    presets = [preset for preset in presets if not preset.is_kit]
    if not presets:
        spec = drums[DRUMS] if timbre is None else f"{drums[DRUMS]}:{timbre}"
        return {**dict.fromkeys(programs, spec), None: spec, DRUMS: spec}
    if timbre is not None and is_latent_file(timbre):
        made_for = read_latent(timbre).preset
        owner = next((preset for preset in presets if preset.name == made_for), presets[0])
        if owner.name != made_for:
            warnings.warn(
                f"{timbre} was made for preset {made_for!r}; {owner.name!r} gives it another sound",
                stacklevel=2,
            )
        spec = f"{_spec_name(owner)}:{timbre}"
        return {**dict.fromkeys(programs, spec), None: spec, **drums}
    if timbre is not None:
        needed = _names_in(timbre)
        owners = [preset for preset in presets if _can_play(preset, timbre, needed)]
        if not owners:
            names = [name for preset in presets for name in preset.timbre_names]
            missing = next((name for name in needed if name not in names), timbre)
            raise PresetError(f"timbre {missing!r} not found" + suggest(missing, names))
        spec = f"{_spec_name(owners[0])}:{timbre}"
        return {**dict.fromkeys(programs, spec), None: spec, **drums}
    spec_names = {preset.folder: _spec_name(preset) for preset in presets}
    chosen: Voices = {}
    for program in programs:
        preset, name = timbre_of_program(program, presets)
        chosen[program] = f"{spec_names[preset.folder]}:{name}"
    default = f"{spec_names[presets[0].folder]}:{presets[0].default_timbre}"
    return {**chosen, None: default, **drums}


def _names_in(timbre: str) -> list[str]:
    """Names of timbres in a name or a mix; none for a random timbre.

    Examples
    --------
    >>> _names_in("harp:0.6+koto"), _names_in("random:7")
    (['harp', 'koto'], [])
    """
    parts = [part.strip().split(":")[0] for part in timbre.split("+")]
    return [name for name in parts if name != "random"]


def _can_play(preset: Preset, timbre: str, needed: Sequence[str]) -> bool:
    """Return whether a preset has a timbre, or has latents and all timbres of an expression."""
    if timbre in preset.timbre_names:
        return True
    is_expression = timbre != "".join(needed)
    has_latents = isinstance(preset, GansynthPreset)
    return is_expression and has_latents and set(needed) <= set(preset.timbre_names)


def timbre_of_program(program: int, presets: Sequence[Preset]) -> tuple[Preset, str | None]:
    """Return the preset and the timbre of a General MIDI program, as `assign_programs`."""
    family = [
        (abs(timbre.program - program), preset, timbre.name)
        for preset in presets
        for timbre in preset.timbres
        if timbre.program is not None and timbre.program // 8 == program // 8
    ]
    default = (0, presets[0], presets[0].default_timbre)
    return min(family, key=lambda choice: choice[0], default=default)[1:]


def _spec_name(preset: Preset) -> str:
    """Return the shortest argument of `load_preset` that finds a preset."""
    folder = preset.folder
    return folder.name if folder in find_presets() else os.fspath(folder)
