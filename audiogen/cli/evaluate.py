"""`audiogen evaluate`: measure a preset or a folder of sounds, beside real sounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.cli.sound import AnyDevice, counting_bar
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.data.notes.nsynth import NoteSet
    from audiogen.evaluation.sets.judge import Judge
    from audiogen.evaluation.sets.sounds import SoundSet
    from audiogen.presets import Preset
    from audiogen.representation.config import SpectrogramConfig

app = typer.Typer(add_completion=False)


SET_NOTES = 400
SHIPPED_NAME = "domains"  # --judge domains is the package's own judge


class TrackerName(str, Enum):
    """Pitch trackers."""

    praat = "praat"
    pyin = "pyin"


@app.command()
def evaluate(
    preset: Annotated[
        str,
        typer.Argument(help="Name or folder of a preset; with --against, any folder of sounds."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for report.html, report.json and pictures."),
    ] = Path("report"),
    data: Annotated[
        Path | None,
        typer.Option(
            help="Real sounds to compare with: notes in NSynth's layout, or recordings.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Real sounds to compare with as a set, by published metrics: a folder of sound"
            " files, or notes in NSynth's layout.",
            show_default=False,
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            help="With --against: training sounds, to search for copies.",
            show_default=False,
        ),
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(
            help="With --against: classifier that FID, KID and others use. domains is the"
            " package's own, with known accuracy on unseen sound banks; musicnn, a tagger of music"
            " (pip install --no-deps musicnn); a file of audiogen domains judge; or a new file, for"
            " a pitch classifier trained on --train.",
            show_default="timbre features",
        ),
    ] = None,
    held_out_notes: Annotated[
        Path | None,
        typer.Option(
            help="Row of the report: notes, in NSynth's layout, of instruments that the preset was"
            " trained on, at keys and velocities that it was not (--velocities and --split choose"
            " them).",
            show_default=False,
        ),
    ] = None,
    held_out_instruments: Annotated[
        Path | None,
        typer.Option(
            help="Row of the report: notes of other instruments of the same bank. A latent for each"
            " is found as by audiogen encode; instruments of the preset are left out.",
            show_default=False,
        ),
    ] = None,
    held_out_bank: Annotated[
        Path | None,
        typer.Option(
            help="Row of the report: notes of another bank, each instrument encoded.",
            show_default=False,
        ),
    ] = None,
    encoded: Annotated[
        int,
        typer.Option(
            min=1,
            help="With --held-out-...: encoded notes of each instrument; each takes 10 to"
            " 60 s of a core, and is cached.",
        ),
    ] = 2,
    critic_steps: Annotated[
        int, typer.Option(min=16, help="With --against: largest budget of the critics of nnd.")
    ] = 1000,
    split: Annotated[
        Path | None,
        typer.Option(
            help="split.json of a training: compare with its held-out notes only.",
            show_default=False,
        ),
    ] = None,
    velocities: Annotated[
        str | None,
        typer.Option(help="MIDI velocities to compare, such as 70,110.", show_default="(all)"),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Comparisons with --data: distances,statistics,c2st (two-sample test); metrics"
            " with --against: pitch,is,fid,kid,ndb,nnd,copies,c2st.",
            show_default="(all)",
        ),
    ] = None,
    classifiers: Annotated[
        int,
        typer.Option(min=1, help="Number of classifiers, or critics, of each test."),
    ] = 3,
    notes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of notes, for a preset that plays notes; largest number of sounds of each"
            " kind with --against.",
            show_default="200, or 400 with --against",
        ),
    ] = None,
    clips: Annotated[
        int, typer.Option(min=1, help="Number of clips, for a preset that plays none.")
    ] = 20,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Length of the long stream, for a preset without notes.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of notes and clips.")] = 0,
    tracker: Annotated[
        TrackerName, typer.Option(help="Pitch tracker; praat needs praat-parselmouth.")
    ] = TrackerName.praat,
    device: AnyDevice = "cpu",
    card: Annotated[
        bool,
        typer.Option("--card", help="Also write the results into the preset's card."),
    ] = False,
) -> None:
    """Measure a preset or a folder of sounds, beside real sounds.

    With --against: pitch, inception score, Frechet and kernel distance,
    different bins, neural network divergence, copies and two-sample test, each
    with its standard error, and the same for held-out and for spoiled real
    sounds.

    With --held-out-notes, --held-out-instruments or --held-out-bank: a row for
    each, with Frechet and kernel distance, two-sample test and pitch.
    Instruments that the preset doesn't know are encoded, a few notes of each,
    and compared on their other notes.

    Otherwise, for a preset that plays notes: pitch, level, faults; and with
    --data, beside real notes and an oracle (real notes through the preset's
    representation): distances, statistics of single notes, and a classifier
    two-sample test. For an unconditional preset: level, tonality, speech,
    whether a long stream collapses into silence, a cycle or noise, and with
    --data clicks at continuations and the likelihood of the recordings in bits
    per sample, beside unigram and bigram models.
    """
    from audiogen.evaluation.report_files import check_folder
    from audiogen.presets import TOML_NAME, add_measured, load_preset

    if against is not None:
        others: dict[str, Any] = {"data": data, "split": split, "card": card or None}
        others |= {"device": None if device == "cpu" else device, "held-out-notes": held_out_notes}
        others |= {"held-out-instruments": held_out_instruments, "held-out-bank": held_out_bank}
        _refuse_with("--against", others)
        _evaluate_set(
            preset, against, output, train=train, judge_file=judge, metrics=metrics,
            n_notes=notes or SET_NOTES, critic_steps=critic_steps, n_seeds=classifiers,
            velocities=velocities, tracker=tracker.value, seed=seed,
        )  # fmt: skip
        return
    rows = {"notes": held_out_notes, "instruments": held_out_instruments, "bank": held_out_bank}
    if any(rows.values()):
        others = {"data": data, "metrics": metrics, "train": train, "judge": judge}
        _refuse_with("--held-out-...", others)
        _evaluate_held_out(
            preset, rows, output, split=split, velocities=velocities, card=card, device=device,
            n_notes=notes or 200, n_encoded=encoded, n_classifiers=classifiers,
            tracker=tracker.value, seed=seed,
        )  # fmt: skip
        return
    for option, path in (("train", train), ("judge", judge)):
        if path is not None:
            raise ParameterError(f"--{option} must come with --against")
    if _is_sound_folder(preset):
        raise ParameterError(f"{preset} isn't a preset; give --against DATA to compare its sounds")
    description = load_preset(preset)
    for option, value in (("split", split), ("velocities", velocities), ("metrics", metrics)):
        if value is not None and (data is None or not description.plays_notes):
            raise ParameterError(f"--{option} must come with --data and a preset that plays notes")
    measure = (
        partial(_measure_notes, device, split, velocities)
        if description.plays_notes
        else partial(_measure_texture, device)
    )
    options: dict[str, Any] = (
        {
            "n_notes": notes or 200,
            "tracker": tracker.value,
            "metrics": metrics.split(",") if metrics else None,
            "n_classifiers": classifiers,
        }
        if description.plays_notes
        else {"n_clips": clips, "minutes": minutes}
    )
    work = measure(preset, description, data)
    check_folder(output)
    with counting_bar("measuring") as progress:
        report = work(seed=seed, progress=progress, **options)
    print_table([report.header(description.name), *report.table()])
    for remark in report.remarks():
        typer.echo(remark)
    for path in report.write(output, description.name):
        typer.echo(path)
    if card:
        add_measured(description.folder, report.measured())
        typer.echo(description.folder / TOML_NAME)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    (first, *columns), *body = rows
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    for row in body:
        table.add_row(*row)
    Console().print(table)


def _refuse_with(option: str, others: dict[str, Any]) -> None:
    for name, value in others.items():
        if value is not None:
            raise ParameterError(f"--{name} is not supported by {option}; leave one of them out")


def _is_sound_folder(name: str) -> bool:
    """Whether a name is a folder that isn't a preset's."""
    from audiogen.presets import TOML_NAME, find_presets

    path = Path(name).expanduser()
    named = {folder.name for folder in find_presets()}
    return path.is_dir() and not (path / TOML_NAME).is_file() and name not in named


def _evaluate_set(
    name: str,
    against: Path,
    output: Path,
    *,
    train: Path | None,
    judge_file: Path | None,
    metrics: str | None,
    n_notes: int,
    critic_steps: int,
    n_seeds: int,
    velocities: str | None,
    tracker: Any,
    seed: int,
) -> None:
    """Compare a folder of sounds, or the notes of a preset, with real sounds."""
    from audiogen.cli.data import parse_numbers
    from audiogen.data.notes.nsynth import is_note_set, read_notes
    from audiogen.evaluation.report_files import check_folder
    from audiogen.evaluation.sets.cache import ResultCache
    from audiogen.evaluation.sets.divergence import Budget
    from audiogen.evaluation.sets.set_report import METRICS, evaluate_sets
    from audiogen.evaluation.sets.sounds import read_sounds
    from audiogen.presets import load_preset, require_pitches

    chosen = metrics.split(",") if metrics else None
    for metric in chosen or ():
        if metric not in METRICS:
            raise ParameterError(f"--metrics {metric!r} must be one of {', '.join(METRICS)}")
    chosen_velocities = parse_numbers("velocities", velocities) if velocities else None
    options: dict[str, Any] = {"at_most": 3 * n_notes, "velocities": chosen_velocities}
    if _is_sound_folder(name):
        generated = read_sounds(name, at_most=n_notes, seed=seed)
        real = read_sounds(against, sample_rate=generated.sample_rate, **options)
    else:
        preset = load_preset(name)
        require_pitches(preset, "--against")
        if not preset.plays_notes:
            raise ParameterError(
                f"--against is not supported by preset {preset.name!r}, which plays no notes;"
                " render clips into a folder, and give that folder"
            )
        real = read_sounds(against, sample_rate=preset.sample_rate, **options)
        notes: NoteSet | SoundSet = real
        if is_note_set(against):
            notes = read_notes(against).filter(velocities=chosen_velocities)
        generated = _rendered_set(name, preset, notes, min(n_notes, len(real) // 2), seed)
    training = None
    if train is not None:
        training = read_sounds(train, sample_rate=real.sample_rate, at_most=20 * n_notes)
    judge = _judge(judge_file, training, seed)
    check_folder(output)
    cache = ResultCache()
    with counting_bar("measuring") as progress:
        report = evaluate_sets(
            generated,
            real,
            training=training,
            metrics=chosen,
            judge=judge,
            n_notes=n_notes,
            budget=Budget(critic_steps),
            n_seeds=n_seeds,
            tracker=tracker,
            seed=seed,
            cache=cache,
            progress=progress,
        )
    print_table(report.table())
    used = report.facts["judge"]
    typer.echo(f"{report.facts['n']} notes of each kind; judge {used['name']}. {used['evidence']}.")
    for remark in report.remarks:
        typer.echo(remark)
    for path in report.write(output):
        typer.echo(path)


def _evaluate_held_out(
    name: str,
    folders: dict[str, Path | None],
    output: Path,
    *,
    split: Path | None,
    velocities: str | None,
    card: bool,
    device: str,
    seed: int,
    **options: Any,
) -> None:
    """Compare a preset with notes, instruments and a bank that its training did not have."""
    import audiogen
    from audiogen.data.notes.nsynth import read_notes
    from audiogen.evaluation.held_out import evaluate_held_out
    from audiogen.evaluation.report_files import check_folder
    from audiogen.notes import Note
    from audiogen.presets import TOML_NAME, GansynthPreset, add_measured, load_preset

    preset = load_preset(name)
    if not isinstance(preset, GansynthPreset):
        raise ParameterError(
            f"--held-out-... is not supported by preset {preset.name!r}, which has no latents; name"
            " a GANSynth preset (audiogen presets)"
        )
    rate, sets = preset.sample_rate, {}
    for row, folder in folders.items():
        if folder is not None:
            real = read_notes(folder, sample_rate=rate)
            sets[f"held_out_{row}"] = (
                _chosen_notes(real, folder, split, velocities) if row == "notes" else real
            )
    if (split or velocities) and folders["notes"] is None:
        raise ParameterError("--split and --velocities must come with --held-out-notes")
    check_folder(output)
    low, high = preset.pitch_range
    drums = preset.drums or None
    synth = audiogen.load(preset, device=device)
    pitched = audiogen.load(preset.without_keys(), device=device) if drums else synth

    def play(timbre: Any, pitch: float, velocity: float, seconds: float) -> np.ndarray:
        player, key = synth, pitch
        if drums and isinstance(timbre, str):
            key = drums[timbre][0]
        elif drums:  # at the pitch of its recording
            player, (timbre, key) = pitched, timbre
        note = Note(0.0, seconds, key, velocity)
        return player.render([note], sample_rate=rate, seed=seed, timbre=timbre, stereo=False)

    def encode(samples: np.ndarray, pitch: int) -> tuple[Any, float]:
        known = None if drums else pitch
        z, pitch_found, error_db = _cached_encoding(preset, seed, device, samples, known)
        return (z, pitch_found) if drums else z, error_db

    with counting_bar("measuring") as progress:
        report = evaluate_held_out(
            sets,
            preset.timbres,
            play,
            encode,
            pitch_range=(low, high),
            sample_rate=rate,
            drums=drums,
            seed=seed,
            progress=progress,
            **options,
        )
    print_table(report.table())
    for remark in report.remarks():
        typer.echo(remark)
    for path in report.write(output, preset.name):
        typer.echo(path)
    if card:
        add_measured(preset.folder, report.measured(), report.prefixes())
        typer.echo(preset.folder / TOML_NAME)


def _cached_encoding(
    preset: Preset, seed: int, device: str, samples: np.ndarray, pitch: int | None
) -> tuple[list[float], float, float]:
    """Latent, pitch and error for a recorded note, computed once for each preset and note."""
    import hashlib

    from audiogen.evaluation.sets.cache import ResultCache
    from audiogen.training.gansynth.encoding.encode import STEPS, encode
    from audiogen.training.gansynth.encoding.recorded_note import prepare_note

    def compute() -> list[Any]:
        known = None if pitch is None else float(pitch)
        note = prepare_note(samples, preset.sample_rate, preset, known)
        encoding = encode(note, steps=STEPS, seed=seed, device=device)
        return [encoding.z, encoding.pitch, encoding.error_db]

    key = {
        "encode": hashlib.sha256(samples.tobytes()).hexdigest(),
        "weights": hashlib.sha256(preset.weights_path.read_bytes()).hexdigest(),
        "pitch": pitch,
        "steps": STEPS,
        "seed": seed,
    }
    z, pitch_found, error_db = ResultCache().get(key, compute)
    return z, pitch_found, error_db


def _rendered_set(
    name: str, preset: Preset, real: NoteSet | SoundSet, n_notes: int, seed: int
) -> SoundSet:
    import audiogen
    from audiogen.evaluation.sets.rendered import render_like
    from audiogen.notes import Note

    synth: Any = audiogen.load(name)
    rate = preset.sample_rate
    assert preset.pitch_range is not None
    low, high = preset.pitch_range

    def render(timbre: str, pitch: int, velocity: float, seconds: float) -> np.ndarray:
        note = Note(0.0, seconds, pitch, velocity)
        return synth.render([note], sample_rate=rate, seed=seed, timbre=timbre)

    with counting_bar("rendering") as progress:
        return render_like(
            render,
            preset.timbres,
            real,
            title=preset.name,
            pitch_range=(low, high),
            sample_rate=rate,
            n_notes=n_notes,
            seed=seed,
            progress=progress,
        )


def _judge(path: Path | None, training: SoundSet | None, seed: int) -> Judge:
    """The judge of a file; a new one is trained on the training's sounds and written."""
    from audiogen.evaluation.domains.judge import shipped_judge
    from audiogen.evaluation.sets import musicnn
    from audiogen.evaluation.sets.judge import TimbreJudge, read_judge, train_judge
    from audiogen.evaluation.sets.sounds import require_labels

    if path is None:
        return TimbreJudge()
    if str(path) == SHIPPED_NAME and not path.is_file():  # a folder may have this name
        return shipped_judge()
    if str(path) == musicnn.NAME and not path.is_file():
        return musicnn.MusicnnJudge()
    if path.exists():
        return read_judge(path)
    if training is None:
        raise ParameterError(f"--judge {path} not found; give --train to train one")
    require_labels([training], "a judge")
    judge = train_judge(training.sounds, training.pitches, training.sample_rate, seed=seed)
    judge.save(path)
    typer.echo(f"{path}  judge of {len(judge.pitches)} pitches, hash {judge.hash}")
    return judge


def _measure_notes(
    device: str,
    split: Path | None,
    velocities: str | None,
    name: str,
    preset: Preset,
    data: Path | None,
) -> Callable[..., Any]:
    """Read what the measurement of notes needs; returns the function that measures."""
    import audiogen
    from audiogen.data.notes.nsynth import read_notes
    from audiogen.evaluation.note_report import evaluate_notes
    from audiogen.notes import Note
    from audiogen.presets import GansynthPreset

    rate = preset.sample_rate
    real = None if data is None else read_notes(data, sample_rate=rate)
    if real is not None and data is not None:
        real = _chosen_notes(real, data, split, velocities)
    synth: Any = audiogen.load(name, device=device)

    def work(seed: int, **options: Any) -> Any:
        def render(timbre: str, pitch: int, velocity: float, seconds: float) -> np.ndarray:
            note = Note(0.0, seconds, pitch, velocity)
            return synth.render([note], sample_rate=rate, seed=seed, timbre=timbre, stereo=False)

        assert preset.pitch_range is not None
        low, high = preset.pitch_range
        gansynth = preset if isinstance(preset, GansynthPreset) else None
        return evaluate_notes(
            render,
            preset.timbres,
            pitch_range=(low, high),
            sample_rate=rate,
            real=real,
            seed=seed,
            spectrogram=preset_spectrogram(preset),
            partials=gansynth.partials if gansynth else None,
            drums=gansynth.drums if gansynth else None,
            **options,
        )

    return work


def _chosen_notes(
    real: NoteSet, folder: Path, split: Path | None, velocities: str | None
) -> NoteSet:
    """The notes of a set that a split holds out, at the velocities of an option."""
    from audiogen.cli.data import parse_numbers
    from audiogen.data.notes.splits import read_split

    if split is not None:
        parts = read_split(split).parts
        held_out = {note for part, names in parts.items() if part != "train" for note in names}
        real = real.take([note.name for note in real if note.name in held_out])
        if not len(real):
            raise ParameterError(
                f"{split}: holds out none of the notes in {folder}; give its own set"
            )
    if velocities is not None:
        real = real.filter(velocities=parse_numbers("velocities", velocities))
    return real


def preset_spectrogram(preset: Preset) -> SpectrogramConfig | None:
    """The representation of a preset that generates whole notes."""
    from audiogen.presets import GansynthPreset
    from audiogen.representation.config import SpectrogramConfig

    if not isinstance(preset, GansynthPreset):
        return None
    table = preset.spectrogram.table()
    n_samples = table["n_frames"] * table["hop_length"]
    return SpectrogramConfig(sample_rate=preset.sample_rate, n_samples=n_samples, **table)


def _measure_texture(
    device: str, name: str, preset: Preset, data: Path | None
) -> Callable[..., Any]:
    """Read what the measurement of free sound needs; returns the function that measures."""
    import audiogen
    from audiogen.data.recordings import concatenate, read_recordings
    from audiogen.evaluation.likelihood import likelihood
    from audiogen.evaluation.texture_report import evaluate_texture
    from audiogen.presets import SamplernnPreset

    rate, real, bits = preset.sample_rate, None, None
    if data is not None:
        real, _ = concatenate(list(read_recordings(data, rate).files), rate, seed=0)
        if isinstance(preset, SamplernnPreset) and preset.samplernn.conditioning == "none":
            bits = likelihood(preset, real)
    free: Any = audiogen.load(name, device=device)
    continuing: Any = audiogen.load(name) if device != "cpu" else free  # no device takes prompts

    def generate(seconds: float, seed: int, prompt: np.ndarray | None) -> np.ndarray:
        synth = free if prompt is None else continuing
        timbre = synth.timbres[seed % len(synth.timbres)] if synth.timbres else None
        return synth.generate(seconds, prompt=prompt, seed=seed, timbre=timbre)

    return partial(evaluate_texture, generate, sample_rate=rate, real=real, bits=bits)
