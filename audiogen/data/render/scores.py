"""Rendering of MIDI scores into recordings of one instrument of a soundfont."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.files import check_sample_rate, resample
from audiogen.core.atomic_write import folder_written_whole
from audiogen.core.counting import counted
from audiogen.data.notes.nsynth import PEAK
from audiogen.data.render.midi_renderer import (
    RENDER_RATE,
    SILENT_PEAK,
    VOLUMES,
    is_clipped,
    louder_channel,
    midi_file,
    render_midi,
)
from audiogen.data.render.sf2 import FontPreset, SoundFont, read_soundfont
from audiogen.data.source_toml import RECORDINGS_TOML, toml_text
from audiogen.errors import MidiError, ParameterError
from audiogen.notes import DRUM_CHANNEL, Note, Score, read_midi

SUFFIXES = (".mid", ".midi", ".rmi", ".kar")
SILENCE_DB = -60.0  # relative to the piece's peak; a quieter end is cut
RING_S = 8.0  # longest decay after the last release

_LEAD_S = 0.1  # from the renderer's start to the first note; it is cut
_MIN_NOTE_S = 0.01  # a press and a release in one block of the renderer may be lost
_FADE_S = 0.01  # at the cut end
_CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)


@dataclass(frozen=True)
class Piece:
    """One rendered score.

    Parameters
    ----------
    file : str
        Path of the sound file relative to the output folder.
    score : str
        Name of the MIDI file.
    seconds : float
        Length of the recording.
    cut : bool
        Whether the score is longer than the limit.
    """

    file: str
    score: str
    seconds: float
    cut: bool


@dataclass(frozen=True)
class RenderedScores:
    """Result of `render_scores`.

    Parameters
    ----------
    pieces : tuple of Piece
        Rendered scores in the order of the arguments.
    left_out : tuple of (str, str)
        Name of a score that was not rendered, and the reason.
    """

    pieces: tuple[Piece, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def minutes(self) -> float:
        """Total length of the pieces."""
        return sum(piece.seconds for piece in self.pieces) / 60


def render_scores(
    scores: Sequence[str | PathLike[str]],
    folder: str | PathLike[str],
    *,
    font: str | PathLike[str],
    program: int = 0,
    sample_rate: int = 16000,
    longest_s: float = 240.0,
    licence: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> RenderedScores:
    """Render MIDI scores with one instrument of a soundfont, without effects.

    Notes, velocities, tempo and sustain pedal are those of the score; all channels play one
    program. Percussion, pitch bend, volume and expression are ignored. A piece begins with its
    first note and peaks at `PEAK`.

    Parameters
    ----------
    scores : sequence of paths
        MIDI files, and folders that are searched for them, subfolders included.
    folder : path
        New or empty folder for the wav files (mono, 16 bits) and source.toml. It gets the
        subfolders of the scores.
    font : path
        A `.sf2` file.
    program : int
        Program of the font's bank 0.
    sample_rate : int, Hz
        Sample rate of the recordings.
    longest_s : float, s
        Time at which a longer score is stopped; its last notes decay.
    licence : str, optional
        Licence of the font's sound; the default is the font's own statement.
    progress : callable, optional
        Function of (scores done, scores in all, name of the next one).

    Returns
    -------
    RenderedScores
        Unreadable, empty and silent scores are left out and listed.

    Raises
    ------
    ParameterError
        If there are no scores, the font lacks the program, or a number is out of range.
    MidiError
        If none of the scores can be rendered.
    FormatError
        If the font cannot be read.
    MissingPackageError
        If midirenderer is not installed.
    """
    import soundfile

    sample_rate = check_sample_rate(sample_rate)
    if not 1 <= longest_s <= 3600:
        raise ParameterError(f"longest_s={longest_s} must be from 1 to 3600 seconds")
    files = _find_scores(scores)
    sound = read_soundfont(font)
    [preset] = sound.choose([program])
    pieces: list[Piece] = []
    left_out: list[tuple[str, str]] = []
    with folder_written_whole(folder) as draft:
        for done, (path, name) in enumerate(files):
            if progress:
                progress(done, len(files), path.name)
            try:
                score = read_midi(path)
                waveform = render_score(sound, preset, score, sample_rate, longest_s)
            except MidiError as error:
                left_out.append((path.name, str(error).removeprefix(f"{path}: ")))
                continue
            file = draft / f"{name}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, waveform, sample_rate, "PCM_16")
            seconds = len(waveform) / sample_rate
            cut = _length_s(score) > longest_s
            pieces.append(Piece(f"{name}.wav", path.name, seconds, cut))
        if not pieces:
            name, why = left_out[0]
            raise MidiError(
                f"none of {counted(len(files), 'MIDI file')} can be rendered (first: {name}, {why})"
                "; give files with notes that the program plays"
            )
        rendered = RenderedScores(tuple(pieces), tuple(left_out))
        text = _source_toml(rendered, sound.origin(licence), preset, sample_rate)
        (draft / RECORDINGS_TOML).write_text(text, encoding="utf-8")
    if progress:
        progress(len(files), len(files), "")
    return rendered


def render_score(
    font: SoundFont,
    preset: FontPreset,
    score: Score,
    sample_rate: int = 16000,
    longest_s: float = 240.0,
) -> np.ndarray:
    """Render one score; see `render_scores`.

    Returns
    -------
    array [n_samples], float32
        Channel with more energy, with peak `PEAK` and without the silence at the end.

    Raises
    ------
    MidiError
        If nothing sounds, or so many notes sound at once that the renderer clips at any volume.
    MissingPackageError
        If midirenderer is not installed.
    FormatError
        If the renderer refuses the font.
    """
    notes = _within(score, longest_s)
    if not notes:
        raise MidiError("holds only percussion; give a score with pitched notes")
    for volume in VOLUMES:
        audio = render_midi(font, _midi(preset, notes, volume))
        if not is_clipped(audio):
            break
    else:
        raise MidiError("clips at the lowest volume; give a score with fewer notes at once")
    waveform = louder_channel(audio)[round(_LEAD_S * RENDER_RATE) :] / np.float32(32768)
    waveform = resample(waveform, RENDER_RATE, sample_rate)
    level = np.abs(waveform)
    peak = float(level.max(initial=0.0))
    if peak < SILENT_PEAK:
        raise MidiError(f"is silent with {preset.name!r}; choose another program")
    end = np.flatnonzero(level > peak * 10 ** (SILENCE_DB / 20))[-1] + 1
    waveform = waveform[:end] * np.float32(PEAK / peak)
    n_fade = min(round(_FADE_S * sample_rate), end)
    waveform[end - n_fade :] *= np.linspace(1, 0, n_fade, dtype=np.float32)
    return waveform


def _find_scores(scores: Sequence[str | PathLike[str]]) -> list[tuple[Path, str]]:
    """Return the MIDI files, each with a unique name for its piece."""
    if not scores:
        raise ParameterError("scores is empty; give MIDI files or folders of them")
    found: list[tuple[Path, Path]] = []
    for path in map(Path, scores):
        if path.is_dir():
            files = sorted(
                p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
            )
            if not files:
                raise ParameterError(
                    f"scores: the folder {path} holds no {', '.join(SUFFIXES)} files; "
                    "give one that does"
                )
            found += [(file, file.relative_to(path)) for file in files]
        elif path.exists():
            found.append((path, Path(path.name)))
        else:
            raise ParameterError(f"scores: {path} not found; give a MIDI file or a folder")
    names: dict[str, Path] = {}
    for path, relative in found:
        stem = name = relative.with_suffix("").as_posix()
        number = 1
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names[name] = path
    return [(path, name) for name, path in names.items()]


def _length_s(score: Score) -> float:
    """Return the time from the first pitched note's press to the last release."""
    notes = score.without_drums()
    return notes.duration_s - min((note.start_s for note in notes), default=0.0)


def _within(score: Score, longest_s: float) -> list[tuple[float, float, Note]]:
    """Return press and release, in seconds from the first press, of the pitched notes."""
    notes = score.without_drums().notes
    first_s = notes[0].start_s if notes else 0.0
    times = [(note.start_s - first_s, note.end_s - first_s, note) for note in notes]
    return [(on, min(off, longest_s), note) for on, off, note in times if on < longest_s]


def _midi(preset: FontPreset, notes: Iterable[tuple[float, float, Note]], volume: int) -> bytes:
    """Return a MIDI file in which no note ends another note of the same key.

    A release ends all notes of its key and channel, so overlapping notes of one key use different
    channels; the sixteenth of them is left out.
    """
    import mido

    free_s: dict[tuple[int, int], float] = {}  # release of a (channel, key)
    events: list[tuple[float, Any]] = []
    for on_s, off_s, note in notes:
        off_s = max(off_s, on_s + _MIN_NOTE_S)
        key = round(note.pitch)
        channel = next((c for c in _CHANNELS if free_s.get((c, key), 0.0) <= on_s), None)
        if channel is None:
            continue
        free_s[channel, key] = off_s
        velocity = max(1, round(127 * note.velocity))
        press = mido.Message("note_on", note=key, velocity=velocity, channel=channel)
        release = mido.Message("note_off", note=key, velocity=64, channel=channel)
        events += [(_LEAD_S + on_s, press), (_LEAD_S + off_s, release)]
    # Stable: notes are in order of their start, so a key is released before it is pressed again.
    events.sort(key=lambda event: event[0])
    used = sorted({channel for channel, _ in free_s})
    end_s = events[-1][0] + RING_S
    for channel in used:
        silence = mido.Message("control_change", control=120, value=0, channel=channel)
        events.append((end_s, silence))
    return midi_file(preset, events, volume, used)


def _source_toml(
    rendered: RenderedScores, origin: dict[str, object], preset: FontPreset, sample_rate: int
) -> str:
    """Return the source of the recordings and the settings, as TOML."""
    fields = origin | {
        "bank": preset.bank,
        "program": preset.program,
        "instrument": preset.name,
        "sample_rate": sample_rate,
        "peak": PEAK,
        "minutes": round(rendered.minutes, 2),
        "left_out": [f"{name}: {why}" for name, why in rendered.left_out],
    }
    tables = [
        {"file": piece.file, "score": piece.score, "seconds": round(piece.seconds, 2)}
        | ({"cut": True} if piece.cut else {})
        for piece in rendered.pieces
    ]
    return toml_text("Source of these recordings.", fields, "pieces", tables)
