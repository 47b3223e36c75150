"""A folder of recordings as one long sound to learn from: decoded, trimmed, split by file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.audio.files import read_audio
from audiogen.data.file_search import sounds_in, why_not_read
from audiogen.errors import FormatError, ParameterError

TRIM_DB = -50.0  # below the file's own peak; quieter ends are cut
MARGIN_S = 0.05  # of what was cut, kept
GAP_S = 0.1  # silence between two files
PEAK = 0.9  # of the loudest file, by one gain for all


@dataclass(frozen=True)
class Recording:
    """One file.

    Parameters
    ----------
    name : str
        Relative to the folder.
    label : str
        The subfolder of the first level that it lies in; empty without one.
    samples : array [n_samples], float32
    """

    name: str
    label: str
    samples: np.ndarray


@dataclass(frozen=True)
class Recordings:
    """What a folder holds.

    Parameters
    ----------
    sample_rate : int, Hz
    files : tuple of Recording
        Sorted by name.
    skipped : tuple of (str, str)
        Name of a file that was left out, and why.
    """

    sample_rate: int
    files: tuple[Recording, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def labels(self) -> list[str]:
        """Names of the subfolders, sorted."""
        return sorted({file.label for file in self.files})

    def by_label(self) -> Recordings:
        """Those of subfolders alone; the others are left out."""
        loose = tuple((file.name, "is in no subfolder") for file in self.files if not file.label)
        files = tuple(file for file in self.files if file.label)
        return replace(self, files=files, skipped=self.skipped + loose)

    def split(
        self, held_out: float, seed: int, by_label: bool = False
    ) -> tuple[list[Recording], list[Recording]]:
        """Files to train on and files held out.

        Parameters
        ----------
        held_out : float
            Share of the length; one file or more.
        seed : int
        by_label : bool
            Whether the share is of each label, of which one file always trains.

        Returns
        -------
        training, held : list of Recording

        Raises
        ------
        ParameterError
            If there are fewer than two files, or of each label.
        """
        groups = [list(self.files)]
        if by_label:
            groups = [[f for f in self.files if f.label == label] for label in self.labels]
        if max(map(len, groups), default=0) < 2:
            what = "each class has" if by_label else "there is"
            left_out = f"; left out: {_named(self.skipped)}" if self.skipped else ""
            raise ParameterError(
                f"{what} 1 usable file; 2 or more are wanted, of which one is held out: cut a long"
                f" recording into several{left_out}"
            )
        draw = np.random.default_rng(seed)
        training: list[Recording] = []
        held: list[Recording] = []
        for files in groups:
            wanted = held_out * sum(len(file.samples) for file in files)
            taken = 0
            *order, last = draw.permutation(len(files))  # the last one always trains
            for i in order:
                part = held if taken < wanted else training
                part.append(files[i])
                taken += len(files[i].samples) if part is held else 0
            training.append(files[last])
        return training, held


def read_recordings(
    folder: str | PathLike[str],
    sample_rate: int,
    progress: Callable[[int, int, str], None] | None = None,
) -> Recordings:
    """Read all sound files of a folder and its subfolders.

    Nothing in the folder is changed. Silent ends are cut; what can't be read or is silent is left
    out and named.

    Parameters
    ----------
    folder : path
    sample_rate : int, Hz
        What everything is resample to.
    progress : callable, optional
        Gets files done, files in all and the next one's name.

    Returns
    -------
    Recordings

    Raises
    ------
    FormatError
        If the folder is missing or holds no sound that can be used.
    """
    folder = Path(folder)
    paths, not_read = sounds_in(folder)
    kept: list[Recording] = []
    skipped = [(str(path.relative_to(folder)), why_not_read(path)) for path in not_read]
    for done, path in enumerate(paths):
        name = path.relative_to(folder)
        label = name.parts[0] if len(name.parts) > 1 else ""
        if progress:
            progress(done, len(paths), str(name))
        try:
            whole = read_audio(path, sample_rate)
            if not len(whole):
                skipped.append((str(name), "is too short"))
            elif len(samples := _trimmed(whole, sample_rate)):
                kept.append(Recording(str(name), label, samples))
            else:
                skipped.append((str(name), "is silent"))
        except FormatError as error:
            skipped.append((str(name), str(error).removeprefix(f"{path}: ")))
    if not kept:
        raise FormatError(f"{folder}: holds no sound that can be used; left out: {_named(skipped)}")
    gain = PEAK / max(float(np.abs(file.samples).max()) for file in kept)
    files = tuple(Recording(f.name, f.label, f.samples * np.float32(gain)) for f in kept)
    return Recordings(sample_rate, files, tuple(skipped))


def joined(files: list[Recording], sample_rate: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Files in random order, one after the other, with short silences between.

    Parameters
    ----------
    files : list of Recording
    sample_rate : int, Hz
    seed : int

    Returns
    -------
    samples : array [n_samples], float32
    owners : array [n_samples], int32
        Index into ``files`` of the file that each sample belongs to.
    """
    gap = np.zeros(round(GAP_S * sample_rate), np.float32)
    order = np.random.default_rng(seed).permutation(len(files))
    samples = [np.concatenate((files[i].samples, gap)) for i in order]
    owners = [np.full(len(part), i, np.int32) for i, part in zip(order, samples, strict=True)]
    return np.concatenate(samples), np.concatenate(owners)


def _named(skipped: Sequence[tuple[str, str]]) -> str:
    """The first of what was left out."""
    return ", ".join(f"{name} ({why})" for name, why in skipped[:3])


def _trimmed(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Without the silence at both ends; empty if all is silent."""
    level = np.abs(samples)
    peak = float(level.max())
    if peak < 1e-4:
        return samples[:0]
    loud = np.flatnonzero(level > peak * 10.0 ** (TRIM_DB / 20.0))
    margin = round(MARGIN_S * sample_rate)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin + 1]
