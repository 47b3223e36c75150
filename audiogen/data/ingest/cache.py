"""Where things that can be made again are kept, under names that say what they were made from."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20  # bytes read at once


def cache_folder() -> Path:
    """Return the folder of this user's cache: ``$AUDIOGEN_CACHE``, or where the system has caches.

    That is ``$XDG_CACHE_HOME/audiogen`` (usually ``~/.cache/audiogen``),
    ``~/Library/Caches/audiogen`` on macOS, ``%LOCALAPPDATA%\\audiogen\\Cache`` on Windows.
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


def content_hash(folder: Path, paths: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """Return a name for what files and settings make: 32 digits that change with any of them.

    Parameters
    ----------
    folder : Path
        What the files' names are relative to; where it lies doesn't count.
    paths : iterable of Path
        A file that can't be read counts by its name alone.
    settings : mapping
        Of what JSON can hold.
    """
    whole = hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode())
    for path in sorted(paths):
        part = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    part.update(block)
        except OSError:
            part.update(b"unreadable")
        name = path.relative_to(folder).as_posix().encode(errors="surrogateescape")
        whole.update(b"%d:%s%s" % (len(name), name, part.digest()))
    return whole.hexdigest()[:32]
