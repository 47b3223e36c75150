"""`audiogen evaluate`: measure the sound of a preset, beside real sounds."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.cli.sound import counting_bar
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.presets import Preset

app = typer.Typer(add_completion=False)


class TrackerName(str, Enum):
    """Pitch trackers."""

    praat = "praat"
    pyin = "pyin"


@app.command()
def evaluate(
    preset: Annotated[str, typer.Argument(help="Name or folder of a preset.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for report.json and spectrograms.png.")
    ] = Path("report"),
    data: Annotated[
        Path | None,
        typer.Option(
            help="Real sounds to compare with: notes in NSynth's layout, or recordings.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(
            help="split.json of a training: compare with its held-out notes only.",
            show_default=False,
        ),
    ] = None,
    notes: Annotated[
        int, typer.Option(min=1, help="Number of notes, for a preset that plays notes.")
    ] = 200,
    clips: Annotated[
        int, typer.Option(min=1, help="Number of clips, for a preset that plays none.")
    ] = 20,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Length of the long stream, for a preset without notes.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of notes and clips.")] = 0,
    tracker: Annotated[
        TrackerName, typer.Option(help="Pitch tracker; praat needs praat-parselmouth.")
    ] = TrackerName.praat,
    card: Annotated[
        bool,
        typer.Option("--card", help="Also write the results into the preset's card."),
    ] = False,
) -> None:
    """Measure the sound of a preset, beside real sounds.

    For a preset that plays notes: pitch, level, faults, and distances to real
    notes. For an unconditional preset: level, tonality, speech, clicks at
    continuations, and whether a long stream collapses into silence, a cycle or
    noise.
    """
    from rich.console import Console
    from rich.table import Table

    from audiogen.evaluation.report_files import check_folder
    from audiogen.presets import TOML_NAME, add_measured, load_preset

    description = load_preset(preset)
    if card and not description.plays_notes:
        raise ParameterError(f"--card not supported by {description.name}, which plays no notes")
    if split is not None and (data is None or not description.plays_notes):
        raise ParameterError("--split must come with --data and a preset that plays notes")
    measure = partial(_measure_notes, split) if description.plays_notes else _measure_texture
    options: dict[str, Any] = (
        {"n_notes": notes, "tracker": tracker.value}
        if description.plays_notes
        else {"n_clips": clips, "minutes": minutes}
    )
    work = measure(preset, description, data)
    check_folder(output)
    with counting_bar("measuring") as progress:
        report = work(seed=seed, progress=progress, **options)
    table = Table("", description.name, "real", box=None)
    for row in report.table():
        table.add_row(*row)
    Console().print(table)
    for path in report.write(output):
        typer.echo(path)
    if card:
        add_measured(description.folder, report.measured())
        typer.echo(description.folder / TOML_NAME)


def _measure_notes(
    split: Path | None, name: str, preset: Preset, data: Path | None
) -> Callable[..., Any]:
    """Read what the measurement of notes needs; returns the function that measures."""
    import audiogen
    from audiogen.data.notes.nsynth import read_notes
    from audiogen.data.notes.splits import read_split
    from audiogen.evaluation.note_report import evaluate_notes
    from audiogen.notes import Note

    rate = preset.sample_rate
    real = None if data is None else read_notes(data, sample_rate=rate)
    if real is not None and split is not None:
        parts = read_split(split).parts
        held_out = {note for part, names in parts.items() if part != "train" for note in names}
        real = real.take([note.name for note in real if note.name in held_out])
        if not len(real):
            raise ParameterError(
                f"{split}: holds out none of the notes in {data}; give its own set"
            )
    synth: Any = audiogen.load(name)

    def work(seed: int, **options: Any) -> Any:
        def render(timbre: str, pitch: int, velocity: float, seconds: float) -> np.ndarray:
            note = Note(0.0, seconds, pitch, velocity)
            return synth.render([note], sample_rate=rate, seed=seed, timbre=timbre)

        assert preset.pitch_range is not None
        low, high = preset.pitch_range
        return evaluate_notes(
            render,
            preset.timbres,
            pitch_range=(low, high),
            sample_rate=rate,
            real=real,
            seed=seed,
            **options,
        )

    return work


def _measure_texture(name: str, preset: Preset, data: Path | None) -> Callable[..., Any]:
    """Read what the measurement of free sound needs; returns the function that measures."""
    import audiogen
    from audiogen.data.recordings import concatenate, read_recordings
    from audiogen.evaluation.texture_report import evaluate_texture

    rate, real = preset.sample_rate, None
    if data is not None:
        real, _ = concatenate(list(read_recordings(data, rate).files), rate, seed=0)
    synth: Any = audiogen.load(name)

    def generate(seconds: float, seed: int, prompt: np.ndarray | None) -> np.ndarray:
        timbre = synth.timbres[seed % len(synth.timbres)] if synth.timbres else None
        return synth.generate(seconds, prompt=prompt, seed=seed, timbre=timbre)

    return partial(evaluate_texture, generate, sample_rate=rate, real=real)
