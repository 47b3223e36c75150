"""`audiogen web`: a page on which presets are played in a browser, served or as a static folder."""

from __future__ import annotations

import html
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from audiogen.errors import MissingPackageError, ParameterError

app = typer.Typer(add_completion=False)

MAX_CLIENTS = 64
SAMPLE_RATES = (22050, 192000)  # Hz, which browsers play
PACKAGES = {"anyio", "starlette", "uvicorn", "websockets"}  # packages of the extra `web`
REDIRECT_S = 60.0  # until the file that the browser opens is removed


@app.command()
def web(
    presets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PRESET]...",
            help="Preset to play first: a name or a folder. With --static, its presets.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port; 0 is any free one.")] = 8317,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; 0.0.0.0 lets other computers connect."),
    ] = "127.0.0.1",
    max_clients: Annotated[
        int, typer.Option(help="Pages that may play at the same time, each with its own synth.")
    ] = 4,
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = True,
    sample_rate: Annotated[int, typer.Option(help="Hz, 22050 to 192000.")] = 48000,
    seed: Annotated[int, typer.Option(help="The same seed and events give the same samples.")] = 0,
    static: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the page into a new folder for any static host instead: the browser runs"
            " the engine, as WebAssembly.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Play presets on a page in a browser; the sound is made on this computer.

    Anyone with the printed address can play. Ctrl-C stops the server. With --static the page needs
    no server: its folder holds the engine and the presets.
    """
    if static is not None:
        _write_static(presets or [], static)
        return
    if presets and len(presets) > 1:
        raise ParameterError(
            f"{len(presets)} presets are for --static FOLDER; a server plays one first and offers"
            " all that it finds"
        )
    from audiogen.core.checks import check_seed
    from audiogen.presets import default_preset, load_preset

    try:
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401

        from audiogen.web.server import LOOPBACK, bind, make_app, serve
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise MissingPackageError(
            f"audiogen web needs {package}, which isn't installed:"
            ' pip install "audiogen-synth[web]"'
        ) from error

    if not 0 <= port <= 65535:
        raise ParameterError(f"--port {port} must be from 0 to 65535")
    if not 1 <= max_clients <= MAX_CLIENTS:
        raise ParameterError(f"--max-clients {max_clients} must be from 1 to {MAX_CLIENTS}")
    low, high = SAMPLE_RATES
    if not low <= sample_rate <= high:
        raise ParameterError(f"--sample-rate {sample_rate} must be from {low} to {high} Hz")
    check_seed(seed)
    if sys.stdout is None:  # closed; uvicorn needs one
        sys.stdout = open(os.devnull, "w")
    first = presets[0] if presets else default_preset()
    load_preset(first)  # reports its faults before a page connects
    token = secrets.token_urlsafe(16)
    local = host in LOOPBACK
    server = make_app(
        first,
        token=token,
        sample_rate=sample_rate,
        max_clients=max_clients,
        seed=seed,
        hosts=LOOPBACK if local else None,
    )
    with bind(host, port) as bound, ExitStack() as stack:
        name = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        shown = f"[{name}]" if ":" in name else name
        address = f"http://{shown}:{bound.getsockname()[1]}/?token={token}"

        def ready() -> None:
            typer.echo(f"audiogen plays at {address}")
            if not local:
                typer.echo(
                    "Other computers can connect. Anyone with the address can play: the connection"
                    " isn't encrypted, and the name in the address isn't checked."
                )
            typer.echo("Ctrl-C stops it")
            sys.stdout.flush()
            if open_ and _has_screen():
                stack.enter_context(opened_in_browser(address))

        serve(server, bound, ready)


def _write_static(presets: list[str], folder: Path) -> None:
    from audiogen.cli.sound import counting_bar
    from audiogen.presets import default_preset
    from audiogen.web.static_site import write_site

    with counting_bar("drawing timbres") as progress:
        size = write_site(presets or [default_preset()], folder, progress)
    typer.echo(f"{folder}  {size / 1e6:.1f} MB; try it: python -m http.server -d {folder}")


@contextmanager
def opened_in_browser(address: str) -> Iterator[None]:
    """Open an address in a browser without naming it on a command line, which other users can read.

    The browser is given a file that only this user can read, and that redirects it. The file is
    removed after `REDIRECT_S`, or when the context ends.

    Parameters
    ----------
    address : str
        Address with the token.
    """
    import webbrowser

    handle, name = tempfile.mkstemp(prefix="audiogen-", suffix=".html")  # with mode 0600
    path, target = Path(name), html.escape(address)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(
            '<!doctype html>\n<meta charset="utf-8">\n<title>audiogen</title>\n'
            '<meta name="referrer" content="no-referrer">\n'
            f'<meta http-equiv="refresh" content="0; url={target}">\n'
            f'<p><a href="{target}">Open audiogen</a></p>\n'
        )
    removal = threading.Timer(REDIRECT_S, path.unlink, kwargs={"missing_ok": True})
    removal.daemon = True
    removal.start()
    try:
        webbrowser.open(path.as_uri())
        yield
    finally:
        removal.cancel()
        path.unlink(missing_ok=True)


def _has_screen() -> bool:
    """Whether a browser with a window can be expected; a text browser would take the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
