"""Engine events: their memory layout (csrc/engine/engine.h) and one constructor for each kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NOTE_OFF, NOTE_ON, PARAMETER, ALL_OFF, NOTE_BEND, NOTE_LEVEL, NOTE_SLIDE = range(7)  # kinds
EVENT = np.dtype(
    [
        ("offset", "<u4"),  # samples from the start of the block
        ("kind", "<u4"),
        ("id", "<u4"),  # number of the note; parameter: its index
        ("timbre", "<u4"),
        ("pitch", "<f4"),  # MIDI number
        ("value", "<f4"),  # velocity, 0 to 1; or the new value of a parameter or an expression
        ("pan", "<f4"),  # -1 to 1, added to the parameter `pan`
    ]
)

Event = tuple[int, int, int, int, float, float, float]


def note_on(
    id: int, pitch: float, velocity: float, timbre: int = 0, pan: float = 0.0, offset: int = 0
) -> Event:
    """Start a note."""
    return (offset, NOTE_ON, id, timbre, pitch, velocity, pan)


def note_off(id: int, offset: int = 0) -> Event:
    """Release the note of this number."""
    return (offset, NOTE_OFF, id, 0, 0.0, 0.0, 0.0)


def set_parameter(index: int, value: float, timbre: int = 0, offset: int = 0) -> Event:
    """Set a parameter by its index in `PARAMETERS`."""
    return (offset, PARAMETER, index, timbre, 0.0, value, 0.0)


def all_off(silence: bool = False, offset: int = 0) -> Event:
    """Release all notes, or silence them in 5 ms."""
    return (offset, ALL_OFF, 0, 0, 0.0, float(silence), 0.0)


def express(id: int, kind: int, value: float, offset: int = 0) -> Event:
    """Set the bend (semitones), level (gain) or slide of one note."""
    return (offset, kind, id, 0, 0.0, value, 0.0)


def event_array(events: Sequence[Event]) -> np.ndarray:
    """Events as the engine takes them, [n], `EVENT`."""
    return np.array(list(events), EVENT)
