"""Which files of a folder are sound: those that libsndfile reads, and those that it doesn't."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from audiogen.errors import FormatError

# Sound, by their endings, that libsndfile doesn't read.
NOT_READ = {".m4a", ".aac", ".wma", ".mp4", ".webm", ".mka", ".alac", ".ape", ".wv", ".m4b", ".raw"}


def sounds_in(folder: str | PathLike[str]) -> tuple[list[Path], list[Path]]:
    """Find sound files in a folder and its subfolders, less what a system or an editor hides.

    Parameters
    ----------
    folder : path

    Returns
    -------
    sounds : list of Path
        Whose endings are of formats that libsndfile reads; sorted.
    not_read : list of Path
        The others, and subfolders that can't be opened; see `why_not_read`.

    Raises
    ------
    FormatError
        If the folder is missing or has no sound file that can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FormatError(f"{folder}: isn't a folder; give one that holds sounds")
    found: list[Path] = []
    closed: list[Path] = []
    for place, _, names in os.walk(folder, onerror=lambda e: closed.append(Path(e.filename))):
        if os.access(place, os.X_OK):
            found.extend(Path(place, name) for name in names)
        else:  # it may be listed, not entered
            closed.append(Path(place))
    closed = [path for path in closed if _visible(path, folder)]
    paths = [path for path in sorted(found) if _visible(path, folder) and path.is_file()]
    suffixes = sound_suffixes()
    sounds = [path for path in paths if path.suffix.lower() in suffixes]
    not_read = closed + [path for path in paths if path.suffix.lower() in NOT_READ]
    if not sounds:
        left_out = ""
        if not_read:
            left_out = f" (left out: {not_read[0].name}, {why_not_read(not_read[0])})"
        raise FormatError(
            f"{folder}: holds no sound file; wav, flac, ogg, mp3 and aiff are read{left_out}"
        )
    return sounds, not_read


def why_not_read(path: str | PathLike[str]) -> str:
    """What to say of a file that libsndfile doesn't read, or of a folder that can't be opened."""
    suffix = Path(path).suffix
    if suffix.lower() not in NOT_READ:
        return "can't be opened"
    return f"{suffix} files can't be read; export as wav"


def sound_suffixes() -> set[str]:
    """Return the endings of files that libsndfile reads, raw samples without a header left out."""
    import soundfile

    formats = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"}
    return formats | {".aif", ".aifc", ".mp3", ".oga", ".opus", ".wave"}


def _visible(path: Path, folder: Path) -> bool:
    """Whether it is the user's own."""
    parts = path.relative_to(folder).parts
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)
