"""MIDI input: find the connected ports and pass their messages to a player."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audiogen.core.playable import Playable
from audiogen.devices.sound_card import quiet_stderr
from audiogen.errors import DeviceError

CLIENT = "audiogen"
LONGEST_DELIVERY_S = 0.05  # from port to callback; a longer delay means that times were lost
DRIFT = 1e-4  # of the port's clock relative to the system's
VIRTUAL = "virtual"  # a port of the program, which other programs connect to


@dataclass(frozen=True)
class Port:
    """A MIDI input port.

    Parameters
    ----------
    api : int
        Number of the MIDI system in rtmidi.
    index : int
        Number of the port in its system.
    name, system : str
        Names of the port and of its system.
    """

    api: int
    index: int
    name: str
    system: str


def ports(jack: bool = False) -> list[Port]:
    """Return all MIDI input ports, except ports that only forward messages.

    Parameters
    ----------
    jack : bool
        Whether to include JACK's ports; its server must run.
    """
    import rtmidi

    found = []
    for api in _systems(jack):
        reader = _open(api)
        if reader is None:
            continue
        system = rtmidi.get_api_display_name(api)
        found += [
            Port(api, index, name, system)
            for index, name in enumerate(reader.get_ports())
            if not name.startswith(("Midi Through", CLIENT))
        ]
        reader.delete()
    return found


class MidiInput:
    """Passes MIDI messages to a player until it is closed.

    Parameters
    ----------
    synth : Playable
        Receiver of the MIDI bytes.
    wanted : str, optional
        Part of a port's name, or ``virtual`` to create a port; None opens every port that can be
        opened.
    jack : bool
        Whether JACK's ports come first.

    Raises
    ------
    DeviceError
        If no port has the name, one that has it can't be opened, or the system does not support
        virtual ports.
    """

    def __init__(self, synth: Playable, wanted: str | None = None, jack: bool = False):
        import rtmidi

        self.names: list[str] = []  # names of the open ports
        self._readers: list[Any] = []
        if wanted == VIRTUAL:
            self._open_virtual(synth, jack)
            return
        found = ports(jack)
        for port in found:
            if wanted is not None and wanted.lower() not in port.name.lower():
                continue
            reader = _open(port.api)
            if reader is None:
                continue
            try:
                reader.open_port(port.index, "in")
            except rtmidi.RtMidiError as error:  # another program has it, or it is gone
                reader.delete()
                if wanted is None:
                    continue
                self.close()
                raise DeviceError(
                    f"MIDI port {port.name!r} can't be opened ({error}); end the program that uses"
                    " it, or name another port"
                ) from error
            self._listen(reader, synth)
            self.names.append(port.name)
        if wanted is not None and not self.names:
            here = "; ".join(port.name for port in found) or "none"
            raise DeviceError(
                f"MIDI port {wanted!r} not found; there are: {here}; 'virtual' makes one that "
                "other programs can connect to"
            )

    def __enter__(self) -> MidiInput:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all ports."""
        for reader in self._readers:
            reader.cancel_callback()
            reader.close_port()
            reader.delete()
        self._readers = []

    def _open_virtual(self, synth: Playable, jack: bool) -> None:
        import rtmidi

        for api in _systems(jack):
            reader = _open(api)
            if reader is None:
                continue
            try:
                reader.open_virtual_port("in")
            except (NotImplementedError, rtmidi.RtMidiError):
                reader.delete()
                continue
            self._listen(reader, synth)
            self.names.append(f"{CLIENT}:in ({rtmidi.get_api_display_name(api)})")
            return
        raise DeviceError(
            "virtual MIDI ports are not supported by this system; give the name of a port, or "
            "start JACK or load ALSA's sequencer (modprobe snd-seq)"
        )

    def _listen(self, reader: Any, synth: Playable) -> None:
        clock = PortClock()

        def play(message: tuple[list[int], float], _: object) -> None:
            synth.midi(bytes(message[0]), clock.age_s(message[1]))

        reader.set_callback(play)
        self._readers.append(reader)


class PortClock:
    """Clock that tells how long ago messages of a port were received.

    rtmidi measures the time between two messages on a native thread, where the system delivers
    them; its Python callback comes later, depending on how long other threads hold the
    interpreter. The message delivered fastest so far maps those times to the system's clock.

    Parameters
    ----------
    clock : callable
        Returns the time, s.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._elapsed_s = 0.0  # by the port's clock, since the first message
        self._origin_s: float | None = None  # time of the first message

    def age_s(self, since_last_s: float) -> float:
        """Return the age, s, of a message, given its time since the previous one."""
        now_s = self._clock()
        self._elapsed_s += since_last_s
        origin_s = now_s - self._elapsed_s
        if self._origin_s is not None:
            origin_s = min(origin_s, self._origin_s + DRIFT * since_last_s)
        age_s = now_s - self._elapsed_s - origin_s
        if age_s > LONGEST_DELIVERY_S:
            origin_s, age_s = now_s - self._elapsed_s, 0.0
        self._origin_s = origin_s
        return age_s


def _systems(jack: bool) -> list[int]:
    """Return the MIDI systems of rtmidi: JACK first if `jack`, otherwise without JACK."""
    import rtmidi

    compiled = rtmidi.get_compiled_api()
    others = [api for api in compiled if api != rtmidi.API_UNIX_JACK]
    return [rtmidi.API_UNIX_JACK, *others] if jack and len(others) < len(compiled) else others


def _open(api: int) -> Any:
    """Return an input of a MIDI system, or None if the system does not run."""
    import rtmidi

    with quiet_stderr():
        try:
            return rtmidi.MidiIn(api, CLIENT)
        except (rtmidi.RtMidiError, OSError):
            return None
