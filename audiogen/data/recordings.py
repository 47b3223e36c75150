"""A folder of recordings as training data: decoded, trimmed, split by file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.audio.files import read_audio
from audiogen.data.file_search import find_sound_files, why_unreadable
from audiogen.errors import FormatError, ParameterError

TRIM_DB = -50.0  # relative to the file's peak; quieter ends are cut
MARGIN_S = 0.05  # kept of what is cut
GAP_S = 0.1  # silence between two files
PEAK = 0.9  # of the loudest file; all files get the same gain


@dataclass(frozen=True)
class Recording:
    """One file of a folder.

    Parameters
    ----------
    name : str
        Path relative to the folder.
    label : str
        Name of the subfolder of the first level that holds it; empty without one.
    samples : array [n_samples], float32
        Samples of one channel; full scale is 1.
    """

    name: str
    label: str
    samples: np.ndarray


@dataclass(frozen=True)
class Recordings:
    """Sound files of a folder.

    Parameters
    ----------
    sample_rate : int, Hz
        Sample rate of all files.
    files : tuple of Recording
        Sorted by name.
    skipped : tuple of (str, str)
        Name of a file that was left out, and the reason.
    """

    sample_rate: int
    files: tuple[Recording, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def labels(self) -> list[str]:
        """Names of the subfolders, sorted."""
        return sorted({file.label for file in self.files})

    def by_label(self) -> Recordings:
        """Return the recordings without files that are in no subfolder."""
        loose = tuple((file.name, "is in no subfolder") for file in self.files if not file.label)
        files = tuple(file for file in self.files if file.label)
        return replace(self, files=files, skipped=self.skipped + loose)

    def split(
        self, held_out: float, seed: int, by_label: bool = False
    ) -> tuple[list[Recording], list[Recording]]:
        """Split the files into training and held-out ones.

        Parameters
        ----------
        held_out : float
            Share of the total length that is held out; at least one file.
        seed : int
            Seed of the choice.
        by_label : bool
            Whether to hold out this share of each label, of which one file always trains.

        Returns
        -------
        training, held_out : list of Recording

        Raises
        ------
        ParameterError
            If there are fewer than two files, or fewer than two of every label.
        """
        groups = [list(self.files)]
        if by_label:
            groups = [[f for f in self.files if f.label == label] for label in self.labels]
        if max(map(len, groups), default=0) < 2:
            what = "each class has" if by_label else "there is"
            left_out = f"; left out: {_first_names(self.skipped)}" if self.skipped else ""
            raise ParameterError(
                f"{what} 1 usable file; there must be 2 or more, of which one is held out: cut a"
                f" long recording into several{left_out}"
            )
        rng = np.random.default_rng(seed)
        training: list[Recording] = []
        held: list[Recording] = []
        for files in groups:
            wanted = held_out * sum(len(file.samples) for file in files)
            n_held = 0  # samples
            *order, last = rng.permutation(len(files))  # the last one always trains
            for i in order:
                part = held if n_held < wanted else training
                part.append(files[i])
                n_held += len(files[i].samples) if part is held else 0
            training.append(files[last])
        return training, held


def read_recordings(
    folder: str | PathLike[str],
    sample_rate: int,
    progress: Callable[[int, int, str], None] | None = None,
) -> Recordings:
    """Read all sound files of a folder and its subfolders.

    The folder is not changed. Silent ends are cut; unreadable and silent files are left out and
    listed.

    Parameters
    ----------
    folder : path
        Folder to search, with its subfolders.
    sample_rate : int, Hz
        Sample rate of the result.
    progress : callable, optional
        Function of (files done, files in all, name of the next file).

    Returns
    -------
    Recordings

    Raises
    ------
    FormatError
        If the folder is missing or holds no usable sound.
    """
    folder = Path(folder)
    paths, unreadable = find_sound_files(folder)
    kept: list[Recording] = []
    skipped = [(str(path.relative_to(folder)), why_unreadable(path)) for path in unreadable]
    for done, path in enumerate(paths):
        name = path.relative_to(folder)
        label = name.parts[0] if len(name.parts) > 1 else ""
        if progress:
            progress(done, len(paths), str(name))
        try:
            samples = read_audio(path, sample_rate)
            if not len(samples):
                skipped.append((str(name), "is too short"))
            elif len(trimmed := _trim(samples, sample_rate)):
                kept.append(Recording(str(name), label, trimmed))
            else:
                skipped.append((str(name), "is silent"))
        except FormatError as error:
            skipped.append((str(name), str(error).removeprefix(f"{path}: ")))
    if not kept:
        raise FormatError(f"{folder}: holds no usable sound; left out: {_first_names(skipped)}")
    gain = PEAK / max(float(np.abs(file.samples).max()) for file in kept)
    files = tuple(replace(file, samples=file.samples * np.float32(gain)) for file in kept)
    return Recordings(sample_rate, files, tuple(skipped))


def concatenate(
    files: list[Recording], sample_rate: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate files in random order, with short silences between them.

    Parameters
    ----------
    files : list of Recording
        Files in any order.
    sample_rate : int, Hz
        Sample rate of the files.
    seed : int
        Seed of the order.

    Returns
    -------
    samples : array [n_samples], float32
    owners : array [n_samples], int32
        Index into `files` of the file that each sample belongs to.
    """
    gap = np.zeros(round(GAP_S * sample_rate), np.float32)
    order = np.random.default_rng(seed).permutation(len(files))
    samples = [np.concatenate((files[i].samples, gap)) for i in order]
    owners = [np.full(len(part), i, np.int32) for i, part in zip(order, samples, strict=True)]
    return np.concatenate(samples), np.concatenate(owners)


def _first_names(skipped: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({reason})" for name, reason in skipped[:3])


def _trim(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cut the silence at both ends; the result is empty if all is silent."""
    level = np.abs(samples)
    peak = float(level.max())
    if peak < 1e-4:
        return samples[:0]
    loud = np.flatnonzero(level > peak * 10.0 ** (TRIM_DB / 20.0))
    margin = round(MARGIN_S * sample_rate)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin + 1]
