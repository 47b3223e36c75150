"""Every documented parameter has a description that stands alone."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1] / "audiogen"

# Parts of the package whose docstrings still break the rules. Only remove from this list.
UNFINISHED: set[str] = set()

SECTIONS = {"Parameters", "Other Parameters", "Attributes"}
# A description is a noun phrase; one that begins with these words continues an unwritten sentence.
BAD_BEGINNINGS = ("As", "Of", "That", "What")


def sections(docstring: str) -> Iterator[tuple[str, list[str]]]:
    """Name and lines of each section of a numpydoc docstring."""
    lines = inspect.cleandoc(docstring).splitlines()
    heads = [
        i
        for i in range(len(lines) - 1)
        if lines[i].strip() and re.fullmatch(r"-{3,}", lines[i + 1].strip())
    ]
    for head, end in zip(heads, [*heads[1:], len(lines)], strict=False):
        yield lines[head].strip(), lines[head + 2 : end]


def parameters(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Name and description of each entry of a section."""
    entries: list[list[str]] = []
    for line in lines:
        if line and not line[0].isspace():
            entries.append([line])
        elif entries:
            entries[-1].append(line)
    for name, *rest in entries:
        yield name.partition(":")[0].strip(), inspect.cleandoc("\n".join(rest)).strip()


def docstring_faults(docstring: str) -> list[str]:
    faults = []
    for section, lines in sections(docstring):
        if section not in SECTIONS:
            continue
        for name, description in parameters(lines):
            first = re.match(r"\w*", description)
            if not description:
                faults.append(f"{name} has no description")
            elif first and first.group() in BAD_BEGINNINGS:
                faults.append(f"{name}: a description can't begin with {first.group()!r}")
    return faults


def file_faults(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = getattr(node, "name", "module")
            for fault in docstring_faults(ast.get_docstring(node) or ""):
                yield f"{path.relative_to(ROOT.parent)}: {name}: {fault}"


def test_documented_parameters_have_descriptions():
    faults: dict[str, list[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        part = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for fault in file_faults(path):
            faults.setdefault(part, []).append(fault)
    wrong = [fault for part in faults if part not in UNFINISHED for fault in faults[part]]
    assert not wrong, "\n".join(wrong)
    finished = UNFINISHED - set(faults)
    assert not finished, f"remove from UNFINISHED: {sorted(finished)}"


def test_faults_are_found():
    docstring = """Render.

    Parameters
    ----------
    rate : int
        Of the output, Hz.
    seed, index : int
    gain : float
        Officially a number.

        What follows is free text.

    Returns
    -------
    ndarray
    """
    assert docstring_faults(docstring) == [
        "rate: a description can't begin with 'Of'",
        "seed, index has no description",
    ]
    assert docstring_faults("No sections.") == []
