"""Study: how the two-sample test of `audiogen evaluate` responds to notes spoiled in known ways.

Real notes are compared with others of the same keys, with themselves, and with spoiled copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiogen.evaluation.note_comparison import same_key_halves
from audiogen.evaluation.timbre_features import with_random_phase
from audiogen.evaluation.two_sample import FEATURES, PARTS, Area, two_sample_test
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts
from audiogen.studies.sounds import NOTE_RATE, drawn_notes, held_notes

NOTES, RUNS = "notes", "runs.jsonl"
SHOWN_S = 3.0
N_FFT, HOP_LENGTH = 1024, 256
BLUR, N_BLURRED = 0.2, 5  # share of the mean over frames, 64 ms at 16 kHz
OTHERS, THEMSELVES = "other real notes of the same keys", "themselves"
QUIET_NOISE, LOUD_NOISE = "white noise 60 dB below", "white noise 40 dB below"
BLURRED, RANDOM_PHASES = "20 % blur over 64 ms", "random phases"
SPREAD = 0.1  # of an area that should be 0.5
DETECTED = 0.7


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    n_notes : int
        Number of notes.
    n_classifiers : int
        Classifiers of each test.
    features : tuple of str
        Features of the tests.
    against : tuple of str
        Names of the sets that the notes are compared with.
    is_evidence : bool
        Whether the run is large enough for the claims.
    """

    n_notes: int
    n_classifiers: int
    features: tuple[str, ...]
    against: tuple[str, ...]
    is_evidence: bool


SIZES = {
    "smoke": Size(60, 1, ("log-mel",), (LOUD_NOISE,), False),
    "full": Size(
        200,
        3,
        FEATURES,
        (OTHERS, THEMSELVES, QUIET_NOISE, LOUD_NOISE, BLURRED, RANDOM_PHASES),
        True,
    ),
}


def run(
    size: str,
    folder: Path,
    *,
    seed: int,
    jobs: int,
    minutes: float | None,
    progress: Callable[[int, int], None],
) -> StudyResult:
    """Run the study; see `audiogen.studies.run_study`."""
    sizes = SIZES[size]
    held_notes(folder / NOTES, size, sizes.n_notes, seed)
    parts: list[Part] = [
        {"against": name, "features": features}
        for name in sizes.against
        for features in sizes.features
    ]
    lines = run_parts(
        folder / RUNS,
        parts,
        partial(_numbers, sizes, folder / NOTES, seed),
        jobs=jobs,
        minutes=minutes,
        progress=progress,
    )
    areas = {
        (line["against"], line["features"], part): Area(tuple(line["areas"][part]))
        for line in lines
        for part in PARTS
    }
    columns = [(features, part) for features in sizes.features for part in PARTS]
    rows: list[Any] = [("against", *(", ".join(column) for column in columns))]
    for name in sizes.against:
        rows.append((name, *(str(areas.get((name, *column), "-")) for column in columns)))
    left = len(parts) - len(lines)
    missing = f"{left} of {len(parts)} tests" if left else ""
    checks = _checks(areas) if sizes.is_evidence and not left else {}
    return StudyResult([Table("AUC", rows)], {"tests": lines}, checks, missing)


def _numbers(sizes: Size, data: Path, seed: int, part: Mapping[str, Any]) -> dict[str, Any]:
    """Train classifiers of real notes and what they are compared with."""
    torch.set_num_threads(1)
    _, real, pitches = drawn_notes(data, sizes.n_notes, seed, SHOWN_S)
    random = np.random.default_rng((seed, 1))
    options: dict[str, Any] = {"features": part["features"], "n_seeds": sizes.n_classifiers}
    if part["against"] == OTHERS:
        first, second = same_key_halves(pitches, random)
        areas = two_sample_test(
            real[first], real[second], pitches[first], NOTE_RATE, paired=False, **options
        )
    else:
        spoiled = spoil(part["against"], real, random).astype(np.float32)
        areas = two_sample_test(real, spoiled, pitches, NOTE_RATE, **options)
    return {"areas": {name: area.values for name, area in areas.items()}}


def spoil(way: str, sounds: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Sounds [n, n_samples] spoiled in a way; as they are for `THEMSELVES`."""
    if way in (QUIET_NOISE, LOUD_NOISE):
        return with_noise(sounds, -60.0 if way == QUIET_NOISE else -40.0, random)
    if way == BLURRED:
        return np.stack([mixed_over_frames(sound, BLUR) for sound in sounds])
    if way == RANDOM_PHASES:
        return np.stack([with_random_phase(sound, random) for sound in sounds])
    return sounds


def with_noise(sounds: np.ndarray, level_db: float, random: np.random.Generator) -> np.ndarray:
    """Sounds [n, n_samples] with white noise at a level below each."""
    rms = np.sqrt(np.mean(np.square(sounds), axis=1, keepdims=True))
    return sounds + 10.0 ** (level_db / 20.0) * rms * random.standard_normal(sounds.shape)


def mixed_over_frames(sound: np.ndarray, share: float) -> np.ndarray:
    """A sound whose magnitudes are mixed with their mean over five frames; phases are kept."""
    import librosa

    spectrum = librosa.stft(sound, n_fft=N_FFT, hop_length=HOP_LENGTH)
    magnitude, reach = np.abs(spectrum), N_BLURRED // 2
    padded = np.pad(magnitude, ((0, 0), (reach, reach)), mode="edge")
    mean = np.lib.stride_tricks.sliding_window_view(padded, N_BLURRED, axis=1).mean(axis=-1)
    mixed = (1.0 - share) * magnitude + share * mean
    changed = spectrum * mixed / np.maximum(magnitude, 1e-9)
    return librosa.istft(changed, hop_length=HOP_LENGTH, length=len(sound))


def _checks(areas: Mapping[tuple[str, str, str], Area]) -> dict[str, bool]:
    def median(name: str) -> list[float]:
        return [area.median for (against, *_), area in areas.items() if against == name]

    alike = [*median(THEMSELVES), *median(OTHERS)]
    return {
        "real notes are indistinguishable from themselves and from others of the same keys": max(
            abs(area - 0.5) for area in alike
        )
        <= SPREAD,
        "noise 40 dB below is detected": min(median(LOUD_NOISE)) >= DETECTED,
    }
