"""MIDI scores become recordings of one instrument of a soundfont, dry, one wav a piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.files import check_sample_rate, resample
from audiogen.core.atomic_write import folder_written_whole
from audiogen.data.render.sf2 import FontPreset, SoundFont, read_soundfont
from audiogen.data.render.soundfont import (
    RENDER_RATE,
    SILENT_PEAK,
    VOLUMES,
    is_clipped,
    midi_file,
    render_midi,
)
from audiogen.data.source_toml import OF_RECORDINGS, toml_text
from audiogen.errors import MidiError, ParameterError
from audiogen.notes import DRUM_CHANNEL, Note, Score, read_midi

SUFFIXES = (".mid", ".midi", ".rmi", ".kar")
PEAK = 0.9  # of every piece
SILENCE_DB = -60.0  # below the piece's peak; what is quieter at its end is cut
RING_S = 8.0  # how long the last notes may ring on

_LEAD_S = 0.1  # from the renderer's start to the first note; cut off again
_SHORTEST_NOTE_S = 0.01  # a press and a release in one of the renderer's blocks may be lost
_FADE_S = 0.01  # at the end, where the cut would be heard otherwise
_CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)


@dataclass(frozen=True)
class Piece:
    """One rendered score.

    Parameters
    ----------
    file : str
        The wav, relative to the output folder.
    score : str
        The MIDI file's name.
    seconds : float
    cut : bool
        The score is longer than was wanted.
    """

    file: str
    score: str
    seconds: float
    cut: bool


@dataclass(frozen=True)
class RenderedScores:
    """What `render_scores` did.

    Parameters
    ----------
    pieces : tuple of Piece
    left_out : tuple of (str, str)
        Name of a score that isn't among them, and why.
    """

    pieces: tuple[Piece, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def minutes(self) -> float:
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
    """Render MIDI scores with one instrument of a soundfont.

    Notes, velocities, tempo and sustain pedal are the score's; every channel plays the one
    program. Percussion, pitch bend, volume and expression are left out. A piece begins with its
    first note and peaks at `PEAK`.

    Parameters
    ----------
    scores : sequence of paths
        MIDI files, and folders that are searched for them with their subfolders.
    folder : path
        Where the wavs (mono, 16 bits) and source.toml go; must be new or empty. Subfolders are
        kept.
    font : path
        A `.sf2` file.
    program : int
        Of the font's bank 0.
    sample_rate : int, Hz
    longest_s : float, s
        A longer score is stopped here; its last notes ring on.
    licence : str, optional
        Of the font's sound; None for what the font says of itself.
    progress : callable, optional
        Called with (scores done, scores in all, name) before each score and once at the end.

    Returns
    -------
    RenderedScores
        A score that can't be read, has no notes or makes no sound is left out and named.

    Raises
    ------
    ParameterError
        If there are no scores, the program isn't in the font, or a number is out of range.
    MidiError
        If not one of the scores can be rendered.
    FormatError
        If the font can't be read.
    MissingPackageError
        If midirenderer isn't installed.
    """
    import soundfile

    sample_rate = check_sample_rate(sample_rate)
    if not 1 <= longest_s <= 3600:
        raise ParameterError(f"longest_s={longest_s} must be from 1 to 3600 seconds")
    found = _find(scores)
    sound = read_soundfont(font)
    preset = _choose(sound, program)
    pieces: list[Piece] = []
    left_out: list[tuple[str, str]] = []
    with folder_written_whole(folder) as draft:
        for done, (path, name) in enumerate(found):
            if progress:
                progress(done, len(found), path.name)
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
                f"none of {len(found)} scores can be rendered (first: {name}, {why}); "
                "give MIDI files with notes that the program plays"
            )
        licence = (sound.licence or "not stated by the font") if licence is None else licence
        text = _source_toml(sound, preset, licence, sample_rate, pieces, left_out)
        (draft / OF_RECORDINGS).write_text(text, encoding="utf-8")
    if progress:
        progress(len(found), len(found), "")
    return RenderedScores(tuple(pieces), tuple(left_out))


def render_score(
    font: SoundFont,
    preset: FontPreset,
    score: Score,
    sample_rate: int = 16000,
    longest_s: float = 240.0,
) -> np.ndarray:
    """Render one score; see `render_scores`.

    Of the renderer's two channels the one with more energy is kept: the halves of a stereo
    recording summed would comb.

    Returns
    -------
    ndarray[n_samples], float32
        Peak `PEAK`, the silence at the end cut off.

    Raises
    ------
    MidiError
        If nothing sounds, or so many notes sound at once that the renderer clips at any volume.
    MissingPackageError
        If midirenderer isn't installed.
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
    left, right = (float(np.sum(np.square(audio[:, c], dtype=np.float64))) for c in (0, 1))
    waveform = audio[round(_LEAD_S * RENDER_RATE) :, 0 if left >= right else 1]
    waveform = waveform / np.float32(32768)
    waveform = resample(waveform, RENDER_RATE, sample_rate)
    level = np.abs(waveform)
    peak = float(level.max(initial=0.0))
    if peak < SILENT_PEAK:
        raise MidiError(f"makes no sound with {preset.name!r}; choose another program")
    end = np.flatnonzero(level > peak * 10 ** (SILENCE_DB / 20))[-1] + 1
    waveform = waveform[:end] * np.float32(PEAK / peak)
    n_fade = min(round(_FADE_S * sample_rate), end)
    waveform[end - n_fade :] *= np.linspace(1, 0, n_fade, dtype=np.float32)
    return waveform


def _find(scores: Sequence[str | PathLike[str]]) -> list[tuple[Path, str]]:
    """Return each MIDI file and the name of its piece, which no other one has."""
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
            raise ParameterError(f"scores: {path} doesn't exist; give a MIDI file or a folder")
    names: dict[str, Path] = {}
    for path, relative in found:
        stem = name = relative.with_suffix("").as_posix()
        number = 1
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names[name] = path
    return [(path, name) for name, path in names.items()]


def _choose(font: SoundFont, program: int) -> FontPreset:
    if (0, program) not in font.presets:
        present = sorted(number for bank, number in font.presets if bank == 0)
        raise ParameterError(
            f"program={program} isn't in bank 0 of {font.path.name}, which has {len(present)}: "
            f"{', '.join(map(str, present))}"
        )
    return font.presets[0, program]


def _length_s(score: Score) -> float:
    """Return the time from the first pitched note's press to the last one's release."""
    notes = score.without_drums()
    return notes.duration_s - min((note.start_s for note in notes), default=0.0)


def _within(score: Score, longest_s: float) -> list[tuple[float, float, Note]]:
    """Return press and release (s, from the first press) of the pitched notes up to an end."""
    notes = score.without_drums().notes
    first_s = notes[0].start_s if notes else 0.0
    times = [(note.start_s - first_s, note.end_s - first_s, note) for note in notes]
    return [(on, min(off, longest_s), note) for on, off, note in times if on < longest_s]


def _midi(preset: FontPreset, notes: Iterable[tuple[float, float, Note]], volume: int) -> bytes:
    """Return a MIDI file in which no note ends another one of the same key.

    A release lets go of a key whoever pressed it, so notes of one key that overlap go to
    different channels; the sixteenth of them is left out.
    """
    import mido

    free_s: dict[tuple[int, int], float] = {}  # when a (channel, key) is let go
    events: list[tuple[float, Any]] = []
    for on_s, off_s, note in notes:
        off_s = max(off_s, on_s + _SHORTEST_NOTE_S)
        key = round(note.pitch)
        channel = next((c for c in _CHANNELS if free_s.get((c, key), 0.0) <= on_s), None)
        if channel is None:
            continue
        free_s[channel, key] = off_s
        velocity = max(1, round(127 * note.velocity))
        press = mido.Message("note_on", note=key, velocity=velocity, channel=channel)
        release = mido.Message("note_off", note=key, velocity=64, channel=channel)
        events += [(_LEAD_S + on_s, press), (_LEAD_S + off_s, release)]
    # Stable: notes are in order of their start, so a key is let go before it is struck again.
    events.sort(key=lambda event: event[0])
    used = sorted({channel for channel, _ in free_s})
    end_s = events[-1][0] + RING_S
    for channel in used:
        silence = mido.Message("control_change", control=120, value=0, channel=channel)
        events.append((end_s, silence))
    return midi_file(preset, events, volume, used)


def _source_toml(
    font: SoundFont,
    preset: FontPreset,
    licence: str,
    sample_rate: int,
    pieces: Sequence[Piece],
    left_out: Sequence[tuple[str, str]],
) -> str:
    """Return where the recordings come from and how they were made, as TOML."""
    fields: dict[str, object] = {
        "font": font.name,
        "file": font.path.name,
        "licence": licence,
        "author": font.info.get("IENG", ""),
        "comment": font.info.get("ICMT", ""),
        "bank": preset.bank,
        "program": preset.program,
        "instrument": preset.name,
        "sample_rate": sample_rate,
        "peak": PEAK,
        "minutes": round(sum(piece.seconds for piece in pieces) / 60, 2),
        "left_out": [f"{name}: {why}" for name, why in left_out],
    }
    tables = [
        {"file": piece.file, "score": piece.score, "seconds": round(piece.seconds, 2)}
        | ({"cut": True} if piece.cut else {})
        for piece in pieces
    ]
    return toml_text("Where these recordings come from.", fields, "pieces", tables)
