"""A preset played live: events at any time, from any thread; blocks of stereo sound out."""

from __future__ import annotations

import threading
from os import PathLike

import numpy as np

from audiogen.engine.synth import EVENT, NOTE_OFF, NOTE_ON, Synth
from audiogen.errors import ParameterError
from audiogen.presets import Preset


class Player:
    """One preset under somebody's hands.

    Events are heard from the beginning of the next block on, and the same events before the same
    blocks give the same samples, which are those of `Synth.render`.

    Parameters
    ----------
    preset : str, path or Preset
        One that plays notes.
    sample_rate : int, Hz
    max_block : int, samples
    voices : int
        Notes at once; more of them make room for one another.
    seed : int
    precision : str
        As `Synth`.
    """

    def __init__(
        self,
        preset: str | PathLike[str] | Preset,
        sample_rate: int = 48000,
        max_block: int = 1024,
        voices: int = 16,
        seed: int = 0,
        precision: str = "float32",
    ):
        synth = Synth(preset, sample_rate, seed, precision)
        self.preset, self.sample_rate, self.max_block = synth.preset, sample_rate, max_block
        self._engine = synth._network.engine(sample_rate, voices, seed)
        self._lock = threading.Lock()
        self._waiting: list[tuple] = []
        self._n_notes = 0
        self._held: dict[float, int] = {}  # pitch: id of its note
        self.timbre = self.preset.timbre(None).name  # of the next notes
        self.position = 0  # samples since the start
        self.n_late = 0  # blocks that weren't ready in time

    @property
    def timbres(self) -> list[str]:
        """Names of the preset's timbres."""
        return self.preset.timbre_names

    @property
    def latency(self) -> int:
        """Samples from the block that an event was given before to its sound."""
        return int(self._engine.latency)

    @property
    def n_sounding(self) -> int:
        """Notes that sound."""
        return int(self._engine.n_sounding)

    def note_on(self, pitch: float, velocity: float = 0.8, timbre: str | None = None) -> int:
        """Strike a note.

        Returns
        -------
        int
            Its id, for `note_off`. A note of the same pitch that was held is let go.
        """
        index = self.timbres.index(self.preset.timbre(timbre or self.timbre).name)
        if not 0.0 < velocity <= 1.0:
            raise ParameterError(f"velocity={velocity} isn't above 0, up to 1")
        with self._lock:
            if pitch in self._held:
                self._waiting.append((0, NOTE_OFF, self._held[pitch], 0, 0.0, 0.0))
            self._n_notes += 1
            self._held[pitch] = self._n_notes
            self._waiting.append((0, NOTE_ON, self._n_notes, index, pitch, velocity))
            return self._n_notes

    def note_off(self, pitch: float) -> None:
        """Let a note go; nothing happens if none of that pitch is held."""
        with self._lock:
            id = self._held.pop(pitch, None)
            if id is not None:
                self._waiting.append((0, NOTE_OFF, id, 0, 0.0, 0.0))

    def set(self, parameter: str, value: float) -> None:
        """Move a knob: one of the names of `PARAMETERS`."""
        raise NotImplementedError

    def process(self, n: int) -> np.ndarray:
        """The next block.

        Parameters
        ----------
        n : int, samples
            1 to ``max_block``.

        Returns
        -------
        ndarray [n, 2], float32
        """
        with self._lock:
            waiting, self._waiting = self._waiting, []
        samples = self._engine.process(n, np.array(waiting, EVENT))
        self.position += n
        return np.repeat(samples[:, None], 2, axis=1)
