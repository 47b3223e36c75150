"""`audiogen train gansynth`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from audiogen.cli.data import SplitBy, Table, ingest_with_report
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

    from audiogen.data.notes.nsynth import is_note_set, read_notes
    from audiogen.data.notes.splits import SPLIT
    from audiogen.data.source_toml import folder_name, read_source
    from audiogen.training.gansynth.export import (
        export_preset,
        preset_fields,
        sketch_notes,
    )
    from audiogen.training.gansynth.trainer import Recipe
    from audiogen.training.run.pack import write_card
    from audiogen.training.run.processes import Processes
    from audiogen.training.run.warm_start import begin_training, choose_recipe, split_of

    processes = Processes.launched()
    checkpoints, state = begin(data, output, run, resume, processes)
    require_family(state, "gansynth")
    first: Any = start if start == "none" else to_begin_with(start, "gansynth", state)
    if seed is None:
        seed = 0 if state is None else state["recipe"]["seed"]
    own = {
        "--from": start,
        "--adversarial-share": adversarial_share,
        "--variety": variety,
        "--split-by": split_by,
    }
    own_samples = not is_note_set(data)
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
    options = {"seed": seed, **given(shares)}
    by: Any = split_by and split_by.value
    trainer = begin_training(
        notes, chosen, device, options, steps, first, by, state, say, processes
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
        description=(description, f"Trained on {shown or folder_name(data)}."),
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
    from audiogen.data.ingest.report import left_out_line, summary

    found = ingest_with_report(
        data, table=table, licence=licence, sample_rate=sample_rate, seed=seed
    )
    about["samples"] = summary(found.report)
    about["left out"] = left_out_line(found.report) or "nothing"
    about["remarks"] = "; ".join(found.report["remarks"])
    about["picture of the samples"] = str(found.folder / "report.png")
    return found.folder
