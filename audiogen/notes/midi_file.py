"""Reader of standard MIDI files."""

from __future__ import annotations

import os
import struct
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator

from audiogen.core.counting import counted
from audiogen.core.limited_read import read_limited
from audiogen.errors import FormatError, MidiError
from audiogen.notes.score import DRUM_CHANNEL, Control, Note, Score, zone_masters

MAX_FILE_BYTES = 16 << 20  # about 4 million events, which take a minute to read
DEFAULT_TEMPO = 500_000  # microseconds per quarter note, until a file sets a tempo

# Frames per second by the negative number that stands for them in a header.
_SMPTE_RATES = {-24: 24.0, -25: 25.0, -29: 30000 / 1001, -30: 30.0}

# Upper four bits of a channel event's status byte.
_NOTE_OFF, _NOTE_ON, _KEY_PRESSURE, _CONTROL, _PROGRAM, _PRESSURE, _BEND = range(0x8, 0xF)
_TEMPO, _END = 0x151, 0x12F  # stand for a status byte: meta events 0x51 and 0x2f
# Data bytes of system messages, which have no business in a file.
_SYSTEM_LENGTHS = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0} | dict.fromkeys(range(0xF8, 0xFF), 0)

_SUSTAIN, _ALL_SOUND_OFF, _RESET_ALL, _ALL_NOTES_OFF = 64, 120, 121, 123  # controllers
_VOLUME, _SLIDE = 7, 74
_DEFAULT_VOLUME = 100  # General MIDI's
# Controllers that become `Control`s: modulation, volume, pan, expression, release, attack, vibrato
# rate, pitch bend range (data entry and parameter numbers), reset.
_CONTROLLERS = {1, _VOLUME, 10, 11, 72, 73, 76, 6, 38, 98, 99, 100, 101, _RESET_ALL}

_Event = tuple[int, int, int, int]  # tick from the beginning, status byte, two data bytes
_Steps = list[tuple[int, int]]  # tick and new value of a program or pedal
_Stroke = tuple[int, int, int, int]  # key, tick of the press, tick of the release, velocity 1..127


def read_midi(path: str | os.PathLike[str]) -> Score:
    """Read a standard MIDI file.

    Tempo changes apply to all tracks, also in the middle of a note. A note released while the
    sustain pedal (controller 64) is down lasts until the pedal is released or the key is pressed
    again. A program change applies to the notes after it; a track with program changes or pedal
    events of its own uses them, any other track uses those of its channel. Overlapping notes of
    one key are released in the order of their note-ons. A note without a release ends at
    the last release of its key or, failing that, at the end of the file. The patterns of a type 2
    file play one after another.

    Pitch bend and its range, channel pressure, key pressure, modulation, volume, pan, expression,
    release (72), attack (73) and vibrato rate (76) become `Control`s of their channel, from all
    tracks. If any channel sets a volume, the others get General MIDI's default of 100. Portamento,
    sostenuto and soft pedal are ignored.

    In a zone of MPE (`zone_masters`), controller 74 is read, too, program changes and pedal of the
    master channel are those of its members, and channel 10 has no percussion.

    Parameters
    ----------
    path : path
        Type 0, 1 or 2, with musical or SMPTE time, of at most 16 MiB. Unknown chunks are skipped,
        and a RIFF wrapper (.rmi) is removed.

    Returns
    -------
    Score
        At least one note. Percussion (channel 10) is marked `is_drum`.

    Raises
    ------
    MidiError
        If the file is missing, too large, truncated or damaged, or holds no notes.

    References
    ----------
    MIDI Manufacturers Association, "Standard MIDI Files 1.0", RP-001, 1996.
    """
    try:
        data = bytes(read_limited(path, MAX_FILE_BYTES))
    except FormatError as error:
        raise MidiError(str(error)) from error
    try:
        file_type, division, chunks = _read_chunks(data)
        tracks = [_read_track(chunk, number) for number, chunk in enumerate(chunks, 1)]
        notes, controls = _read_file(file_type, division, tracks)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from error
    if not notes:
        raise MidiError(f"{path}: holds no notes; give a MIDI file with at least one")
    return Score(notes, controls)


def _read_chunks(data: bytes) -> tuple[int, int, list[bytes]]:
    """Return type, division (signed, as stored) and the bodies of the tracks."""
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[20 : 20 + int.from_bytes(data[16:20], "little")]
    if not data:
        raise MidiError("is empty; give a MIDI file")
    if data[:4] != b"MThd"[: len(data)]:
        raise MidiError(f"isn't a MIDI file: it begins with {data[:4].hex(' ')}, not with 'MThd'")
    chunks: list[tuple[bytes, bytes]] = []
    position = 0
    while position < len(data):
        name, size = data[position : position + 4], data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + int.from_bytes(size, "big")]
        if len(size) < 4 or len(body) < int.from_bytes(size, "big"):
            if len(chunks) > 1 and name[:1] != b"M"[: len(name)]:
                break  # not a chunk but bytes after the last one, which some programs write
            raise MidiError(
                f"is truncated: it ends inside a chunk that begins at byte {position}; "
                "copy or export it again"
            )
        chunks.append((name, body))
        position += 8 + len(body)
    header = chunks[0][1]
    if len(header) < 6:
        raise MidiError(f"has a header of {counted(len(header), 'byte')}; it must have 6")
    file_type, n_tracks, division = struct.unpack(">HHh", header[:6])
    if file_type > 2:
        raise MidiError(f"has type {file_type}; the type must be 0, 1 or 2")
    frames, ticks_per_frame = division >> 8, division & 0xFF
    if division == 0 or (division < 0 and (frames not in _SMPTE_RATES or ticks_per_frame == 0)):
        raise MidiError(f"has the invalid time division {division & 0xFFFF:#06x}; export it again")
    tracks = [body for name, body in chunks[1:] if name == b"MTrk"]
    if len(tracks) < n_tracks:
        raise MidiError(
            f"is truncated: it has {len(tracks)} of the {counted(n_tracks, 'track')} that its "
            "header announces; copy or export it again"
        )
    return file_type, division, tracks


def _read_track(body: bytes, number: int) -> list[_Event]:
    """Return the events of a track that matter here, its end among them."""
    try:
        return list(_parse_events(body))
    except IndexError:
        reason = "its last event is cut off"
    except MidiError as error:
        reason = str(error)
    raise MidiError(f"is damaged in track {number}: {reason}; export it again")


def _parse_events(body: bytes) -> Iterator[_Event]:
    position = tick = running_status = 0
    while position < len(body):
        delta, position = _read_number(body, position)
        tick += delta
        status = body[position]
        if status >= 0x80:
            position += 1
        elif running_status:
            status = running_status
        else:
            raise MidiError("a data byte without a status byte before it")
        if status < 0xF0:
            running_status = status
            first, second = body[position], 0
            position += 1
            if status < 0xC0 or status >= 0xE0:
                second = body[position]
                position += 1
            if first > 127 or second > 127:
                raise MidiError(f"data byte {max(first, second)}; data bytes must be 0 to 127")
            yield tick, status, first, second
        elif status in (0xF0, 0xF7, 0xFF):  # system exclusive and meta events
            kind = 0
            if status == 0xFF:
                kind = body[position]
                position += 1
            length, position = _read_number(body, position)
            data = body[position : position + length]
            if len(data) < length:
                raise IndexError
            position += length
            if kind == 0x51 and length == 3:
                yield tick, _TEMPO, int.from_bytes(data, "big"), 0
            elif kind == 0x2F:
                break
        elif status in _SYSTEM_LENGTHS:
            position += _SYSTEM_LENGTHS[status]
        else:
            raise MidiError(f"status byte {status:#x}, which MIDI does not define")
    yield tick, _END, 0, 0


def _read_number(body: bytes, position: int) -> tuple[int, int]:
    """Return a number of variable length, and the position after it."""
    byte = body[position]
    if byte < 0x80:  # most are
        return byte, position + 1
    number = 0
    for n_bytes in range(1, 5):
        byte = body[position + n_bytes - 1]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, position + n_bytes
    raise MidiError("a number longer than four bytes")


class _Clock:
    """Conversion of ticks to seconds by the tempo changes of some events, in order of time."""

    def __init__(self, division: int, events: list[_Event]) -> None:
        self._ticks, self._seconds = [0], [0.0]  # where each tempo begins
        if division < 0:
            ticks_per_s = _SMPTE_RATES[division >> 8] * (division & 0xFF)
            self._tick_s = [1.0 / ticks_per_s]
            return
        self._tick_s = [DEFAULT_TEMPO / 1e6 / division]
        for tick, status, tempo, _ in events:
            if status == _TEMPO and tempo > 0:
                self._seconds.append(self(tick))
                self._ticks.append(tick)
                self._tick_s.append(tempo / 1e6 / division)

    def __call__(self, tick: int) -> float:
        i = bisect_right(self._ticks, tick) - 1
        return self._seconds[i] + (tick - self._ticks[i]) * self._tick_s[i]


def _read_file(
    file_type: int, division: int, tracks: list[list[_Event]]
) -> tuple[list[Note], list[Control]]:
    notes: list[Note] = []
    controls: list[Control] = []
    masters: dict[int, int] = {}
    start_s = 0.0
    for group in [tracks] if file_type < 2 else [[track] for track in tracks]:
        merged = sorted((event for track in group for event in track), key=lambda event: event[0])
        clock = _Clock(division, merged)
        group_controls = _read_controls(clock, merged, start_s)
        masters |= zone_masters(group_controls)
        notes += _read_notes(clock, group, merged, start_s, masters)
        controls += [
            control
            for control in group_controls
            if control.channel in masters
            or not (control.message[0] >> 4 == _CONTROL and control.message[1] == _SLIDE)
        ]
        start_s += clock(merged[-1][0]) if merged else 0.0
    channels = {masters.get(note.channel, note.channel) for note in notes}
    return notes, [*_default_volumes(channels, controls), *controls]


def _default_volumes(channels: set[int], controls: list[Control]) -> Iterator[Control]:
    """Volumes of the channels that set none, if any channel does."""
    with_volume = {
        control.channel
        for control in controls
        if control.message[0] >> 4 == _CONTROL and control.message[1] == _VOLUME
    }
    if with_volume:
        for channel in sorted(channels - with_volume):
            message = bytes((_CONTROL << 4 | channel, _VOLUME, _DEFAULT_VOLUME))
            yield Control(0.0, channel, message)


def _read_controls(clock: _Clock, merged: list[_Event], start_s: float) -> list[Control]:
    return [
        Control(
            start_s + clock(tick),
            status & 15,
            bytes((status, first) if status >> 4 == _PRESSURE else (status, first, second)),
        )
        for tick, status, first, second in merged
        if (kind := status >> 4) in (_BEND, _PRESSURE, _KEY_PRESSURE)
        or (kind == _CONTROL and (first in _CONTROLLERS or first == _SLIDE))
    ]


def _read_notes(
    clock: _Clock,
    group: list[list[_Event]],
    merged: list[_Event],
    start_s: float,
    masters: dict[int, int],
) -> list[Note]:
    """Return the notes of tracks that play together.

    `merged` holds the events of all of them, `masters` the master channel of each channel of a
    zone.
    """
    last_tick = merged[-1][0] if merged else 0
    shared = _split_by_channel(merged)
    shared_programs = {channel: _read_programs(events) for channel, events in shared.items()}
    shared_pedals = {channel: _read_pedal(events) for channel, events in shared.items()}
    notes = []
    for track in group:
        for channel, own in sorted(_split_by_channel(track).items()):
            master = masters.get(channel, channel)
            programs = (
                _read_programs(own) or shared_programs[channel] or shared_programs.get(master, [])
            )
            pedal = _read_pedal(own) or shared_pedals[channel] or shared_pedals.get(master, [])
            for key, on, off, velocity in _sustain(_pair(own, last_tick), pedal, last_tick):
                on_s, off_s = clock(on), clock(off)
                notes.append(
                    Note(
                        start_s + on_s,
                        off_s - on_s,
                        key,
                        velocity / 127.0,
                        _value_at(programs, on),
                        channel,
                        channel == DRUM_CHANNEL and channel not in masters,
                    )
                )
    return notes


def _split_by_channel(events: list[_Event]) -> dict[int, list[_Event]]:
    channels: dict[int, list[_Event]] = {}
    for event in events:
        if event[1] < 0xF0:
            channels.setdefault(event[1] & 15, []).append(event)
    return channels


def _read_programs(events: list[_Event]) -> _Steps:
    return [(tick, first) for tick, status, first, _ in events if status >> 4 == _PROGRAM]


def _read_pedal(events: list[_Event]) -> _Steps:
    """Return 1 where the sustain pedal is pressed, 0 where it is lifted; empty without a pedal."""
    steps = [
        (tick, number, value)
        for tick, status, number, value in events
        if status >> 4 == _CONTROL and number in (_SUSTAIN, _RESET_ALL)
    ]
    if all(number == _RESET_ALL for _, number, _ in steps):
        return []
    return [(tick, int(number == _SUSTAIN and value >= 64)) for tick, number, value in steps]


def _value_at(steps: _Steps, tick: int) -> int:
    """Return the value that holds at a tick; 0 before the first step."""
    i = bisect_right(steps, tick, key=lambda step: step[0])
    return steps[i - 1][1] if i else 0


def _pair(events: list[_Event], last_tick: int) -> list[_Stroke]:
    """Match presses with releases; `events` belong to one channel of one track."""
    strokes: list[_Stroke] = []
    sounding: dict[int, deque[tuple[int, int]]] = {}
    last_release: dict[int, int] = {}
    for tick, status, key, velocity in events:
        kind = status >> 4
        if kind == _NOTE_ON and velocity > 0:
            sounding.setdefault(key, deque()).append((tick, velocity))
        elif kind in (_NOTE_ON, _NOTE_OFF):
            last_release[key] = tick
            if presses := sounding.get(key):
                on, velocity = presses.popleft()
                strokes.append((key, on, tick, velocity))
        elif kind == _CONTROL and key in (_ALL_SOUND_OFF, _ALL_NOTES_OFF):
            for key, presses in sounding.items():
                strokes += [(key, on, tick, velocity) for on, velocity in presses]
            sounding.clear()
    for key, presses in sounding.items():
        for on, velocity in presses:
            off = last_release.get(key, last_tick)
            strokes.append((key, on, off if off > on else last_tick, velocity))
    return sorted(strokes, key=lambda stroke: stroke[1])


def _sustain(strokes: list[_Stroke], pedal: _Steps, last_tick: int) -> Iterator[_Stroke]:
    """Extend the strokes that are released while the pedal is down."""
    lifts = [tick for tick, down in pedal if not down]
    presses: dict[int, list[int]] = {}
    for key, on, _, _ in strokes:
        presses.setdefault(key, []).append(on)
    for key, on, off, velocity in strokes:
        if _value_at(pedal, off):
            lift = bisect_left(lifts, off)
            again = bisect_right(presses[key], max(on, off - 1))
            off = min(
                lifts[lift] if lift < len(lifts) else max(last_tick, off),
                presses[key][again] if again < len(presses[key]) else max(last_tick, off),
            )
        yield key, on, off, velocity
