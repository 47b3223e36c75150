"""Side-by-side timing of two implementations on one core, with the spread of their ratio."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiogen.core.packages import require_package
from audiogen.errors import DeviceError, MissingPackageError

ROUNDS = 11
MIN_MEASUREMENT_S = 0.02  # a call is repeated until it takes that long


@dataclass(frozen=True)
class Race:
    """Two calls with the same result.

    Parameters
    ----------
    what : str
        Name of the task.
    ours, peer : callable, or float, s
        Call that is timed, or its time if that is known or was measured elsewhere.
    peer_name : str
        Implementation of the peer.
    target : float, optional
        Smallest ratio that the project promises.
    remark : callable, optional
        Function of the seconds of our call; returns a note, such as another unit.
    rounds : int
        Number of times that both are timed.
    n_cores : int
        Number of cores for our threads, which must start in the first call.
    """

    what: str
    ours: Callable[[], Any] | float
    peer: Callable[[], Any] | float
    peer_name: str
    target: float | None = None
    remark: Callable[[float], str] | None = None
    rounds: int = ROUNDS
    n_cores: int = 1


@dataclass(frozen=True)
class Job:
    """A group of races that share their data.

    Parameters
    ----------
    races : callable
        Function without arguments that yields the races.
    what : str
        Subject of the races.
    minutes : float
        Estimated duration on an idle server CPU.
    memory_gb : float, GB
        Largest memory in use.
    by_default : bool
        Whether the job runs if none is named.
    """

    races: Callable[[], Iterable[Race]]
    what: str
    minutes: float
    memory_gb: float = 1.0
    by_default: bool = True


@dataclass(frozen=True)
class Result:
    """Result of a race: medians over the rounds.

    Parameters
    ----------
    job, what, peer : str
        Names of the job, of the task and of the peer's implementation.
    ours_s, peer_s : float, s
        Time of one call.
    ratio : float
        Peer's time divided by ours.
    spread : tuple of float
        First and third quartile of the rounds' ratios.
    target : float or None
        Smallest ratio that the project promises.
    remark : str
        Note on our time, such as another unit.
    machine : str
        Processor and versions of packages.
    """

    job: str
    what: str
    peer: str
    ours_s: float
    peer_s: float
    ratio: float
    spread: tuple[float, float]
    target: float | None
    remark: str
    machine: str


@dataclass(frozen=True)
class Skipped:
    """Job that could not run, and the reason."""

    job: str
    reason: str


def require_torch() -> Any:
    """Return PyTorch, the peer of many races.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    return require_package("torch", "train", "this comparison")


def samples_per_second(n_samples: float, note: str = "") -> Callable[[float], str]:
    """Return the remark of a race whose calls produce `n_samples` samples."""
    return lambda seconds: f"{n_samples / seconds:,.0f} samples/s{note}"


def run(jobs: Mapping[str, Job]) -> Iterator[Result | Skipped]:
    """Run jobs on one thread and one core, except for races that need more.

    Parameters
    ----------
    jobs : mapping of str to Job
        A job is skipped from the race on that raises `MissingPackageError` or needs more cores
        than there are.

    Yields
    ------
    Result or Skipped
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with _pinned(allowed, 1), _one_thread():
        for name, job in jobs.items():
            try:
                for race in job.races():
                    n_cores = len(allowed) if allowed else os.cpu_count() or 1
                    if race.n_cores > n_cores:
                        raise DeviceError(
                            f"{race.what}: needs {race.n_cores} cores, and this process may use"
                            f" {n_cores}"
                        )
                    with _pinned(allowed, race.n_cores):
                        result = _measure(name, race)
                    yield result
            except (DeviceError, MissingPackageError) as error:
                yield Skipped(name, str(error))


def machine() -> str:
    """Return the processor's name, the instruction set in use, and versions of the packages."""
    from audiogen.core.backend import find

    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    native = find()
    parts = [f"{processor} ({os.cpu_count()} cores)", native.isa() if native else "numba"]
    parts += [
        f"{package} {sys.modules[package].__version__}"
        for package in ("torch", "numpy", "numba")
        if package in sys.modules
    ]
    return ", ".join(parts)


def _measure(job: str, race: Race) -> Result:
    repeats = [_repeats(call) for call in (race.ours, race.peer)]
    ours, peer = [], []
    for _ in range(race.rounds):
        ours.append(_seconds(race.ours, repeats[0]))
        peer.append(_seconds(race.peer, repeats[1]))
    ratios = [p / o for o, p in zip(ours, peer, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else 3 * ratios
    ours_s = statistics.median(ours)
    return Result(
        job=job,
        what=race.what,
        peer=race.peer_name,
        ours_s=ours_s,
        peer_s=statistics.median(peer),
        ratio=middle,
        spread=(low, high),
        target=race.target,
        remark=race.remark(ours_s) if race.remark else "",
        machine=machine(),
    )


def _repeats(call: Callable[[], Any] | float) -> int:
    if not callable(call):
        return 1
    call()  # compiles, loads, fills caches
    once = _seconds(call, 1)
    return max(1, round(MIN_MEASUREMENT_S / max(once, 1e-7)))


def _seconds(call: Callable[[], Any] | float, repeats: int) -> float:
    if not callable(call):
        return call
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


@contextlib.contextmanager
def _pinned(allowed: set[int] | None, n_cores: int) -> Iterator[None]:
    """Pin the thread, and those that it starts, to the last of its cores, if the system can."""
    if not allowed:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[-n_cores:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Limit torch to one thread."""
    threads = None
    with contextlib.suppress(ImportError):
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads is not None:
            torch.set_num_threads(threads)
