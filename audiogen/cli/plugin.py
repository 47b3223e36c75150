"""`audiogen plugin`: build the plug-ins and install them."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)

NOTHING_BUILT = 2  # exit status


@app.callback()
def plugin() -> None:
    """Play presets in a DAW or in Pure Data."""


@app.command()
def install(
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="lv2, vst3 or pd; repeatable. All if not given.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Build the plug-ins and install them for this user.

    LV2 goes to ~/.lv2, VST3 to ~/.vst3, the external of Pure Data to
    ~/.local/lib/pd/extra. A format whose headers are missing is left out,
    with the name of the package that brings them.
    """
    from audiogen.plugins import FORMATS
    from audiogen.plugins import install as install_plugins

    results = install_plugins(formats or FORMATS, lambda line: typer.echo(line, err=True))
    for result in results:
        typer.echo(f"{result.format:5} {result.message}")
    if all(result.folder is None for result in results):
        raise typer.Exit(NOTHING_BUILT)
