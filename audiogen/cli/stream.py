"""`audiogen stream`: samples to the standard output as they are made, for a pipe."""

from __future__ import annotations

import math
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from audiogen.cli.sound import (
    PRESET_HELP,
    SEED_HELP,
    SET_HELP,
    TEMPERATURE_HELP,
    TIMBRE_HELP,
    TOP_P_HELP,
    AnyPrecision,
    Precision,
    read_preset,
    read_settings,
    read_temperature,
    refuse,
    steady,
)
from audiogen.core.counting import counted
from audiogen.errors import AudiogenError, ParameterError

if TYPE_CHECKING:
    import numpy as np

app = typer.Typer(add_completion=False)

BLOCK = 512  # samples


class Format(str, Enum):
    """Sample format of the pipe, little-endian."""

    f32 = "f32"
    s16 = "s16"


_APLAY = {Format.f32: "FLOAT_LE", Format.s16: "S16_LE"}


@app.command()
def stream(
    preset: Annotated[str, typer.Argument(help=PRESET_HELP)],
    midi: Annotated[
        Path | None, typer.Option(metavar="SCORE.mid", help="A MIDI file.", show_default=False)
    ] = None,
    notes: Annotated[
        str | None,
        typer.Option(
            metavar='"C4:0.5 E4 G4 C5:2"',
            help="A note string instead, as for `audiogen render`.",
            show_default=False,
        ),
    ] = None,
    timbre: Annotated[str | None, typer.Option(help=TIMBRE_HELP, show_default=False)] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Length, for an unconditional preset.", show_default="without end"),
    ] = None,
    wav: Annotated[
        bool, typer.Option("--wav/--raw", help="WAV with an unknown length, or samples only.")
    ] = False,
    format_: Annotated[
        Format, typer.Option("--format", help="Float32 or 16-bit integers, little-endian.")
    ] = Format.f32,
    sample_rate: Annotated[
        int | None,
        typer.Option(help="Hz, 8000 to 192000.", show_default="the preset's, at most 48000"),
    ] = None,
    temperature: Annotated[
        str | None,
        typer.Option(help=f"{TEMPERATURE_HELP} Notes take a number.", show_default="the preset's"),
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help=TOP_P_HELP, show_default="the preset's")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help=SET_HELP, show_default=False),
    ] = None,
    stereo: Annotated[
        bool | None,
        typer.Option(
            "--stereo/--mono",
            help="Two channels or one; an unconditional preset generates two independently.",
            show_default="stereo if the score or a drum kit pans",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help=SEED_HELP)] = 0,
    precision: AnyPrecision = Precision.float32,
) -> None:
    """Write samples to a pipe as they are made: `audiogen stream PRESET --wav | aplay`.

    A score, or an unconditional preset without end. The samples are those of
    `audiogen render`; an endless stream has no fade-out.
    """
    from audiogen.audio.files import check_sample_rate
    from audiogen.engine import Synth
    from audiogen.engine.render import default_rate, set_parameters
    from audiogen.presets import load_preset

    curve = read_temperature(temperature)
    settings = read_settings(set_)
    if sample_rate is not None:
        check_sample_rate(sample_rate)
    if sys.stdout is None:
        raise ParameterError("standard output is closed; pipe it, or send it to a file")
    if sys.stdout.isatty():
        raise ParameterError(
            "samples are not for a terminal; pipe them: `audiogen stream PRESET --wav | aplay`"
        )
    name, timbre = read_preset(preset, timbre)
    loaded = load_preset(name)
    rate = sample_rate or default_rate([loaded])
    synth = Synth(loaded, rate, seed, precision.value)
    if synth.plays_notes:
        refuse({"--seconds": seconds is not None}, "is for unconditional presets")
        if (midi is None) == (notes is None):
            raise ParameterError(f"preset {synth.name!r} plays notes; give --midi or --notes")
        source = notes if midi is None else midi
        assert source is not None
        drawn = {"temperature": steady(curve), "top_p": top_p, "parameters": settings}
        pieces, n_channels = _of_score(synth, source, stereo, timbre, drawn)
    else:
        refuse(
            {"--midi": midi is not None, "--notes": notes is not None},
            f"is not supported by preset {synth.name!r}, which is unconditional",
        )
        if seconds is not None and not 0 < seconds < math.inf:
            raise ParameterError(f"--seconds {seconds:g} must be above 0")
        set_parameters([synth], settings)
        n_channels = 2 if stereo else 1
        pieces = synth.generate_stream(
            seconds,
            block=BLOCK,
            temperature=curve,
            top_p=top_p,
            timbre=timbre,
            stereo=bool(stereo),
        )
    kind = "WAV" if wav else f"raw, play with aplay -f {_APLAY[format_]} -r {rate} -c {n_channels}"
    channels = "stereo" if n_channels == 2 else "mono"
    typer.echo(f"{rate} Hz, {channels}, {format_.value}, {kind}", err=True)
    header = _wav_header(rate, n_channels, format_) if wav else b""
    _write(header, pieces, format_, sys.stdout.buffer)


def _of_score(
    synth: Any,
    source: str | Path,
    stereo: bool | None,
    timbre: str | None,
    drawn: dict[str, Any],
) -> tuple[Iterator[np.ndarray], int]:
    """Blocks of a score, each program by the timbre that `audiogen render` gives it; channels."""
    from audiogen.engine.render import is_panned
    from audiogen.engine.render import stream as stream_score
    from audiogen.notes import as_score
    from audiogen.presets import assign_programs

    score = as_score(source)
    programs = score.programs if isinstance(source, Path) else ()
    is_stereo = is_panned(score, drawn["parameters"], [synth.preset]) if stereo is None else stereo
    with _printed_warnings():
        blocks = stream_score(
            score,
            assign_programs(programs, [synth.preset], timbre),
            BLOCK,
            sample_rate=synth.sample_rate,
            seed=synth.seed,
            stereo=is_stereo,
            precision=synth.precision,
            **drawn,
        )

    def pieces() -> Iterator[np.ndarray]:
        with _printed_warnings():
            yield from blocks

    return pieces(), 2 if is_stereo else 1


@contextmanager
def _printed_warnings() -> Iterator[None]:
    """Print warnings as notes at the end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        typer.echo(f"note: {warning.message}", err=True)


def _wav_header(rate: int, n_channels: int, format_: Format) -> bytes:
    """Header of a WAV file of unknown length, which readers of pipes read up to the end."""
    size, tag = (4, 3) if format_ is Format.f32 else (2, 1)
    frame = size * n_channels
    fields = struct.pack("<HHIIHH", tag, n_channels, rate, rate * frame, frame, 8 * size)
    unknown = struct.pack("<I", 0xFFFFFFFF)
    return b"".join(
        (b"RIFF", unknown, b"WAVEfmt ", struct.pack("<I", 16), fields, b"data", unknown)
    )


def _write(header: bytes, pieces: Iterator[np.ndarray], format_: Format, out: BinaryIO) -> None:
    """Write until the end, or until the reader closes the pipe."""
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
        # Python's buffer has nowhere to go; without this the exit would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if not isinstance(error, BrokenPipeError):
            raise AudiogenError(
                f"standard output cannot be written ({error.strerror}); make room, or pipe it"
                " elsewhere"
            ) from None
    except KeyboardInterrupt:
        pass
    if n_over:
        typer.echo(f"note: {counted(n_over, 'sample')} over full scale clipped", err=True)
