"""Times two ways to do one thing in turn, on one core, and says how sure the ratio is."""

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

from audiogen.errors import DeviceError, MissingPackageError

ROUNDS = 11
SHORTEST_S = 0.02  # a measurement repeats its call until it lasts that long


@dataclass(frozen=True)
class Race:
    """Two calls that give the same result.

    Parameters
    ----------
    what : str
        What is done.
    ours, peer : callable, or float, s
        What is timed; or the time it takes, where that is known or was measured elsewhere.
    peer_name : str
        How the peer does it.
    target : float, optional
        The ratio that the project promises at least.
    remark : callable, optional
        Gets the seconds of a call of ours and gives a note, such as another unit.
    rounds : int
        How often both are timed.
    n_cores : int
        That the threads of ours share; what starts them must do so in its first call.
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
class Result:
    """What a race gave: medians over rounds, and how far the ratio spread.

    Parameters
    ----------
    job, what, peer : str
    ours_s, peer_s : float, s
        One call.
    ratio : float
        Peer over ours: more is better.
    spread : tuple of float
        First and third quartile of the rounds' ratios.
    target : float or None
    remark : str
    machine : str
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
    """A job that couldn't run, and why."""

    job: str
    reason: str


def require_torch() -> Any:
    """PyTorch, which is the peer of many races.

    Raises
    ------
    MissingPackageError
        If it isn't installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingPackageError(
            "this compares with torch, which isn't installed; pip install 'audiogen-synth[train]'"
        ) from None
    return torch


def samples_per_second(n_samples: float, note: str = "") -> Callable[[float], str]:
    """A race's remark: how many samples a second, where a call makes ``n_samples``."""
    return lambda seconds: f"{n_samples / seconds:,.0f} samples/s{note}"


def run(jobs: Mapping[str, Callable[[], Iterable[Race]]]) -> Iterator[Result | Skipped]:
    """Run jobs on one thread, and on one core but for races that want more.

    Parameters
    ----------
    jobs : mapping of str to callable
        Each gives its races; where it raises `MissingPackageError`, or wants more cores than there
        are, the rest of it is skipped.

    Yields
    ------
    Result or Skipped
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with _pinned(allowed, 1), _one_thread():
        for job, races in jobs.items():
            try:
                for race in races():
                    n_cores = len(allowed) if allowed else os.cpu_count() or 1
                    if race.n_cores > n_cores:
                        raise DeviceError(
                            f"{race.what}: wants {race.n_cores} cores, and this process may use"
                            f" {n_cores}"
                        )
                    with _pinned(allowed, race.n_cores):
                        result = _measure(job, race)
                    yield result
            except (DeviceError, MissingPackageError) as error:
                yield Skipped(job, str(error))


def machine() -> str:
    """The processor's name, its instruction set in use, and the versions of what is measured."""
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
    return max(1, round(SHORTEST_S / max(once, 1e-7)))


def _seconds(call: Callable[[], Any] | float, repeats: int) -> float:
    if not callable(call):
        return call
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


@contextlib.contextmanager
def _pinned(allowed: set[int] | None, n_cores: int) -> Iterator[None]:
    """Pins the thread, and those that it starts, to the last of its cores, where the system can."""
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
    """Of torch."""
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
