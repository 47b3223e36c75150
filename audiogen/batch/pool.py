"""Jobs on the cores of this machine or on a Ray cluster; a lost worker costs only its job."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from audiogen.batch.job import Job, Rendered, render_job
from audiogen.core.checks import check_whole
from audiogen.core.cores import THREADS_VARIABLE, n_cores
from audiogen.core.packages import require_package
from audiogen.errors import AudiogenError, ParameterError

MOST_ATTEMPTS = 3  # of a job whose worker is lost
MOST_WORKERS = 100  # each has some pipes, and a process may usually open 1024 files


class AnyJob(Protocol):
    """A job that another process or machine can do."""

    def loaded(self) -> Any:
        """Return the job with everything loaded that its worker can't read."""
        ...


J = TypeVar("J", bound=AnyJob)
R = TypeVar("R")


def run(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    ray: str | None = None,
    work: Callable[[Job], Rendered] = render_job,
) -> Iterator[Rendered]:
    """Render jobs, several at once; results come as they are done.

    Parameters
    ----------
    jobs : sequence of Job
        The jobs.
    workers : int, optional
        Processes on this machine; one for each core without. 1 renders in this process.
    ray : str, optional
        Address of a Ray cluster in place of this machine's cores, such as ``auto`` or
        ``ray://head:10001``; ``local`` starts one on this machine. Its machines need this package
        and the presets.
    work : callable
        The function that each worker calls.

    Returns
    -------
    iterator of Rendered
        One for each job. A job that fails, or whose worker is lost three times, has an error; the
        others go on.

    Raises
    ------
    ParameterError
        If ``workers`` is out of range, or the cluster cannot be reached.
    MissingPackageError
        If Ray is not installed.
    """
    return run_jobs(
        jobs, work, lambda job, error: Rendered(job, error=error), workers=workers, ray=ray
    )


def run_jobs(
    jobs: Sequence[J],
    work: Callable[[J], R],
    failed: Callable[[J, str], R],
    *,
    workers: int | None = None,
    ray: str | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[R]:
    """Run jobs of any kind in parallel, as `run` does; yield results as they are completed.

    Parameters
    ----------
    jobs : sequence
        The jobs; other processes get them pickled.
    work : callable
        Function that runs a loaded job and returns its result.
    failed : callable
        Function of (job, reason) that returns the result of a job that can't be run.
    workers, ray : optional
        Number of processes, and address of a Ray cluster, as for `run`.
    stop : callable
        Function that returns true when no further job is to be started. Processes finish their
        current jobs; a cluster drops them.

    Raises
    ------
    ParameterError
        If ``workers`` is out of range, or the cluster cannot be reached.
    MissingPackageError
        If Ray is not installed.
    """
    if workers is not None:
        check_whole("workers", workers, 1, MOST_WORKERS)
    if ray is not None:
        return _on_cluster(jobs, ray, work, failed, stop)
    n = min(workers or n_cores(), len(jobs), MOST_WORKERS)
    if n <= 1:
        begun = itertools.takewhile(lambda _: not stop(), jobs)
        return (_result(_attempted(work, job), job, failed) for job in begun)
    return _on_cores(jobs, n, work, failed, stop)


def _attempted(work: Callable[[J], R], job: J) -> tuple[R | None, str]:
    """Result of a job that is run here, or the reason why it failed."""
    try:
        return work(job.loaded()), ""
    except AudiogenError as error:
        return None, str(error)


def _result(outcome: tuple[R | None, str], job: J, failed: Callable[[J, str], R]) -> R:
    result, error = outcome
    return failed(job, error) if result is None else result


def _on_cores(
    jobs: Sequence[J],
    n_workers: int,
    work: Callable[[J], R],
    failed: Callable[[J, str], R],
    stop: Callable[[], bool],
) -> Iterator[R]:
    """Run jobs in processes, each in a pool of its own: one that dies loses only its own job."""
    waiting, attempts = deque(jobs), dict.fromkeys(map(id, jobs), 0)
    threads = max(1, n_cores() // n_workers)
    idle = deque(_new_worker(threads) for _ in range(n_workers))
    running: dict[Future[tuple[R | None, str]], tuple[J, ProcessPoolExecutor]] = {}
    try:
        while waiting or running:
            if stop():
                waiting.clear()
                if not running:
                    return
            while waiting and idle:
                job, worker = waiting.popleft(), idle.popleft()
                attempts[id(job)] += 1
                running[_submit(worker, work, job)] = job, worker
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                job, worker = running.pop(future)
                try:
                    yield _result(future.result(), job, failed)
                except BrokenProcessPool:
                    worker.shutdown(wait=False)
                    worker = _new_worker(threads)
                    if attempts[id(job)] < MOST_ATTEMPTS:
                        waiting.append(job)
                    else:
                        yield failed(job, _lost_message(MOST_ATTEMPTS))
                idle.append(worker)
    finally:
        for worker in [*idle, *(worker for _, worker in running.values())]:
            worker.shutdown(wait=False, cancel_futures=True)


def _submit(
    worker: ProcessPoolExecutor, work: Callable[[J], R], job: J
) -> Future[tuple[R | None, str]]:
    try:
        return worker.submit(_attempted, work, job)
    except BrokenProcessPool as error:  # it was lost while it was idle
        lost: Future[tuple[R | None, str]] = Future()
        lost.set_exception(error)
        return lost


def _new_worker(n_threads: int) -> ProcessPoolExecutor:
    # Forked processes would share threads' locks with this one.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, spawn, initializer=_use_threads, initargs=(n_threads,))


def _use_threads(n: int) -> None:
    """Leave the other cores to the other workers."""
    os.environ.setdefault(THREADS_VARIABLE, str(n))


def _lost_message(n: int) -> str:
    return (
        f"its worker was lost {n} times, perhaps for lack of memory; give fewer --workers, or"
        " render it alone"
    )


def _on_cluster(
    jobs: Sequence[J],
    address: str,
    work: Callable[[J], R],
    failed: Callable[[J, str], R],
    stop: Callable[[], bool],
) -> Iterator[R]:
    """Run jobs as Ray's tasks; Ray does those of a lost worker again."""
    ray: Any = require_package("ray", "ray", "a batch on a cluster")
    try:
        ray.init(
            None if address == "local" else address, log_to_driver=False, logging_level="error"
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ParameterError(
            f"ray={address!r} cannot be reached ({error}); give the address of a cluster, auto or"
            " local"
        ) from error
    return _cluster_results(ray, jobs, work, failed, stop)


def _cluster_results(
    ray: Any,
    jobs: Sequence[J],
    work: Callable[[J], R],
    failed: Callable[[J, str], R],
    stop: Callable[[], bool],
) -> Iterator[R]:
    environment = {"env_vars": {THREADS_VARIABLE: "1"}}
    remote = ray.remote(max_retries=MOST_ATTEMPTS - 1, runtime_env=environment)(_attempted)
    running = {}
    try:
        for job in jobs:
            try:
                running[remote.remote(work, job.loaded())] = job
            except AudiogenError as error:
                yield failed(job, str(error))
        while running and not stop():
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                job = running.pop(reference)
                try:
                    yield _result(ray.get(reference), job, failed)
                except ray.exceptions.RayError:
                    yield failed(job, _lost_message(MOST_ATTEMPTS))
    finally:
        ray.shutdown()
