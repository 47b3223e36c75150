"""One client: its own player, events in, blocks of sound out at the pace at which it plays them."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogen.errors import AudiogenError, ParameterError
from audiogen.presets import Preset, timbre_of_program
from audiogen.web.messages import EVENTS
from audiogen.web.sources import VOICES, Source

BLOCK = 256  # samples
MOST_AT_ONCE = 64  # blocks in a message
MOST_WAITING = 4096  # events before one block
MOST_ENDING = 2  # presets that ring out at a time
LOG_LENGTH = 100_000  # events that are remembered; above it the log begins later
STATUS_S = 0.25
HEADER = struct.Struct("<Q")  # a block of sound begins with its position, samples

SendText = Callable[[dict[str, Any]], Awaitable[None]]
SendBytes = Callable[[bytes], Awaitable[None]]


class Session:
    """What one client hears.

    Sound flows from `start` on: never more of it than ``lead_ms`` beyond what the client says it
    has played. Each event is heard from the next block on, and the log holds the sample where that
    block begins, so that the same events can be rendered again.

    Parameters
    ----------
    source : Source
        What plays first.
    open_source : callable
        Gives what plays a preset of that name, or raises a PresetError.
    sample_rate : int, Hz
    seed : int
    send, send_sound : coroutine functions
        Get a message, or a block: its position, then its frames as interleaved float32.
    """

    def __init__(
        self,
        source: Source,
        open_source: Callable[[str], Source],
        sample_rate: int,
        seed: int,
        send: SendText,
        send_sound: SendBytes,
    ):
        self.sample_rate = sample_rate
        self.position = 0  # samples made
        self._open_source, self._seed = open_source, seed
        self._send, self._send_sound = send, send_sound
        self._waiting: deque[dict[str, Any]] = deque()
        self._next: Source | None = None
        self._ending: list[Source] = []
        self._loading: asyncio.Task[None] | None = None
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self._n_logged = 0
        self._played, self._lead = 0, 0
        self._go_on = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "audiogen-web")
        self._busy_s, self._busy_since = 0.0, 0
        self._source = source
        self.greeting = self._begin(source)

    async def handle(self, message: dict[str, Any]) -> None:
        """Take one checked message (`messages.read_message`).

        Raises
        ------
        ParameterError
            If too many events wait.
        """
        kind = message["type"]
        if kind in EVENTS:
            if len(self._waiting) >= MOST_WAITING:
                raise ParameterError(
                    f"{MOST_WAITING} events wait for sound to flow, and no more can; say 'start', "
                    "and 'played' now and then"
                )
            self._waiting.append(message)
        elif kind == "played":
            self._played = min(int(message["position"]), self.position)
            self._pace()
        elif kind == "start":
            self._lead = max(BLOCK, round(message["lead_ms"] / 1000 * self.sample_rate))
            self._pace()
        elif kind == "log":
            loop = asyncio.get_running_loop()  # only the thread touches the log
            await self._send(await loop.run_in_executor(self._thread, self._read_log))
        elif kind == "preset":
            if self._loading is not None:
                self._loading.cancel()
            self._loading = asyncio.create_task(self._change_preset(message["preset"]))

    async def _change_preset(self, name: str) -> None:
        """Load a preset while the old one sounds; then it takes over."""
        try:
            source = await asyncio.to_thread(self._open_source, name)
        except AudiogenError as error:
            await self._send({"type": "error", "sentence": str(error)})
            return
        if self._lead:
            self._next = source
        else:  # no sound flows yet, and what was said was said to the old one
            self._waiting.clear()
            await self._send(self._take_over(source))

    async def stream(self) -> None:
        """Make sound and send it, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._go_on.wait()
            position = self.position
            wanted = self._lead - (position - self._played)
            n_blocks = min(max(1, -(-wanted // BLOCK)), MOST_AT_ONCE)
            sound, news = await loop.run_in_executor(self._thread, self._make_blocks, n_blocks)
            self._pace()
            await self._send_sound(HEADER.pack(position) + sound)
            for message in news:
                await self._send(message)

    async def report(self) -> None:
        """Say how things stand, a few times a second, until cancelled."""
        while True:
            await asyncio.sleep(STATUS_S)
            made_s = (self.position - self._busy_since) / self.sample_rate
            load = self._busy_s / made_s if made_s else 0.0
            self._busy_s, self._busy_since = 0.0, self.position
            source = self._source
            await self._send(
                {
                    "type": "status",
                    "voices": source.n_sounding,
                    "latency": source.latency,
                    "load": round(load, 4),
                }
            )

    def close(self) -> None:
        """Let the thread go."""
        if self._loading is not None:
            self._loading.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _pace(self) -> None:
        if self.position - self._played < self._lead:
            self._go_on.set()
        else:
            self._go_on.clear()

    def _make_blocks(self, n: int) -> tuple[bytes, list[dict[str, Any]]]:
        """In the session's thread: the next blocks, and what there is to say."""
        began = time.perf_counter()
        news: list[dict[str, Any]] = []
        sound = b"".join(self._make_block(news).tobytes() for _ in range(n))
        self._busy_s += time.perf_counter() - began
        return sound, news

    def _make_block(self, news: list[dict[str, Any]]) -> NDArray[np.float32]:
        for _ in range(len(self._waiting)):
            event = self._waiting.popleft()
            try:
                self._source.apply(event)
            except AudiogenError as error:
                news.append({"type": "error", "sentence": str(error)})
            else:
                self._remember(event)
        if self._next is not None:
            news.append(self._take_over(self._next))
        samples = self._source.process(BLOCK)
        for source in list(self._ending):
            rest = source.process(BLOCK)
            samples = samples + rest
            if not source.n_sounding and not rest.any():
                self._ending.remove(source)
        self.position += BLOCK
        return np.asarray(samples, np.float32)

    def _take_over(self, source: Source) -> dict[str, Any]:
        """Play something else from here on, while the old rings out; what to say about it."""
        self._source.apply({"type": "all_off"})
        self._ending = [*self._ending[1 - MOST_ENDING :], self._source]
        return self._begin(source)

    def _begin(self, source: Source) -> dict[str, Any]:
        self._source, self._next = source, None
        self._remember(
            {
                "type": "preset",
                "preset": source.preset.folder.name,
                "sample_rate": self.sample_rate,
                "seed": self._seed,
                "voices": VOICES,
                "block": BLOCK,
            }
        )
        return {"type": "preset", "at": self.position, **describe(source)}

    def _remember(self, event: dict[str, Any]) -> None:
        self._log.append({"at": self.position, **event})
        self._n_logged += 1

    def _read_log(self) -> dict[str, Any]:
        n_forgotten = self._n_logged - len(self._log)
        return {
            "type": "log",
            "position": self.position,
            "events": list(self._log),
            "forgotten": n_forgotten,
        }


def describe(source: Source) -> dict[str, Any]:
    """What the page has to know of a preset to be played."""
    preset = source.preset
    return {
        "preset": preset.folder.name,
        "description": preset.description,
        "plays_notes": preset.plays_notes,
        "pitch_range": preset.pitch_range,
        "timbres": [{"name": t.name, "family": t.family} for t in preset.timbres],
        "default_timbre": preset.default_timbre,
        "programs": _timbres_of_programs(preset),
        "parameters": source.parameters,
    }


def _timbres_of_programs(preset: Preset) -> list[int]:
    """Which timbre each General MIDI program chooses."""
    if not preset.timbres:
        return []
    chosen = (timbre_of_program(program, [preset])[1] for program in range(128))
    return [preset.timbre_names.index(preset.timbre(name).name) for name in chosen]
