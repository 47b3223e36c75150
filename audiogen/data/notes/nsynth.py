"""Sets of notes in NSynth's layout (examples.json beside audio/*.wav), written and read."""

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
from audiogen.data.notes.families import FAMILIES, SOURCES
from audiogen.data.notes.qualities import QUALITIES
from audiogen.errors import FormatError, ParameterError

EXAMPLES = "examples.json"
AUDIO = "audio"


@dataclass(frozen=True)
class NoteInfo:
    """What is known of one note; NSynth's key stands beside each field.

    Parameters
    ----------
    name : str
        `note_str`: instrument, pitch and velocity, and the name of the audio file.
    instrument, family, source : str
        `instrument_str`, `instrument_family_str`, `instrument_source_str`.
    pitch, velocity : int, MIDI numbers
    sample_rate : int, Hz
    qualities : tuple of str
        `qualities_str`.
    """

    name: str
    instrument: str
    family: str
    source: str
    pitch: int
    velocity: int
    sample_rate: int
    qualities: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoteSet:
    """Notes on disk, or a choice of them: their descriptions in memory, their sound on demand.

    Parameters
    ----------
    folder : Path
        With `audio/` in it.
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
        """Return the notes that agree with everything given.

        Parameters
        ----------
        pitches : tuple[int, int], MIDI numbers
            Lowest and highest, both included.
        velocities, instruments, families, sources : collections
            The allowed values.

        Raises
        ------
        ParameterError
            If no note is left, or an instrument, family or source isn't in the set at all.
        """
        wanted = {"instrument": instruments, "family": families, "source": sources}
        for field, values in wanted.items():
            present = {getattr(note, field) for note in self.notes}
            absent = sorted(set(values or ()) - present)
            if absent:
                raise ParameterError(
                    f"{field}={absent[0]!r} isn't in {str(self.folder)!r}; "
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
                f"no note of the {len(self)} in {str(self.folder)!r} is left: pitches={pitches}, "
                f"velocities={velocities}; widen them"
            )
        return NoteSet(self.folder, kept)

    def take(self, names: Iterable[str]) -> NoteSet:
        """Return the notes of these names.

        Raises
        ------
        ParameterError
            If a name isn't in the set.
        """
        wanted = set(names)
        kept = tuple(note for note in self.notes if note.name in wanted)
        if len(kept) < len(wanted):
            absent = sorted(wanted - {note.name for note in kept})
            raise ParameterError(
                f"{len(absent)} of {len(wanted)} names aren't in {str(self.folder)!r} "
                f"(first: {absent[0]}); use the set that they were written for"
            )
        return NoteSet(self.folder, kept)

    def waveform(self, note: NoteInfo) -> np.ndarray:
        """Read the sound of one note.

        Returns
        -------
        ndarray[n_samples], float32
            Full scale is 1.

        Raises
        ------
        FormatError
            If the file is missing or broken, isn't mono, or has another rate than examples.json
            says.
        """
        import soundfile

        path = self.folder / AUDIO / f"{note.name}.wav"
        try:
            waveform, sample_rate = soundfile.read(path, dtype="float32")
        except (OSError, soundfile.SoundFileError) as error:
            raise FormatError(f"{str(path)!r} can't be read: {error}") from error
        if sample_rate != note.sample_rate or waveform.ndim != 1:
            n_channels = 1 if waveform.ndim == 1 else waveform.shape[1]
            raise FormatError(
                f"{str(path)!r} has {sample_rate} Hz and {n_channels} channels; {EXAMPLES} says "
                f"{note.sample_rate} Hz, mono: resample the file or correct the list"
            )
        return waveform

    def waveforms(self) -> np.ndarray:
        """Read the sound of every note, in order.

        Returns
        -------
        ndarray[n_notes, n_samples], float32

        Raises
        ------
        FormatError
            As `waveform` does, and if the notes aren't all of one length.
        """
        read = [self.waveform(note) for note in self.notes]
        lengths = Counter(map(len, read))
        if len(lengths) > 1:
            raise FormatError(
                f"the notes of {str(self.folder)!r} aren't of one length: "
                + ", ".join(f"{count} of {length} samples" for length, count in lengths.items())
                + "; read them one by one"
            )
        return np.stack(read) if read else np.zeros((0, 0), np.float32)


def read_notes(folder: str | PathLike[str], *, sample_rate: int | None = None) -> NoteSet:
    """Open a set of notes in NSynth's layout, NSynth itself included.

    Parameters
    ----------
    folder : str or PathLike
        With examples.json and audio/*.wav in it.
    sample_rate : int, optional, Hz
        What every note must have; None for whatever they agree on.

    Returns
    -------
    NoteSet

    Raises
    ------
    FormatError
        If examples.json is missing, broken or empty, if sound files are missing, or if the
        sample rates aren't those wanted; the text counts them and names the first.

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
            f"{str(path)!r} can't be read ({error.strerror}); name a folder with {EXAMPLES} and "
            f"{AUDIO}/ in it"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file itself"
        raise FormatError(
            f"{str(path)!r} has {error.error_count()} errors; the first is in {where}: "
            f"{first['msg']}"
        ) from error
    notes = _sorted_infos(examples.values())
    if not notes:
        raise FormatError(f"{str(path)!r} lists no notes")
    _check_files(folder, notes)
    _check_rates(folder, notes, sample_rate)
    return NoteSet(folder, notes)


def _examples_type() -> Any:
    """Return the checker of examples.json; keys that aren't named here are let pass."""
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
            f"the sound files belong there"
        ) from error
    missing = [note.name for note in notes if f"{note.name}.wav" not in present]
    if missing:
        raise FormatError(
            f"{len(missing)} of {len(notes)} sound files are missing in {str(folder / AUDIO)!r} "
            f"(first: {missing[0]}.wav); copy them there or take them out of {EXAMPLES}"
        )


def _check_rates(folder: Path, notes: tuple[NoteInfo, ...], wanted: int | None) -> None:
    rates = Counter(note.sample_rate for note in notes)
    if len(rates) > 1 or (wanted is not None and wanted not in rates):
        found = ", ".join(f"{count} notes of {rate} Hz" for rate, count in sorted(rates.items()))
        target = "one rate" if wanted is None else f"{wanted} Hz"
        raise FormatError(f"{str(folder)!r} has {found}; {target} was wanted: resample the set")


class SetWriter:
    """Writes a set of notes; nothing is to be seen in its place until it is whole.

    Use as a context manager: the set is made in a hidden folder beside its place and moved
    there on leaving, or thrown away if an exception leaves the block.

    Parameters
    ----------
    folder : str or PathLike
        Must be new, or an empty folder.
    sample_rate : int, Hz

    Raises
    ------
    ParameterError
        If `folder` has something in it, or can't be made.
    """

    def __init__(self, folder: str | PathLike[str], sample_rate: int) -> None:
        self.folder = Path(folder)
        self.sample_rate = sample_rate
        self.examples: dict[str, dict] = {}
        self._instruments: dict[str, int] = {}

    def __enter__(self) -> SetWriter:
        self._whole = folder_written_whole(self.folder)
        self.draft = self._whole.__enter__()
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
        waveform : ndarray[n_samples], float
            Full scale is 1; written with 16 bits.
        instrument : str
            Such as "keyboard_acoustic_000"; numbered in the order of first appearance.
        family, source : str
            One of `FAMILIES` and of `SOURCES`.
        pitch, velocity : int
            MIDI numbers.
        qualities : list of 10 ints
            In the order of `QUALITIES`.

        Returns
        -------
        str
            The note's name; a second one of the same pitch and velocity ends in "-2".
        """
        import soundfile

        note = base = f"{instrument}-{pitch:03d}-{velocity:03d}"
        take = 1
        while note in self.examples:
            take += 1
            note = f"{base}-{take}"
        soundfile.write(self.draft / AUDIO / f"{note}.wav", waveform, self.sample_rate, "PCM_16")
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
                name for name, found in zip(QUALITIES, qualities, strict=True) if found
            ],
        }
        return note

    def add_text(self, name: str, text: str) -> None:
        """Write a text file beside examples.json."""
        (self.draft / name).write_text(text, encoding="utf-8")

    def notes(self) -> NoteSet:
        """Return what was added so far; its sound can be read once the set is whole."""
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
        self._whole.__exit__(kind, error, trace)
