"""Notes and scores: MIDI files, note strings and lists become timed events."""

from __future__ import annotations

import io
import math
import numbers
import os
import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from audiogen.errors import MidiError, ParameterError

DEFAULT_DURATION_S = 0.5
DEFAULT_VELOCITY = 0.8
DRUM_CHANNEL = 9  # General MIDI keeps channel 10, counted from 0 here, for percussion.
DEFAULT_TEMPO = 500_000  # microseconds per quarter note, until a file says otherwise

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"#": 1, "♯": 1, "b": -1, "♭": -1}


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
class Score:
    """Notes in order of their start.

    Parameters
    ----------
    notes : sequence of Note
        Sorted by start here; notes that start together keep their order.

    Examples
    --------
    >>> Score([Note(1.0, 0.5, 64), Note(0.0, 0.5, 60)]).notes[0].pitch
    60
    """

    notes: tuple[Note, ...] = field(default=())

    def __init__(self, notes: Iterable[Note] = ()) -> None:
        object.__setattr__(self, "notes", tuple(sorted(notes, key=lambda note: note.start_s)))

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
        return Score(note for note in self.notes if not note.is_drum)


ScoreLike = Union[Score, str, "os.PathLike[str]", Iterable["Note | Sequence[Any]"]]


def as_score(notes: ScoreLike) -> Score:
    """Turn anything that can be played into a score.

    Parameters
    ----------
    notes : Score, path, str, or iterable of Note or tuple
        A path, or a string that ends in ``.mid`` or ``.midi``, is a MIDI file; any other string
        is a note string (`parse_notes`). A tuple is ``(start_s, duration_s, pitch)`` with an
        optional velocity, program and channel after; its pitch may be a name such as ``"C4"``.

    Returns
    -------
    Score
        Of one note or more.

    Raises
    ------
    ParameterError
        If there are no notes or one of them can't be understood.
    MidiError
        If a MIDI file can't be read.

    Examples
    --------
    >>> as_score([(0.0, 1.0, "A4"), (1.0, 1.0, 60, 0.5)]).duration_s
    2.0
    """
    if isinstance(notes, Score):
        score = notes
    elif isinstance(notes, os.PathLike):
        return read_midi(notes)
    elif isinstance(notes, str):
        is_file = notes.lower().endswith((".mid", ".midi"))
        return read_midi(notes) if is_file else parse_notes(notes)
    elif isinstance(notes, Iterable):
        score = Score(_as_note(index, item) for index, item in enumerate(notes))
    else:
        raise ParameterError(
            f"notes={notes!r} can't be played; give a MIDI file, a string such as 'C4:0.5 E4', "
            "or a list of notes"
        )
    if not score.notes:
        raise ParameterError("notes has no notes; give at least one")
    return score


def music_of(notes: ScoreLike, if_drums_alone: str) -> tuple[Score, int]:
    """As `as_score`, less its drums, which no preset plays; and how many notes those are.

    Parameters
    ----------
    notes : Score, path, str, or iterable of Note or tuple
    if_drums_alone : str
        What is said if nothing else is there.

    Raises
    ------
    ParameterError, MidiError
    """
    score = as_score(notes)
    music = score.without_drums()
    if not music.notes:
        raise ParameterError(if_drums_alone)
    return music, len(score) - len(music)


def _as_note(index: int, item: Any) -> Note:
    if isinstance(item, Note):
        return item
    if isinstance(item, str) or not isinstance(item, Sequence) or not 3 <= len(item) <= 6:
        raise ParameterError(
            f"notes[{index}]={item!r} isn't a note; give a Note or a tuple "
            "(start_s, duration_s, pitch, velocity, program, channel) of which the first three "
            "are needed"
        )
    start_s, duration_s, pitch, *rest = item
    try:
        return Note(
            start_s, duration_s, parse_pitch(pitch) if isinstance(pitch, str) else pitch, *rest
        )
    except ParameterError as error:
        raise ParameterError(f"notes[{index}]: {error}") from error


def _check(name: str, value: Any, high: float, wanted: str, whole: bool = False) -> None:
    is_number = isinstance(value, numbers.Integral if whole else numbers.Real)
    if not is_number or not math.isfinite(value) or not 0 <= value <= high:
        raise ParameterError(f"{name}={value!r} isn't right; give {wanted}")


# --- Note strings -------------------------------------------------------------------------------

_PITCH = re.compile(
    r"(?:(?P<letter>[A-Ga-g])(?P<accidental>[#b♯♭]{0,2})(?P<octave>-?\d)|(?P<number>\d+(?:\.\d+)?))"
    r"(?P<cents>[+-]\d+(?:\.\d+)?)?"
)
_SUFFIX = r"(?P<suffix>(?:[:@]\d*\.?\d+)*)"
_TOKEN = re.compile(
    rf"\s*(?:(?P<bar>\|)|\[(?P<chord>[^\[\]]*)\]{_SUFFIX}(?=[\s|]|$)|(?P<word>[^\s|\[\]]+)(?=[\s|]|$))"
)
_WORD = re.compile(rf"(?P<pitch>[^:@]+){_SUFFIX}")


def parse_pitch(text: str) -> float:
    """Read a pitch: a note name or a MIDI number, with cents if wanted.

    Parameters
    ----------
    text : str
        ``C4`` (middle C, 60), ``F#3``, ``Bb-1``, ``60``, ``60.5``, ``A4+30`` (30 cents sharp).

    Returns
    -------
    float, MIDI number

    Raises
    ------
    ParameterError
        If it is neither, or out of MIDI's range.

    Examples
    --------
    >>> parse_pitch("Bb3"), parse_pitch("A4-50")
    (58.0, 68.5)
    """
    match = _PITCH.fullmatch(text.strip())
    if not match:
        raise ParameterError(
            f"pitch {text!r} can't be read; write a name and octave such as C4, F#3 or Bb2, or a "
            "MIDI number such as 60, with cents if wanted: C4+30"
        )
    if match["letter"]:
        pitch = 12.0 * (int(match["octave"]) + 1) + _SEMITONES[match["letter"].lower()]
        pitch += sum(_ACCIDENTALS[sign] for sign in match["accidental"])
    else:
        pitch = float(match["number"])
    pitch += float(match["cents"] or 0.0) / 100.0
    if not 0 <= pitch < 128:
        raise ParameterError(f"pitch {text!r} is {pitch:g}; MIDI has 0 (C-1) to 127 (G9)")
    return pitch


def pitch_name(pitch: float) -> str:
    """Write a MIDI number as `parse_pitch` reads it, to the nearest cent.

    Examples
    --------
    >>> pitch_name(60), pitch_name(68.5)
    ('C4', 'A4-50')
    """
    nearest = math.floor(pitch + 0.5)
    cents = round(100 * (pitch - nearest))
    return f"{_NAMES[nearest % 12]}{nearest // 12 - 1}" + (f"{cents:+d}" if cents else "")


def parse_notes(text: str) -> Score:
    """Read notes written as text, one after another.

    Parameters
    ----------
    text : str
        Words with spaces between. A pitch (see `parse_pitch`), ``r`` for a rest, or several
        pitches in brackets for a chord. After it, if wanted, ``:`` and a duration in seconds (the
        one before, or 0.5 at first) and ``@`` and a velocity from 0 to 1 (0.8). Bar lines ``|``
        are for the eye.

    Returns
    -------
    Score
        Of one note or more.

    Raises
    ------
    ParameterError
        If a word can't be read (it is named), or there are no notes.

    Examples
    --------
    >>> score = parse_notes("C4:0.5 E4 G4 C5:2 | r:1 [C4 E4 G4]:2@0.6")
    >>> len(score), score.duration_s
    (7, 6.5)
    """
    notes: list[Note] = []
    position, now_s, duration_s = 0, 0.0, DEFAULT_DURATION_S
    text = text.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if not token:
            raise ParameterError(
                f"notes can't be read from {text[position:].split()[0]!r} on; a chord is written "
                "[C4 E4 G4]:2, with spaces between words"
            )
        position = token.end()
        if token["bar"]:
            continue
        if token["chord"] is not None:
            duration_s, velocity = _read_suffix(token[0].strip(), token["suffix"], duration_s)
            if not token["chord"].strip():
                raise ParameterError("a chord [] is empty; write its pitches, or r for a rest")
            for word in token["chord"].split():
                pitch, own_duration, own_velocity = _read_word(word, None, velocity)
                if own_duration is not None:
                    raise ParameterError(
                        f"note {word!r} has a duration inside a chord; write it after the bracket"
                    )
                notes.append(Note(now_s, duration_s, parse_pitch(pitch), own_velocity))
        else:
            pitch, duration_s, velocity = _read_word(token["word"], duration_s, DEFAULT_VELOCITY)
            if pitch.lower() not in ("r", "rest"):
                notes.append(Note(now_s, duration_s, parse_pitch(pitch), velocity))
        now_s += duration_s
    if not notes:
        raise ParameterError(f"notes={text!r} has no notes; write at least one, such as C4:0.5")
    return Score(notes)


def _read_word(word: str, duration_s: Any, velocity: float) -> tuple[str, Any, float]:
    match = _WORD.fullmatch(word)
    if not match:
        raise ParameterError(
            f"note {word!r} can't be read; write pitch:seconds@velocity, such as C4:0.5@0.8"
        )
    return (match["pitch"], *_read_suffix(word, match["suffix"], duration_s, velocity))


def _read_suffix(
    word: str, suffix: str, duration_s: Any, velocity: float = DEFAULT_VELOCITY
) -> tuple[Any, float]:
    for sign, number in re.findall(r"([:@])([\d.]+)", suffix):
        if sign == ":":
            duration_s = float(number)
        else:
            velocity = float(number)
    if velocity > 1:
        raise ParameterError(f"note {word!r} has velocity {velocity:g}; give 0 to 1")
    if duration_s == 0:
        raise ParameterError(f"note {word!r} lasts 0 s; give a duration of more than 0")
    return duration_s, velocity


# --- MIDI files ---------------------------------------------------------------------------------


def read_midi(path: str | os.PathLike[str]) -> Score:
    """Read a standard MIDI file.

    Tempo changes count for all tracks, also in the middle of a note. A note that is let go while
    the sustain pedal (controller 64) is down lasts until the pedal comes up or the key is struck
    again. A program change holds for the notes after it; a track with program changes or pedal of
    its own keeps to them, any other follows its channel. Overlapping notes of one key are let go
    in the order they were struck. A note that is never let go ends at the last release of its key
    or, failing that, with the file. The patterns of a type 2 file play one after another. Pitch
    bend, sostenuto and soft pedal aren't read.

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
        notes = _notes_of_file(kind, division, tracks)
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from error
    if not notes:
        raise MidiError(f"{path}: holds no notes; give a MIDI file with at least one")
    return Score(notes)


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


def _notes_of_file(kind: int, division: int, tracks: list[list[tuple[int, Any]]]) -> list[Note]:
    if kind < 2:
        return _notes_of_tracks(_Clock(division, tracks), tracks, 0.0)
    notes: list[Note] = []
    start_s = 0.0
    for track in tracks:
        clock = _Clock(division, [track])
        notes += _notes_of_tracks(clock, [track], start_s)
        start_s += clock(track[-1][0]) if track else 0.0
    return notes


def _notes_of_tracks(
    clock: _Clock, tracks: list[list[tuple[int, Any]]], start_s: float
) -> list[Note]:
    """Notes of tracks that play together, `start_s` later than their own clock says."""
    last_tick = max((track[-1][0] for track in tracks if track), default=0)
    # A channel's program and pedal, from all tracks: for tracks that set none themselves.
    shared = sorted((event for track in tracks for event in track), key=lambda event: event[0])
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
