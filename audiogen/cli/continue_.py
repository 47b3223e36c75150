"""`audiogen continue`: a sound file in, the same and what may follow it out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiogen.cli.sound import (
    TEMPERATURE_HELP,
    TOP_P_HELP,
    AnyPrecision,
    Precision,
    check_seconds,
    check_seed,
    check_top_p,
    check_variations,
    draw,
    numbered,
    open_texture,
    print_speed,
    progress_bar,
    read_preset,
    read_temperature,
    write_sound,
)
from audiogen.errors import FormatError, ParameterError, ShapeError

if TYPE_CHECKING:
    import numpy as np

app = typer.Typer(add_completion=False)


@app.command("continue")
def continue_(
    intro: Annotated[Path, typer.Argument(help="A sound file.", show_default=False)],
    preset: Annotated[
        str,
        typer.Option(
            help="A preset that makes sound on its own: a name or a folder, :TIMBRE after it if "
            "wanted.",
            show_default=False,
        ),
    ],
    seconds: Annotated[float, typer.Option(help="How much sound to add.")] = 10.0,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Sound file to write: .wav, .flac (24 bit) or .ogg.",
            show_default="INTRO-continued.wav",
        ),
    ] = None,
    timbre: Annotated[
        str | None, typer.Option(help="One of the preset's timbres.", show_default=False)
    ] = None,
    temperature: Annotated[
        str | None, typer.Option(help=TEMPERATURE_HELP, show_default="the preset's")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help=TOP_P_HELP, show_default="the preset's")
    ] = None,
    variations: Annotated[
        int, typer.Option(help="So many continuations, into OUTPUT-1, OUTPUT-2, ...")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Same seed, same samples.")] = 0,
    precision: AnyPrecision = Precision.float32,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw waveform and rainbowgram into a .png file.", show_default=False),
    ] = None,
) -> None:
    """Let a preset go on where a sound file ends.

    The output has the file's rate and channels and begins with the file as it
    is. Each channel goes on for itself, from its last 30 s.
    """
    import numpy as np

    from audiogen.audio.files import HIGHEST_RATE, LOWEST_RATE, check_output, read_channels
    from audiogen.engine.texture import MOST_CHANNELS

    output = output or Path(f"{intro.stem}-continued.wav")
    check_output(output)
    check_variations(variations)
    outputs = [numbered(output, i + 1, variations) for i in range(variations)]
    if intro.exists() and any(path.exists() and path.samefile(intro) for path in outputs):
        raise ParameterError(f"output {output} is the file to be continued; give another name")
    if plot:
        check_output(plot, (".png",))
    check_seconds(seconds, variations)
    check_top_p(top_p)
    check_seed(seed)
    curve = read_temperature(temperature)
    before, rate = read_channels(intro)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise FormatError(
            f"{intro}: has {rate} Hz; {LOWEST_RATE} to {HIGHEST_RATE} Hz are wanted; resample it"
        )
    n_samples, n_channels = before.shape
    if n_channels > MOST_CHANNELS:
        raise FormatError(
            f"{intro}: has {n_channels} channels; up to {MOST_CHANNELS} can be continued"
        )
    too_short = FormatError(f"{intro}: has {n_samples} samples; give about a second or more")
    if n_samples < n_channels:
        raise too_short
    preset, timbre = read_preset(preset, timbre)
    texture = open_texture(preset, "continue", precision)

    one = before[:, :1] if (before == before[:, :1]).all() else before
    prime = _prime(one, rate, texture.sample_rate)
    if not len(prime):
        raise too_short
    began = time.perf_counter()
    with progress_bar() as report:
        try:
            after = texture.generate(
                seconds,
                prime,
                temperature=curve,
                top_p=top_p,
                seed=seed,
                variations=variations,
                timbre=timbre,
                progress=report,
            )
        except ShapeError as error:
            raise FormatError(f"{intro}: can't be continued; {error}") from error
    took_s = time.perf_counter() - began
    news = after.reshape(variations, -1, prime.shape[1])
    for number, (path, new) in enumerate(zip(outputs, news, strict=True), 1):
        added = _at_rate(new, prime, texture.sample_rate, rate)
        n_over = int(np.count_nonzero(np.abs(added) > 1.0))
        added = np.broadcast_to(np.clip(added, -1.0, 1.0), (len(added), before.shape[1]))
        sound = np.concatenate((before, added))
        turned_db = write_sound(path, sound, rate)
        if n_over:
            typer.echo(f"  note: {n_over} new samples were over full scale and are cut off there")
        if turned_db:
            typer.echo(f"  note: turned down by {-turned_db:.1f} dB; {intro} is over full scale")
        if plot:
            draw(numbered(plot, number, variations), sound, rate, path.name)
    what = f"{variations} x {seconds:g} s" if variations > 1 else f"{seconds:g} s"
    print_speed(f"{what} more", variations * seconds, took_s)


def _prime(before: np.ndarray, rate: int, wanted_hz: int) -> np.ndarray:
    """A sound at another rate; turned over at its end, so that the filter sees no step there."""
    import numpy as np

    from audiogen.audio.files import resample

    more = min(len(before) - 1, rate // 50)
    longer = np.pad(before, ((0, more), (0, 0)), "reflect", reflect_type="odd")
    return resample(longer, rate, wanted_hz)[: round(len(before) * wanted_hz / rate)]


def _at_rate(after: np.ndarray, prime: np.ndarray, made_at_hz: int, rate: int) -> np.ndarray:
    """A continuation at another rate; its beginning is resampled with what it follows."""
    import numpy as np

    from audiogen.audio.files import resample

    lead = prime[-made_at_hz:]
    joined = resample(np.concatenate((lead, after)), made_at_hz, rate)
    return joined[round(len(lead) * rate / made_at_hz) :]
