"""`audiogen train samplernn`."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from audiogen.cli.data import files_bar
from audiogen.cli.sound import TOP_P_HELP
from audiogen.cli.training_run import (
    Author,
    Description,
    Output,
    PreviewMinutes,
    Resume,
    Run,
    Seed,
    Threads,
    begin,
    begun,
    follow,
    given,
    require_family,
    say,
    settled,
    to_begin_with,
    written,
)
from audiogen.errors import ParameterError

NOTES_TOP_P = 0.99  # what is less likely in a sample of a note is heard as a click


class Sizes(str, Enum):
    """Published ones, `models.samplernn.PUBLISHED`."""

    paper = "paper"
    prism = "prism"


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

    from audiogen.core.atomic_write import write_whole
    from audiogen.data.notes.nsynth import is_note_set
    from audiogen.data.notes.splits import SPLIT, Split
    from audiogen.data.source_toml import folder_name
    from audiogen.models.samplernn import PUBLISHED
    from audiogen.training.gansynth.training_data import read_training_data
    from audiogen.training.run.pack import write_card
    from audiogen.training.run.precision import has_bfloat16
    from audiogen.training.run.processes import Processes
    from audiogen.training.samplernn.export import (
        export_samplernn,
        samplernn_fields,
        sketch_samplernn,
        start_from,
    )
    from audiogen.training.samplernn.trainer import Trainer, default_recipe, recipe_of, steps_in

    n_lengths = (minutes is not None) + (steps is not None)
    if n_lengths == 2 or not (n_lengths or resume):
        raise ParameterError("give either --minutes or --steps, one of the two")
    processes = Processes.launched()
    checkpoints, state = begin(data, output, run, resume, processes)
    require_family(state, "samplernn")
    torch.set_num_threads(threads)
    first = to_begin_with(start, "samplernn", state)
    of_notes = is_note_set(data)
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
    model = replace(network, conditioning="none", n_classes=0, **given(sizes))
    recipe = replace(base, model=model, **given(options))
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
    if first is not None:
        start_from(trainer, first)
    if state is not None:
        trainer.restore(state)
    command, before = begun(checkpoints, state)
    card = settled(
        before,
        description=(description, f"Trained on {folder_name(data)}."),
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
