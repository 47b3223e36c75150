"""`audiogen export`: write a preset for samplers, ONNX runtimes, or Max and Pure Data."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.cli.sound import counting_bar, refuse
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    from audiogen.presets import Preset

app = typer.Typer(add_completion=False)


class Format(str, Enum):
    """A format to write."""

    SFZ = "sfz"
    SF2 = "sf2"
    ONNX = "onnx"
    NN_TILDE = "nn~"


SUFFIXES = {Format.SF2: ".sf2", Format.ONNX: ".onnx", Format.NN_TILDE: ".ts"}


@app.command()
def export(
    preset: Annotated[str, typer.Argument(help="Name or folder of a preset.", show_default=False)],
    format_: Annotated[Format, typer.Option("--format", help="Format.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder (sfz) or file (.sf2, .onnx, .ts).",
            show_default="PRESET-sfz, PRESET.sf2, PRESET.onnx or PRESET.ts",
        ),
    ] = None,
    timbre: Annotated[
        list[str] | None,
        typer.Option(
            help="sfz, sf2: timbre to sample, may be repeated. nn~: initial timbre.",
            show_default="all; nn~: the preset's",
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(
            help="sfz, sf2: semitones from one sampled key to the next.", show_default="4"
        ),
    ] = None,
    velocities: Annotated[
        int | None, typer.Option(help="sfz, sf2: velocity layers.", show_default="3")
    ] = None,
    round_robins: Annotated[
        int | None,
        typer.Option(help="sfz: samples that take turns, with other seeds.", show_default="1"),
    ] = None,
    audio: Annotated[
        str | None, typer.Option(help="sfz: flac or wav.", show_default="flac")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="sfz, sf2: seed of the (first) samples.", show_default="0")
    ] = None,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            help="Hz, of the files or of Max.", show_default="sfz, sf2: 44100, nn~: 48000"
        ),
    ] = None,
) -> None:
    """Write a preset for other hosts.

    sfz: a folder of sampled notes and an .sfz file for each timbre, or one for a drum kit. sf2: the
    same as one SoundFont. onnx: the generator of a GANSynth up to log magnitude and instantaneous
    frequency. nn~: a GANSynth as TorchScript, for the object nn~ in Max and Pure Data.
    """
    from audiogen.core.packages import require_package
    from audiogen.presets import load_preset

    loaded = load_preset(preset)
    sampling = {
        "timbres": tuple(timbre or ()) or None,
        "step": step,
        "velocities": velocities,
        "round_robins": round_robins,
        "file_format": audio,
        "seed": seed,
        "sample_rate": sample_rate,
    }
    if format_ is Format.SFZ:
        _sfz(loaded, output or Path(f"{loaded.name}-sfz"), sampling)
        return
    if format_ is Format.SF2:
        refuse({"--round-robins": round_robins, "--audio": audio}, "is for --format sfz")
        _sf2(loaded, output or Path(f"{loaded.name}.sf2"), sampling)
        return
    for_sfz = {
        "--step": step,
        "--velocities": velocities,
        "--round-robins": round_robins,
        "--audio": audio,
        "--seed": seed,
    }
    refuse(for_sfz, "is for --format sfz or sf2")
    path = output or Path(f"{loaded.name}{SUFFIXES[format_]}")
    if path.suffix != SUFFIXES[format_]:
        raise ParameterError(f"--output {path} must end in {SUFFIXES[format_]}")
    require_package("torch", "export", f"exporting to {format_.value}")
    if format_ is Format.ONNX:
        refuse(
            {"--timbre": timbre, "--sample-rate": sample_rate}, "is for --format sfz, sf2 or nn~"
        )
        from audiogen.export.onnx_graph import export_onnx

        inputs = export_onnx(loaded, path)
        typer.echo(f"{path}  inputs {', '.join(inputs)}")
        return
    if timbre and len(timbre) > 1:
        raise ParameterError("--timbre can be given once for --format nn~")
    from audiogen.export.torchscript import export_nn_tilde

    inlets = export_nn_tilde(
        loaded, path, sample_rate=sample_rate or 48000, timbre=timbre[0] if timbre else None
    )
    typer.echo(f"{path}  inlets: {', '.join(inlets)}; attribute: timbre")


def _sfz(preset: Preset, folder: Path, given: dict[str, Any]) -> None:
    from audiogen.export.sfz import SfzOptions, export_sfz

    options = SfzOptions(**{name: value for name, value in given.items() if value is not None})
    with counting_bar("sampling") as progress:
        paths = export_sfz(preset, folder, options, progress)
    for path in paths:
        typer.echo(path)


def _sf2(preset: Preset, path: Path, given: dict[str, Any]) -> None:
    from audiogen.export.sfz import SfzOptions
    from audiogen.export.soundfont import export_sf2

    if path.suffix != SUFFIXES[Format.SF2]:
        raise ParameterError(f"--output {path} must end in {SUFFIXES[Format.SF2]}")
    options = SfzOptions(**{name: value for name, value in given.items() if value is not None})
    with counting_bar("sampling") as progress:
        programs = export_sf2(preset, path, options, progress)
    listed = (f"{f'{bank}:' if bank else ''}{program} {name}" for bank, program, name in programs)
    typer.echo(f"{path}  programs: {', '.join(listed)}")
