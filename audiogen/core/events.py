"""What an engine is told between two blocks: the layout of csrc/engine/engine.h."""

from __future__ import annotations

import numpy as np

NOTE_OFF, NOTE_ON, PARAMETER, ALL_OFF = 0, 1, 2, 3  # kinds
EVENT = np.dtype(
    [
        ("offset", "<u4"),  # samples from the block's start
        ("kind", "<u4"),
        ("id", "<u4"),  # a note-off ends the note-on of the same id; or index of a parameter
        ("timbre", "<u4"),
        ("pitch", "<f4"),  # MIDI number
        ("value", "<f4"),  # velocity, 0..1; or what a parameter is to be
    ]
)
