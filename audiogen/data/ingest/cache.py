"""Cache of note sets, in folders named by a hash of their files and settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from audiogen.core.atomic_write import cache_folder

__all__ = ["cache_folder", "content_hash"]

_BLOCK = 1 << 20  # bytes


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
