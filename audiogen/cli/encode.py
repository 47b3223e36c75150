"""`audiogen encode`: a recorded note in; the latent of a preset that sounds like it out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiogen.cli.sound import counting_bar
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    from audiogen.training.gansynth.encode import Encoding

app = typer.Typer(add_completion=False)


@app.command()
def encode(
    note: Annotated[Path, typer.Argument(help="A sound file of one note.", show_default=False)],
    preset: Annotated[str, typer.Option(help="Whose latent is looked for: a name or a folder.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File of the latent.", show_default="NOTE.json"),
    ] = None,
    pitch: Annotated[
        str | None,
        typer.Option(
            metavar="C4", help="Of the note, or a MIDI number.", show_default="by a pitch tracker"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="With --into: what the timbre is called.", show_default=False),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Save it as a timbre of this copy of the preset, made if it isn't there.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of the descent.")] = 80,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same latent.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Find the latent of a GANSynth preset that sounds like a recorded note.

    It begins at the preset's nearest timbres and goes on by gradient. How near it comes is the mean
    difference of log-mel spectrograms, at the best gain; that of the nearest timbre and of random
    latents stand beside it. Play the file as a timbre: audiogen render --timbre NOTE.json.
    """
    import torch

    from audiogen.audio.files import check_output, read_audio
    from audiogen.notes import parse_pitch, pitch_name
    from audiogen.presets import load_preset, write_latent
    from audiogen.training.gansynth.encode import add_timbre, copy_with
    from audiogen.training.gansynth.encode import encode as find

    if (name is None) != (into is None):
        raise ParameterError(
            "give --name and --into together: the timbre's name, and the folder of the preset that"
            " it goes into"
        )
    output = output or Path(f"{note.stem}.json")
    check_output(output, (".json",))
    loaded = load_preset(preset)
    if name is not None and into is not None:
        copy_with(loaded, name, into)
    samples = read_audio(note, loaded.sample_rate)
    torch.set_num_threads(threads)
    with counting_bar("encoding") as progress:
        found = find(
            samples,
            loaded.sample_rate,
            loaded,
            pitch=None if pitch is None else parse_pitch(pitch),
            steps=steps,
            seed=seed,
            progress=progress,
        )
    _print(note, found)
    write_latent(output, found.latent(loaded))
    typer.echo(output)
    timbre = str(output)
    if name is not None and into is not None:
        copy = add_timbre(loaded, found, name, into)
        typer.echo(f"{into}  {len(copy.timbres)} timbres, {name} among them")
        preset, timbre = str(into), name
    notes = f"{pitch_name(round(found.pitch))}:2@{found.velocity:.2f}"
    words = ["--notes", notes, "--preset", preset, "--timbre", timbre, "-o", "try.wav"]
    typer.echo(f"  play it: audiogen render {shlex.join(words)}")


def _print(note: Path, found: Encoding) -> None:
    from audiogen.notes import pitch_name

    typer.echo(
        f"{note}  {pitch_name(found.pitch)}, {found.heard_s:.1f} s compared; velocity"
        f" {found.velocity:.2f}"
    )
    for what, error_db, more in (
        ("found", found.error_db, f", in {found.seconds:.0f} s"),
        ("nearest", found.nearest_db, f": {found.nearest}"),
        ("random", found.random_db, ""),
    ):
        typer.echo(f"  {what:8}{error_db:5.1f} dB off{more}")
