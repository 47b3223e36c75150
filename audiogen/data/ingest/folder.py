"""Conversion of a folder of samples into a note set, kept in a cache.

The folder is not changed. Each subfolder is an instrument. The set's report.json and report.png
describe the notes, and what was left out and why.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.files import check_sample_rate
from audiogen.audio.pitch import Tracker, best_tracker
from audiogen.core.atomic_write import folder_written_whole
from audiogen.data.file_search import find_sound_files, why_unreadable
from audiogen.data.ingest.cache import cache_folder, content_hash
from audiogen.data.ingest.extraction import ExtractedNote, LeftOut, extract_notes
from audiogen.data.ingest.labels import Label, find_table, labels_from_names, read_table
from audiogen.data.ingest.note_shape import shape_note
from audiogen.data.ingest.pitch_names import check_named_pitches
from audiogen.data.ingest.report import draw_report
from audiogen.data.notes.families import family_of_name
from audiogen.data.notes.nsynth import (
    NOTE_ON_S,
    NOTE_S,
    PEAK,
    SetWriter,
    is_note_set,
    read_notes,
)
from audiogen.data.notes.qualities import measure_qualities
from audiogen.data.notes.splits import FRACTIONS, SPLIT, Split, draw_split
from audiogen.data.source_toml import NOTES_TOML, folder_name, toml_text
from audiogen.errors import FormatError, ParameterError

VERSION = 2  # of the conversion; a new one invalidates the cache
REPORT, PICTURE = "report.json", "report.png"
LOWEST_KEY, HIGHEST_KEY = 12, 108  # MIDI numbers
NEAR_SEMITONES = 6  # a note's loudness is compared with notes of about its pitch
MIN_VELOCITY = 20  # that loudness gives
# Smallest range of an instrument's velocities. Below, each note gets a copy with this fraction of
# its velocity, because a network that never sees a velocity plays it arbitrarily.
MIN_VELOCITY_RANGE, SOFTER_COPY = 24, 0.4
MIN_CONFIDENCE = 0.5  # of a measured pitch; see `PitchTrack.pitch_between`


@dataclass(frozen=True)
class SampleSet:
    """Note set made from a folder of samples.

    Parameters
    ----------
    folder : Path
        Read-only folder in NSynth's layout, in the cache.
    report : dict
        Content of its report.json: source, counts, instruments, remarks, settings, notes and
        left_out.
    is_new : bool
        Whether the set was made by this call; otherwise it was in the cache.
    """

    folder: Path
    report: dict[str, Any]
    is_new: bool

    def copy_to(self, folder: str | PathLike[str]) -> None:
        """Copy the set into a new or empty folder, completely or not at all.

        Raises
        ------
        ParameterError
            If `folder` is not empty, or cannot be made.
        """
        with folder_written_whole(folder) as draft:
            shutil.copytree(self.folder, draft, dirs_exist_ok=True)


def ingest_samples(
    folder: str | PathLike[str],
    *,
    sample_rate: int = 32000,
    table: str | PathLike[str] | None = None,
    licence: str = "not stated",
    min_confidence: float = MIN_CONFIDENCE,
    tune: bool = True,
    seed: int = 0,
    tracker: Tracker | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> SampleSet:
    """Make a note set from a folder of samples, or find it in the cache.

    Parameters
    ----------
    folder : str or PathLike
        Folder of sound files in formats that libsndfile reads, subfolders included.
    sample_rate : int, Hz
        Sample rate of the notes.
    table : str or PathLike, optional
        Table ``file,pitch[,velocity][,instrument]``, see `labels.read_table`. The default is a
        .csv file in the folder whose first line has these names.
    licence : str
        Licence of the samples; it goes into presets that are trained on them.
    min_confidence : float, 0 to 1
        Confidence in a measured pitch below which a note is left out, unless its pitch is stated.
    tune : bool
        Whether to resample notes to the nearest semitone if their distance is known.
    seed : int
        Seed of split.json.
    tracker : "praat" or "pyin", optional
        Pitch tracker; `best_tracker` by default.
    progress : callable, optional
        Function of (files done, files in all, name of the next file).

    Returns
    -------
    SampleSet

    Raises
    ------
    FormatError
        If the folder is missing, already is a note set, or holds no usable note; if the table is
        invalid.
    ParameterError
        If a number is out of range.
    MissingPackageError
        If librosa, matplotlib or scipy is not installed.

    Notes
    -----
    Loudness: one gain per instrument, by which its loudest note peaks at 0.9, as in
    `render_soundfont`. A note that is d dB softer than the loudest of its instrument within half
    an octave has velocity ``127 * 10 ** (-d / 40)``, a soundfont's law, unless the table or its
    name states one. If all notes of an instrument are about equally loud, each gets a copy with
    0.4 of its velocity, 16 dB softer, so that a network can learn the effect of velocity.

    Length: see `note_shape.shape_note`.
    """
    folder = Path(folder)
    _check(folder, sample_rate, min_confidence)
    sounds, unreadable = find_sound_files(folder)
    table = find_table(folder) if table is None else Path(table)
    names = [path.relative_to(folder).as_posix() for path in sounds]
    from_table = read_table(table, names) if table else {}
    tracker = tracker or best_tracker()
    settings: dict[str, Any] = {
        "version": VERSION,
        "name": folder_name(folder),
        "sample_rate": sample_rate,
        "table": {name: asdict(label) for name, label in from_table.items()},
        "licence": licence,
        "min_confidence": min_confidence,
        "tune": tune,
        "seed": seed,
        "tracker": tracker,
        "unreadable": [path.relative_to(folder).as_posix() for path in unreadable],
    }
    place = cache_folder() / "notes" / content_hash(folder, sounds, settings)
    cached = _read_cached(place, is_new=False)
    if cached is not None:
        return cached

    left_out = [
        LeftOut(name, None, "not read", why_unreadable(name)) for name in settings["unreadable"]
    ]
    notes: list[ExtractedNote] = []
    from_names = labels_from_names(names)
    files_by_content: dict[bytes, str] = {}
    for index, (path, name) in enumerate(zip(sounds, names, strict=True)):
        if progress:
            progress(index, len(sounds), name)
        extracted, without = extract_notes(
            path,
            name,
            sample_rate,
            tracker,
            from_names[name],
            from_table.get(name, Label()),
            files_by_content,
        )
        notes += extracted
        left_out += without
    if progress:
        progress(len(sounds), len(sounds), "writing")
    remarks = check_named_pitches(notes)
    notes, without = _select_pitched(notes, min_confidence)
    left_out += without
    if not notes:
        raise FormatError(_nothing_left(folder, left_out))
    try:
        _write(place, notes, left_out, remarks, len(sounds) + len(unreadable), settings)
    except OSError:  # another process may have made the same set in the meantime
        if _read_cached(place, is_new=True) is None:
            raise
    made = _read_cached(place, is_new=True)
    assert made is not None
    return made


def _check(folder: Path, sample_rate: int, min_confidence: float) -> None:
    if is_note_set(folder):
        raise FormatError(
            f"{folder}: already is a set of notes; `audiogen train` reads it directly"
        )
    check_sample_rate(sample_rate)
    if not 0.0 <= min_confidence <= 1.0:
        raise ParameterError(f"min_confidence={min_confidence} must be from 0 to 1")


def _read_cached(place: Path, is_new: bool) -> SampleSet | None:
    """Return the set at a place in the cache, or None; an incomplete one is deleted."""
    if not place.is_dir():
        return None
    try:
        read_notes(place)
        report = json.loads((place / REPORT).read_text(encoding="utf-8"))
        return SampleSet(place, report, is_new)
    except (FormatError, OSError, ValueError):
        shutil.rmtree(place, ignore_errors=True)
        return None


def _select_pitched(
    notes: list[ExtractedNote], min_confidence: float
) -> tuple[list[ExtractedNote], list[LeftOut]]:
    """Separate the notes with a known pitch from the others."""
    kept: list[ExtractedNote] = []
    left_out: list[LeftOut] = []
    for note in notes:
        is_measured = not np.isnan(note.measured) and note.confidence >= min_confidence
        if note.pitch is None and not is_measured:
            why = (
                "has no pitch"
                if np.isnan(note.measured)
                else f"has an uncertain pitch (confidence {note.confidence:.0%})"
            )
            left_out.append(note.left_out("unpitched", f"{why}; its name or a table can state it"))
        elif not LOWEST_KEY <= (key := note.key) <= HIGHEST_KEY:
            why = f"has pitch {key}; it must be from {LOWEST_KEY} to {HIGHEST_KEY}"
            left_out.append(note.left_out("out of range", why))
        else:
            kept.append(note)
    return kept, left_out


def _nothing_left(folder: Path, left_out: Sequence[LeftOut]) -> str:
    shown = "; ".join(f"{entry.file} ({entry.why})" for entry in left_out[:3])
    return f"{folder}: holds no usable note; left out: {shown}"


def _write(
    place: Path,
    extracted: list[ExtractedNote],
    left_out: list[LeftOut],
    remarks: list[str],
    n_files: int,
    settings: dict[str, Any],
) -> None:
    """Write the set with its source, split and report."""
    rate = settings["sample_rate"]
    instruments = sorted({note.instrument for note in extracted})
    table: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    originals: list[str] = []
    copies: dict[str, str] = {}
    with SetWriter(place, rate) as writer:
        for index, instrument in enumerate(instruments):
            notes = [note for note in extracted if note.instrument == instrument]
            shown = instrument or settings["name"]
            family, source = family_of_name(shown)
            name = f"{family}_{source}_{index:03d}"
            shaped = [
                shape_note(note.tuned(rate, settings["tune"]), rate, note.key_hz) for note in notes
            ]
            gain = PEAK / max(float(np.abs(waveform).max()) for waveform, _ in shaped)
            velocities, needs_copies = _velocities(notes)
            for note, (waveform, shape), velocity in zip(notes, shaped, velocities, strict=True):
                sound = gain * waveform
                description: dict[str, Any] = {
                    "instrument": name,
                    "family": family,
                    "source": source,
                    "pitch": note.key,
                    "qualities": measure_qualities(sound, rate, NOTE_ON_S),
                }
                written = writer.add(sound, velocity=velocity, **description)
                originals.append(written)
                rows.append({"note": written} | note.row(velocity, shape, rate))
                if needs_copies:
                    soft = max(1, round(SOFTER_COPY * velocity))
                    copy = sound * np.float32((soft / velocity) ** 2)
                    copies[writer.add(copy, velocity=soft, **description)] = written
            keys = [note.key for note in notes]
            table.append(
                {
                    "instrument_str": name,
                    "name": shown,
                    "pitches": [min(keys), max(keys)],
                    "notes": len(notes),
                    "softer_copies": len(notes) if needs_copies else 0,
                    "gain_db": round(float(20.0 * np.log10(gain)), 2),
                }
            )
        split, remark = _split(writer, originals, copies, len(instruments), settings["seed"])
        if split is not None:
            writer.add_text(SPLIT, split.to_json())
        report = {
            "source": settings["name"],
            "counts": _counts(rows, left_out, n_files),
            "instruments": table,
            "remarks": [*remarks, remark],
            "settings": settings,
            "notes": rows,
            "left_out": [asdict(entry) for entry in left_out],
        }
        text = json.dumps(report, indent=1, ensure_ascii=False)
        writer.add_text(REPORT, os.fsencode(text).decode("utf-8", "replace"))  # file names
        writer.add_text(NOTES_TOML, _source_toml(report))
        draw_report(report, writer.draft / PICTURE)


def _velocities(notes: list[ExtractedNote]) -> tuple[list[int], bool]:
    """Return the velocity of each note of an instrument, and whether it needs softer copies."""
    loudest = [
        max(other.loudness_db for other in notes if abs(other.key - note.key) <= NEAR_SEMITONES)
        for note in notes
    ]
    velocities = [
        max(MIN_VELOCITY, round(127.0 * 10.0 ** ((note.loudness_db - top) / 40.0)))
        if note.velocity is None
        else note.velocity
        for note, top in zip(notes, loudest, strict=True)
    ]
    return velocities, max(velocities) - min(velocities) < MIN_VELOCITY_RANGE


def _split(
    writer: SetWriter, originals: list[str], copies: dict[str, str], n_instruments: int, seed: int
) -> tuple[Split | None, str]:
    """Split by instrument if there are enough, else by note; copies stay with their notes."""
    notes = writer.notes().take(originals)
    if n_instruments >= len(FRACTIONS):
        split = draw_split(writer.notes(), by="instrument", seed=seed)
        return split, f"split.json holds out whole instruments, drawn with seed {seed}"
    if len(notes) < len(FRACTIONS):
        return None, f"there is no split.json, because it needs {len(FRACTIONS)} notes or more"
    split = draw_split(notes, by="note", seed=seed)
    parts = {
        part: tuple(sorted({*names, *(copy for copy, of in copies.items() if of in names)}))
        for part, names in split.parts.items()
    }
    few = "is one instrument" if n_instruments == 1 else f"are only {n_instruments} instruments"
    remark = f"there {few}, so split.json holds out single notes, drawn with seed {seed}"
    return Split(split.by, seed, parts), remark


def _counts(rows: list[dict[str, Any]], left_out: list[LeftOut], n_files: int) -> dict[str, Any]:
    used = Counter(row["file"] for row in rows)
    return {
        "files": n_files,
        "files_used": len(used),
        "files_left_out": n_files - len(used),
        "notes": len(rows),
        "files_of_several_notes": sum(n > 1 for n in used.values()),
        "left_out": dict(Counter(entry.kind for entry in left_out)),
    }


def _source_toml(report: dict[str, Any]) -> str:
    """Return the source of the notes and the settings, as TOML."""
    settings = report["settings"]
    origin = {
        "font": report["source"],
        "licence": settings["licence"],
        "files": report["counts"]["files_used"],
        "note_s": NOTE_S,
        "note_on_s": NOTE_ON_S,
        "tracker": settings["tracker"],
        "min_confidence": settings["min_confidence"],
    }
    comment = "Source of the notes of this set; report.json describes each of them."
    return toml_text(comment, origin, "instruments", report["instruments"])
