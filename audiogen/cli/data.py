"""`audiogen data`: make sets of notes and recordings to train on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)


class SplitBy(str, Enum):
    """What a split draws."""

    note = "note"
    instrument = "instrument"


@app.callback()
def data() -> None:
    """Make sets of notes and recordings to train on."""


@app.command()
def soundfont(
    font: Annotated[Path, typer.Argument(help="A SoundFont 2 file (.sf2).")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the set; new or empty.")
    ],
    programs: Annotated[
        str, typer.Option(help="General MIDI programs, such as 0,4,8-15; all pitched if not given.")
    ] = "",
    velocities: Annotated[str, typer.Option(help="MIDI velocities.")] = "50,90,127",
    pitches: Annotated[str, typer.Option(help="MIDI pitches, lowest-highest.")] = "24-84",
    sample_rate: Annotated[int, typer.Option(help="In Hz.")] = 16000,
    max_transpose: Annotated[
        float, typer.Option(help="Semitones from the nearest recorded key; further is left out.")
    ] = 7.0,
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of the font's sound; what the font says if not given."),
    ] = None,
    split_by: Annotated[SplitBy, typer.Option(help="What split.json deals out.")] = SplitBy.note,
    seed: Annotated[int, typer.Option(help="Seed of split.json.")] = 0,
) -> None:
    """Render a soundfont into a set of notes in NSynth's layout.

    Keys far from any recorded one, and silent ones, are left out. Beside examples.json and audio/
    the set has font.toml, which says where the notes come from, and split.json.
    """
    from audiogen.data.soundfont import render_soundfont

    pitch_range = _numbers("pitches", pitches)
    with _progress() as progress:
        n_notes = render_soundfont(
            font,
            output,
            programs=_numbers("programs", programs) if programs else (),
            velocities=_numbers("velocities", velocities),
            pitches=(pitch_range[0], pitch_range[-1]),
            sample_rate=sample_rate,
            max_transpose_semitones=max_transpose,
            licence=licence,
            split_by=split_by.value,
            seed=seed,
            progress=progress,
        )
    typer.echo(f"{n_notes} notes in {output}")


@app.command()
def midi(
    scores: Annotated[list[Path], typer.Argument(help="MIDI files, or folders of them.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the wavs; new or empty.")
    ],
    font: Annotated[Path, typer.Option(help="A SoundFont 2 file (.sf2).")],
    program: Annotated[int, typer.Option(help="General MIDI program that plays all of it.")] = 0,
    sample_rate: Annotated[int, typer.Option(help="In Hz.")] = 16000,
    longest_s: Annotated[
        float, typer.Option(help="Seconds after which a longer score is stopped.")
    ] = 240.0,
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of the font's sound; what the font says if not given."),
    ] = None,
) -> None:
    """Render MIDI scores with one instrument of a soundfont, dry, one wav a piece.

    Scores that can't be read are named and left out. Beside the wavs the folder has source.toml,
    which says where they come from.
    """
    from audiogen.data.scores import render_scores

    with _progress() as progress:
        rendered = render_scores(
            scores,
            output,
            font=font,
            program=program,
            sample_rate=sample_rate,
            longest_s=longest_s,
            licence=licence,
            progress=progress,
        )
    for name, why in rendered.left_out:
        typer.echo(f"left out {name}: {why}", err=True)
    counted = f"{len(rendered.pieces)} pieces, {rendered.minutes:.1f} minutes, in {output}"
    typer.echo(counted + (f"; {len(rendered.left_out)} left out" if rendered.left_out else ""))


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar, and give the function that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("reading the font", total=None)
        yield lambda done, total, name: bar.update(
            task, completed=done, total=total, description=name
        )


def _numbers(option: str, text: str) -> list[int]:
    """Return the numbers of a list such as "0,4,8-15"."""
    from audiogen.errors import ParameterError

    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0:
        raise ParameterError(f"--{option} {text!r} isn't a list of numbers, such as 0,4,8-15")
    return numbers
