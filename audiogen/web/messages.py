"""What a page may say to the server: each message checked, in one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from audiogen.errors import ParameterError

LONGEST_MESSAGE = 4096  # characters
LEAD_MS = (20.0, 2000.0)


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        fine = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not fine or not low <= value <= high:  # nor is NaN
            raise ParameterError(f"{name}={value!r}; give a number from {low:g} to {high:g}")
        return float(value)

    return check


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ParameterError(f"{name}={value!r}; give a name")
    return value


def _value(name: str, value: Any) -> float | str:
    return _name(name, value) if isinstance(value, str) else _number(-1e6, 1e6)(name, value)


def _maybe(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


_PITCH = _number(0.0, 127.0)

# Events wait for the next block and are kept in the log.
EVENTS: Mapping[str, Mapping[str, Callable[[str, Any], Any]]] = {
    "note_on": {"pitch": _PITCH, "velocity": _number(1e-3, 1.0), "timbre": _maybe(_name)},
    "note_off": {"pitch": _PITCH},
    "set": {"parameter": _name, "value": _value},
    "all_off": {},
    "play": {},
    "stop": {},
}
# All else is about the stream.
REQUESTS: Mapping[str, Mapping[str, Callable[[str, Any], Any]]] = {
    "start": {"lead_ms": _number(*LEAD_MS)},
    "played": {"position": _number(0, 2**53)},
    "preset": {"preset": _name},
    "log": {},
}
_ALL = {**EVENTS, **REQUESTS}


def read_message(text: str) -> dict[str, Any]:
    """Read and check one message.

    Parameters
    ----------
    text : str
        A JSON object with a ``type`` and the fields of that type.

    Returns
    -------
    dict
        ``type`` and its fields; what may be left out is None.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> read_message('{"type": "note_off", "pitch": 60}')
    {'type': 'note_off', 'pitch': 60.0}
    """
    if len(text) > LONGEST_MESSAGE:
        raise ParameterError(
            f"a message has {len(text)} characters; up to {LONGEST_MESSAGE} are read"
        )
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ParameterError(f"message {text[:40]!r} isn't JSON") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in _ALL:
        raise ParameterError(f"type={kind!r} isn't known; give one of {', '.join(_ALL)}")
    fields = _ALL[kind]
    unknown = set(message) - set(fields) - {"type"}
    if unknown:
        raise ParameterError(f"{kind} has no field {sorted(unknown)[0]!r}")
    return {"type": kind} | {
        name: check(f"{kind}.{name}", message.get(name)) for name, check in fields.items()
    }
