"""Live playing without a thread: the synchronous mode of csrc/engine/live_engine.h."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from audiogen._fallback.engine import Engine, input_channels
from audiogen._fallback.instrument import AnyInstrument, Array, require
from audiogen._fallback.parameter_table import parameters
from audiogen.core import backend
from audiogen.core.events import EVENT, PARAMETER, Event, event_array, set_parameter
from audiogen.errors import MissingPackageError

MOST_POSTED = 1024  # events that wait for the next block
MARGINS_PER_SECOND = 200  # the default lookahead is max_block and 5 ms
SWAPS_PER_SECOND = 50  # a replaced instrument fades out in 20 ms
LONGEST_LOOKAHEAD_S = 10


class LiveEngine:
    """An engine whose instrument can be replaced; every event sounds ``lookahead`` samples later.

    Parameters
    ----------
    instrument : AnyInstrument
        Instrument that plays first.
    sample_rate : int, Hz
        Rate of the blocks.
    max_block : int, samples
        Blocks are rendered in pieces of this length.
    max_voices, seed, n_channels, n_inputs
        Arguments of `Engine`.
    lookahead : int, samples, optional
        Samples from an event to its start in the engine; ``max_block`` and 5 ms without.
    synchronous : bool
        Must be true.

    Raises
    ------
    MissingPackageError
        If the engine is asked to render ahead on a worker thread.
    """

    n_late = n_delayed = 0
    load = 0.0
    ready = True

    def __init__(
        self,
        instrument: AnyInstrument,
        sample_rate: int,
        max_block: int,
        max_voices: int,
        seed: int = 0,
        n_channels: int = 2,
        n_inputs: int = 0,
        lookahead: int | None = None,
        synchronous: bool = False,
        n_threads: int = 1,
    ):
        if not synchronous:
            raise MissingPackageError(backend.MISSING)
        if lookahead is None:
            lookahead = max_block + max(1, sample_rate // MARGINS_PER_SECOND)
        most = LONGEST_LOOKAHEAD_S * sample_rate
        require(0 <= lookahead <= most, f"lookahead={lookahead} samples must be 0 to {most}")
        self.lookahead, self.max_block, self.n_channels = lookahead, max_block, n_channels
        self._arguments = sample_rate, max_block, max_voices, seed, n_channels, n_inputs
        self._n_inputs = n_inputs
        self._engine = Engine(instrument, *self._arguments)
        self.latency = lookahead + self._engine.latency
        # Given from any thread, for the next block; of several engines the last counts.
        self._incoming: deque[Engine] = deque(maxlen=1)
        self._posted: deque[Event] = deque()
        self._swap_fade = max(1, sample_rate // SWAPS_PER_SECOND)  # samples
        self._fading: list[tuple[Engine, int]] = []  # replaced engines; samples left
        self._events: list[Event] = []  # events of the next block
        self._values: dict[int, float] = {}  # parameters that were set
        self._samples = np.zeros((lookahead, n_channels), np.float32)  # rendered
        self._former_transposed = self._former_stolen = 0  # counts of replaced engines
        self.n_sounding = self.n_transposed = self.n_stolen = self.n_dropped = 0
        self.peak = 0.0  # peak of the last block

    def process(self, n: int, events: np.ndarray, input: Array | None = None) -> Array:
        """Make the next ``n`` samples, [n, n_channels], as `Engine.process` does."""
        received = input_channels(input, n, self._n_inputs).T
        if self._incoming:
            self._start(self._incoming.popleft())
        while self._posted:
            self._events.append((0, *self._posted.popleft()[1:]))
        for event in _rows(events):
            # No earlier than the event before; those of an empty block wait for the next.
            least = self._events[-1][0] if self._events else 0
            self._events.append((max(least, min(event[0], max(n - 1, 0))), *event[1:]))
        blocks = [self._samples]
        for start in range(0, n, self.max_block):
            blocks.append(self._render(received[start : start + self.max_block]))
        out, self._samples = np.split(np.concatenate(blocks), [n])
        self.peak = float(np.abs(out).max(initial=0.0))
        return out

    def post(self, events: np.ndarray) -> int:
        """Add events for the start of the next block; returns how many had room."""
        rows = _rows(events)
        n = min(len(rows), MOST_POSTED - len(self._posted))
        self._posted.extend(rows[:n])
        self.n_dropped += len(rows) - n
        return n

    def swap(self, instrument: AnyInstrument) -> None:
        """Play another instrument from the next block on; the former fades out in 20 ms."""
        engine = Engine(instrument, *self._arguments)
        self.latency = self.lookahead + engine.latency
        self._incoming.append(engine)

    def _render(self, received: Array) -> Array:
        """The next ``len(received)`` samples."""
        n, engine = len(received), self._engine
        now = [event for event in self._events if event[0] < n]
        self._events = [(event[0] - n, *event[1:]) for event in self._events[len(now) :]]
        for _, kind, index, _, _, value, _ in now:
            if kind == PARAMETER and index < len(parameters) and np.isfinite(value):
                self._values[index] = value
        block = engine.process(n, event_array(now), received)
        self._add_fading(block)
        self.n_sounding = engine.n_sounding
        self.n_transposed = self._former_transposed + engine.n_transposed
        self.n_stolen = self._former_stolen + engine.n_stolen
        return block

    def _start(self, engine: Engine) -> None:
        """Play an engine with the parameters as they are."""
        self._former_transposed += self._engine.n_transposed
        self._former_stolen += self._engine.n_stolen
        self._fading.insert(0, (self._engine, self._swap_fade))
        self._engine = engine
        settings = [set_parameter(index, value) for index, value in self._values.items()]
        engine.process(0, event_array(settings))

    def _add_fading(self, block: Array) -> None:
        """Add replaced engines to a block."""
        fading = []
        for engine, left in self._fading:
            n = min(len(block), left)
            gain = np.arange(left, left - n, -1, dtype=np.float32) / np.float32(self._swap_fade + 1)
            block[:n] += gain[:, None] * engine.process(n, event_array([]))
            if left > n:
                fading.append((engine, left - n))
        self._fading = fading


def _rows(events: Any) -> list[Event]:
    return np.asarray(events, EVENT).reshape(-1).tolist()
