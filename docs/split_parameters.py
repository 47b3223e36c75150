"""Griffe extension: gives each parameter that a docstring describes with others its own entry.

Numpydoc allows ``sample_rate, seed`` as one entry; griffe then shows the type and the default of
the first for all of them.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import griffe


class SplitParameters(griffe.Extension):
    """Repeats the description of ``a, b`` for ``a`` and for ``b``."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        split_in(func)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        split_in(cls)


def split_in(documented: griffe.Object) -> None:
    if documented.docstring:
        documented.docstring.value = split_entries(documented.docstring.value)


def split_entries(docstring: str) -> str:
    """Split the entries of the section Parameters that have several names."""
    head, rule, rest = docstring.partition("Parameters\n----------\n")
    lines = rest.split("\n")
    result: list[str] = []
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and set(lines[i + 1]) == {"-"}:  # the next section
            return head + rule + "\n".join([*result, *lines[i:]])
        names, colon, kind = line.partition(" : ")
        if not line or line[0].isspace() or ", " not in names:
            result.append(line)
            continue
        description = list(takewhile(lambda after: after[:1].isspace(), lines[i + 1 :]))
        *others, last = names.split(", ")
        for name in others:
            result += [name + colon + kind, *description]
        result.append(last + colon + kind)
    return head + rule + "\n".join(result)
