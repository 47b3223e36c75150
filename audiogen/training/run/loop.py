"""The loop that every kind of training runs in: steps, reports, previews, checkpoints, Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from audiogen.errors import AudiogenError
from audiogen.training.run.checkpoints import Checkpoints
from audiogen.training.run.processes import Processes

REPORT_EVERY_S = 15.0
SAVE_EVERY_S = 50.0  # a process that is killed loses less than a minute
PREVIEW_EVERY_S = 300.0
MOST = 0.05  # of the time, for each of these


class Steps(Protocol):
    """What a trainer is to the loop."""

    step: int  # that comes next
    seconds: float  # spent in steps, stops not counted
    best: dict[str, Any]  # "step": when held-out sound was best
    warning: str  # what the user should know by now; empty when all is well

    @property
    def n_steps(self) -> int: ...

    def train_step(self) -> dict[str, float]: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...

    def checkpoint_bytes(self) -> int: ...


class Pace:
    """When something is due: every so many seconds, or more seldom if it takes long.

    Parameters
    ----------
    every_s : float, s
    clock : callable
        Gives seconds.
    """

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic):
        self._every_s, self._clock = every_s, clock
        self._next = clock() + every_s

    def due(self) -> bool:
        return self._clock() >= self._next

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Round what is done: the next comes so late that it takes `MOST` of the time."""
        start = self._clock()
        yield
        end = self._clock()
        self._next = max(start + self._every_s, end + (end - start) * (1.0 / MOST - 1.0))


def train(
    trainer: Steps,
    checkpoints: Checkpoints,
    report: Callable[[dict[str, float]], None],
    preview: Callable[[], None] | None = None,
    preview_every_s: float = PREVIEW_EVERY_S,
    save_every_s: float = SAVE_EVERY_S,
    processes: Processes | None = None,
) -> None:
    """Run a trainer to its last step.

    Ctrl-C (or SIGTERM) is acted on between two steps: the checkpoint is saved, then
    KeyboardInterrupt raised. Saving and previews take a twentieth of the time each, at most, so
    that a large model on a slow disk is saved more seldom.

    Parameters
    ----------
    trainer : Steps
        Fresh, or restored.
    checkpoints : Checkpoints
    report : callable
        Gets the means of the losses since the last report.
    preview : callable, optional
        Lets the trainer be heard; it must leave it as it is.
    preview_every_s, save_every_s : float, s
    processes : Processes, optional
        That train together: all stop, and ask for the trainer's state, at the same step; the first
        one saves, reports and lets be heard.

    Raises
    ------
    AudiogenError
        If a step can't be made, or not be saved, or there is too little space on the disk.
    """
    processes = processes or Processes()
    checkpoints.require_space(trainer.checkpoint_bytes())

    def save() -> None:
        if processes.first:
            checkpoints.save(trainer)
        else:
            trainer.state()  # the first one gathers what each has of it

    reports, saves = Pace(REPORT_EVERY_S), Pace(save_every_s)
    previews = Pace(preview_every_s)
    start = time.monotonic() - trainer.seconds
    sums: dict[str, list[float]] = {}
    saved, stop = -1, False
    with _interruptible() as interrupted:
        while trainer.step < trainer.n_steps and not stop:
            try:
                seen = trainer.train_step()
            except AudiogenError:
                save()  # what wasn't a number hasn't reached the weights
                raise
            trainer.seconds = time.monotonic() - start
            for name, value in seen.items():
                sums.setdefault(name, []).append(value)
            last = trainer.step == trainer.n_steps
            if processes.first and (reports.due() or last):
                with reports.taken():
                    report({name: sum(values) / len(values) for name, values in sums.items()})
                sums = {}
            stop, due = processes.any(interrupted.is_set(), processes.first and saves.due())
            if due or trainer.best["step"] == trainer.step:
                with saves.taken():
                    save()
                saved = trainer.step
            if processes.first and preview is not None and previews.due() and not last:
                with previews.taken():
                    preview()
    if saved != trainer.step:
        save()
    if stop:
        raise KeyboardInterrupt


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that it is acted on between steps; on the main thread only."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: event.set()) for number in numbers]
    try:
        yield event
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
