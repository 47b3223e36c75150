"""The engine's parameters in Python: the table of csrc/engine/parameters.h, and attributes."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from audiogen.core import backend
from audiogen.errors import ParameterError


@dataclass(frozen=True)
class Parameter:
    """One row of the parameter table.

    Parameters
    ----------
    name : str
        Name in Python, in event lists and in every front end.
    unit : str
        Unit of the value; empty if dimensionless.
    lowest, highest : float
        Range of the value, both ends included.
    initial : float
        Value until it is set.
    smoothing_s : float, s
        Duration of a change while something sounds; 0 is at once.
    controller : int
        MIDI controller, 0 to 127; -1 for none, -2 for the pitch wheel.
    help : str
        One sentence for tooltips and tables.
    """

    name: str
    unit: str
    lowest: float
    highest: float
    initial: float
    smoothing_s: float
    controller: int
    help: str


PARAMETERS = tuple(Parameter(**row) for row in backend.load().parameters)
INDEX = {parameter.name: i for i, parameter in enumerate(PARAMETERS)}
MACROS = tuple(name for name in INDEX if name.startswith("macro_"))  # what they do, a preset says


def check_parameter(name: str, value: Any, shown_name: str | None = None) -> float:
    """Return the value as a float that the parameter can have.

    Parameters
    ----------
    name : str
        Name of a row of `PARAMETERS`.
    value : object
        Value to check.
    shown_name : str, optional
        Name in the message, such as that of a preset's macro.

    Raises
    ------
    ParameterError
        If there is no such parameter, or the value is not a number within its range.
    """
    if name not in INDEX:
        raise ParameterError(unknown_parameter(name))
    parameter = PARAMETERS[INDEX[name]]
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not parameter.lowest <= number <= parameter.highest:
        unit = f" {parameter.unit}" if parameter.unit else ""
        range_ = f"{parameter.lowest:g} to {parameter.highest:g}{unit}"
        raise ParameterError(f"{shown_name or name}={value!r} must be from {range_}")
    return number


def unknown_parameter(name: str, macros: Iterable[str] = ()) -> str:
    """Error message for a parameter that does not exist; ``macros`` are the preset's."""
    names = [*macros, *(row for row in INDEX if row not in MACROS)]
    near = difflib.get_close_matches(name, [*names, *MACROS], n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
    return f"parameter {name!r} not found; {hint}"


class _ParameterAttribute:
    """A parameter as an attribute of an object with `get` and `set`."""

    def __init__(self, parameter: Parameter):
        self._name = parameter.name
        unit = f" {parameter.unit}" if parameter.unit else ""
        self.__doc__ = f"{parameter.help} {parameter.lowest:g} to {parameter.highest:g}{unit}."

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else owner.get(self._name)

    def __set__(self, owner: Any, value: Any) -> None:
        owner.set(self._name, value)


class ParameterAttributes:
    """Gives a class an attribute for each row of `PARAMETERS`; the class has `get` and `set`.

    Assigning to a public attribute that does not exist raises, so that a misspelled parameter does
    not pass silently.
    """

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}; " + unknown_parameter(name)
            )
        object.__setattr__(self, name, value)


for _parameter in PARAMETERS:
    setattr(ParameterAttributes, _parameter.name, _ParameterAttribute(_parameter))
