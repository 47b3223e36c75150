"""Values and fields of a ``preset.toml``, each read and checked by itself.

Python twin of csrc/presets/fields.h: the same checks, the same messages.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from audiogen.core.names import suggest
from audiogen.errors import PresetError

MOST_DEPTH = 64
MOST_FAULTS = 100  # faults reported per preset
LARGEST_NUMBER = float(np.finfo(np.float32).max)
SMALLEST_POSITIVE = float(np.finfo(np.float32).tiny)
_LONGEST_TEXT, _LONGEST_IDENTIFIER, _MOST_SHOWN = 2000, 64, 80  # characters

_TEXT = "a text of 1 to 2000 characters"
_IDENTIFIER = (
    "a name of 1 to 64 small letters, digits, - and _, which begins with a letter or digit"
)
_NAMES = "a list of one name or more"
_ABOVE_ZERO = "a number above 0"

Table = dict[str, Any]


def shown(value: Any) -> str:
    """A value as error messages show it, in one line of at most 80 characters."""
    return cut(_shown(value))


def cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def _shown(value: Any) -> str:
    if isinstance(value, str):
        some = value[: _MOST_SHOWN + 1]
        return (
            "'" + "".join(c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}" for c in some) + "'"
        )
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value[:_MOST_SHOWN])) + "]"
    if isinstance(value, dict):
        some_items = list(value.items())[:_MOST_SHOWN]
        return "{" + ", ".join(f"{_shown(k)} = {_shown(v)}" for k, v in some_items) + "}"
    return repr(value)


def _plain(value: Any, path: str, depth: int = 0) -> Any:
    """A value as TOML can hold it, fields without a value left out."""
    if depth > MOST_DEPTH:
        raise PresetError(f"{path[:80]} is nested deeper than {MOST_DEPTH} levels")
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise PresetError(f"{path} is beyond the range of 64 bits")
        return int(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), path, depth + 1)
    if isinstance(value, Mapping):
        return plain_table(value, path, depth + 1)
    raise PresetError(
        f"{path} is of type {type(value).__name__}, which TOML cannot hold; give a text, number,"
        " list or table"
    )


def plain_table(table: Mapping[Any, Any], path: str, depth: int) -> Table:
    out = {}
    for key, value in table.items():
        if not isinstance(key, str):
            where = f"a key of {path}" if path else "a key"
            raise PresetError(
                f"{where} is of type {type(key).__name__}, which TOML cannot hold; give a text,"
                " number, list or table"
            )
        if value is not None:
            out[key] = _plain(value, f"{path}.{key}" if path else key, depth)
    return out


class Fields:
    """Reads the fields of one table and collects faults; see csrc/presets/fields.h."""

    def __init__(self, table: Table, path: str, faults: list[str]):
        self.table, self.path, self._faults = table, path, faults
        self.faultless = True
        self._known: set[str] = set()

    def path_of(self, name: str) -> str:
        bare = (
            name.isascii()
            and 0 < len(name) <= _LONGEST_IDENTIFIER
            and all(c.isalnum() or c in "-_" for c in name)
        )
        text = name if bare else shown(name)
        return f"{self.path}.{text}" if self.path else text

    def add_fault(self, fault: str) -> None:
        self.faultless = False
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(fault)

    def has(self, name: str) -> bool:
        self._known.add(name)
        return name in self.table

    def finish(self) -> None:
        known = sorted(self._known)
        for name in self.table:
            if len(self._faults) >= MOST_FAULTS:
                break
            if name not in self._known:
                self.add_fault(f"field {self.path_of(name)} not found" + suggest(name, known))

    def read(self, name: str, wanted: str, fits: Callable[[Any], bool]) -> Any:
        """The value of a field, or None after a fault."""
        self._known.add(name)
        if name not in self.table:
            self.add_fault(f"{self.path_of(name)} is missing; it must be {wanted}")
            return None
        value = self.table[name]
        if fits(value):
            return value
        self._refuse(self.path_of(name), value, wanted)
        return None

    def read_list(
        self,
        name: str,
        wanted: str,
        sizes: tuple[int, int],
        wanted_item: str,
        fits: Callable[[Any], bool],
    ) -> Any:
        """The items of a list, or None after a fault."""
        items = self.read(
            name, wanted, lambda v: isinstance(v, list) and sizes[0] <= len(v) <= sizes[1]
        )
        for i, item in enumerate(items or []):
            if not fits(item):
                self._refuse(f"{self.path_of(name)}[{i}]", item, wanted_item)
                return None
        return items

    def whole(self, name: str, lowest: int, highest: int, wanted: str = "") -> Any:
        wanted = wanted or f"a whole number from {lowest} to {highest}"
        return self.read(name, wanted, lambda v: _is_whole(v, lowest, highest))

    def number(self, name: str, lowest: float, highest: float, wanted: str) -> Any:
        return self.read(name, wanted, lambda v: _is_number(v, lowest, highest))

    def positive(self, name: str) -> Any:
        return self.number(name, SMALLEST_POSITIVE, LARGEST_NUMBER, _ABOVE_ZERO)

    def text(self, name: str, wanted: str = _TEXT) -> Any:
        return self.read(name, wanted, _is_text)

    def identifier(self, name: str, wanted: str = _IDENTIFIER) -> Any:
        return self.read(name, wanted, _is_identifier)

    def choice(self, name: str, choices: Sequence[str]) -> Any:
        wanted = ", ".join(map(repr, choices[:-1])) + f" or {choices[-1]!r}"
        return self.read(name, wanted, lambda v: isinstance(v, str) and v in choices)

    def texts(self, name: str, wanted: str = _NAMES) -> Any:
        return self.read_list(name, wanted, (1, sys.maxsize), _TEXT, _is_text)

    def wholes(
        self, name: str, sizes: tuple[int, int], lowest: int, highest: int, wanted: str
    ) -> Any:
        item = f"a whole number from {lowest} to {highest}"
        return self.read_list(name, wanted, sizes, item, lambda v: _is_whole(v, lowest, highest))

    def numbers(self, name: str, wanted: str) -> Any:
        def fits(value: Any) -> bool:
            return _is_number(value, -LARGEST_NUMBER, LARGEST_NUMBER)

        return self.read_list(name, wanted, (0, sys.maxsize), "a number", fits)

    def inner(self, name: str, wanted: str = "") -> Any:
        return self.read(name, wanted or f"a table [{name}]", lambda v: isinstance(v, dict))

    def tables(self, name: str, least: int, most: int, wanted: str) -> Any:
        item = f"a table [[{name}]]"
        return self.read_list(name, wanted, (least, most), item, lambda v: isinstance(v, dict))

    def _refuse(self, path: str, value: Any, wanted: str) -> None:
        self.add_fault(f"{path}={shown(value)} must be {wanted}")


def _is_whole(value: Any, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _is_number(value: Any, lowest: float, highest: float) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and lowest <= float(value) <= highest
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT


def _is_identifier(value: Any) -> bool:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_IDENTIFIER
        and value[0] in letters
        and all(c in letters + "-_" for c in value)
    )
