"""The processor: its name, and how many cores and threads are used."""

from __future__ import annotations

import contextlib
import os
import platform
from functools import cache
from pathlib import Path

from audiogen.errors import ParameterError

THREADS_VARIABLE = "AUDIOGEN_THREADS"
MOST_THREADS = 64  # of an engine (csrc/engine/engine.cpp)


@cache
def processor_name() -> str:
    """Return the model of the processor, such as ``AMD EPYC 9554``; its architecture if unknown."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def n_cores() -> int:
    """Number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def n_threads() -> int:
    """Number of threads that render the voices of an engine.

    One for each core, or as many as the environment variable ``AUDIOGEN_THREADS`` says. The samples
    do not depend on it.

    Raises
    ------
    ParameterError
        If the variable is not a whole number from 1 to 64.
    """
    text = os.environ.get(THREADS_VARIABLE, "")
    if not text:
        return min(n_cores(), MOST_THREADS)
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise ParameterError(
            f"{THREADS_VARIABLE}={text!r} must be a whole number from 1 to {MOST_THREADS}, or unset"
        )
    return int(text)
