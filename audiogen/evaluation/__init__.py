"""How good sounds are: notes' pitch, faults and distance to real ones; streams' life and tone."""

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
from audiogen.evaluation.texture import alive, spectral_flux, speech_share, tonality

__all__ = [
    "Report",
    "alive",
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
    "spectral_flux",
    "speech_share",
    "tonality",
]
