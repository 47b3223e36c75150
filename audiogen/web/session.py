"""One client: its synth, events in, and blocks of sound out at the pace at which it plays them."""

from __future__ import annotations

import asyncio
import dataclasses
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogen.engine import Synth
from audiogen.errors import AudiogenError, ParameterError
from audiogen.web.messages import EVENTS
from audiogen.web.score import TimedMessage, read_file, timed_messages

BLOCK = 256  # samples
POLYPHONY = 16
MAX_BLOCKS = 64  # in one message
MAX_WAITING = 4096  # events before one block
MAX_ENDING = 2  # former presets that ring out at the same time
LOG_LENGTH = 100_000  # events that are kept; older ones are dropped
STATUS_S = 0.25
PROGRAM_CHANGE = 0xC  # upper four bits of a status byte
HEADER = struct.Struct("<Q")  # a block of sound begins with its position, samples

# The timbre map of the page sets or replaces them for each preset anew; all others outlast a
# change of preset.
OF_THE_MAP = ("timbre_map", "timbre_x", "timbre_y", "morph", "morph_timbre")

Message = dict[str, Any]
SendText = Callable[[Message], Awaitable[None]]
SendBytes = Callable[[bytes], Awaitable[None]]
OpenSynth = Callable[[str], Awaitable[Synth]]


def apply_event(synth: Synth, event: Mapping[str, Any]) -> None:
    """Do what an event of the log says, at the beginning of the synth's next block.

    Parameters
    ----------
    synth : Synth
        Synth that plays.
    event : mapping
        An event as `messages.read_message` returns it.

    Raises
    ------
    AudiogenError
        If the synth cannot do it.
    """
    kind = event["type"]
    if kind == "note_on":
        synth.note_on(event["pitch"], event["velocity"], event["timbre"])
    elif kind == "note_off":
        synth.note_off(event["pitch"])
    elif kind == "set":
        synth.set(event["parameter"], event["value"])
    elif kind == "timbre":
        synth.timbre = event["timbre"]
    elif kind == "midi":
        synth.midi(bytes(event["data"]))
    else:
        synth.all_off()


def describe(synth: Synth) -> Message:
    """Description of a preset that the page needs to play it.

    Parameters
    ----------
    synth : Synth
        Synth that plays the preset.

    Returns
    -------
    dict
        The fields of the message ``preset``, except ``type`` and ``at``.
    """
    preset = synth.preset
    return {
        "preset": preset.folder.name,
        "description": preset.description,
        "plays_notes": preset.plays_notes,
        "pitch_range": preset.pitch_range,
        "timbres": [{"name": t.name, "family": t.family, "key": t.key} for t in preset.timbres],
        "default_timbre": preset.default_timbre,
        "has_latents": preset.kind == "gansynth",
        "is_kit": preset.is_kit,
        "parameters": [
            {
                **dataclasses.asdict(parameter),
                "initial": synth.initial(parameter.name),
                "value": synth.get(parameter.name),
            }
            for parameter in synth.parameters
        ],
    }


class Session:
    """The sound of one client.

    Sound flows after `start`: never more of it than ``lead_ms`` beyond what the client reports to
    have played. An event takes effect at the beginning of the next block, and the log holds the
    position of that block, so that the same events can be rendered again.

    Parameters
    ----------
    synth : Synth
        Plays the first preset.
    open_synth : coroutine function
        Returns a synth for the name of a preset, or raises an AudiogenError.
    send : coroutine function
        Sends a message to the client.
    send_sound : coroutine function
        Sends blocks: their position, then frames of interleaved float32.
    """

    def __init__(
        self, synth: Synth, open_synth: OpenSynth, send: SendText, send_sound: SendBytes
    ) -> None:
        self.sample_rate = synth.sample_rate
        self.position = 0  # samples made
        self._open_synth = open_synth
        self._send, self._send_sound = send, send_sound
        self._waiting: deque[Message] = deque()
        self._next: Synth | None = None
        self._ending: list[Synth] = []
        self._wanted: str | None = None  # preset that was chosen last and is not loaded yet
        self._preset_chosen = asyncio.Event()
        self._wanted_file: bytes | None = None
        self._file_came = asyncio.Event()
        self._values: dict[str, float] = {}  # values of parameters that were set
        self._changed: Message = {}  # by MIDI, and not reported yet
        self._next_file: list[TimedMessage] | None = None
        self._file: deque[TimedMessage] = deque()
        self._programs: dict[int, bytes] = {}  # program changes of the file by status byte
        self._file_start = 0  # position
        self._log: deque[Message] = deque(maxlen=LOG_LENGTH)
        self._n_logged = 0
        self._played, self._lead = 0, 0
        self._go_on = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "audiogen-web")
        self._busy_s, self._busy_since = 0.0, 0
        self._synth = synth
        self.greeting = self._begin(synth)

    async def handle(self, message: Message) -> None:
        """Handle one checked message.

        Parameters
        ----------
        message : dict
            A message as `messages.read_message` returns it.

        Raises
        ------
        ParameterError
            If too many events wait.
        """
        kind = message["type"]
        if kind in EVENTS:
            if len(self._waiting) >= MAX_WAITING:
                raise ParameterError(
                    f"{MAX_WAITING} events wait for sound to flow, which is the limit; send"
                    " 'start', and 'played' regularly"
                )
            self._waiting.append(message)
        elif kind == "played":
            self._played = min(int(message["position"]), self.position)
            self._pace()
        elif kind == "start":
            self._lead = max(BLOCK, round(message["lead_ms"] / 1000 * self.sample_rate))
            self._pace()
        elif kind == "log":
            loop = asyncio.get_running_loop()  # the log belongs to the session's thread
            await self._send(await loop.run_in_executor(self._thread, self._read_log))
        elif kind == "preset":
            self._wanted = message["preset"]
            self._preset_chosen.set()

    def receive_file(self, data: bytes) -> None:
        """Take a MIDI file, which `load_files` reads and plays.

        Parameters
        ----------
        data : bytes
            The whole file.
        """
        self._wanted_file = data
        self._file_came.set()

    async def load_presets(self) -> None:
        """Load presets that the client chooses, until cancelled.

        One at a time: of those that are chosen while another loads, the last is loaded.
        """
        while True:
            await self._preset_chosen.wait()
            self._preset_chosen.clear()
            name, self._wanted = self._wanted, None
            assert name is not None
            try:
                synth = await self._open_synth(name)
            except (AudiogenError, OSError) as error:
                if self._wanted is None:
                    await self._send({"type": "error", "message": str(error), "preset": name})
                continue
            if self._wanted is not None:
                continue  # the client has chosen another preset meanwhile
            if self._lead:
                self._next = synth
            else:
                await self._send(self._replace_silent(synth))

    async def load_files(self) -> None:
        """Read MIDI files that the client sends and play each instead of the last, until cancelled.

        One at a time: of those that come while another is read, the last is read.
        """
        while True:
            await self._file_came.wait()
            self._file_came.clear()
            assert self._wanted_file is not None
            data, self._wanted_file = self._wanted_file, None
            try:
                synth = self._next or self._synth
                score, n_drums = await asyncio.to_thread(read_file, data, synth.preset.is_kit)
                if not synth.plays_notes:
                    raise ParameterError(
                        f"a MIDI file is not supported by preset {synth.name!r}, which is"
                        " unconditional; choose a preset that plays notes"
                    )
            except AudiogenError as error:
                await self._send({"type": "error", "message": str(error)})
                continue
            self._next_file = timed_messages(score, self.sample_rate)
            seconds = round(score.duration_s, 3)
            await self._send(
                {"type": "file", "notes": len(score), "drums": n_drums, "seconds": seconds}
            )

    async def stream(self) -> None:
        """Make sound and send it, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._go_on.wait()
            position = self.position
            wanted = self._lead - (position - self._played)
            n_blocks = min(max(1, -(-wanted // BLOCK)), MAX_BLOCKS)
            sound, news = await loop.run_in_executor(self._thread, self._make_blocks, n_blocks)
            self._pace()
            await self._send_sound(HEADER.pack(position) + sound)
            for message in news:
                await self._send(message)

    async def report(self) -> None:
        """Send the status regularly, until cancelled."""
        while True:
            await asyncio.sleep(STATUS_S)
            made_s = (self.position - self._busy_since) / self.sample_rate
            load = self._busy_s / made_s if made_s else 0.0
            self._busy_s, self._busy_since = 0.0, self.position
            synth = self._synth
            await self._send(
                {
                    "type": "status",
                    "voices": synth.n_sounding,
                    "latency": synth.latency,
                    "load": round(load, 4),
                }
            )

    def close(self) -> None:
        """Stop the session's thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _pace(self) -> None:
        if self.position - self._played < self._lead:
            self._go_on.set()
        else:
            self._go_on.clear()

    # --- In the session's thread ----------------------------------------------------------------

    def _make_blocks(self, n: int) -> tuple[bytes, list[Message]]:
        """Make the next blocks; return them and the messages for the client."""
        began = time.perf_counter()
        news: list[Message] = []
        sound = b"".join(self._make_block(news).tobytes() for _ in range(n))
        self._busy_s += time.perf_counter() - began
        return sound, news

    def _make_block(self, news: list[Message]) -> NDArray[np.float32]:
        for _ in range(len(self._waiting)):
            self._take(self._waiting.popleft(), news)
        if self._next is not None:
            self._take_over(self._next, news)
        if self._next_file is not None:
            self._start_file(self._next_file, news)
        parts = []
        end = self.position + BLOCK
        while self.position < end:
            n = min(end, self._play_file(news)) - self.position
            parts.append(self._process(n))
            self.position += n
        if self._changed:
            news.append({"type": "changed", "values": self._changed})
            self._changed = {}
        return np.concatenate(parts)

    def _take(self, event: Message, news: list[Message]) -> None:
        """Apply an event and log it, or say why it cannot be applied."""
        kind = event["type"]
        if kind == "stop_file":
            if not self._file:
                return
            self._file.clear()
            news.append({"type": "file_end"})
            event = {"type": "all_off"}
        before = self._state() if kind == "midi" else {}
        try:
            apply_event(self._synth, event)
        except (AudiogenError, ValueError) as error:  # the engine raises ValueError about latents
            news.append({"type": "error", "message": str(error)})
            return
        if kind == "midi":
            self._changed |= {k: v for k, v in self._state().items() if v != before[k]}
            self._values |= {
                k: v for k, v in self._changed.items() if k not in ("timbre", *OF_THE_MAP)
            }
        elif kind == "set" and event["parameter"] not in OF_THE_MAP:
            self._values[event["parameter"]] = event["value"]
        self._remember(event)

    def _state(self) -> Message:
        """Timbre and parameters, which MIDI may change."""
        synth = self._synth
        values = {parameter.name: synth.get(parameter.name) for parameter in synth.parameters}
        return {"timbre": synth.timbre, **values}

    def _start_file(self, messages: list[TimedMessage], news: list[Message]) -> None:
        if self._file:
            self._take({"type": "all_off"}, news)
        self._file, self._next_file, self._programs = deque(messages), None, {}
        self._file_start = self.position

    def _play_file(self, news: list[Message]) -> int:
        """Apply the messages of the MIDI file that are due; return the position of the next."""
        while self._file and self._file_start + self._file[0][0] <= self.position:
            _, message = self._file.popleft()
            if message[0] >> 4 == PROGRAM_CHANGE:
                self._programs[message[0]] = message
            self._take({"type": "midi", "data": list(message)}, news)
            if not self._file:
                news.append({"type": "file_end"})
        return self._file_start + self._file[0][0] if self._file else self.position + BLOCK

    def _process(self, n: int) -> NDArray[np.float32]:
        samples = self._synth.process(n)
        for synth in list(self._ending):
            tail = synth.process(n)
            samples = samples + tail
            if not synth.n_sounding and not tail.any():
                self._ending.remove(synth)
        return np.asarray(samples, np.float32)

    def _take_over(self, synth: Synth, news: list[Message]) -> None:
        """Play another preset from here on, while the former rings out."""
        if not synth.plays_notes:
            self._take({"type": "stop_file"}, news)
        self._synth.all_off()
        self._ending = [*self._ending[1 - MAX_ENDING :], self._synth]
        news.append(self._begin(synth))
        if self._file:  # its programs choose timbres of the new preset
            for message in self._programs.values():
                self._take({"type": "midi", "data": list(message)}, news)

    # --- From either side -----------------------------------------------------------------------

    def _replace_silent(self, synth: Synth) -> Message:
        """Play another preset before any sound flows; of the waiting events, keep parameters."""
        news: list[Message] = []
        for event in self._waiting:
            if event["type"] == "set":
                self._take(event, news)
        self._waiting.clear()
        return self._begin(synth)

    def _begin(self, synth: Synth) -> Message:
        self._synth, self._next = synth, None
        self._remember(
            {
                "type": "preset",
                "preset": synth.preset.folder.name,
                "sample_rate": self.sample_rate,
                "seed": synth.seed,
                "polyphony": synth.polyphony,
                "block": BLOCK,
            }
        )
        supported = {parameter.name for parameter in synth.parameters}
        for name, value in self._values.items():
            if name in supported:
                synth.set(name, value)
                self._remember({"type": "set", "parameter": name, "value": value})
        return {"type": "preset", "at": self.position, **describe(synth)}

    def _remember(self, event: Message) -> None:
        self._log.append({"at": self.position, **event})
        self._n_logged += 1

    def _read_log(self) -> Message:
        n_forgotten = self._n_logged - len(self._log)
        return {
            "type": "log",
            "position": self.position,
            "events": list(self._log),
            "forgotten": n_forgotten,
        }
