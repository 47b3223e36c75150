"""The card of a run: what its preset will state, which code and which sounds make it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import audiogen
from audiogen.core.atomic_write import write_whole
from audiogen.errors import FormatError

CARD_NAME = "card.json"
LARGEST_BYTES = 4 << 30  # of sounds; larger sets have no hash, since reading them takes minutes
_BLOCK = 1 << 20


def write_card(run: Path, fields: dict[str, Any], command: str, stated: dict[str, Any]) -> None:
    """Write the card beside the checkpoints.

    Parameters
    ----------
    run : Path
        Folder of the run.
    fields : dict
        Fields of the preset (`preset_fields` or `samplernn_fields`).
    command : str
        The command line of the training.
    stated : dict
        Fields that the user stated.
    """
    card = json.dumps({"command": command, "fields": fields, "stated": stated}, indent=1)
    write_whole(run / CARD_NAME, card + "\n")


def read_card(run: Path) -> dict[str, Any]:
    """Read the card of a run.

    Parameters
    ----------
    run : Path
        Folder of the run.

    Returns
    -------
    dict
        ``command``, ``fields`` and ``stated``, as of `write_card`.

    Raises
    ------
    FormatError
        If the card is missing or can't be read.
    """
    path = run / CARD_NAME
    if not path.is_file():
        raise FormatError(
            f"{path}: not found; give a folder that `audiogen train` made, or --resume the"
            " training, which writes it"
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        for part, kind in (("command", str), ("fields", dict), ("stated", dict)):
            if not isinstance(card[part], kind):
                raise ValueError(f"{part} must be of type {kind.__name__}")
        if not isinstance(card["fields"]["kind"], str):
            raise ValueError("fields.kind must be of type str")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path}: can't be read ({error!r}); --resume the training, which writes it"
        ) from error
    return card


def stated_before(run: Path, say: Callable[[str], None]) -> tuple[str | None, dict[str, Any]]:
    """The command that began a run, and what its user stated about the preset.

    Parameters
    ----------
    run : Path
        Folder of the run.
    say : callable
        Receives a message if the card can't be read.

    Returns
    -------
    command : str or None
    stated : dict
    """
    try:
        card = read_card(run)
    except FormatError as error:
        say(f"{error}; give --author, --licence and the like again")
        return None, {}
    return card["command"], card["stated"]


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
