"""`audiogen study`: list the studies, and run one again."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from audiogen.cli.sound import counting_bar

app = typer.Typer(add_completion=False, no_args_is_help=True)
EXIT_CHECK_FAILED = 3


class StudySize(str, Enum):
    """Sizes of a study."""

    smoke = "smoke"
    full = "full"


@app.callback()
def study() -> None:
    """List the studies, or run one: the experiments behind the documented claims."""


@app.command("list")
def list_() -> None:
    """List the studies with their questions."""
    from audiogen.studies import STUDIES

    for name, entry in STUDIES.items():
        typer.echo(f"{name}  {entry.question}")


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="Name of a study.", show_default=False)],
    size: Annotated[
        StudySize,
        typer.Option(
            help="smoke: about a minute of CPU time, tests the code; full: the published numbers."
        ),
    ] = StudySize.smoke,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the results.", show_default="NAME-SIZE"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of recordings or notes; for samplernn-tiers.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the data.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Start no new training after this many minutes; the same command resumes.",
            show_default="no limit",
        ),
    ] = None,
) -> None:
    """Run a study, or resume a stopped one; writes report.json and report.md.

    The exit status is 3 if the numbers do not support one of the claims.
    """
    from audiogen.studies import REPORT, TEXT, run_study

    folder = output or Path(f"{name}-{size.value}")
    with counting_bar(name) as progress:
        result = run_study(
            name,
            size.value,
            folder,
            data=data,
            seed=seed,
            jobs=jobs,
            minutes=minutes,
            progress=progress,
        )
    typer.echo(result.text())
    for file in (REPORT, TEXT):
        typer.echo(folder / file)
    if not all(result.checks.values()):
        raise typer.Exit(EXIT_CHECK_FAILED)
