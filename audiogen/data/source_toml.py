"""The file beside notes and recordings that `audiogen data` made: where they come from."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audiogen.errors import FormatError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OF_NOTES, OF_RECORDINGS = "font.toml", "source.toml"


def toml_text(
    comment: str,
    fields: Mapping[str, object],
    name: str = "",
    tables: Iterable[Mapping[str, object]] = (),
) -> str:
    """Return text, numbers and lists as TOML.

    Parameters
    ----------
    comment : str
        The first line.
    fields : mapping
    name : str
        Of the tables, one ``[[name]]`` each.
    tables : iterable of mapping

    Examples
    --------
    >>> print(toml_text("Whence.", {"seed": 0}, "hits", [{"file": "a.wav"}]), end="")
    # Whence.
    seed = 0
    <BLANKLINE>
    [[hits]]
    file = "a.wav"
    """
    lines = [f"# {comment}", *_lines(fields)]
    for table in tables:
        lines += ["", f"[[{name}]]", *_lines(table)]
    # A file name may hold bytes that aren't text.
    return os.fsencode("\n".join(lines) + "\n").decode("utf-8", "replace")


def name_of(folder: Path) -> str:
    """What a folder is called, also where it's given as ``.``."""
    return Path(os.path.abspath(folder)).name


def read_source(folder: Path) -> dict[str, Any]:
    """What lies beside a set of notes (``font.toml``) or recordings (``source.toml``), if any.

    Raises
    ------
    FormatError
        If it can't be read.
    """
    path = next((p for name in (OF_NOTES, OF_RECORDINGS) if (p := folder / name).exists()), None)
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: can't be read ({error}); write it anew or remove it") from error


def described_in(source: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a ``font.toml`` says of each instrument (``name``, ``program``), by `instrument_str`."""
    return {entry["instrument_str"]: entry for entry in source.get("instruments", ())}


def program_of(instrument: str, described: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """``program`` of a timbre's table, if it is known."""
    said = described.get(instrument, {})
    return {"program": said["program"]} if "program" in said else {}


def timbre_names(
    instruments: Sequence[str], described: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What a preset calls instruments: small letters, digits and -, each name once.

    Examples
    --------
    >>> timbre_names(["a_0", "b_0", "c_0"], {"a_0": {"name": "Bell"}, "b_0": {"name": "bell!"}})
    ['bell', 'bell-2', 'c-0']
    """
    names: list[str] = []
    for instrument in instruments:
        full = described.get(instrument, {}).get("name", instrument)
        base = re.sub(r"[^a-z0-9]+", "-", full.lower()).strip("-")[:56] or "timbre"
        name, number = base, 2
        while name in names:
            name, number = f"{base}-{number}", number + 1
        names.append(name)
    return names


def _lines(fields: Mapping[str, object]) -> list[str]:
    # For text, numbers, booleans and lists, TOML and JSON agree.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
