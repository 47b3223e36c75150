"""Live playing for minutes on a JACK server that has no sound card, beside a client that idles.

    python docs/studies/soak.py [--seconds 600] [--periods 64 128 256 512] [--margins 5 20]
        [--callbacks native python]

plays random notes, knobs and presets on a `Synth` that a thread of its own works ahead for, by
PortAudio as `audiogen play` does. In the same window a second server of the same period has a
client that only returns: what is late there is the machine's doing. Prints a table in Markdown.
With `--callbacks python` PortAudio calls a Python function, as without the compiled module.

Wants jackd2 and the Python package JACK-Client. Root, or a user who may ask for real-time priority,
gets the figures that count; others get `jackd -r`, which reports stalls of its own.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import random
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RATE = 48000  # Hz
SETTLE_S = 0.5  # with each preset, twice, before anything is counted: memory is full by then
NOTES_HZ, KNOBS_HZ = 8.0, 20.0  # events a second, on average
PRESET_S = 5.0  # between changes
MOST_HELD = 8


@dataclass
class Client:
    """What one client's server told it, in the window.

    Parameters
    ----------
    blocks, xruns : int
    worst_ms : float
        The longest that the server waited in vain.
    """

    blocks: int = 0
    xruns: int = 0
    worst_ms: float = 0.0


@dataclass
class Soak:
    """What a run gave.

    Parameters
    ----------
    period : int, samples
    margin_ms, seconds : float
    realtime : bool
        Whether the servers have real-time priority.
    ours, idle : Client
    late, delayed : int
        Blocks that the synth's thread hadn't ready; notes that waited for it.
    load, most_load, peak : float
        Part of the time that making the sound took, on average and in the worst third of a second.
    silent : int
        Blocks without a sound soon after a note was struck that is still held.
    notes, knobs, changes : int
        Events that were played.
    memory_mb, growth_mb : float
        Resident at the end; how much more at least in the last fifth than in the second, since
        an instrument that fades out is there beside the next one.
    callback : str
        ``native`` or ``python``.
    jitter_ms, longest_ms : float
        How late 99.9 % of the callbacks are at most against a regular clock; the longest callback.
    """

    period: int
    margin_ms: float
    seconds: float
    realtime: bool
    ours: Client
    idle: Client
    late: int
    delayed: int
    load: float
    most_load: float
    peak: float
    silent: int
    notes: int
    knobs: int
    changes: int
    memory_mb: float
    growth_mb: float
    callback: str = "native"
    jitter_ms: float = 0.0
    longest_ms: float = 0.0


@contextmanager
def jack_server(period: int) -> Iterator[tuple[str, bool]]:
    """A JACK server without a sound card: its name, and whether it has real-time priority."""
    jackd = shutil.which("jackd")
    if jackd is None:
        raise SystemExit("soak: this needs jackd; install jackd2")
    for realtime in (True, False):
        name = f"soak-{secrets.token_hex(4)}"
        priority = ["-R", "-P10"] if realtime else ["-r"]
        dummy = ["-S", "-d", "dummy", "-r", str(RATE), "-p", str(period)]
        server = subprocess.Popen(
            [jackd, "-n", name, *priority, *dummy],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if _answers(name, server):
                yield name, realtime
                return
        finally:
            server.terminate()
            server.wait()
    raise SystemExit("soak: jackd doesn't start; run it by hand to see why")


def _answers(name: str, server: subprocess.Popen) -> bool:
    import jack

    jack.set_error_function(lambda _: None)
    for _ in range(200):
        if server.poll() is not None:
            return False
        try:
            jack.Client("audiogen-probe", no_start_server=True, servername=name).close()
            return True
        except jack.JackOpenError:
            time.sleep(0.05)
    return False


class Counter:
    """Counts a client's blocks and its server's stalls, from `begin` on."""

    def __init__(self, client: Any):
        self.counted = Client()
        self.counts = False
        client.set_xrun_callback(self._stalled)

    def begin(self) -> None:
        self.counts = True

    def end(self) -> None:
        self.counts = False

    def block(self) -> None:
        self.counted.blocks += self.counts

    def _stalled(self, microseconds: float) -> None:
        if self.counts:
            self.counted.xruns += 1
            self.counted.worst_ms = max(self.counted.worst_ms, microseconds / 1e3)


def idle(server: str, seconds: float) -> None:
    """The client that does nothing, in a process of its own; prints what it saw."""
    import jack

    client = jack.Client("idle", no_start_server=True, servername=server)
    client.outports.register("out")
    counter = Counter(client)
    client.set_process_callback(lambda n: counter.block())
    with client:
        print("ready", flush=True)
        sys.stdin.readline()
        counter.begin()
        time.sleep(seconds)
        counter.end()
    counted = counter.counted
    print(counted.blocks, counted.xruns, counted.worst_ms, flush=True)


class Hands:
    """Random notes, knobs and presets, the same ones at every run."""

    def __init__(self, synth: Any, presets: list[str], seed: int = 0):
        self._synth, self._presets = synth, itertools.cycle(presets)
        self._random = random.Random(seed)
        self._held: list[int] = []
        self._struck_s = 0.0  # when the newest note was
        self._change_s = time.monotonic() + PRESET_S
        self.notes = self.knobs = self.changes = 0

    def must_sound(self) -> bool:
        """Whether a note is held that was struck a moment ago: no preset's has ended by then."""
        return bool(self._held) and 0.12 < time.monotonic() - self._struck_s < 0.25

    def play(self, seconds: float) -> None:
        """Play for so long."""
        now_s = began_s = time.monotonic()
        while now_s < began_s + seconds:
            if now_s >= self._change_s:
                self.change()
            elif self._random.random() < NOTES_HZ / (NOTES_HZ + KNOBS_HZ):
                self._note()
            else:
                self._knob()
            time.sleep(self._random.expovariate(NOTES_HZ + KNOBS_HZ))
            now_s = time.monotonic()

    def change(self) -> None:
        """To the next preset."""
        self._change_s = time.monotonic() + PRESET_S
        self._synth.change_preset(next(self._presets))
        self._held.clear()
        self.changes += 1
        self._note()

    def _note(self) -> None:
        if len(self._held) >= MOST_HELD or (self._held and self._random.random() < 0.45):
            self._synth.note_off(self._held.pop(self._random.randrange(len(self._held))))
            self._struck_s = 0.0
        else:
            pitch = self._random.randrange(40, 80)
            self._synth.timbre = self._random.choice(self._synth.timbres)
            self._synth.note_on(pitch, self._random.uniform(0.2, 1.0))
            self._struck_s = time.monotonic()
            if pitch not in self._held:
                self._held.append(pitch)
            self.notes += 1

    def _knob(self) -> None:
        controllers = (1, 5, 7, 10, 16, 64)  # vibrato, glide, volume, pan, morph, pedal
        number = self._random.choice(controllers)
        value = self._random.randrange(64, 128) if number == 7 else self._random.randrange(128)
        self._synth.midi(bytes([0xB0, number, value]))
        wheel = self._random.randrange(1 << 14)
        self._synth.midi(bytes([0xE0, wheel & 127, wheel >> 7, 0xD0, wheel & 127]))
        self.knobs += 3


class PythonCallbacks:
    """Makes a card call a synth's `process` as without the compiled module, and takes the time."""

    def __init__(self, synth: Any):
        self.calls: list[tuple[float, float]] = []  # time and duration, s
        self._process = synth.process
        synth.connect = lambda n_channels, n_recorded: None
        synth.process = self.process

    def process(self, n: int) -> Any:
        began_s = time.monotonic()
        block = self._process(n)
        self.calls.append((began_s, time.monotonic() - began_s))
        return block

    def timing(self, period: int) -> Any:
        """Lateness and duration of the calls since the last call of this; see `SoundCard`."""
        import numpy as np

        calls, self.calls = np.array(self.calls), []
        if len(calls) < 2:
            return np.zeros((0, 2))
        late_s = calls[:, 0] - np.arange(len(calls)) * period / RATE
        return np.stack([late_s - np.median(late_s), calls[:, 1]], axis=1)


def soak(
    period: int,
    seconds: float,
    presets: list[str],
    voices: int = 16,
    margin_ms: float = 5.0,
    callback: str = "native",
) -> Soak:
    """Play at one period, with so much time for the thread that works ahead."""
    import jack
    import numpy as np

    from audiogen.devices.sound_card import SoundCard, realtime_priority
    from audiogen.engine import Synth

    with (
        realtime_priority(),
        jack_server(period) as (our_server, realtime),
        jack_server(period) as (idle_server, _),
        Synth(
            presets[0], RATE, max_block=period, polyphony=voices, realtime=True, margin_ms=margin_ms
        ) as synth,
        _idle_process(idle_server, seconds) as other,
        _portaudio_on(our_server),
    ):
        observer = jack.Client("observer", no_start_server=True, servername=our_server)
        counter, hands = Counter(observer), Hands(synth, presets[1:] + presets[:1])
        silent = [0]
        broken: list[str] = []

        def check(sound: Any) -> None:
            if not np.isfinite(sound).all():
                broken.append("the synth gave NaN or infinity")
            if counter.counts and hands.must_sound():
                newest = sound[-round(0.05 * RATE) :]  # a reader that was held up reads older ones
                blocks = newest[: len(newest) // period * period].reshape(-1, 2 * period)
                silent[0] += int((~blocks.any(axis=1)).sum())

        python = PythonCallbacks(synth) if callback == "python" else None
        card = SoundCard(synth, block=period, on_block=check)
        assert card.is_native == (python is None)
        timing = (lambda: python.timing(period)) if python else card.timing
        gc.collect()
        gc.freeze()
        memory: list[float] = []
        loads: list[float] = []
        timings: list[Any] = []
        with observer, card:
            for _ in range(2 * len(presets)):
                hands.change()
                hands.play(SETTLE_S)
            late_before, delayed_before = synth.n_late, synth.n_delayed
            assert other.stdin is not None and other.stdout is not None
            print("go", file=other.stdin, flush=True)
            timing()
            counter.begin()
            position = synth.position
            end_s = time.monotonic() + seconds
            while (left_s := end_s - time.monotonic()) > 0:
                hands.play(min(0.3, left_s))
                loads.append(synth.load)
                memory.append(_resident_mb())
                timings.append(timing())
            counter.end()
            counter.counted.blocks = (synth.position - position) // period
            late, delayed = synth.n_late - late_before, synth.n_delayed - delayed_before
            peak = synth.peak
        observer.close()
        blocks, xruns, worst_ms = other.stdout.readline().split()
    late_s, lasted_s = np.concatenate(timings).T
    if broken:
        raise SystemExit(f"soak: {broken[0]}")
    part = max(1, len(memory) // 5)
    return Soak(
        period,
        margin_ms,
        seconds,
        realtime,
        counter.counted,
        Client(int(blocks), int(xruns), float(worst_ms)),
        late,
        delayed,
        sum(loads) / len(loads),
        max(loads),
        peak,
        silent[0],
        hands.notes,
        hands.knobs,
        hands.changes,
        memory[-1],
        min(memory[-part:]) - min(memory[part : 2 * part] or memory),
        callback,
        1e3 * float(np.quantile(late_s, 0.999)),
        1e3 * float(lasted_s.max()),
    )


@contextmanager
def _portaudio_on(server: str) -> Iterator[None]:
    """Let PortAudio, which looks for JACK's server only when it is initialised, find this one."""
    import sounddevice

    def end() -> None:
        while sounddevice._initialized:
            sounddevice._terminate()

    end()
    os.environ["JACK_DEFAULT_SERVER"] = server
    sounddevice._initialize()
    try:
        yield
    finally:
        end()  # while the server is there; otherwise PortAudio aborts the process


@contextmanager
def _idle_process(server: str, seconds: float) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--idle", server, "--seconds", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise SystemExit("soak: the client that does nothing doesn't start")
        yield process
    finally:
        process.terminate()
        process.wait()


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def row(run: Soak) -> str:
    """A line of the table."""
    beyond = run.ours.xruns - run.idle.xruns
    cells = (
        run.callback,
        f"{run.period}",
        f"{run.margin_ms:g} ms",
        f"{run.ours.blocks}",
        f"{100 * run.load:.0f} % ({100 * run.most_load:.0f} %)",
        f"{run.late} ({100 * run.late / max(1, run.ours.blocks):.1f} %)",
        f"{run.delayed} of {run.notes}",
        f"{run.jitter_ms:.2f} ms",
        f"{run.longest_ms:.2f} ms",
        f"{run.ours.xruns}",
        f"{run.idle.xruns}",
        f"{beyond:+d}",
        f"{run.ours.worst_ms:.1f} ms",
        f"{run.idle.worst_ms:.1f} ms",
        f"{run.silent}",
        f"{run.growth_mb:+.1f} MB of {run.memory_mb:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


HEADINGS = (
    "callback",
    "period",
    "margin",
    "blocks",
    "load (most)",
    "late in the engine",
    "notes delayed",
    "99.9 % of callbacks within",
    "longest callback",
    "stalls, ours",
    "doing nothing",
    "beyond it",
    "worst, ours",
    "doing nothing",
    "silent while held",
    "memory growth",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--periods", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--margins", type=float, nargs="+", default=[5.0], help="ms")
    parser.add_argument("--presets", nargs="+", default=["plucked", "struck", "sustained"])
    parser.add_argument("--voices", type=int, default=16)
    parser.add_argument("--callbacks", choices=["native", "python"], nargs="+", default=["native"])
    parser.add_argument("--idle", metavar="SERVER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.idle:
        idle(given.idle, given.seconds)
        return
    print("| " + " | ".join(HEADINGS) + " |")
    print("|" + "---|" * len(HEADINGS))
    for margin_ms, period, callback in itertools.product(
        given.margins, given.periods, given.callbacks
    ):
        run = soak(period, given.seconds, given.presets, given.voices, margin_ms, callback)
        print(row(run), flush=True)


if __name__ == "__main__":
    main()
