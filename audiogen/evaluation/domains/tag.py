"""Tags of sound files: family, pitch, and whether the source is unlike all training banks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.audio.files import read_channels
from audiogen.data.file_search import find_sound_files
from audiogen.errors import AudiogenError, FormatError
from audiogen.evaluation.domains.judge import DomainJudge, judge_images

MIN_S = 0.1  # shorter sounds have no clear pitch
LONGEST_READ_S = 30.0  # only the first second from the onset counts


@dataclass(frozen=True)
class Tag:
    """Tag of one sound file.

    Parameters
    ----------
    path : str
        The file.
    family : str
        Most probable family.
    pitch : int, MIDI number
        Most probable pitch, from 36 to 84.
    family_probability, pitch_probability : float
        Probabilities that the judge gives them.
    is_novel : bool
        Whether the sound is unlike all of the judge's training data; family and pitch are then
        less reliable.
    error : str
        Reason why the file has no tag; empty if it has one.
    """

    path: str
    family: str = ""
    pitch: int = 0
    family_probability: float = 0.0
    pitch_probability: float = 0.0
    is_novel: bool = False
    error: str = ""


def expand(paths: Sequence[str | PathLike[str]]) -> list[Path]:
    """Return the files, and the sound files in the folders.

    Raises
    ------
    FormatError
        If a folder has no sound file.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        files += find_sound_files(path)[0] if path.is_dir() else [path]
    return files


def tag_files(paths: Sequence[str | PathLike[str]], judge: DomainJudge) -> Iterator[Tag]:
    """Tag files in sequence; the tag of a file that can't be tagged has the error.

    Parameters
    ----------
    paths : sequence of path
        Sound files.
    judge : DomainJudge
        Judge of family and pitch.
    """
    for path in paths:
        try:
            image = judge_images(*_read(Path(path)))
        except AudiogenError as error:
            yield Tag(str(path), error=str(error))
            continue
        families, pitches = judge.probabilities(image)
        family, pitch = int(families[0].argmax()), int(pitches[0].argmax())
        yield Tag(
            str(path),
            judge.families[family],
            judge.pitches[pitch],
            float(families[0, family]),
            float(pitches[0, pitch]),
            bool(judge.is_novel(image)[0]),
        )


def _read(path: Path) -> tuple[np.ndarray, int]:
    """One sound [1, n_samples] with its sample rate."""
    samples, rate = read_channels(path)
    sound = samples.mean(axis=1)
    if not np.abs(sound).max() > 0:
        raise FormatError(f"{path}: is silent; give a note")
    loud = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max())
    sound = sound[loud[0] :][: round(LONGEST_READ_S * rate)]
    if loud[-1] - loud[0] < MIN_S * rate:
        raise FormatError(
            f"{path}: sounds for {(loud[-1] - loud[0]) / rate:.3f} s, which is too short; it must"
            f" be {MIN_S} s or longer"
        )
    return sound[None], rate
