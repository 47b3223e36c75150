"""Every hint how to install names our distribution: the index's `audiogen` is another project's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".toml", ".yml", ".yaml", ".cff"}
# `audiogen`, with or without extras or a version, as an argument of `pip install`. Hints are broken
# over lines and strings, so quotes and white space may stand between any two words.
GAP = r"[\s\"'`\\]+"
WRONG = re.compile(rf"\bpip[3x]?{GAP}install{GAP}(?:-\S+{GAP})*audiogen(?:[\[\s\"'`=<>~!]|$)")


def hinted_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:  # not a checkout
        paths = [p for folder in ("audiogen", "docs", "tests") for p in (ROOT / folder).rglob("*")]
    else:
        paths = [ROOT / name for name in listed.stdout.splitlines()]
    return [p for p in paths if p.suffix in SUFFIXES and p.is_file() and p != Path(__file__)]


def wrong_hints(text: str) -> list[str]:
    return [match.group() for match in WRONG.finditer(text)]


def test_hints_name_the_distribution():
    faults = []
    for path in hinted_files():
        for hint in wrong_hints(path.read_text(encoding="utf-8")):
            faults.append(f"{path.relative_to(ROOT)}: {hint!r}; write audiogen-synth or '.[extra]'")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "hint",
    [
        "pip install audiogen",
        "pip install 'audiogen[web]'",
        'pip install -U "audiogen[live]" numpy',
        '"needs web; pip"\n    " install \'audiogen[train]\'"',
        "pip install audiogen==0.2",
    ],
)
def test_a_hint_that_installs_another_project_is_found(hint):
    assert len(wrong_hints(hint)) == 1


@pytest.mark.parametrize(
    "hint",
    [
        "pip install 'audiogen-synth[web]'",
        'pip install ".[web]"',
        "pip install . && audiogen render song.mid",
        "install audiogen again",
    ],
)
def test_other_hints_are_fine(hint):
    assert wrong_hints(hint) == []
