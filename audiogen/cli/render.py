"""`audiogen render`: notes in, a sound file out."""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.notes import Score

app = typer.Typer(add_completion=False)

LONGEST_S = 4 * 3600.0  # a render is held in memory: 4 h at 44.1 kHz are 2.5 GB


@app.command()
def render(
    score: Annotated[
        Path | None, typer.Argument(metavar="SCORE.mid", help="A MIDI file.", show_default=False)
    ] = None,
    notes: Annotated[
        str | None,
        typer.Option(
            metavar='"C4:0.5 E4 G4 C5:2"',
            help="Written notes instead: pitch:seconds@velocity, r for rests, [C4 E4] for chords.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Sound file to write: .wav, .flac (24 bit) or .ogg.",
            show_default="SCORE.wav",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Play all with this preset: a name or a folder.", show_default=False),
    ] = None,
    timbre: Annotated[
        str | None, typer.Option(help="Play all with this timbre.", show_default=False)
    ] = None,
    program: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N=PRESET[:TIMBRE]",
            help="Play MIDI program N (0 to 127) with a timbre. Repeatable.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same samples.")] = 0,
    sample_rate: Annotated[
        int | None, typer.Option(help="Hz, 8000 to 192000.", show_default="the preset's")
    ] = None,
    gain: Annotated[float, typer.Option(help="Change of loudness, dB.")] = 0.0,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Bring the peak to full scale.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw waveform and rainbowgram into a .png file.", show_default=False),
    ] = None,
) -> None:
    """Play a MIDI file or written notes into a sound file.

    Each MIDI program is played by the timbre nearest to it; the summary says
    which. Drums are left out. If the peak is over full scale, the whole file
    is turned down.
    """
    import numpy as np

    from audiogen.audio_file import check_output, check_sample_rate, write_audio
    from audiogen.plot import plot_rainbowgram
    from audiogen.presets import assign_programs, load_preset, presets_to_play, split_spec

    source = score if notes is None else notes
    if source is None or (score is not None and notes is not None):
        raise ParameterError("give either a MIDI file or --notes, one of the two")
    output = output or Path(f"{score.stem if score else 'notes'}.wav")
    check_output(output)
    if plot:
        check_output(plot, (".png",))
    if not -200 <= gain <= 100:
        raise ParameterError(f"--gain {gain:g} isn't usable; give -200 to 100 dB")
    if not 0 <= seed < 1 << 64:
        raise ParameterError(f"--seed {seed} isn't usable; give 0 to 2^64 - 1")
    if sample_rate is not None:
        check_sample_rate(sample_rate)

    written = notes is not None
    music, n_drums = _read_score(source)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        programs = () if written else music.programs
        voices = assign_programs(programs, presets_to_play(preset), timbre)
        voices.update(_read_program(option) for option in program or [])
        rate = sample_rate or max(
            load_preset(split_spec(spec)[0]).sample_rate for spec in voices.values()
        )
        began = time.perf_counter()
        with _progress_bar() as report:
            samples = _render_score(
                music,
                voices,
                sample_rate=rate,
                seed=seed,
                gain_db=gain,
                normalize=normalize,
                progress=report,
            )
        took_s = time.perf_counter() - began
    turned_db = write_audio(output, samples, rate)
    if plot:
        plot_rainbowgram(samples, rate, plot, _title(output, voices))

    peak = float(np.max(np.abs(samples))) * 10 ** (turned_db / 20)
    _print_summary(output, music, len(samples) / rate, rate, peak, took_s)
    _print_voices(music, voices, written)
    for warning in dict.fromkeys(str(entry.message) for entry in caught):
        typer.echo(f"  note: {warning}")
    if n_drums:
        typer.echo(f"  note: {n_drums} drum notes are left out; no preset has drums")
    if turned_db:
        typer.echo(
            f"  note: turned down by {-turned_db:.1f} dB, the peak was over full scale; "
            f"--gain {gain + turned_db:.1f} gives the same"
        )
    if plot:
        typer.echo(f"  picture: {plot}")


def _render_score(score: Score, voices: dict[int | None, str], **options: Any) -> np.ndarray:
    from audiogen.engine import render_score

    return render_score(score, voices, **options)


def _read_score(source: Path | str) -> tuple[Score, int]:
    """The score less its drums, and how many notes those are."""
    from audiogen.notes import as_score

    score = as_score(source)
    music = score.without_drums()
    if not music.notes:
        raise ParameterError(f"{source}: has only drum notes (channel 10), which no preset plays")
    if music.duration_s > LONGEST_S:
        raise ParameterError(
            f"{source if isinstance(source, Path) else 'notes'}: lasts {music.duration_s:.0f} s; "
            f"up to {LONGEST_S:.0f} s can be rendered at once"
        )
    return music, len(score) - len(music)


def _read_program(option: str) -> tuple[int, str]:
    """Program and ``PRESET:TIMBRE`` of one --program."""
    from audiogen.presets import assign_programs, load_preset, split_spec

    number, equals, spec = option.partition("=")
    if not equals or not number.strip().isdecimal() or not 0 <= int(number) <= 127 or not spec:
        raise ParameterError(
            f"--program {option} can't be read; write N=PRESET or N=PRESET:TIMBRE with N from 0 "
            "to 127"
        )
    name, timbre = split_spec(spec)
    return int(number), assign_programs([], [load_preset(name)], timbre)[None]


@contextmanager
def _progress_bar() -> Iterator[Callable[[float], None]]:
    """A bar on the terminal, for as long as the work lasts; takes the fraction that is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = ("rendering", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("rendering", total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


def _title(output: Path, voices: dict[int | None, str]) -> str:
    return f"{output.name}  ·  {', '.join(dict.fromkeys(voices.values()))}"


def _print_summary(
    output: Path, music: Score, length_s: float, sample_rate: int, peak: float, took_s: float
) -> None:
    peak_text = f"peak {20 * math.log10(peak):.1f} dBFS" if peak else "silence"
    typer.echo(f"{output}  {length_s:.1f} s, {sample_rate} Hz, {peak_text}")
    speed = length_s / max(took_s, 1e-9)
    typer.echo(f"  {len(music)} notes in {took_s:.1f} s, {speed:.1f} x real time")


def _print_voices(music: Score, voices: dict[int | None, str], written: bool) -> None:
    """Say which timbre plays what."""
    if written:
        typer.echo(f"  notes -> {voices.get(0, voices[None])}")
        return
    counts = Counter(note.program for note in music)
    for program, count in sorted(counts.items()):
        voice = voices.get(program, voices[None])
        typer.echo(f"  program {program:3d} -> {voice}  ({count} notes)")
