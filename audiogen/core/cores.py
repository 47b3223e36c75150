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
    """Return the number of cores that this process may use: its CPU affinity, within its quota.

    Containers have quotas. A quota of 1.5 cores counts as one core: with two busy threads the
    system would stop both for part of each period, which is audible.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the CPU quota, in cores, of this process's control group or of a group above it.

    Parameters
    ----------
    root : path
        Folder that holds ``proc`` and ``sys``.

    Returns
    -------
    float, optional
        The smallest quota; None if there is none, as outside Linux.
    """
    quotas = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if not group:
            continue
        if not controllers:
            mount = root / "sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup/cpu"
        else:
            continue
        folder = mount / group.lstrip("/")
        # In a container the mount may show its own group as the root, without the path.
        for place in (folder, *folder.parents):
            words = _text(place / "cpu.max").split() or [
                *_text(place / "cpu.cfs_quota_us").split(),
                *_text(place / "cpu.cfs_period_us").split(),
            ]
            if len(words) == 2 and all(map(str.isdecimal, words)) and int(words[1]) > 0:
                quotas.append(int(words[0]) / int(words[1]))
            if place == mount:
                break
    return min(quotas, default=None)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def n_threads() -> int:
    """Number of threads that render: parts of a score, and the voices of an engine.

    One for each core that the process may use, or as many as the environment variable
    ``AUDIOGEN_THREADS`` says. The samples do not depend on it.

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
