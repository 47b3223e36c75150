"""`audiogen continue`: a sound file in; the same and a generated continuation out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from audiogen.cli.sound import (
    PRESET_HELP,
    SEED_HELP,
    TEMPERATURE_HELP,
    TIMBRE_HELP,
    TOP_P_HELP,
    AnyPrecision,
    Precision,
    check_seconds,
    check_variations,
    draw,
    numbered,
    print_speed,
    progress_bar,
    provenance,
    read_preset,
    read_temperature,
    write_sound,
)
from audiogen.core.counting import counted
from audiogen.errors import FormatError, ParameterError, ShapeError

app = typer.Typer(add_completion=False)


@app.command("continue")
def continue_(
    intro: Annotated[Path, typer.Argument(help="A sound file.", show_default=False)],
    preset: Annotated[
        str, typer.Option(help=f"Unconditional preset. {PRESET_HELP}", show_default=False)
    ],
    seconds: Annotated[float, typer.Option(help="Length of the continuation.")] = 10.0,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Sound file to write: .wav, .flac (24 bit) or .ogg.",
            show_default="INTRO-continued.wav",
        ),
    ] = None,
    timbre: Annotated[str | None, typer.Option(help=TIMBRE_HELP, show_default=False)] = None,
    temperature: Annotated[
        str | None, typer.Option(help=TEMPERATURE_HELP, show_default="the preset's")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help=TOP_P_HELP, show_default="the preset's")
    ] = None,
    variations: Annotated[
        int, typer.Option(help="Number of continuations, OUTPUT-1, OUTPUT-2, ...")
    ] = 1,
    seed: Annotated[int, typer.Option(help=SEED_HELP)] = 0,
    precision: AnyPrecision = Precision.float32,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw waveform and rainbowgram into a .png file.", show_default=False),
    ] = None,
) -> None:
    """Continue a sound file with an unconditional preset.

    The output has the file's rate and channels and begins with the file as it
    is. Each channel is continued separately, from its last 30 s.
    """
    import numpy as np

    from audiogen.audio.files import HIGHEST_RATE, LOWEST_RATE, check_output, read_channels
    from audiogen.engine import load
    from audiogen.engine.synth import MAX_CHANNELS

    output = output or Path(f"{intro.stem}-continued.wav")
    check_output(output)
    check_variations(variations)
    outputs = [numbered(output, i + 1, variations) for i in range(variations)]
    if intro.exists() and any(path.exists() and path.samefile(intro) for path in outputs):
        raise ParameterError(f"output {output} is the file to be continued; give another name")
    if plot:
        check_output(plot, (".png",))
    check_seconds(seconds, variations)
    curve = read_temperature(temperature)
    before, rate = read_channels(intro)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise FormatError(
            f"{intro}: has {rate} Hz; it must have {LOWEST_RATE} to {HIGHEST_RATE} Hz: resample it"
        )
    n_samples, n_channels = before.shape
    if n_channels > MAX_CHANNELS:
        raise FormatError(
            f"{intro}: has {n_channels} channels; up to {MAX_CHANNELS} can be continued"
        )
    if n_samples < n_channels or n_samples < 2:
        raise FormatError(
            f"{intro}: has {counted(n_samples, 'sample')}; give about a second or more"
        )
    name, timbre = read_preset(preset, timbre)
    synth = load(name, precision=precision.value)

    prompt = before[:, :1] if (before == before[:, :1]).all() else before
    began = time.perf_counter()
    with progress_bar() as report:
        try:
            continuations = synth.generate(
                seconds,
                prompt=prompt,
                sample_rate=rate,
                temperature=curve,
                top_p=top_p,
                seed=seed,
                variations=variations,
                timbre=timbre,
                progress=report,
            )
        except ShapeError as error:
            raise FormatError(f"{intro}: cannot be continued; {error}") from error
    took_s = time.perf_counter() - began
    sounds = continuations.reshape(variations, -1, prompt.shape[1])
    for number, (path, new) in enumerate(zip(outputs, sounds, strict=True), 1):
        n_over = int(np.count_nonzero(np.abs(new) > 1.0))
        new = np.broadcast_to(np.clip(new, -1.0, 1.0), (len(new), n_channels))
        sound = np.concatenate((before, new))
        comment = provenance({synth.name: synth.precision}, seed)
        turned_db = write_sound(path, sound, rate, comment)
        if n_over:
            typer.echo(f"  note: {counted(n_over, 'new sample')} over full scale were clipped")
        if turned_db:
            typer.echo(f"  note: turned down by {-turned_db:.1f} dB; {intro} is over full scale")
        if plot:
            draw(numbered(plot, number, variations), sound, rate, path.name)
    what = f"{variations} x {seconds:g} s" if variations > 1 else f"{seconds:g} s"
    print_speed(f"{what} more", variations * seconds, took_s)
