"""MIDI input: find the connected ports and pass their messages to a player."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from audiogen.core.playable import Playable
from audiogen.devices.sound_card import quiet_stderr
from audiogen.errors import DeviceError

CLIENT = "audiogen"
LONGEST_DELIVERY_S = 0.05  # from port to callback; a longer delay means that times were lost
DRIFT = 1e-4  # of the port's clock relative to the system's
VIRTUAL = "virtual"  # a port of the program, which other programs connect to
NOTE_OFF, NOTE_ON, CONTROLLER = 0x80, 0x90, 0xB0  # status bytes of channel 0
SUSTAIN = 64  # number of the controller

# A port's system and name: its number changes when others are disconnected.
PortName = tuple[int, str]


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
    clients = _clients(jack)
    found = _ports_of(clients)
    for client in clients.values():
        client.delete()
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
        self._synth, self._wanted = synth, (wanted or "").lower()
        self._clients: dict[int, Any] = {}  # the client of each system that lists its ports
        self._found: dict[PortName, list[Port]] = {}
        self._readers: dict[PortName, list[_Reader]] = {}
        if wanted == VIRTUAL:
            self._open_virtual(jack)
            return
        self._clients = _clients(jack)
        try:
            self._update(must_open=wanted is not None)
            if wanted is not None and not self._readers:
                here = "; ".join(port.name for port in _ports_of(self._clients)) or "none"
                raise DeviceError(
                    f"MIDI port {wanted!r} not found; there are: {here}; 'virtual' makes one that "
                    "other programs can connect to"
                )
        except DeviceError:
            self.close()
            raise

    def __enter__(self) -> MidiInput:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def names(self) -> list[str]:
        """Names of the open ports."""
        return [reader.name for readers in self._readers.values() for reader in readers]

    @property
    def can_connect(self) -> bool:
        """Whether a MIDI system runs, so that a port can be connected later."""
        return bool(self._clients or self._readers)

    def refresh(self) -> bool:
        """Open wanted ports that have been connected, and close those that are gone.

        A closed port's keys and pedals are released.

        Returns
        -------
        bool
            Whether ports were connected or disconnected since the last call.
        """
        return self._update(must_open=False)

    def _update(self, must_open: bool) -> bool:
        """As `refresh`; raises DeviceError if `must_open` and a port can't be opened."""
        before, self._found = self._found, self._find()
        # Keyboards can share a name. When their number changes, all of them are reopened.
        changed = [
            name
            for name in {**before, **self._found}
            if len(before.get(name, ())) != len(self._found.get(name, ()))
        ]
        for name in changed:
            for reader in self._readers.pop(name, ()):
                reader.close()
        for name in changed:
            for port in self._found.get(name, ()):
                try:
                    self._open_port(port)
                except DeviceError:
                    if must_open:
                        raise
        return bool(changed)

    def close(self) -> None:
        """Close all ports."""
        for readers in self._readers.values():
            for reader in readers:
                reader.close()
        for client in self._clients.values():
            client.delete()
        self._readers, self._clients = {}, {}

    def _find(self) -> dict[PortName, list[Port]]:
        """Return the ports that are wanted, by system and name."""
        found: dict[PortName, list[Port]] = {}
        for port in _ports_of(self._clients):
            if self._wanted in port.name.lower():
                found.setdefault((port.api, port.name), []).append(port)
        return found

    def _open_port(self, port: Port) -> None:
        import rtmidi

        client = _open(port.api)
        if client is None:
            return
        try:
            client.open_port(port.index, "in")
        except rtmidi.RtMidiError as error:  # another program has it, or it is gone
            client.delete()
            raise DeviceError(
                f"MIDI port {port.name!r} can't be opened ({error}); end the program that uses"
                " it, or name another port"
            ) from error
        reader = _Reader(client, port.name, self._synth)
        self._readers.setdefault((port.api, port.name), []).append(reader)

    def _open_virtual(self, jack: bool) -> None:
        import rtmidi

        for api in _systems(jack):
            client = _open(api)
            if client is None:
                continue
            try:
                client.open_virtual_port("in")
            except (NotImplementedError, rtmidi.RtMidiError):
                client.delete()
                continue
            name = f"{CLIENT}:in ({rtmidi.get_api_display_name(api)})"
            self._readers[api, name] = [_Reader(client, name, self._synth)]
            return
        raise DeviceError(
            "virtual MIDI ports are not supported by this system; give the name of a port, or "
            "start JACK or load ALSA's sequencer (modprobe snd-seq)"
        )


class _Reader:
    """Passes the messages of one open port to a player, and knows what is held on it."""

    def __init__(self, client: Any, name: str, synth: Playable):
        self.name = name
        self._client, self._synth = client, synth
        self._clock = PortClock()
        self._keys: set[tuple[int, int]] = set()  # channel and key
        self._pedals: set[int] = set()  # channels
        client.set_callback(self._play)

    def close(self) -> None:
        """Close the port, and release its keys and pedals."""
        self._client.cancel_callback()
        self._client.close_port()
        self._client.delete()
        for channel, key in self._keys:
            self._synth.midi(bytes((NOTE_OFF | channel, key, 64)))
        for channel in self._pedals:
            self._synth.midi(bytes((CONTROLLER | channel, SUSTAIN, 0)))

    def _play(self, message: tuple[list[int], float], _: object) -> None:
        data, since_last_s = message
        self._synth.midi(bytes(data), self._clock.age_s(since_last_s))
        if len(data) != 3:
            return
        status, first, second = data
        kind, channel = status & 0xF0, status & 0x0F
        if kind == NOTE_ON and second:
            self._keys.add((channel, first))
        elif kind in (NOTE_ON, NOTE_OFF):
            self._keys.discard((channel, first))
        elif kind == CONTROLLER and first == SUSTAIN:
            (self._pedals.add if second >= 64 else self._pedals.discard)(channel)


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


def _clients(jack: bool) -> dict[int, Any]:
    """Return a client of each MIDI system that runs."""
    clients = ((api, _open(api)) for api in _systems(jack))
    return {api: client for api, client in clients if client is not None}


def _ports_of(clients: dict[int, Any]) -> list[Port]:
    """Return the ports of MIDI systems; none of a system that has stopped."""
    import rtmidi

    found = []
    for api, client in clients.items():
        system = rtmidi.get_api_display_name(api)
        with suppress(rtmidi.RtMidiError):
            found += [
                Port(api, index, name, system)
                for index, name in enumerate(client.get_ports())
                if not name.startswith(("Midi Through", CLIENT))
            ]
    return found


def _open(api: int) -> Any:
    """Return an input of a MIDI system, or None if the system does not run."""
    import rtmidi

    with quiet_stderr():
        try:
            return rtmidi.MidiIn(api, CLIENT)
        except (rtmidi.RtMidiError, OSError):
            return None
