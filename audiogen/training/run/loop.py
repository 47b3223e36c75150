"""The loop of every training: steps, reports, previews, checkpoints, Ctrl-C."""

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
SAVE_EVERY_S = 50.0  # so that a killed process loses less than a minute
PREVIEW_EVERY_S = 300.0
LARGEST_SHARE = 0.05  # of the time, for reports, checkpoints and previews each


class Steps(Protocol):
    """A trainer, as far as the loop uses it (see `Trainer`)."""

    step: int
    seconds: float
    best: dict[str, Any]
    warning: str

    @property
    def n_steps(self) -> int: ...

    def train_step(self) -> dict[str, float]: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...

    def checkpoint_bytes(self) -> int: ...


class Pace:
    """Timer of a repeated task: due at an interval, or less often if the task takes long.

    Parameters
    ----------
    every_s : float, s
        Interval.
    clock : callable
        Returns seconds.
    """

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic):
        self._every_s, self._clock = every_s, clock
        self._next = clock() + every_s

    def due(self) -> bool:
        """Whether it is time for the task."""
        return self._clock() >= self._next

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Time the task, so that the next one comes late enough for `LARGEST_SHARE`."""
        start = self._clock()
        yield
        end = self._clock()
        self._next = max(start + self._every_s, end + (end - start) * (1.0 / LARGEST_SHARE - 1.0))


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

    Ctrl-C (or SIGTERM) takes effect between two steps: a checkpoint is saved, then
    KeyboardInterrupt raised. Saving and previews take at most a twentieth of the time each, so that
    a large model on a slow disk is saved less often.

    Parameters
    ----------
    trainer : Steps
        A new or a restored trainer.
    checkpoints : Checkpoints
        The folder of the run.
    report : callable
        Receives the mean losses since the last report, by name.
    preview : callable, optional
        Makes a preview; it must not change the trainer.
    preview_every_s, save_every_s : float, s
        Intervals of previews and checkpoints.
    processes : Processes, optional
        The processes that train together. All stop at the same step; the first one saves, reports
        and makes previews.

    Raises
    ------
    AudiogenError
        If a loss isn't finite, a checkpoint can't be saved, or the disk has too little space.
    """
    processes = processes or Processes()
    checkpoints.require_space(trainer.checkpoint_bytes())

    def save() -> None:
        if processes.first:
            checkpoints.save(trainer)
        else:
            trainer.state()  # takes part in the first process's gathering

    reports, saves = Pace(REPORT_EVERY_S), Pace(save_every_s)
    previews = Pace(preview_every_s)
    start = time.monotonic() - trainer.seconds
    sums: dict[str, list[float]] = {}
    saved, stop = -1, False
    with _interruptible() as interrupted:
        while trainer.step < trainer.n_steps and not stop:
            try:
                losses = trainer.train_step()
            except AudiogenError:
                save()  # the weights are unchanged since the last good step
                raise
            trainer.seconds = time.monotonic() - start
            for name, value in losses.items():
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
    """An event that Ctrl-C and SIGTERM set; only on the main thread."""
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
