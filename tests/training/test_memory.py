"""Freed memory is kept where the C library can, and a user's own choice is left alone."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from audiogen.training.run import memory

# Page faults of taking and filling 64 MB ten times over, the first time apart.
FAULTS = """
import resource, sys
from audiogen.training.run.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
bytearray(1 << 26)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    bytearray(b"1") * (1 << 26)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without choices of the user's."""
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    return monkeypatch


def has_mallopt() -> bool:
    try:
        return hasattr(ctypes.CDLL(None), "mallopt")
    except (OSError, TypeError):
        return False


@pytest.mark.skipif(not has_mallopt(), reason="the C library isn't glibc")
def test_what_was_freed_is_taken_again_without_a_page_fault(unset: pytest.MonkeyPatch) -> None:
    def faults(mode: str) -> int:
        run = subprocess.run(
            [sys.executable, "-c", FAULTS, mode],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(run.stdout)

    assert faults("keep") < 0.05 * faults("default")


def test_another_c_library_is_left_alone(unset: pytest.MonkeyPatch) -> None:
    unset.setattr(ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False


@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_TOP_PAD_", "0"), ("GLIBC_TUNABLES", "glibc.malloc.mmap_max=9")],
)
def test_a_choice_of_the_users_stands(unset: pytest.MonkeyPatch, name: str, value: str) -> None:
    unset.setenv(name, value)
    unset.setattr(ctypes, "CDLL", lambda name: pytest.fail("malloc was told something"))
    assert memory.keep_freed_memory() is False
