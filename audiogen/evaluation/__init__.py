"""Metrics and reports: pitch and faults of notes, distances to real notes, life of streams."""

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
from audiogen.evaluation.note_report import Report, evaluate_notes
from audiogen.evaluation.texture_metrics import alive, spectral_flux, speech_share, tonality

__all__ = [
    "Report",
    "alive",
    "click_ratio",
    "dc_offset",
    "evaluate_notes",
    "frechet_distance",
    "is_silent",
    "kernel_distance",
    "level_db",
    "ndb",
    "peak_db",
    "pitch_accuracy",
    "spectral_flux",
    "speech_share",
    "tonality",
]
