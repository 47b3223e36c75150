"""What `audiogen train` does for every family: where a run is kept, and how it is followed."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.errors import AudiogenError, ParameterError, PresetError

if TYPE_CHECKING:
    from audiogen.presets import Preset
    from audiogen.training.run.checkpoints import Checkpoints
    from audiogen.training.run.log import Journal, Sound
    from audiogen.training.run.loop import Steps
    from audiogen.training.run.processes import Processes


Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the new preset.")]
Run = Annotated[
    Path | None,
    typer.Option(
        help="Folder of checkpoints, previews and report.html.", show_default="OUTPUT.run"
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the newest checkpoint in --run.")
]
PreviewMinutes = Annotated[
    float, typer.Option(min=0.0, help="Between previews to hear and see; 0 for none.")
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**63 - 1,
        help="Of all that is random; same seed, same preset.",
        show_default="0",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]
Description = Annotated[str, typer.Option(help="A sentence for the preset.")]
Author = Annotated[
    list[str] | None, typer.Option(help="Who made it. Repeatable.", show_default=False)
]


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Those that have a value; the others are the recipe's."""
    return {name: value for name, value in options.items() if value is not None}


def run_beside(output: Path) -> Path:
    """Where the checkpoints of a preset's training are unless another place is named."""
    return output.with_name(output.name + ".run")


def begin(
    data: Path, output: Path, run: Path | None, resume: bool, processes: Processes
) -> tuple[Checkpoints, dict[str, Any] | None]:
    """Where checkpoints are, and the state of the newest; the first process looks for all."""
    from audiogen.training.run.checkpoints import Checkpoints

    run = run or run_beside(output)
    if processes.first:
        _check_places(data, output, run)
        checkpoints = _checkpoints(run, resume)
        return checkpoints, processes.told(checkpoints.newest())
    return Checkpoints(run, say), processes.told(None)


def require_family(state: dict[str, Any] | None, family: str) -> None:
    if state is None:
        return
    trained = "gansynth" if "critic" in state else "samplernn"
    if trained != family:
        raise ParameterError(
            f"the training that is gone on from is a {trained}'s; go on with `audiogen train"
            f" {trained}`"
        )


def to_begin_with(start: str | None, family: str, state: dict[str, Any] | None) -> Preset | None:
    """The preset that a training of a family begins with, or began with, if any is named."""
    from audiogen.presets import load_preset

    if start is None:
        return None
    preset = load_preset(start)
    if preset.kind != family:
        raise ParameterError(
            f"--from {start}: preset {preset.name!r} is a {preset.kind}'s; name one of a {family}"
        )
    if state is not None and preset.name != state.get("begun_with"):
        began = state.get("begun_with") or "no preset"
        raise ParameterError(
            f"--from {start}: the training that is gone on from began with {began}; leave it out"
        )
    return preset


def _check_places(data: Path, output: Path, run: Path) -> None:
    from audiogen.data.notes.nsynth import is_note_set
    from audiogen.presets import TOML_NAME, find_faults, require_replaceable

    if not is_note_set(data):  # previews would be learned from as well
        for option, place in {"--output": output, "--run": run}.items():
            if _within(place, data):
                raise AudiogenError(
                    f"{option} {place} lies in {data}, whose sounds are learned from; name a folder"
                    " outside"
                )
    for fault in find_faults({"name": output.name}):
        if fault.startswith("name "):
            raise AudiogenError(f"{output}: a preset has its folder's name, but {fault}")
    require_replaceable(output)
    if (output / TOML_NAME).is_file():
        say(f"{output} is a preset already; the end of this training replaces it")
    if _within(run, output):
        raise AudiogenError(f"{run}: lies in the preset that comes of it; name another with --run")


def _within(place: Path, folder: Path) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))


def _checkpoints(run: Path, resume: bool) -> Checkpoints:
    """Where checkpoints are, or will be; old ones are neither taken nor lost unasked."""
    from audiogen.training.run.checkpoints import Checkpoints

    checkpoints = Checkpoints(run, say)
    checkpoints.require_place()
    there = checkpoints.paths()
    if there and not resume:
        raise AudiogenError(
            f"{there[-1]} is there already; --resume goes on from it, --run names another folder"
        )
    if resume and not there:
        raise AudiogenError(f"{run}: has no checkpoint; without --resume a training begins")
    return checkpoints


def begun(checkpoints: Checkpoints, state: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """The command that began a training, and what was said of its preset then."""
    from audiogen.training.run.pack import said_before

    command, said = (None, {}) if state is None else said_before(checkpoints.folder, say)
    return command or command_line(), said


def settled(before: dict[str, Any], **said: tuple[Any, Any]) -> dict[str, Any]:
    """What is said of a preset, of each (now, usually): now, or at the beginning, or as usual."""
    return {name: now or before.get(name) or usual for name, (now, usual) in said.items()}


def written(export: Callable[[], Preset], run: Path) -> Preset:
    """The preset at the end of a training, which isn't lost if that can't be written."""
    try:
        return export()
    except PresetError as error:
        raise PresetError(
            f"{error}; the training is saved: `audiogen preset pack {run} -o ANOTHER` makes its"
            " preset"
        ) from error


def follow(
    trainer: Steps,
    checkpoints: Checkpoints,
    title: str,
    about: dict[str, str],
    keep: Callable[[Path], None],
    sketch: Callable[[], Sound],
    preview_minutes: float,
    processes: Processes,
) -> Journal:
    """Train to the last step, with a bar on a terminal and a journal beside the checkpoints.

    ``keep`` writes what is known before the first step into the folder, once no other training can
    have it. Processes other than the first one end here.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from audiogen.training.run.log import Journal
    from audiogen.training.run.loop import train as run_trainer

    if not processes.first:
        try:
            run_trainer(trainer, checkpoints, lambda losses: None, processes=processes)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        raise typer.Exit

    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    console = Console(stderr=True)

    def print_above(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    about |= {"command": command_line()}
    warned = ""
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    # The loop asks, too; now nothing is made yet.
    checkpoints.require_space(trainer.checkpoint_bytes())
    with checkpoints.claimed(), progress as bar:
        keep(checkpoints.folder)
        journal = Journal(
            checkpoints.folder, title, about, print_above, trainer.step, trainer.n_steps
        )
        print_above(f"curves and previews: {checkpoints.folder / 'report.html'}")
        task = bar.add_task("", total=trainer.n_steps, completed=trainer.step, losses="starting")

        def report(losses: dict[str, float]) -> None:
            nonlocal warned
            step, seconds = trainer.step, trainer.seconds
            shown = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
            bar.update(task, completed=step, losses=shown)
            if not console.is_terminal:
                left = (trainer.n_steps - step) * seconds / max(1, step)
                print_above(
                    f"{step}/{trainer.n_steps}  {seconds:.0f} s, {left:.0f} s left  {shown}"
                )
            if trainer.warning and not warned:
                print_above(f"warning: {trainer.warning}")
            warned = trainer.warning
            journal.report(step, losses, seconds, trainer.warning)

        try:
            run_trainer(
                trainer,
                checkpoints,
                report,
                (lambda: journal.preview(trainer.step, sketch)) if preview_minutes else None,
                60.0 * preview_minutes,
                processes=processes,
            )
        except KeyboardInterrupt:
            journal.finish(f"stopped at step {trainer.step}")
            typer.echo(
                f"stopped at step {trainer.step}; --resume goes on from {checkpoints.folder},"
                " `audiogen preset pack` makes a preset of it"
            )
            raise typer.Exit(130) from None
        except AudiogenError as error:
            journal.finish(f"stopped at step {trainer.step}: {error}")
            raise
    return journal


def say(line: str) -> None:
    """Tell the user, on standard error."""
    if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks
        typer.echo(line, err=True)


def command_line() -> str:
    """The command that was given, as `preset.toml` keeps it."""
    words = [word for word in sys.argv[1:] if word not in ("--debug", "--resume")]
    return shlex.join(["audiogen", *words])
