"""Numbers with their nouns, for messages."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural but for one.

    Examples
    --------
    >>> counted(1, "note"), counted(2, "note")
    ('1 note', '2 notes')
    """
    return f"{n} {noun}{'s' * (n != 1)}"
