"""`audiogen render`: a score, or a number of seconds, in; a sound file out."""

from __future__ import annotations

import os
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.cli.sound import (
    LONGEST_S,
    PRESET_HELP,
    SEED_HELP,
    SET_HELP,
    TEMPERATURE_HELP,
    TIMBRE_HELP,
    TOP_P_HELP,
    AnyDevice,
    AnyPrecision,
    Precision,
    check_seconds,
    check_variations,
    draw,
    numbered,
    print_band,
    print_speed,
    print_turned_down,
    progress_bar,
    provenance,
    read_preset,
    read_settings,
    read_temperature,
    refuse,
    steady,
    write_sound,
)
from audiogen.core.counting import counted
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.notes import Score

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class _Target:
    """Where audio goes, and how."""

    path: Path
    sample_rate: int | None
    stereo: bool | None
    gain_db: float
    normalize: bool
    limit: bool
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
            help="A note string instead: pitch:seconds@velocity, r for rests, [C4 E4] for chords.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Length of audio from an unconditional preset.", show_default=False),
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
        str | None, typer.Option(help=f"Preset for all notes. {PRESET_HELP}", show_default=False)
    ] = None,
    timbre: Annotated[str | None, typer.Option(help=TIMBRE_HELP, show_default=False)] = None,
    program: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N=PRESET[:TIMBRE]",
            help="Play MIDI program N (0 to 127), or drums, with a preset and timbre. Repeatable.",
            show_default=False,
        ),
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
    variations: Annotated[
        int, typer.Option(help="With --seconds: number of results, OUTPUT-1, OUTPUT-2, ...")
    ] = 1,
    stereo: Annotated[
        bool | None,
        typer.Option(
            "--stereo/--mono",
            help="Two channels or one. With --seconds two are generated independently.",
            show_default="stereo if the score or a drum kit pans",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help=SEED_HELP)] = 0,
    precision: AnyPrecision = Precision.float32,
    device: AnyDevice = "cpu",
    sample_rate: Annotated[
        int | None,
        typer.Option(help="Hz, 8000 to 192000.", show_default="the preset's, at most 48000"),
    ] = None,
    gain: Annotated[float, typer.Option(help="Change of level, dB.")] = 0.0,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Bring the peak to full scale.")
    ] = False,
    limit: Annotated[
        bool,
        typer.Option(
            "--limit", help="Limit peaks over full scale, instead of turning the whole file down."
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw waveform and rainbowgram into a .png file.", show_default=False),
    ] = None,
) -> None:
    """Render a score, or audio from an unconditional preset, into a sound file.

    Each MIDI program is played by the nearest timbre, and channel 10 by a drum
    kit; the summary says which. Pan, volume, expression, modulation, pedal and
    wheel of each channel are followed. If the peak is over full scale, the
    whole file is turned down.
    """
    from audiogen.audio.files import check_output, check_sample_rate
    from audiogen.data.source_toml import folder_name

    if score is not None and notes is not None:
        raise ParameterError("give either a MIDI file or --notes, one of the two")
    if score is None and notes is None and seconds is None:
        raise ParameterError("give a MIDI file, --notes, or --seconds with an unconditional preset")
    if score is not None and not os.path.exists(score):
        _refuse_note_string(str(score))
    if preset is not None:
        preset, timbre = read_preset(preset, timbre)
    if seconds is None:
        refuse({"--variations": variations != 1}, "goes with --seconds, not with notes")
        output = output or Path(f"{score.stem if score else 'notes'}.wav")
    else:
        if preset is None:
            raise ParameterError(
                "give --preset with --seconds, an unconditional one; `audiogen presets` lists them"
            )
        played = {"a MIDI file": score, "--notes": notes, "--program": program}
        refuse(played, "is not supported by --seconds, which is for unconditional presets")
        output = output or Path(f"{folder_name(Path(preset))}.wav")
        check_variations(variations)
        check_seconds(seconds, variations * (2 if stereo else 1))
    curve = read_temperature(temperature)
    settings = read_settings(set_)
    check_output(output)
    if plot:
        check_output(plot, (".png",))
    if not -200 <= gain <= 100:
        raise ParameterError(f"--gain {gain:g} must be from -200 to 100 dB")
    if sample_rate is not None:
        check_sample_rate(sample_rate)

    target = _Target(output, sample_rate, stereo, gain, normalize, limit, plot)
    options: dict[str, Any] = {"seed": seed, "top_p": top_p, "device": device}
    if seconds is None:
        source = score if notes is None else notes
        assert source is not None
        options |= {"precision": precision.value, "temperature": steady(curve)}
        options["parameters"] = settings
        _render_score(source, target, preset, timbre, program or [], options)
    else:
        assert preset is not None
        options |= {"temperature": curve, "variations": variations, "timbre": timbre}
        _render_seconds(preset, precision.value, seconds, target, settings, options)


def _render_seconds(
    preset: str,
    precision: str,
    seconds: float,
    target: _Target,
    settings: dict[str, float | str],
    options: dict[str, Any],
) -> None:
    from audiogen.engine import load
    from audiogen.engine.offline import change_level
    from audiogen.engine.render import default_rate, set_parameters

    device = options.pop("device")
    synth = load(preset, precision=precision, device=device)
    set_parameters([synth], settings)
    rate = target.sample_rate or default_rate([synth.preset])
    n = options["variations"]
    began = time.perf_counter()
    with progress_bar() as report:
        sounds = synth.generate(
            seconds, sample_rate=rate, stereo=bool(target.stereo), progress=report, **options
        )
    took_s = time.perf_counter() - began
    for number, sound in enumerate([sounds] if n == 1 else list(sounds), 1):
        path = numbered(target.path, number, n)
        samples = change_level(sound, target.gain_db, target.normalize)
        comment = provenance({synth.name: synth.precision}, options["seed"], device)
        _write(path, samples, rate, target, comment)
        if target.plot:
            draw(numbered(target.plot, number, n), samples, rate, path.name)
    what = f"{n} x {seconds:g} s" if n > 1 else f"{seconds:g} s"
    print_speed(what, n * seconds, took_s)
    print_band(rate, synth.preset.sample_rate)


def _write(path: Path, samples: np.ndarray, rate: int, target: _Target, comment: str) -> None:
    """Write a sound, limited if asked for, and say what became of its peaks."""
    from audiogen.audio.dynamics import limit

    if target.limit:
        samples, reduction_db = limit(samples, rate)
        write_sound(path, samples, rate, comment)
        if reduction_db:
            typer.echo(f"  note: peaks were limited by up to {reduction_db:.1f} dB")
        return
    print_turned_down(write_sound(path, samples, rate, comment), target.gain_db)


def _render_score(
    source: Path | str,
    target: _Target,
    preset: str | None,
    timbre: str | None,
    program: list[str],
    options: dict[str, Any],
) -> None:
    from audiogen.engine.precision import resolve_precision
    from audiogen.engine.render import default_rate, voices_of
    from audiogen.presets import assign_programs, load_preset, presets_to_play, split_spec

    is_file = isinstance(source, Path)
    music = _read_score(source)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        programs = music.programs if is_file else ()
        voices = assign_programs(programs, presets_to_play(preset), timbre)
        voices.update(_read_program(option) for option in program)
        playing = voices_of(music, voices)
        presets = [load_preset(split_spec(v)[0]) for v in dict.fromkeys(playing.values())]
        rate = target.sample_rate or default_rate(presets)
        began = time.perf_counter()
        with progress_bar() as report:
            samples = _rendered(
                music,
                voices,
                sample_rate=rate,
                stereo=target.stereo,
                gain_db=target.gain_db,
                normalize=target.normalize,
                progress=report,
                **options,
            )
        took_s = time.perf_counter() - began
    device = options["device"]
    in_use = {p.name: resolve_precision(p, options["precision"], device) for p in presets}
    comment = provenance(in_use, options["seed"], device)
    _write(target.path, samples, rate, target, comment)
    print_speed(counted(len(music), "note"), len(samples) / rate, took_s)
    _print_voices(music, playing, is_file)
    for warning in dict.fromkeys(str(entry.message) for entry in caught):
        typer.echo(f"  note: {warning}")
    print_band(rate, max(loaded.sample_rate for loaded in presets))
    if target.plot:
        title = f"{target.path.name}  ·  {', '.join(dict.fromkeys(playing.values()))}"
        draw(target.plot, samples, rate, title)


def _rendered(score: Score, voices: Mapping[int | str | None, str], **options: Any) -> np.ndarray:
    from audiogen.engine import render

    return render(score, voices, **options)


def _refuse_note_string(score: str) -> None:
    """Raise if a note string came where a MIDI file is expected."""
    from audiogen.notes import parse_notes

    try:
        parse_notes(score)
    except ParameterError:
        return  # whoever reads the file says that it is missing
    raise ParameterError(f'{score}: is not a file; for a note string write --notes "{score}"')


def _read_score(source: Path | str) -> Score:
    """Read music; raise if it is too long to render at once."""
    from audiogen.notes import as_score

    music = as_score(source)
    if music.duration_s > LONGEST_S:
        raise ParameterError(
            f"{source if isinstance(source, Path) else 'notes'}: lasts {music.duration_s:.0f} s; "
            f"up to {LONGEST_S:.0f} s can be rendered at once"
        )
    return music


def _read_program(option: str) -> tuple[int | str, str]:
    """Program, or `DRUMS`, and ``PRESET:TIMBRE`` of one --program."""
    from audiogen.presets import DRUMS, assign_programs, presets_to_play, split_spec

    text, equals, spec = option.partition("=")
    number = text.strip()
    is_program = number.isdecimal() and 0 <= int(number) <= 127
    if not equals or not spec or not (is_program or number == DRUMS):
        raise ParameterError(
            f"--program {option} must be N=PRESET or N=PRESET:TIMBRE with N from 0 to 127 or"
            f" {DRUMS!r}"
        )
    name, timbre = split_spec(spec)
    chosen = assign_programs([], presets_to_play(name), timbre)
    return int(number) if is_program else DRUMS, chosen[None]


def _print_voices(music: Score, playing: Mapping[Any, str], is_file: bool) -> None:
    """Say which timbre plays what, and where it stands in for another instrument."""
    from audiogen.notes.general_midi import program_name
    from audiogen.presets import DRUMS

    if not is_file:
        typer.echo(f"  notes -> {next(iter(playing.values()))}")
        return
    counts = Counter(note.program for note in music if not note.is_drum)
    if DRUMS in playing:
        # A drum kit leaves the notes of programs out, of which it warns.
        counts = Counter({n: m for n, m in counts.items() if playing[n] != playing[DRUMS]})
        n_drums = sum(note.is_drum for note in music)
        typer.echo(f"  drums -> {playing[DRUMS]}  ({counted(n_drums, 'note')})")
    for program, count in sorted(counts.items()):
        stands_in = "" if _is_exact(playing[program], program) else ", substituted"
        name = f"{program} {program_name(program)}"
        typer.echo(f"  {name} -> {playing[program]}  ({counted(count, 'note')}{stands_in})")


def _is_exact(voice: str, program: int) -> bool:
    """Whether a timbre was made for a program, or was chosen by hand."""
    from audiogen.presets import load_preset, split_spec

    name, timbre = split_spec(voice)
    of_timbre = {t.name: t.program for t in load_preset(name).timbres}
    return of_timbre.get(timbre or "", program) == program
