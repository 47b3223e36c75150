"""A server without a network, a client that listens to it, and the same events played again."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip(
    "starlette", reason='starlette isn\'t installed; pip install "audiogen-synth[web]"'
)
pytest.importorskip("httpx2", reason="httpx2 isn't installed, which starlette's client needs")

TOKEN = "a-token-for-tests"
RATE = 48000
LEAD_MS = 60.0


class Listener:
    """A client of the socket that keeps everything it receives."""

    def __init__(self, socket: Any):
        self._socket = socket
        self._blocks: list[np.ndarray] = []
        self.position = 0  # samples received
        self.messages: list[dict[str, Any]] = []

    @property
    def sound(self) -> np.ndarray:
        """All sound that was received, [n_samples, 2]."""
        return np.concatenate(self._blocks) if self._blocks else np.zeros((0, 2), np.float32)

    def say(self, **message: Any) -> None:
        self._socket.send_json(message)

    def send_file(self, data: bytes) -> None:
        self._socket.send_bytes(data)

    def receive(self) -> dict[str, Any] | None:
        """The next message, or None if it was a block of sound."""
        raw = self._socket.receive()
        if raw["type"] == "websocket.close":
            raise AssertionError(f"the server closed: {raw}")
        if raw.get("bytes") is None:
            import json

            self.messages.append(json.loads(raw["text"]))
            return self.messages[-1]
        (position,) = struct.unpack_from("<Q", raw["bytes"])
        assert position == self.position, "blocks follow each other without a gap"
        block = np.frombuffer(raw["bytes"], "<f4", offset=8).reshape(-1, 2)
        self._blocks.append(block)
        self.position += len(block)
        return None

    def wait_for(self, kind: str) -> dict[str, Any]:
        """The next message of a kind."""
        while (message := self.receive()) is None or message["type"] != kind:
            if message is None:
                self.say(type="played", position=self.position)
        return message

    def listen(self, seconds: float) -> None:
        """Receive sound and report that it was played."""
        until = self.position + seconds * RATE
        while self.position < until:
            if self.receive() is None:
                self.say(type="played", position=self.position)

    def log(self) -> list[dict[str, Any]]:
        self.say(type="log")
        return self.wait_for("log")["events"]


@pytest.fixture
def make_client() -> Callable[..., Any]:
    """A function that makes a client of a new server; options as those of `make_app`."""
    from starlette.testclient import TestClient

    from audiogen.web.server import make_app

    def make(preset: str = "plucked", **options: Any) -> TestClient:
        return TestClient(make_app(preset, token=TOKEN, sample_rate=RATE, **options))

    return make


@pytest.fixture
def client(make_client: Callable[..., Any]) -> Any:
    return make_client()


@pytest.fixture
def listen() -> Callable[..., Any]:
    """A context: the socket of a client, greeted; sound flows if ``start``."""

    @contextmanager
    def open_socket(client: Any, start: bool = True) -> Iterator[Listener]:
        with client.websocket_connect(f"/socket?token={TOKEN}") as socket:
            listener = Listener(socket)
            assert listener.wait_for("hello")["sample_rate"] == RATE
            listener.wait_for("preset")
            if start:
                listener.say(type="start", lead_ms=LEAD_MS)
            yield listener

    return open_socket


@pytest.fixture
def render_log() -> Callable[..., np.ndarray]:
    return rendered


@pytest.fixture
def replay_log() -> Callable[..., np.ndarray]:
    return replayed


def rendered(events: list[dict[str, Any]], rate: int = RATE) -> np.ndarray:
    """`Synth.render` of the notes of a log of one preset, [n_samples, 2], from the log's sample 0.

    Notes that were still held are left out.
    """
    import audiogen

    opening, *others = events
    assert opening["type"] == "preset" and opening["at"] == 0
    notes, held, timbre = [], {}, None
    for event in others:
        if event["type"] == "timbre":
            timbre = event["timbre"]
        elif event["type"] == "note_on":
            held[event["pitch"]] = event
            timbre = event["timbre"] or timbre
        elif event["type"] == "note_off":
            on = held.pop(event["pitch"])
            length_s = (event["at"] - on["at"]) / rate
            notes.append((on["at"] / rate, length_s, on["pitch"], on["velocity"]))
    synth = audiogen.Synth(opening["preset"], sample_rate=rate)
    mono = synth.render(notes, timbre=timbre)
    # A render begins with its first sound: the engine's latency is removed.
    return np.repeat(mono[:, None], 2, axis=1)


def replayed(events: list[dict[str, Any]], n: int, rate: int = RATE) -> np.ndarray:
    """The events of a log played by synths in Python, in blocks of odd sizes, [n, 2]."""
    from itertools import cycle

    import audiogen
    from audiogen.web.session import apply_event

    synths: list[Any] = []
    blocks, position, sizes = [], 0, cycle((1, 7, 64, 127, 1000))
    upcoming = list(events)
    while position < n:
        while upcoming and upcoming[0]["at"] == position:
            event = upcoming.pop(0)
            if event["type"] == "preset":
                for synth in synths:
                    synth.all_off()
                synths.append(
                    audiogen.Synth(
                        event["preset"], rate, event["seed"], polyphony=event["polyphony"]
                    )
                )
            else:
                apply_event(synths[-1], event)
        until = min([n, *(event["at"] for event in upcoming[:1])])
        size = min(next(sizes), until - position)
        # Summed in the session's order: three floats in another order have another sum.
        blocks.append(sum(synth.process(size) for synth in [*synths[-1:], *synths[:-1]]))
        position += size
    assert not upcoming
    return np.concatenate(blocks)


@pytest.fixture
def midi_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A MIDI reader whose programs choose timbres, if the compiled module's has none."""
    from audiogen.core import backend

    native = backend.load()
    if hasattr(native.MidiReader(), "timbre"):
        return

    class Reader:
        def __init__(self) -> None:
            self._reader, self.timbre = native_reader(), 0

        def read(self, data: bytes) -> Any:
            if data[0] >> 4 == 0xC:
                self.timbre = data[1] % 3
            return self._reader.read(data)

    native_reader = native.MidiReader
    monkeypatch.setattr(native, "MidiReader", Reader)


@pytest.fixture(scope="module")
def server_process() -> Iterator[Callable[..., Any]]:
    """A function that starts `audiogen web` and gives the process and its address."""
    import re
    import subprocess
    import sys

    started = []

    def start(*words: str) -> Any:
        command = [sys.executable, "-m", "audiogen.cli.main", "web", *words]
        process = subprocess.Popen(
            [*command, "--port", "0", "--no-open"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        line = process.stdout.readline()
        found = re.search(r"http\S+", line)
        assert found, line + process.stderr.read()
        return process, found.group()

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=30)
