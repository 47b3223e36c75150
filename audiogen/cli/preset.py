"""`audiogen preset`: verify, pack, macros, levels, save-timbre."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiogen.cli.sound import counting_bar
from audiogen.core.counting import counted
from audiogen.errors import FormatError, ParameterError

if TYPE_CHECKING:
    from audiogen.evaluation.verify import Verification

app = typer.Typer(add_completion=False, no_args_is_help=True)

MIN_LATENTS, MAX_LATENTS = 40, 10_000


@app.callback()
def preset() -> None:
    """Verify a preset, make one from a stopped run, find its macros, or save a mixed timbre."""


@app.command()
def verify(
    preset: Annotated[str, typer.Argument(help="Name or folder of a preset.", show_default=False)],
) -> None:
    """Verify a preset's fields, weights and previews, and the level and pitch of each timbre.

    A preset fails if a timbre is silent or clips, or if 10 % of its 200 notes
    (60 of a SampleRNN) are out of tune by Praat's tracker; pYIN's reading is
    shown beside. The exit status is then 2, with a line for each fault.
    """
    _report(_verify(preset))


@app.command()
def pack(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a training run: its --run, or OUTPUT.run.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new preset.")],
    step: Annotated[
        int | None,
        typer.Option(
            help="Step of the checkpoint; a SampleRNN's own weights of that step.",
            show_default="the newest; a SampleRNN's best weights",
        ),
    ] = None,
) -> None:
    """Make a preset from a checkpoint of a training run, and verify it.

    The training may have been stopped, or still be running.
    """
    from audiogen.training.pack import pack_run
    from audiogen.training.run.checkpoints import Checkpoints

    if not run.is_dir():
        raise FormatError(f"{run}: isn't a folder; give one that `audiogen train` made")
    checkpoints = Checkpoints(run, lambda line: typer.echo(line, err=True))
    state = checkpoints.newest() if step is None else checkpoints.at(step)
    if state is None:
        raise FormatError(f"{run}: has no checkpoint; give a folder that `audiogen train` made")
    packed = pack_run(run, output, state, as_it_was=step is not None)
    typer.echo(f"{output}  of step {state['step']}, {counted(len(packed.timbres), 'timbre')}")
    if packed.kind == "gansynth":
        words = f"audiogen preset levels {shlex.quote(str(output))} --data SET"
        typer.echo(f"  its timbres have no gains: {words} measures them")
    _report(_verify(str(output)))


@app.command()
def macros(
    preset: Annotated[str, typer.Argument(help="Name or folder of a preset.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Seed of the latents that are sampled.")] = 0,
    latents: Annotated[int, typer.Option(help="Latents that are played for the regression.")] = 160,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the macros; leave the preset as it is.")
    ] = False,
) -> None:
    """Find a preset's macros and store them: brightness, breath, swell, hardness, decay.

    Each is a direction in the latent space, found by regression of a timbre
    feature on latents, with the range in which notes stay in tune. It is
    stored if its effect is monotonic and exceeds the spread of the effect over
    the timbres. Those of a drum kit are brightness, noisiness, length and
    hardness; at least nine of ten drums must follow them. It takes minutes.
    """
    from audiogen.evaluation.latents.macros import fit_macros, macro_tables
    from audiogen.presets import change_fields, load_preset

    if not MIN_LATENTS <= latents <= MAX_LATENTS:
        raise ParameterError(f"--latents {latents} must be {MIN_LATENTS} to {MAX_LATENTS}")
    loaded = load_preset(preset)
    with counting_bar("playing latents") as progress:
        fits = fit_macros(loaded, seed=seed, n_latents=latents, progress=progress)
    for fit in fits:
        typer.echo(f"  {fit}")
    command = f"audiogen preset macros {preset} --seed {seed} --latents {latents}"
    tables = macro_tables(fits, command)
    if dry_run:
        typer.echo(f"{loaded.folder}  left as it is; {counted(len(tables), 'macro')} found")
        return
    change_fields(loaded.folder, {"macros": tables})
    typer.echo(f"{loaded.folder}  {counted(len(tables), 'macro')} stored")


@app.command()
def levels(
    preset: Annotated[str, typer.Argument(help="Name or folder of a preset.", show_default=False)],
    data: Annotated[
        Path,
        typer.Option(help="Its recordings: the note set of its training.", show_default=False),
    ],
    seed: Annotated[int, typer.Option(help="Seed of the notes that are played.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the gains; leave the preset as it is.")
    ] = False,
) -> None:
    """Bring each timbre of a preset to the level of its recordings, by a gain that is stored.

    Trainings with the built-in recipes do this at their end.
    """
    from audiogen.data.notes.nsynth import read_notes
    from audiogen.evaluation.latents.timbre_gains import timbre_gains, with_gains
    from audiogen.presets import GansynthPreset, change_fields, load_preset

    loaded = load_preset(preset)
    if not isinstance(loaded, GansynthPreset):
        raise ParameterError(
            f"levels is not supported by preset {loaded.name!r}, a SampleRNN; name a GANSynth"
            " preset (`audiogen presets`)"
        )
    notes = read_notes(data, sample_rate=loaded.sample_rate)
    with counting_bar("playing notes") as progress:
        gains = timbre_gains(loaded, notes, seed=seed, progress=progress)
    for name, gain in gains.items():
        typer.echo(f"  {name}: {gain:+.2f} dB, before {loaded.timbre(name).gain_db or 0.0:+.2f}")
    if dry_run:
        typer.echo(f"{loaded.folder}  left as it is")
        return
    change_fields(loaded.folder, {"timbres": with_gains(loaded.to_fields()["timbres"], gains)})
    typer.echo(f"{loaded.folder}  {counted(len(gains), 'gain')} stored")


@app.command()
def save_timbre(
    preset: Annotated[str, typer.Argument(help="Name or folder of a preset.", show_default=False)],
    timbre: Annotated[
        str,
        typer.Argument(
            help="A mix (harp+koto, harp:0.6+koto:0.4), random:SEED, or a name.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Latent file to write: .json.")],
) -> None:
    """Save a mixed or random timbre in a file that plays like a timbre."""
    from audiogen.audio.files import check_output
    from audiogen.engine.latents import read_timbre
    from audiogen.presets import load_preset
    from audiogen.presets.latents import SUFFIX, Latent, write_latent

    check_output(output, (SUFFIX,))
    loaded = load_preset(preset)
    write_latent(output, Latent(loaded.name, read_timbre(loaded, timbre).tolist()))
    typer.echo(output)
    typer.echo(
        f"  play it: audiogen play {shlex.quote(preset)} --timbre {shlex.quote(str(output))}"
    )


def _verify(preset: str) -> Verification:
    from audiogen.evaluation.verify import verify_preset

    with counting_bar("verifying") as progress:
        return verify_preset(preset, progress)


def _report(result: Verification) -> None:
    for fault in result.faults:
        typer.echo(f"{result.folder}: {fault}", err=True)
    if result.timbres:
        for verdict in result.timbres:
            typer.echo(f"  {verdict}")
        notes = counted(result.n_pitched, "note")
        typer.echo(f"  {result.n_in_tune} of {notes} in tune (within half a semitone)")
    if result.faults:
        n_faults = counted(len(result.faults), "fault")
        typer.echo(f"audiogen: {result.folder} has {n_faults}", err=True)
        raise typer.Exit(2)
    what = "previews, level and pitch" if result.timbres else "previews and level"
    typer.echo(f"{result.folder}  is valid: fields, weights, {what}")
