"""Side-by-side timing of an implementation and its peers on one core, and its limit."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from audiogen.core.cores import processor_name
from audiogen.core.packages import require_package
from audiogen.errors import DeviceError, MissingPackageError

ROUNDS = 11
MIN_MEASUREMENT_S = 0.02  # a call is repeated until it takes that long


@dataclass(frozen=True)
class Limit:
    """Shortest time in which the hardware could complete a call.

    Parameters
    ----------
    seconds : float, s
        Time of one call at the limit.
    what : str
        Resource, its measured rate, and the amount that a call needs.
    """

    seconds: float
    what: str


@dataclass(frozen=True)
class Race:
    """Calls with the same result; the ratio is against the fastest peer.

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
    others : mapping of str to callable or float
        Further peers, by name.
    absent : mapping of str to str
        Peers that can't be measured, and the reason or the command that installs them.
    limit : callable, optional
        Function that measures and returns the limit of audiogen's call.
    rounds : int
        Number of times that all are timed, in turn.
    n_cores : int
        Number of cores for our threads, which must start in the first call.
    """

    what: str
    ours: Callable[[], Any] | float
    peer: Callable[[], Any] | float
    peer_name: str
    target: float | None = None
    remark: Callable[[float], str] | None = None
    others: Mapping[str, Callable[[], Any] | float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    limit: Callable[[], Limit] | None = None
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
    """Result of a race: the fastest of the rounds, which other programs disturbed least.

    Parameters
    ----------
    job, what, peer : str
        Names of the job, of the task and of the fastest peer's implementation.
    ours_s, peer_s : float, s
        Time of one call.
    ratio : float
        Peer's time divided by ours.
    spread : tuple of float
        First and third quartile of the rounds' ratios.
    others : dict of str to float, s
        Times of the slower peers, in order.
    absent : dict of str to str
        Peers that were not measured, and the reasons.
    limit_s : float, s, or None
        Time of one call at the limit of the hardware.
    limit : str
        Resource of that limit.
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
    others: dict[str, float]
    absent: dict[str, str]
    limit_s: float | None
    limit: str
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

    native = find()
    parts = [f"{processor_name()} ({os.cpu_count()} cores)", native.isa() if native else "numba"]
    parts += [
        f"{package} {sys.modules[package].__version__}"
        for package in ("torch", "onnxruntime", "openvino", "numpy", "numba")
        if package in sys.modules
    ]
    return ", ".join(parts)


def _measure(job: str, race: Race) -> Result:
    calls = {race.peer_name: race.peer, **race.others}
    repeats = {name: _repeats(call) for name, call in calls.items()}
    our_repeats = _repeats(race.ours)
    ours: list[float] = []
    peers: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(race.rounds):
        ours.append(_seconds(race.ours, our_repeats))
        for name, call in calls.items():
            peers[name].append(_seconds(call, repeats[name]))
    best, *slower = sorted(peers, key=lambda name: min(peers[name]))
    ratios = [p / o for o, p in zip(ours, peers[best], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else 3 * ratios
    limit = race.limit() if race.limit else None
    return Result(
        job=job,
        what=race.what,
        peer=best,
        ours_s=min(ours),
        peer_s=min(peers[best]),
        ratio=min(peers[best]) / min(ours),
        spread=(low, high),
        others={name: min(peers[name]) for name in slower},
        absent=dict(race.absent),
        limit_s=limit.seconds if limit else None,
        limit=limit.what if limit else "",
        target=race.target,
        remark=race.remark(min(ours)) if race.remark else "",
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


def quickest(call: Callable[[], Any], rounds: int) -> float:
    """Return the shortest of the times of so many calls, after one that warms up, s."""
    call()
    return min(_seconds(call, 1) for _ in range(rounds))


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
