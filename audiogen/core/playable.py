"""Interface of a player for sound cards and MIDI ports."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Playable(Protocol):
    """Something that makes blocks of stereo audio and takes MIDI, such as `audiogen.Synth`."""

    @property
    def sample_rate(self) -> int:
        """Rate of the blocks, Hz."""

    @property
    def max_block(self) -> int:
        """Longest block, samples."""

    @property
    def latency(self) -> int:
        """Samples from an event to its sound."""

    @property
    def realtime(self) -> bool:
        """Whether blocks are rendered ahead of time."""

    def process(self, n: int) -> np.ndarray:
        """The next block, [n, 2], float32."""

    def connect(self, n_channels: int, n_recorded: int) -> Any:
        """A native source of the blocks, or None if `process` must be called for them."""

    def disconnect(self) -> None:
        """Release the native source of the blocks."""

    def midi(self, data: bytes, age_s: float | None = None) -> None:
        """Play MIDI bytes, split anywhere, that were received ``age_s`` seconds ago."""
