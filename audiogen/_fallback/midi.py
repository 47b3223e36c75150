"""Bytes of MIDI become events of an engine (csrc/engine/midi.h)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from audiogen._fallback.parameter_table import INDEX, ROWS
from audiogen.core.events import (
    NOTE_BEND,
    NOTE_LEVEL,
    NOTE_SLIDE,
    Event,
    all_off,
    event_array,
    express,
    note_off,
    note_on,
    set_parameter,
)

FIRST_ID = 1 << 31  # the reader's note numbers; a host numbers other notes below
N_CHANNELS, N_KEYS = 16, 128
N_HELD = N_CHANNELS * N_KEYS

_DATA_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}  # by kind of message
# Parameters that controller 121 resets (MIDI RP-015).
_RESET = "pitch_wheel", "vibrato", "sustain", "expression"
_MODULATION_DEPTH = np.float32(0.5)  # at the end of the wheel, semitones: General MIDI 2's default
_MIDDLE_KEY = 60.0  # from which keys are counted where they aren't semitones apart
_NULL_RPN = 127 * 128 + 127
_BEND_RANGE, _ZONE = 0, 6  # registered parameters
_MASTER_RANGE, _MEMBER_RANGE = (2, 0), (48, 0)  # of the wheel in a zone of MPE: semitones, cents
_SLIDE = 74  # controller of a member channel
N_FOLLOWED = 4  # held notes of a member channel that its expression follows, the newest


class _Member:
    """A member channel of a zone of MPE."""

    def __init__(self) -> None:
        self.notes: list[int] = []  # numbers, the newest first
        self.reset()

    def reset(self) -> None:
        self.wheel = np.float32(0)  # -1 to 1
        self.level, self.slide = 1.0, 0.0


class MidiReader:
    """Reads a stream of MIDI 1.0, cut anywhere.

    All channels play one instrument: each has its own keys and program, but they share the
    parameters. Read are notes, pitch wheel, channel pressure, program changes, the controllers of
    the table of parameters, registered parameter 0 (range of the wheel), 120 and system reset
    (silence), 121 (reset) and 123 to 127 (all notes off). Key pressure raises the level of the
    key's note. Registered parameter 6 on channel 1 or 16 configures a zone of MPE, where wheel,
    pressure and controller 74 of a member channel act on its notes alone. All else is ignored.
    """

    def __init__(self) -> None:
        self._status = 0  # running status of a channel message; 0: none
        self._data: list[int] = []
        self._rpn = _NULL_RPN  # registered parameter that controllers 6 and 38 set
        self._bend_range = list(_MASTER_RANGE)
        self._member_bend_range = list(_MEMBER_RANGE)
        self._n_members = [0, 0]  # member channels of the lower and the upper zone
        self._members = [_Member() for _ in range(N_CHANNELS)]
        self._n_notes = 0
        self._timbres: Sequence[int] = [0] * 128  # timbre of each program
        self._transposes: Sequence[int] = [0] * 128  # its sounding pitch minus key, at key 60
        self._semitones_per_key: Sequence[float] = [1.0] * 128
        self._default_timbre = 0
        self._programs: list[int | None] = [None] * N_CHANNELS
        self._program: int | None = None  # chosen last, on any channel
        self._held: dict[tuple[int, int], int] = {}  # channel and key: number of the note
        self._offset = 0
        self._events: list[Event] = []

    def set_programs(self, instrument: Any) -> None:
        """Let program changes choose timbres of this instrument from here on."""
        self._timbres = list(instrument.programs)
        self._transposes = list(instrument.transposes)
        self._semitones_per_key = list(instrument.semitones_per_key)
        self._default_timbre = int(instrument.default_timbre)

    def choose_timbre(self, timbre: int) -> None:
        """Play this timbre, by index, on every channel until its next program change."""
        self._programs = [None] * N_CHANNELS
        self._program = None
        self._default_timbre = timbre

    @property
    def timbre(self) -> int:
        """Index of the timbre that was chosen last, on any channel."""
        return self._timbre_of(self._program)

    def _timbre_of(self, program: int | None) -> int:
        return self._default_timbre if program is None else self._timbres[program]

    def read(self, bytes: bytes, offset: int = 0) -> np.ndarray:
        """Events, `EVENT`, of the messages that end within these bytes."""
        self._offset, self._events = offset, []
        for byte in bytes:
            if byte >= 0xF8:  # real-time messages may come within other messages
                if byte == 0xFF:
                    self._all_off(silence=True)
            elif byte >= 0x80:
                # Other system messages are ignored, and end a running status.
                self._status, self._data = byte if byte < 0xF0 else 0, []
            elif self._status:
                self._data.append(byte)
                if len(self._data) == _DATA_BYTES[self._status >> 4]:
                    self._take(self._status >> 4, self._status & 0xF, *self._data)
                    self._data = []
        return event_array(self._events)

    def _take(self, kind: int, channel: int, first: int, second: int = 0) -> None:
        if kind == 0x9 and second > 0:
            self._note_on(channel, first, second)
        elif kind in (0x8, 0x9):
            self._note_off(channel, first)
        elif kind == 0xA:
            if (channel, first) in self._held:
                number = self._held[channel, first]
                self._events.append(
                    express(number, NOTE_LEVEL, _pressed_level(second), self._offset)
                )
        elif kind == 0xB:
            self._control(channel, first, second)
        elif kind == 0xC:
            self._programs[channel] = self._program = first
            for c in filter(self._is_member, range(N_CHANNELS)):
                if channel == (0 if c <= self._n_members[0] else N_CHANNELS - 1):
                    self._programs[c] = first
        elif kind == 0xD and self._is_member(channel):
            self._members[channel].level = _pressed_level(first)
            self._express(channel, NOTE_LEVEL)
        elif kind == 0xD:
            self._set("vibrato", _controlled("vibrato", first))
        elif kind == 0xE:
            wheel = np.float32(first + second * 128 - 8192)
            wheel /= np.float32(8192 if wheel < 0 else 8191)
            if self._is_member(channel):
                self._members[channel].wheel = wheel
                self._express(channel, NOTE_BEND)
            else:
                self._set("pitch_wheel", float(wheel))

    def _is_member(self, channel: int) -> bool:
        lower, upper = self._n_members
        return 0 < channel <= lower or N_CHANNELS - 1 - upper <= channel < N_CHANNELS - 1

    def _expression(self, channel: int, kind: int) -> float:
        member = self._members[channel]
        if kind == NOTE_BEND:
            return float(member.wheel * _semitones(self._member_bend_range))
        return member.level if kind == NOTE_LEVEL else member.slide

    def _express(self, channel: int, kind: int) -> None:
        value = self._expression(channel, kind)
        self._events += [
            express(number, kind, value, self._offset) for number in self._members[channel].notes
        ]

    def _configure_zone(self, zone: int, n_members: int) -> None:
        self._n_members[zone] = min(n_members, N_CHANNELS - 1)
        left = max(0, N_CHANNELS - 2 - self._n_members[zone])
        self._n_members[1 - zone] = min(self._n_members[1 - zone], left)
        self._bend_range, self._member_bend_range = list(_MASTER_RANGE), list(_MEMBER_RANGE)
        for member in self._members:
            member.reset()
        if self._held:
            self._all_off(silence=False)
        self._set("bend_range", float(_semitones(self._bend_range)))

    def _note_on(self, channel: int, key: int, velocity: int) -> None:
        self._note_off(channel, key)  # in case the key is still held
        # Each note has its own id, because the key's last note may still be sounding.
        self._n_notes = self._n_notes % (FIRST_ID // N_HELD - 1) + 1
        number = FIRST_ID + self._n_notes * N_HELD + channel * N_KEYS + key
        self._held[channel, key] = number
        notes = self._members[channel].notes
        self._members[channel].notes = [number, *notes][:N_FOLLOWED]
        if self._is_member(channel):  # from the note's start
            for kind, initial in ((NOTE_BEND, 0.0), (NOTE_LEVEL, 1.0), (NOTE_SLIDE, 0.0)):
                value = self._expression(channel, kind)
                if value != initial:
                    self._events.append(express(number, kind, value, self._offset))
        program = self._programs[channel]
        timbre = self._timbre_of(program)
        pitch = float(key)
        if program is not None:
            step = self._semitones_per_key[program]
            pitch = _MIDDLE_KEY + step * (key - _MIDDLE_KEY) + self._transposes[program]
        level = float(np.float32(velocity) / np.float32(127))
        self._events.append(note_on(number, pitch, level, timbre, offset=self._offset))

    def _note_off(self, channel: int, key: int) -> None:
        number = self._held.pop((channel, key), None)
        if number is not None:
            self._events.append(note_off(number, self._offset))
            notes = self._members[channel].notes
            self._members[channel].notes = [one for one in notes if one != number]

    def _all_off(self, silence: bool) -> None:
        self._held.clear()
        for member in self._members:
            member.notes = []
        self._events.append(all_off(silence, self._offset))

    def _set(self, parameter: str, value: float) -> None:
        self._events.append(set_parameter(INDEX[parameter], value, offset=self._offset))

    def _control(self, channel: int, number: int, value: int) -> None:
        of_member = self._is_member(channel)
        if number in (98, 99):  # a manufacturer's parameter
            self._rpn = _NULL_RPN
        elif number == 100:
            self._rpn = self._rpn // 128 * 128 + value
        elif number == 101:
            self._rpn = self._rpn % 128 + value * 128
        elif number in (6, 38):
            if self._rpn == _BEND_RANGE and of_member:
                self._member_bend_range[number == 38] = value
            elif self._rpn == _BEND_RANGE:
                self._bend_range[number == 38] = value
                self._set("bend_range", float(_semitones(self._bend_range)))
            elif self._rpn == _ZONE and number == 6 and channel in (0, N_CHANNELS - 1):
                self._configure_zone(int(channel > 0), value)
        elif number == 120:
            self._all_off(silence=True)
        elif number == 121 and not of_member:
            for parameter in _RESET:
                self._set(parameter, ROWS[parameter]["initial"])
            self._rpn = _NULL_RPN
        elif number >= 123:  # 124 to 127 change modes, too
            self._all_off(silence=False)
        elif of_member:
            if number == _SLIDE:
                self._members[channel].slide = _controlled("macro_1", value)
                self._express(channel, NOTE_SLIDE)
        else:
            for name, row in ROWS.items():
                if row["controller"] == number:
                    self._set(name, _controlled(name, value))


def _pressed_level(pressure: int) -> float:
    """Gain of a note by its pressure, 0 to 127."""
    return float(np.float32(1) + np.float32(pressure) / np.float32(127))


def _semitones(bend_range: Sequence[int]) -> np.float32:
    semitones, cents = map(np.float32, bend_range)
    return min(semitones + cents / np.float32(100), np.float32(ROWS["bend_range"]["highest"]))


def _controlled(parameter: str, value: int) -> float:
    """Value of a parameter from that of its controller, 0 to 127; 64 is the middle."""
    if parameter == "sustain":
        return float(value >= 64)
    x = np.float32(value)
    share = x / np.float32(128) if value <= 64 else np.float32(0.5) + (x - 64) / np.float32(126)
    if parameter == "vibrato":
        return float(share * _MODULATION_DEPTH)
    lowest, highest = (np.float32(ROWS[parameter][end]) for end in ("lowest", "highest"))
    return float(lowest + share * (highest - lowest))
