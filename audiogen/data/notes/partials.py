"""Partials of recorded notes that aren't all harmonics: stiff strings, bells, square waves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from audiogen.data.notes.nsynth import held_part
from audiogen.data.subset import evenly_spaced
from audiogen.representation.harmonic import nearest_partial, pitch_to_hz
from audiogen.representation.partials import (
    HARMONIC,
    MOST_PARTIALS,
    TimbrePartials,
    string_partials,
)

N_COMPARED = 32  # notes of an instrument, from its lowest to its highest
# Peaks of a note: each is the loudest in a band of 0.4 f0 around it.
_RANGE_DB = 42.0  # below the loudest peak
_HALF_WIDTH, _LEAST_HALF_WIDTH_HZ = 0.2, 8.0
_LOWEST_RATIO, _HIGHEST_HZ = 0.25, 12_000.0
# A peak is on a partial if it is nearer than the larger of these distances.
_NEAR_HZ, _NEAR = 6.0, 0.006
# Shares of the peaks' weight that are on partials, and how much larger they must be than those of
# simpler partials. Chosen on the programs of FluidR3, where they find stiff strings in pianos,
# steel-string guitar, banjo and basses, ratios in bells, mallets and drums, and neither in choirs,
# bowed strings and most organs and winds.
_STRING_GAIN, _STRING_SHARE = 0.04, 0.7
_RATIO_GAIN, _RATIO_SHARE = 0.1, 0.85
# Inharmonicity coefficients: a coarse search, then factors of its result; and detunings of a note.
_COEFFICIENTS = np.append(0.0, np.geomspace(2e-6, 2e-2, 60))
_FINER = np.linspace(0.85, 1.15, 13)
_TUNINGS = np.linspace(0.994, 1.006, 9)
_N_NEAREST = 3  # notes of which a key's coefficient is the median
# Ratios that notes have in common: relative tolerance, share of the notes, and how many. A partial
# of a few keys would be played by all: the church organ's fifth, which begins at C5, is in 3 of 10.
_WITHIN, _LEAST_NOTES, _MOST_RATIOS = 0.01, 0.4, 24
_LEAST_STEP = 0.08  # between two ratios
# Weaker peaks than -30 dB are left to the noise between partials: a network makes all partials of a
# list about as loud before it learns which are weak.
_LEAST_WEIGHT_DB = _RANGE_DB - 30.0
_ALONE = 0.3  # distance from all ratios at which a harmonic is added
# A harmonic that a quarter of the notes reach is absent if under 15 % of those have a peak there,
# and present if over 50 % do. An instrument that lacks many gets a list without them.
_REACHED, _ABSENT, _PRESENT = 0.25, 0.15, 0.5
_LEAST_ABSENT, _LEAST_ABSENT_SHARE = 3, 0.25
_BESIDE, _BESIDE_PART = 0.1, 0.01  # the larger of both: distance of a peak from its harmonic


def partials_of(waveforms: np.ndarray, pitches: np.ndarray, sample_rate: int) -> TimbrePartials:
    """Measure the partials of an instrument.

    Parameters
    ----------
    waveforms : array [n_notes, n_samples], float32
        Notes of it, held for `nsynth.NOTE_ON_S`.
    pitches : array [n_notes], MIDI numbers
        Their pitches.
    sample_rate : int, Hz
        Sample rate of the notes.

    Returns
    -------
    TimbrePartials
        Harmonic, unless clearly more of the notes' spectral peaks are on the partials of strings,
        or on those that the notes have in common; or unless all notes lack some harmonics, as the
        even ones of a square wave. Peaks are within 42 dB of the loudest.
    """
    highest_hz = min(_HIGHEST_HZ, 0.5 * sample_rate)
    chosen = evenly_spaced(np.argsort(pitches, kind="stable").tolist(), N_COMPARED)
    notes = [_peaks(waveforms[i], pitches[i], sample_rate) for i in chosen]
    pitches = np.asarray(pitches, float)[chosen]
    share = _share_on(HARMONIC, notes, pitches)
    if share + _STRING_GAIN >= 1.0:
        return TimbrePartials(_without_absent(notes, pitches, highest_hz))
    coefficients = np.array([_coefficient(*note) for note in zip(notes, pitches, strict=True)])
    of_strings = _by_key(coefficients, pitches)
    on_strings = _share_on(of_strings, notes, pitches)
    in_common = _in_common(notes)
    least = max(_RATIO_SHARE, max(share, on_strings) + _RATIO_GAIN)
    loud = [ratio for ratio, weight in in_common.items() if weight >= _LEAST_WEIGHT_DB]
    if loud and _share_on(TimbrePartials(tuple(in_common)), notes, pitches) > least:
        return TimbrePartials(_with_harmonics(loud, notes, pitches, highest_hz))
    if on_strings > max(_STRING_SHARE, share + _STRING_GAIN):
        return of_strings
    return TimbrePartials(_without_absent(notes, pitches, highest_hz))


def _peaks(waveform: np.ndarray, pitch: float, sample_rate: int) -> np.ndarray:
    """Ratios to the pitch and weights (dB above the range) of a note's peaks, [n, 2]."""
    held = held_part(waveform, sample_rate)
    size = 1 << (2 * len(held) - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(held * np.hanning(len(held)), size))
    hz = np.fft.rfftfreq(size, 1.0 / sample_rate)
    f0 = float(pitch_to_hz(pitch))
    reach = max(_LEAST_HALF_WIDTH_HZ, _HALF_WIDTH * f0)
    inside = (hz > _LOWEST_RATIO * f0) & (hz < _HIGHEST_HZ)
    first, last = np.flatnonzero(inside)[[0, -1]]
    level = 20.0 * np.log10(np.maximum(spectrum, 1e-12))
    level = level - level[first:last].max() + _RANGE_DB
    n = max(1, round(reach / hz[1]))
    tops = np.flatnonzero((level[1:-1] > level[:-2]) & (level[1:-1] >= level[2:])) + 1
    tops = tops[(tops >= first) & (tops < last) & (level[tops] > 0.0)]
    found: list[int] = []
    for top in tops[np.argsort(-level[tops], kind="stable")]:
        if all(abs(top - other) > n for other in found):
            found.append(int(top))
    return np.array([(hz[top] / f0, level[top]) for top in sorted(found)]).reshape(-1, 2)


def _coefficient(peaks: np.ndarray, pitch: float) -> float:
    """Inharmonicity coefficient whose partials are on most of a note's peaks."""
    f0 = float(pitch_to_hz(pitch))

    def best_of(coefficients: np.ndarray) -> float:
        scores = [
            max(_weight_on(peaks, f0, tuning * string_partials(one)) for tuning in _TUNINGS)
            for one in coefficients
        ]
        return float(coefficients[int(np.argmax(scores))])

    coarse = best_of(_COEFFICIENTS)
    return best_of(coarse * _FINER) if coarse else 0.0


def _weight_on(peaks: np.ndarray, f0: float, partials: np.ndarray | None) -> float:
    """Weight of the peaks that are on partials."""
    hz = peaks[:, 0] * f0
    _, nearest = nearest_partial(hz, f0, partials)
    far = np.abs(hz - nearest) / np.maximum(_NEAR_HZ, _NEAR * hz)
    return float((peaks[:, 1] * np.exp(-(far**2))).sum())


def _share_on(partials: TimbrePartials, notes: list[np.ndarray], pitches: np.ndarray) -> float:
    """Mean share of the notes' peaks that are on partials."""
    shares = [
        _weight_on(peaks, float(pitch_to_hz(pitch)), partials.at(pitch))
        / max(peaks[:, 1].sum(), 1e-9)
        for peaks, pitch in zip(notes, pitches, strict=True)
    ]
    return float(np.mean(shares))


def _by_key(coefficients: np.ndarray, pitches: np.ndarray) -> TimbrePartials:
    """Coefficients of all pitches, each the median of the nearest notes'."""
    lowest = math.floor(pitches.min())
    keys = np.arange(lowest, math.ceil(pitches.max()) + 1)
    nearest = np.argsort(np.abs(pitches - keys[:, None]), axis=1, kind="stable")
    medians = np.median(coefficients[nearest[:, :_N_NEAREST]], axis=1)
    return TimbrePartials((), tuple(float(f"{one:.3g}") for one in medians), lowest)


def _in_common(notes: list[np.ndarray]) -> dict[float, float]:
    """Ratios of the peaks that several of the notes have, ascending, and their median weights."""
    peaks = np.concatenate(notes)
    note = np.repeat(np.arange(len(notes)), [len(one) for one in notes])
    left = np.ones(len(peaks), bool)
    found: list[tuple[float, np.ndarray]] = []
    while left.any():
        top = np.flatnonzero(left)[peaks[left, 1].argmax()]
        near = left & (np.abs(np.log(peaks[:, 0] / peaks[top, 0])) < _WITHIN)
        left &= ~near
        if len(np.unique(note[near])) >= max(2, _LEAST_NOTES * len(notes)):
            found.append((float(np.median(peaks[near, 0])), peaks[near, 1]))
    weights: dict[float, float] = {}
    for ratio, levels in sorted(found, key=lambda each: -each[1].sum()):
        if len(weights) < _MOST_RATIOS and all(abs(ratio - r) > _LEAST_STEP for r in weights):
            weights[round(ratio, 4)] = float(np.median(levels))
    return dict(sorted(weights.items()))


def _share_with(
    harmonic: int, notes: list[np.ndarray], pitches: np.ndarray, highest_hz: float
) -> float | None:
    """Share of notes with a peak at a harmonic, of those that reach it; None if few do."""
    reach = highest_hz / pitch_to_hz(pitches) > harmonic + 0.5
    if reach.mean() < _REACHED:
        return None
    near = max(_BESIDE, _BESIDE_PART * harmonic)
    has = [bool((np.abs(note[:, 0] - harmonic) < near).any()) for note in notes]
    return float(np.mean(np.array(has)[reach]))


def _without_absent(
    notes: list[np.ndarray], pitches: np.ndarray, highest_hz: float
) -> tuple[float, ...]:
    """Harmonics without those that all notes lack; empty if few are lacking."""
    numbers = range(1, MOST_PARTIALS + 1)
    shares = {h: _share_with(h, notes, pitches, highest_hz) or 0.0 for h in numbers}
    highest = max((h for h, share in shares.items() if share > _PRESENT), default=0)
    kept = [h for h in range(1, highest + 1) if shares[h] >= _ABSENT]
    n_absent = highest - len(kept)
    many = n_absent >= max(_LEAST_ABSENT, _LEAST_ABSENT_SHARE * highest)
    return tuple(map(float, kept)) if many else ()


def _with_harmonics(
    ratios: Sequence[float], notes: list[np.ndarray], pitches: np.ndarray, highest_hz: float
) -> tuple[float, ...]:
    """Add the harmonics below the highest ratio that are near none of them, unless notes lack them.

    A harmonic that few notes reach is added.
    """
    harmonics = range(1, math.ceil(max(ratios)))
    alone = [h for h in harmonics if all(abs(h - ratio) > _ALONE for ratio in ratios)]
    shares = {h: _share_with(h, notes, pitches, highest_hz) for h in alone}
    added = [float(h) for h, share in shares.items() if share is None or share >= _ABSENT]
    return tuple(sorted([*ratios, *added[: MOST_PARTIALS - len(ratios)]]))
