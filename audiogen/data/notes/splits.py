"""Which notes are for training and which are held out: drawn by seed, recorded in a file."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audiogen.core.atomic_write import write_whole
from audiogen.data.notes.nsynth import NoteSet
from audiogen.errors import FormatError, ParameterError

SPLIT = "split.json"
FRACTIONS = {"train": 0.8, "valid": 0.1, "test": 0.1}


@dataclass(frozen=True)
class Split:
    """The parts of a set of notes.

    Parameters
    ----------
    by : "note" or "instrument"
        What was drawn: with "instrument" all notes of one are in the same part.
    seed : int
    parts : dict[str, tuple[str, ...]]
        From the part's name to the names of its notes, sorted.
    """

    by: str
    seed: int
    parts: dict[str, tuple[str, ...]]

    def indices(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Which of some notes are in "train", and which in "valid"."""
        found = []
        for part in ("train", "valid"):
            inside = set(self.parts.get(part, ()))
            found.append(np.flatnonzero([name in inside for name in names]))
        return found[0], found[1]

    def to_json(self) -> str:
        """Return the split as text, for a file beside examples.json."""
        return json.dumps({"by": self.by, "seed": self.seed, "parts": self.parts}, indent=1)

    def write(self, path: str | PathLike[str]) -> None:
        """Write the split as JSON, the whole of it or nothing.

        Raises
        ------
        ParameterError
            If the file can't be written.
        """
        write_whole(path, self.to_json())


def draw_split(
    notes: NoteSet,
    *,
    by: Literal["note", "instrument"] = "instrument",
    fractions: Mapping[str, float] = FRACTIONS,
    seed: int = 0,
) -> Split:
    """Deal the notes of a set out to parts.

    Notes (or instruments) are ordered by a hash of seed and name, and cut at the fractions. So
    the split doesn't depend on the order of a file, on the platform or on a library's version.

    Parameters
    ----------
    notes : NoteSet
    by : "note" or "instrument"
    fractions : mapping from str to float
        Of the notes (or instruments) for each part; positive, adding up to 1.
    seed : int

    Returns
    -------
    Split

    Raises
    ------
    ParameterError
        If `by` or `fractions` is wrong, or there are fewer notes (instruments) than parts.
    """
    if by not in ("note", "instrument"):
        raise ParameterError(f"by={by!r} must be 'note' or 'instrument'")
    if min(fractions.values(), default=0) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ParameterError(f"fractions={dict(fractions)} must be positive and add up to 1")
    groups: dict[str, list[str]] = {}
    for note in notes:
        groups.setdefault(note.name if by == "note" else note.instrument, []).append(note.name)
    if len(groups) < len(fractions):
        raise ParameterError(
            f"{len(groups)} {by}s can't make {len(fractions)} parts; split by note or take fewer"
        )
    order = sorted(groups, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    parts: dict[str, tuple[str, ...]] = {}
    begin, share = 0, 0.0
    for index, (part, fraction) in enumerate(fractions.items()):
        share += fraction
        n_later = len(fractions) - index - 1
        end = min(max(round(share * len(order)), begin + 1), len(order) - n_later)
        parts[part] = tuple(sorted(name for group in order[begin:end] for name in groups[group]))
        begin = end
    return Split(by, seed, parts)


def split_for_training(
    notes: NoteSet, share: float, seed: int, by: Literal["note", "instrument"] | None = None
) -> Split:
    """What a training learns from ("train"), and what it is measured by ("valid").

    As ``split.json`` beside the notes says, unless it deals out something else than `by`; a part of
    another name is left alone. Without the file a share is drawn.

    Parameters
    ----------
    notes : NoteSet
    share : float
        That is held out where it is drawn.
    seed : int
    by : "note" or "instrument", optional
        Without it as the file says; without that whole instruments, so that what is measured says
        something of sounds that were never heard, where the share is one or more of them, else
        notes.

    Raises
    ------
    FormatError
        If ``split.json`` has none of the notes in one of the two parts.
    ParameterError
        If there are too few notes or instruments to hold one out.
    """
    path = notes.folder / SPLIT
    split = read_split(path) if path.is_file() else None
    if split is None or by not in (None, split.by):
        drawn = by or ("instrument" if holds_out_instruments(notes, share) else "note")
        fractions = {"train": 1.0 - share, "valid": share}
        return draw_split(notes, by=drawn, fractions=fractions, seed=seed)
    names = {note.name for note in notes}
    for part in ("train", "valid"):
        if names.isdisjoint(split.parts.get(part, ())):
            raise FormatError(
                f"{path}: has no note of this set in {part!r}; draw it again, or remove it"
            )
    return split


def hold_out_keys(
    instruments: np.ndarray, pitches: np.ndarray, share: float, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a share of the keys, but no instrument as a whole.

    All velocities of a key go together, as they are often one sound, louder or softer. Where each
    instrument has a single key, notes are held out.

    Parameters
    ----------
    instruments : array [n], int
    pitches : array [n], MIDI numbers
    share : float
    draw : numpy Generator

    Returns
    -------
    training, held_out : array, int
        Indices, key by key in random order; one held out, at least.
    """
    each = range(len(pitches))
    for keys in (pitches, each):
        groups: dict[tuple[Any, Any], list[int]] = {}
        for note in each:
            groups.setdefault((instruments[note], keys[note]), []).append(note)
        names = list(groups)
        order = [names[i] for i in draw.permutation(len(names))]
        left = Counter(instrument for instrument, _ in names)
        n_held = max(1, round(share * len(names)))
        parts: tuple[list[int], list[int]] = [], []
        for name in order:
            holds = n_held > 0 and left[name[0]] > 1
            if holds:
                left[name[0]] -= 1
                n_held -= 1
            parts[holds].extend(groups[name])
        if parts[1]:
            return np.array(parts[0]), np.array(parts[1])
    return np.array(parts[0][1:]), np.array(parts[0][:1])  # of each instrument a single note


def holds_out_instruments(notes: NoteSet, share: float) -> bool:
    """Whether a share of a set's instruments is one or more of them."""
    return len(notes.instruments) * share >= 1.0


def read_split(path: str | PathLike[str]) -> Split:
    """Read a split that `Split.write` wrote.

    Raises
    ------
    FormatError
        If the file is missing or isn't a split.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = {str(part): tuple(map(str, names)) for part, names in content["parts"].items()}
        return Split(str(content["by"]), int(content["seed"]), parts)
    except OSError as error:
        raise FormatError(f"{str(path)!r} can't be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{str(path)!r} isn't a split ({type(error).__name__}: {error}); draw it again"
        ) from error
