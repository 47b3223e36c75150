"""`audiogen evaluate`: measure a preset's notes, beside real notes measured alike."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np

app = typer.Typer(add_completion=False)


class TrackerName(str, Enum):
    """Pitch trackers."""

    praat = "praat"
    pyin = "pyin"


@app.command()
def evaluate(
    preset: Annotated[str, typer.Argument(help="A preset's name or folder.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for report.json and spectrograms.png.")
    ] = Path("report"),
    data: Annotated[
        Path | None,
        typer.Option(help="Real notes in NSynth's layout to compare with.", show_default=False),
    ] = None,
    notes: Annotated[int, typer.Option(min=1, help="How many notes to draw.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    tracker: Annotated[
        TrackerName, typer.Option(help="Pitch tracker; praat needs audiogen[eval].")
    ] = TrackerName.praat,
) -> None:
    """Measure random notes of a preset: pitch, level, faults, distance to real notes."""
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    import audiogen
    from audiogen.data.nsynth import read_notes
    from audiogen.evaluation.report import check_folder, evaluate_notes
    from audiogen.notes import Note
    from audiogen.presets import load_preset

    description = load_preset(preset)
    real = None if data is None else read_notes(data, sample_rate=description.sample_rate)
    synth = audiogen.load(preset)
    check_folder(output)

    def render(timbre: str, pitch: int, velocity: float, seconds: float) -> np.ndarray:
        note = Note(0.0, seconds, pitch, velocity)
        return synth.render([note], sample_rate=description.sample_rate, seed=seed, timbre=timbre)

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("notes", total=notes)
        report = evaluate_notes(
            render,
            description.timbres,
            pitch_range=(description.pitch_range[0], description.pitch_range[1]),
            sample_rate=description.sample_rate,
            real=real,
            n_notes=notes,
            seed=seed,
            tracker=tracker.value,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    table = Table("", description.name, "real notes", box=None)
    for row in report.table():
        table.add_row(*row)
    Console().print(table)
    for path in report.write(output):
        typer.echo(path)
