"""Files and folders that appear only once they are complete, lines of results, the cache."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiogen.errors import ParameterError


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside `path`, and move it there if all goes well.

    Raises
    ------
    ParameterError
        If the file can't be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise ParameterError(
            f"output {path} can't be written ({error.strerror or error})"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a file of text: the whole of it or nothing.

    Raises
    ------
    ParameterError
        If it can't be written.
    """
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")


def require_new(folder: Path) -> None:
    """Find out whether a folder may be written: nothing that is there is lost.

    Raises
    ------
    ParameterError
        If it has something in it, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ParameterError(
            f"output={str(folder)!r} exists and isn't an empty folder; name a new one"
        )


@contextmanager
def folder_written_whole(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a hidden folder beside `folder`, and move it there if all goes well.

    If an exception leaves the block, what was written is thrown away.

    Parameters
    ----------
    folder : path
        Must be new, or an empty folder.

    Raises
    ------
    ParameterError
        If `folder` has something in it, or can't be made.
    """
    folder = Path(folder)
    require_new(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".audiogen-", dir=folder.parent))
    except OSError as error:
        raise ParameterError(
            f"output={str(folder)!r} can't be written ({error.strerror}); "
            "name a folder that you may write to"
        ) from error
    try:
        yield draft
        os.chmod(draft, 0o755)  # mkdtemp makes it private
        if folder.exists():
            folder.rmdir()
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def flush_to_disk(path: Path, within: bool = True) -> None:
    """Write a file or folder through to the disk, so that it survives a loss of power.

    Parameters
    ----------
    path : Path
        The file or folder.
    within : bool
        Whether the files of a folder are written through, too.
    """
    if path.is_dir() and within:
        for inner in path.iterdir():
            flush_to_disk(inner)
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# Flags of renameat2 (Linux) and renamex_np (macOS) that make them swap two paths.
_RENAME_EXCHANGE, _RENAME_SWAP = 2, 2
_AT_FDCWD = -100  # paths are relative to the working directory


def exchange(first: Path, second: Path) -> bool:
    """Swap two paths of one file system in one step.

    Returns
    -------
    bool
        False, and nothing has changed, if the system or the file system cannot do that.
    """
    paths = [os.fsencode(os.path.abspath(path)) for path in (first, second)]
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(libc.renamex_np(*paths, _RENAME_SWAP) == 0)
        status = libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)
        return bool(status == 0)
    except (AttributeError, OSError, TypeError):  # no such function
        return False


def remove_partial_line(path: Path) -> None:
    """Remove a last line that was cut off, so that the next one has a line of its own.

    Parameters
    ----------
    path : Path
        The file; nothing happens if it does not exist.
    """
    content = path.read_bytes() if path.exists() else b""
    n_whole = content.rfind(b"\n") + 1
    if n_whole < len(content):
        os.truncate(path, n_whole)


def read_json_lines(path: Path) -> list[Any]:
    """Return the content of each line; lines that aren't JSON are left out.

    Parameters
    ----------
    path : Path
        The file. Without it there are no lines; a last line that was cut off is removed from it.
    """
    remove_partial_line(path)
    contents = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            contents.append(json.loads(line))
        except ValueError:
            continue
    return contents


def cache_folder() -> Path:
    """Return the user's cache folder: ``$AUDIOGEN_CACHE``, or the system's place for caches.

    The latter is ``$XDG_CACHE_HOME/audiogen`` (usually ``~/.cache/audiogen``),
    ``~/Library/Caches/audiogen`` on macOS and ``%LOCALAPPDATA%\\audiogen\\Cache`` on Windows.
    """
    named = os.environ.get("AUDIOGEN_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "audiogen"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(local) / "audiogen" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audiogen"
