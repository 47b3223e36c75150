"""A player heard through a sound card, by PortAudio: ALSA, JACK, PipeWire, CoreAudio, WASAPI."""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audiogen.errors import DeviceError, ParameterError

if TYPE_CHECKING:
    import numpy as np

    from audiogen.core.playable import Playable

LARGEST_BLOCK = 8192  # samples
GONE_S = 3.0  # a card that asks for nothing for so long is gone
# The interpreter's threads take turns this often; 5 ms, its default, are a block of 256 samples.
SWITCH_S = 0.0005
PRIORITY = 3  # under the threads of sound systems, even those of jackd -P10, which have 5


@dataclass(frozen=True)
class Device:
    """A sound card that plays.

    Parameters
    ----------
    index : int
        Number of the sound card in PortAudio.
    name, host : str
        Names of the card and of its sound system.
    sample_rate : int, Hz
        Rate that the card is set to.
    n_channels : int
        Output channels that are used, 1 or 2.
    is_default : bool
        Whether the system plays on it by default.
    """

    index: int
    name: str
    host: str
    sample_rate: int
    n_channels: int
    is_default: bool


def devices() -> list[Device]:
    """All sound cards that play.

    Raises
    ------
    DeviceError
        If PortAudio isn't there.
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
    """One sound card: the default one, or by its index or a part of its name.

    Raises
    ------
    DeviceError
        If there is none, or none like that.
    """
    found = devices()
    if not found:
        raise DeviceError(
            "there is no sound card that plays; connect one or start JACK or PipeWire, or write a "
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
    many = "is the name of several" if fitting else "isn't here"
    raise DeviceError(f"device {wanted!r} {many}; give a number or name of {names}")


def block_of(device: Device, sample_rate: int, wanted: int) -> int:
    """How many samples a card can be asked to take at once.

    A JACK server has a period, for which it asks in one go, in however many blocks; so a block is
    as long as that. Other systems take the block that is wanted.

    Parameters
    ----------
    device : Device
        Sound card that will play.
    sample_rate : int, Hz
        Rate that it will run at.
    wanted : int, samples
        Block that was asked for; 0 lets the card choose.

    Returns
    -------
    int, samples
    """
    if "JACK" not in device.host:
        return wanted
    portaudio = _portaudio()
    asked: list[int] = []
    heard = threading.Event()

    def fill(out: np.ndarray, n: int, at: Any, status: Any) -> None:
        out.fill(0.0)
        asked.append(n)
        heard.set()

    options: dict[str, Any] = {"channels": device.n_channels, "dtype": "float32", "blocksize": 0}
    try:
        with (
            quiet_stderr(),
            portaudio.OutputStream(
                samplerate=sample_rate, device=device.index, callback=fill, **options
            ),
        ):
            heard.wait(GONE_S)
    except portaudio.PortAudioError:
        return wanted  # the card will say why
    return asked[0] if asked else wanted


class SoundCard:
    """Plays a synth through a sound card, from `start` to `close`, in a thread of PortAudio.

    Parameters
    ----------
    synth : Playable
        Source of the blocks; its rate becomes the card's.
    device : str or int, optional
        Argument of `find_device`.
    block : int, samples
        0 lets the card choose.
    heard : callable, optional
        Gets each block, [n, 2], in the card's thread.

    Raises
    ------
    DeviceError
        If there is no card, or it refuses the rate.
    ParameterError
    """

    def __init__(
        self,
        synth: Playable,
        device: str | int | None = None,
        block: int = 256,
        heard: Callable[[np.ndarray], None] | None = None,
    ):
        if not 0 <= block <= LARGEST_BLOCK:
            raise ParameterError(f"block={block}; give 1 to {LARGEST_BLOCK} samples, or 0")
        self.device = find_device(device)
        self.n_late = 0  # blocks that came too late for the card
        self.outgrown = 0  # samples that it takes at once, if the player can't be so far ahead
        self.error: Exception | None = None  # what stopped the sound
        self._synth, self._heard = synth, heard
        self._asked_s = 0.0  # when it last asked for sound
        # How far the player works ahead, for what is taken at once.
        self._ahead = synth.latency if synth.realtime else math.inf
        self._period = (0.0, 0)  # when it last took samples, by its clock, and how many
        self._closed = False
        portaudio = _portaudio()
        self._abort = portaudio.CallbackAbort
        try:
            with quiet_stderr():
                self._stream = portaudio.OutputStream(
                    samplerate=synth.sample_rate,
                    blocksize=block,
                    device=self.device.index,
                    channels=self.device.n_channels,
                    dtype="float32",
                    latency="low",
                    callback=self._fill,
                )
        except portaudio.PortAudioError as error:
            raise DeviceError(
                f"{self.device.name} doesn't play at {synth.sample_rate} Hz in blocks of {block} "
                f"({error.args[0]}); it is set to {self.device.sample_rate} Hz"
            ) from error

    def __enter__(self) -> SoundCard:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def latency_s(self) -> float:
        """What the card adds to the player's latency; 0 if it doesn't say, as JACK."""
        return float(self._stream.latency)

    def start(self) -> None:
        """Begin to play."""
        self._asked_s = time.monotonic()
        try:
            with quiet_stderr():
                self._stream.start()
        except _portaudio().PortAudioError as error:
            raise DeviceError(f"{self.device.name} doesn't start ({error.args[0]})") from error

    def check(self) -> None:
        """Find out whether the sound goes on.

        Raises
        ------
        DeviceError
            If the card is gone: pulled out, or its server has ended.
        Exception
            Whatever stopped the player.
        """
        if self.error is not None:
            raise self.error
        if time.monotonic() - self._asked_s > GONE_S:
            raise DeviceError(
                f"{self.device.name} has asked for no sound for {GONE_S:g} s; connect it, or start "
                f"{self.device.host}, and play again"
            )

    def close(self) -> None:
        """End the sound; the player can be played on elsewhere."""
        if self._closed:
            return
        self._closed = True
        # PortAudio waits for minutes for a card that is gone, here and when the program ends.
        closing = threading.Thread(target=self._stream.close, daemon=True)
        with quiet_stderr():
            closing.start()
            closing.join(GONE_S)
        if closing.is_alive():
            atexit.unregister(getattr(_portaudio(), "_exit_handler", _nothing))

    def _fill(self, out: np.ndarray, n: int, at: Any, status: Any) -> None:
        self._asked_s = time.monotonic()
        self._count(n, at.currentTime)
        if status.output_underflow:
            self.n_late += 1
        try:
            done = 0
            while done < n:
                block = self._synth.process(min(n - done, self._synth.max_block))
                if self._heard:
                    self._heard(block)
                mixed = block if out.shape[1] == 2 else block.mean(axis=1, keepdims=True)
                out[done : done + len(block)] = mixed
                done += len(block)
        except Exception as error:
            self.error = error
            raise self._abort from error

    def _count(self, n: int, now: float) -> None:
        """Add up what is asked for at once: JACK's period is one, in however many blocks."""
        began, taken = self._period
        if now == began:
            self._period = began, taken + n
            return
        self._period = now, n
        self.outgrown = taken if taken > self._ahead else 0


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
def before_other_programs() -> Iterator[None]:
    """Let this thread, and those that it starts, run before other programs where that's allowed.

    Linux allows it to root and to whom a limit ``rtprio`` is granted, as sound systems' packages
    grant it to the group ``audio``.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    before = None
    if sys.platform == "linux":
        try:
            before = os.sched_getscheduler(0), os.sched_getparam(0)
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
        except OSError:
            before = None
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if sys.platform == "linux" and before is not None:
            os.sched_setscheduler(0, *before)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what sound systems print, of cards that aren't there, off the screen."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
