"""Splits of a note set into training and held-out parts, drawn by seed and kept in a file."""

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
    """Parts of a note set.

    Parameters
    ----------
    by : "note" or "instrument"
        Unit of the split: with "instrument" all notes of one are in the same part.
    seed : int
        Seed with which it was drawn.
    parts : dict[str, tuple[str, ...]]
        Names of the notes of each part, sorted, by the part's name.
    """

    by: str
    seed: int
    parts: dict[str, tuple[str, ...]]

    def indices(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the names in "train", and of those in "valid"."""
        train, valid = (set(self.parts.get(part, ())) for part in ("train", "valid"))
        return (
            np.flatnonzero([name in train for name in names]),
            np.flatnonzero([name in valid for name in names]),
        )

    def to_json(self) -> str:
        """Return the text of a split.json, which lies beside examples.json."""
        return json.dumps({"by": self.by, "seed": self.seed, "parts": self.parts}, indent=1)

    def write(self, path: str | PathLike[str]) -> None:
        """Write the split as JSON, completely or not at all.

        Raises
        ------
        ParameterError
            If the file cannot be written.
        """
        write_whole(path, self.to_json())


def draw_split(
    notes: NoteSet,
    *,
    by: Literal["note", "instrument"] = "instrument",
    fractions: Mapping[str, float] = FRACTIONS,
    seed: int = 0,
) -> Split:
    """Draw a split of a note set.

    Notes (or instruments) are ordered by a hash of seed and name, and cut at the fractions, so
    the split does not depend on the order of a file, the platform or a library's version.

    Parameters
    ----------
    notes : NoteSet
        Notes that are split.
    by : "note" or "instrument"
        Unit of the split.
    fractions : mapping from str to float
        Share of the notes (or instruments) in each part; positive, with sum 1.
    seed : int
        Seed of the order.

    Returns
    -------
    Split

    Raises
    ------
    ParameterError
        If `by` or `fractions` is invalid, or there are fewer notes (instruments) than parts.
    """
    if by not in ("note", "instrument"):
        raise ParameterError(f"by={by!r} must be 'note' or 'instrument'")
    if min(fractions.values(), default=0) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ParameterError(f"fractions={dict(fractions)} must be positive, with sum 1")
    groups: dict[str, list[str]] = {}
    for note in notes:
        groups.setdefault(note.name if by == "note" else note.instrument, []).append(note.name)
    if len(groups) < len(fractions):
        raise ParameterError(
            f"the {len(fractions)} parts of a split must have at least one {by} each, and the set "
            f"has {len(groups)}; split by note or make fewer parts"
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
    """Return the split into the parts "train" and "valid" that a training uses.

    ``split.json`` beside the notes is used if there is one, unless its unit differs from `by`;
    its other parts are ignored. Otherwise a split is drawn.

    Parameters
    ----------
    notes : NoteSet
        Notes that are split.
    share : float
        Share that is held out if the split is drawn.
    seed : int
        Seed of a split that is drawn.
    by : "note" or "instrument", optional
        Unit of the split. The default is that of the file. Without a file it is "instrument" if
        the share is at least one instrument, so that validation uses unseen sounds, else "note".

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
                f"{path}: has no note of this set in {part!r}; draw it again, or remove the file"
            )
    return split


def hold_out_keys(
    instruments: np.ndarray, pitches: np.ndarray, share: float, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a share of the keys, but no whole instrument.

    All velocities of a key are in the same part, because they are often one sound at several
    levels. If each instrument has a single key, notes are held out.

    Parameters
    ----------
    instruments : array [n], int
        Index of each note's instrument.
    pitches : array [n], MIDI numbers
        Key of each note.
    share : float
        Share of the keys that is held out.
    draw : numpy Generator
        Source of the random numbers.

    Returns
    -------
    training, held_out : array, int
        Indices, key by key in random order; at least one is held out.
    """
    indices = range(len(pitches))
    for keys in (pitches, indices):
        groups: dict[tuple[Any, Any], list[int]] = {}
        for i in indices:
            groups.setdefault((instruments[i], keys[i]), []).append(i)
        names = list(groups)
        n_keys = Counter(instrument for instrument, _ in names)
        n_to_hold = max(1, round(share * len(names)))
        training: list[int] = []
        held_out: list[int] = []
        for name in (names[i] for i in draw.permutation(len(names))):
            holds = n_to_hold > 0 and n_keys[name[0]] > 1
            if holds:
                n_keys[name[0]] -= 1
                n_to_hold -= 1
            (held_out if holds else training).extend(groups[name])
        if held_out:
            return np.array(training), np.array(held_out)
    return np.array(training[1:]), np.array(training[:1])  # each instrument has a single note


def holds_out_instruments(notes: NoteSet, share: float) -> bool:
    """Return whether a share of a set's instruments is at least one of them."""
    return len(notes.instruments) * share >= 1.0


def read_split(path: str | PathLike[str]) -> Split:
    """Read a split that `Split.write` wrote.

    Raises
    ------
    FormatError
        If the file is missing or is not a split.
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
            f"{str(path)!r} must be a split ({type(error).__name__}: {error}); draw it again"
        ) from error
