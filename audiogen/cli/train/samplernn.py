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
from audiogen.cli.train.options import (
    Author,
    Description,
    Device,
    Licence,
    Minutes,
    Output,
    PreviewMinutes,
    Resume,
    Run,
    Threads,
    recipe_command,
    recipe_options,
    shown,
    with_settings,
)
from audiogen.cli.train.run import (
    check_steps,
    find_device,
    finish,
    first_command,
    follow,
    initial_preset,
    open_run,
    planned,
    require_length,
    say,
    settled,
)
from audiogen.core.counting import counted
from audiogen.errors import ParameterError
from audiogen.training.samplernn.recipe import (
    NETWORK,
    NETWORK_DEFAULTS,
    NOTES_DEFAULTS,
    SampleRNNRecipe,
)

NOTES_TOP_P = 0.99  # a sample of a note that is less likely is audible as a click
OPTIONS = {
    name: (setting, shown(default, NOTES_DEFAULTS.get(name, default)), type(default))
    for (name, setting), default in zip(NETWORK.items(), NETWORK_DEFAULTS.values(), strict=True)
} | recipe_options(SampleRNNRecipe, NOTES_DEFAULTS)
PANELS = {
    "Network": NETWORK,
    "Recipe in detail": [
        name
        for name in OPTIONS
        if name not in (*NETWORK, "steps", "seed", "sample_rate", "augmentation", "input_noise")
    ],
}


class Sizes(str, Enum):
    """Names of `models.samplernn.PUBLISHED`."""

    paper = "paper"
    prism = "prism"


def samplernn(
    data: Annotated[
        Path,
        typer.Argument(help="A folder of recordings, or of notes in NSynth's layout."),
    ],
    output: Output,
    minutes: Minutes = None,
    device: Device = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET",
            help="Preset to initialise the weights from, of the same sizes and classes.",
            show_default="random weights",
        ),
    ] = None,
    config: Annotated[
        Sizes | None,
        typer.Option(
            help="Published sizes of the network, of the paper or of PRiSM; options of the network"
            " overrule single ones.",
            show_default="smaller ones",
        ),
    ] = None,
    classes: Annotated[
        bool, typer.Option("--classes", help="Make each subfolder a timbre to choose.")
    ] = False,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0.05, max=2.0, help="Sampling temperature of the preset.", show_default="1"
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1.0,
            help=f"Sampling of the preset. {TOP_P_HELP}",
            show_default=f"1; {NOTES_TOP_P} for notes",
        ),
    ] = None,
    threads: Threads = 1,
    description: Description = "",
    source: Annotated[
        str,
        typer.Option(help="Source of the recordings.", show_default="as stated in their folder"),
    ] = "",
    licence: Licence = "",
    author: Author = None,
    preview_minutes: PreviewMinutes = 5.0,
    run: Run = None,
    resume: Resume = False,
    **settings: Any,
) -> None:
    """Train a SampleRNN: recordings become a preset that generates freely, sample by sample.

    Recordings may be of any length, rate and number of channels; silent ends are cut, and files
    that can't be read are skipped. From a dataset in NSynth's layout, the preset plays notes: it is
    conditioned on pitch and velocity. Curves and previews are in report.html in --run, and there
    for TensorBoard. Ctrl-C saves a checkpoint; --resume continues from it.
    """
    import torch

    from audiogen.core.atomic_write import write_whole
    from audiogen.data.notes.nsynth import is_note_set
    from audiogen.data.notes.splits import SPLIT, Split
    from audiogen.data.source_toml import folder_name
    from audiogen.training.run.card import provenance, write_card
    from audiogen.training.run.device import has_bfloat16
    from audiogen.training.run.processes import Processes
    from audiogen.training.samplernn.export import (
        export_samplernn,
        initialise,
        samplernn_fields,
        sketch_samplernn,
    )
    from audiogen.training.samplernn.trainer import SampleRNNTrainer
    from audiogen.training.samplernn.training_data import read_training_data

    require_length(minutes, settings.get("steps"))
    if not resume and minutes is None and "steps" not in settings:
        raise ParameterError("how long to train isn't given; give --minutes or --steps")
    processes = Processes.launched()
    checkpoints, state = open_run(data, output, run, resume, "samplernn", processes)
    torch.set_num_threads(threads)
    preset = initial_preset(init_from, "samplernn", state)
    of_notes = is_note_set(data)
    recipe, by_subfolder = _recipe(config, settings, state, of_notes)
    where = find_device(device, recipe.default_device, processes)
    if state is None and "bfloat16" not in settings:
        low = not processes.any(not has_bfloat16(where))[0]  # the same in all processes
        recipe = replace(recipe, bfloat16=low)
    with files_bar("reading the recordings", processes.first) as progress:
        prepared = read_training_data(
            data, recipe, by_subfolder=by_subfolder or classes, progress=progress
        )
    split = prepared.split
    found = (
        f"{prepared.minutes:.1f} minutes to train on in"
        f" {counted(len(split['training']), 'file')}; {len(split['held_out'])} held out,"
        f" {len(split['skipped'])} left out"
    )
    if state is None:
        say(found + (", listed in report.html" if split["skipped"] else ""))

    def make(recipe: SampleRNNRecipe) -> SampleRNNTrainer:
        recipe = replace(recipe, model=prepared.model)
        parts = prepared.training, prepared.held_out
        return SampleRNNTrainer(*parts, recipe, processes, where)

    trainer = planned(make, recipe, minutes, state, processes)
    trainer.provenance = provenance(prepared.files(data), trainer.provenance)
    if preset is not None and state is None:
        initialise(trainer, preset)
        say(f"weights initialised from the preset {preset.name}")
    command, before = first_command(checkpoints, state)
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
        {"data": found, "initialised from": trainer.initialised_from or "random weights"}
        | {"device": str(where)},
        {"Left out": split["skipped"]},
        keep,
        lambda: sketch_samplernn(trainer, prepared, data, **card),
        preview_minutes,
    )
    export = partial(export_samplernn, trainer, prepared, data, output, command=command, **card)
    play = "--notes 'C4 E4 G4'" if prepared.model.conditioning == "note" else "--seconds 10"
    finish(export, trainer, journal, output, play)


def _recipe(
    config: Sizes | None, settings: dict[str, Any], state: dict[str, Any] | None, of_notes: bool
) -> tuple[SampleRNNRecipe, bool]:
    """The recipe, its model without conditioning; and whether the run has classes."""
    from audiogen.models.samplernn import PUBLISHED
    from audiogen.training.samplernn.recipe import default_recipe, recipe_of

    if state is not None:
        check_steps(state, settings.get("steps"))
    base = default_recipe(of_notes) if state is None else recipe_of(state)
    network = base.model if config is None else PUBLISHED[config.value]
    sizes = {name: settings[name] for name in NETWORK if name in settings}
    others = {name: value for name, value in settings.items() if name not in NETWORK}
    model = replace(network, conditioning="none", n_classes=0, **sizes)
    recipe = with_settings(replace(base, model=model, **others), {}, "samplernn")
    return recipe, base.model.conditioning == "class"


samplernn, SamplernnCommand = recipe_command(samplernn, OPTIONS, PANELS)
