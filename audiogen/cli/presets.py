"""`audiogen presets`: what can be played."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False)


@app.command()
def presets() -> None:
    """List the presets that can be played; without any, where presets are looked for."""
    from rich.console import Console
    from rich.table import Table

    from audiogen.errors import PresetError
    from audiogen.presets import find_presets, load_preset, search_folders

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "kind", "plays", "timbres", "licence"):
        table.add_column(heading, overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    broken = []
    for folder in find_presets():
        try:
            preset = load_preset(folder)
        except PresetError as error:
            broken.append(str(error))
            continue
        timbres = ", ".join(preset.timbre_names)
        size = f"{preset.size_bytes / 1e6:.1f} MB"
        plays = "notes" if preset.plays_notes else "on its own"
        table.add_row(folder.name, preset.kind, plays, timbres, preset.licence, size)
    if table.rows:
        Console(highlight=False).print(table)
    elif not broken:
        typer.echo("no presets in:")
        for place in search_folders():
            typer.echo(f"  {place}")
    for sentence in broken:
        typer.echo(f"broken: {sentence}", err=True)
