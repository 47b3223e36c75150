"""Playback through a sound card by PortAudio: ALSA, JACK, PipeWire, CoreAudio or WASAPI."""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audiogen.devices.card_stream import NativeStream
from audiogen.errors import DeviceError, ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.core.playable import Playable

LARGEST_BLOCK = 8192  # samples
GONE_S = 3.0  # a card without a callback for this long counts as disconnected
# Switch interval of the interpreter's threads while a card plays. The default, 5 ms, is as long as
# a block of 256 samples, and MIDI callbacks are Python functions.
SWITCH_S = 0.0005
RECORDED_S = 10.0  # capacity for recorded sound that has not been read
READ_S = 0.05  # interval between reads
PRIORITY = 3  # below the threads of sound systems, even those of jackd -P10, which have 5


@dataclass(frozen=True)
class Device:
    """A sound card with outputs.

    Parameters
    ----------
    index : int
        Number of the sound card in PortAudio.
    name, host : str
        Names of the card and of its sound system.
    sample_rate : int, Hz
        Default rate of the card.
    n_channels : int
        Number of output channels in use, 1 or 2.
    is_default : bool
        Whether it is the system's default.
    """

    index: int
    name: str
    host: str
    sample_rate: int
    n_channels: int
    is_default: bool


def devices() -> list[Device]:
    """Return all sound cards with outputs.

    Raises
    ------
    DeviceError
        If PortAudio is not installed.
    """
    portaudio = _portaudio()
    hosts = portaudio.query_hostapis()
    default = portaudio.default.device[1]
    return [
        Device(
            index,
            found["name"],
            hosts[found["hostapi"]]["name"],
            round(found["default_samplerate"]),
            min(2, found["max_output_channels"]),
            index == default,
        )
        for index, found in enumerate(portaudio.query_devices())
        if found["max_output_channels"] > 0
    ]


def find_device(wanted: str | int | None = None) -> Device:
    """Return a sound card, given its index or a part of its name; the default one without.

    Raises
    ------
    DeviceError
        If there is no sound card, or none of that name, or several.
    """
    found = devices()
    if not found:
        raise DeviceError(
            "sound card not found; connect one or start JACK or PipeWire, or write a "
            "file with `audiogen render`, or a pipe with `audiogen stream`"
        )
    if wanted is None:
        return next((device for device in found if device.is_default), found[0])
    text = str(wanted).lower()
    for device in found:
        if text == str(device.index) or text == device.name.lower():
            return device
    fitting = [device for device in found if text in device.name.lower()]
    if len(fitting) == 1:
        return fitting[0]
    names = "; ".join(f"{device.index}: {device.name}" for device in fitting or found)
    fault = "is the name of several" if fitting else "not found"
    raise DeviceError(f"device {wanted!r} {fault}; give a number or name of {names}")


def block_of(device: Device, sample_rate: int, wanted: int) -> int:
    """Return the block size that a sound card should be opened with.

    A JACK server requests a whole period at once, in one or more blocks, so that the block size is
    its period. Other systems use the requested block size.

    Parameters
    ----------
    device : Device
        Sound card that will play.
    sample_rate : int, Hz
        Rate that it will run at.
    wanted : int, samples
        Requested block size; 0 lets the card choose.

    Returns
    -------
    int, samples
    """
    if "JACK" not in device.host:
        return wanted
    portaudio = _portaudio()
    block_sizes: list[int] = []
    called = threading.Event()

    def fill(out: np.ndarray, n: int, at: Any, status: Any) -> None:
        out.fill(0.0)
        block_sizes.append(n)
        called.set()

    options: dict[str, Any] = {"channels": device.n_channels, "dtype": "float32", "blocksize": 0}
    try:
        with (
            quiet_stderr(),
            portaudio.OutputStream(
                samplerate=sample_rate, device=device.index, callback=fill, **options
            ),
        ):
            called.wait(GONE_S)
    except portaudio.PortAudioError:
        return wanted  # `SoundCard` reports the error
    return block_sizes[0] if block_sizes else wanted


class SoundCard:
    """Plays a synth through a sound card from `start` to `close`, on a thread of PortAudio.

    PortAudio calls native code where the synth provides it (`Playable.connect`): no Python code
    runs on the audio thread. Otherwise, without the compiled module, the callback is a Python
    function, which may have to wait for other threads of the interpreter.

    Parameters
    ----------
    synth : Playable
        Source of the blocks; the card is opened at its sample rate.
    device : str or int, optional
        Argument of `find_device`.
    block : int, samples
        Block size; 0 lets the card choose.
    on_block : callable, optional
        Called with everything that is played, [n, 2], in order: on a thread that reads it about
        50 ms later, or on PortAudio's thread if the callback is a Python function.

    Raises
    ------
    DeviceError
        If the card is not found, or does not support the rate.
    ParameterError
    """

    def __init__(
        self,
        synth: Playable,
        device: str | int | None = None,
        block: int = 256,
        on_block: Callable[[np.ndarray], None] | None = None,
    ):
        if not 0 <= block <= LARGEST_BLOCK:
            raise ParameterError(f"block={block} must be 1 to {LARGEST_BLOCK} samples, or 0")
        self.device = find_device(device)
        self.error: Exception | None = None  # exception that stopped the playback
        self._synth, self._on_block = synth, on_block
        self._called_s = 0.0  # time of the last callback, or of the last check of their number
        self._n_calls = 0
        with realtime_priority():  # opens the synth's engine, whose threads inherit it
            # Longest period that the player can fill in time, samples.
            self._longest_period = synth.latency if synth.realtime else math.inf
        self._closed = False
        self._switch_s: float | None = None  # the interpreter's, while this card changes it
        n_recorded = round(RECORDED_S * synth.sample_rate) if on_block else 0
        self._output = synth.connect(self.device.n_channels, n_recorded)
        self._python: _PythonCallback | None = None
        portaudio = _portaudio()
        try:
            with quiet_stderr():
                if self._output is not None:
                    self._stream: Any = NativeStream(
                        portaudio,
                        self._output,
                        self.device.index,
                        self.device.n_channels,
                        synth.sample_rate,
                        block,
                    )
                else:
                    self._python = _PythonCallback(self, portaudio.CallbackAbort)
                    self._stream = portaudio.OutputStream(
                        samplerate=synth.sample_rate,
                        blocksize=block,
                        device=self.device.index,
                        channels=self.device.n_channels,
                        dtype="float32",
                        latency="low",
                        callback=self._python.fill,
                    )
        except portaudio.PortAudioError as error:
            synth.disconnect()
            raise DeviceError(
                f"{self.device.name} doesn't play at {synth.sample_rate} Hz in blocks of {block} "
                f"({error.args[0]}); it is set to {self.device.sample_rate} Hz"
            ) from error
        self._stop_reading = threading.Event()
        self._reader = threading.Thread(target=self._read_all, name="recording", daemon=True)

    def __enter__(self) -> SoundCard:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _source(self) -> Any:
        """The object that counts the callbacks."""
        return self._python if self._output is None else self._output

    @property
    def is_native(self) -> bool:
        """Whether the callback is native code."""
        return self._output is not None

    @property
    def latency_s(self) -> float:
        """Latency that the card adds to the player's, s; 0 if unknown, as with JACK."""
        return float(self._stream.latency)

    @property
    def n_late(self) -> int:
        """Blocks that were late for the card, by its own count."""
        return int(self._source.n_underflows)

    @property
    def outgrown(self) -> int:
        """Period of the card, samples, if it exceeds the player's latency; else 0."""
        period = int(self._source.period)
        return period if period > self._longest_period else 0

    @property
    def n_unrecorded(self) -> int:
        """Samples that were not passed to `on_block`, because it took too long."""
        return 0 if self._output is None else int(self._output.n_unrecorded)

    def timing(self) -> np.ndarray:
        """Lateness and duration (s) of the callbacks since the last call, [n_calls, 2].

        Lateness is the time from the estimated start of the block to its callback. At most the
        first 4096 callbacks are kept. None are measured if the callback is a Python function.
        """
        import numpy as np

        return np.zeros((0, 2), np.float32) if self._output is None else self._output.read_calls()

    def start(self) -> None:
        """Start playing."""
        self._called_s = time.monotonic()
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(min(SWITCH_S, self._switch_s))
        try:
            with quiet_stderr(), realtime_priority():  # PortAudio's thread inherits it, with ALSA
                self._stream.start()
        except _portaudio().PortAudioError as error:
            self.close()
            raise DeviceError(f"{self.device.name} doesn't start ({error.args[0]})") from error
        if self._output is not None and self._on_block is not None:
            self._reader.start()

    def check(self) -> None:
        """Check that the card is still playing.

        Raises
        ------
        DeviceError
            If the card is disconnected, or its server has ended.
        Exception
            The player's error, if it stopped the playback.
        """
        if self.error is not None:
            raise self.error
        n_calls = self._source.n_calls
        if n_calls != self._n_calls:
            self._n_calls, self._called_s = n_calls, time.monotonic()
        if time.monotonic() - self._called_s > GONE_S:
            raise DeviceError(
                f"{self.device.name} has requested no sound for {GONE_S:g} s; connect it, or start "
                f"{self.device.host}, and play again"
            )

    def close(self) -> None:
        """Stop playing; the player stays usable."""
        if self._closed:
            return
        self._closed = True
        if self._switch_s is not None:
            sys.setswitchinterval(self._switch_s)
        # PortAudio waits minutes for a disconnected card, here and when the program ends.
        closing = threading.Thread(target=self._stream.close, daemon=True)
        with quiet_stderr():
            closing.start()
            closing.join(GONE_S)
        if closing.is_alive():
            atexit.unregister(getattr(_portaudio(), "_exit_handler", _nothing))
        self._stop_reading.set()
        if self._reader.is_alive():
            self._reader.join()
        self._synth.disconnect()

    def _read_all(self) -> None:
        """Pass recorded samples to `on_block` until the card is closed."""
        assert self._on_block is not None
        is_last = False
        while not is_last:
            is_last = self._stop_reading.wait(READ_S)
            block = self._output.read()
            if not len(block):
                continue
            try:
                self._on_block(block)
            except Exception as error:
                self.error = error  # for `check`
                return


class _PythonCallback:
    """The callback of a card without native code, which runs on the thread of PortAudio."""

    def __init__(self, card: SoundCard, abort: type[Exception]):
        self.n_calls = self.n_underflows = self.period = 0
        self._card, self._abort = card, abort
        self._counted = (0.0, 0)  # start of the period by the card's clock, and samples so far

    def fill(self, out: np.ndarray, n: int, at: Any, status: Any) -> None:
        self.n_calls += 1
        self._count(n, at.currentTime)
        if status.output_underflow:
            self.n_underflows += 1
        synth, on_block = self._card._synth, self._card._on_block
        try:
            done = 0
            while done < n:
                block = synth.process(min(n - done, synth.max_block))
                if on_block:
                    on_block(block)
                mixed = block if out.shape[1] == 2 else block.mean(axis=1, keepdims=True)
                out[done : done + len(block)] = mixed
                done += len(block)
        except Exception as error:
            self._card.error = error
            raise self._abort from error

    def _count(self, n: int, now: float) -> None:
        """Add up the blocks of a period, which JACK requests at one time of its clock."""
        start, n_samples = self._counted
        if now == start:
            self._counted = start, n_samples + n
            return
        self.period, self._counted = n_samples, (now, n)


def _nothing() -> None: ...


def _portaudio() -> Any:
    with quiet_stderr():
        try:
            import sounddevice
        except OSError as error:
            raise DeviceError(
                f"PortAudio can't be loaded ({error}); install it, on Debian and Ubuntu with "
                "apt install libportaudio2"
            ) from error
    return sounddevice


@contextmanager
def realtime_priority() -> Iterator[None]:
    """Give threads that are started in this context real-time priority where permitted.

    Linux permits it to root and to users with an ``rtprio`` limit, which the packages of sound
    systems grant to the group ``audio``. The calling thread returns to its former priority at the
    end of the context, so that it does not compete with a synth's worker when it opens a preset.
    """
    before = None
    if sys.platform == "linux":
        with suppress(OSError):
            policy = os.sched_getscheduler(0), os.sched_getparam(0)
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
            before = policy
    try:
        yield
    finally:
        if before is not None:
            os.sched_setscheduler(0, *before)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Suppress the messages that sound systems print about missing cards."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
