"""`audiogen info`: one preset in full."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from audiogen.core.counting import counted

if TYPE_CHECKING:
    from rich.table import Table

    from audiogen.presets import GansynthPreset, Preset, Timbre

app = typer.Typer(add_completion=False)


@app.command()
def info(
    preset: str = typer.Argument(help="A preset's name or folder.", show_default=False),
) -> None:
    """Show a preset's timbres, macros and pitches, and how it was made."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from audiogen.presets import GansynthPreset, load_preset

    loaded = load_preset(preset)
    console = Console(highlight=False)
    console.print(f"[bold]{escape(loaded.name)}[/bold]  {escape(loaded.description)}\n")
    if loaded.timbres:
        console.print(_timbres(loaded))
        console.print()
    if isinstance(loaded, GansynthPreset) and loaded.macros:
        console.print(_macros(loaded))
        console.print()
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="cyan", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, fact in (*_facts(loaded), *_technical_facts(loaded)):
        facts.add_row(name, escape(fact))
    console.print(facts)


def _timbres(preset: Preset) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from audiogen.notes import pitch_name
    from audiogen.notes.general_midi import program_name

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("timbre", "family", "key" if preset.is_kit else "General MIDI"):
        table.add_column(heading)
    further = {
        name: [shown(timbre) for timbre in preset.timbres]
        for name, shown in (("vibrato", _vibrato), ("partials", _partials))
    }
    further = {name: column for name, column in further.items() if any(column)}
    for heading in further:
        table.add_column(heading)
    for index, timbre in enumerate(preset.timbres):
        default = " (default)" if timbre.name == preset.default_timbre else ""
        program = timbre.program
        instrument = "" if program is None else f"{program} {program_name(program)}"
        family = timbre.family.replace("_", " ")
        played_by = instrument if timbre.key is None else f"{timbre.key} {pitch_name(timbre.key)}"
        own = [column[index] for column in further.values()]
        table.add_row(timbre.name + default, escape(family), played_by, *own)
    return table


def _vibrato(timbre: Timbre) -> str:
    if not timbre.vibrato:
        return ""
    depth, rate, _, *tremolo = timbre.vibrato
    return f"{depth:.0f} cents, {rate:.1f} Hz" + (f", {tremolo[0]:.1f} dB" if tremolo else "")


def _partials(timbre: Timbre) -> str:
    """Label of inharmonic partials; empty for harmonic ones."""
    return "stretched" if timbre.inharmonicity else "inharmonic" if timbre.partials else ""


def _macros(preset: GansynthPreset) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("macro", "-1 to 1", "measured effect"):
        table.add_column(heading, overflow="fold")
    for macro in preset.macros:
        table.add_row(macro.name, escape(macro.help), escape(macro.effect or "not measured"))
    return table


def _facts(preset: Preset) -> Iterator[tuple[str, str]]:
    """Return the lines that matter most to a musician."""
    from audiogen.notes import pitch_name

    name = preset.folder.name
    if preset.pitch_range:
        low, high = preset.pitch_range
        what = "keys" if preset.is_kit else "pitches"
        yield what, f"{pitch_name(low)} to {pitch_name(high)} (MIDI {low} to {high})"
        yield "play it", f"audiogen play {name}"
    else:
        yield "plays", "unconditional: it generates audio freely or continues a recording"
        yield "play it", f"audiogen render --preset {name} --seconds 10"
    rate = preset.sample_rate
    yield "sample rate", f"{rate} Hz; nothing sounds above {rate / 2000:g} kHz"
    yield "licence", preset.licence
    yield "authors", ", ".join(preset.authors)
    if preset.data:
        yield "data", f"{preset.data.source} ({preset.data.licence})"
        yield from _data_facts(preset)
    yield "folder", f"{preset.folder} ({preset.size_bytes / 1e6:.1f} MB)"


def _technical_facts(preset: Preset) -> Iterator[tuple[str, str]]:
    from audiogen.presets import weight_shapes

    n_weights = sum(math.prod(shape) for shape in weight_shapes(preset.network).values())
    yield "", ""
    yield "network", f"{preset.kind}, {n_weights / 1e6:.2f} M weights"
    yield from _network_facts(preset)
    if preset.training:
        training = preset.training
        yield (
            "training",
            f"{training.steps} steps in {training.seconds / 60:.0f} min, seed {training.seed}, "
            f"{training.machine}, torch {training.torch}",
        )
        if training.version:
            yield "trained by", f"audiogen {training.version}"
        if training.data_sha256:
            yield "sounds", f"SHA-256 {training.data_sha256}"
        yield "command", training.command
    if preset.measured:
        numbers = (f"{name.replace('_', ' ')} {x:g}" for name, x in preset.measured.items())
        yield "measured", "\n".join(numbers)


def _network_facts(preset: Preset) -> Iterator[tuple[str, str]]:
    from audiogen.presets import GansynthPreset, SamplernnPreset

    if isinstance(preset, GansynthPreset):
        spectrogram = preset.spectrogram
        yield (
            "spectrogram",
            f"{spectrogram.n_frames} frames x {spectrogram.n_fft // 2} bins, "
            f"hop {spectrogram.hop_length}, {spectrogram.phase}",
        )
        yield "conditioning", preset.generator.conditioning
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
        notes = counted(preset.data.notes, "note")
        yield "", f"{notes} of {', '.join(preset.data.instruments)}"
        if preset.data.held_out:
            yield "", f"held out, only their latents fitted: {', '.join(preset.data.held_out)}"
    if isinstance(preset, SamplernnPreset) and preset.data:
        yield "", f"{counted(preset.data.files, 'file')}, {preset.data.seconds / 60:.1f} min"
