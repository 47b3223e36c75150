"""Parts of a study, which run in any number of processes and can be resumed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from audiogen.core.atomic_write import read_json_lines

Part = Mapping[str, str | int | float]
Work = Callable[[Part], dict[str, Any]]


def run_parts(
    path: Path,
    parts: Sequence[Part],
    work: Work,
    *,
    jobs: int = 1,
    minutes: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Run the parts whose results a file doesn't have yet, and add a line of JSON for each.

    Parameters
    ----------
    path : Path
        File of the results. A truncated last line is ignored, and that part runs again.
    parts : sequence of mappings
        Settings of each part, with the same keys; the most important parts first.
    work : callable
        Function of a part that returns its numbers; picklable if ``jobs`` is above 1.
    jobs : int
        Number of processes.
    minutes : float, optional
        Time after which no part is started; no limit by default.
    progress : callable
        Function of (parts done, total).

    Returns
    -------
    list of dict
        Settings and numbers of the parts that have run, in the order of ``parts``.
    """
    end = time.monotonic() + 60.0 * (float("inf") if minutes is None else minutes)
    names = tuple(parts[0])
    lines = (line for line in read_json_lines(path) if set(names) <= set(line))
    done = {_key(line, names): line for line in lines}
    pending = [part for part in parts if _key(part, names) not in done]
    progress(len(parts) - len(pending), len(parts))
    with path.open("a") as file:
        for part, numbers in _compute(pending, work, jobs, end):
            line = done[_key(part, names)] = {**part, **numbers}
            file.write(json.dumps(line) + "\n")
            file.flush()
            progress(sum(_key(part, names) in done for part in parts), len(parts))
    return [done[key] for key in (_key(part, names) for part in parts) if key in done]


def _key(part: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(part[name] for name in names)


def _compute(
    pending: Sequence[Part], work: Work, jobs: int, end: float
) -> Iterator[tuple[Part, dict[str, Any]]]:
    """Run the parts in order; none is started after the end time."""
    if jobs == 1:
        for part in pending:
            if time.monotonic() >= end:
                return
            yield part, work(part)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        running: dict[Future[dict[str, Any]], Part] = {}
        queue = iter(pending)
        while True:
            while len(running) < jobs and time.monotonic() < end:
                if (following := next(queue, None)) is None:
                    break
                running[pool.submit(work, following)] = following
            if not running:
                return
            for finished in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(finished), finished.result()
