"""A folder of a musician's own samples becomes a set of notes in NSynth's layout, kept in a cache.

Nothing in the folder is changed. Each subfolder is an instrument. What was found and what was left
out, and why, is in the set's report.json and report.png.
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
from audiogen.audio.pitch import best_tracker
from audiogen.core.atomic_write import folder_written_whole
from audiogen.data.file_search import sounds_in, why_not_read
from audiogen.data.ingest.cache import cache_folder, content_hash
from audiogen.data.ingest.extraction import Found, LeftOut, find_in_file
from audiogen.data.ingest.labels import find_table, read_table
from audiogen.data.ingest.note_shape import shape_note
from audiogen.data.ingest.pitch_names import family_of_name, settle_pitches
from audiogen.data.ingest.report import draw_report
from audiogen.data.notes.nsynth import EXAMPLES, SetWriter, read_notes
from audiogen.data.notes.qualities import measure_qualities
from audiogen.data.notes.splits import FRACTIONS, SPLIT, Split, draw_split
from audiogen.data.render.soundfont import NOTE_ON_S, NOTE_S, PEAK
from audiogen.data.source_toml import OF_NOTES, toml_text
from audiogen.errors import FormatError, ParameterError

VERSION = 1  # of what is made of a folder; a new one makes every set anew
REPORT, PICTURE = "report.json", "report.png"
NEAR_SEMITONES = 6  # a note is soft or loud beside those of about its pitch
FAINTEST_VELOCITY = 20  # that loudness alone makes
FEWEST_DYNAMICS = 24  # between softest and loudest velocity; below, softer copies are added
SOFTER = 0.4  # of a note's velocity: that of its copy
MIN_CONFIDENCE = 0.5  # see `pitch_track.PitchTrack.between`


@dataclass(frozen=True)
class SampleSet:
    """A set that was made of a folder of samples.

    Parameters
    ----------
    folder : Path
        In NSynth's layout, in the cache; to be read, not written to.
    report : dict
        What is in its report.json: counts, instruments, notes, left_out and remarks.
    fresh : bool
        Whether it was made now; else it was in the cache.
    """

    folder: Path
    report: dict[str, Any]
    fresh: bool

    def copy_to(self, folder: str | PathLike[str]) -> None:
        """Copy the set into a new or empty folder: the whole of it or nothing.

        Raises
        ------
        ParameterError
            If `folder` has something in it, or can't be made.
        """
        with folder_written_whole(folder) as draft:
            shutil.copytree(self.folder, draft, dirs_exist_ok=True)


def ingest_samples(
    folder: str | PathLike[str],
    *,
    sample_rate: int = 16000,
    table: str | PathLike[str] | None = None,
    licence: str = "not stated",
    min_confidence: float = MIN_CONFIDENCE,
    tune: bool = True,
    seed: int = 0,
    tracker: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> SampleSet:
    """Make a set of notes of a folder of samples, or find it in the cache.

    Parameters
    ----------
    folder : str or PathLike
        Of sound files of any kind that libsndfile reads, subfolders included.
    sample_rate : int, Hz
        Of the notes.
    table : str or PathLike, optional
        ``file,pitch[,velocity][,instrument]``, see `labels.read_table`; by default a .csv file in
        the folder whose first line says so.
    licence : str
        Of the samples; goes into presets that are trained on them.
    min_confidence : float, 0 to 1
        Of a pitch that nobody stated; notes below are left out.
    tune : bool
        Whether notes are brought to the nearest semitone, by resampling, where it is known how
        far away they are.
    seed : int
        Of split.json.
    tracker : "praat" or "pyin", optional
        What finds pitches; `pitch_track.best_tracker` by default.
    progress : callable, optional
        Called with (files done, files in all, name).

    Returns
    -------
    SampleSet

    Raises
    ------
    FormatError
        If the folder is missing, already is a set of notes, or holds no note that can be used; if
        the table is wrong.
    ParameterError
        If a number is out of range.

    Notes
    -----
    Loudness: one gain for each instrument, by which its loudest note peaks at 0.9, as
    `render_soundfont` does. A note's velocity is ``127 * 10 ** (-d / 40)`` where it is d dB softer
    than the loudest of its instrument within half an octave (a soundfont's law), unless the table
    or its name states one. Where all notes of an instrument are about as loud, each gets a copy
    with 0.4 of its velocity, 16 dB softer, so that a network can learn what velocity means.

    Length: see `note_shape.shape_note`.
    """
    folder = Path(folder)
    _check(folder, sample_rate, min_confidence)
    sounds, strange = sounds_in(folder)
    table = find_table(folder) if table is None else Path(table)
    names = [path.relative_to(folder).as_posix() for path in sounds]
    labels = read_table(table, names) if table else {}
    settings: dict[str, Any] = {
        "version": VERSION,
        "name": folder.resolve().name,
        "sample_rate": sample_rate,
        "table": {name: asdict(label) for name, label in labels.items()},
        "licence": licence,
        "min_confidence": min_confidence,
        "tune": tune,
        "seed": seed,
        "tracker": tracker or best_tracker(),
        "strange": [path.relative_to(folder).as_posix() for path in strange],
    }
    place = cache_folder() / "notes" / content_hash(folder, sounds, settings)
    cached = _cached(place)
    if cached is not None:
        return cached

    left_out = [LeftOut(name, None, "not read", why_not_read(name)) for name in settings["strange"]]
    found: list[Found] = []
    seen: dict[bytes, str] = {}
    for index, (path, name) in enumerate(zip(sounds, names, strict=True)):
        if progress:
            progress(index, len(sounds), name)
        notes, without = find_in_file(
            path, name, sample_rate, settings["tracker"], labels.get(name), seen
        )
        found += notes
        left_out += without
    if progress:
        progress(len(sounds), len(sounds), "writing")
    remarks = settle_pitches(found)
    found, unpitched = _pitched(found, min_confidence)
    left_out += unpitched
    if not found:
        raise FormatError(_nothing_left(folder, left_out))
    try:
        _write(place, folder, found, left_out, remarks, len(sounds) + len(strange), settings)
    except OSError:  # another process has made the same in the meantime
        if _cached(place) is None:
            raise
    made = _cached(place)
    assert made is not None
    return SampleSet(made.folder, made.report, True)


def is_set(folder: str | PathLike[str]) -> bool:
    """Return whether a folder already is a set of notes in NSynth's layout."""
    return (Path(folder) / EXAMPLES).is_file()


def _check(folder: Path, sample_rate: int, min_confidence: float) -> None:
    if is_set(folder):
        raise FormatError(
            f"{folder}: already is a set of notes; `audiogen train` takes it as it is"
        )
    check_sample_rate(sample_rate)
    if not 0.0 <= min_confidence <= 1.0:
        raise ParameterError(f"min_confidence={min_confidence} must be from 0 to 1")


def _cached(place: Path) -> SampleSet | None:
    """The set at a place in the cache, if it is whole; what isn't is thrown away."""
    if not place.is_dir():
        return None
    try:
        read_notes(place)
        report = json.loads((place / REPORT).read_text(encoding="utf-8"))
        return SampleSet(place, report, False)
    except (FormatError, OSError, ValueError):
        shutil.rmtree(place, ignore_errors=True)
        return None


def _pitched(found: list[Found], min_confidence: float) -> tuple[list[Found], list[LeftOut]]:
    """Part the notes whose pitch is known from the others."""
    kept: list[Found] = []
    left_out: list[LeftOut] = []
    for note in found:
        heard = not np.isnan(note.measured) and note.confidence >= min_confidence
        if note.pitch is None and not heard:
            why = (
                "no pitch is heard in it"
                if np.isnan(note.measured)
                else f"its pitch is too unsure ({note.confidence:.0%})"
            )
            left_out.append(note.left_out("unpitched", f"{why}; its name or a table can say it"))
        elif not 12 <= (key := note.key) <= 108:
            left_out.append(note.left_out("out of range", f"its pitch, {key}, isn't 12 to 108"))
        else:
            kept.append(note)
    return kept, left_out


def _nothing_left(folder: Path, left_out: Sequence[LeftOut]) -> str:
    shown = "; ".join(f"{entry.file} ({entry.why})" for entry in left_out[:3])
    return f"{folder}: holds no note that can be used; left out: {shown}"


def _write(
    place: Path,
    folder: Path,
    found: list[Found],
    left_out: list[LeftOut],
    remarks: list[str],
    n_files: int,
    settings: dict[str, Any],
) -> None:
    """Write the set, its source, its split and its report."""
    rate = settings["sample_rate"]
    instruments = sorted({note.instrument for note in found})
    table: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    originals: list[str] = []
    copies: dict[str, str] = {}
    with SetWriter(place, rate) as writer:
        for index, instrument in enumerate(instruments):
            notes = [note for note in found if note.instrument == instrument]
            shown = instrument or folder.resolve().name
            family, source = family_of_name(shown)
            name = f"{family}_{source}_{index:03d}"
            shaped = [
                shape_note(note.tuned(rate, settings["tune"]), rate, note.hz) for note in notes
            ]
            gain = PEAK / max(float(np.abs(waveform).max()) for waveform, _ in shaped)
            velocities, softer = _velocities(notes)
            for note, (waveform, how), velocity in zip(notes, shaped, velocities, strict=True):
                sound = gain * waveform
                described: dict[str, Any] = {
                    "instrument": name,
                    "family": family,
                    "source": source,
                    "pitch": note.key,
                    "qualities": measure_qualities(sound, rate, NOTE_ON_S),
                }
                written = writer.add(sound, velocity=velocity, **described)
                originals.append(written)
                rows.append({"note": written} | note.row(velocity, how, rate))
                if softer:
                    soft = max(1, round(SOFTER * velocity))
                    fainter = sound * np.float32((soft / velocity) ** 2)
                    copies[writer.add(fainter, velocity=soft, **described)] = written
            keys = [note.key for note in notes]
            table.append(
                {
                    "instrument_str": name,
                    "name": shown,
                    "pitches": [min(keys), max(keys)],
                    "notes": len(notes),
                    "softer_copies": len(notes) if softer else 0,
                    "gain_db": round(float(20.0 * np.log10(gain)), 2),
                }
            )
        split, said = _split(writer, originals, copies, len(instruments), settings["seed"])
        if split is not None:
            writer.add_text(SPLIT, split.to_json())
        report = {
            "source": folder.resolve().name,
            "counts": _counts(rows, left_out, n_files),
            "instruments": table,
            "notes": rows,
            "left_out": [asdict(entry) for entry in left_out],
            "remarks": [*remarks, said],
            "settings": settings,
        }
        text = json.dumps(report, indent=1, ensure_ascii=False)
        writer.add_text(REPORT, os.fsencode(text).decode("utf-8", "replace"))  # of file names
        writer.add_text(OF_NOTES, _source_toml(report))
        draw_report(report, writer.draft / PICTURE)


def _velocities(notes: list[Found]) -> tuple[list[int], bool]:
    """The velocity of each note of an instrument, and whether softer copies are due."""
    loud = [
        max(other.loudness_db for other in notes if abs(other.key - note.key) <= NEAR_SEMITONES)
        for note in notes
    ]
    heard = [
        max(FAINTEST_VELOCITY, round(127.0 * 10.0 ** ((note.loudness_db - top) / 40.0)))
        for note, top in zip(notes, loud, strict=True)
    ]
    stated = [note.velocity for note in notes]
    chosen = [a if a is not None else b for a, b in zip(stated, heard, strict=True)]
    return chosen, max(chosen) - min(chosen) < FEWEST_DYNAMICS


def _split(
    writer: SetWriter, originals: list[str], copies: dict[str, str], n_instruments: int, seed: int
) -> tuple[Split | None, str]:
    """By instrument where there are enough of them, else by note; copies stay with their notes."""
    notes = writer.notes().take(originals)
    if n_instruments >= len(FRACTIONS):
        split = draw_split(writer.notes(), by="instrument", seed=seed)
        return split, f"split.json holds out whole instruments, drawn with seed {seed}"
    if len(notes) < len(FRACTIONS):
        return None, f"there are only {len(notes)} notes, so there is no split.json"
    split = draw_split(notes, by="note", seed=seed)
    parts = {
        part: tuple(sorted({*names, *(copy for copy, of in copies.items() if of in names)}))
        for part, names in split.parts.items()
    }
    few = "is one instrument" if n_instruments == 1 else f"are only {n_instruments} instruments"
    said = f"there {few}, so split.json holds out single notes, drawn with seed {seed}"
    return Split(split.by, seed, parts), said


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
    """Return where the notes come from and how they were made, as TOML."""
    settings = report["settings"]
    origin = {
        "font": report["source"],
        "licence": settings["licence"],
        "files": report["counts"]["files_used"],
        "note_s": NOTE_S,
        "note_on_s": NOTE_ON_S,
        "tracker": settings["tracker"],
        "min_confidence": settings["min_confidence"],
        "left_out": [f"{entry['file']}: {entry['why']}" for entry in report["left_out"]],
    }
    comment = "Where the notes of this set come from; report.json tells of each."
    return toml_text(comment, origin, "instruments", report["instruments"])
