"""`audiogen encode`: find a latent of a preset for a recorded note."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiogen.cli.sound import counting_bar
from audiogen.errors import ParameterError

if TYPE_CHECKING:
    from audiogen.presets import Preset
    from audiogen.training.gansynth.encoding.encode import Encoding

app = typer.Typer(add_completion=False)


@app.command()
def encode(
    note: Annotated[Path, typer.Argument(help="A sound file of one note.", show_default=False)],
    preset: Annotated[str, typer.Option(help="Name or folder of a GANSynth preset.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File of the latent.", show_default="NOTE.json"),
    ] = None,
    pitch: Annotated[
        str | None,
        typer.Option(
            metavar="C4",
            help="Pitch of the note, or its MIDI number.",
            show_default="tracked; for drum kits, the strongest frequency",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the timbre; with --into.", show_default=False),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Save the latent as a timbre of this copy of the preset, which is made if it"
            " doesn't exist.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=127,
            help="MIDI key of a drum kit that gets the timbre, in place of its drum; with --into.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the descent.")] = 80,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; same seed, same latent.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    device: Annotated[
        str, typer.Option(metavar="cpu|cuda|cuda:N", help="Device of the gradient descent.")
    ] = "cpu",
) -> None:
    """Find the latent of a GANSynth preset that sounds like a recorded note.

    Gradient descent starts at the preset's nearest timbres. The error is the mean difference of
    log-mel spectrograms at the best gain; those of the nearest timbre and of random latents are
    printed beside it. Play the file as a timbre: audiogen render --timbre NOTE.json.

    With a drum kit, NOTE is a single drum hit: --name my-kick --key 36 --into my-kit assigns it to
    a key of a copy of the kit.
    """
    from audiogen.audio.files import check_output, read_audio
    from audiogen.notes import parse_pitch, pitch_name
    from audiogen.presets import load_preset, write_latent
    from audiogen.training.gansynth.encoding.recorded_note import prepare_note
    from audiogen.training.gansynth.encoding.timbre_copy import add_timbre, copy_with

    if (name is None) != (into is None):
        raise ParameterError(
            "--name and --into must be given together: the timbre's name, and the folder of the"
            " copy of the preset"
        )
    if key is not None and into is None:
        raise ParameterError("--key must be given with --into and --name")
    output = output or Path(f"{note.stem}.json")
    check_output(output, (".json",))
    known_pitch = None if pitch is None else parse_pitch(pitch)
    loaded = load_preset(preset)
    samples = read_audio(note, loaded.sample_rate)
    prepared = prepare_note(samples, loaded.sample_rate, loaded, known_pitch)
    if name is not None and into is not None:
        copy_with(loaded, name, into, key)
    import torch  # takes seconds: imported after the checks

    from audiogen.training.gansynth.encoding.encode import encode as find_latent

    torch.set_num_threads(threads)
    with counting_bar("encoding") as progress:
        encoding = find_latent(prepared, steps=steps, seed=seed, device=device, progress=progress)
    _print(note, encoding)
    write_latent(output, encoding.latent(loaded))
    typer.echo(output)
    timbre = str(output)
    if name is not None and into is not None:
        family = next(each.family for each in loaded.timbres if each.name == encoding.nearest)
        copy = add_timbre(loaded, encoding.z, family, name, into, key=key, pitch=encoding.pitch)
        typer.echo(f"{into}  {len(copy.timbres)} timbres, {name} among them")
        preset, timbre = str(into), name
    played = _played_pitch(loaded, encoding.pitch) if key is None else key
    notes = f"{pitch_name(played)}:2@{encoding.velocity:.2f}"
    words = ["--notes", notes, "--preset", preset, "--timbre", timbre, "-o", "try.wav"]
    typer.echo(f"  play it: audiogen render {shlex.join(words)}")


def _played_pitch(preset: Preset, pitch: float) -> int:
    """The note that plays a latent at a pitch, or near it: in a kit the key of the nearest drum."""
    from audiogen.presets import GansynthPreset

    assert isinstance(preset, GansynthPreset)  # it has latents
    if not preset.is_kit:
        return round(pitch)
    return min((abs(of_drum - pitch), key) for key, of_drum in preset.drums.values())[1]


def _print(note: Path, encoding: Encoding) -> None:
    from audiogen.notes import pitch_name

    typer.echo(
        f"{note}  {pitch_name(encoding.pitch)}, {encoding.compared_s:.1f} s compared; velocity"
        f" {encoding.velocity:.2f}"
    )
    for label, error_db, more in (
        ("encoded", encoding.error_db, f", in {encoding.seconds:.0f} s"),
        ("nearest", encoding.nearest_db, f": {encoding.nearest}"),
        ("random", encoding.random_db, ""),
    ):
        typer.echo(f"  {label:8}{error_db:5.1f} dB off{more}")
