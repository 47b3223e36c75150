"""The loop saves, reports and makes previews in time; signals and kills lose little."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from audiogen.errors import AudiogenError
from audiogen.training.run import loop
from audiogen.training.run.checkpoints import Checkpoints
from audiogen.training.run.loop import Pace, train

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Counter:
    """A trainer that counts, and is best at one step."""

    seconds, warning = 0.0, ""

    def __init__(self, n_steps: int = 10, best: int = 0):
        self.step, self.n_steps = 0, n_steps
        self.best: dict[str, Any] = {"step": 0}
        self._best = best

    def train_step(self) -> dict[str, float]:
        self.step += 1
        if self.step == self._best:
            self.best = {"step": self.step}
        return {"value": float(self.step)}

    def state(self) -> dict[str, Any]:
        return {"kind": "samplernn", "step": self.step}

    def restore(self, state: dict[str, Any]) -> None:
        self.step = state["step"]

    def checkpoint_bytes(self) -> int:
        return 1000


def ignore(*_: object) -> None:
    pass


def steps(checkpoints: Checkpoints) -> list[int]:
    return [int(path.stem.partition("-")[2]) for path in checkpoints.paths()]


def test_a_pace_slows_down_for_long_tasks() -> None:
    now = 100.0
    pace = Pace(50.0, lambda: now)
    assert not pace.due()
    now = 150.0
    assert pace.due()
    with pace.taken():
        now = 151.0
    now = 199.9
    assert not pace.due()
    now = 200.0
    assert pace.due()
    with pace.taken():
        now = 210.0  # 10 s are a twentieth of 200
    now = 399.9
    assert not pace.due()
    now = 400.0
    assert pace.due()


def test_all_is_reported_and_the_best_is_saved_at_once(tmp_path: Path) -> None:
    checkpoints, reports = Checkpoints(tmp_path, ignore), []
    train(Counter(best=4), checkpoints, reports.append)
    assert reports == [{"value": 5.5}]  # the mean of 1 .. 10
    assert steps(checkpoints) == [4, 10]


def test_paces_of_nothing_save_and_preview_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LARGEST_SHARE", 1.0)
    checkpoints, heard = Checkpoints(tmp_path, ignore), []
    trainer = Counter()
    train(
        trainer,
        checkpoints,
        ignore,
        lambda: heard.append(trainer.step),
        preview_every_s=0.0,
        save_every_s=0.0,
    )
    assert steps(checkpoints) == [8, 9, 10]
    assert heard == list(range(1, 10))  # the preset's own preview follows


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the tests' modules, on one thread."""
    paths = os.pathsep.join([str(ROOT), *sys.path])
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def in_child(check: Callable[..., None], *arguments: object) -> None:
    """Run a check that receives signals in a process of its own, with arguments as text."""
    call = f"import sys; from {check.__module__} import {check.__name__} as f; f(*sys.argv[1:])"
    child = run_python("-c", call, *map(str, arguments))
    assert child.returncode == 0, child.stderr


def signal_at_a_step(run: str, chosen: str) -> None:
    folder, number = Path(run), int(chosen)
    trainer = Counter()
    original = trainer.train_step

    def step() -> dict[str, float]:
        if trainer.step == 3:
            signal.raise_signal(number)
        return original()

    trainer.train_step = step  # type: ignore[method-assign]
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(trainer, Checkpoints(folder, ignore), ignore)
    assert steps(Checkpoints(folder, ignore)) == [4]
    assert signal.getsignal(number) is before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_between_two_steps(tmp_path: Path, number: signal.Signals) -> None:
    in_child(signal_at_a_step, tmp_path, int(number))


def test_a_full_disk_is_found_before_the_first_step(tmp_path: Path) -> None:
    trainer = Counter()
    trainer.checkpoint_bytes = lambda: 1 << 60  # type: ignore[method-assign]
    with pytest.raises(AudiogenError, match="name a folder on another disk with --run"):
        train(trainer, Checkpoints(tmp_path, ignore), ignore)
    assert trainer.step == 0


# A training that is killed where no one is asked: after some steps, in the middle of a save.
KILLED = """
import os, pathlib, signal, sys, test_trainer, torch
from audiogen.training.run import checkpoints, loop
save = torch.save
def dies(state, file):
    if state["step"] == 12:
        file.write(b"a part")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(state, file)
torch.save = dies
loop.LARGEST_SHARE = 1.0
folder = checkpoints.Checkpoints(pathlib.Path(sys.argv[1]), print)
loop.train(test_trainer.make_trainer(), folder, print, save_every_s=0.0)
"""


@pytest.mark.slow
def test_resuming_after_a_kill_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    tests = importlib.import_module("test_trainer")
    run = run_python("-c", KILLED, str(tmp_path / "run"))
    assert run.returncode == -signal.SIGKILL, run.stderr
    checkpoints = Checkpoints(tmp_path / "run", pytest.fail)
    assert steps(checkpoints)[-1] == 11
    gone_on = tests.make_trainer()
    gone_on.restore(checkpoints.newest())
    assert gone_on.step == 11
    train(gone_on, checkpoints, ignore)
    whole = tests.make_trainer()
    train(whole, Checkpoints(tmp_path / "whole", ignore), ignore)
    ends = [dict(trainer.state(), seconds=0.0) for trainer in (gone_on, whole)]
    assert tests.same(*ends) and whole.step == tests.TINY.steps
    assert not (tmp_path / "run" / "checkpoint.tmp").exists()
