"""`audiogen presets`: what can be played, and a search by instrument."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from audiogen.errors import ParameterError

if TYPE_CHECKING:
    from audiogen.presets import Preset

app = typer.Typer(add_completion=False)

LICENCE_WIDTH = 72  # characters; a narrower terminal has no room for a column of licences


@app.command()
def presets(
    search: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INSTRUMENT]",
            help="List only the presets and timbres that match: cello, guitar, steel drums.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List presets and their timbres, or those that match an instrument.

    The search looks at names, families and General MIDI instruments.
    `audiogen info NAME` shows one preset in full.
    """
    from audiogen.errors import PresetError
    from audiogen.presets import find_presets, load_preset, search_folders

    found, broken = [], []
    for folder in find_presets():
        try:
            found.append((folder.name, load_preset(folder)))
        except PresetError as error:
            broken.append(str(error))
    if search:
        _print_found(found, " ".join(search))
    elif found:
        _print([(name, preset, _listed_timbres(preset)) for name, preset in found])
    elif not broken:
        typer.echo("no presets in:")
        for place in search_folders():
            typer.echo(f"  {place}")
    for message in broken:
        typer.echo(f"broken: {message}", err=True)


def _print_found(found: list[tuple[str, Preset]], query: str) -> None:
    """Print the presets and timbres that match a query.

    Raises
    ------
    ParameterError
        If none does; the nearest words are named.
    """
    words = query.lower().split()
    rows = []
    for name, preset in found:
        of_preset = f"{name} {preset.description}".lower()
        timbres = [
            timbre
            for timbre, text in _described_timbres(preset)
            if all(word in text for word in words)
        ]
        if timbres or all(word in of_preset for word in words):
            rows.append((name, preset, timbres or preset.timbre_names))
    if not rows:
        known = sorted({word for _, preset in found for word in _known_words(preset)})
        near = difflib.get_close_matches(query.lower(), known, n=3, cutoff=0.7)
        hint = f"did you mean {' or '.join(near)}?" if near else "`audiogen presets` lists all"
        raise ParameterError(f"instrument {query!r} not found in any preset; {hint}")
    _print(rows)
    name, _, timbres = rows[0]
    typer.echo(f"\nplay: audiogen play {name}{':' + timbres[0] if timbres else ''}")


def _listed_timbres(preset: Preset) -> list[str]:
    """Names of the timbres; only how many keys a drum kit has."""
    return [f"{len(preset.timbres)} keys"] if preset.is_kit else preset.timbre_names


def _described_timbres(preset: Preset) -> Iterator[tuple[str, str]]:
    """Timbres and the text that a search looks at: name, family, General MIDI instrument."""
    from audiogen.notes.general_midi import program_name

    for timbre in preset.timbres:
        program = "" if timbre.program is None else program_name(timbre.program)
        text = f"{timbre.name} {timbre.name.replace('-', ' ')} {timbre.family} {program}"
        yield timbre.name, text.lower().replace("_", " ")


def _known_words(preset: Preset) -> Iterator[str]:
    from audiogen.notes.general_midi import program_name

    yield preset.name
    for timbre in preset.timbres:
        yield timbre.name
        yield timbre.family.replace("_", " ")
        if timbre.program is not None:
            yield program_name(timbre.program)


def _print(rows: list[tuple[str, Preset, list[str]]]) -> None:
    """A line or more for each preset: name, timbres, licence."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("preset", overflow="fold", max_width=24)
    table.add_column("timbres", ratio=1)
    with_licence = console.width >= LICENCE_WIDTH
    if with_licence:
        table.add_column("licence", overflow="fold", max_width=14, style="dim")
    for name, preset, timbres in rows:
        what = ", ".join(timbres)
        if not preset.plays_notes:
            what = f"generates audio freely{': ' + what if what else ''}"
        table.add_row(name, escape(what), *([escape(preset.licence)] if with_licence else []))
    console.print(table)
