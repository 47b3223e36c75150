"""The card of a run: what its preset will state that no checkpoint holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audiogen.core.atomic_write import write_whole
from audiogen.errors import FormatError

CARD_NAME = "card.json"


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
