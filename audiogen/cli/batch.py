"""`audiogen batch`: many renders on all cores or on a cluster."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.cli.sound import PRESET_HELP, TIMBRE_HELP, AnyDevice, counting_bar
from audiogen.core.counting import counted
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    from audiogen.batch import Job, Rendered

app = typer.Typer(add_completion=False)


@app.command()
def batch(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="JOBS.toml | SCORE.mid ...",
            help="A file of jobs, or MIDI files.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder of the sound files.", show_default="that of JOBS.toml"
        ),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(help=f"Preset of MIDI files. {PRESET_HELP} Repeatable.", show_default=False),
    ] = None,
    timbre: Annotated[
        list[str] | None, typer.Option(help=f"{TIMBRE_HELP} Repeatable.", show_default=False)
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Seed of MIDI files. Repeatable.", show_default="0"),
    ] = None,
    device: AnyDevice = "cpu",
    workers: Annotated[
        int | None, typer.Option(help="Processes.", show_default="one for each core")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Ray cluster to use instead: auto, ray://HOST:10001, or local.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Render files again that are already there.")
    ] = False,
) -> None:
    """Render many scores, presets and seeds, several at once.

    JOBS.toml has a table [[jobs]] for each render, and [defaults] for all; a
    field that is a list makes a job of each value. The same command continues
    a batch that was stopped: files that are there, from the same notes,
    options and presets, are kept. Each file is what `audiogen render` writes.
    """
    from audiogen.batch import run
    from audiogen.batch.ledger import Ledger, left_to_do
    from audiogen.batch.table import require_own_outputs

    given = {"preset": preset, "timbre": timbre, "seed": seed}
    jobs, folder = _jobs(sources, output, given | ({"device": device} if device != "cpu" else {}))
    require_own_outputs(jobs)
    ledger = Ledger(folder)
    left = jobs if again else left_to_do(jobs, ledger)
    if n_there := len(jobs) - len(left):
        typer.echo(f"{counted(n_there, 'file')} already there")
    if not left:
        return
    began = time.perf_counter()
    sound_s, failed = 0.0, list[str]()
    with counting_bar("rendering") as report:
        for number, result in enumerate(run(left, workers=workers, ray=ray), 1):
            if result.samples is None:
                failed.append(f"{result.job.output}: {result.error}")
            else:
                _write(result)
                sound_s += len(result.samples) / result.sample_rate
            ledger.add(result)
            report(number, len(left))
    took_s = max(time.perf_counter() - began, 1e-9)
    done = counted(len(left) - len(failed), "file")
    typer.echo(f"{done} in {took_s:.1f} s, {sound_s / took_s:.1f} x real time, in {folder}")
    if failed:
        raise ParameterError("\n".join([f"{counted(len(failed), 'job')} failed:", *failed]))


def _jobs(
    sources: list[Path], output: Path | None, options: dict[str, Any]
) -> tuple[list[Job], Path]:
    """Jobs of a file or of MIDI files, and the folder of their results."""
    from audiogen.batch import read_jobs
    from audiogen.batch.table import jobs_of

    tables = [path for path in sources if path.suffix == ".toml"]
    given = {name: value for name, value in options.items() if value}
    if not tables:
        folder = output or Path()
        table = {"score": [str(path.absolute()) for path in sources]} | given
        return jobs_of(table, Path(), folder), folder
    if len(sources) > 1:
        raise ParameterError(f"{tables[0]}: give one file of jobs, or MIDI files, not both")
    if given:
        name = next(iter(given))
        raise ParameterError(
            f"--{name} is for MIDI files; write {name} into [defaults] of {tables[0]}"
        )
    folder = output or tables[0].parent
    return read_jobs(tables[0], folder), folder


def _write(result: Rendered) -> None:
    from audiogen.audio.files import write_audio

    assert result.samples is not None
    path = Path(result.job.output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(
            f"output {path.parent} can't be made ({error.strerror or error})"
        ) from error
    write_audio(path, result.samples, result.sample_rate)
