"""`audiogen data`: make note sets and recordings for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.core.counting import counted

if TYPE_CHECKING:
    from audiogen.data import SampleSet

app = typer.Typer(add_completion=False, no_args_is_help=True)


Table = Annotated[
    Path | None,
    typer.Option(
        help="CSV table of file, pitch (C#3 or 60), and optionally velocity, instrument.",
        show_default="a .csv in the folder",
    ),
]


Font = Annotated[Path, typer.Argument(help="A SoundFont 2 file (.sf2).")]
SetFolder = Annotated[Path, typer.Option("--output", "-o", help="New or empty folder for the set.")]
FontLicence = Annotated[
    str | None,
    typer.Option(help="Licence of the font's sound.", show_default="the font's statement"),
]


class SplitBy(str, Enum):
    """Unit of a split."""

    note = "note"
    instrument = "instrument"


@app.callback()
def data() -> None:
    """Make note sets and recordings for training."""


@app.command()
def soundfont(
    font: Font,
    output: SetFolder,
    programs: Annotated[
        str,
        typer.Option(help="General MIDI programs, such as 0,4,8-15.", show_default="all pitched"),
    ] = "",
    velocities: Annotated[str, typer.Option(help="MIDI velocities.")] = "50,90,127",
    pitches: Annotated[str, typer.Option(help="MIDI pitches, lowest-highest.")] = "24-84",
    sample_rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 32000,
    max_transpose: Annotated[
        float, typer.Option(help="Largest distance from a recorded key, in semitones.")
    ] = 7.0,
    all_keys: Annotated[
        str,
        typer.Option(
            help="Programs with a single sample, used at all keys, such as 16,78.",
            show_default="none",
        ),
    ] = "",
    transpose: Annotated[
        str,
        typer.Option(
            help="PROGRAM:SEMITONES of programs that don't sound at their key, such as"
            " 31:24,86:-24.",
            show_default="none",
        ),
    ] = "",
    licence: FontLicence = None,
    split_by: Annotated[SplitBy, typer.Option(help="Unit of split.json.")] = SplitBy.instrument,
    seed: Annotated[int, typer.Option(help="Seed of split.json.")] = 0,
) -> None:
    """Render a soundfont into a note set in NSynth's layout.

    Keys far from any recorded key and silent notes are left out. Beside
    examples.json and audio/ the set has font.toml, with its source and
    settings, and split.json.
    """
    from audiogen.data.render.soundfont import render_soundfont

    pitch_range = parse_numbers("pitches", pitches)
    with files_bar() as progress:
        n_notes = render_soundfont(
            font,
            output,
            programs=parse_numbers("programs", programs) if programs else (),
            velocities=parse_numbers("velocities", velocities),
            pitches=(pitch_range[0], pitch_range[-1]),
            sample_rate=sample_rate,
            max_transpose_semitones=max_transpose,
            all_keys=parse_numbers("all-keys", all_keys) if all_keys else (),
            transpose=parse_shifts(transpose),
            licence=licence,
            split_by=split_by.value,
            seed=seed,
            progress=progress,
        )
    typer.echo(f"{counted(n_notes, 'note')} in {output}")


@app.command()
def drums(
    font: Font,
    output: SetFolder,
    kit: Annotated[int, typer.Option(help="Kit: a program of the percussion bank.")] = 0,
    velocities: Annotated[str, typer.Option(help="MIDI velocities.")] = "40,70,100,127",
    keys: Annotated[
        str, typer.Option(help="MIDI keys, such as 35-59,75.", show_default="35-81")
    ] = "",
    sample_rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 32000,
    licence: FontLicence = None,
) -> None:
    """Render a soundfont's drum kit into a note set: each key is an instrument.

    `audiogen train gansynth` makes a kit of it, whose keys each play a sound of
    their own. Beside examples.json and audio/ the set has font.toml,
    with its source and the key, pitch, pan and group of each sound.
    """
    from audiogen.data.render.drums import render_drums

    with files_bar() as progress:
        n_notes = render_drums(
            font,
            output,
            kit=kit,
            velocities=parse_numbers("velocities", velocities),
            keys=parse_numbers("keys", keys) if keys else (),
            sample_rate=sample_rate,
            licence=licence,
            progress=progress,
        )
    typer.echo(f"{counted(n_notes, 'note')} in {output}")


@app.command()
def midi(
    scores: Annotated[list[Path], typer.Argument(help="MIDI files, or folders of them.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="New or empty folder for the wav files.")
    ],
    font: Annotated[Path, typer.Option(help="A SoundFont 2 file (.sf2).")],
    program: Annotated[int, typer.Option(help="General MIDI program that plays all channels.")] = 0,
    sample_rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 16000,
    longest_s: Annotated[
        float, typer.Option(help="Seconds after which a score is stopped.")
    ] = 240.0,
    licence: FontLicence = None,
) -> None:
    """Render MIDI scores with one instrument of a soundfont, without effects.

    Unreadable scores are named and left out. Beside the wav files the folder
    has source.toml, with their source and settings.
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
    pieces = counted(len(rendered.pieces), "piece")
    _print_result(f"{pieces}, {rendered.minutes:.1f} minutes, in {output}", rendered.left_out)


@app.command()
def grooves(
    hits: Annotated[Path, typer.Argument(help="A folder of drum hits, subfolders included.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="New or empty folder for the wav files.")
    ],
    n: Annotated[int, typer.Option("--grooves", help="Number of grooves.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the grooves.")] = 0,
    sample_rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 16000,
    licence: Annotated[str, typer.Option(help="Licence of the hits.")] = "not stated",
) -> None:
    """Render grooves from drum hits, as training data for a SampleRNN.

    A groove is eight bars of three to five hits in Euclidean rhythms, with a
    random tempo and swing. Unreadable files are named and left out; long ones
    are cut. Beside the wav files the folder has source.toml, with their source
    and settings.
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
    made = f"{counted(n, 'groove')} of {counted(rendered.n_hits, 'hit')}"
    _print_result(f"{made}, {rendered.minutes:.1f} minutes, in {output}", rendered.left_out)


@app.command()
def folder(
    samples: Annotated[Path, typer.Argument(help="A folder of sound files, subfolders included.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="New or empty folder for the set.", show_default="the cache"
        ),
    ] = None,
    table: Table = None,
    licence: Annotated[
        str, typer.Option(help="Licence of the samples; it goes into trained presets.")
    ] = "not stated",
    sample_rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 32000,
    min_confidence: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Lowest confidence in a measured pitch.")
    ] = 0.5,
    tune: Annotated[
        bool, typer.Option("--tune/--no-tune", help="Tune notes to the nearest semitone.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of split.json.")] = 0,
) -> None:
    """Make a note set from your own samples: one-shots or long takes, of any format and rate.

    Silence is cut and takes are split into notes. Pitch, velocity and round
    robin come from file names (C#3, F#7v10, _060_, Bb2_vel90_rr2) or a table;
    other pitches are measured. Each subfolder is an instrument. report.json and
    report.png describe each note and what was left out. SAMPLES is not changed.
    A second start reads the set from the cache ($AUDIOGEN_CACHE, usually
    ~/.cache/audiogen).
    """
    from audiogen.core.atomic_write import require_new
    from audiogen.errors import ParameterError

    if output is not None:  # before the analysis, which takes long
        if samples.resolve() in (output.resolve(), *output.resolve().parents):
            raise ParameterError(
                f"--output {output} must be outside {samples}, which isn't changed"
            )
        require_new(output)
    made = ingest_with_report(
        samples,
        sample_rate=sample_rate,
        table=table,
        licence=licence,
        min_confidence=min_confidence,
        tune=tune,
        seed=seed,
    )
    if output is not None:
        made.copy_to(output)
    typer.echo(f"{counted(made.report['counts']['notes'], 'note')} in {output or made.folder}")


def ingest_with_report(samples: Path, **options: Any) -> SampleSet:
    """Make a note set from a folder of samples, or find it in the cache, and print its report."""
    from rich.console import Console
    from rich.table import Table as RichTable

    from audiogen.data.ingest.folder import PICTURE, ingest_samples
    from audiogen.data.ingest.report import instrument_rows, left_out_line, summary

    with files_bar("analysing") as progress:
        made = ingest_samples(samples, progress=progress, **options)
    report, origin = made.report, "" if made.is_new else "; from the cache"
    if made.is_new:
        table = RichTable("instrument", "notes", "pitches", "velocities", "length")
        for row in instrument_rows(report):
            table.add_row(*row)
        Console(stderr=True).print(table)
        for line in report["remarks"]:
            typer.echo(line, err=True)
    typer.echo(f"{summary(report)}{origin}: {made.folder / PICTURE}", err=True)
    if made.is_new and report["left_out"]:
        typer.echo(f"left out: {left_out_line(report)}", err=True)
    return made


def _print_result(made: str, left_out: tuple[tuple[str, str], ...]) -> None:
    """Print what was made, and the files that were left out with their reasons."""
    for name, why in left_out:
        typer.echo(f"left out {name}: {why}", err=True)
    typer.echo(made + (f"; {len(left_out)} left out" if left_out else ""))


@contextmanager
def files_bar(
    first: str = "reading the font", shown: bool = True
) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on a terminal; yields the function that moves it."""
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


def parse_numbers(option: str, text: str) -> list[int]:
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
        raise ParameterError(f"--{option} {text!r} must be a list of numbers, such as 0,4,8-15")
    return numbers


def parse_shifts(text: str) -> dict[int, int]:
    """Return semitones by program of a list such as "31:24,86:-24"; of "", none."""
    from audiogen.errors import ParameterError

    shifts: dict[int, int] = {}
    try:
        for part in text.split(",") if text else ():
            program, semitones = part.split(":")
            shifts[int(program)] = int(semitones)
    except ValueError as error:
        raise ParameterError(
            f"--transpose {text!r} must be a list of PROGRAM:SEMITONES, such as 31:24,86:-24"
        ) from error
    return shifts
