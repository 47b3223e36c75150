"""What a client listens to: a preset that plays notes, or one that makes sound on its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiogen.core.parameters import PARAMETERS
from audiogen.engine import Texture
from audiogen.engine.player import Player
from audiogen.errors import ParameterError
from audiogen.presets import Preset, load_preset

VOICES = 16
SWITCH_S = 0.01  # how long a texture takes to come and go
DRAWN_AT_ONCE = 64  # samples of a texture; as few as a block needs, so that no block takes long
TEMPERATURES = (0.0, 1.5)

Array = NDArray[np.float32]
Event = Mapping[str, Any]


class Source(Protocol):
    """Blocks of sound, and events between them."""

    preset: Preset

    @property
    def latency(self) -> int: ...

    @property
    def n_sounding(self) -> int: ...

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """What can be set: of each the fields of `Parameter`."""

    def apply(self, event: Event) -> None:
        """Let an event be heard from the next block on; a ParameterError if it can't be."""

    def process(self, n: int) -> Array: ...


def open_source(folder: Path, sample_rate: int, max_block: int, seed: int = 0) -> Source:
    """What plays a preset.

    Raises
    ------
    PresetError
    """
    preset = load_preset(folder)
    if preset.plays_notes:
        return NoteSource(preset, sample_rate, max_block, seed)
    return TextureSource(preset, sample_rate, seed)


class NoteSource:
    """A player of notes under somebody's hands."""

    def __init__(self, preset: Preset, sample_rate: int, max_block: int, seed: int):
        self.player = Player(preset, sample_rate, max_block, VOICES, seed)
        self.preset = preset

    @property
    def latency(self) -> int:
        return self.player.latency

    @property
    def n_sounding(self) -> int:
        return self.player.n_sounding

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return [dataclasses.asdict(parameter) for parameter in PARAMETERS]

    def apply(self, event: Event) -> None:
        kind = event["type"]
        if kind == "note_on":
            self.player.note_on(event["pitch"], event["velocity"], event["timbre"])
        elif kind == "note_off":
            self.player.note_off(event["pitch"])
        elif kind == "set":
            self.player.set(event["parameter"], event["value"])
        elif kind == "all_off":
            self.player.all_off()
        else:
            raise ParameterError(f"type={kind!r} doesn't go with a preset that plays notes")

    def process(self, n: int) -> Array:
        return self.player.process(n)


class TextureSource:
    """A texture that is switched on and off, at the rate of the listener."""

    latency = 0

    def __init__(self, preset: Preset, sample_rate: int, seed: int):
        import soxr

        self.preset = preset
        self._texture = Texture(preset, seed)
        self._playing = False
        self._gain = 0.0
        self._step = 1.0 / (SWITCH_S * sample_rate)
        self._temperature = self._texture.preset.sampling.temperature
        self._drawn = self._draw()
        self._resampler = soxr.ResampleStream(
            self._texture.sample_rate, sample_rate, 1, dtype="float32", quality="VHQ"
        )
        self._ready = np.zeros(0, np.float32)

    @property
    def parameters(self) -> list[dict[str, Any]]:
        usual = self._texture.preset.sampling.temperature
        low, high = TEMPERATURES
        return [
            {
                "name": "temperature",
                "lowest": low,
                "highest": high,
                "initial": usual,
                "unit": "",
                "controller": -1,
                "help": "How freely sound is drawn: low is careful, high is wild.",
            }
        ]

    @property
    def n_sounding(self) -> int:
        return int(self._playing or self._gain > 0.0)

    def apply(self, event: Event) -> None:
        kind = event["type"]
        if kind in ("play", "stop", "all_off"):
            self._playing = kind == "play"
        elif kind == "set" and event["parameter"] == "temperature":
            low, high = TEMPERATURES
            if isinstance(event["value"], str) or not low <= event["value"] <= high:
                raise ParameterError(
                    f"temperature={event['value']!r}; give a number from {low:g} to {high:g}"
                )
            self._temperature = event["value"]
        elif kind != "note_off":  # a key may be let go after the preset has changed
            raise ParameterError(f"type={kind!r} doesn't go with a preset that plays no notes")

    def process(self, n: int) -> Array:
        target = float(self._playing)
        if self._gain == target == 0.0:
            return np.zeros((n, 2), np.float32)
        while len(self._ready) < n:
            fresh = self._resampler.resample_chunk(next(self._drawn))
            self._ready = np.concatenate([self._ready, fresh])
        sound, self._ready = self._ready[:n], self._ready[n:]
        ramp = self._gain + self._step * np.arange(1, n + 1) * (1 if self._playing else -1)
        gain = np.clip(ramp, 0.0, 1.0).astype(np.float32)
        self._gain = float(gain[-1])
        return np.repeat((sound * gain)[:, None], 2, axis=1)

    def _draw(self) -> Iterator[Array]:
        return self._texture.stream(DRAWN_AT_ONCE, temperature=lambda: self._temperature)
