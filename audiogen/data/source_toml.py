"""The file beside notes and recordings that `audiogen data` made: where they come from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

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


def _lines(fields: Mapping[str, object]) -> list[str]:
    # For text, numbers, booleans and lists, TOML and JSON agree.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
