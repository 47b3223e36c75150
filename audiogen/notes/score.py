"""Notes, and scores of them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from audiogen.errors import ParameterError

DEFAULT_VELOCITY = 0.8
DRUM_CHANNEL = 9  # General MIDI keeps channel 10, counted from 0 here, for percussion.


@dataclass(frozen=True)
class Note:
    """One note of a score.

    Parameters
    ----------
    start_s : float, s
        From the beginning of the score; not negative.
    duration_s : float, s
        From the key's press to its release; not negative. The sound's own release follows.
    pitch : float, MIDI number in [0, 128)
        60 is middle C; fractions are cents / 100.
    velocity : float, 0 to 1
    program : int, 0 to 127
        General MIDI program, counted from 0.
    channel : int, 0 to 15
    is_drum : bool
        The pitch names a percussion instrument, not a height.

    Raises
    ------
    ParameterError
        If a value is out of range or isn't a number.

    Examples
    --------
    >>> Note(0.0, 1.5, 69).velocity
    0.8
    """

    start_s: float
    duration_s: float
    pitch: float
    velocity: float = DEFAULT_VELOCITY
    program: int = 0
    channel: int = 0
    is_drum: bool = False

    def __post_init__(self) -> None:
        _check("start_s", self.start_s, math.inf, "seconds, 0 or more")
        _check("duration_s", self.duration_s, math.inf, "seconds, 0 or more")
        _check("pitch", self.pitch, math.nextafter(128.0, 0.0), "a MIDI number from 0 up to 128")
        _check("velocity", self.velocity, 1.0, "a number from 0 to 1")
        _check("program", self.program, 127, "a whole number from 0 to 127", whole=True)
        _check("channel", self.channel, 15, "a whole number from 0 to 15", whole=True)

    @property
    def end_s(self) -> float:
        """When the key is released, in seconds from the beginning."""
        return self.start_s + self.duration_s


@dataclass(frozen=True)
class Control:
    """What moves all notes of a channel from some time on: a wheel, a fader.

    Parameters
    ----------
    time_s : float, s
        From the beginning of the score.
    channel : int, 0 to 15
    message : bytes
        Of MIDI, of a controller, the pitch wheel or channel pressure; see `engine.midi.MidiReader`.
    """

    time_s: float
    channel: int
    message: bytes


@dataclass(frozen=True)
class Score:
    """Notes in order of their start.

    Parameters
    ----------
    notes : sequence of Note
        Sorted by start here; notes that start together keep their order.
    controls : sequence of Control
        Sorted by time, likewise.

    Examples
    --------
    >>> Score([Note(1.0, 0.5, 64), Note(0.0, 0.5, 60)]).notes[0].pitch
    60
    """

    notes: tuple[Note, ...] = field(default=())
    controls: tuple[Control, ...] = field(default=())

    def __init__(self, notes: Iterable[Note] = (), controls: Iterable[Control] = ()) -> None:
        object.__setattr__(self, "notes", tuple(sorted(notes, key=lambda note: note.start_s)))
        by_time = sorted(controls, key=lambda control: control.time_s)
        object.__setattr__(self, "controls", tuple(by_time))

    def __len__(self) -> int:
        return len(self.notes)

    def __iter__(self) -> Iterator[Note]:
        return iter(self.notes)

    @property
    def duration_s(self) -> float:
        """When the last key is released; the sound rings on after it."""
        return max((note.end_s for note in self.notes), default=0.0)

    @property
    def programs(self) -> tuple[int, ...]:
        """The General MIDI programs that play, drums left out, in order of number."""
        return tuple(sorted({note.program for note in self.notes if not note.is_drum}))

    def without_drums(self) -> Score:
        """The same score less its percussion."""
        return Score((note for note in self.notes if not note.is_drum), self.controls)

    def by_channel(self) -> list[Score]:
        """Scores whose sounds add up to this one's; controls move all notes of theirs."""
        moved = {control.channel for control in self.controls}
        notes: dict[int | None, list[Note]] = {}
        for note in self.notes:
            notes.setdefault(note.channel if note.channel in moved else None, []).append(note)
        return [
            Score(part, (control for control in self.controls if control.channel == channel))
            for channel, part in notes.items()
        ]


def _check(name: str, value: Any, high: float, wanted: str, whole: bool = False) -> None:
    is_number = isinstance(value, numbers.Integral if whole else numbers.Real)
    if not is_number or not math.isfinite(value) or not 0 <= value <= high:
        raise ParameterError(f"{name}={value!r} isn't right; give {wanted}")
