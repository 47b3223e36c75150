"""Cache of note sets, in folders named by a hash of their files and settings."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20  # bytes


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


def content_hash(folder: Path, paths: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """Return a hash of files and settings, 32 hexadecimal digits.

    Parameters
    ----------
    folder : Path
        Folder that the files' names are relative to; its own place is not hashed.
    paths : iterable of Path
        Files; an unreadable one counts by its name alone.
    settings : mapping
        Values that JSON can hold.
    """
    total = hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode())
    for path in sorted(paths):
        content = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    content.update(block)
        except OSError:
            content.update(b"unreadable")
        name = path.relative_to(folder).as_posix().encode(errors="surrogateescape")
        total.update(b"%d:%s%s" % (len(name), name, content.digest()))
    return total.hexdigest()[:32]
