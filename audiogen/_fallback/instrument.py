"""Instruments, their voices and notes.

Python twin of csrc/engine/instrument.h and csrc/engine/voice.h.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiogen._fallback.parameter_table import N_MACROS, ROWS
from audiogen.errors import ParameterError

Array = NDArray[np.float32]
ZERO = np.float32(0)


@dataclass(frozen=True)
class Shaping:
    """Parameters that shape notes and move their timbres; at 0 without effect."""

    attack: np.float32 = ZERO
    release: np.float32 = ZERO
    macros: tuple[np.float32, ...] = (ZERO,) * N_MACROS
    tilt: np.float32 = ZERO
    noise: np.float32 = ZERO


def stretch_of(amount: float) -> np.float32:
    """Factor of a duration: an eighth at -1, 8 at 1."""
    return np.exp2(np.float32(3) * np.float32(amount), dtype=np.float32)


@dataclass(frozen=True)
class Note:
    """A note as a voice receives it."""

    timbre: int
    pitch: float  # MIDI number, within the instrument's range
    key_pitch: float  # without glide, bend and vibrato
    velocity: float  # 0 to 1
    seed: int
    continues: bool = False  # continues what an input channel received
    input: int = 0  # index of that channel


class Voice(ABC):
    """The sound of one note at a time, at the instrument's sample rate."""

    active = False
    released = False
    shaping = Shaping()  # set by the engine

    @abstractmethod
    def note_on(self, note: Note) -> None:
        """Start a note, whatever sounded before."""

    @abstractmethod
    def note_off(self) -> None:
        """Release the note."""

    def set_pitch(self, pitch: float) -> None:  # noqa: B027 - optional
        """Change the pitch from the next sample or frame on; without effect by default."""

    def set_morph(self, timbre: int, amount: np.float32) -> None:  # noqa: B027 - optional
        """Morph from the note's timbre (0) to another (1); without effect by default."""

    @abstractmethod
    def add(self, out: Array) -> None:
        """Add the next ``len(out)`` samples."""


class Voices:
    """The voices of an engine, and what they share."""

    def __init__(self, voices: Sequence[Voice]):
        self.voices = voices

    def note_on(self, i: int, note: Note) -> None:
        """Start a note with voice ``i``."""
        self.voices[i].note_on(note)

    def set_sampling(self, temperature: np.float32, top_p: np.float32) -> None:
        """Set how the next samples are drawn; without effect by default."""

    def start_listening(self, timbre: int) -> None:
        """Forget the input; what follows is of this timbre. Without effect by default."""

    def receive(self, channels: Array) -> None:
        """Receive the next samples of each input, [n_inputs, n]; without effect by default."""


class Drum(NamedTuple):
    """One sound of a drum kit."""

    key: int  # MIDI key that plays it
    pitch: np.float32  # MIDI number, for the network
    pan: np.float32  # -1 to 1
    group: int  # a drum ends those of its group; 0 for none


class Kit(NamedTuple):
    """A drum kit: each key plays a timbre of its own."""

    drums: dict[int, Drum]  # by key, in the order of their timbres
    pitch: np.float32  # of other keys
    n_timbres: int  # the first timbres, which keys choose; others play on any key


class Vibrato(NamedTuple):
    """Vibrato of a timbre's recordings, which its notes have without a wheel."""

    depth_cents: np.float32  # largest distance from the pitch
    rate_hz: np.float32
    rise_s: np.float32  # from the note's start to the whole depth
    tremolo_db: np.float32 = np.float32(0)  # level that changes with the pitch
    tremolo_phase: np.float32 = np.float32(0)  # of its sine, ahead of the pitch, degrees


class AnyInstrument(ABC):
    """A preset, opened for any number of engines."""

    def __init__(self, sample_rate: float, pitch_range: tuple[float, float], n_timbres: int):
        self.sample_rate = float(sample_rate)
        self.lowest, self.highest = (np.float32(pitch) for pitch in pitch_range)
        self.n_timbres = n_timbres
        self.programs = [0] * 128  # timbre of each General MIDI program
        self.transposes = [0] * 128  # its sounding pitch minus key, at key 60
        self.semitones_per_key = [1.0] * 128
        self.default_timbre = 0
        self.places = np.zeros((0, 2), np.float32)  # of the timbres on the timbre map, or none
        self.vibratos: list[Vibrato | None] = []  # of the first timbres
        self.pitch_delay_s = 0.0  # by how long a change of pitch sounds later than one of the level
        self.gains: list[np.float32] = []  # of the first timbres; 1 of others
        self.kit: Kit | None = None  # if it is a drum kit
        require(1000 <= sample_rate <= 384000, f"sample_rate={sample_rate} must be 1000 to 384000")
        require(self.lowest <= self.highest, "highest_pitch must be lowest_pitch or more")
        require(
            self.lowest >= -128 and self.highest <= 256,
            "lowest_pitch and highest_pitch must be MIDI numbers from -128 to 256",
        )
        require(n_timbres >= 1, "instrument has no timbre")

    def initial(self, parameter: str) -> float:
        """Value of a parameter until it is set."""
        return ROWS[parameter]["initial"]

    def set_places(self, places: Sequence[Sequence[float]]) -> None:
        """Set the place of each timbre on the timbre map, x and y from 0 to 1, before playing."""
        made = np.array(places, np.float32).reshape(-1, 2)
        require(
            len(made) in (0, self.n_timbres) and bool(np.isfinite(made).all()),
            f"places must be {self.n_timbres} pairs of finite numbers, one for each timbre",
        )
        self.places = made

    def set_kit(self, drums: Sequence[Drum], pitch: float, have_timbres: bool = True) -> None:
        """Make it a drum kit, before playing.

        The drums have the first timbres in order, or none of their own. Keys without a drum have
        ``pitch``.
        """
        n_timbres = len(drums) if have_timbres else 0
        require(n_timbres <= self.n_timbres, "a kit has no more drums than the instrument timbres")
        self.kit = Kit({drum.key: drum for drum in drums}, np.float32(pitch), n_timbres)

    @abstractmethod
    def make_voices(self, n: int, n_inputs: int) -> Voices:
        """Make ``n`` voices that receive ``n_inputs`` channels of audio."""


def require(holds: bool, message: str) -> None:
    """Raise `ParameterError` unless a condition holds."""
    if not holds:
        raise ParameterError(message)
