"""`audiogen domains`: judges that are accurate on unseen sound banks, and how they are chosen."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiogen.cli.sound import counting_bar
from audiogen.core.counting import counted
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(add_completion=False, no_args_is_help=True)

DomainsFolder = Annotated[
    Path, typer.Argument(help="Folder of audiogen domains build.", show_default=False)
]


@app.callback()
def domains() -> None:
    """Sound banks as domains: build them, sweep algorithms, compare, export a judge."""


@app.command()
def build(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="New or empty folder for the domains.")
    ],
    bank: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="A .sf2 file, or a folder of GUS patches. Repeatable.",
            show_default="the installed Debian banks",
        ),
    ] = None,
    keys: Annotated[int, typer.Option(min=1, help="Keys of each program.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Seed of keys and velocities.")] = 0,
) -> None:
    """Render notes of independent sound banks, by family and pitch.

    Banks that share recordings are refused. The folder has the images of the
    notes, and domains.toml with the banks' hashes and licences.
    """
    from audiogen.evaluation.domains.banks import KNOWN_BANKS, build_domains, installed_banks

    banks = _banks(bank) if bank else installed_banks()
    with counting_bar("rendering") as progress:
        counts = build_domains(banks, output, n_keys=keys, seed=seed, progress=progress)
    for name, n in counts.items():
        typer.echo(f"{name}  {counted(n, 'note')}")
    absent = [b.package for name, b in KNOWN_BANKS.items() if name not in counts]
    if absent and not bank:
        typer.echo(f"Not installed: {', '.join(absent)}")
    typer.echo(output)


@app.command()
def sweep(
    folder: DomainsFolder,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the runs, new or to resume.")
    ],
    algorithm: Annotated[
        list[str] | None,
        typer.Option(
            help="erm, irm, group-dro, mixup, mldg, coral, mmd, dann or cdann. Repeatable.",
            show_default="all",
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(min=1, help="Random hyperparameters; the first are the defaults.")
    ] = 5,
    trials: Annotated[int, typer.Option(min=1, help="Repetitions.")] = 2,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each run.")] = 300,
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Ray cluster to use instead: auto, ray://HOST:10001, or local. Its machines must"
            " have the folder at the same path.",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="Start no run after this time.", show_default="no limit"),
    ] = None,
) -> None:
    """Train every algorithm with each one and each two domains held out.

    Each run appends one line to runs.jsonl; the same command resumes.
    """
    from audiogen.batch.pool import run_jobs
    from audiogen.evaluation.domains.banks import read_provenance
    from audiogen.evaluation.domains.sweep import ALGORITHM_NAMES, RUNS, plan
    from audiogen.evaluation.domains.sweep import sweep as do_sweep

    names = [table["name"] for table in read_provenance(folder)["banks"]]
    chosen = algorithm or list(ALGORITHM_NAMES)
    path = str(folder.absolute())
    runs = plan(path, names, algorithms=chosen, draws=draws, trials=trials, n_steps=steps)
    with counting_bar("training") as progress:
        records = do_sweep(
            runs,
            output,
            run_jobs=partial(run_jobs, workers=jobs, ray=ray),
            minutes=minutes,
            progress=progress,
        )
    typer.echo(f"{len(records)} of {counted(len(runs), 'run')} in {output / RUNS}")


@app.command()
def table(
    folder: Annotated[
        Path, typer.Argument(help="Folder of audiogen domains sweep.", show_default=False)
    ],
    label: Annotated[str, typer.Option(help="Label to report: family or pitch.")] = "family",
) -> None:
    """Print accuracies on held-out banks for each of the three selection rules.

    Accuracies are in percent, with standard errors over trials. - stands for
    runs that are not done yet.
    """
    from audiogen.evaluation.domains.selection import rule_tables
    from audiogen.evaluation.domains.sweep import LABELS, read_records

    if label not in LABELS:
        raise ParameterError(f"--label {label!r} must be one of {', '.join(LABELS)}")
    records = read_records(folder)
    if not records:
        raise ParameterError(
            f"{folder} has no runs; give the folder that audiogen domains sweep writes"
        )
    for title, rows in rule_tables(records, label):
        typer.echo(f"\n{title}")
        _print_rows(rows)


@app.command()
def judge(
    folder: DomainsFolder,
    runs: Annotated[
        Path, typer.Option(help="Folder of audiogen domains sweep.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, such as judge.safetensors.")
    ],
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and batches.")] = 0,
) -> None:
    """Train the judge that the sweep selects, on all banks, and write it.

    Its card has the accuracy on each bank of a judge that was selected and
    trained without that bank. evaluate --judge and tag --judge read it.
    """
    from audiogen.evaluation.domains.banks import read_domains, read_provenance
    from audiogen.evaluation.domains.judge import make_judge
    from audiogen.evaluation.domains.sweep import read_records

    records = read_records(runs)
    if not records:
        raise ParameterError(f"{runs} has no runs; give the folder of audiogen domains sweep")
    if not output.parent.is_dir():
        raise ParameterError(f"output {output}: there is no folder {output.parent}; make it first")
    kept = ("name", "file", "sha256", "licence", "notes")
    banks = [{key: t[key] for key in kept if key in t} for t in read_provenance(folder)["banks"]]
    with counting_bar("training") as progress:
        made = make_judge(
            read_domains(folder),
            records,
            name=output.stem,
            banks=banks,
            n_steps=steps,
            seed=seed,
            progress=progress,
        )
    made.save(output)
    typer.echo(f"{output}  {made.card['algorithm']}, hash {made.hash}")
    typer.echo(made.evidence)


def _print_rows(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        typer.echo("  ".join([first.ljust(widths[0]), *cells]))


def _banks(words: Sequence[str]) -> dict[str, Path]:
    banks = {}
    for word in words:
        name, _, file = word.partition("=")
        if not name or not file:
            raise ParameterError(f"--bank {word!r} must be NAME=FILE, such as mine=Mine.sf2")
        if name in banks:
            raise ParameterError(f"--bank {name} is given twice; each bank needs its own name")
        banks[name] = Path(file)
    return banks
