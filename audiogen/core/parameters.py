"""The knobs of everything that plays: the one table of them, and attributes made of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from audiogen.core import backend as _native
from audiogen.errors import ParameterError


@dataclass(frozen=True)
class Parameter:
    """One knob, as csrc/engine/parameters.h has it.

    Parameters
    ----------
    name, unit : str
    lowest, highest, initial : float
    smoothing_s : float, s
        How long a move from one value to another takes, while something sounds.
    controller : int
        Of MIDI: its number, or -1 for none, -2 for the pitch wheel, -3 for channel pressure.
    help : str
    """

    name: str
    unit: str
    lowest: float
    highest: float
    initial: float
    smoothing_s: float
    controller: int
    help: str


def _read_table() -> tuple[Parameter, ...]:
    module: Any = _native.find()
    if module is None:
        from audiogen._fallback import engine as module
    return tuple(Parameter(**row) for row in module.parameters)


PARAMETERS = _read_table()  # an event names a parameter by its place here
INDEX = {parameter.name: i for i, parameter in enumerate(PARAMETERS)}


def check_parameter(name: str, value: Any) -> float:
    """Return a value that the parameter can have.

    Raises
    ------
    ParameterError
        If there is no such parameter, or the value isn't a number within its range.
    """
    if name not in INDEX:
        raise ParameterError(f"parameter {name!r} isn't known; there are {', '.join(INDEX)}")
    parameter = PARAMETERS[INDEX[name]]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not parameter.lowest <= number <= parameter.highest:
        unit = f" {parameter.unit}" if parameter.unit else ""
        range_ = f"{parameter.lowest:g} to {parameter.highest:g}{unit}"
        raise ParameterError(f"{name}={value!r} isn't usable; give {range_}")
    return number


class _Knob:
    """A parameter as an attribute of whatever has `get` and `set`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else owner.get(self._name)

    def __set__(self, owner: Any, value: Any) -> None:
        owner.set(self._name, value)


class Knobs:
    """The parameters as attributes; `get` and `set` are the heir's."""

    volume = _Knob()  # 0 to 1
    pan = _Knob()  # -1 (left) to 1 (right)
    spread = _Knob()  # 0 to 1, of the voices over the two channels
    bend = _Knob()  # semitones, -48 to 48, of all notes
    glide = _Knob()  # s from one note's pitch to the next one's, 0 to 10
    sustain = _Knob()  # 1 while the pedal is down
    vibrato = _Knob()  # semitones, 0 to 2
    expression = _Knob()  # 0 to 1, of the volume
    morph = _Knob()  # 0 is a note's own timbre, 1 is morph_timbre
    morph_timbre = _Knob()  # a timbre's name

    def get(self, parameter: str) -> Any:
        """Where a knob stands."""
        raise NotImplementedError

    def set(self, parameter: str, value: Any) -> None:
        """Move a knob."""
        raise NotImplementedError
