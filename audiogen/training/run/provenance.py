"""Which code and which sounds made a preset."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

import audiogen


def code_version() -> str:
    """Version of audiogen; of a working tree also its commit, with -dirty if it has changes."""
    root = Path(audiogen.__file__).parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    if (root / ".git").exists():
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=20.0)
        except (OSError, subprocess.TimeoutExpired):
            return audiogen.__version__
        if found.returncode == 0:
            return f"{audiogen.__version__}, commit {found.stdout.strip()}"
    return audiogen.__version__


def data_sha256(files: Iterable[Path]) -> str:
    """SHA-256 of the SHA-256 sums of files, in the order of their names.

    Parameters
    ----------
    files : iterable of Path
        The sounds of a training.

    Returns
    -------
    str
        64 hexadecimal digits; empty if a file can't be read any more.
    """
    total = hashlib.sha256()
    try:
        for path in sorted(files):
            total.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError:
        return ""
    return total.hexdigest()
