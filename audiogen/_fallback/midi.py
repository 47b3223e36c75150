"""Live MIDI: bytes from a keyboard become calls of a player."""

from __future__ import annotations

from typing import Any

from audiogen.core.parameters import INDEX, PARAMETERS, Parameter

_DATA_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}  # by the upper half byte
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_BY_CONTROLLER = {p.controller: p for p in PARAMETERS if p.controller >= 0}
# What controller 121 puts back, and what it leaves alone (volume, pan, ...): MIDI's RP-015.
_RESET = [PARAMETERS[INDEX[n]] for n in ("bend", "vibrato", "sustain", "morph", "expression")]
LARGEST_BEND = PARAMETERS[INDEX["bend"]].highest  # semitones
_NULL_RPN = (127, 127)
_BEND_RANGE = (0, 0)


class MidiReader:
    """Reads a stream of MIDI, cut anywhere, all channels alike.

    Notes, pitch wheel, channel pressure, the controllers of the parameter table, programs, all
    notes off (123), all sound off (120) and reset (121) do what they say. Running status is
    understood; system exclusive and the clock are passed over.
    """

    def __init__(self) -> None:
        self._status = 0  # of the message under way or, running, of the next
        self._data: list[int] = []
        self._rpn: tuple[int, int] = _NULL_RPN
        self._bend_range = [2, 0]  # semitones, cents; registered parameter 0 changes them
        self._wheel = 0.0  # -1 to 1

    def feed(self, data: bytes, player: Any) -> None:
        """Let a player do what the messages say that end within these bytes."""
        for byte in data:
            if byte >= 0xF8:  # clock and the like may come within other messages
                if byte == 0xFF:
                    player.all_off(silence=True)
            elif byte >= 0x80:
                self._status, self._data = byte, []
            elif self._status:
                self._take(byte, player)

    def _take(self, byte: int, player: Any) -> None:
        if self._status >= 0xF0:
            wanted = _SYSTEM_BYTES.get(self._status, 0)  # 0: up to the next status
        else:
            wanted = _DATA_BYTES[self._status >> 4]
        self._data.append(byte)
        if len(self._data) < wanted:
            return
        data, self._data = self._data, []
        if self._status < 0xF0:
            self._do(player, self._status >> 4, *data)
        elif wanted:
            self._status = 0  # system messages don't run on

    def _do(self, player: Any, kind: int, first: int, second: int = 0) -> None:
        if kind == 0x9 and second > 0:
            player.note_on(first, second / 127.0)
        elif kind in (0x8, 0x9):
            player.note_off(first)
        elif kind == 0xB:
            self._control(player, first, second)
        elif kind == 0xC:
            player.program(first)
        elif kind == 0xD:
            player.set("vibrato", _controlled(PARAMETERS[INDEX["vibrato"]], first))
        elif kind == 0xE:
            wheel = first + (second << 7) - 8192
            self._wheel = wheel / 8192.0 if wheel < 0 else wheel / 8191.0
            self._bend(player)

    def _control(self, player: Any, number: int, value: int) -> None:
        if number in _BY_CONTROLLER:
            player.set(_BY_CONTROLLER[number].name, _controlled(_BY_CONTROLLER[number], value))
        elif number in (98, 99):  # of a manufacturer
            self._rpn = _NULL_RPN
        elif number in (100, 101):
            self._rpn = (self._rpn[0], value) if number == 100 else (value, self._rpn[1])
        elif number in (6, 38) and self._rpn == _BEND_RANGE:
            self._bend_range[number == 38] = value
            if self._wheel:
                self._bend(player)
        elif number == 120:
            player.all_off(silence=True)
        elif number >= 123:  # 124 to 127 change modes, and let all notes go
            player.all_off()
        elif number == 121:
            for parameter in _RESET:
                player.set(parameter.name, parameter.initial)
            self._rpn, self._wheel = _NULL_RPN, 0.0

    def _bend(self, player: Any) -> None:
        semitones, cents = self._bend_range
        player.set("bend", self._wheel * min(semitones + cents / 100.0, LARGEST_BEND))


def _controlled(parameter: Parameter, value: int) -> float:
    """What a controller's value, 0 to 127, says; 64 is the middle."""
    if parameter.name == "sustain":
        return float(value >= 64)
    part = value / 128.0 if value <= 64 else 0.5 + (value - 64) / 126.0
    return parameter.lowest + part * (parameter.highest - parameter.lowest)
