"""`audiogen train`: a set of notes in, a preset out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from audiogen.errors import AudiogenError

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def train() -> None:
    """Train a preset on a set of notes."""


@app.command()
def gansynth(
    data: Annotated[Path, typer.Argument(help="Notes in NSynth's layout (`audiogen data`).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new preset.")],
    steps: Annotated[int, typer.Option(min=1, help="How many, in all.")] = 3600,
    adversarial_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the steps: those with the critic.")
    ] = 0.125,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    description: Annotated[str, typer.Option(help="A sentence for the preset.")] = "",
    default_timbre: Annotated[
        str | None, typer.Option(help="Played when none is asked for.", show_default="the first")
    ] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="Who made it. Repeatable.", show_default=False)
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the checkpoint; the same command goes on from there.",
            show_default="OUTPUT.run",
        ),
    ] = None,
) -> None:
    """Train a GANSynth generator: first by regression, then with a Wasserstein critic.

    Ctrl-C saves a checkpoint, and the same command goes on from it.
    """
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from audiogen.data.nsynth import read_notes
    from audiogen.training.export import export_preset, preset_fields, read_source
    from audiogen.training.gansynth import Notes, Recipe, Trainer
    from audiogen.training.gansynth import train as run_trainer

    recipe = Recipe(steps=steps, adversarial_share=adversarial_share, seed=seed)
    notes = read_notes(data, sample_rate=recipe.spectrogram.sample_rate)
    source = read_source(notes)
    if output.exists() and not (output / "preset.toml").is_file():
        if not output.is_dir() or any(output.iterdir()):
            raise AudiogenError(f"{output}: isn't empty and isn't a preset; choose another folder")
    torch.set_num_threads(threads)
    trainer = Trainer(Notes.read(notes), recipe)
    names = [entry.get("name", "?") for entry in source.get("instruments", ())]
    shown = ", ".join(names[:8]) + (" and others" if len(names) > 8 else "")
    card: dict[str, Any] = {
        "description": description or f"Trained on {shown or data.name}.",
        "authors": author or ["unknown"],
        "default_timbre": default_timbre,
    }
    preset_fields(trainer, notes, output.name, **card)  # a bad name shows now, not at the end
    run = run or output.with_name(output.name + ".run")
    run.mkdir(parents=True, exist_ok=True)

    columns = (
        "{task.fields[stage]}",
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=steps, stage="starting", losses="")

        def report(step: int, losses: dict[str, float], seconds: float) -> None:
            shown = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
            stage = "critic" if "wasserstein" in losses else "regression"
            bar.update(task, completed=step, stage=stage, losses=shown)
            if not console.is_terminal:
                typer.echo(f"{stage} {step}/{steps}  {seconds:.0f} s  {shown}", err=True)

        try:
            run_trainer(trainer, run / "checkpoint.pt", report)
        except KeyboardInterrupt:
            typer.echo(f"stopped at step {trainer.step}; the same command goes on from {run}")
            raise typer.Exit(130) from None
    words = [word for word in sys.argv[1:] if word != "--debug"]
    preset = export_preset(
        trainer,
        notes,
        output,
        command=shlex.join(["audiogen", *words]),
        **card,
    )
    measured = ", ".join(f"{name} {value:.3f}" for name, value in preset.measured.items())
    typer.echo(f"{output}  {len(preset.timbres)} timbres; {measured}")
    typer.echo(f"  play it: audiogen render --notes 'C4 E4 G4' --preset {output} -o try.wav")
