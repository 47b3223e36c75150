"""The TOML file beside notes and recordings that names their source, licence and settings."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audiogen.errors import FormatError, ParameterError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NOTES_TOML, RECORDINGS_TOML = "font.toml", "source.toml"
KIT_FIELDS = ("key", "pitch", "pan", "group")  # of an instrument that is one key of a drum kit


def toml_text(
    comment: str,
    fields: Mapping[str, object],
    name: str = "",
    tables: Iterable[Mapping[str, object]] = (),
) -> str:
    """Format text, numbers and lists as TOML.

    Parameters
    ----------
    comment : str
        First line.
    fields : mapping
        Values by name.
    name : str
        Name of the tables, one ``[[name]]`` each.
    tables : iterable of mapping
        Values by name for each table.

    Examples
    --------
    >>> print(toml_text("Source.", {"seed": 0}, "hits", [{"file": "a.wav"}]), end="")
    # Source.
    seed = 0
    <BLANKLINE>
    [[hits]]
    file = "a.wav"
    """
    lines = [f"# {comment}", *_lines(fields)]
    for table in tables:
        lines += ["", f"[[{name}]]", *_lines(table)]
    # A file name may hold bytes that are not UTF-8.
    return os.fsencode("\n".join(lines) + "\n").decode("utf-8", "replace")


def folder_name(folder: Path) -> str:
    """Return the name of a folder, also of ``.``."""
    return Path(os.path.abspath(folder)).name


def read_source(folder: Path) -> dict[str, Any]:
    """Read ``font.toml`` or ``source.toml`` of a folder; an empty dictionary if there is none.

    Raises
    ------
    FormatError
        If the file cannot be read.
    """
    names = (NOTES_TOML, RECORDINGS_TOML)
    path = next((path for name in names if (path := folder / name).exists()), None)
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: can't be read ({error}); write it anew or remove it") from error


def instrument_entries(source: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the ``[[instruments]]`` tables of a ``font.toml`` by their ``instrument_str``."""
    return {entry["instrument_str"]: entry for entry in source.get("instruments", ())}


def program_of(instrument: str, entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return an instrument's program and how its keys sound, as far as its entry says so."""
    entry = entries.get(instrument, {})
    names = ("program", "transpose", "semitones_per_key")
    return {name: entry[name] for name in names if name in entry}


def is_kit(source: Mapping[str, Any]) -> bool:
    """Whether each instrument of a ``font.toml`` is one key of a drum kit."""
    entries = source.get("instruments", ())
    return bool(entries) and all("key" in entry for entry in entries)


def read_kit(folder: Path) -> dict[str, dict[str, Any]]:
    """Return `instrument_entries` of a note set of a drum kit.

    Raises
    ------
    FormatError
        If ``font.toml`` cannot be read.
    ParameterError
        If the set isn't of a drum kit.
    """
    source = read_source(folder)
    if not is_kit(source):
        raise ParameterError(
            f"{folder}: isn't of a drum kit, but the preset is one; give a set that audiogen data"
            " drums made"
        )
    return instrument_entries(source)


def timbre_names(instruments: Sequence[str], entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return timbre names for instruments: lower case letters, digits and -, each name once.

    Examples
    --------
    >>> timbre_names(["a_0", "b_0", "c_0"], {"a_0": {"name": "Bell"}, "b_0": {"name": "bell!"}})
    ['bell', 'bell-2', 'c-0']
    """
    names: list[str] = []
    for instrument in instruments:
        full = entries.get(instrument, {}).get("name", instrument)
        base = re.sub(r"[^a-z0-9]+", "-", full.lower()).strip("-")[:56] or "timbre"
        name, number = base, 2
        while name in names:
            name, number = f"{base}-{number}", number + 1
        names.append(name)
    return names


def _lines(fields: Mapping[str, object]) -> list[str]:
    # TOML and JSON agree on text, numbers, booleans and lists.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
