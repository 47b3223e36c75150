"""How good notes are: their pitch, their faults, and their distance to real ones."""

from audiogen.evaluation.metrics import (
    click_ratio,
    dc_offset,
    frechet_distance,
    is_silent,
    kernel_distance,
    level_db,
    ndb,
    peak_db,
    pitch_accuracy,
)
from audiogen.evaluation.pitch import cents_error, note_pitch
from audiogen.evaluation.report import Report, evaluate_notes

__all__ = [
    "Report",
    "cents_error",
    "click_ratio",
    "dc_offset",
    "evaluate_notes",
    "frechet_distance",
    "is_silent",
    "kernel_distance",
    "level_db",
    "ndb",
    "note_pitch",
    "peak_db",
    "pitch_accuracy",
]
