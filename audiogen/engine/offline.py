"""Rendering offline: scores and gates become timed events, and an engine makes blocks of them."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice
from threading import Event as ThreadEvent
from threading import get_ident
from typing import Any

import numpy as np

from audiogen.core import backend
from audiogen.core.events import (
    ALL_OFF,
    NOTE_BEND,
    NOTE_LEVEL,
    NOTE_ON,
    NOTE_SLIDE,
    PARAMETER,
    Event,
    all_off,
    event_array,
    express,
    note_off,
    note_on,
    set_parameter,
)
from audiogen.core.parameters import INDEX, PARAMETERS
from audiogen.engine.instrument import BLOCK
from audiogen.errors import ParameterError
from audiogen.notes import Control, Note, Score, as_score, expresses_notes, music_of
from audiogen.presets import Preset

MAX_VOICES = 4096  # voices of an engine
MOST_AHEAD = 64  # blocks of a stream that are read at once, ahead of the sum

Timed = tuple[int, Event]  # sample, and what happens there
Progress = Callable[[float], None]


def score_events(score: Score, sample_rate: int, timbre: int) -> list[Timed]:
    """All events of a score in order: at one sample note-offs, then parameters, then note-ons."""
    ranked: list[tuple[int, int, int, Event]] = []
    for i, note in enumerate(score.notes):
        start = round(note.start_s * sample_rate)
        # Even the shortest note starts before it is released.
        end = max(start + 1, round(note.end_s * sample_rate))
        ranked.append((end, 0, i, note_off(i)))
        ranked.append((start, 2, i, note_on(i, note.pitch, note.velocity, timbre)))
    if expresses_notes(score.controls):
        events = _expressed_events(score, sample_rate, ranked)
    else:
        for i, (time_s, event) in enumerate(control_events(score.controls)):
            ranked.append((round(time_s * sample_rate), 1, i, event))
        ranked.sort(key=lambda entry: entry[:3])
        events = [(sample, event) for sample, _, _, event in ranked]
    sustain = INDEX["sustain"]
    if any(event[1] == PARAMETER and event[2] == sustain for _, event in events):
        events.append((events[-1][0], set_parameter(sustain, 0.0)))  # else notes would never end
    return events


def _expressed_events(
    score: Score, sample_rate: int, notes: Sequence[tuple[int, int, int, Event]]
) -> list[Timed]:
    """Events of per-note controls, by the reader of live MIDI, which also gets the notes."""
    ranked: list[tuple[int, int, int, Event | None]] = [*notes]
    for i, control in enumerate(score.controls):
        ranked.append((round(control.time_s * sample_rate), 1, i, None))
    ranked.sort(key=lambda entry: entry[:3])
    reader = backend.load().MidiReader()
    numbers: dict[int, int] = {}  # number of a note in the score by its id in the reader
    events: list[Timed] = []
    for sample, _, i, event in ranked:
        if event is None:
            message = score.controls[i].message
        else:
            note = score.notes[i]
            velocity = 127 if event[1] == NOTE_ON else 0
            message = bytes((0x90 | note.channel, note.played_key, velocity))
        read = reader.read(message)
        numbers.update((int(one["id"]), i) for one in read if one["kind"] == NOTE_ON)
        for one in read:
            kind, id, value = int(one["kind"]), int(one["id"]), float(one["value"])
            if kind == PARAMETER:
                events.append((sample, set_parameter(id, value)))
            elif kind in (NOTE_BEND, NOTE_LEVEL, NOTE_SLIDE):
                events.append((sample, express(numbers[id], kind, value)))
            elif kind == ALL_OFF:  # a zone was configured while notes sounded
                events.append((sample, all_off(value > 0.0)))
        if event is not None:
            events.append((sample, event))
    return events


def control_events(controls: Sequence[Control]) -> Iterator[tuple[float, Event]]:
    """Time (s) and parameter event for each control of one channel, by the reader of live MIDI."""
    reader = backend.load().MidiReader()
    for control in controls:
        for event in reader.read(control.message):
            if event["kind"] == PARAMETER:
                yield control.time_s, set_parameter(int(event["id"]), float(event["value"]))


def highest_value(events: Sequence[Timed], parameter: str) -> float:
    """The highest value that events give to a parameter, at least its initial value."""
    index = INDEX[parameter]
    values = [event[5] for _, event in events if event[1] == PARAMETER and event[2] == index]
    return max([PARAMETERS[index].initial, *values])


def pitched_notes(notes: Any) -> Score:
    """A score without its drums; a warning counts them.

    Raises
    ------
    ParameterError, MidiError
        If there is nothing else, or the notes cannot be read.
    """
    music, n_drums = music_of(
        notes, "the score has only drum notes (channel 10), and no drum kit plays them"
    )
    if n_drums:
        warn_caller(f"{_drum_notes(n_drums)} left out; no drum kit plays them")
    return music


def kit_notes(notes: Any, kit: Preset) -> Score:
    """The drums of a score, or all its notes if none is for drums; warnings count the others.

    Raises
    ------
    ParameterError, MidiError
        If the kit has none of their keys, or the notes cannot be read.
    """
    score = as_score(notes)
    drums = [note for note in score.notes if note.is_drum] or list(score.notes)
    keys = {timbre.key for timbre in kit.timbres}
    wanted = [math.floor(note.pitch + 0.5) for note in drums]  # as the engine rounds
    played = [note for note, key in zip(drums, wanted, strict=True) if key in keys]
    if not played:
        raise ParameterError(f"no note has a key of kit {kit.name!r}, which are {_listed(keys)}")
    if missing := len(drums) - len(played):
        absent = _listed(set(wanted) - keys)
        warn_caller(f"{_drum_notes(missing)} left out; kit {kit.name!r} has no key {absent}")
    if others := len(score) - len(drums):
        are = "note is" if others == 1 else "notes are"
        warn_caller(
            f"{others} {are} left out; drum kit {kit.name!r} plays only the drums of a score"
        )
    return Score(played, score.controls)


def _drum_notes(n: int) -> str:
    return f"{n} drum note is" if n == 1 else f"{n} drum notes are"


def _listed(keys: Iterable[int | None]) -> str:
    return ", ".join(str(key) for key in sorted(filter(None, keys)))


def warn_caller(message: str) -> None:
    """Warn at the line outside of this package that asked for the audio."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("audiogen."):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, stacklevel=depth)


def pans(score: Score, presets: Iterable[Preset]) -> bool:
    """Whether a score's controls, or the places of a kit's drums, move notes from the middle."""
    if any(timbre.pan for preset in presets for timbre in preset.timbres):
        return True
    pan = INDEX["pan"]
    return any(
        event[2] == pan and event[5] != 0.0
        for part in score.by_channel()
        for _, event in control_events(part.controls)
    )


def voices_needed(notes: Sequence[Note], tail_s: float) -> int:
    """Voices that are enough for no note to be cut off, each sounding on after its end.

    Raises
    ------
    ParameterError
        If they are more than an engine has.
    """
    edges = sorted(
        [(note.start_s, 1) for note in notes] + [(note.end_s + tail_s, -1) for note in notes]
    )
    most = sounding = 0
    for _, change in edges:
        sounding += change
        most = max(most, sounding)
    if most > MAX_VOICES:
        raise ParameterError(
            f"{most} notes sound at once, with the tails after their ends; an engine has"
            f" {MAX_VOICES} voices: shorten the notes, or lift the pedal"
        )
    return max(1, most)


def rendered(
    engine: Any,
    events: Sequence[Timed],
    block: int = BLOCK,
    progress: Progress | None = None,
    least: int = 0,
    audio_input: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Blocks of an engine's output from its start to where nothing sounds any more.

    Parameters
    ----------
    engine : Engine of the backend
        Newly made.
    events : sequence of (int, Event)
        Samples in order, and what happens at each.
    block : int, samples
        Length of a block.
    progress : callable, optional
        Receives the share that is done, 0 to 1.
    least : int, samples
        Shortest output.
    audio_input : ndarray [n_samples, n_inputs], float32, optional
        Input from the start; silence follows.

    Yields
    ------
    ndarray [block, n_channels], float32
    """
    times = np.array([sample for sample, _ in events], np.int64)
    table = event_array([event for _, event in events])
    total = max(least, int(times[-1]) + 1 if len(times) else 0)
    done = upcoming = 0
    # To the end of the last voice, and of what the resampler still holds of it: its filter
    # reaches as far beyond the sound as it delays it.
    while done < total + 2 * engine.latency + 1:
        last = int(np.searchsorted(times, done + block))
        now = table[upcoming:last].copy()
        now["offset"] = times[upcoming:last] - done
        given = None
        if audio_input is not None and done < len(audio_input):
            given = np.zeros((block, audio_input.shape[1]), np.float32)
            here = audio_input[done : done + block]
            given[: len(here)] = here
        samples = engine.process(block, now, given)
        done, upcoming = done + block, last
        if engine.n_sounding or samples.any():
            total = max(total, done)
        if progress:
            progress(min(1.0, done / max(1, total)))
        yield samples


def trimmed(blocks: Iterator[np.ndarray], skip: int) -> Iterator[np.ndarray]:
    """Drop the first samples (latency) and the trailing silence."""
    held: list[np.ndarray] = []
    for block in blocks:
        sound, skip = block[skip:], max(0, skip - len(block))
        sounding = np.flatnonzero(sound.any(axis=1))
        end = sounding[-1] + 1 if len(sounding) else 0
        if end:
            yield np.concatenate([*held, sound[:end]])
            held = []
        held.append(sound[end:])


def sum_of_streams(
    streams: Sequence[Iterator[np.ndarray]], block: int, n_channels: int, threads: int = 1
) -> Iterator[np.ndarray]:
    """Blocks of several streams that begin together, added up.

    Parameters
    ----------
    streams : sequence of iterators of ndarray [n_samples] or [n_samples, n_channels]
        Streams, each of blocks of any length.
    block : int, samples
        Longest block of the sum.
    n_channels : int
        0 for blocks without a second axis.
    threads : int
        Streams that are read at the same time, ahead of the sum.
    """
    if len(streams) == 1:
        yield from streams[0]
    elif threads == 1:
        yield from _sum(streams, block, n_channels)
    else:
        pool, stop = ThreadPoolExecutor(min(threads, len(streams))), ThreadEvent()
        try:
            ahead = [iter(_ReadAhead(stream, pool, stop)) for stream in streams]
            yield from _sum(ahead, block, n_channels)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


class _ReadAhead:
    """Blocks of a stream, read on threads of a pool ahead of what is asked for.

    The first block is read alone; later ones in pieces, which are cheaper to hand over.
    """

    def __init__(self, stream: Iterator[np.ndarray], pool: Executor, stop: ThreadEvent):
        self._stream, self._pool, self._stop = stream, pool, stop
        self._reading = pool.submit(self._read, 1)

    def __iter__(self) -> Iterator[np.ndarray]:
        n = 1
        while True:
            blocks, error = self._reading.result()
            if blocks and error is None:
                n = min(2 * n, MOST_AHEAD)
                self._reading = self._pool.submit(self._read, n)
            yield from blocks
            if error is not None:
                raise error
            if not blocks:
                return

    def _read(self, n: int) -> tuple[list[np.ndarray], Exception | None]:
        """Up to ``n`` blocks, and what went wrong after them."""
        blocks: list[np.ndarray] = []
        try:
            for block in islice(self._stream, n):
                blocks.append(block)
                if self._stop.is_set():
                    break
        except Exception as error:
            return blocks, error
        return blocks, None


def _sum(
    streams: Sequence[Iterator[np.ndarray]], block: int, n_channels: int
) -> Iterator[np.ndarray]:
    nothing = joined((), n_channels)
    held = [nothing for _ in streams]
    while True:
        for i, stream in enumerate(streams):
            while len(held[i]) < block and (piece := next(stream, None)) is not None:
                held[i] = np.concatenate((held[i], piece))
        n_samples = min(block, max(map(len, held), default=0))
        mixed = np.zeros((n_samples, *nothing.shape[1:]), np.float32)
        if not len(mixed):
            return
        for i, sound in enumerate(held):
            mixed[: len(sound)] += sound[: len(mixed)]
            held[i] = sound[len(mixed) :]
        yield mixed


def or_silence(
    blocks: Iterable[np.ndarray], n_samples: int, block: int, n_channels: int
) -> Iterator[np.ndarray]:
    """Blocks [n, n_channels], or if there are none ``n_samples`` of silence."""
    is_silent = True
    for samples in blocks:
        is_silent = False
        yield samples
    if is_silent:
        for start in range(0, n_samples, block):
            yield np.zeros((min(block, n_samples - start), n_channels), np.float32)


def joined(blocks: Iterable[np.ndarray], n_channels: int) -> np.ndarray:
    """Blocks one after another; ``n_channels`` is for no blocks, 0 for one axis."""
    nothing = np.zeros((0, n_channels) if n_channels else 0, np.float32)
    made = list(blocks)
    return np.concatenate(made) if made else nothing


class SharedProgress:
    """Progress of a whole from that of its parts, each of a size.

    Only the thread that made it calls ``progress``: parts that other threads make are reported by
    `watched`.

    Parameters
    ----------
    progress : callable
        Receives the share that is done, 0 to 1.
    sizes : sequence of int
        Size of each part.
    """

    def __init__(self, progress: Progress, sizes: Sequence[int]):
        self._progress, self._sizes = progress, sizes
        self._shares = [0.0] * len(sizes)
        self._thread = get_ident()

    def part(self, number: int) -> Progress:
        """Return the progress function of a part."""

        def report(share: float) -> None:
            self._shares[number] = share
            if get_ident() == self._thread:
                self._report()

        return report

    def watched(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Report the progress at each block of the whole."""
        for block in blocks:
            self._report()
            yield block

    def _report(self) -> None:
        done = sum(s * n for s, n in zip(self._shares, self._sizes, strict=True))
        self._progress(done / max(1, sum(self._sizes)))


def change_level(samples: np.ndarray, gain_db: float, normalize: bool) -> np.ndarray:
    """Bring the peak to 1 if asked for, then change the level by a gain in dB."""
    if normalize and len(samples):
        samples = samples / max(float(np.abs(samples).max()), 1e-9)
    return (samples * np.float32(10.0 ** (gain_db / 20.0))).astype(np.float32)
