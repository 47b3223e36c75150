"""`audiogen bench`: how fast it is here, beside the alternatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from audiogen.bench import Result

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    only: str = typer.Option("", "--only", help="Run one job, by its name.", metavar="NAME"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Measure speed side by side on this machine, on one core."""
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from audiogen.bench import JOBS, Skipped, machine, run
    from audiogen.errors import ParameterError

    if only and only not in JOBS:
        raise ParameterError(f"--only={only} is no job; use one of {', '.join(JOBS)}")
    jobs = {only: JOBS[only]} if only else JOBS
    errors = Console(stderr=True)
    results = []
    for result in run(jobs):
        if isinstance(result, Skipped):
            errors.print(f"{result.job}: {result.reason}", markup=False, highlight=False)
            continue
        results.append(result)
        if errors.is_terminal:
            errors.print(f"{result.what}: {result.ratio:.2f}x {result.peer}", highlight=False)
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("what", "ours", "peer", "", "ratio", "spread", "target", ""):
        left = heading in ("what", "")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for result in results:
        table.add_row(*_cells(result))
    console = Console(highlight=False)
    console.print(table)
    console.print(machine(), markup=False)


def _cells(result: Result) -> list[str]:
    missed = result.target is not None and result.ratio < result.target
    target = "" if result.target is None else f"{result.target:g}x"
    return [
        result.what,
        _time(result.ours_s),
        _time(result.peer_s),
        result.peer,
        f"{result.ratio:.2f}x",
        f"{result.spread[0]:.2f}-{result.spread[1]:.2f}",
        f"[red]{target} missed[/red]" if missed else target,
        result.remark,
    ]


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
