"""What the commands that make sound share: the bar, the curve of a temperature, the last lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiogen.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.engine.texture import Temperature, Texture
    from audiogen.notes import Score

LONGEST_S = 4 * 3600.0  # a render is held in memory: 4 h at 44.1 kHz are 2.5 GB

HOTTEST = 100.0  # temperature: far beyond what differs from noise

MOST_VARIATIONS = 1000  # all at once; each has its own state

TEMPERATURE_HELP = (
    "How freely samples are drawn: a number (0 takes the likeliest), or SECONDS:NUMBER more than "
    'once, with straight lines between: "0:0.8 10:1.1".'
)
TOP_P_HELP = "Draw only from the likeliest that have this probability together."


class Precision(str, Enum):
    """Of a network's weights and products."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"


AnyPrecision = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="bfloat16 (on a CPU that has it) and, of presets that draw samples, int8 are faster"
        " and make other samples.",
    ),
]


@contextmanager
def progress_bar() -> Iterator[Callable[[float], None]]:
    """A bar on the terminal, for as long as the work lasts; takes the fraction that is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = ("rendering", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("rendering", total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


@contextmanager
def counting_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of work in parts; takes how many are done, and of how many."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def read_preset(preset: str, timbre: str | None) -> tuple[str, str | None]:
    """Name and timbre of ``PRESET[:TIMBRE]`` and a --timbre."""
    from audiogen.presets import split_spec

    name, named = split_spec(preset)
    if named is not None and timbre is not None:
        raise ParameterError(
            f"--preset {preset} names a timbre, and so does --timbre {timbre}; give one of the two"
        )
    return name, timbre if named is None else named


def open_texture(preset: str, asked: str, precision: Precision) -> Texture:
    """Load a preset that makes sound on its own, which is what was asked for."""
    from audiogen.engine import Texture
    from audiogen.presets import load_preset

    loaded = load_preset(preset)
    if loaded.plays_notes:
        raise ParameterError(
            f"{asked} wants a preset that makes sound on its own, and {loaded.name!r} plays notes; "
            "`audiogen presets` lists both"
        )
    return Texture(loaded, precision=precision.value)


def check_seconds(seconds: float, n_sounds: int = 1) -> None:
    """Refuse a length that makes no sound, or more than the memory holds."""
    if not 0 < seconds * n_sounds <= LONGEST_S:
        together = ", all sounds together" if n_sounds > 1 else ""
        raise ParameterError(
            f"--seconds {seconds:g} isn't usable; give more than 0 and up to {LONGEST_S:.0f} s"
            f"{together}"
        )


def check_variations(variations: int) -> None:
    if not 1 <= variations <= MOST_VARIATIONS:
        raise ParameterError(f"--variations {variations} isn't usable; give 1 to {MOST_VARIATIONS}")


def numbered(path: Path, number: int, n: int) -> Path:
    """The name of one of ``n`` sounds: NAME-1.wav, NAME-2.wav, ..., or NAME.wav of a single one."""
    return path.with_stem(f"{path.stem}-{number}") if n > 1 else path


def check_seed(seed: int) -> None:
    if not 0 <= seed < 1 << 64:
        raise ParameterError(f"--seed {seed} isn't usable; give 0 to 2^64 - 1")


def read_music(source: Path | str) -> tuple[Score, int]:
    """A score less its drums, and how many notes those are."""
    from audiogen.notes import music_of

    alone = f"{source}: has only drum notes (channel 10), which no preset plays"
    return music_of(source, alone)


def print_drums(n_drums: int, err: bool = False) -> None:
    if n_drums:
        typer.echo(f"  note: {n_drums} drum notes are left out; no preset has drums", err=err)


def steady(temperature: Temperature | None) -> float | None:
    """What `read_temperature` gave, if it is a number, as notes want it."""
    if isinstance(temperature, (int, float)) or temperature is None:
        return temperature
    raise ParameterError("--temperature takes a curve with --seconds; give one number for notes")


def check_top_p(top_p: float | None) -> None:
    if top_p is not None and not 0 < top_p <= 1:
        raise ParameterError(f"--top-p {top_p:g} isn't usable; give more than 0, up to 1")


def read_temperature(text: str | None) -> Temperature | None:
    """A number, or a curve as (seconds, temperature).

    Examples
    --------
    >>> read_temperature("0.8"), read_temperature("0:0.8 10:1.1")
    (0.8, [(0.0, 0.8), (10.0, 1.1)])
    """
    if text is None:
        return None
    try:
        if ":" not in text:
            curve = [(0.0, float(text))]
        else:
            pairs = [point.split(":") for point in text.split()]
            curve = [(float(seconds), float(temperature)) for seconds, temperature in pairs]
    except ValueError:
        raise ParameterError(
            f"--temperature {text} can't be read; give a number such as 0.8, or a curve such as "
            '"0:0.8 10:1.1"'
        ) from None
    moments = [seconds for seconds, _ in curve]
    if not all(0 <= a < b for a, b in zip(moments, [*moments[1:], math.inf], strict=True)):
        raise ParameterError(
            f"--temperature {text} isn't usable; its seconds must rise, from 0 or more"
        )
    if not all(0 <= temperature <= HOTTEST for _, temperature in curve):
        raise ParameterError(
            f"--temperature {text} isn't usable; give 0 to {HOTTEST:g}; 1 is as trained"
        )
    return curve if ":" in text else curve[0][1]


def write_sound(path: Path, samples: np.ndarray, sample_rate: int) -> float:
    """Write a file, and say its length, rate and peak; gives the dB that it was turned down by."""
    from audiogen.audio.files import write_audio

    turned_db = write_audio(path, samples, sample_rate)
    peak = float(abs(samples).max()) * 10 ** (turned_db / 20)
    peak_text = f"peak {20 * math.log10(peak):.1f} dBFS" if peak else "silence"
    typer.echo(f"{path}  {len(samples) / sample_rate:.1f} s, {sample_rate} Hz, {peak_text}")
    return turned_db


def print_speed(what: str, sound_s: float, took_s: float) -> None:
    speed = sound_s / max(took_s, 1e-9)
    typer.echo(f"  {what} in {took_s:.1f} s, {speed:.1f} x real time")


def print_turned_down(turned_db: float, gain: float) -> None:
    if turned_db:
        typer.echo(
            f"  note: turned down by {-turned_db:.1f} dB, the peak was over full scale; "
            f"--gain {gain + turned_db:.1f} gives the same"
        )


def draw(path: Path, samples: np.ndarray, sample_rate: int, title: str) -> None:
    """Draw a sound, its channels mixed, and say so."""
    from audiogen.audio.plots import plot_rainbowgram

    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    plot_rainbowgram(mono, sample_rate, path, title)
    typer.echo(f"  picture: {path}")
