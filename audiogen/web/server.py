"""The local server: access control, the page's files, presets and pictures, and the socket."""

from __future__ import annotations

import mimetypes
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request, cookie_parser
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from audiogen.engine import Synth
from audiogen.errors import AudiogenError, DeviceError, ParameterError, PresetError
from audiogen.presets import Preset, load_preset
from audiogen.web import timbre_map
from audiogen.web.messages import read_message
from audiogen.web.preset_list import PresetList
from audiogen.web.score import MAX_FILE_BYTES
from audiogen.web.session import BLOCK, POLYPHONY, Session

STATIC = Path(__file__).parent / "static"
COOKIE = "audiogen_token"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
POLICY_REFUSED, TRY_LATER = 1008, 1013  # close codes of RFC 6455
HEADERS = {
    # The page loads nothing from elsewhere and sends nothing elsewhere.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Guard:
    """Admits only clients that have the token, from pages of this server.

    The token comes in the address (``?token=``) or, once the page has been served, in a cookie. A
    browser reports in ``Origin`` and ``Sec-Fetch-Site`` which page sends a request; other pages are
    refused, even with the cookie. ``Host`` must be a name of this server, so that a foreign name
    that resolves to its address (DNS rebinding) is refused.

    Parameters
    ----------
    app : ASGI application
        Application behind the guard.
    token : str
        Secret that admits a client.
    hosts : set of str, optional
        Names that ``Host`` may have; any without.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: set[str] | None):
        self._app, self._token, self._hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, self._with_headers(scope, send))
        elif scope["type"] == "http":
            await PlainTextResponse(refusal + "\n", 403)(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).close(POLICY_REFUSED, refusal)

    def _refusal(self, scope: Scope) -> str | None:
        """Reason to refuse a request; None admits it."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _hostname(host) not in self._hosts:
            return f"host {host!r} isn't a name of this server; use the address that it printed"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return f"pages of {origin} may not use this server"
        asked_with_token = self._knows(QueryParams(scope["query_string"]).get("token"))
        opens_page = scope["type"] == "http" and scope["path"] == "/" and asked_with_token
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not opens_page:
            return "pages of other servers may not use this one"
        cookie = cookie_parser(headers.get("cookie", "")).get(_cookie_name(host))
        if not asked_with_token and not self._knows(cookie):
            return "the token is missing; open the address that the server printed"
        return None

    def _knows(self, token: str | None) -> bool:
        return token is not None and secrets.compare_digest(token.encode(), self._token.encode())

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def wrapped(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = dict(HEADERS)
                if scope["path"] == "/":
                    name = _cookie_name(Headers(scope=scope).get("host", ""))
                    extra["Set-Cookie"] = f"{name}={self._token}; Path=/; HttpOnly; SameSite=Strict"
                message["headers"] = [
                    *message["headers"],
                    *((k.lower().encode(), v.encode()) for k, v in extra.items()),
                ]
            await send(message)

        return wrapped


class Server:
    """The parts of the application, as its methods.

    Parameters
    ----------
    preset : str
        Name or folder of the preset that a client plays first.
    sample_rate : int, Hz
        Rate of the sound that is sent.
    max_clients : int
        Number of clients that can play at the same time, each with its own synth.
    seed : int
        Seed of the synths.
    """

    def __init__(self, preset: str, sample_rate: int, max_clients: int, seed: int):
        self._presets, self._rate = PresetList(preset), sample_rate
        self._max_clients, self._seed = max_clients, seed
        self.n_clients = 0
        self._pictures = timbre_map.TimbrePictures()
        # One preset is loaded at a time, for all clients, and one picture drawn at a time: more
        # would take memory and time from the sound.
        self._loading, self._drawing = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)

    async def page(self, request: Request) -> Response:
        """The page."""
        return FileResponse(STATIC / "index.html")

    async def presets(self, request: Request) -> Response:
        """Descriptions of all presets that can be read."""
        return JSONResponse(await run_in_threadpool(self._presets.describe))

    async def preview(self, request: Request) -> Response:
        """A preset's ``preview.flac`` or ``preview.png``."""
        return FileResponse(self._presets.preview(**request.path_params))

    async def timbre_map(self, request: Request) -> Response:
        """Places of a preset's timbres, and the size of their pictures."""
        preset = self._preset_with_timbres(request)
        return JSONResponse(timbre_map.describe_map(preset))

    async def picture(self, request: Request) -> Response:
        """The picture of one timbre: level and hue of each pixel, a byte each."""
        preset = self._preset_with_timbres(request)
        picture = await anyio.to_thread.run_sync(
            self._pictures.picture, preset, request.path_params["index"], limiter=self._drawing
        )
        return Response(picture.tobytes(), media_type="application/octet-stream")

    def _preset_with_timbres(self, request: Request) -> Preset:
        preset = load_preset(self._presets.find(request.path_params["name"]))
        if not preset.plays_notes or not preset.timbres:
            raise PresetError(f"a timbre map is not supported by preset {preset.name!r}")
        return preset

    async def socket(self, socket: WebSocket) -> None:
        """Serve one client, from its first message to its last."""
        await socket.accept()
        if self.n_clients >= self._max_clients:
            clients = (
                "1 client is" if self._max_clients == 1 else f"{self._max_clients} clients are"
            )
            await _refuse(
                socket,
                f"{clients} playing, which is the limit; close one, or start the server with a"
                " larger --max-clients",
            )
            return
        self.n_clients += 1
        try:
            try:
                synth = await self._open_synth(self._presets.first)
            except AudiogenError as error:
                await _refuse(socket, str(error))
                return
            session = Session(synth, self._open_synth, socket.send_json, socket.send_bytes)
            await self._serve(socket, session)
        finally:
            self.n_clients -= 1

    async def _open_synth(self, name: str) -> Synth:
        def load() -> Synth:
            synth = Synth(
                self._presets.find(name),
                self._rate,
                self._seed,
                polyphony=POLYPHONY,
                max_block=BLOCK,
            )
            assert synth.latency >= 0  # builds the engine here, not in the thread of the sound
            return synth

        return await anyio.to_thread.run_sync(load, limiter=self._loading)

    async def _serve(self, socket: WebSocket, session: Session) -> None:
        """Greet, then stream, report, load presets and listen until the client goes."""
        try:
            await socket.send_json({"type": "hello", "sample_rate": self._rate})
            await socket.send_json(session.greeting)
            async with anyio.create_task_group() as group:

                async def run(work: Callable[[], Awaitable[None]]) -> None:
                    try:
                        await work()
                    except WebSocketDisconnect:
                        group.cancel_scope.cancel()
                    except RuntimeError as error:
                        # The socket was closed, after a message that was too long or because the
                        # server stops, and this task does not know it yet.
                        if "close" not in str(error):
                            raise
                        group.cancel_scope.cancel()

                group.start_soon(run, session.stream)
                group.start_soon(run, session.report)
                group.start_soon(run, session.load_presets)
                group.start_soon(run, session.load_files)
                group.start_soon(run, lambda: _listen(socket, session))
        except WebSocketDisconnect:
            pass
        finally:
            session.close()


async def _listen(socket: WebSocket, session: Session) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        try:
            if message.get("text") is not None:
                await session.handle(read_message(message["text"]))
            else:
                session.receive_file(message["bytes"])
        except AudiogenError as error:
            await socket.send_json({"type": "error", "message": str(error)})


async def _refuse(socket: WebSocket, reason: str) -> None:
    await socket.send_json({"type": "refused", "message": reason})
    await socket.close(TRY_LATER)


def make_app(
    preset: str,
    *,
    token: str,
    sample_rate: int = 48000,
    max_clients: int = 4,
    seed: int = 0,
    hosts: set[str] | None = None,
) -> ASGIApp:
    """Make the whole ASGI application.

    Parameters
    ----------
    preset : str
        Name or folder of the preset that a client plays first.
    token : str
        Secret that admits a client.
    sample_rate : int, Hz
        Rate of the sound that is sent.
    max_clients : int
        Clients that may play at the same time.
    seed : int
        Seed of the synths: the same seed and events give the same samples.
    hosts : set of str, optional
        Names that the header ``Host`` may have; any without.

    Returns
    -------
    ASGI application

    Raises
    ------
    PresetError
        If the preset cannot be read.
    """
    server = Server(preset, sample_rate, max_clients, seed)
    # Not every system knows the type of a module, and browsers insist on it.
    mimetypes.add_type("text/javascript", ".js")
    routes = [
        Route("/", server.page),
        Route("/presets/index.json", server.presets),
        Route("/presets/{name}/map", server.timbre_map),
        Route("/presets/{name}/pictures/{index:int}", server.picture),
        Route("/presets/{name}/{file}", server.preview),
        WebSocketRoute("/socket", server.socket),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(routes=routes, exception_handlers={AudiogenError: _error_response})
    return Guard(app, token, hosts)


async def _error_response(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 404 if isinstance(error, PresetError) else 400)


def bind(host: str, port: int) -> socket.socket:
    """Open a socket to listen on.

    Parameters
    ----------
    host : str
        Address or name of this computer; 0.0.0.0 is all its addresses.
    port : int
        Port; 0 is any free one.

    Returns
    -------
    socket

    Raises
    ------
    ParameterError
        If the port is in use, or the host is not this computer.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind)
    except OSError as error:
        raise ParameterError(
            f"--host {host} not found ({error.strerror}); give an address of this computer"
        ) from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()
    except PermissionError:
        bound.close()
        raise ParameterError(
            f"--port {port} must be above 1023, unless you have administrator rights"
        ) from None
    except OSError as error:
        bound.close()
        import errno

        if error.errno == errno.EADDRINUSE:
            raise ParameterError(
                f"--port {port} is in use, perhaps by another audiogen; give another, or 0 for any"
            ) from None
        raise ParameterError(
            f"--host {host} must be an address of this computer, such as 127.0.0.1 or 0.0.0.0"
            f" ({error.strerror})"
        ) from None
    return bound


def serve(app: ASGIApp, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C.

    Parameters
    ----------
    app : ASGI application
        Application to serve.
    bound : socket
        Socket to listen on.
    ready : callable
        Called when the first client can connect.

    Raises
    ------
    DeviceError
        If the server stops because of the network.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws_max_size=MAX_FILE_BYTES + (1 << 16),  # so that a larger file gets an answer, mostly
        ws_per_message_deflate=False,  # sound hardly compresses, and it takes time
        timeout_graceful_shutdown=1,
    )

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

    try:
        Announced(config).run(sockets=[bound])
    except OSError as error:
        raise DeviceError(f"the server stopped: {error}") from error


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # a bracket without its partner
        return ""


def _cookie_name(host: str) -> str:
    """Name of the cookie of a port: browsers send the cookies of a host to all its ports."""
    try:
        port = urlsplit(f"//{host}").port
    except ValueError:
        port = None
    return f"{COOKIE}_{port or 80}"
