"""The bench measures what it is given, skips what it can't, and its command says both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from audiogen.bench import JOBS, Race, Result, Skipped, machine, run
from audiogen.errors import MissingPackageError


@pytest.fixture
def races(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Iterator[Race]]:
    """One call that is three times as slow as another, by a clock that only they move."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("audiogen.bench.compare.time.perf_counter", lambda: now[0])

    def give() -> Iterator[Race]:
        yield Race(
            "sleep",
            lambda: sleep(0.002),
            lambda: sleep(0.006),
            "sleep longer",
            target=2.0,
            remark=lambda seconds: f"{seconds * 1e3:.0f} ms",
        )

    return give


def unlucky() -> Iterator[Race]:
    raise MissingPackageError("torch isn't installed")
    yield


def test_ratio_is_peer_over_ours(races: Callable[[], Iterator[Race]]) -> None:
    (result,) = run({"job": races})
    assert isinstance(result, Result)
    assert result.job == "job" and result.what == "sleep" and result.peer == "sleep longer"
    assert result.ratio == pytest.approx(3.0)
    assert result.spread == pytest.approx((3.0, 3.0))
    assert (result.ours_s, result.peer_s) == pytest.approx((0.002, 0.006))
    assert result.remark == "2 ms" and result.machine == machine()


def test_missing_package_skips_one_job(races: Callable[[], Iterator[Race]]) -> None:
    skipped, result = run({"first": unlucky, "second": races})
    assert skipped == Skipped("first", "torch isn't installed")
    assert isinstance(result, Result)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system can't pin processes")
def test_pins_to_one_core_and_lets_go() -> None:
    before = os.sched_getaffinity(0)
    during = []

    def looks() -> Iterator[Race]:
        during.append(os.sched_getaffinity(0))
        yield from ()

    assert list(run({"job": looks})) == []
    assert len(during[0]) == 1 and os.sched_getaffinity(0) == before


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system can't pin processes")
def test_a_race_gets_the_cores_that_it_wants_or_is_skipped() -> None:
    before = os.sched_getaffinity(0)
    during: list[set[int]] = []

    def race(n_cores: int) -> Race:
        call = lambda: during.append(os.sched_getaffinity(0))  # noqa: E731
        return Race("look", call, 1.0, "nothing", rounds=1, n_cores=n_cores)

    def looks() -> Iterator[Race]:
        yield race(len(before))
        yield race(1)
        yield race(len(before) + 1)
        yield race(1)

    one, other, skipped = run({"job": looks})
    assert isinstance(one, Result) and isinstance(other, Result)
    assert during[0] == before and during[-1] == {max(before)}
    assert isinstance(skipped, Skipped) and f"wants {len(before) + 1} cores" in skipped.reason
    assert os.sched_getaffinity(0) == before


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audiogen.cli.main", "bench", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_unknown_job_lists_the_jobs() -> None:
    done = command("--only", "unwrapp")
    assert done.returncode == 2
    assert "unwrapp" in done.stderr and all(job in done.stderr for job in JOBS)
    assert "Traceback" not in done.stderr


def test_command_runs_without_torch(tmp_path: Any) -> None:
    """A job that needs torch says so; the others' rows come out."""
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    skipped = command("--only", "istft", "--json", PYTHONPATH=path)
    assert skipped.returncode == 0 and json.loads(skipped.stdout) == []
    assert "torch, which isn't installed" in skipped.stderr
    rows = json.loads(command("--only", "unwrap", "--json", PYTHONPATH=path).stdout)
    assert [row["peer"] for row in rows] == ["numpy.unwrap", "numba"]
    for row in rows:
        assert row["job"] == "unwrap" and row["ratio"] > 0 and row["machine"]


def test_command_prints_a_table() -> None:
    pytest.importorskip("torch")
    done = command("--only", "istft", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "torch.istft" in done.stdout and "ratio" in done.stdout and machine()[:5] in done.stdout
