"""A set of sounds in memory: a folder of WAV files, or rendered notes, with pitches if known."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.core.counting import counted
from audiogen.data.file_search import find_sound_files
from audiogen.data.ingest.labels import find_table, labels_from_names, read_table
from audiogen.data.notes.nsynth import is_note_set, read_notes
from audiogen.errors import FormatError, ParameterError
from audiogen.evaluation.timbre_features import HOLD_S

LOWEST_RATE = 8000  # Hz


@dataclass(frozen=True)
class SoundSet:
    """Sounds of one length, and their pitches.

    Parameters
    ----------
    title : str
        Name for messages: the folder, or the preset.
    names : tuple of str
        Name of each sound.
    sounds : array [n, n_samples], float32
        Waveforms at 16 bits' resolution, so that the encoding of a file plays no part.
    pitches : array [n], MIDI numbers
        Pitch asked for; NaN if it is unknown.
    sample_rate : int, Hz
        Sample rate of the sounds.
    """

    title: str
    names: tuple[str, ...]
    sounds: np.ndarray
    pitches: np.ndarray
    sample_rate: int

    def __len__(self) -> int:
        return len(self.sounds)

    @cached_property
    def hash(self) -> str:
        """Hash of sounds, pitches and sample rate, 16 hexadecimal digits; names don't count."""
        digest = hashlib.sha256(f"{self.sample_rate} {self.sounds.shape}".encode())
        digest.update(np.ascontiguousarray(self.sounds).tobytes())
        digest.update(np.ascontiguousarray(self.pitches).tobytes())
        return digest.hexdigest()[:16]

    def take(self, index: np.ndarray | slice) -> SoundSet:
        """Return the sounds at the indices, in their order."""
        chosen = np.arange(len(self))[index]
        names = tuple(self.names[i] for i in chosen)
        return SoundSet(
            self.title, names, self.sounds[chosen], self.pitches[chosen], self.sample_rate
        )

    def with_sounds(self, sounds: np.ndarray) -> SoundSet:
        """Return a set with other sounds of the same names and pitches."""
        return SoundSet(self.title, self.names, rounded(sounds), self.pitches, self.sample_rate)

    @property
    def unlabelled(self) -> tuple[str, ...]:
        """Names of the sounds without a pitch."""
        missing = np.flatnonzero(np.isnan(self.pitches))
        return tuple(self.names[i] for i in missing)


def read_sounds(
    folder: str | PathLike[str],
    *,
    sample_rate: int | None = None,
    seconds: float = HOLD_S,
    at_most: int | None = None,
    velocities: Sequence[int] | None = None,
    seed: int = 0,
) -> SoundSet:
    """Read a folder of sound files, or a note set in NSynth's layout.

    Pitches come from examples.json, else from a table ``file,pitch``, else from the files' names
    (``flute_C#4.wav``, ``bass-036-100.wav``).

    Parameters
    ----------
    folder : path
        The folder; its subfolders are searched, too.
    sample_rate : int, optional, Hz
        Required sample rate; any that all files share by default.
    seconds : float, s
        Length that sounds are cut or extended to, from their starts.
    at_most : int, optional
        Number of sounds to draw at random from larger sets.
    velocities : sequence of int, optional
        MIDI velocities of the notes to read from a note set.
    seed : int
        Seed of that draw.

    Returns
    -------
    SoundSet
        Sorted by name.

    Raises
    ------
    FormatError
        If the folder is missing or empty, a file can't be read or is silent, or sample rates
        differ.
    ParameterError
        If velocities are given for a folder that is not a note set, or no note has one of them.
    """
    import soundfile

    folder = Path(folder)
    labels: dict[str, float | None]
    if is_note_set(folder):
        notes = read_notes(folder).filter(velocities=velocities)
        paths = [folder / "audio" / f"{note.name}.wav" for note in notes]
        pitches = [float(note.pitch) for note in notes]
    elif velocities is not None:
        raise ParameterError(
            f"{folder}: isn't a note set, whose sounds have velocities; leave --velocities out"
        )
    else:
        paths, _ = find_sound_files(folder)
        names = [path.relative_to(folder).as_posix() for path in paths]
        labels = {name: label.pitch for name, label in labels_from_names(names).items()}
        if table := find_table(folder):
            labels |= {name: label.pitch for name, label in read_table(table, names).items()}
        pitches = [float("nan") if (p := labels[n]) is None else float(p) for n in names]
    chosen = np.arange(len(paths))
    if at_most is not None and at_most < len(paths):
        chosen = np.sort(np.random.default_rng(seed).permutation(len(paths))[:at_most])
    paths = [paths[i] for i in chosen]
    rates: Counter[int] = Counter()
    for path in paths:
        try:
            rates[soundfile.info(path).samplerate] += 1
        except (OSError, soundfile.LibsndfileError) as error:
            raise FormatError(f"{path}: can't be read as sound ({error})") from error
    wanted = sample_rate or rates.most_common(1)[0][0]
    if set(rates) != {wanted} or wanted < LOWEST_RATE:
        found = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(rates.items()))
        least = f" of {LOWEST_RATE} Hz or more" if wanted < LOWEST_RATE else ""
        target = f"{wanted} Hz" if sample_rate else f"one sample rate{least}"
        raise FormatError(
            f"{folder}: has files with other sample rates ({found}); all must have {target}:"
            " resample them"
        )
    sounds = np.zeros((len(paths), round(seconds * wanted)), np.float32)
    for row, path in zip(sounds, paths, strict=True):
        _read_into(row, path)
    stems = tuple(path.relative_to(folder).as_posix() for path in paths)
    return SoundSet(str(folder), stems, rounded(sounds), np.array(pitches)[chosen], wanted)


def rounded(sounds: np.ndarray) -> np.ndarray:
    """Return sounds at 16 bits' resolution, float32."""
    clipped = np.clip(np.nan_to_num(sounds, posinf=0.0, neginf=0.0), -1.0, 1.0)
    return (np.round(clipped * 32767) / 32767 + 0.0).astype(np.float32)  # no -0.0, for the hash


def require_labels(sets: Sequence[SoundSet], metric: str) -> None:
    """Raise if a sound has no pitch, which the metric needs of all.

    Raises
    ------
    ParameterError
        The message counts the sounds and names the first.
    """
    for notes in sets:
        if missing := notes.unlabelled:
            raise ParameterError(
                f"{notes.title}: {len(missing)} of {counted(len(notes), 'sound')} have no pitch"
                f" (first: {missing[0]}); {metric} needs the pitch of all: name files like"
                " flute_C4.wav, add a table file,pitch, or leave out the metric"
            )


def _read_into(row: np.ndarray, path: Path) -> None:
    from audiogen.audio.files import read_channels

    samples = read_channels(path)[0].mean(axis=1)[: len(row)]
    if not np.abs(samples).max(initial=0.0) > 0:
        raise FormatError(f"{path}: is silent for its first {len(row)} samples; remove it")
    row[: len(samples)] = samples
