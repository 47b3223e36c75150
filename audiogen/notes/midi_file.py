"""Standard MIDI files become scores."""

from __future__ import annotations

import io
import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiogen.errors import MidiError
from audiogen.notes.score import DRUM_CHANNEL, Control, Note, Score

DEFAULT_TEMPO = 500_000  # microseconds per quarter note, until a file says otherwise


def read_midi(path: str | os.PathLike[str]) -> Score:
    """Read a standard MIDI file.

    Tempo changes count for all tracks, also in the middle of a note. A note that is let go while
    the sustain pedal (controller 64) is down lasts until the pedal comes up or the key is struck
    again. A program change holds for the notes after it; a track with program changes or pedal of
    its own keeps to them, any other follows its channel. Overlapping notes of one key are let go
    in the order they were struck. A note that is never let go ends at the last release of its key
    or, failing that, with the file. The patterns of a type 2 file play one after another.

    Pitch wheels and their range, channel pressure, volume, pan and expression become `Control`s,
    of all tracks' channel together; where a channel has a volume, one that says none has General
    MIDI's 100. Modulation, portamento, sostenuto and soft pedal aren't read.

    Parameters
    ----------
    path : path
        Type 0, 1 or 2, musical or SMPTE time. Chunks that aren't MIDI are skipped, and a RIFF
        wrapper (.rmi) is taken off.

    Returns
    -------
    Score
        Of one note or more. Percussion (channel 10) is marked `is_drum`.

    Raises
    ------
    MidiError
        If the file is missing, truncated or damaged, or holds no notes.

    References
    ----------
    MIDI Manufacturers Association, "Standard MIDI Files 1.0", RP-001, 1996.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MidiError(f"{path}: can't be read ({error.strerror or error})") from error
    try:
        kind, division, chunks = _read_chunks(data)
        tracks = [_read_track(chunk, number) for number, chunk in enumerate(chunks, 1)]
        notes, controls = _read_file(kind, division, tracks)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from error
    if not notes:
        raise MidiError(f"{path}: holds no notes; give a MIDI file with at least one")
    return Score(notes, controls)


def _read_chunks(data: bytes) -> tuple[int, int, list[bytes]]:
    """Type, division (signed, as stored) and the bodies of the tracks."""
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[20 : 20 + int.from_bytes(data[16:20], "little")]
    if not data:
        raise MidiError("is empty; give a MIDI file")
    if data[:4] != b"MThd"[: len(data)]:
        raise MidiError(f"isn't a MIDI file (it begins with {data[:4]!r}, not b'MThd')")
    chunks: list[tuple[bytes, bytes]] = []
    position = 0
    while position < len(data):
        name, size = data[position : position + 4], data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + int.from_bytes(size, "big")]
        if len(size) < 4 or len(body) < int.from_bytes(size, "big"):
            if len(chunks) > 1 and name[:1] != b"M"[: len(name)]:
                break  # Not a chunk but bytes left behind the last one, which some programs write.
            raise MidiError(
                f"is truncated: it ends inside a chunk that begins at byte {position}; "
                "copy or export it again"
            )
        chunks.append((name, body))
        position += 8 + len(body)
    header = chunks[0][1]
    if len(header) < 6:
        raise MidiError(f"has a header of {len(header)} bytes; 6 are wanted")
    kind, n_tracks, division = struct.unpack(">HHh", header[:6])
    if kind > 2:
        raise MidiError(f"is of type {kind}; types 0, 1 and 2 can be read")
    frames, per_frame = division >> 8, division & 0xFF
    if division == 0 or (division < 0 and (frames not in _SMPTE_RATES or per_frame == 0)):
        raise MidiError(f"has a time division of {division & 0xFFFF:#06x}, which means nothing")
    tracks = [body for name, body in chunks[1:] if name == b"MTrk"]
    if len(tracks) < n_tracks:
        raise MidiError(
            f"is truncated: its header promises {n_tracks} tracks, {len(tracks)} are there; "
            "copy or export it again"
        )
    return kind, division, tracks


_LONGEST_DELTA = 0x0FFFFFFF  # ticks; what four bytes of seven bits can say


def _read_track(body: bytes, number: int) -> list[tuple[int, Any]]:
    """The messages of a track, each with its time in ticks from the beginning."""
    import mido
    from mido.midifiles.meta import KeySignatureError

    chunk = b"MTrk" + struct.pack(">L", len(body)) + body
    header = b"MThd" + struct.pack(">LHHh", 6, 0, 1, 96)
    try:
        messages = mido.MidiFile(file=io.BytesIO(header + chunk)).tracks[0]
    except (EOFError, OSError, ValueError, LookupError, TypeError, KeySignatureError) as error:
        reason = str(error) or "its last event is cut off"
        raise MidiError(f"is damaged in track {number}: {reason}; export it again") from error
    ticks, events = 0, []
    for message in messages:
        if message.time > _LONGEST_DELTA:
            raise MidiError(f"is damaged in track {number}: a wait of {message.time} ticks")
        ticks += message.time
        events.append((ticks, message))
        if message.type == "end_of_track":
            break
    return events


# Frames per second by the negative number that stands for them in a header.
_SMPTE_RATES = {-24: 24.0, -25: 25.0, -29: 30000 / 1001, -30: 30.0}


class _Clock:
    """Ticks to seconds, by the tempo changes of some tracks."""

    def __init__(self, division: int, tracks: list[list[tuple[int, Any]]]) -> None:
        if division < 0:
            ticks_per_s = _SMPTE_RATES[division >> 8] * (division & 0xFF)
            self.ticks, self.seconds, self.rates = [0], [0.0], [1.0 / ticks_per_s]
            return
        self.ticks, self.seconds = [0], [0.0]
        self.rates = [DEFAULT_TEMPO / 1e6 / division]
        changes = [
            event
            for track in tracks
            for event in track
            if event[1].type == "set_tempo" and event[1].tempo > 0
        ]
        for tick, message in sorted(changes, key=lambda event: event[0]):
            self.seconds.append(self(tick))
            self.ticks.append(tick)
            self.rates.append(message.tempo / 1e6 / division)

    def __call__(self, tick: int) -> float:
        i = bisect_right(self.ticks, tick) - 1
        return self.seconds[i] + (tick - self.ticks[i]) * self.rates[i]


def _read_file(
    kind: int, division: int, tracks: list[list[tuple[int, Any]]]
) -> tuple[list[Note], list[Control]]:
    notes: list[Note] = []
    controls: list[Control] = []
    start_s = 0.0
    for together in [tracks] if kind < 2 else [[track] for track in tracks]:
        clock = _Clock(division, together)
        # What moves a channel may stand in any track.
        shared = sorted((e for track in together for e in track), key=lambda event: event[0])
        notes += _notes_of_tracks(clock, together, shared, start_s)
        controls += _controls(clock, shared, start_s)
        start_s += max((clock(track[-1][0]) for track in together if track), default=0.0)
    loud = {c.channel for c in controls if c.message[0] >> 4 == 0xB and c.message[1] == _VOLUME}
    if loud:
        silent = {note.channel for note in notes} - loud
        controls += [Control(0.0, channel, _USUAL_VOLUME) for channel in sorted(silent)]
    return notes, controls


# Controllers that are read: volume, pan, expression; the range of the wheel; reset of all.
_VOLUME = 7
_CONTROLLERS = {_VOLUME, 10, 11, 6, 38, 98, 99, 100, 101, 121}
_USUAL_VOLUME = bytes((0xB0, _VOLUME, 100))


def _controls(clock: _Clock, shared: list[tuple[int, Any]], start_s: float) -> list[Control]:
    return [
        Control(start_s + clock(tick), message.channel, bytes(message.bytes()))
        for tick, message in shared
        if message.type in ("pitchwheel", "aftertouch")
        or (message.type == "control_change" and message.control in _CONTROLLERS)
    ]


def _notes_of_tracks(
    clock: _Clock,
    tracks: list[list[tuple[int, Any]]],
    shared: list[tuple[int, Any]],
    start_s: float,
) -> list[Note]:
    """Notes of tracks that play together, `start_s` later than their own clock says.

    Tracks without a program or pedal of their own have their channel's, of all events in `shared`.
    """
    last_tick = max((track[-1][0] for track in tracks if track), default=0)
    notes = []
    for track in tracks:
        for channel in sorted({m.channel for _, m in track if m.type == "note_on"}):
            own = _of_channel(track, channel)
            others = _of_channel(shared, channel)
            programs = _steps(_programs, own) or _steps(_programs, others)
            pedal = _steps(_pedal, own) or _steps(_pedal, others)
            for key, on, off, velocity in _hold(_pair(own, last_tick), pedal, last_tick):
                begin_s, end_s = clock(on), clock(off)
                notes.append(
                    Note(
                        start_s + begin_s,
                        end_s - begin_s,
                        key,
                        velocity / 127.0,
                        _value_at(programs, on, 0),
                        channel,
                        channel == DRUM_CHANNEL,
                    )
                )
    return notes


def _of_channel(track: list[tuple[int, Any]], channel: int) -> list[tuple[int, Any]]:
    return [e for e in track if not e[1].is_meta and getattr(e[1], "channel", None) == channel]


def _programs(message: Any) -> int | None:
    return message.program if message.type == "program_change" else None


def _pedal(message: Any) -> int | None:
    """1 when the message presses the sustain pedal, 0 when it lifts it."""
    if message.type != "control_change":
        return None
    if message.control == 64:
        return int(message.value >= 64)
    return 0 if message.control == 121 else None  # 121: reset all controllers


def _steps(read: Any, events: list[tuple[int, Any]]) -> list[tuple[int, int]]:
    """(tick, value) of each message that `read` finds a value in."""
    return [(tick, value) for tick, message in events if (value := read(message)) is not None]


def _value_at(steps: list[tuple[int, int]], tick: int, default: int) -> int:
    i = bisect_right(steps, tick, key=lambda step: step[0])
    return steps[i - 1][1] if i else default


_Stroke = tuple[int, int, int, int]  # key, tick of the press, tick of the release, velocity 1..127


def _pair(events: list[tuple[int, Any]], last_tick: int) -> list[_Stroke]:
    """Match presses with releases; `events` are one channel of one track."""
    strokes: list[_Stroke] = []
    sounding: dict[int, list[tuple[int, int]]] = {}
    releases: dict[int, int] = {}  # last release of each key
    for tick, message in events:
        if message.type == "note_on" and message.velocity > 0:
            sounding.setdefault(message.note, []).append((tick, message.velocity))
        elif message.type in ("note_on", "note_off"):
            releases[message.note] = tick
            if sounding.get(message.note):
                on, velocity = sounding[message.note].pop(0)
                strokes.append((message.note, on, tick, velocity))
        elif message.type == "control_change" and message.control in (120, 123):
            # 120: all sound off, 123: all notes off
            for key, presses in sounding.items():
                strokes += [(key, on, tick, velocity) for on, velocity in presses]
            sounding.clear()
    for key, presses in sounding.items():
        for on, velocity in presses:
            off = releases.get(key, last_tick)
            strokes.append((key, on, off if off > on else last_tick, velocity))
    return sorted(strokes, key=lambda stroke: stroke[1])


def _hold(
    strokes: list[_Stroke], pedal: list[tuple[int, int]], last_tick: int
) -> Iterator[_Stroke]:
    """Lengthen the strokes that are let go while the pedal is down."""
    lifts = [tick for tick, down in pedal if not down]
    presses: dict[int, list[int]] = {}
    for key, on, _, _ in strokes:
        presses.setdefault(key, []).append(on)
    for key, on, off, velocity in strokes:
        if _value_at(pedal, off, 0):
            lift = bisect_left(lifts, off)
            again = bisect_right(presses[key], max(on, off - 1))
            off = min(
                lifts[lift] if lift < len(lifts) else max(last_tick, off),
                presses[key][again] if again < len(presses[key]) else max(last_tick, off),
            )
        yield key, on, off, velocity
