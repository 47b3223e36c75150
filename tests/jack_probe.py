"""A JACK server without a sound card, and a client that sends MIDI and keeps what it receives."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

RATE, PERIOD = 48000, 256
PATIENCE_S = 120.0  # a machine may be slow; nothing is right or wrong for being so


def load_soak() -> Any:
    from audiogen.studies import soak

    return soak


class Probe:
    """A client that sends MIDI and keeps what it hears."""

    def __init__(self, server: str) -> None:
        import jack

        self.client = jack.Client("probe", no_start_server=True, servername=server)
        self._in = self.client.inports.register("in")
        self._out = self.client.midi_outports.register("out")
        self._send: list[bytes] = []
        self._heard: list[np.ndarray] = []
        self._lock = threading.Lock()
        self.client.set_process_callback(self._process)
        self.client.activate()

    def close(self) -> None:
        self.client.deactivate()
        self.client.close()

    def _process(self, n: int) -> None:
        self._out.clear_buffer()
        with self._lock:
            for message in self._send:
                self._out.write_midi_event(0, message)
            self._send.clear()
            self._heard.append(self._in.get_array().copy())

    def send(self, *message: int) -> None:
        with self._lock:
            self._send.append(bytes(message))

    def hear(self, seconds: float) -> np.ndarray:
        """What comes from now on."""
        with self._lock:
            self._heard.clear()
        wanted = round(seconds * RATE / PERIOD)
        await_(lambda: len(self._heard) >= wanted)
        with self._lock:
            return np.concatenate(self._heard[:wanted])

    def connect(self) -> None:
        """Connect to the sound and the MIDI of a program that has just started."""
        import jack

        def ports(**which: Any) -> list[Any]:
            return [p for p in self.client.get_ports(**which) if not p.name.startswith("system")]

        def found() -> bool:
            sound = [p for p in ports(is_audio=True, is_output=True) if "probe" not in p.name]
            midi = [p for p in ports(is_midi=True, is_input=True) if "probe" not in p.name]
            if not sound or not midi:
                return False
            try:
                for source, target in ((sound[0], self._in), (self._out, midi[0])):
                    if not self.client.get_all_connections(target):
                        self.client.connect(source, target)
            except jack.JackErrorCode:  # its ports are there, but it isn't active yet
                return False
            return True

        await_(found)


def await_(happened: Any) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end_s, "it doesn't happen"
        time.sleep(0.02)


def strongest_hz(samples: np.ndarray) -> float:
    """Frequency of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * len(samples)))
    return float(np.argmax(spectrum) * RATE / (8 * len(samples)))
