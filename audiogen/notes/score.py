"""Notes, controls, and scores of them."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from audiogen.errors import ParameterError

DEFAULT_VELOCITY = 0.8
DRUM_CHANNEL = 9  # General MIDI's percussion channel, 10 when counted from 1


@dataclass(frozen=True)
class Note:
    """One note of a score.

    Parameters
    ----------
    start_s : float, s
        Time from the beginning of the score to the press of the key; not negative.
    duration_s : float, s
        Time from the press of the key to its release; not negative. The sound's release follows.
    pitch : float, MIDI number in [0, 128)
        60 is middle C; the fraction is in units of 100 cents.
    velocity : float, 0 to 1
        Force of the press; 1 is the largest.
    program : int, 0 to 127
        General MIDI program, counted from 0.
    channel : int, 0 to 15
        MIDI channel, whose controls act on the note.
    is_drum : bool
        Whether the pitch stands for a percussion instrument.
    key : int, 0 to 127, optional
        Key that key pressure names, if it isn't the one of the pitch.

    Raises
    ------
    ParameterError
        If a value is out of range or not a number.

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
    key: int | None = None

    def __post_init__(self) -> None:
        _check("start_s", self.start_s, sys.float_info.max, "a finite number of seconds, 0 or more")
        _check(
            "duration_s",
            self.duration_s,
            sys.float_info.max,
            "a finite number of seconds, 0 or more",
        )
        _check("pitch", self.pitch, _MAX_PITCH, "a MIDI number from 0 up to 128")
        _check("velocity", self.velocity, 1.0, "a number from 0 to 1")
        _check("program", self.program, 127, "a whole number from 0 to 127", whole=True)
        _check("channel", self.channel, 15, "a whole number from 0 to 15", whole=True)
        if self.key is not None:
            _check("key", self.key, 127, "a whole number from 0 to 127", whole=True)

    def at_pitch(self, pitch: float) -> Note:
        """Return the note at another pitch, played by the same key."""
        return replace(self, pitch=pitch, key=self.played_key)

    @property
    def played_key(self) -> int:
        """MIDI key that plays the note."""
        return min(127, round(self.pitch)) if self.key is None else self.key

    @property
    def end_s(self) -> float:
        """Time of the key's release, in seconds from the beginning of the score."""
        return self.start_s + self.duration_s


@dataclass(frozen=True)
class Control:
    """Change of a controller, of the pitch wheel or of pressure on a channel or one of its keys.

    Parameters
    ----------
    time_s : float, s
        Time from the beginning of the score.
    channel : int, 0 to 15
        MIDI channel whose notes it acts on.
    message : bytes
        MIDI message, as `engine.midi.MidiReader` reads it.
    """

    time_s: float
    channel: int
    message: bytes


@dataclass(frozen=True)
class Score:
    """Notes and controls in order of time.

    Parameters
    ----------
    notes : iterable of Note
        In any order; notes that start together keep theirs.
    controls : iterable of Control
        In any order; controls of one time keep theirs.

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
        """Time of the last key's release; its sound continues after it."""
        return max((note.end_s for note in self.notes), default=0.0)

    @property
    def programs(self) -> tuple[int, ...]:
        """General MIDI programs of the notes that are not percussion, sorted."""
        return tuple(sorted({note.program for note in self.notes if not note.is_drum}))

    def without_drums(self) -> Score:
        """Return the score without its percussion."""
        return Score((note for note in self.notes if not note.is_drum), self.controls)

    def by_channel(self) -> list[Score]:
        """Split the score by channel, so that controls act on every note of their part.

        Channels without controls stay together, as do those of zones of MPE (`zone_masters`). The
        sum of the parts' sounds is the score's.
        """
        controlled = {control.channel for control in self.controls}
        zone = set(zone_masters(self.controls))
        notes: dict[int | None, list[Note]] = {}
        for note in self.notes:
            part = note.channel if note.channel in controlled else None
            notes.setdefault(min(zone) if note.channel in zone else part, []).append(note)
        return [
            Score(
                part,
                (
                    control
                    for control in self.controls
                    if control.channel == channel or (channel in zone and control.channel in zone)
                ),
            )
            for channel, part in notes.items()
        ]


def expresses_notes(controls: Iterable[Control]) -> bool:
    """Whether any controls act on single notes: those of an MPE zone, and key pressure."""
    controls = list(controls)
    return bool(zone_masters(controls)) or any(
        control.message[0] >> 4 == _KEY_PRESSURE for control in controls
    )


def zone_masters(controls: Iterable[Control]) -> dict[int, int]:
    """Channels of zones of MPE that controls configure, and the master channel of each.

    Parameters
    ----------
    controls : iterable of Control
        In order of time. Registered parameter 6 on channel 0 or 15 configures a zone; its value is
        the number of member channels.

    Returns
    -------
    dict of int to int
        Master channel of each master and member channel; empty without a zone.

    References
    ----------
    MIDI Association, "MIDI Polyphonic Expression", version 1.0, M1-100-UM, 2018.
    """
    masters: dict[int, int] = {}
    rpn = [127, 127]
    for control in controls:
        status, *data = control.message
        if status >> 4 != 0xB:
            continue
        number, value = data
        if number in (100, 101):
            rpn[101 - number] = value
        elif number in (98, 99):
            rpn = [127, 127]
        elif number == 6 and rpn == [0, _ZONE] and control.channel in (0, 15) and value:
            n_members = min(value, 15)
            step = 1 if control.channel == 0 else -1
            for distance in range(n_members + 1):
                masters[control.channel + step * distance] = control.channel
    return masters


_KEY_PRESSURE = 0xA  # upper four bits of the status byte
_ZONE = 6  # registered parameter
_MAX_PITCH = math.nextafter(128.0, 0.0)


def _check(name: str, value: Any, high: float, allowed: str, whole: bool = False) -> None:
    # The check of built-in types comes first: that of abstract ones takes ten times as long, and
    # long scores have a million values.
    is_number = isinstance(value, int if whole else (int, float)) or isinstance(
        value, numbers.Integral if whole else numbers.Real
    )
    if not is_number or not 0 <= value <= high:
        raise ParameterError(f"{name}={value!r} must be {allowed}")
