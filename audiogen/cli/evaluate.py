"""`audiogen evaluate`: measure the sound of a preset, beside real sounds."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.cli.sound import AnyDevice, counting_bar
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.presets import Preset
    from audiogen.representation.config import SpectrogramConfig

app = typer.Typer(add_completion=False)


class TrackerName(str, Enum):
    """Pitch trackers."""

    praat = "praat"
    pyin = "pyin"


@app.command()
def evaluate(
    preset: Annotated[str, typer.Argument(help="Name or folder of a preset.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for report.html, report.json and pictures."),
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
    velocities: Annotated[
        str | None,
        typer.Option(help="MIDI velocities to compare, such as 70,110.", show_default="(all)"),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Comparisons of notes: distances,statistics,c2st (two-sample test).",
            show_default="(all)",
        ),
    ] = None,
    classifiers: Annotated[
        int, typer.Option(min=1, help="Number of classifiers of each two-sample test.")
    ] = 3,
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
    device: AnyDevice = "cpu",
    card: Annotated[
        bool,
        typer.Option("--card", help="Also write the results into the preset's card."),
    ] = False,
) -> None:
    """Measure the sound of a preset, beside real sounds.

    For a preset that plays notes: pitch, level, faults; and beside real notes
    and an oracle (real notes through the preset's representation): distances,
    statistics of single notes, and a classifier two-sample test. For an
    unconditional preset: level, tonality, speech, clicks at continuations, and
    whether a long stream collapses into silence, a cycle or noise.
    """
    from rich.console import Console
    from rich.table import Table

    from audiogen.evaluation.report_files import check_folder
    from audiogen.presets import TOML_NAME, add_measured, load_preset

    description = load_preset(preset)
    if card and not description.plays_notes:
        raise ParameterError(f"--card not supported by {description.name}, which plays no notes")
    for option, value in (("split", split), ("velocities", velocities), ("metrics", metrics)):
        if value is not None and (data is None or not description.plays_notes):
            raise ParameterError(f"--{option} must come with --data and a preset that plays notes")
    measure = (
        partial(_measure_notes, device, split, velocities)
        if description.plays_notes
        else partial(_measure_texture, device)
    )
    options: dict[str, Any] = (
        {
            "n_notes": notes,
            "tracker": tracker.value,
            "metrics": metrics.split(",") if metrics else None,
            "n_classifiers": classifiers,
        }
        if description.plays_notes
        else {"n_clips": clips, "minutes": minutes}
    )
    work = measure(preset, description, data)
    check_folder(output)
    with counting_bar("measuring") as progress:
        report = work(seed=seed, progress=progress, **options)
    first, *columns = report.header(description.name)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    for row in report.table():
        table.add_row(*row)
    Console().print(table)
    for remark in report.remarks():
        typer.echo(remark)
    for path in report.write(output, description.name):
        typer.echo(path)
    if card:
        add_measured(description.folder, report.measured())
        typer.echo(description.folder / TOML_NAME)


def _measure_notes(
    device: str,
    split: Path | None,
    velocities: str | None,
    name: str,
    preset: Preset,
    data: Path | None,
) -> Callable[..., Any]:
    """Read what the measurement of notes needs; returns the function that measures."""
    import audiogen
    from audiogen.cli.data import parse_numbers
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
    if real is not None and velocities is not None:
        real = real.filter(velocities=parse_numbers("velocities", velocities))
    synth: Any = audiogen.load(name, device=device)

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
            spectrogram=_spectrogram(preset),
            **options,
        )

    return work


def _spectrogram(preset: Preset) -> SpectrogramConfig | None:
    """The representation of a preset that generates whole notes."""
    from audiogen.presets import GansynthPreset
    from audiogen.representation.config import SpectrogramConfig

    if not isinstance(preset, GansynthPreset):
        return None
    table = preset.spectrogram.table()
    n_samples = table["n_frames"] * table["hop_length"]
    return SpectrogramConfig(sample_rate=preset.sample_rate, n_samples=n_samples, **table)


def _measure_texture(
    device: str, name: str, preset: Preset, data: Path | None
) -> Callable[..., Any]:
    """Read what the measurement of free sound needs; returns the function that measures."""
    import audiogen
    from audiogen.data.recordings import concatenate, read_recordings
    from audiogen.evaluation.texture_report import evaluate_texture

    rate, real = preset.sample_rate, None
    if data is not None:
        real, _ = concatenate(list(read_recordings(data, rate).files), rate, seed=0)
    free: Any = audiogen.load(name, device=device)
    continuing: Any = audiogen.load(name) if device != "cpu" else free  # no device takes prompts

    def generate(seconds: float, seed: int, prompt: np.ndarray | None) -> np.ndarray:
        synth = free if prompt is None else continuing
        timbre = synth.timbres[seed % len(synth.timbres)] if synth.timbres else None
        return synth.generate(seconds, prompt=prompt, seed=seed, timbre=timbre)

    return partial(evaluate_texture, generate, sample_rate=rate, real=real)
