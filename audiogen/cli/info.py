"""`audiogen info`: one preset in full."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from audiogen.presets import Preset

app = typer.Typer(add_completion=False)


@app.command()
def info(
    preset: str = typer.Argument(help="A preset's name or folder.", show_default=False),
) -> None:
    """Show what a preset holds and how it was made."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from audiogen.presets import load_preset

    loaded = load_preset(preset)
    console = Console(highlight=False)
    console.print(f"[bold]{escape(loaded.name)}[/bold]  {escape(loaded.description)}\n")
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="cyan", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, fact in _facts(loaded):
        facts.add_row(name, escape(fact))
    console.print(facts)
    timbres = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("timbre", "family", "MIDI program"):
        timbres.add_column(heading)
    for timbre in loaded.timbres:
        default = "  (default)" if timbre.name == loaded.default_timbre else ""
        program = "" if timbre.program is None else str(timbre.program)
        timbres.add_row(timbre.name + default, escape(timbre.family), program)
    console.print()
    console.print(timbres)


def _facts(preset: Preset) -> Iterator[tuple[str, str]]:
    from audiogen.notes import pitch_name
    from audiogen.presets import weight_shapes

    spectrogram, generator = preset.spectrogram, preset.generator
    low, high = preset.pitch_range
    n_weights = sum(math.prod(shape) for shape in weight_shapes(generator).values())
    yield "kind", f"{preset.kind}, {generator.conditioning} pitch, {n_weights / 1e6:.2f} M weights"
    yield "sample rate", f"{preset.sample_rate} Hz"
    yield "pitches", f"{pitch_name(low)} to {pitch_name(high)} (MIDI {low} to {high})"
    yield (
        "spectrogram",
        f"{spectrogram.n_frames} frames x {spectrogram.n_fft // 2} bins, "
        f"hop {spectrogram.hop_length}, {spectrogram.phase}",
    )
    yield "licence", preset.licence
    yield "authors", ", ".join(preset.authors)
    if preset.data:
        yield "data", f"{preset.data.source} ({preset.data.licence})"
        yield "", f"{preset.data.notes} notes, {', '.join(preset.data.instruments)}"
    if preset.training:
        training = preset.training
        yield "trained by", training.command
        yield (
            "",
            f"{training.steps} steps in {training.seconds / 60:.0f} min, seed {training.seed}, "
            f"{training.machine}, torch {training.torch}",
        )
    for name, number in preset.measured.items():
        yield name.replace("_", " "), f"{number:g}"
    yield "folder", f"{preset.folder} ({preset.size_bytes / 1e6:.1f} MB)"
