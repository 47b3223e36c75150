"""A preset played live: events at any time, from any thread; blocks of stereo sound out."""

from __future__ import annotations

import threading
import time
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np

from audiogen.core import backend as _native
from audiogen.core.events import ALL_OFF, EVENT, NOTE_OFF, NOTE_ON, PARAMETER
from audiogen.core.parameters import INDEX, PARAMETERS, Knobs, check_parameter
from audiogen.engine.midi import MidiReader
from audiogen.engine.networks import Sampling, check_rate, check_seed, is_whole, open_network
from audiogen.engine.synth import Synth
from audiogen.errors import ParameterError
from audiogen.notes import parse_pitch
from audiogen.presets import Preset, load_preset, timbre_of_program

LONGEST_MARGIN_MS = 5000.0
LOAD_SMOOTHING_S = 0.3
PEAK_FALL_DB_S = 20.0  # of the level meter


class Player(Knobs):
    """One preset under somebody's hands.

    Events are heard from the beginning of the next block on, and the same events before the same
    blocks give the same samples, which are those of `Synth.render`. All methods may be called from
    any thread. The parameters of `PARAMETERS` are attributes, too: ``player.bend = 0.5``.

    Parameters
    ----------
    preset : str, path, Preset or Synth
        A synth's network is shared, and it plays as the synth does: precision, temperature and
        top-p are its own. A preset that plays no notes sounds for as long as a key of any pitch is
        held.
    sample_rate : int, Hz
    max_block : int, samples
    voices : int
        Notes at once; more of them make room for one another.
    seed : int
    precision : str
        As `Synth`.
    realtime : bool
        Let a thread of its own work ahead, so that `process` only fetches samples and never waits.
        All sound comes later by ``max_block`` and the margin, which `latency` includes; what isn't
        ready in time fades to silence and is counted by `n_late`; notes of a chord that is too much
        for it at once wait some milliseconds (`n_delayed`). Without, `process` makes the samples
        itself, and they wait for nothing.
    margin_ms : float
        How long the thread may be held up by other programs.
    keep_events : bool
        Keep all events and their times in `events`.
    temperature, top_p : float, optional
        As `Synth`; of each preset that draws samples, after a change, too.

    Raises
    ------
    PresetError, ParameterError
    MissingPackageError
        If the native module is missing; without it, nothing is fast enough to be played.

    Examples
    --------
    >>> with Player("plucked") as player:
    ...     id = player.note_on("C4", velocity=0.7)
    ...     player.process(256).shape
    (256, 2)
    """

    def __init__(
        self,
        preset: str | PathLike[str] | Preset | Synth,
        sample_rate: int = 48000,
        max_block: int = 1024,
        voices: int = 16,
        seed: int = 0,
        precision: str = "float32",
        realtime: bool = False,
        margin_ms: float = 5.0,
        keep_events: bool = False,
        temperature: float | None = None,
        top_p: float | None = None,
    ):
        check_rate(sample_rate)
        for name, value, highest in (("max_block", max_block, 65536), ("voices", voices, 4096)):
            if not is_whole(value, highest):
                raise ParameterError(f"{name}={value}; give a whole number from 1 to {highest}")
        self.sample_rate, self.max_block, self.voices = int(sample_rate), max_block, voices
        if not 0.0 < margin_ms <= LONGEST_MARGIN_MS:
            raise ParameterError(
                f"margin_ms={margin_ms:g}; give more than 0, up to {LONGEST_MARGIN_MS:g} ms"
            )
        self.realtime = realtime
        self.position = 0  # samples since the start
        self.peak = 0.0  # of the last blocks, falling slowly; 1 is full scale
        self.events: list[tuple[int, Any]] = []  # (sample, event or name of a preset) if kept
        self._seed, self._keep = check_seed(seed), keep_events
        self._lock = threading.Lock()  # of what follows
        self._playing = threading.Lock()  # one block at a time
        self._waiting: list[tuple] = []
        self._n_notes = 0
        self._held: dict[float, int] = {}  # pitch: id of its note
        self._values = {p.name: p.initial for p in PARAMETERS}
        self._load = 0.0
        self._midi, self._reading = MidiReader(), threading.Lock()
        if isinstance(preset, Synth):
            self.preset, network = preset.preset, preset._network
            self._precision, self._sampling = preset.precision, preset._sampling
        else:
            loaded = preset if isinstance(preset, Preset) else load_preset(preset)
            self._precision, self._sampling = precision, Sampling(temperature, top_p)
            self._sampling.require_drawn([loaded])
            self.preset = self._sampling.of(loaded)
            network = open_network(self.preset, precision)
        self._timbre = self.preset.default_timbre
        margin = max(1, round(self.sample_rate * margin_ms / 1e3))
        self._engine = _native.require().LiveEngine(
            network.instrument(),
            self.sample_rate,
            max_block,
            voices,
            self._seed,
            n_channels=2,
            lookahead=max_block + margin if realtime else 0,
            synchronous=not realtime,
        )

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and give the engine's thread and memory back."""
        with self._playing, self._lock:
            self._engine = None

    @property
    def timbres(self) -> list[str]:
        """Names of the preset's timbres."""
        return self.preset.timbre_names

    @property
    def timbre(self) -> str | None:
        """Of the next notes."""
        return self._timbre

    @timbre.setter
    def timbre(self, name: str) -> None:
        self._timbre = self.preset.timbre(name).name

    @property
    def latency(self) -> int:
        """Samples from the block that an event was given before to its sound."""
        return int(self._running().latency)

    @property
    def n_sounding(self) -> int:
        """Notes that sound."""
        return int(self._running().n_sounding)

    @property
    def n_late(self) -> int:
        """Blocks that weren't ready in time; there are none but in real time."""
        return int(self._running().n_late)

    @property
    def n_delayed(self) -> int:
        """Notes that waited until there was time to start them; there are none but in real time."""
        return int(self._running().n_delayed)

    @property
    def load(self) -> float:
        """Part of the time that making the sound takes; above 1 it can't be heard live."""
        return float(self._running().load) if self.realtime else self._load

    def note_on(self, pitch: float | str, velocity: float = 0.8, timbre: str | None = None) -> int:
        """Strike a note.

        Parameters
        ----------
        pitch : float or str
            MIDI number, or a name such as ``"C4"``.
        velocity : float
            Above 0, up to 1.
        timbre : str, optional
            `timbre` without.

        Returns
        -------
        int
            Its id in `events`. A note of the same pitch that was held is let go.
        """
        pitch = _check_pitch(pitch)
        if not (isinstance(velocity, Real) and 0.0 < velocity <= 1.0):
            raise ParameterError(f"velocity={velocity!r} isn't above 0, up to 1")
        with self._lock:
            self._running()
            index = self._index_of(self._timbre if timbre is None else timbre)
            if pitch in self._held:
                self._waiting.append((0, NOTE_OFF, self._held[pitch], 0, 0.0, 0.0))
            self._n_notes = (self._n_notes + 1) % (1 << 32)
            self._held[pitch] = self._n_notes
            self._waiting.append((0, NOTE_ON, self._n_notes, index, pitch, velocity))
            return self._n_notes

    def note_off(self, pitch: float | str) -> None:
        """Let a note go; nothing happens if none of that pitch is held."""
        pitch = _check_pitch(pitch)
        with self._lock:
            id = self._held.pop(pitch, None)
            if id is not None:
                self._waiting.append((0, NOTE_OFF, id, 0, 0.0, 0.0))

    def all_off(self, silence: bool = False) -> None:
        """Let all notes go; or end all sound at once, within 5 ms."""
        with self._lock:
            self._held.clear()
            self._waiting.append((0, ALL_OFF, 0, 0, 0.0, float(silence)))

    def get(self, parameter: str) -> Any:
        """Where a knob stands: a number, or of ``morph_timbre`` a name."""
        if parameter not in INDEX:
            check_parameter(parameter, 0.0)
        value = self._values[parameter]
        if parameter == "morph_timbre":
            return self.timbres[int(value)] if self.timbres else None
        return value

    def set(self, parameter: str, value: Any) -> None:
        """Move a knob.

        Parameters
        ----------
        parameter : str
            One of the names of `PARAMETERS`.
        value : float, or str
            Within its range; of ``morph_timbre`` a timbre's name.

        Raises
        ------
        ParameterError, PresetError
        """
        with self._lock:
            if parameter == "morph_timbre" and isinstance(value, str):
                value = self._index_of(value)
            number = check_parameter(parameter, value)
            if parameter == "morph_timbre" and number >= max(1, len(self.timbres)):
                raise ParameterError(
                    f"morph_timbre={value!r}; preset {self.preset.name!r} has "
                    f"{len(self.timbres)} timbres"
                )
            self._values[parameter] = number
            self._waiting.append(_moved(parameter, number))

    def turn_as(self, other: Player) -> None:
        """Move all knobs to where another player's are, and choose its timbre if there is one."""
        alike = self.timbres == other.timbres
        for name in INDEX:
            if (name != "morph_timbre" or alike) and (value := other.get(name)) is not None:
                self.set(name, value)
        if alike:
            self._timbre = other.timbre

    def midi(self, data: bytes) -> None:
        """Do what bytes of MIDI say; they may come in any pieces. See `MidiReader`."""
        with self._reading:
            self._midi.feed(data, self)

    def program(self, number: int) -> None:
        """Choose the timbre that is nearest to a General MIDI program, 0 to 127."""
        if not 0 <= number <= 127:
            raise ParameterError(f"program {number} isn't one; give 0 to 127")
        if self.timbres:
            self.timbre = timbre_of_program(number, [self.preset])[1] or ""

    def change_preset(self, preset: str | PathLike[str] | Preset) -> None:
        """Play the next notes with another preset; those that sound fade out in 20 ms.

        It's read in the caller's thread, while the sound goes on. Knobs stay where they are, but
        for ``morph_timbre``.
        """
        loaded = preset if isinstance(preset, Preset) else load_preset(preset)
        loaded = self._sampling.of(loaded)
        instrument = open_network(loaded, self._precision).instrument()
        self._running().swap(instrument)
        with self._lock:
            # Keys that are held stay known: one may have been struck since the swap.
            self.preset, self._timbre = loaded, loaded.default_timbre
            # Notes that nobody has heard yet are the new preset's, too.
            index = loaded.timbre_names.index(self._timbre) if self._timbre else 0
            self._waiting = [
                (*event[:3], index, *event[4:]) if event[1] == NOTE_ON else event
                for event in self._waiting
            ]
            self._values["morph_timbre"] = 0.0
            self._waiting.append(_moved("morph_timbre", 0.0))
            if self._keep:
                self.events.append((self.position, loaded.name))

    def process(self, n: int) -> np.ndarray:
        """The next block.

        Parameters
        ----------
        n : int, samples
            1 to ``max_block``.

        Returns
        -------
        ndarray [n, 2], float32
            Full scale is 1; more isn't clipped.
        """
        if not is_whole(n, self.max_block):
            raise ParameterError(f"n={n}; a block has 1 to max_block={self.max_block} samples")
        began = time.perf_counter()
        with self._playing:
            with self._lock:
                engine = self._running()
                waiting, self._waiting = self._waiting, []
                if self._keep:
                    self.events += [(self.position, event) for event in waiting]
            samples = engine.process(n, np.array(waiting, EVENT))
            self.position += n
            fall = 10.0 ** (-PEAK_FALL_DB_S / 20.0 * n / self.sample_rate)
            self.peak = max(float(engine.peak), self.peak * fall)
            seconds = n / self.sample_rate
            part = (time.perf_counter() - began) / seconds
            self._load += (part - self._load) * min(1.0, seconds / LOAD_SMOOTHING_S)
        return samples

    def _running(self) -> Any:
        if self._engine is None:
            raise ParameterError("this player is closed; make another")
        return self._engine

    def _index_of(self, timbre: str | None) -> int:
        return 0 if timbre is None else self.timbres.index(self.preset.timbre(timbre).name)


def _moved(parameter: str, value: float) -> tuple:
    return (0, PARAMETER, INDEX[parameter], 0, 0.0, value)


def _check_pitch(pitch: float | str) -> float:
    if isinstance(pitch, str):
        return parse_pitch(pitch)
    if not (isinstance(pitch, Real) and 0.0 <= pitch < 128.0):
        raise ParameterError(f"pitch={pitch!r} isn't a MIDI number from 0 up to 128, or a name")
    return float(pitch)
