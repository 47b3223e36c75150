"""`audiogen render`: notes, or the seconds that are wanted, in; a sound file out."""

from __future__ import annotations

import os
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.cli.sound import (
    LONGEST_S,
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
    print_drums,
    print_speed,
    print_turned_down,
    progress_bar,
    read_music,
    read_preset,
    read_temperature,
    steady,
    write_sound,
)
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.notes import Score

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class _Target:
    """Where a sound goes, and what becomes of it on the way."""

    path: Path
    sample_rate: int | None
    gain_db: float
    normalize: bool
    plot: Path | None


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
    seconds: Annotated[
        float | None,
        typer.Option(
            help="How much sound of a preset that makes it on its own.", show_default=False
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
        typer.Option(
            help="Play all with this preset: a name or a folder, :TIMBRE after it if wanted.",
            show_default=False,
        ),
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
    temperature: Annotated[
        str | None,
        typer.Option(help=f"{TEMPERATURE_HELP} Notes take a number.", show_default="the preset's"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help=TOP_P_HELP, show_default="the preset's"),
    ] = None,
    variations: Annotated[
        int, typer.Option(help="With --seconds: so many sounds, into OUTPUT-1, OUTPUT-2, ...")
    ] = 1,
    stereo: Annotated[
        bool, typer.Option("--stereo", help="With --seconds: two channels, drawn independently.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same samples.")] = 0,
    precision: AnyPrecision = Precision.float32,
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
    """Play notes, or let a preset make sound on its own, into a sound file.

    Each MIDI program is played by the timbre nearest to it; the summary says
    which. Drums are left out. If the peak is over full scale, the whole file
    is turned down.
    """
    from audiogen.audio.files import check_output, check_sample_rate
    from audiogen.data.source_toml import folder_name

    if score is not None and notes is not None:
        raise ParameterError("give either a MIDI file or --notes, one of the two")
    if score is None and notes is None and seconds is None:
        raise ParameterError(
            "give either a MIDI file or --notes; or --seconds, with a preset that makes sound on "
            "its own"
        )
    if score is not None and not os.path.exists(score):
        _refuse_written(str(score))
    if preset is not None:
        preset, timbre = read_preset(preset, timbre)
    if seconds is None:
        _refuse(
            {"--variations": variations != 1, "--stereo": stereo},
            "goes with --seconds, not with notes; it's for presets without notes",
        )
        output = output or Path(f"{score.stem if score else 'notes'}.wav")
    else:
        if preset is None:
            raise ParameterError(
                "give --preset with --seconds, one that makes sound on its own; `audiogen presets` "
                "lists them"
            )
        played = {"a MIDI file": score, "--notes": notes, "--program": program}
        _refuse(played, "doesn't go with --seconds, which is for presets that play no notes")
        output = output or Path(f"{folder_name(Path(preset))}.wav")
        check_variations(variations)
        check_seconds(seconds, variations * (2 if stereo else 1))
    check_top_p(top_p)
    curve = read_temperature(temperature)
    check_output(output)
    if plot:
        check_output(plot, (".png",))
    if not -200 <= gain <= 100:
        raise ParameterError(f"--gain {gain:g} isn't usable; give -200 to 100 dB")
    check_seed(seed)
    if sample_rate is not None:
        check_sample_rate(sample_rate)

    target = _Target(output, sample_rate, gain, normalize, plot)
    if seconds is None:
        source = score if notes is None else notes
        assert source is not None
        drawing = {"seed": seed, "precision": precision.value, "top_p": top_p}
        drawing |= {"temperature": steady(curve)}
        _play(source, target, preset, timbre, program or [], drawing)
        return
    assert preset is not None
    texture = open_texture(preset, f"--seconds {seconds:g}", precision)
    began = time.perf_counter()
    with progress_bar() as report:
        sounds = texture.generate(
            seconds,
            temperature=curve,
            top_p=top_p,
            seed=seed,
            variations=variations,
            stereo=stereo,
            timbre=timbre,
            progress=report,
        )
    took_s = time.perf_counter() - began
    _write_sounds([sounds] if variations == 1 else list(sounds), texture.sample_rate, target)
    what = f"{variations} x {seconds:g} s" if variations > 1 else f"{seconds:g} s"
    print_speed(what, variations * seconds, took_s)


def _refuse(options: dict[str, Any], why: str) -> None:
    """Complain of the first option that was given."""
    for name, value in options.items():
        if value:
            raise ParameterError(f"{name} {why}")


def _refuse_written(score: str) -> None:
    """Complain of written notes where a MIDI file is wanted."""
    from audiogen.notes import parse_notes

    try:
        parse_notes(score)
    except ParameterError:
        return  # who reads the file will say that it isn't there
    raise ParameterError(f'{score}: is no file; of written notes make --notes "{score}"')


def _write_sounds(sounds: list[np.ndarray], made_at_hz: int, target: _Target) -> None:
    """Write one sound under a name, or several under the name and their number."""
    from audiogen.audio.files import resample
    from audiogen.engine.synth import change_level

    rate = target.sample_rate or made_at_hz
    for number, sound in enumerate(sounds, 1):
        path = numbered(target.path, number, len(sounds))
        resounded = resample(sound, made_at_hz, rate)
        samples = change_level(resounded, target.gain_db, target.normalize)
        print_turned_down(write_sound(path, samples, rate), target.gain_db)
        if target.plot:
            draw(numbered(target.plot, number, len(sounds)), samples, rate, path.name)


def _play(
    source: Path | str,
    target: _Target,
    preset: str | None,
    timbre: str | None,
    program: list[str],
    drawing: dict[str, Any],
) -> None:
    """Play a score into a file, and say which timbre plays what."""
    from audiogen.presets import assign_programs, load_preset, presets_to_play, split_spec

    written = isinstance(source, str)
    music, n_drums = _read_score(source)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        programs = () if written else music.programs
        voices = assign_programs(programs, presets_to_play(preset), timbre)
        voices.update(_read_program(option) for option in program)
        rate = target.sample_rate or max(
            load_preset(split_spec(spec)[0]).sample_rate for spec in voices.values()
        )
        began = time.perf_counter()
        with progress_bar() as report:
            samples = _render_score(
                music,
                voices,
                sample_rate=rate,
                gain_db=target.gain_db,
                normalize=target.normalize,
                progress=report,
                **drawing,
            )
        took_s = time.perf_counter() - began
    turned_db = write_sound(target.path, samples, rate)
    print_speed(f"{len(music)} notes", len(samples) / rate, took_s)
    _print_voices(music, voices, written)
    for warning in dict.fromkeys(str(entry.message) for entry in caught):
        typer.echo(f"  note: {warning}")
    print_drums(n_drums)
    print_turned_down(turned_db, target.gain_db)
    if target.plot:
        title = f"{target.path.name}  ·  {', '.join(dict.fromkeys(voices.values()))}"
        draw(target.plot, samples, rate, title)


def _render_score(score: Score, voices: dict[int | None, str], **options: Any) -> np.ndarray:
    from audiogen.engine import render_score

    return render_score(score, voices, **options)


def _read_score(source: Path | str) -> tuple[Score, int]:
    """As `read_music`, no longer than the memory holds."""
    music, n_drums = read_music(source)
    if music.duration_s > LONGEST_S:
        raise ParameterError(
            f"{source if isinstance(source, Path) else 'notes'}: lasts {music.duration_s:.0f} s; "
            f"up to {LONGEST_S:.0f} s can be rendered at once"
        )
    return music, n_drums


def _read_program(option: str) -> tuple[int, str]:
    """Program and ``PRESET:TIMBRE`` of one --program."""
    from audiogen.presets import assign_programs, presets_to_play, split_spec

    number, equals, spec = option.partition("=")
    if not equals or not number.strip().isdecimal() or not 0 <= int(number) <= 127 or not spec:
        raise ParameterError(
            f"--program {option} can't be read; write N=PRESET or N=PRESET:TIMBRE with N from 0 "
            "to 127"
        )
    name, timbre = split_spec(spec)
    return int(number), assign_programs([], presets_to_play(name), timbre)[None]


def _print_voices(music: Score, voices: dict[int | None, str], written: bool) -> None:
    """Say which timbre plays what."""
    if written:
        typer.echo(f"  notes -> {voices.get(0, voices[None])}")
        return
    counts = Counter(note.program for note in music)
    for program, count in sorted(counts.items()):
        voice = voices.get(program, voices[None])
        typer.echo(f"  program {program:3d} -> {voice}  ({count} notes)")
