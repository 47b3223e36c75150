"""The local server: who may come in, the page's files, presets and pictures, and the socket."""

from __future__ import annotations

import mimetypes
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request, cookie_parser
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from audiogen.errors import AudiogenError, DeviceError, ParameterError, PresetError
from audiogen.presets import load_preset
from audiogen.web import pad
from audiogen.web.messages import read_message
from audiogen.web.session import BLOCK, Session
from audiogen.web.shelf import Shelf
from audiogen.web.sources import Source, open_source

STATIC = Path(__file__).parent / "static"
COOKIE = "audiogen_token"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
POLICY_REFUSED, TRY_LATER = 1008, 1013  # close codes of RFC 6455
HEADERS = {
    # Nothing comes from elsewhere, nothing goes elsewhere.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Guard:
    """Lets in only who knows the token, from pages of this server.

    The token comes in the address (``?token=``) or, once the page has been given out, in a cookie.
    A browser says in ``Origin`` and ``Sec-Fetch-Site`` whose page is asking; others aren't served,
    even with the cookie. ``Host`` has to be a name of this server, so that a foreign name that is
    made to point here doesn't count as one.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: set[str] | None):
        self._app, self._token, self._hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        sentence = self._complaint(scope)
        if sentence is None:
            await self._app(scope, receive, self._with_headers(scope, send))
        elif scope["type"] == "http":
            await PlainTextResponse(sentence + "\n", 403)(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).close(POLICY_REFUSED, sentence)

    def _complaint(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _hostname(host) not in self._hosts:
            return f"host {host!r} isn't this server; use the address that it printed"
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
    """All that is served; the parts of the application are its methods.

    Parameters
    ----------
    preset : str
        What a client plays first.
    sample_rate : int, Hz
    max_clients : int
        Each has its own player; more are refused.
    seed : int
    """

    def __init__(self, preset: str, sample_rate: int, max_clients: int, seed: int):
        self._shelf, self._rate = Shelf(preset), sample_rate
        self._max_clients, self._seed = max_clients, seed
        self.n_clients = 0

    async def page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def presets(self, request: Request) -> Response:
        """All presets that can be read, and what is to be said of them."""
        return JSONResponse(await run_in_threadpool(self._shelf.describe))

    async def preview(self, request: Request) -> Response:
        """A preset's ``preview.flac`` or ``preview.png``."""
        return FileResponse(self._shelf.preview(**request.path_params))

    async def places(self, request: Request) -> Response:
        described = await self._pad(request)
        return JSONResponse(
            {
                "places": described["places"].round(4).tolist(),
                "width": pad.PICTURE_WIDTH,
                "height": pad.PICTURE_HEIGHT,
            }
        )

    async def pictures(self, request: Request) -> Response:
        described = await self._pad(request)
        return Response(described["pictures"].tobytes(), media_type="application/octet-stream")

    async def _pad(self, request: Request) -> dict[str, Any]:
        preset = load_preset(self._shelf.find(request.path_params["name"]))
        if not preset.plays_notes:
            raise PresetError(f"preset {preset.name!r} plays no notes and has no pad")
        return await run_in_threadpool(pad.describe, preset)

    async def socket(self, socket: WebSocket) -> None:
        """One client, from its first message to its last."""
        await socket.accept()
        if self.n_clients >= self._max_clients:
            await _refuse(
                socket,
                f"{self._max_clients} clients are playing, which is the limit; close one, or start "
                "the server with a larger --max-clients",
            )
            return
        self.n_clients += 1
        try:

            def open_named(name: str) -> Source:
                return open_source(self._shelf.find(name), self._rate, BLOCK, self._seed)

            try:
                source = await run_in_threadpool(open_named, self._shelf.first)
            except AudiogenError as error:
                await _refuse(socket, str(error))
                return
            session = Session(
                source, open_named, self._rate, self._seed, socket.send_json, socket.send_bytes
            )
            await _converse(socket, session, {"type": "hello", "sample_rate": self._rate})
        finally:
            self.n_clients -= 1


async def _refuse(socket: WebSocket, sentence: str) -> None:
    await socket.send_json({"type": "refused", "sentence": sentence})
    await socket.close(TRY_LATER)


async def _converse(socket: WebSocket, session: Session, hello: dict[str, Any]) -> None:
    """Greet, then stream, report and listen until the client goes."""
    try:
        await socket.send_json(hello)
        await socket.send_json(session.greeting)
        async with anyio.create_task_group() as group:

            async def run(work: Callable[[], Awaitable[None]]) -> None:
                try:
                    await work()
                except WebSocketDisconnect:
                    group.cancel_scope.cancel()
                except RuntimeError as error:
                    # The server has closed, of too long a message, and this doesn't know it yet.
                    if "websocket.close" not in str(error):
                        raise
                    group.cancel_scope.cancel()

            group.start_soon(run, session.stream)
            group.start_soon(run, session.report)
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
            text = message.get("text")
            if text is None:
                raise ParameterError("a message is of bytes; text is wanted, of JSON")
            await session.handle(read_message(text))
        except AudiogenError as error:
            await socket.send_json({"type": "error", "sentence": str(error)})


def make_app(
    preset: str,
    *,
    token: str,
    sample_rate: int = 48000,
    max_clients: int = 4,
    seed: int = 0,
    hosts: set[str] | None = None,
) -> ASGIApp:
    """The whole as an ASGI application.

    Parameters
    ----------
    preset : str
        Name or folder of what a client plays first.
    token : str
        What has to be known to come in.
    sample_rate : int, Hz
        Of the sound that is sent.
    max_clients : int
    seed : int
    hosts : set of str, optional
        Names by which the server may be called; any without.
    """
    server = Server(preset, sample_rate, max_clients, seed)
    # Not every system knows what a module is, and browsers insist.
    mimetypes.add_type("text/javascript", ".js")
    routes = [
        Route("/", server.page),
        Route("/presets", server.presets),
        Route("/presets/{name}/pad", server.places),
        Route("/presets/{name}/pictures", server.pictures),
        Route("/presets/{name}/{file}", server.preview),
        WebSocketRoute("/socket", server.socket),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(routes=routes, exception_handlers={AudiogenError: _say})
    return Guard(app, token, hosts)


async def _say(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 404 if isinstance(error, PresetError) else 400)


def bind(host: str, port: int) -> socket.socket:
    """A socket to listen on.

    Raises
    ------
    ParameterError
        If the port is taken, or the host isn't this computer.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind)
    except OSError as error:
        raise ParameterError(
            f"--host {host} can't be found ({error.strerror}); give an address of this computer"
        ) from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()
    except PermissionError:
        bound.close()
        raise ParameterError(
            f"--port {port} may not be used without more rights; give one above 1023"
        ) from None
    except OSError as error:
        bound.close()
        import errno

        if error.errno == errno.EADDRINUSE:
            raise ParameterError(
                f"--port {port} is in use, perhaps by another audiogen; give another, or 0 for any"
            ) from None
        raise ParameterError(
            f"--host {host} can't be listened on ({error.strerror}); give an address of this "
            "computer, such as 127.0.0.1 or 0.0.0.0"
        ) from None
    return bound


def serve(app: ASGIApp, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C; ``ready`` is called when the first client can come."""
    import uvicorn

    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws_max_size=1 << 16,
        ws_per_message_deflate=False,  # sound hardly shrinks, and it takes time
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
    except ValueError:  # a bracket that isn't closed
        return ""


def _cookie_name(host: str) -> str:
    """One for each port: browsers give the cookies of a host to all of its ports."""
    try:
        port = urlsplit(f"//{host}").port
    except ValueError:
        port = None
    return f"{COOKIE}_{port or 80}"
