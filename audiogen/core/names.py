"""Completes error messages about unknown names with the known names most similar to them."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 256  # bytes of a name that are compared
_MOST_NAMED, _MOST_LISTED = 3, 20
_SIMILAR = 0.6


def suggest(name: str, known: Sequence[str]) -> str:
    """The end of an error message on an unknown name: the known names most similar to it.

    Similarity is twice the longest common subsequence over the sum of the lengths, in bytes, as in
    csrc/core/nearest_names.cpp.

    Examples
    --------
    >>> suggest("Guitarr", ["guitar", "harp"])
    '; did you mean guitar?'
    >>> suggest("x", ["guitar", "harp"])
    '; there are: guitar, harp'
    """
    if not known:
        return "; there are none"
    wanted = _bytes(name).translate(_LOWER)
    similar = [(_similarity(wanted, _bytes(candidate)), candidate) for candidate in known]
    near = [pair for pair in similar if pair[0] >= _SIMILAR]
    near.sort(key=lambda pair: -pair[0])
    if near:
        return f"; did you mean {' or '.join(candidate for _, candidate in near[:_MOST_NAMED])}?"
    more = ", ..." if len(known) > _MOST_LISTED else ""
    return f"; there are: {', '.join(known[:_MOST_LISTED])}{more}"


_LOWER = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogatepass")[:_LONGEST]


def _similarity(a: bytes, b: bytes) -> float:
    row = [0] * (len(b) + 1)
    for c in a:
        diagonal = 0
        for j, d in enumerate(b):
            above = row[j + 1]
            row[j + 1] = diagonal + 1 if c == d else max(above, row[j])
            diagonal = above
    return 2.0 * row[-1] / (len(a) + len(b)) if a or b else 1.0
