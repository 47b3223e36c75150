"""Reader and writer of note sets in NSynth's layout: examples.json beside audio/*.wav."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from audiogen.core.atomic_write import folder_written_whole
from audiogen.core.counting import counted
from audiogen.data.notes.families import FAMILIES, SOURCES
from audiogen.data.notes.qualities import QUALITIES
from audiogen.errors import FormatError, ParameterError

EXAMPLES = "examples.json"
AUDIO = "audio"
NOTE_S, NOTE_ON_S = 4.0, 3.0  # length of a note, and time of its key's release, as in NSynth
PEAK = 0.9  # peak of the loudest note of an instrument; all its notes get the same gain


@dataclass(frozen=True)
class NoteInfo:
    """Description of one note.

    Parameters
    ----------
    name : str
        NSynth's `note_str`: instrument, pitch and velocity. The audio file has this name, so it
        must not contain a path.
    instrument, family, source : str
        NSynth's `instrument_str`, `instrument_family_str` and `instrument_source_str`.
    pitch, velocity : int, MIDI numbers
        Key and velocity, 0 to 127.
    sample_rate : int, Hz
        Sample rate of the audio file.
    qualities : tuple of str
        NSynth's `qualities_str`.

    Raises
    ------
    FormatError
        If the name is not a plain file name.
    """

    name: str
    instrument: str
    family: str
    source: str
    pitch: int
    velocity: int
    sample_rate: int
    qualities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or set(self.name) & set("/\\\0") or self.name in (".", ".."):
            raise FormatError(f"note {self.name!r} must be a file name without a path")


def sound_file(folder: Path, name: str) -> Path:
    """Path of a note's sound in a set's folder."""
    return folder / AUDIO / f"{name}.wav"


@dataclass(frozen=True)
class NoteSet:
    """Notes on disk, or some of them: descriptions in memory, waveforms on demand.

    Parameters
    ----------
    folder : Path
        Folder that holds `audio/`.
    notes : tuple of NoteInfo
        Sorted by name.
    """

    folder: Path
    notes: tuple[NoteInfo, ...]

    def __len__(self) -> int:
        return len(self.notes)

    def __iter__(self) -> Iterator[NoteInfo]:
        return iter(self.notes)

    @property
    def instruments(self) -> tuple[str, ...]:
        """The names of the instruments, sorted."""
        return tuple(sorted({note.instrument for note in self.notes}))

    def filter(
        self,
        *,
        pitches: tuple[int, int] | None = None,
        velocities: Collection[int] | None = None,
        instruments: Collection[str] | None = None,
        families: Collection[str] | None = None,
        sources: Collection[str] | None = None,
    ) -> NoteSet:
        """Return the notes that satisfy all conditions.

        Parameters
        ----------
        pitches : tuple[int, int], MIDI numbers
            Lowest and highest, both included.
        velocities, instruments, families, sources : collections
            Allowed values.

        Raises
        ------
        ParameterError
            If no note is left, or an instrument, family or source is not in the set.
        """
        wanted = {"instrument": instruments, "family": families, "source": sources}
        for field, values in wanted.items():
            present = {getattr(note, field) for note in self.notes}
            absent = sorted(set(values or ()) - present)
            if absent:
                raise ParameterError(
                    f"{field}={absent[0]!r} not found in {str(self.folder)!r}; "
                    f"it has {', '.join(sorted(present)[:20])}"
                )
        kept = tuple(
            note
            for note in self.notes
            if (pitches is None or pitches[0] <= note.pitch <= pitches[1])
            and (velocities is None or note.velocity in velocities)
            and all(values is None or getattr(note, f) in values for f, values in wanted.items())
        )
        if not kept:
            raise ParameterError(
                f"none of the {len(self)} notes in {str(self.folder)!r} is left: "
                f"pitches={pitches}, velocities={velocities}; widen them"
            )
        return NoteSet(self.folder, kept)

    def take(self, names: Iterable[str]) -> NoteSet:
        """Return the notes with the given names.

        Raises
        ------
        ParameterError
            If a name is not in the set.
        """
        wanted = set(names)
        kept = tuple(note for note in self.notes if note.name in wanted)
        if len(kept) < len(wanted):
            absent = sorted(wanted - {note.name for note in kept})
            raise ParameterError(
                f"{len(absent)} of {len(wanted)} names not found in {str(self.folder)!r} "
                f"(first: {absent[0]}); use the set that they were written for"
            )
        return NoteSet(self.folder, kept)

    @property
    def files(self) -> list[Path]:
        """The sound files, in order."""
        return [sound_file(self.folder, note.name) for note in self.notes]

    def waveform(self, note: NoteInfo) -> np.ndarray:
        """Read the waveform of one note.

        Returns
        -------
        array [n_samples], float32
            Full scale is 1.

        Raises
        ------
        FormatError
            If the file is missing or damaged, is not mono, or its sample rate differs from
            examples.json.
        """
        import soundfile

        path = sound_file(self.folder, note.name)
        try:
            waveform, sample_rate = soundfile.read(path, dtype="float32")
        except (OSError, soundfile.SoundFileError) as error:
            raise FormatError(f"{str(path)!r} can't be read: {error}") from error
        if sample_rate != note.sample_rate or waveform.ndim != 1:
            n_channels = 1 if waveform.ndim == 1 else waveform.shape[1]
            raise FormatError(
                f"{str(path)!r} has {sample_rate} Hz and {counted(n_channels, 'channel')}; it must "
                f"have {note.sample_rate} Hz, mono: resample the file or correct {EXAMPLES}"
            )
        return waveform

    def waveforms(self) -> np.ndarray:
        """Read the waveforms of all notes, in order.

        Returns
        -------
        array [n_notes, n_samples], float32

        Raises
        ------
        FormatError
            If `waveform` raises it, or the notes differ in length.
        """
        read = [self.waveform(note) for note in self.notes]
        lengths = Counter(map(len, read))
        if len(lengths) > 1:
            raise FormatError(
                f"the notes of {str(self.folder)!r} must have one length, and have several: "
                + ", ".join(f"{count} of {length} samples" for length, count in lengths.items())
                + "; read them one by one"
            )
        return np.stack(read) if read else np.zeros((0, 0), np.float32)


def held_part(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return a note up to the release of its key at `NOTE_ON_S`, float64; silence follows its end.

    Parameters
    ----------
    waveform : array [n_samples]
        The note from its start.
    sample_rate : int, Hz
        Its sample rate.
    """
    held = np.zeros(round(NOTE_ON_S * sample_rate))
    part = np.asarray(waveform[: len(held)], float)
    held[: len(part)] = part
    return held


def read_notes(folder: str | PathLike[str], *, sample_rate: int | None = None) -> NoteSet:
    """Open a note set in NSynth's layout, NSynth itself included.

    Parameters
    ----------
    folder : str or PathLike
        Folder that holds examples.json and audio/*.wav.
    sample_rate : int, optional, Hz
        Required sample rate; None accepts any that all notes share.

    Returns
    -------
    NoteSet

    Raises
    ------
    FormatError
        If examples.json is missing, damaged or empty, if a note's name is a path, if sound files
        are missing, or if a sample rate is wrong; the message counts them and names the first.

    References
    ----------
    Engel et al., "Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders", ICML 2017.
    """
    from pydantic import ValidationError

    folder = Path(folder)
    path = folder / EXAMPLES
    try:
        examples = _examples_type().validate_json(path.read_bytes())
    except OSError as error:
        raise FormatError(
            f"{str(path)!r} can't be read ({error.strerror}); give a folder that holds {EXAMPLES} "
            f"and {AUDIO}/"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file itself"
        raise FormatError(
            f"{str(path)!r} is invalid (faults: {error.error_count()}); the first is in {where}: "
            f"{first['msg']}"
        ) from error
    try:
        notes = _sorted_infos(examples.values())
    except FormatError as error:
        raise FormatError(f"{str(path)!r}: {error}") from error
    if not notes:
        raise FormatError(f"{str(path)!r} lists no notes; it must list at least one")
    _check_files(folder, notes)
    _check_rates(folder, notes, sample_rate)
    return NoteSet(folder, notes)


def is_note_set(folder: str | PathLike[str]) -> bool:
    """Return whether a folder is a note set in NSynth's layout."""
    return (Path(folder) / EXAMPLES).is_file()


def _examples_type() -> Any:
    """Return the type that checks examples.json; other keys are ignored."""
    from pydantic import Field, TypeAdapter, create_model

    midi = (int, Field(ge=0, le=127))
    example = create_model(
        "Example",
        note_str=(str, ...),
        instrument_str=(str, ...),
        instrument_family_str=(str, ...),
        instrument_source_str=(str, ...),
        pitch=midi,
        velocity=midi,
        sample_rate=(int, Field(gt=0)),
        qualities_str=(tuple[str, ...], ()),
    )
    return TypeAdapter(dict[str, example])  # type: ignore[valid-type]


def _sorted_infos(examples: Iterable[Any]) -> tuple[NoteInfo, ...]:
    infos = [
        NoteInfo(
            example.note_str,
            example.instrument_str,
            example.instrument_family_str,
            example.instrument_source_str,
            example.pitch,
            example.velocity,
            example.sample_rate,
            example.qualities_str,
        )
        for example in examples
    ]
    return tuple(sorted(infos, key=lambda info: info.name))


def _check_files(folder: Path, notes: tuple[NoteInfo, ...]) -> None:
    try:
        present = set(os.listdir(folder / AUDIO))
    except OSError as error:
        raise FormatError(
            f"{str(folder / AUDIO)!r} can't be read ({error.strerror}); "
            f"it must hold the sound files"
        ) from error
    missing = [note.name for note in notes if f"{note.name}.wav" not in present]
    if missing:
        raise FormatError(
            f"{len(missing)} of {len(notes)} sound files not found in {str(folder / AUDIO)!r} "
            f"(first: {missing[0]}.wav); copy them there or remove them from {EXAMPLES}"
        )


def _check_rates(folder: Path, notes: tuple[NoteInfo, ...], wanted: int | None) -> None:
    rates = Counter(note.sample_rate for note in notes)
    if len(rates) > 1 or (wanted is not None and wanted not in rates):
        found = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(rates.items()))
        target = "one sample rate" if wanted is None else f"{wanted} Hz"
        raise FormatError(
            f"the notes of {str(folder)!r} must have {target}, and have other rates ({found}); "
            "resample them"
        )


class SetWriter:
    """Writer of a note set, used as a context manager.

    The set is written to a hidden folder beside its place and moved there on leaving the block,
    or deleted if an exception leaves it.

    Parameters
    ----------
    folder : str or PathLike
        New or empty folder.
    sample_rate : int, Hz
        Sample rate of all notes.

    Raises
    ------
    ParameterError
        If `folder` is not empty, or cannot be made.
    """

    def __init__(self, folder: str | PathLike[str], sample_rate: int) -> None:
        self.folder = Path(folder)
        self.sample_rate = sample_rate
        self.examples: dict[str, dict] = {}
        self._instruments: dict[str, int] = {}

    def __enter__(self) -> SetWriter:
        self._atomic_folder = folder_written_whole(self.folder)
        self.draft = self._atomic_folder.__enter__()
        (self.draft / AUDIO).mkdir()
        return self

    def add(
        self,
        waveform: np.ndarray,
        *,
        instrument: str,
        family: str,
        source: str,
        pitch: int,
        velocity: int,
        qualities: list[int],
    ) -> str:
        """Write one note.

        Parameters
        ----------
        waveform : array [n_samples], float
            Full scale is 1; it is written with 16 bits.
        instrument : str
            Name such as "keyboard_acoustic_000"; instruments are numbered in the order of their
            first notes.
        family, source : str
            Member of `FAMILIES` and of `SOURCES`.
        pitch, velocity : int, MIDI numbers
            Key and velocity, 0 to 127.
        qualities : list of 10 ints
            Flags in the order of `QUALITIES`.

        Returns
        -------
        str
            Name of the note; further notes of the same pitch and velocity end in "-2", "-3", ...
        """
        import soundfile

        note = base = f"{instrument}-{pitch:03d}-{velocity:03d}"
        take = 1
        while note in self.examples:
            take += 1
            note = f"{base}-{take}"
        soundfile.write(sound_file(self.draft, note), waveform, self.sample_rate, "PCM_16")
        self.examples[note] = {
            "note": len(self.examples),
            "note_str": note,
            "instrument": self._instruments.setdefault(instrument, len(self._instruments)),
            "instrument_str": instrument,
            "instrument_family": FAMILIES.index(family),
            "instrument_family_str": family,
            "instrument_source": SOURCES.index(source),
            "instrument_source_str": source,
            "pitch": int(pitch),
            "velocity": int(velocity),
            "sample_rate": self.sample_rate,
            "qualities": qualities,
            "qualities_str": [
                name for name, flag in zip(QUALITIES, qualities, strict=True) if flag
            ],
        }
        return note

    def add_text(self, name: str, text: str) -> None:
        """Write a text file beside examples.json."""
        (self.draft / name).write_text(text, encoding="utf-8")

    def notes(self) -> NoteSet:
        """Return the notes added so far; their waveforms can be read after the block."""
        examples = _examples_type().validate_python(self.examples)
        return NoteSet(self.folder, _sorted_infos(examples.values()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.add_text(EXAMPLES, json.dumps(self.examples, indent=1))
        self._atomic_folder.__exit__(kind, error, trace)
