"""`audiogen info`: one preset in full."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

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
    if loaded.timbres:
        console.print()
        console.print(_timbres(loaded))


def _timbres(preset: Preset) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("timbre", "family", "MIDI program"):
        table.add_column(heading)
    for timbre in preset.timbres:
        default = "  (default)" if timbre.name == preset.default_timbre else ""
        program = "" if timbre.program is None else str(timbre.program)
        table.add_row(timbre.name + default, escape(timbre.family), program)
    return table


def _facts(preset: Preset) -> Iterator[tuple[str, str]]:
    from audiogen.notes import pitch_name
    from audiogen.presets import weight_shapes

    n_weights = sum(math.prod(shape) for shape in weight_shapes(preset.network).values())
    yield "kind", f"{preset.kind}, {n_weights / 1e6:.2f} M weights"
    yield "sample rate", f"{preset.sample_rate} Hz"
    if preset.pitch_range:
        low, high = preset.pitch_range
        yield "pitches", f"{pitch_name(low)} to {pitch_name(high)} (MIDI {low} to {high})"
    else:
        yield "plays", "on its own: audiogen render --seconds, audiogen continue"
    yield from _network_facts(preset)
    yield "licence", preset.licence
    yield "authors", ", ".join(preset.authors)
    if preset.data:
        yield "data", f"{preset.data.source} ({preset.data.licence})"
        yield from _data_facts(preset)
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


def _network_facts(preset: Preset) -> Iterator[tuple[str, str]]:
    from audiogen.presets import GansynthPreset, SamplernnPreset

    if isinstance(preset, GansynthPreset):
        spectrogram = preset.spectrogram
        yield (
            "spectrogram",
            f"{spectrogram.n_frames} frames x {spectrogram.n_fft // 2} bins, "
            f"hop {spectrogram.hop_length}, {spectrogram.phase}",
        )
        yield "pitch", preset.generator.conditioning
    if isinstance(preset, SamplernnPreset):
        network, sampling = preset.samplernn, preset.sampling
        frames = ", ".join(map(str, network.frame_sizes))
        yield (
            "tiers",
            f"frames of {frames} samples, {network.n_rnn} x {network.rnn} {network.dim} wide",
        )
        yield "levels", f"{network.q_levels}, {network.quantisation}"
        yield "sampling", f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}"


def _data_facts(preset: Preset) -> Iterator[tuple[str, str]]:
    from audiogen.presets import GansynthPreset, SamplernnPreset

    if isinstance(preset, GansynthPreset) and preset.data:
        yield "", f"{preset.data.notes} notes, {', '.join(preset.data.instruments)}"
        if preset.data.held_out:
            yield "", f"latents alone were learned of {', '.join(preset.data.held_out)}"
    if isinstance(preset, SamplernnPreset) and preset.data:
        yield "", f"{preset.data.files} files, {preset.data.seconds / 60:.1f} min"
