"""Study: live playing for minutes on a JACK server without a sound card, beside an idle client.

Random notes, parameters and presets are played on a `Synth` with a worker thread, through PortAudio
as `audiogen play` does. At the same time a second server of the same period has a client that does
nothing, and on each processor a watcher of a priority above JACK's wakes every millisecond: what
stalls there is caused by the machine. Root, or a user who may ask for real-time priority, gets the
numbers that count; others get ``jackd -r``, which stalls by itself.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import random
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from audiogen.errors import AudiogenError, MissingPackageError
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts

RUNS = "runs.jsonl"
RATE = 48000  # Hz
NOTES_HZ, KNOBS_HZ = 8.0, 20.0  # events per second, on average
PRESET_S = 5.0  # between changes of the preset
MOST_HELD, N_VOICES = 8, 16
POLL_S = 0.05  # between readings of the counters
JUDGED = 256  # period at which no block may be late
# Lateness of a watcher, a processor's most urgent thread, that counts as a stall of the machine.
STALL_S = 0.002
WATCHER_PRIORITY = 20  # above JACK's threads
MOST_GROWTH_MB = 100.0  # of a process that holds hundreds; a leak of engines is more


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    runs : tuple of (int, float, str, float)
        Period in samples, margin in ms, callback (native or python) and seconds of each run.
    presets : tuple of str
        Presets that are played in turn.
    settle_s : float, s
        Time with each preset, twice, before anything is counted: memory is full by then.
    is_evidence : bool
        Whether the run is large enough for the claims.
    """

    runs: tuple[tuple[int, float, str, float], ...]
    presets: tuple[str, ...]
    settle_s: float
    is_evidence: bool


SIZES = {
    "smoke": Size(((256, 5.0, "native", 1.0),), ("plucked",), 0.2, False),
    "full": Size(
        (
            *((period, 5.0, "native", 600.0) for period in (256, 64, 128, 512)),
            (256, 10.0, "native", 600.0),
            (64, 5.0, "python", 150.0),
        ),
        ("plucked", "struck", "woodwinds"),
        0.5,
        True,
    ),
}


@dataclass
class Client:
    """Reports of one client's server while it is counted.

    Parameters
    ----------
    blocks, xruns : int
        Numbers of periods and of stalls.
    worst_ms : float, ms
        Longest stall.
    """

    blocks: int = 0
    xruns: int = 0
    worst_ms: float = 0.0


@dataclass
class Soak:
    """Result of one run.

    Parameters
    ----------
    period : int, samples
        Period of both servers.
    margin_ms, seconds : float
        Time that the worker thread works ahead, and length of the run.
    realtime : bool
        Whether the servers have real-time priority.
    ours, idle : Client
        Reports of both servers.
    late, delayed : int
        Blocks that the worker hadn't finished in time; notes that waited for it.
    load, most_load, peak : float
        Share of the time that synthesis took, on average and in the worst third of a second, and
        largest sample.
    silent : int
        Blocks without a sound soon after a note was struck that is still held.
    notes, knobs, changes : int
        Numbers of events that were played.
    memory_mb, growth_mb : float
        Resident memory at the end, and its mean in the last fifth minus that in the second: it
        goes up and down, since an instrument that fades out stays beside the next one.
    stalls, late_in_stalls : int
        Times that a watcher woke more than `STALL_S` late; late blocks within about 0.1 s of one.
    callback : str
        ``native`` or ``python``.
    jitter_ms, longest_ms : float, ms
        Lateness of callbacks against a regular clock, 99.9 % quantile; longest callback.
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
    stalls: int = 0
    late_in_stalls: int = 0
    callback: str = "native"
    jitter_ms: float = 0.0
    longest_ms: float = 0.0


@contextmanager
def jack_server(period: int) -> Iterator[tuple[str, bool]]:
    """Run a JACK server without a sound card; yield its name and whether it is real-time."""
    jackd = shutil.which("jackd")
    if jackd is None:
        raise MissingPackageError("soak needs the program jackd: apt install jackd2")
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
    raise AudiogenError("jackd doesn't start; run jackd -d dummy to see why")


def _jack() -> Any:
    """The package of JACK clients; it loads JACK's library."""
    try:
        return importlib.import_module("jack")
    except (ImportError, OSError) as error:
        raise MissingPackageError(
            f"soak needs JACK-Client ({error}): pip install JACK-Client"
        ) from error


def _answers(name: str, server: subprocess.Popen[bytes]) -> bool:
    jack = _jack()
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
    """Run the client that does nothing, in a process of its own; print its reports."""
    jack = _jack()
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


def watch(processor: int, seconds: float) -> None:
    """Print the times at which this processor stalled, in a process of its own."""
    os.sched_setaffinity(0, {processor})
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(WATCHER_PRIORITY))
    print("ready", flush=True)
    sys.stdin.readline()
    stalls_s, end_s = [], time.monotonic() + seconds
    while (now_s := time.monotonic()) < end_s:
        time.sleep(0.001)
        if time.monotonic() > now_s + 0.001 + STALL_S:
            stalls_s.append(now_s)
    print(*stalls_s, flush=True)


class Hands:
    """Player of random notes, parameters and presets, the same in every run."""

    def __init__(self, synth: Any, presets: list[str], seed: int = 0):
        self._synth, self._presets = synth, itertools.cycle(presets)
        self._random = random.Random(seed)
        self._held: list[int] = []
        self._struck_s = 0.0  # when the newest note was
        self._change_s = time.monotonic() + PRESET_S
        self.notes = self.knobs = self.changes = 0

    def must_sound(self) -> bool:
        """Whether a note is held that was struck so recently that it sounds with every preset."""
        return bool(self._held) and 0.12 < time.monotonic() - self._struck_s < 0.25

    def play(self, seconds: float) -> None:
        """Play for a number of seconds."""
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
        """Change to the next preset."""
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
    """Timed calls of a synth's `process` from Python, as without the compiled module."""

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
        """Return lateness and duration of the calls since the last timing; see `SoundCard`."""
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
    margin_ms: float = 5.0,
    callback: str = "native",
    settle_s: float = 0.5,
) -> Soak:
    """Play for a number of seconds at one period and margin of the worker thread."""
    import numpy as np

    from audiogen.devices.sound_card import SoundCard
    from audiogen.engine import Synth

    jack = _jack()
    with (
        jack_server(period) as (our_server, realtime),
        jack_server(period) as (idle_server, _),
        Synth(
            presets[0],
            RATE,
            max_block=period,
            polyphony=N_VOICES,
            realtime=True,
            margin_ms=margin_ms,
        ) as synth,
        _process(f"idle({idle_server!r}, {seconds!r})") as other,
        ExitStack() as stack,
        _portaudio_on(our_server),
    ):
        watchers = [
            stack.enter_context(_process(f"watch({processor}, {seconds + 0.5!r})"))
            for processor in sorted(os.sched_getaffinity(0) if realtime else ())
        ]
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
        lates: list[tuple[float, int]] = []  # time, and late blocks so far
        with observer, card:
            for _ in range(2 * len(presets)):
                hands.change()
                hands.play(settle_s)
            late_before, delayed_before = synth.n_late, synth.n_delayed
            for process in (other, *watchers):
                print("go", file=process.stdin, flush=True)
            timing()
            counter.begin()
            position = synth.position
            end_s = time.monotonic() + seconds
            lates.append((time.monotonic(), late_before))
            while (left_s := end_s - time.monotonic()) > 0:
                hands.play(min(POLL_S, left_s))
                loads.append(synth.load)
                memory.append(_resident_mb())
                timings.append(timing())
                lates.append((time.monotonic(), synth.n_late))
            counter.end()
            counter.counted.blocks = (synth.position - position) // period
            late, delayed = synth.n_late - late_before, synth.n_delayed - delayed_before
            peak = synth.peak
        observer.close()
        blocks, xruns, worst_ms = _line(other).split()
        stalls_s = [float(word) for watcher in watchers for word in _line(watcher).split()]
    late_s, lasted_s = np.concatenate(timings).T
    if broken:
        raise AudiogenError(broken[0])
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
        float(np.mean(memory[-part:]) - np.mean(memory[part : 2 * part] or memory)),
        len(stalls_s),
        _late_near(stalls_s, lates),
        callback,
        1e3 * float(np.quantile(late_s, 0.999)),
        1e3 * float(lasted_s.max()),
    )


@contextmanager
def _portaudio_on(server: str) -> Iterator[None]:
    """Initialise PortAudio with this server, since it looks for JACK's only then."""
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
def _process(call: str) -> Iterator[subprocess.Popen[str]]:
    """Run a function of this module in a process of its own; it waits for a line of input."""
    with subprocess.Popen(
        [sys.executable, "-c", f"from audiogen.studies import soak; soak.{call}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if _line(process).strip() != "ready":
                raise AudiogenError(f"a process beside the synth doesn't start: {call}")
            yield process
        finally:
            process.terminate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _late_near(stalls_s: Sequence[float], lates: Sequence[tuple[float, int]]) -> int:
    """Late blocks that were counted within about 0.1 s of a stall."""
    n = 0
    for (from_s, before), (until_s, after) in itertools.pairwise(lates):
        n += (after - before) * any(from_s - POLL_S < stall_s < until_s for stall_s in stalls_s)
    return n


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


HEADINGS = (
    "callback",
    "period",
    "margin",
    "blocks",
    "load (highest)",
    "late in the engine",
    "near a stall of the machine",
    "notes delayed",
    "99.9 % of callbacks within",
    "longest callback",
    "stalls, audiogen",
    "stalls, idle client",
    "difference",
    "longest, audiogen",
    "longest, idle client",
    "silent while held",
    "memory growth",
)


def row(run: Soak) -> tuple[str, ...]:
    """Return the cells of a run, in the order of `HEADINGS`."""
    return (
        run.callback,
        f"{run.period}",
        f"{run.margin_ms:g} ms",
        f"{run.ours.blocks}",
        f"{100 * run.load:.0f} % ({100 * run.most_load:.0f} %)",
        f"{run.late} ({100 * run.late / max(1, run.ours.blocks):.2f} %)",
        f"{run.late_in_stalls} ({run.stalls} stalls)",
        f"{run.delayed} of {run.notes}",
        f"{run.jitter_ms:.2f} ms",
        f"{run.longest_ms:.2f} ms",
        f"{run.ours.xruns}",
        f"{run.idle.xruns}",
        f"{run.ours.xruns - run.idle.xruns:+d}",
        f"{run.ours.worst_ms:.1f} ms",
        f"{run.idle.worst_ms:.1f} ms",
        f"{run.silent}",
        f"{run.growth_mb:+.1f} MB of {run.memory_mb:.0f}",
    )


def run(
    size: str,
    folder: Path,
    *,
    seed: int,
    jobs: int,
    minutes: float | None,
    progress: Callable[[int, int], None],
) -> StudyResult:
    """Run the study; see `audiogen.studies.run_study`. Runs are never parallel."""
    sizes = SIZES[size]
    names = ("period", "margin_ms", "callback", "seconds")
    parts: list[Part] = [dict(zip(names, values, strict=True)) for values in sizes.runs]
    lines = run_parts(
        folder / RUNS, parts, partial(_numbers, sizes), minutes=minutes, progress=progress
    )
    soaks = []
    for line in lines:
        clients = {name: Client(**line[name]) for name in ("ours", "idle")}
        soaks.append(Soak(**{**line, **clients}))
    left = len(parts) - len(lines)
    checks = _checks(soaks) if sizes.is_evidence and not left else {}
    missing = f"{left} of {len(parts)} runs" if left else ""
    rows: list[Any] = [HEADINGS, *map(row, soaks)]
    return StudyResult([Table("Live playing", rows)], {"runs": lines}, checks, missing)


def _numbers(sizes: Size, part: Mapping[str, Any]) -> dict[str, Any]:
    return asdict(soak(presets=list(sizes.presets), settle_s=sizes.settle_s, **part))


def _checks(soaks: list[Soak]) -> dict[str, bool]:
    growth = max(run.growth_mb for run in soaks)
    return {
        f"memory grows by less than {MOST_GROWTH_MB:.0f} MB ({growth:.1f})": growth
        < MOST_GROWTH_MB,
        "every silence while a note is held is counted as late": all(
            run.silent == 0 or run.late > 0 for run in soaks
        ),
        **{
            f"no block is late in {run.seconds / 60:g} minutes at {run.period} samples and a margin"
            f" of {run.margin_ms:g} ms ({run.late} of {run.ours.blocks}), apart from those near"
            f" stalls of the machine ({run.late_in_stalls})": run.late == run.late_in_stalls
            for run in soaks
            if run.period == JUDGED
        },
    }
