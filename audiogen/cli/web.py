"""`audiogen web`: a page on this computer to play presets on."""

from __future__ import annotations

import os
import secrets
import sys
from typing import Annotated

import typer

from audiogen.errors import ParameterError

app = typer.Typer(add_completion=False)

MOST_CLIENTS = 64
RATES = (22050, 192000)  # Hz, that browsers play


@app.command()
def web(
    preset: Annotated[
        str | None,
        typer.Argument(help="What to play first: a name or a folder.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(help="0 takes any that is free.")] = 8317,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; 0.0.0.0 lets other computers in."),
    ] = "127.0.0.1",
    max_clients: Annotated[
        int, typer.Option(help="How many may play at once, each with a synthesiser of its own.")
    ] = 4,
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = True,
    sample_rate: Annotated[int, typer.Option(help="Hz, 22050 to 192000.")] = 48000,
    seed: Annotated[int, typer.Option(help="Same seed and events, same samples.")] = 0,
) -> None:
    """Play presets on a page in a browser; the sound is made here.

    Who knows the printed address can play. Ctrl-C stops.
    """
    from audiogen.cli.sound import check_seed
    from audiogen.presets import default_preset, load_preset
    from audiogen.web.server import LOOPBACK, bind, make_app, serve

    if not 0 <= port <= 65535:
        raise ParameterError(f"--port {port} isn't one; give 0 to 65535")
    if not 1 <= max_clients <= MOST_CLIENTS:
        raise ParameterError(f"--max-clients {max_clients} isn't usable; give 1 to {MOST_CLIENTS}")
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise ParameterError(
            f"--sample-rate {sample_rate} isn't usable; give {RATES[0]} to {RATES[1]} Hz"
        )
    check_seed(seed)
    if sys.stdout is None:  # closed, and uvicorn wants one
        sys.stdout = open(os.devnull, "w")
    name = preset or default_preset()
    load_preset(name)  # complains before anybody comes
    token = secrets.token_urlsafe(16)
    local = host in LOOPBACK
    server = make_app(
        name,
        token=token,
        sample_rate=sample_rate,
        max_clients=max_clients,
        seed=seed,
        hosts=LOOPBACK if local else None,
    )
    with bind(host, port) as bound:
        name = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        shown = f"[{name}]" if ":" in name else name
        address = f"http://{shown}:{bound.getsockname()[1]}/?token={token}"

        def ready() -> None:
            typer.echo(f"audiogen plays at {address}\nCtrl-C stops it")
            sys.stdout.flush()
            if open_ and _has_screen():
                import webbrowser

                webbrowser.open(address)

        serve(server, bound, ready)


def _has_screen() -> bool:
    """Whether a browser with a window can be expected; a text browser would take the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
