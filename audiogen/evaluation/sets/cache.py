"""Cache of measured numbers, by a hash of the sounds, the settings and the code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from audiogen.core.atomic_write import write_whole
from audiogen.data.ingest.cache import cache_folder
from audiogen.errors import ParameterError


class ResultCache:
    """Numbers on disk; one file for each combination of inputs.

    Parameters
    ----------
    folder : Path, optional
        Folder of the files; ``evaluation`` in the user's cache folder by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = cache_folder() / "evaluation" if folder is None else folder
        self.n_hits = 0

    def get(self, key: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        """Return the stored result for a key, or compute and store it.

        Parameters
        ----------
        key : mapping
            Values that JSON can hold: everything that the result depends on, but the code.
        compute : callable
            Function that returns a value that JSON can hold.
        """
        text = json.dumps([dict(key), code_hash()], sort_keys=True)
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
        try:
            value = json.loads(path.read_text())
        except (OSError, ValueError):  # absent, or damaged: it is computed again
            value = compute()
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, json.dumps(value))
            except (OSError, ParameterError):
                pass  # a cache that can't be written only costs time
            return value
        self.n_hits += 1
        return value


@cache
def code_hash() -> str:
    """Hash of the sources of `audiogen.evaluation`, so that changing them invalidates the cache."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
