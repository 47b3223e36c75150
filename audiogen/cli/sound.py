"""Parts of all commands that generate audio: options, bar, temperature curves, closing lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.engine.synth import Temperature

LONGEST_S = 4 * 3600.0  # a render is held in memory: 4 h at 44.1 kHz are 2.5 GB
MAX_VARIATIONS = 1000

TEMPERATURE_HELP = (
    "Sampling temperature of a SampleRNN, 0 (greedy) to 2, or a curve SECONDS:TEMPERATURE ..., "
    'interpolated: "0:0.8 10:1.1".'
)
TOP_P_HELP = "Probability mass of the nucleus that a SampleRNN samples from, up to 1."
PRESET_HELP = "Name or folder, with :TIMBRE after it if wanted."
TIMBRE_HELP = (
    "Timbre: a name, a mix (harp+koto, harp:0.6+koto:0.4), random:SEED, or a latent's file."
)
SET_HELP = (
    "Value of a parameter or macro, such as brightness=0.5 or attack=-1; `audiogen info PRESET`"
    " lists the macros. Repeatable."
)
SEED_HELP = "Seed of the random numbers; the same seed gives the same samples."


class Precision(str, Enum):
    """Precision of the network's arithmetic."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"
    auto = "auto"


AnyPrecision = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="bfloat16 (on a CPU that has it) and, for a SampleRNN, int8 are faster and give other"
        " samples. auto is the fastest, measured once; the file's comment states the choice.",
    ),
]


AnyDevice = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="cpu|cuda|cuda:N",
        help="Device of the networks' arithmetic.",
    ),
]


@contextmanager
def progress_bar() -> Iterator[Callable[[float], None]]:
    """A bar on the terminal while the work lasts; receives the share that is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = ("rendering", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("rendering", total=1.0)
        yield lambda share: bar.update(task, completed=share)


@contextmanager
def counting_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of work in parts; receives how many are done, and of how many."""
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


def refuse(options: dict[str, Any], why: str) -> None:
    """Raise for the first option that was given."""
    for name, value in options.items():
        if value:
            raise ParameterError(f"{name} {why}")


def check_seconds(seconds: float, n_sounds: int = 1) -> None:
    """Refuse a length that makes no sound, or more than the memory holds."""
    if not 0 < seconds * n_sounds <= LONGEST_S:
        together = ", for all sounds together" if n_sounds > 1 else ""
        raise ParameterError(
            f"--seconds {seconds:g} must be above 0, up to {LONGEST_S:.0f} s{together}"
        )


def check_variations(variations: int) -> None:
    """Refuse a number of results that cannot be made."""
    if not 1 <= variations <= MAX_VARIATIONS:
        raise ParameterError(f"--variations {variations} must be from 1 to {MAX_VARIATIONS}")


def numbered(path: Path, number: int, n: int) -> Path:
    """Name of one of ``n`` files: NAME-1.wav, NAME-2.wav, ..., or NAME.wav for a single one."""
    return path.with_stem(f"{path.stem}-{number}") if n > 1 else path


def steady(temperature: Temperature | None) -> float | None:
    """A temperature that is one number, as scores take it."""
    if isinstance(temperature, (int, float)) or temperature is None:
        return temperature
    raise ParameterError("--temperature takes a curve with --seconds; for notes give one number")


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
            f'--temperature {text} must be a number such as 0.8, or a curve such as "0:0.8 10:1.1"'
        ) from None
    return curve if ":" in text else curve[0][1]


def read_settings(options: list[str] | None) -> dict[str, float | str]:
    """Values of parameters by name, from the NAME=VALUE of each --set.

    Examples
    --------
    >>> read_settings(["brightness=0.5", "morph_timbre=harp"])
    {'brightness': 0.5, 'morph_timbre': 'harp'}
    """
    settings: dict[str, float | str] = {}
    for option in options or []:
        name, equals, text = option.partition("=")
        if not name or not equals or not text:
            raise ParameterError(f"--set {option} must be NAME=VALUE, such as --set attack=-0.5")
        try:
            settings[name] = float(text)
        except ValueError:
            if name != "morph_timbre":
                raise ParameterError(f"--set {option}: {text!r} must be a number") from None
            settings[name] = text
    return settings


def write_sound(path: Path, samples: np.ndarray, sample_rate: int, comment: str = "") -> float:
    """Write a file and print its length, rate, channels and peak; returns the gain applied, dB."""
    from audiogen.audio.files import write_audio

    turned_db = write_audio(path, samples, sample_rate, comment)
    peak = float(abs(samples).max()) * 10 ** (turned_db / 20)
    peak_text = f"peak {20 * math.log10(peak):.1f} dBFS" if peak else "silence"
    channels = {1: "mono", 2: "stereo"}.get(samples.shape[1] if samples.ndim == 2 else 1, "")
    channels = channels or f"{samples.shape[1]} channels"
    typer.echo(
        f"{path}  {len(samples) / sample_rate:.1f} s, {sample_rate} Hz, {channels}, {peak_text}"
    )
    return turned_db


def provenance(presets: Mapping[str, str], seed: int, device: str = "cpu") -> str:
    """Describe how audio was made, for the comment of its file: enough to reproduce it.

    Parameters
    ----------
    presets : mapping of str to str
        Precision in use, by preset name.
    seed : int
        Seed of the random numbers.
    device : str
        Device that computed the audio.
    """
    import audiogen
    from audiogen.core import backend

    names = ", ".join(f"{name} ({precision})" for name, precision in presets.items())
    native = backend.find()
    isa = native.isa() if native else "numba"
    return f"audiogen {audiogen.__version__}: preset {names}; seed {seed}; {device}, {isa}"


def print_speed(what: str, sound_s: float, took_s: float) -> None:
    """Print how long the rendering took."""
    speed = sound_s / max(took_s, 1e-9)
    typer.echo(f"  {what} in {took_s:.1f} s, {speed:.1f} x real time")


def print_band(sample_rate: int, model_hz: int) -> None:
    """Say what a rate above the preset's own holds."""
    if sample_rate > model_hz:
        typer.echo(
            f"  note: the preset was trained at {model_hz} Hz; above {model_hz / 2000:g} kHz there"
            " is silence"
        )


def print_turned_down(turned_db: float, gain: float) -> None:
    """Say by how much a file was turned down, if it was."""
    if turned_db:
        typer.echo(
            f"  note: turned down by {-turned_db:.1f} dB, the peak was over full scale; "
            f"--gain {gain + turned_db:.1f} gives the same, --limit limits the peaks instead"
        )


def draw(path: Path, samples: np.ndarray, sample_rate: int, title: str) -> None:
    """Draw a sound, its channels mixed, and say so."""
    from audiogen.audio.plots import plot_rainbowgram

    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    plot_rainbowgram(mono, sample_rate, path, title)
    typer.echo(f"  picture: {path}")
