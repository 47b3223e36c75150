"""`audiogen bench`: speed on this machine, beside the alternatives."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audiogen.bench import Job, Result

WIDTH = 80  # columns

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    only: str = typer.Option("", "--only", help="Run one job.", metavar="JOB"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON when all is measured."),
    device: str = typer.Option(
        "cpu", "--device", help="Measure both models on cuda or cuda:N instead, without peers."
    ),
) -> None:
    """Measure speed on this machine, audiogen and its peers in turn, on one core.

    Each result is printed as it is measured: the time of one call, the ratio of
    the fastest peer's time to ours with the quartiles of the rounds, the
    project's target for that ratio, the slower peers, and the hardware limit:
    the shortest time that peak arithmetic or memory bandwidth allows.
    Jobs that take much memory run by name only.
    """
    import difflib
    import json
    from dataclasses import asdict

    from audiogen.bench import JOBS, Skipped, machine, run
    from audiogen.errors import ParameterError

    if device != "cpu":
        if not device.startswith("cuda"):
            raise ParameterError(f"--device {device} must be cpu, cuda or cuda:N")
        if only:
            raise ParameterError("--only chooses a job of the CPU; leave it out with --device")
        return _bench_device(device, as_json)
    if only and only not in JOBS:
        near = difflib.get_close_matches(only, JOBS, 1)
        hint = f"the nearest is {near[0]}; " if near else ""
        raise ParameterError(f"--only {only} not found; {hint}the jobs are {', '.join(JOBS)}")
    jobs = {name: job for name, job in JOBS.items() if (name == only if only else job.by_default)}
    _print(_plan(jobs, JOBS), to_stderr=as_json)
    results, last_job = [], ""
    for result in run(jobs):
        if result.job != last_job:
            _print(f"\n{result.job}: {jobs[result.job].what}", to_stderr=as_json)
            last_job = result.job
        if isinstance(result, Skipped):
            typer.echo(_wrap(f"skipped: {result.reason}", "  "), err=True)
            continue
        results.append(result)
        _print(_lines(result), to_stderr=as_json)
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        typer.echo(_wrap(f"\n{machine()}"))


def _bench_device(device: str, as_json: bool) -> None:
    """Print what the models do on a GPU."""
    import json
    from dataclasses import asdict

    from audiogen.bench.device import measure_device, text_of_rate

    rates = []
    for rate in measure_device(device):
        rates.append(rate)
        _print(_wrap(text_of_rate(rate)), to_stderr=as_json)
    if as_json:
        typer.echo(json.dumps([asdict(rate) for rate in rates], indent=2))


def _plan(jobs: Mapping[str, Job], all_jobs: Mapping[str, Job]) -> str:
    """Return what will run, and what runs by name only."""
    from audiogen.core.counting import counted

    minutes = sum(job.minutes for job in jobs.values())
    memory = max(job.memory_gb for job in jobs.values())
    time = f"{minutes:.0f} minutes" if minutes > 1.5 else "a minute"
    plan = f"{counted(len(jobs), 'job')}, about {time} and up to {memory:.0f} GB of memory"
    for name, job in all_jobs.items():
        if name not in jobs and len(jobs) > 1:
            needs = f"{job.memory_gb:.0f} GB, about {job.minutes:.0f} minutes"
            plan += f"; --only {name} runs {job.what} ({needs})"
    return _wrap(f"{plan}. Ctrl-C stops.")


def _lines(result: Result) -> str:
    """Return one measurement as lines of at most 80 columns."""
    low, high = result.spread
    verdict = f"{result.ratio:.2f}x ({low:.2f} to {high:.2f})"
    if result.target is not None:
        missed = ", missed" if result.ratio < result.target else ""
        verdict += f", target {result.target:g}x{missed}"
    times = f"ours {_time(result.ours_s)}, {result.peer} {_time(result.peer_s)}: {verdict}"
    lines = [_wrap(result.what, "  "), _wrap(times, "    ")]
    if result.others:
        slower = (f"{name} {_time(seconds)}" for name, seconds in result.others.items())
        lines.append(_wrap(f"slower peers: {', '.join(slower)}", "    "))
    lines += [_wrap(f"not measured: {name}, {why}", "    ") for name, why in result.absent.items()]
    if result.limit_s is not None and result.limit_s > result.ours_s:
        lines.append(_wrap(f"limit unknown, other programs disturbed it: {result.limit}", "    "))
    elif result.limit_s is not None:
        share = f"limit {_time(result.limit_s)}, {result.limit_s / result.ours_s:.0%} reached"
        lines.append(_wrap(f"{share}: {result.limit}", "    "))
    if result.remark:
        lines.append(_wrap(result.remark, "    "))
    return "\n".join(lines)


def _print(text: str, to_stderr: bool) -> None:
    typer.echo(text, err=to_stderr)


def _wrap(text: str, indent: str = "") -> str:
    wrapped = (
        textwrap.wrap(line, WIDTH - 1, initial_indent=indent, subsequent_indent=f"{indent}  ")
        for line in text.split("\n")
    )
    return "\n".join("\n".join(lines) for lines in wrapped)


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
