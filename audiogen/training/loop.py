"""The loop that every kind of training runs in: steps, reports, checkpoints, Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from audiogen.errors import AudiogenError


class Steps(Protocol):
    """What a trainer is to the loop."""

    step: int  # that comes next
    seconds: float  # spent in steps, stops not counted

    @property
    def n_steps(self) -> int: ...

    def train_step(self) -> dict[str, float]: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


def train(
    trainer: Steps,
    checkpoint: Path,
    report: Callable[[int, dict[str, float], float], None],
    save_every_s: float = 120.0,
) -> None:
    """Run a trainer to its last step; checkpoints are whole or not there.

    Ctrl-C is acted on between two steps: the checkpoint is saved, then KeyboardInterrupt raised.

    Parameters
    ----------
    trainer : Steps
    checkpoint : Path
        Gone on from when it exists.
    report : callable
        Gets the step, the means of the losses since the last report, and seconds since the start.
    save_every_s : float
    """
    if checkpoint.exists():
        # A checkpoint is the user's own file of tensors and numbers: no code is read from it.
        trainer.restore(torch.load(checkpoint, weights_only=True))
    saved = reported = time.monotonic()
    start = saved - trainer.seconds
    sums: dict[str, list[float]] = {}
    with _interruptible() as interrupted:
        try:
            while trainer.step < trainer.n_steps and not interrupted.is_set():
                for name, value in trainer.train_step().items():
                    sums.setdefault(name, []).append(value)
                now = time.monotonic()
                trainer.seconds = now - start
                if now - reported > 15.0 or trainer.step == trainer.n_steps:
                    report(
                        trainer.step, {k: sum(v) / len(v) for k, v in sums.items()}, trainer.seconds
                    )
                    sums, reported = {}, now
                if now - saved > save_every_s:
                    save(trainer, checkpoint)
                    saved = now
        except AudiogenError:
            save(trainer, checkpoint)  # what wasn't a number hasn't reached the weights
            raise
    save(trainer, checkpoint)
    if interrupted.is_set():
        raise KeyboardInterrupt


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that it is acted on between steps; on the main thread only."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def save(trainer: Steps, checkpoint: Path) -> None:
    """Write a checkpoint beside its place, then move it there."""
    draft = checkpoint.with_suffix(".tmp")
    torch.save(trainer.state(), draft)
    draft.replace(checkpoint)
