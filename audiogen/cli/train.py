"""`audiogen train`: sounds in, a preset out."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from audiogen.cli.data import SplitBy, Table, files_bar, ingested
from audiogen.cli.sound import TOP_P_HELP
from audiogen.cli.training_run import begin, begun, follow, say, settled, written
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    from audiogen.presets import Preset


class Families(TyperGroup):
    """The families, and a folder in place of one: then its sounds choose."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
            raise ParameterError(
                f"{args[0]} stands before the folder of sounds, which comes first:"
                " audiogen train FOLDER -o PRESET"
            )
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        from audiogen.data.choice import choose_family

        folder, *rest = args
        family, rest = _taken("--family", rest)
        if family not in (None, *self.commands):
            raise ParameterError(f"--family {family!r} isn't one of {', '.join(self.commands)}")
        if not Path(folder).is_dir():
            raise ParameterError(
                f"{folder!r} is neither a folder of sounds nor one of {', '.join(self.commands)}"
            )
        if family is None and "--help" not in rest:
            family, why = choose_family(folder)
            say(f"{family}: {why}; --family overrules")
        family = family or "gansynth"
        length = {option.partition("=")[0] for option in rest} & {"--minutes", "--steps"}
        if family == "samplernn" and not length and "--help" not in rest:
            rest += ["--minutes", str(DEFAULT_MINUTES)]
        return family, self.commands[family], [folder, *rest]


DEFAULT_MINUTES = 50  # of a SampleRNN whose length nobody said
NOTES_TOP_P = 0.99  # what is less likely in a sample of a note is heard as a click


def _taken(option: str, args: list[str]) -> tuple[str | None, list[str]]:
    """The value of an option, and the arguments without it."""
    for i, arg in enumerate(args):
        if arg == option and i + 1 < len(args):
            return args[i + 1], args[:i] + args[i + 2 :]
        if arg.startswith(f"{option}="):
            return arg.partition("=")[2], args[:i] + args[i + 1 :]
    return None, args


app = typer.Typer(
    cls=Families,
    add_completion=False,
    no_args_is_help=True,
    subcommand_metavar="{gansynth,samplernn,FOLDER} -o PRESET [ARGS]...",
)

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the new preset.")]
Run = Annotated[
    Path | None,
    typer.Option(
        help="Folder of checkpoints, previews and report.html.", show_default="OUTPUT.run"
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the newest checkpoint in --run.")
]
PreviewMinutes = Annotated[
    float, typer.Option(min=0.0, help="Between previews to hear and see; 0 for none.")
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**63 - 1,
        help="Of all that is random; same seed, same preset.",
        show_default="0",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]
Description = Annotated[str, typer.Option(help="A sentence for the preset.")]
Author = Annotated[
    list[str] | None, typer.Option(help="Who made it. Repeatable.", show_default=False)
]


@app.callback()
def train() -> None:
    """Train a preset on your own sounds.

    `audiogen train FOLDER -o PRESET` listens to the sounds of a folder and chooses the family:
    single notes with a pitch make an instrument (gansynth); speech, textures, percussion and music
    go on by themselves (samplernn). `--family` overrules; all options of the family can follow.
    """
    from audiogen.training.memory import keep_freed_memory

    keep_freed_memory()


@app.command()
def gansynth(
    data: Annotated[
        Path,
        typer.Argument(help="A folder of samples, or of notes in NSynth's layout."),
    ],
    output: Output,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="built-in, gansynth-paper, gansynth-small, or a file that ends in .toml.",
            show_default="gansynth-paper for a set of notes on a machine with a GPU, else built-in",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu or cuda; built-in is for the CPU.", show_default="cuda if there is one"
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Built-in: a preset to begin with, of the same sizes; none to begin anew.",
            show_default="the nearest, for fewer than 500 notes",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many, in all.",
            show_default="the recipe's; built-in 3600, 1200 with a preset",
        ),
    ] = None,
    adversarial_share: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Built-in: of the steps, those with the critic.",
            show_default="0.125",
        ),
    ] = None,
    variety: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Built-in: how much partials may vary; 1 for bowed strings or choirs.",
            show_default="0",
        ),
    ] = None,
    split_by: Annotated[
        SplitBy | None,
        typer.Option(
            help="Built-in: what is held out; of held-out instruments timbres alone are learned.",
            show_default="instrument from 20 of them on, else keys",
        ),
    ] = None,
    seed: Seed = None,
    threads: Threads = 1,
    description: Description = "",
    default_timbre: Annotated[
        str | None, typer.Option(help="Played when none is asked for.", show_default="the first")
    ] = None,
    author: Author = None,
    table: Table = None,
    licence: Annotated[
        str,
        typer.Option(help="Of the sounds, as an SPDX name.", show_default="what the folder says"),
    ] = "",
    preview_minutes: PreviewMinutes = 5.0,
    run: Run = None,
    resume: Resume = False,
) -> None:
    """Train a GANSynth generator.

    The built-in recipe learns notes one by one, each instrument a timbre, before a Wasserstein
    critic joins. gansynth-paper is the published one, for a GPU: adversarial alone, growing block
    by block, on random latents; gansynth-small is that for a CPU to try.
    A folder of samples is made a set of notes first, as `audiogen data folder` does.
    Curves and previews are in report.html in --run, and there for TensorBoard. Ctrl-C saves a
    checkpoint; --resume goes on from it.
    """
    import torch

    from audiogen.data.nsynth import read_notes
    from audiogen.data.samples import is_set
    from audiogen.data.source_toml import name_of, read_source
    from audiogen.data.splits import SPLIT
    from audiogen.training.export import (
        export_preset,
        preset_fields,
        sketch_notes,
    )
    from audiogen.training.gansynth import Recipe
    from audiogen.training.pack import write_card
    from audiogen.training.processes import Processes
    from audiogen.training.start import begin_training, choose_recipe, split_of

    processes = Processes.launched()
    checkpoints, state = begin(data, output, run, resume, processes)
    _require_family(state, "gansynth")
    _begun_with(None if start == "none" else start, "gansynth")
    if seed is None:
        seed = 0 if state is None else state["recipe"]["seed"]
    own = {
        "--from": start,
        "--adversarial-share": adversarial_share,
        "--variety": variety,
        "--split-by": split_by,
    }
    own_samples = not is_set(data)
    if table is not None and not own_samples:
        raise ParameterError(f"--table is for a folder of samples, and {data} is a set of notes")
    chosen = choose_recipe(
        recipe, device, own, seed=seed, steps=steps, state=state, own_samples=own_samples
    )
    sample_rate = (chosen or Recipe()).spectrogram.sample_rate
    command, before = begun(checkpoints, state)
    licence = licence or before.get("licence") or ""
    about: dict[str, str] = {}
    folder = data
    if own_samples:
        ingest = partial(_ingest, data, table, licence or "not stated", sample_rate, seed, about)
        folder = processes.told(ingest() if processes.first else None)
    notes = read_notes(folder, sample_rate=sample_rate)
    source = read_source(notes.folder)
    torch.set_num_threads(threads)
    shares = {"adversarial_share": adversarial_share, "variety": variety}
    options = {"seed": seed, **_given(shares)}
    by: Any = split_by and split_by.value
    trainer = begin_training(
        notes, chosen, device, options, steps, start, by, state, say, processes
    )
    if n_outside := len(notes) - len(trainer.notes.note_names):
        lowest = trainer.recipe.generator.pitch_min
        highest = lowest + trainer.recipe.generator.n_pitches - 1
        are = "note is" if n_outside == 1 else "notes are"
        say(f"{n_outside} {are} left out: the recipe has pitches {lowest} to {highest}")
    names = [entry.get("name", "?") for entry in source.get("instruments", ())]
    shown = ", ".join(names[:8]) + (" and others" if len(names) > 8 else "")
    card = settled(
        before,
        description=(description, f"Trained on {shown or name_of(data)}."),
        authors=(author, ["unknown"]),
        default_timbre=(default_timbre, None),
        licence=(licence, ""),
    )
    # A bad name shows now, not at the end.
    fields = preset_fields(trainer, notes, output.name, **card)

    def keep(folder: Path) -> None:
        write_card(folder, fields, command, card)
        split_of(trainer, notes).write(folder / SPLIT)

    about |= {
        "notes": f"{len(trainer.training)} to train on, {len(trainer.held_out)} held out",
        "instruments held out": ", ".join(fields["data"].get("held_out", ())) or "none",
        "instruments": str(len(notes.instruments)),
        "begun with": trainer.begun_with or "nothing",
        "recipe": "built-in" if chosen is None else f"{chosen.objective}, {chosen.images:,} images",
    }
    journal = follow(
        trainer,
        checkpoints,
        output.name,
        about,
        keep,
        lambda: sketch_notes(trainer, notes, **card),
        preview_minutes,
        processes,
    )
    preset = written(
        partial(export_preset, trainer, notes, output, command=command, **card), checkpoints.folder
    )
    measured = ", ".join(f"{name} {value:.3f}" for name, value in preset.measured.items())
    journal.finish(measured, output)
    typer.echo(f"{output}  {len(preset.timbres)} timbres; {measured}")
    typer.echo(f"  play it: audiogen render --notes 'C4 E4 G4' --preset {output} -o try.wav")


def _ingest(
    data: Path,
    table: Path | None,
    licence: str,
    sample_rate: int,
    seed: int,
    about: dict[str, str],
) -> Path:
    """The set that is made of a folder of samples; what was found is told, and kept in `about`."""
    from audiogen.data.sample_report import left_out_lines, summary

    found = ingested(data, table=table, licence=licence, sample_rate=sample_rate, seed=seed)
    about["samples"] = summary(found.report)
    about["left out"] = "; ".join(left_out_lines(found.report)) or "nothing"
    about["remarks"] = "; ".join(found.report["remarks"])
    about["picture of the samples"] = str(found.folder / "report.png")
    return found.folder


class Sizes(str, Enum):
    """Published ones, `models.samplernn.PUBLISHED`."""

    paper = "paper"
    prism = "prism"


@app.command()
def samplernn(
    data: Annotated[
        Path,
        typer.Argument(help="A folder of recordings, or of notes in NSynth's layout."),
    ],
    output: Output,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="How long; turned into steps at the start.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="How many, in all.")] = None,
    config: Annotated[
        Sizes | None,
        typer.Option(
            help="The seven sizes that follow as published: in the paper, or by PRiSM. Any of them"
            " given beside it counts.",
            show_default="smaller ones",
        ),
    ] = None,
    frame_sizes: Annotated[
        str | None,
        typer.Option(
            help="Of the recurrent tiers, in samples, coarse to fine.",
            show_default="2; 16,4 for notes",
        ),
    ] = None,
    dim: Annotated[
        int | None, typer.Option(min=1, help="Width of the network.", show_default="256")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Recurrent layers of a tier.", show_default="1")
    ] = None,
    rnn: Annotated[str | None, typer.Option(help="gru or lstm.", show_default="gru")] = None,
    embedding: Annotated[
        int | None,
        typer.Option(min=1, help="Size of a level's embedding.", show_default="64"),
    ] = None,
    levels: Annotated[
        int | None,
        typer.Option(help="2 to 256, or 65536 for 16 bits.", show_default="256"),
    ] = None,
    quantisation: Annotated[
        str | None, typer.Option(help="linear or mu_law.", show_default="mu_law")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="A preset to begin with, of the same sizes and classes."),
    ] = None,
    classes: Annotated[
        bool, typer.Option("--classes", help="Each subfolder is a sound to choose.")
    ] = False,
    sample_rate: Annotated[
        int | None, typer.Option(min=8000, max=48000, help="Hz.", show_default="16000")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Excerpts read at once.", show_default="16; 64 for notes"),
    ] = None,
    chunk: Annotated[
        int | None, typer.Option(min=1, help="Samples between two updates.", show_default="512")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0.0, help="May be another with --resume.", show_default="0.02"),
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option(
            min=0.001, max=0.5, help="Share of the sound, or of notes.", show_default="0.05"
        ),
    ] = None,
    augmentation: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="To vary speed, level, polarity; 1 for little sound.",
            show_default="0",
        ),
    ] = None,
    astray: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="To hear a past that is wrong; up to 1 for tones, late in a training.",
            show_default="0; 0.25 for notes",
        ),
    ] = None,
    onset_weight: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            max=100.0,
            help="How much samples where tones begin count.",
            show_default="1",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0.05, max=2.0, help="Played with.", show_default="1"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1.0,
            help=f"Played with. {TOP_P_HELP}",
            show_default="1; 0.99 for notes",
        ),
    ] = None,
    seed: Seed = None,
    threads: Threads = 1,
    description: Description = "",
    source: Annotated[
        str,
        typer.Option(help="Where the recordings are from.", show_default="what the folder says"),
    ] = "",
    licence: Annotated[
        str,
        typer.Option(
            help="Of the recordings, as an SPDX name.", show_default="what the folder says"
        ),
    ] = "",
    author: Author = None,
    preview_minutes: PreviewMinutes = 5.0,
    run: Run = None,
    resume: Resume = False,
) -> None:
    """Train a SampleRNN on recordings, or on notes to be played.

    Recordings may be of any length, rate and number of channels; silent ends are cut, and files
    that can't be read are named and left out. Notes make an instrument that answers to pitch and
    velocity. Curves and previews are in report.html in --run, and there for TensorBoard. Ctrl-C
    saves a checkpoint; --resume goes on from it.
    """
    import torch

    from audiogen.data.samples import is_set
    from audiogen.data.source_toml import name_of
    from audiogen.data.splits import SPLIT, Split
    from audiogen.drafts import write_whole
    from audiogen.models.samplernn import PUBLISHED
    from audiogen.training.excerpts import read_training_data
    from audiogen.training.export_samplernn import (
        export_samplernn,
        samplernn_fields,
        sketch_samplernn,
        start_from,
    )
    from audiogen.training.pack import write_card
    from audiogen.training.precision import has_bfloat16
    from audiogen.training.processes import Processes
    from audiogen.training.samplernn import Trainer, default_recipe, recipe_of, steps_in

    n_lengths = (minutes is not None) + (steps is not None)
    if n_lengths == 2 or not (n_lengths or resume):
        raise ParameterError("give either --minutes or --steps, one of the two")
    processes = Processes.launched()
    checkpoints, state = begin(data, output, run, resume, processes)
    _require_family(state, "samplernn")
    torch.set_num_threads(threads)
    begun_with = _begun_with(start, "samplernn")
    of_notes = is_set(data)
    base = default_recipe(of_notes) if state is None else recipe_of(state)
    sizes = {
        "frame_sizes": None if frame_sizes is None else _sizes(frame_sizes),
        "dim": dim,
        "n_rnn": layers,
        "rnn": rnn,
        "embedding_size": embedding,
        "q_levels": levels,
        "quantisation": quantisation,
    }
    network = base.model if config is None else PUBLISHED[config.value]
    options = {
        "batch": batch,
        "chunk": chunk,
        "learning_rate": learning_rate,
        "held_out": held_out,
        "augmentation": augmentation,
        "astray": astray,
        "onset_weight": onset_weight,
        "sample_rate": sample_rate,
        "seed": seed,
        "bfloat16": None if state else not processes.any(not has_bfloat16())[0],  # the same in all
    }
    model = replace(network, conditioning="none", n_classes=0, **_given(sizes))
    recipe = replace(base, model=model, **_given(options))
    with files_bar("reading the recordings", processes.first) as progress:
        prepared = read_training_data(
            data,
            model,
            sample_rate=recipe.sample_rate,
            excerpt_s=recipe.excerpt_s,
            chunk=recipe.chunk,
            held_out=recipe.held_out,
            seed=recipe.seed,
            by_subfolder=classes or base.model.conditioning == "class",
            augmentation=recipe.augmentation,
            astray=recipe.astray,
            onset_weight=recipe.onset_weight,
            progress=progress,
        )
    for line in prepared.split["skipped"]:
        say(f"left out: {line}")
    split = prepared.split
    found = (
        f"{prepared.minutes:.1f} minutes to train on in {len(split['training'])} files;"
        f" {len(split['held_out'])} held out, {len(split['skipped'])} left out"
    )
    say(found)

    def make(n_steps: int) -> Trainer:
        planned = replace(recipe, steps=n_steps, model=prepared.model)
        return Trainer(prepared.training, prepared.held_out, planned, processes)

    if state is not None:
        steps = _steps_of(state, steps)
        if minutes is not None:
            say(f"--minutes is for the beginning: this training has {steps} steps")
    trainer = make(steps or processes.told(steps_in(60.0 * (minutes or 0.0), make(1_000_000))))
    if begun_with is not None:
        start_from(trainer, begun_with)
    if state is not None:
        trainer.restore(state)
    command, before = begun(checkpoints, state)
    card = settled(
        before,
        description=(description, f"Trained on {name_of(data)}."),
        authors=(author, ["unknown"]),
        source=(source, ""),
        licence=(licence, ""),
        temperature=(temperature, 1.0),
        top_p=(top_p, NOTES_TOP_P if of_notes else 1.0),
    )
    fields = samplernn_fields(trainer, prepared, data, output.name, **card)

    def keep(folder: Path) -> None:
        write_card(folder, fields, command, card)
        if prepared.pitch_range:
            parts = {"train": tuple(split["training"]), "valid": tuple(split["held_out"])}
            Split("note", recipe.seed, parts).write(folder / SPLIT)
        else:
            write_whole(folder / SPLIT, json.dumps(split, indent=1))

    journal = follow(
        trainer,
        checkpoints,
        output.name,
        {"data": found, "left out": "; ".join(split["skipped"])},
        keep,
        lambda: sketch_samplernn(trainer, prepared, data, **card),
        preview_minutes,
        processes,
    )
    preset = written(
        partial(export_samplernn, trainer, prepared, data, output, command=command, **card),
        checkpoints.folder,
    )
    measured = ", ".join(f"{name} {value:.3f}" for name, value in preset.measured.items())
    journal.finish(measured, output)
    typer.echo(f"{output}  {measured}")
    play = "--notes 'C4 E4 G4'" if prepared.model.conditioning == "note" else "--seconds 10"
    typer.echo(f"  play it: audiogen render {play} --preset {output} -o try.wav")


def _require_family(state: dict[str, Any] | None, family: str) -> None:
    if state is None:
        return
    trained = "gansynth" if "critic" in state else "samplernn"
    if trained != family:
        raise ParameterError(
            f"the training that is gone on from is a {trained}'s; go on with `audiogen train"
            f" {trained}`"
        )


def _begun_with(start: str | None, family: str) -> Preset | None:
    """The preset that a training of a family begins with, if any."""
    from audiogen.presets import load_preset

    if start is None:
        return None
    preset = load_preset(start)
    if preset.kind != family:
        raise ParameterError(
            f"--from {start}: preset {preset.name!r} is a {preset.kind}'s; name one of a {family}"
        )
    return preset


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Those that have a value; the others are the recipe's."""
    return {name: value for name, value in options.items() if value is not None}


def _steps_of(state: dict[str, Any], wanted: int | None) -> int:
    """How many steps the training has that is gone on from."""
    planned = int(state["recipe"]["steps"])
    if wanted not in (None, planned):
        raise ParameterError(
            f"--steps {wanted}: the training that is gone on from has {planned}; leave it out, and"
            " to go further begin another with --from"
        )
    if state["step"] >= planned:
        say(f"all {planned} steps are made; to go further begin another training with --from")
    return planned


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ParameterError(
            f"--frame-sizes {text!r} isn't a list of numbers, such as 16,4"
        ) from None
