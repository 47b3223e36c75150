"""Search of a folder for sound files, by the formats that libsndfile reads."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from audiogen.errors import FormatError

# Suffixes of sound files that libsndfile does not read.
UNSUPPORTED = {
    *(".m4a", ".aac", ".wma", ".mp4", ".webm", ".mka", ".alac", ".ape", ".wv", ".m4b", ".raw")
}


def find_sound_files(folder: str | PathLike[str]) -> tuple[list[Path], list[Path]]:
    """Find the sound files of a folder and its subfolders, without hidden ones.

    Parameters
    ----------
    folder : path
        Folder to search, with its subfolders.

    Returns
    -------
    sounds : list of Path
        Files in formats that libsndfile reads, sorted.
    unreadable : list of Path
        Sound files in other formats, and subfolders without permission; see `why_unreadable`.

    Raises
    ------
    FormatError
        If the folder is missing or has no readable sound file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FormatError(f"{folder}: isn't a folder; give a folder of sound files")
    paths: list[Path] = []
    refused: list[Path] = []
    for place, _, names in os.walk(folder, onerror=lambda e: refused.append(Path(e.filename))):
        if os.access(place, os.X_OK):
            paths.extend(Path(place, name) for name in names)
        else:  # it may be listed, but not entered
            refused.append(Path(place))
    refused = [path for path in refused if _is_visible(path, folder)]
    paths = [path for path in sorted(paths) if _is_visible(path, folder) and path.is_file()]
    suffixes = sound_suffixes()
    sounds = [path for path in paths if path.suffix.lower() in suffixes]
    unreadable = refused + [path for path in paths if path.suffix.lower() in UNSUPPORTED]
    if not sounds:
        left_out = ""
        if unreadable:
            left_out = f" (left out: {unreadable[0].name}, {why_unreadable(unreadable[0])})"
        raise FormatError(
            f"{folder}: holds no sound file; wav, flac, ogg, mp3 and aiff are read{left_out}"
        )
    return sounds, unreadable


def why_unreadable(path: str | PathLike[str]) -> str:
    """Return the reason why a file or subfolder of the second list is left out."""
    suffix = Path(path).suffix
    if suffix.lower() not in UNSUPPORTED:
        return "can't be opened"
    return f"{suffix} files can't be read; export as wav"


def sound_suffixes() -> set[str]:
    """Return the suffixes of the formats that libsndfile reads, without headerless raw data."""
    import soundfile

    formats = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"}
    return formats | {".aif", ".aifc", ".mp3", ".oga", ".opus", ".wave"}


def _is_visible(path: Path, folder: Path) -> bool:
    """Return whether a path is neither hidden nor a resource fork of macOS."""
    parts = path.relative_to(folder).parts
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)
