"""`audiogen explore`: listen to and measure the latents between and beyond a preset's timbres."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audiogen.cli.sound import counting_bar

app = typer.Typer(add_completion=False)


@app.command()
def explore(
    preset: Annotated[str, typer.Argument(help="Name or folder of a preset.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for explore.html and its sounds.")
    ] = Path("explore"),
    latents: Annotated[
        int, typer.Option(min=1, max=1000, help="Half-way and random latents, of each kind.")
    ] = 24,
    seed: Annotated[
        int, typer.Option(min=0, max=2**62, help="Seed of the first random latent.")
    ] = 0,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Real notes in NSynth's layout, to compare each kind with by a two-sample test;"
            " takes minutes.",
            show_default=False,
        ),
    ] = None,
    card: Annotated[
        bool, typer.Option("--card", help="Also write the results into the preset's card.")
    ] = False,
) -> None:
    """Listen to and measure the latents between and beyond a preset's timbres.

    Writes a page with a map of named timbres, half-way mixes and random
    latents that play when clicked, and for each kind the share of notes that
    are in tune, click or are silent (of a drum kit: are silent). --timbre
    random:7 selects a latent in any command, and `audiogen preset save-timbre`
    keeps it.
    """
    from audiogen.cli.evaluate import print_table
    from audiogen.data.notes.nsynth import read_notes
    from audiogen.engine.latents import require_latents
    from audiogen.evaluation.latents.explore import explore_latents
    from audiogen.evaluation.latents.explore_page import write_exploration
    from audiogen.evaluation.report_files import check_folder
    from audiogen.presets import LATENT_PREFIXES, TOML_NAME, add_measured, load_preset

    loaded = require_latents(load_preset(preset))
    real = None if data is None else read_notes(data, sample_rate=loaded.sample_rate)
    check_folder(output)
    with counting_bar("playing latents") as progress:
        found = explore_latents(loaded, n_latents=latents, seed=seed, real=real, progress=progress)
    print_table(found.table())
    for path in write_exploration(output, found):
        typer.echo(path)
    if card:
        add_measured(loaded.folder, found.measured(), LATENT_PREFIXES)
        typer.echo(loaded.folder / TOML_NAME)
