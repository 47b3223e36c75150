"""Messages from a page to the server: one table of types and fields, and their checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from audiogen.errors import ParameterError

MAX_CHARACTERS = 4096  # longest text message
MAX_MIDI_BYTES = 512  # longest `midi` message
MAX_NAME = 200  # characters
LEAD_MS = (20.0, 2000.0)

Check = Callable[[str, Any], Any]


def _number(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:  # NaN fails both comparisons
            raise ParameterError(f"{name}={value!r} must be a number from {low:g} to {high:g}")
        return float(value)

    return check


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise ParameterError(f"{name}={value!r} must be a name of 1 to {MAX_NAME} characters")
    return value


def _timbre(name: str, value: Any) -> str:
    """A name, a mix or a random timbre; a page must not make the server read files."""
    if ".json" in _name(name, value).lower():
        raise ParameterError(f"{name}={value!r} must be a timbre, a mix or random:SEED, not a file")
    return str(value)


def _parameter_value(name: str, value: Any) -> float | str:
    return _timbre(name, value) if isinstance(value, str) else _number(-1e6, 1e6)(name, value)


def _midi_bytes(name: str, value: Any) -> list[int]:
    is_list = isinstance(value, list) and 0 < len(value) <= MAX_MIDI_BYTES
    if not is_list or not all(type(byte) is int and 0 <= byte <= 255 for byte in value):
        raise ParameterError(
            f"{name} must be a list of 1 to {MAX_MIDI_BYTES} whole numbers from 0 to 255"
        )
    return list(value)


def _optional(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


_PITCH = _number(0.0, 127.0)

# Events take effect at the beginning of the next block and are kept in the log.
EVENTS: Mapping[str, Mapping[str, Check]] = {
    "note_on": {"pitch": _PITCH, "velocity": _number(1e-3, 1.0), "timbre": _optional(_timbre)},
    "note_off": {"pitch": _PITCH},
    "all_off": {},
    "set": {"parameter": _name, "value": _parameter_value},
    "timbre": {"timbre": _timbre},
    "midi": {"data": _midi_bytes},
    "stop_file": {},
}
# Requests concern the stream as a whole.
REQUESTS: Mapping[str, Mapping[str, Check]] = {
    "start": {"lead_ms": _number(*LEAD_MS)},
    "played": {"position": _number(0, 2**53)},
    "preset": {"preset": _name},
    "log": {},
}
_ALL = {**EVENTS, **REQUESTS}


def read_message(text: str) -> dict[str, Any]:
    """Read and check one text message.

    Parameters
    ----------
    text : str
        A JSON object with a ``type`` and the fields of that type.

    Returns
    -------
    dict
        ``type`` and its fields; an optional field that is missing is None.

    Raises
    ------
    ParameterError
        If the message is too long, is not JSON, or has a wrong type, field or value.

    Examples
    --------
    >>> read_message('{"type": "note_off", "pitch": 60}')
    {'type': 'note_off', 'pitch': 60.0}
    """
    if len(text) > MAX_CHARACTERS:
        raise ParameterError(
            f"the message has {len(text)} characters; it must have at most {MAX_CHARACTERS}"
        )
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ParameterError(f"message {text[:40]!r} must be JSON") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in _ALL:
        raise ParameterError(f"type={kind!r} must be one of {', '.join(_ALL)}")
    fields = _ALL[kind]
    unknown = set(message) - set(fields) - {"type"}
    if unknown:
        raise ParameterError(f"field {sorted(unknown)[0]!r} is not supported by {kind}")
    return {"type": kind} | {
        name: check(f"{kind}.{name}", message.get(name)) for name, check in fields.items()
    }
