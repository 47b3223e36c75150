"""`audiogen data`: make sets of notes and recordings to train on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from audiogen.data import SampleSet

app = typer.Typer(add_completion=False, no_args_is_help=True)


Table = Annotated[
    Path | None,
    typer.Option(
        help="file,pitch[,velocity][,instrument], with pitches such as C#3 or 60.",
        show_default="a .csv in the folder whose first line says so",
    ),
]


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
    split_by: Annotated[
        SplitBy, typer.Option(help="What split.json deals out.")
    ] = SplitBy.instrument,
    seed: Annotated[int, typer.Option(help="Seed of split.json.")] = 0,
) -> None:
    """Render a soundfont into a set of notes in NSynth's layout.

    Keys far from any recorded one, and silent ones, are left out. Beside examples.json and audio/
    the set has font.toml, which says where the notes come from, and split.json.
    """
    from audiogen.data.render.soundfont import render_soundfont

    pitch_range = _numbers("pitches", pitches)
    with files_bar() as progress:
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
    from audiogen.data.render.scores import render_scores

    with files_bar() as progress:
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
    counted = f"{len(rendered.pieces)} pieces, {rendered.minutes:.1f} minutes, in {output}"
    _tell(counted, rendered.left_out)


@app.command()
def grooves(
    hits: Annotated[Path, typer.Argument(help="A folder of drum hits, subfolders included.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the wavs; new or empty.")
    ],
    n: Annotated[int, typer.Option("--grooves", help="How many.")] = 200,
    seed: Annotated[int, typer.Option(help="Another one, other grooves.")] = 0,
    sample_rate: Annotated[int, typer.Option(help="In Hz.")] = 16000,
    licence: Annotated[str, typer.Option(help="Of the hits.")] = "not stated",
) -> None:
    """Play grooves with drum hits, for a SampleRNN to learn from: hits alone are mostly endings.

    Each is eight bars of three to five hits in Euclidean rhythms, with a tempo and swing of its
    own. Files that can't be read are named and left out; of long ones the beginning is played.
    Beside the wavs the folder has source.toml, which says where they come from.
    """
    from audiogen.data.render.grooves import render_grooves

    with files_bar("reading the hits") as progress:
        rendered = render_grooves(
            hits,
            output,
            n=n,
            seed=seed,
            sample_rate=sample_rate,
            licence=licence,
            progress=progress,
        )
    counted = f"{n} grooves of {rendered.n_hits} hits, {rendered.minutes:.1f} minutes, in {output}"
    _tell(counted, rendered.left_out)


@app.command()
def folder(
    samples: Annotated[Path, typer.Argument(help="A folder of sound files, subfolders included.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for the set; new or empty.", show_default="the cache"
        ),
    ] = None,
    table: Table = None,
    licence: Annotated[
        str, typer.Option(help="Of the samples; goes into presets made of them.")
    ] = "not stated",
    sample_rate: Annotated[int, typer.Option(help="In Hz.")] = 16000,
    min_confidence: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of a pitch that nobody stated.")
    ] = 0.5,
    tune: Annotated[
        bool, typer.Option("--tune/--no-tune", help="Bring notes to the nearest semitone.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of split.json.")] = 0,
) -> None:
    """Make a set of notes of your own samples: one-shots, long takes, any format and rate.

    Silence is cut, takes are parted into notes, and each note's pitch is found, or taken from its
    file's name (C#3, Bb2, _060_) or a table. Each subfolder is an instrument. What is left out is
    named; beside the notes, report.json and report.png tell of each. Nothing in SAMPLES is
    changed. A second start takes the set from the cache ($AUDIOGEN_CACHE, usually
    ~/.cache/audiogen).
    """
    from audiogen.core.atomic_write import require_new
    from audiogen.errors import ParameterError

    if output is not None:  # before listening, which takes long
        if samples.resolve() in (output.resolve(), *output.resolve().parents):
            raise ParameterError(f"--output {output} lies in {samples}, where nothing is changed")
        require_new(output)
    found = ingested(
        samples,
        sample_rate=sample_rate,
        table=table,
        licence=licence,
        min_confidence=min_confidence,
        tune=tune,
        seed=seed,
    )
    if output is not None:
        found.copy_to(output)
    typer.echo(f"{found.report['counts']['notes']} notes in {output or found.folder}")


def ingested(samples: Path, **options: Any) -> SampleSet:
    """Make a set of a folder of samples, or find it, and tell what is in it."""
    from rich.console import Console
    from rich.table import Table as Shown

    from audiogen.data.ingest.folder import ingest_samples
    from audiogen.data.ingest.report import instrument_rows, left_out_lines, summary

    with files_bar("listening") as progress:
        found = ingest_samples(samples, progress=progress, **options)
    console = Console(stderr=True)
    shown = Shown("instrument", "notes", "pitches", "velocities", "length")
    for row in instrument_rows(found.report):
        shown.add_row(*row)
    console.print(shown)
    for line in left_out_lines(found.report):
        typer.echo(f"left out: {line}", err=True)
    for line in found.report["remarks"]:
        typer.echo(line, err=True)
    typer.echo(
        summary(found.report)
        + ("" if found.fresh else "; from the cache")
        + f": {found.folder / 'report.png'}",
        err=True,
    )
    return found


def _tell(counted: str, left_out: tuple[tuple[str, str], ...]) -> None:
    """Say what was made, and name what wasn't and why."""
    for name, why in left_out:
        typer.echo(f"left out {name}: {why}", err=True)
    typer.echo(counted + (f"; {len(left_out)} left out" if left_out else ""))


@contextmanager
def files_bar(
    first: str = "reading the font", shown: bool = True
) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar, and give the function that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    options: dict[str, Any] = {"console": console, "transient": True}
    options["disable"] = not (shown and console.is_terminal)
    with Progress(*columns, TimeElapsedColumn(), **options) as bar:
        task = bar.add_task(first, total=None)
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
