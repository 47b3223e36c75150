"""Evenly spaced subsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def evenly_spaced(items: Sequence[Item], n: int) -> list[Item]:
    """Return at most n of the items, in their order, the first and the last among them.

    Examples
    --------
    >>> evenly_spaced("abcdefg", 3), evenly_spaced("ab", 3)
    (['a', 'd', 'g'], ['a', 'b'])
    """
    n = min(n, len(items))
    return [items[i] for i in np.linspace(0, len(items) - 1, n).round().astype(int)]
