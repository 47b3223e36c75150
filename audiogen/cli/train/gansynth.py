"""`audiogen train gansynth`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from audiogen.cli.data import SplitBy, Table, ingest_with_report
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
from audiogen.training.gansynth.recipe import DEFAULT_RATE, BuiltInRecipe, at_rate, rates_of

BUILT_IN, ONE_SHOT = "built-in", "one-shot"
OPTIONS = recipe_options(BuiltInRecipe)
PANELS = {
    "Recipe in detail": [
        name for name in OPTIONS if name not in ("steps", "seed", "variety", "adversarial_share")
    ]
}


def gansynth(
    data: Annotated[
        Path,
        typer.Argument(help="A folder of samples, or of notes in NSynth's layout."),
    ],
    output: Output,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="built-in: an hour on a CPU core. one-shot: the same for sounds that play to their"
            " end, such as percussion. gansynth-paper: as published, for a GPU and"
            " thousands of notes. gansynth-small: the same at sizes for a CPU. Or a .toml file.",
            show_default=BUILT_IN,
        ),
    ] = None,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            help="Sample rate of the preset, Hz: 16000, 32000 or 64000. Halving the rate cuts"
            " the time to 40 %. Built-in recipe only.",
            show_default=f"{DEFAULT_RATE}; that of a set of notes",
        ),
    ] = None,
    device: Device = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET",
            help="Preset to initialise the weights from, of the same sizes at any sample rate; none"
            " for random weights. Built-in recipe only.",
            show_default="the nearest preset, for fewer than 500 notes",
        ),
    ] = None,
    minutes: Minutes = None,
    split_by: Annotated[
        SplitBy | None,
        typer.Option(
            help="Hold out instruments, of which only latents are learned, or notes. Built-in"
            " recipe only.",
            show_default="keys",
        ),
    ] = None,
    threads: Threads = 1,
    description: Description = "",
    default_timbre: Annotated[
        str | None,
        typer.Option(help="Timbre that plays by default.", show_default="the first"),
    ] = None,
    author: Author = None,
    table: Table = None,
    licence: Licence = "",
    preview_minutes: PreviewMinutes = 5.0,
    run: Run = None,
    resume: Resume = False,
    **settings: Any,
) -> None:
    """Train a GANSynth: notes with a pitch become an instrument with a timbre for each folder.

    The built-in recipe learns notes one by one, each instrument a timbre, before a critic
    joins. gansynth-paper is adversarial from the start and grows block by block, on random
    latents. A folder of samples is made a set of notes first, as `audiogen data folder` does.
    Curves and previews are in report.html in --run, and there for TensorBoard. Ctrl-C saves a
    checkpoint; --resume continues from it.
    """
    import torch

    from audiogen.data.notes.nsynth import is_note_set, read_notes
    from audiogen.data.notes.splits import SPLIT
    from audiogen.data.source_toml import folder_name, is_kit, read_source
    from audiogen.training.gansynth.export import (
        export_preset,
        preset_fields,
        sketch_notes,
        split_of,
    )
    from audiogen.training.gansynth.warm_start import (
        FEW_NOTES,
        initialise,
        nearest_preset,
        shortened,
    )
    from audiogen.training.run.card import provenance, write_card
    from audiogen.training.run.processes import Processes

    require_length(minutes, settings.get("steps"))
    processes = Processes.launched()
    checkpoints, state = open_run(data, output, run, resume, "gansynth", processes)
    name, chosen = _recipe(recipe, state, settings, is_kit(read_source(data)))
    built_in = isinstance(chosen, BuiltInRecipe)
    if not built_in:
        of_built_in = {
            "--sample-rate": sample_rate,
            "--init-from": init_from,
            "--split-by": split_by,
        }
        for option, value in of_built_in.items():
            if value is not None:
                raise ParameterError(
                    f"{option} not supported by recipe {name}; leave it out, or give --recipe"
                    f" {BUILT_IN}"
                )
    elif state is None:
        chosen = at_rate(chosen, sample_rate or _rate_of(data, chosen))
    elif sample_rate not in (None, chosen.spectrogram.sample_rate):
        raise ParameterError(
            f"--sample-rate {sample_rate}: the run to resume has"
            f" {chosen.spectrogram.sample_rate} Hz; leave it out"
        )
    preset = initial_preset(init_from, "gansynth", state)
    own_samples = not is_note_set(data)
    if table is not None and not own_samples:
        raise ParameterError(f"--table is for a folder of samples, but {data} is a set of notes")
    where = find_device(device, chosen.default_device, processes)
    say(f"recipe: {name}")
    rate = chosen.spectrogram.sample_rate
    command, before = first_command(checkpoints, state)
    licence = licence or before.get("licence") or ""
    about: dict[str, str] = {}
    details: dict[str, list[str]] = {}
    folder = data
    if own_samples:
        options = {"table": table, "licence": licence or "not stated", "sample_rate": rate}
        options["seed"] = chosen.seed
        ingest = partial(_ingest, data, options, about, details, state is None)
        folder = processes.broadcast(ingest() if processes.first else None)
    notes = read_notes(folder, sample_rate=rate)
    torch.set_num_threads(threads)
    make = _maker(notes, split_by and split_by.value, where, processes)
    if built_in and state is None:
        if init_from is None and len(notes) < FEW_NOTES:
            say("comparing the notes with the presets ...")
            preset = nearest_preset(make(chosen))
            if preset is None:
                say("no preset has the sizes of this training: random weights")
        if preset is not None:
            chosen = shortened(chosen, settings)
    trainer = planned(make, chosen, minutes, state, processes)
    trainer.provenance = provenance(notes.files, trainer.provenance)
    if preset is not None and state is None:
        nearest = ", ".join(dict.fromkeys(initialise(trainer, preset).values()))
        say(f"weights initialised from the preset {preset.name}: {nearest}")
    if n_outside := len(notes) - len(trainer.notes.note_names):
        lowest = trainer.recipe.generator.pitch_min
        highest = lowest + trainer.recipe.generator.n_pitches - 1
        say(f"{counted(n_outside, 'note')} left out: outside of pitches {lowest} to {highest}")
    names = [entry.get("name", "?") for entry in read_source(notes.folder).get("instruments", ())]
    shown = ", ".join(names[:8]) + (" and others" if len(names) > 8 else "")
    card = settled(
        before,
        description=(description, f"Trained on {shown or folder_name(data)}."),
        authors=(author, ["unknown"]),
        default_timbre=(default_timbre, None),
        licence=(licence, ""),
    )
    fields = preset_fields(trainer, notes, output.name, **card)  # a bad name is an error now

    def keep(folder: Path) -> None:
        write_card(folder, fields, command, card)
        split_of(trainer, notes).write(folder / SPLIT)

    about |= {
        "notes": f"{len(trainer.training)} to train on, {len(trainer.held_out)} held out",
        "instruments held out": ", ".join(fields["data"].get("held_out", ())) or "none",
        "instruments": str(len(notes.instruments)),
        "initialised from": trainer.initialised_from or "random weights",
        "recipe": f"{name}, on {where}",
    }
    journal = follow(
        trainer,
        checkpoints,
        output.name,
        about,
        details,
        keep,
        lambda: sketch_notes(trainer, notes, **card),
        preview_minutes,
    )
    export = partial(export_preset, trainer, notes, output, command=command, **card)
    finish(export, trainer, journal, output, "--notes 'C4 E4 G4'")


def _rate_of(data: Path, recipe: BuiltInRecipe) -> int:
    """Sample rate to train on some data at, Hz: that of a set of notes, if the recipe has it."""
    from audiogen.data.notes.nsynth import is_note_set, read_notes

    if not is_note_set(data):
        return DEFAULT_RATE
    rate = read_notes(data).notes[0].sample_rate
    return rate if rate in rates_of(recipe) else DEFAULT_RATE


def _recipe(
    name: str | None, state: dict[str, Any] | None, settings: dict[str, Any], kit: bool
) -> tuple[str, Any]:
    """Name and recipe: of --recipe, else of the checkpoint, else the built-in one of the data."""
    from audiogen.training.gansynth.recipe import builtin_recipe, default_recipe, one_shot_recipe
    from audiogen.training.recipes import progressive_recipe, read_recipe

    if state is None:
        name = name or BUILT_IN
        if name == ONE_SHOT or (name == BUILT_IN and kit):
            recipe: Any = one_shot_recipe()
        else:
            recipe = default_recipe() if name == BUILT_IN else read_recipe(name)
        return name, with_settings(recipe, settings, name)
    check_steps(state, settings.get("steps"))
    built_in = state["kind"] == BuiltInRecipe.kind
    before = (builtin_recipe if built_in else progressive_recipe)(state["recipe"])
    is_one_shot = isinstance(before, BuiltInRecipe) and before.is_one_shot
    differs = built_in != (name in (BUILT_IN, ONE_SHOT)) or (name == ONE_SHOT) > is_one_shot
    if name is not None and differs:
        raise ParameterError(
            f"--recipe {name}: the run to resume has another recipe; leave --recipe out"
        )
    if name not in (None, BUILT_IN, ONE_SHOT):
        kept = {"seed": before.seed, "steps": before.steps}
        before = with_settings(read_recipe(str(name)), kept, str(name))
    name = name or (BUILT_IN if built_in else "as the run began with")
    return name, with_settings(before, settings, name)


def _maker(notes: Any, split_by: Any, device: Any, processes: Any) -> Any:
    """A function from a recipe to its trainer; notes in memory are read once."""
    from functools import cache

    from audiogen.data.notes.splits import (
        SPLIT,
        read_split,
        split_for_training,
    )
    from audiogen.data.source_toml import is_kit, read_source
    from audiogen.training.gansynth.note_batches import Notes
    from audiogen.training.gansynth.progressive import ProgressiveTrainer
    from audiogen.training.gansynth.trainer import BuiltInTrainer

    @cache
    def in_memory(held_out: float, seed: int) -> Notes:
        # By default all instruments train the networks; of others only the latents are fitted.
        kit = is_kit(read_source(notes.folder))
        split = None
        if split_by == "instrument":
            split = split_for_training(notes, held_out, seed, "instrument")
        elif (split_by == "note" or kit) and (notes.folder / SPLIT).is_file():
            if read_split(notes.folder / SPLIT).by == "note":
                split = split_for_training(notes, held_out, seed, "note")
        return Notes.read(notes, split)

    def make(recipe: Any) -> Any:
        if not isinstance(recipe, BuiltInRecipe):
            return ProgressiveTrainer(notes, recipe, device, processes)
        arrays = in_memory(recipe.held_out, recipe.seed)
        return BuiltInTrainer(arrays, recipe, processes=processes, device=device)

    return make


def _ingest(
    data: Path,
    options: dict[str, Any],
    about: dict[str, str],
    details: dict[str, list[str]],
    shown: bool,
) -> Path:
    """Make a set of notes of a folder of samples; report what was found, and what wasn't used."""
    from audiogen.data.ingest.folder import PICTURE, ingest_samples
    from audiogen.data.ingest.report import left_out_line, left_out_lines, summary

    found = (ingest_with_report if shown else ingest_samples)(data, **options)
    left_out = left_out_lines(found.report)
    about["samples"] = summary(found.report)
    about["left out"] = left_out_line(found.report)
    about["picture of the samples"] = str(found.folder / PICTURE)
    details |= {"Remarks on the samples": found.report["remarks"], "Left out": left_out}
    return found.folder


gansynth, GansynthCommand = recipe_command(gansynth, OPTIONS, PANELS)
