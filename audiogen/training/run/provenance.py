"""Which code and which sounds make a preset, as they are when its training begins."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import audiogen

LARGEST_BYTES = 4 << 30  # of sounds; larger sets have no hash, since reading them takes minutes
_BLOCK = 1 << 20


def provenance(files: Iterable[Path], before: Mapping[str, str]) -> dict[str, str]:
    """Describe the code and the sounds of a training.

    Parameters
    ----------
    files : iterable of Path
        The sounds.
    before : mapping of str to str
        The same of the run that is resumed; empty for a new one.

    Returns
    -------
    dict of str
        ``version``, of all builds that the run had, and ``data_sha256`` unless the set is large.
    """
    version, first = code_version(), before.get("version", "")
    if first and version not in first:
        version = f"{first}; {version}"
    elif first:
        version = first
    sha256 = before.get("data_sha256") or data_sha256(files)
    return {"version": version} | ({"data_sha256": sha256} if sha256 else {})


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
        64 hexadecimal digits; empty without files, if one can't be read, or if they have more than
        `LARGEST_BYTES`.
    """
    paths = sorted(files)
    total = hashlib.sha256()
    try:
        if not 0 < sum(path.stat().st_size for path in paths) <= LARGEST_BYTES:
            return ""
        for path in paths:
            one = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    one.update(block)
            total.update(one.digest())
    except OSError:
        return ""
    return total.hexdigest()
