"""Batches in processes and on a cluster: all jobs are done, also when workers die."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen.batch import Job, Rendered, render_job, run
from audiogen.batch.pool import run_jobs
from audiogen.errors import ParameterError

# A worker dies for each job whose file is there, once, or always.
WORK = """
import os
from pathlib import Path
import numpy as np
from audiogen.batch import Rendered

def work(job):
    once, always = (Path(job.output).with_suffix(end) for end in (".once", ".always"))
    if once.exists():
        once.unlink()
        os._exit(9)
    if always.exists():
        os._exit(9)
    return Rendered(job, np.full(4, job.seed, np.float32), 8000)
"""


def jobs_in(folder: Path, n: int = 6) -> list[Job]:
    return [Job(str(folder / f"{i}.wav"), notes="C4", seed=i) for i in range(n)]


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Job], Rendered]:
    """A function of a module that other processes can import."""
    (tmp_path / "mortal_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    return importlib.import_module("mortal_work").work


def check(results: list[Rendered], jobs: list[Job], failed: set[int]) -> None:
    by_seed = {result.job.seed: result for result in results}
    assert sorted(by_seed) == [job.seed for job in jobs] and len(results) == len(jobs)
    for seed, result in by_seed.items():
        if seed in failed:
            assert result.samples is None and "its worker was lost 3 times" in result.error
        else:
            assert result.samples is not None and (result.samples == seed).all()


def test_a_lost_worker_costs_only_its_job(tmp_path: Path, mortal: Any) -> None:
    jobs = jobs_in(tmp_path)
    (tmp_path / "1.once").touch()
    (tmp_path / "3.always").touch()
    check(list(run(jobs, workers=2, work=mortal)), jobs, failed={3})
    assert not (tmp_path / "1.once").exists()


@pytest.mark.slow
def test_a_lost_worker_of_a_cluster_costs_only_its_job(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray isn't installed; pip install ray")

    def work(job: Job) -> Rendered:  # a closure travels by value
        for end in (".once", ".always"):
            mark = Path(job.output).with_suffix(end)
            if mark.exists():
                if end == ".once":
                    mark.unlink()
                os._exit(9)
        return Rendered(job, np.full(4, job.seed, np.float32), 8000)

    jobs = jobs_in(tmp_path)
    (tmp_path / "1.once").touch()
    (tmp_path / "3.always").touch()
    check(list(run(jobs, ray="local", work=work)), jobs, failed={3})


def test_one_worker_and_two_give_what_render_gives(write_tiny: Any, tmp_path: Path) -> None:
    from audiogen import load

    preset = str(write_tiny(tmp_path / "tiny"))
    jobs = [Job(f"{i}.wav", notes="C4:0.2 E4:0.1", preset=preset, seed=i) for i in range(3)]
    wanted = [load(preset).render("C4:0.2 E4:0.1", seed=i) for i in range(3)]
    for workers in (1, 2):
        for result in run(jobs, workers=workers):
            assert result.error == "" and result.samples is not None
            assert np.array_equal(result.samples, wanted[result.job.seed])


def test_bad_jobs_do_not_stop_the_others(write_tiny: Any, tmp_path: Path) -> None:
    preset = str(write_tiny(tmp_path / "tiny"))
    jobs = [
        Job("a.wav", notes="C4:0.1", preset=preset),
        Job("b.wav", notes="H4", preset=preset),
        Job("c.wav", score=str(tmp_path / "no.mid"), preset=preset),
        Job("d.wav", notes="C4", preset="no such preset"),
        Job("e.wav", notes="C4:0.1", preset=preset, seed=-1),
    ]
    results = {result.job.output: result for result in run(jobs, workers=1)}
    assert results["a.wav"].samples is not None
    for name, message in {"b": "H4", "c": "no.mid", "d": "not found", "e": "seed=-1"}.items():
        result = results[f"{name}.wav"]
        assert result.samples is None and message in result.error


def test_a_digest_is_of_what_is_heard() -> None:
    job = Job("a.wav", notes="C4")
    assert job.digest() == Job("b.wav", notes="C4").digest()
    others = [Job("a.wav", notes="C5"), Job("a.wav", notes="C4", seed=1)]
    assert len({job.digest(), *(other.digest() for other in others)}) == 3


def test_a_digest_is_of_the_latents_numbers(tmp_path: Path) -> None:
    latent = tmp_path / "note.json"
    jobs = [
        Job("a.wav", notes="C4", preset="plucked", timbre=str(latent)),
        Job("a.wav", notes="C4", preset=f"plucked:{latent}"),
    ]
    latent.write_text("1")
    before = [job.digest() for job in jobs]
    assert [job.digest() for job in jobs] == before
    latent.write_text("2")
    assert not {job.digest() for job in jobs} & set(before)


def test_bad_arguments() -> None:
    with pytest.raises(ParameterError, match="workers=0 must be"):
        run([Job("a.wav", notes="C4")], workers=0)


def test_drums_are_a_remark(write_tiny: Any, tmp_path: Path) -> None:
    import pretty_midi

    song = pretty_midi.PrettyMIDI()
    for is_drum in (False, True):
        part = pretty_midi.Instrument(0, is_drum=is_drum)
        part.notes.append(pretty_midi.Note(100, 60, 0.0, 0.2))
        song.instruments.append(part)
    song.write(str(tmp_path / "song.mid"))
    preset = str(write_tiny(tmp_path / "tiny"))
    job = Job("a.wav", score=str(tmp_path / "song.mid"), preset=preset)
    result = render_job(job.loaded())
    assert any("1 drum note is left out" in remark for remark in result.remarks)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_job_is_begun_after_the_stop(tmp_path: Path, mortal: Any, workers: int) -> None:
    jobs, done = jobs_in(tmp_path, 8), []

    def failed(job: Job, error: str) -> Rendered:
        return Rendered(job, error=error)

    for result in run_jobs(jobs, mortal, failed, workers=workers, stop=lambda: len(done) >= 2):
        done.append(result.job.seed)
    assert 2 <= len(done) <= 1 + workers and set(done) <= set(range(1 + workers))


def test_the_default_rate_is_at_most_48_khz(tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    kit = write_kit(tmp_path / "kit", sample_rate=64000)
    made = render_job(Job(str(tmp_path / "a.wav"), notes="D2", preset=str(kit)))
    assert made.error is None or made.error == ""
    assert made.sample_rate == 48000
