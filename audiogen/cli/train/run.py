"""Parts of `audiogen train` for all recipes: the run's folder, the plan, the progress line."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from audiogen.core.counting import counted
from audiogen.errors import AudiogenError, ParameterError, PresetError

if TYPE_CHECKING:
    from audiogen.presets import Preset
    from audiogen.training.run.checkpoints import Checkpoints
    from audiogen.training.run.log import Journal, Sound
    from audiogen.training.run.processes import Processes
    from audiogen.training.run.trainer import Trainer

AnyTrainer = TypeVar("AnyTrainer", bound="Trainer")
FEWEST_FORECAST = 50  # steps; shorter trainings start without a forecast
BAR_WIDTH = 16  # characters; with step and time left, room for the losses in 80 columns
NO_PRESET = "none"  # value of --init-from


def run_beside(output: Path) -> Path:
    """Folder of the run of a preset, unless --run names another."""
    return output.with_name(output.name + ".run")


# --- The run's folder ---------------------------------------------------------------------------


def open_run(
    data: Path, output: Path, run: Path | None, resume: bool, command: str, processes: Processes
) -> tuple[Checkpoints, dict[str, Any] | None]:
    """Check the places that a training writes to, and read the newest checkpoint to resume.

    Parameters
    ----------
    data, output : Path
        Folders of the sounds and of the new preset.
    run : Path, optional
        Folder of the run.
    resume : bool
        Whether to resume it.
    command : str
        ``gansynth`` or ``samplernn``: what the checkpoint must be of.
    processes : Processes
        The processes; the first one looks.

    Returns
    -------
    checkpoints : Checkpoints
    state : dict or None
        None for a new run.
    """
    from audiogen.training.run.checkpoints import Checkpoints

    checkpoints = Checkpoints(run or run_beside(output), say)
    if processes.first:
        _check_places(data, output, checkpoints.folder)
        _check_resume(checkpoints, resume)
    state = processes.broadcast(checkpoints.newest() if processes.first else None)
    if state is not None and state["kind"].partition("-")[0] != command:
        family = state["kind"].partition("-")[0]
        raise ParameterError(
            f"{checkpoints.folder}: the run is of kind {state['kind']}; resume it with `audiogen"
            f" train {family}`"
        )
    return checkpoints, state


def _check_places(data: Path, output: Path, run: Path) -> None:
    from audiogen.data.notes.nsynth import is_note_set
    from audiogen.presets import TOML_NAME, find_faults, require_replaceable

    if not is_note_set(data):  # else the training would read its own previews
        for option, place in {"--output": output, "--run": run}.items():
            if _within(place, data):
                raise AudiogenError(
                    f"{option} {place} must be outside of {data}, whose sounds are trained on"
                )
    for fault in find_faults({"name": output.name}):
        if fault.startswith("name="):
            raise AudiogenError(f"{output}: a preset has its folder's name, but {fault}")
    require_replaceable(output)
    if (output / TOML_NAME).is_file():
        say(f"{output} is a preset already; it will be replaced when the training ends")
    if _within(run, output):
        raise AudiogenError(f"--run {run} must be outside of the new preset; name another folder")


def _within(place: Path, folder: Path) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))


def _check_resume(checkpoints: Checkpoints, resume: bool) -> None:
    checkpoints.require_place()
    paths = checkpoints.paths()
    if paths and not resume:
        raise AudiogenError(
            f"{paths[-1]} exists already; --resume continues that run, --run names another folder"
        )
    if resume and not paths:
        raise AudiogenError(
            f"{checkpoints.folder}: has no checkpoint to resume; leave --resume out for a new run"
        )


def initial_preset(name: str | None, family: str, state: dict[str, Any] | None) -> Preset | None:
    """The preset of --init-from, checked.

    Parameters
    ----------
    name : str, optional
        Name or folder of the preset; None or ``none`` for none.
    family : str
        Kind of preset that the training needs.
    state : dict, optional
        The checkpoint to resume.

    Returns
    -------
    Preset or None
    """
    from audiogen.presets import load_preset

    if name in (None, NO_PRESET):
        return None
    preset = load_preset(str(name))
    if preset.kind != family:
        raise ParameterError(
            f"--init-from {name}: preset {preset.name!r} is of kind {preset.kind}; name one of kind"
            f" {family}"
        )
    if state is not None and preset.name != state["initialised_from"]:
        before = state["initialised_from"] or "random weights"
        raise ParameterError(
            f"--init-from {name}: the run to resume was initialised from {before}; leave it out"
        )
    return preset


# --- The card -----------------------------------------------------------------------------------


def first_command(
    checkpoints: Checkpoints, state: dict[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    """The command that began a run, and what it stated about the preset."""
    from audiogen.training.run.card import stated_before

    command, stated = (None, {}) if state is None else stated_before(checkpoints.folder, say)
    return command or command_line(), stated


def settled(before: dict[str, Any], **stated: tuple[Any, Any]) -> dict[str, Any]:
    """Statements about a preset: those of this command, else of the first one, else the default.

    Parameters
    ----------
    before : dict
        Statements of the command that began the run.
    **stated
        For each statement its value now and its default.
    """
    return {name: now or before.get(name) or usual for name, (now, usual) in stated.items()}


# --- The plan -----------------------------------------------------------------------------------


def find_device(name: str | None, default: str, processes: Processes) -> Any:
    """Choose the device, and print it."""
    from audiogen.training.run.device import choose_device

    device = choose_device(name or default, processes.gpu)
    hint = ""
    if name is None and device.type == "cpu":
        import torch

        if torch.cuda.is_available():
            hint = " (a CUDA device is there: --device cuda)"
    say(f"device: {device}{hint}")
    return device


def planned(
    make: Callable[[Any], AnyTrainer],
    recipe: Any,
    minutes: float | None,
    state: dict[str, Any] | None,
    processes: Processes,
) -> AnyTrainer:
    """Make the trainer, after a forecast of its time; or restore it from a checkpoint.

    Parameters
    ----------
    make : callable
        Makes a trainer of a recipe.
    recipe : Recipe
        The recipe; its steps count unless `minutes` does.
    minutes : float, optional
        Length of the training.
    state : dict, optional
        The checkpoint to resume.
    processes : Processes
        The processes that train together.
    """
    from audiogen.training.run import forecast

    if state is not None:
        trainer = make(recipe)
        trainer.restore(state)
        n, step = trainer.n_steps, trainer.step
        if minutes is not None:
            say(f"--minutes is for a new run; this one has {n} steps")
        if step >= n:
            say(f"all {n} steps are taken; to train further start a new run with --init-from")
        else:
            left = forecast.duration(trainer.seconds_left())
            say(f"resuming at step {step} of {n}; about {left} left")
        return trainer
    n_steps = 0 if minutes is not None else make_steps(recipe)
    if minutes is None and n_steps < FEWEST_FORECAST:
        return make(recipe)
    say("measuring the time of a step ...")
    measured = forecast.measure(make(replace(recipe, steps=10**6)))
    if minutes is not None:
        n_steps = processes.broadcast(measured.steps_in(60.0 * minutes))
        recipe = replace(recipe, steps=n_steps)
    say(
        f"{counted(n_steps, 'step')} of {measured.step_s:.2g} s, and"
        f" {counted(measured.trainer.n_evaluations(n_steps), 'evaluation')}: about"
        f" {forecast.duration(measured.seconds(n_steps))}"
    )
    phase_s = measured.phase_s
    del measured  # its trainer's memory
    trainer = make(recipe)
    trainer.phase_s = phase_s
    return trainer


def make_steps(recipe: Any) -> int:
    """Number of steps of a recipe."""
    return getattr(recipe, "n_steps", None) or recipe.steps


def require_length(minutes: float | None, steps: int | None) -> None:
    """Refuse --minutes beside --steps."""
    if minutes is not None and steps is not None:
        raise ParameterError("--minutes and --steps are both given; give one of the two")


def check_steps(state: dict[str, Any], steps: int | None) -> None:
    """Refuse another number of steps for a run to resume."""
    before = state["recipe"]["steps"]
    if steps not in (None, before):
        raise ParameterError(
            f"--steps {steps}: the run to resume has {before}; leave it out, or start a new run"
            " with --init-from to train further"
        )


# --- Training -----------------------------------------------------------------------------------


def follow(
    trainer: Trainer,
    checkpoints: Checkpoints,
    title: str,
    about: dict[str, str],
    details: Mapping[str, Sequence[str]],
    keep: Callable[[Path], None],
    sketch: Callable[[], Sound],
    preview_minutes: float,
) -> Journal:
    """Train to the last step, with a progress line and a log beside the checkpoints.

    Processes other than the first one end here.

    Parameters
    ----------
    trainer : Trainer
        The trainer.
    checkpoints : Checkpoints
        Folder of the run.
    title : str
        Title of the report.
    about, details : dict
        Facts for the start of the report, and lists for its end.
    keep : callable
        Writes what is known before the first step into the folder, once it is locked.
    sketch : callable
        Makes a preview.
    preview_minutes : float
        Interval of previews; 0 for none.

    Returns
    -------
    Journal
    """
    from rich.console import Console
    from rich.progress import Progress

    from audiogen.training.run.forecast import duration
    from audiogen.training.run.log import Journal
    from audiogen.training.run.loop import train as run_trainer

    processes = trainer.processes
    if not processes.first:
        try:
            run_trainer(trainer, checkpoints, lambda losses: None, processes=processes)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        raise typer.Exit

    console = Console(stderr=True)

    def print_above(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    about |= {"command": command_line()}
    warned = ""
    progress = Progress(
        *progress_columns(), console=console, disable=not console.is_terminal, expand=True
    )
    checkpoints.require_space(trainer.checkpoint_bytes())  # before anything is written
    with checkpoints.claimed(), progress as bar:
        keep(checkpoints.folder)
        journal = Journal(
            checkpoints.folder, title, about, print_above, trainer.step, trainer.n_steps, details
        )
        print_above(f"curves and previews: {checkpoints.folder / 'report.html'}")
        n = trainer.n_steps
        task = bar.add_task("", total=n, completed=trainer.step, left="", losses="starting")

        def report(losses: dict[str, float]) -> None:
            nonlocal warned
            step, seconds = trainer.step, trainer.seconds
            left_s = trainer.seconds_left()
            left = duration(left_s) + " left"
            shown = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
            bar.update(task, completed=step, left=left, losses=shown)
            if not console.is_terminal:
                print_above(f"{step}/{n}  {duration(seconds)}, {left}  {shown}")
            if trainer.warning and not warned:
                print_above(f"warning: {trainer.warning}")
            warned = trainer.warning
            journal.report(step, losses, seconds, left_s, trainer.warning)

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
                f"stopped at step {trainer.step}; --resume continues from {checkpoints.folder},"
                f" `audiogen preset pack {checkpoints.folder} -o PRESET` makes a preset of it"
            )
            raise typer.Exit(130) from None
        except AudiogenError as error:
            journal.finish(f"stopped at step {trainer.step}: {error}")
            raise
    return journal


def progress_columns() -> list[Any]:
    """Columns of the progress line: bar, step, time left; losses in the space that remains."""
    from rich.progress import BarColumn, TextColumn
    from rich.table import Column

    def fixed(text: str) -> TextColumn:
        return TextColumn(text, table_column=Column(no_wrap=True))

    rest = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    return [
        BarColumn(BAR_WIDTH, table_column=Column(no_wrap=True, min_width=BAR_WIDTH)),
        fixed("{task.completed}/{task.total}"),
        fixed("{task.fields[left]}"),
        TextColumn("{task.fields[losses]}", table_column=rest),
    ]


def finish(
    export: Callable[[], Preset], trainer: Trainer, journal: Journal, output: Path, play: str
) -> None:
    """Write the preset, and print the results of the training with its judgement.

    Parameters
    ----------
    export : callable
        Writes the preset.
    trainer : Trainer
        The trainer.
    journal : Journal
        The log of the run.
    output : Path
        Folder of the preset.
    play : str
        Options of ``audiogen render`` that play the preset.
    """
    from audiogen.training.run.judgement import judge

    try:
        preset = export()
    except PresetError as error:
        raise PresetError(
            f"{error}; the training is saved: `audiogen preset pack {journal.folder} -o ANOTHER`"
            " makes its preset"
        ) from error
    measured = ", ".join(f"{name} {value:.3f}" for name, value in preset.measured.items())
    judgement = judge(trainer.kind, preset.measured, trainer.step)
    journal.finish(f"{judgement or ''} {measured}".strip(), output)
    timbres = f"  {len(preset.timbres)} timbres" if preset.timbres else ""
    typer.echo(f"{output}{timbres}  {measured}")
    if judgement:
        typer.echo(f"  {judgement}")
    typer.echo(f"  play it: audiogen render {play} --preset {output} -o try.wav")


def say(line: str) -> None:
    """Print a line on standard error, from the first process only."""
    if os.environ.get("RANK", "0") == "0":
        typer.echo(line, err=True)


def command_line() -> str:
    """The command line, as ``preset.toml`` keeps it."""
    words = [word for word in sys.argv[1:] if word not in ("--debug", "--resume")]
    return shlex.join(["audiogen", *words])
