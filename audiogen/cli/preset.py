"""`audiogen preset`: check a preset; make one from the folder of a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiogen.cli.sound import counting_bar
from audiogen.errors import FormatError

if TYPE_CHECKING:
    from audiogen.evaluation.verify import Verification

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def preset() -> None:
    """Check a preset, or make one of a training that was stopped."""


@app.command()
def verify(
    preset: Annotated[str, typer.Argument(help="A preset's name or folder.", show_default=False)],
) -> None:
    """Check a preset's fields, weights and previews, and listen to each of its timbres.

    Exits with 2, and a line for each thing that is wrong.
    """
    _report(_verified(preset))


@app.command()
def pack(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a training: its --run, or OUTPUT.run.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new preset.")],
    step: Annotated[
        int | None,
        typer.Option(
            help="Whose checkpoint is taken; of a SampleRNN the weights of then, off the grid.",
            show_default="the newest; a SampleRNN's best weights",
        ),
    ] = None,
) -> None:
    """Make a preset of a training's checkpoint; and check it.

    The training may have been stopped, or still be running.
    """
    from audiogen.training.pack import pack_run
    from audiogen.training.run.checkpoints import Checkpoints

    if not run.is_dir():
        raise FormatError(f"{run}: isn't a folder; give one that `audiogen train` made")
    checkpoints = Checkpoints(run, lambda line: typer.echo(line, err=True))
    state = checkpoints.newest() if step is None else checkpoints.at(step)
    if state is None:
        raise FormatError(f"{run}: has no checkpoint; give a folder that `audiogen train` made")
    packed = pack_run(run, output, state, as_it_was=step is not None)
    typer.echo(f"{output}  of step {state['step']}, {len(packed.timbres)} timbres")
    _report(_verified(str(output)))


def _verified(preset: str) -> Verification:
    from audiogen.evaluation.verify import verify_preset

    with counting_bar("listening") as progress:
        return verify_preset(preset, progress)


def _report(found: Verification) -> None:
    for fault in found.faults:
        typer.echo(f"{found.folder}: {fault}", err=True)
    if found.n_heard and found.plays_notes:
        typer.echo(
            f"  {found.n_heard} timbres heard; {found.n_in_tune} within half a semitone"
            f" ({found.in_tune:.0%}), {found.n_heard - found.n_pitched} without a pitch"
        )
    if found.faults:
        typer.echo(f"audiogen: {found.folder} has {len(found.faults)} faults", err=True)
        raise typer.Exit(2)
    typer.echo(f"{found.folder}  is sound: fields, weights, previews and what is heard")
