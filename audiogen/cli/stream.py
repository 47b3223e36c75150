"""`audiogen stream`: sound to the standard output as it is made, for a pipe."""

from __future__ import annotations

import math
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from audiogen.cli.sound import (
    TEMPERATURE_HELP,
    TOP_P_HELP,
    AnyPrecision,
    Precision,
    check_seed,
    check_top_p,
    open_texture,
    print_drums,
    read_music,
    read_temperature,
    steady,
)
from audiogen.errors import AudiogenError, ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.presets import Preset

app = typer.Typer(add_completion=False)

BLOCK = 512  # samples


class Format(str, Enum):
    """What a sample is in the pipe; all little-endian."""

    f32 = "f32"
    s16 = "s16"


_APLAY = {Format.f32: "FLOAT_LE", Format.s16: "S16_LE"}


@app.command()
def stream(
    preset: Annotated[str, typer.Argument(help="A name or a folder, :TIMBRE after it if wanted.")],
    midi: Annotated[
        Path | None, typer.Option(metavar="SCORE.mid", help="A MIDI file.", show_default=False)
    ] = None,
    notes: Annotated[
        str | None,
        typer.Option(
            metavar='"C4:0.5 E4 G4 C5:2"',
            help="Written notes instead, as for `audiogen render`.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Of a preset that makes sound on its own.", show_default="without end"),
    ] = None,
    wav: Annotated[
        bool, typer.Option("--wav/--raw", help="With or without a WAV header, of unknown length.")
    ] = False,
    format_: Annotated[
        Format, typer.Option("--format", help="Float32, or 16-bit whole numbers; little-endian.")
    ] = Format.f32,
    sample_rate: Annotated[
        int | None, typer.Option(help="Hz, 8000 to 192000.", show_default="the preset's")
    ] = None,
    temperature: Annotated[
        str | None,
        typer.Option(help=TEMPERATURE_HELP, show_default="the preset's"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help=TOP_P_HELP, show_default="the preset's"),
    ] = None,
    stereo: Annotated[
        bool, typer.Option("--stereo", help="Without notes: two channels, drawn independently.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same samples.")] = 0,
    precision: AnyPrecision = Precision.float32,
) -> None:
    """Write sound to a pipe as it is made: `audiogen stream PRESET --wav | aplay`.

    Notes, or a preset that makes sound on its own, without end. The samples
    are those of `audiogen render`, whose fades at both ends are left out.
    """
    from audiogen.audio.files import check_sample_rate
    from audiogen.presets import load_preset, split_spec

    check_seed(seed)
    check_top_p(top_p)
    curve = read_temperature(temperature)
    if sample_rate is not None:
        check_sample_rate(sample_rate)
    if sys.stdout is None:
        raise ParameterError("standard output is closed; pipe it, or send it to a file")
    if sys.stdout.isatty():
        raise ParameterError(
            "samples aren't for a terminal; pipe them, as in `audiogen stream PRESET --wav | aplay`"
        )
    name, timbre = split_spec(preset)
    loaded = load_preset(name)
    rate = sample_rate or loaded.sample_rate
    if loaded.plays_notes:
        for option, given in {"--seconds": seconds is not None, "--stereo": stereo}.items():
            if given:
                raise ParameterError(f"{option} is for presets without notes")
        if (midi is None) == (notes is None):
            raise ParameterError(f"preset {loaded.name!r} plays notes; give --midi or --notes")
        source = notes if midi is None else midi
        assert source is not None
        options = {"seed": seed, "precision": precision.value, "top_p": top_p}
        options |= {"sample_rate": rate, "temperature": steady(curve)}
        pieces = _notes(loaded, source, timbre, options)
    else:
        if midi is not None or notes is not None:
            raise ParameterError(
                f"preset {loaded.name!r} plays no notes, it makes sound on its own; leave them out"
            )
        if seconds is not None and not 0 < seconds < math.inf:
            raise ParameterError(f"--seconds {seconds:g} isn't usable; give more than 0")
        texture = open_texture(name, "stream", precision)
        blocks = texture.stream(
            BLOCK, temperature=curve, top_p=top_p, seed=seed, stereo=stereo, timbre=timbre
        )
        pieces = _at_rate(blocks, texture.sample_rate, rate, 2 if stereo else 1)
        if seconds is not None:
            pieces = _first(pieces, max(1, round(seconds * rate)))
    n_channels = 2 if stereo else 1
    kind = "WAV" if wav else f"raw, play with aplay -f {_APLAY[format_]} -r {rate} -c {n_channels}"
    typer.echo(f"{rate} Hz, {'stereo' if stereo else 'mono'}, {format_.value}, {kind}", err=True)
    header = _wav_header(rate, n_channels, format_) if wav else b""
    _write(header, pieces, format_, sys.stdout.buffer)


def _notes(
    preset: Preset, source: str | Path, timbre: str | None, options: dict[str, Any]
) -> Iterator[np.ndarray]:
    """The sound of notes, each program by the timbre that `audiogen render` gives it."""
    from audiogen.engine.synth import stream_score
    from audiogen.presets import assign_programs

    score, n_drums = read_music(source)
    print_drums(n_drums, err=True)
    programs = score.programs if isinstance(source, Path) else ()
    voices = assign_programs(programs, [preset], timbre)
    blocks = stream_score(score, voices, BLOCK, **options)

    def pieces() -> Iterator[np.ndarray]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield from blocks
        for warning in caught:
            typer.echo(f"note: {warning.message}", err=True)

    return pieces()


def _at_rate(
    blocks: Iterator[np.ndarray], from_hz: int, to_hz: int, n_channels: int
) -> Iterator[np.ndarray]:
    if from_hz == to_hz:
        return blocks
    import soxr

    resampler = soxr.ResampleStream(from_hz, to_hz, n_channels, "float32", quality="VHQ")
    return (resampler.resample_chunk(block) for block in blocks)


def _first(pieces: Iterator[np.ndarray], n: int) -> Iterator[np.ndarray]:
    """The first samples."""
    while n > 0:
        piece = next(pieces)[:n]
        n -= len(piece)
        yield piece


def _wav_header(rate: int, n_channels: int, format_: Format) -> bytes:
    """Of a length that isn't known yet, as those who read pipes take it: up to the end."""
    size, tag = (4, 3) if format_ is Format.f32 else (2, 1)
    frame = size * n_channels
    fields = struct.pack("<HHIIHH", tag, n_channels, rate, rate * frame, frame, 8 * size)
    unknown = struct.pack("<I", 0xFFFFFFFF)
    return b"".join(
        (b"RIFF", unknown, b"WAVEfmt ", struct.pack("<I", 16), fields, b"data", unknown)
    )


def _write(header: bytes, pieces: Iterator[np.ndarray], format_: Format, out: BinaryIO) -> None:
    """Write until the end, or until nobody reads any more."""
    import numpy as np

    n_over = 0
    try:
        out.write(header)
        for piece in pieces:
            if format_ is Format.s16:
                n_over += int(np.count_nonzero(np.abs(piece) > 1.0))
                piece = np.rint(np.clip(piece, -1.0, 1.0) * 32767.0)
            out.write(piece.astype("<f4" if format_ is Format.f32 else "<i2").tobytes())
            out.flush()
    except OSError as error:
        # What is still in Python's buffer has nowhere to go; don't let the exit complain of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if not isinstance(error, BrokenPipeError):
            raise AudiogenError(
                f"standard output can't be written ({error.strerror}); make room, or pipe it"
                " elsewhere"
            ) from None
    except KeyboardInterrupt:
        pass
    if n_over:
        typer.echo(f"note: {n_over} samples were over full scale and are cut off there", err=True)
