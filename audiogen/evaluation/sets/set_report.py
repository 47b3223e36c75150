"""Report on a set of sounds against real ones: every metric beside held-out and spoiled notes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.pitch import Tracker, cents_error, note_pitch
from audiogen.core.counting import counted
from audiogen.errors import MissingPackageError, ParameterError
from audiogen.evaluation import two_sample
from audiogen.evaluation.report_files import json_text, write_report
from audiogen.evaluation.sets import copies, distances, divergence, spoiled
from audiogen.evaluation.sets.cache import ResultCache
from audiogen.evaluation.sets.divergence import Budget
from audiogen.evaluation.sets.estimate import Estimate, jackknife, over_seeds, share
from audiogen.evaluation.sets.images import log_mel_images
from audiogen.evaluation.sets.judge import Judge, TimbreJudge
from audiogen.evaluation.sets.sounds import SoundSet, require_labels
from audiogen.evaluation.timbre_features import HOLD_S

METRICS = ("pitch", "is", "fid", "kid", "ndb", "nnd", "copies", "c2st")
GENERATED, HELD_OUT = "generated", "held-out real"
RANDOM_PHASE, WRONG_PITCH, BLUR, MEMORISED = (
    "random phase",
    "wrong pitch",
    "5 % blur",
    "memorised",
)
COLUMNS = (GENERATED, HELD_OUT, RANDOM_PHASE, WRONG_PITCH, BLUR, MEMORISED)
MIN_NOTES = 40  # of each kind, for any metric
IN_TUNE_CENTS = 50.0
_CHECKED_BY_OTHER = 50  # notes that the second pitch tracker measures; pYIN takes a second each
_N_PAIRS = 4  # players of each kind in the report


@dataclass
class SetReport:
    """Result of `evaluate_sets`.

    Parameters
    ----------
    rows : dict of str to dict of str to Estimate
        Estimates by row (metric, with its part) and column.
    curves : dict of str to dict of int to Estimate
        Neural network divergence of each column by the critic's steps.
    remarks : list of str
        Alarm, metrics that were left out with the number of notes they need, nearest copies.
    facts : dict
        Judge, counts, hashes and settings.
    pairs : list of (str, array, array)
        Title, real and generated waveform.
    sample_rate : int, Hz
        Sample rate of the waveforms.
    """

    rows: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    curves: dict[str, dict[int, Estimate]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    pairs: list[tuple[str, np.ndarray, np.ndarray]] = field(default_factory=list)
    sample_rate: int = 0

    def table(self) -> list[tuple[str, ...]]:
        """Return the header and a row of texts for each number."""
        rows: list[tuple[str, ...]] = [("", *COLUMNS)]
        for name, of in self.rows.items():
            rows.append((name, *(str(of[c]) if c in of else "-" for c in COLUMNS)))
        for steps in sorted({steps for curve in self.curves.values() for steps in curve}):
            cells = [self.curves.get(c, {}).get(steps) for c in COLUMNS]
            texts = ["-" if cell is None else str(cell) for cell in cells]
            rows.append((f"nnd, {steps} critic steps", *texts))
        return rows

    def to_json(self) -> str:
        """Return all numbers as JSON; NaN becomes null."""
        content = {
            "format": 1,
            **self.facts,
            "metrics": {
                row: {column: estimate.content() for column, estimate in of.items()}
                for row, of in self.rows.items()
            },
            "nnd_curve": {
                column: {str(steps): e.content() for steps, e in curve.items()}
                for column, curve in self.curves.items()
            },
            "remarks": self.remarks,
        }
        return json_text(content)

    def write(self, folder: str | PathLike[str]) -> list[Path]:
        """Write report.json, report.html and, if there are players, rainbowgrams.png."""
        judge = self.facts["judge"]
        title = f"{self.facts['generated']['title']} against {self.facts['against']['title']}"
        about = (
            f"{self.facts['n']} notes of each kind, ± standard errors. Judge {judge['name']},"
            f" hash {judge['hash']}. {judge['evidence']}."
        )
        return write_report(
            folder,
            self.to_json(),
            self.pairs,
            self.sample_rate,
            title=f"Evaluation of {title}",
            table=self.table(),
            remarks=[about, *self.remarks],
        )


def evaluate_sets(
    generated: SoundSet,
    against: SoundSet,
    *,
    training: SoundSet | None = None,
    metrics: Sequence[str] | None = None,
    judge: Judge | None = None,
    n_notes: int | None = None,
    budget: Budget | None = None,
    n_seeds: int = two_sample.N_SEEDS,
    tracker: Tracker = "praat",
    seed: int = 0,
    cache: ResultCache | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SetReport:
    """Measure generated sounds against real ones, beside held-out and spoiled real ones.

    Half of the real notes, drawn at random, are the reference. The others stand for a perfect
    generator and are spoiled in four known ways. Every column has the same number of notes.

    Parameters
    ----------
    generated, against : SoundSet
        Generated and real sounds of one length and sample rate.
    training : SoundSet, optional
        Notes that the generator was trained on, for ``copies``; a quarter of the real notes by
        default, which finds copies only if the generator was trained on ``against`` itself.
    metrics : sequence of str, optional
        Names of `METRICS`; those that the sounds allow by default.
    judge : Judge, optional
        Judge of distances and classes; `TimbreJudge` by default.
    n_notes : int, optional
        Largest number of notes of each kind.
    budget : Budget, optional
        Largest budget of the critics of ``nnd``.
    n_seeds : int
        Number of critics, and of classifiers of each two-sample test.
    tracker : "praat" or "pyin"
        Pitch tracker whose readings count; those of the other one are a row of their own.
    seed : int
        Seed of all draws.
    cache : ResultCache, optional
        Store of numbers that were measured before.
    progress : callable
        Function of (parts done, parts in all).

    Returns
    -------
    SetReport

    Raises
    ------
    ParameterError
        If there are too few notes for one of ``metrics``, if one needs pitches that are unknown, or
        if sample rates differ; the message has the number needed.
    MissingPackageError
        If torch, scipy or librosa is not installed.
    """
    judge, budget = judge or TimbreJudge(), budget or Budget()
    for other in (against, *([training] if training else ())):
        if other.sample_rate != generated.sample_rate:
            raise ParameterError(
                f"{generated.title} has {generated.sample_rate} Hz and {other.title}"
                f" {other.sample_rate} Hz; they must be equal: resample one of them"
            )
    n = min(len(generated), len(against) // 2, n_notes or len(generated))
    if n < MIN_NOTES:
        raise ParameterError(
            f"{counted(len(generated), 'sound')} in {generated.title} and {len(against)} in"
            f" {against.title} are too few: {MIN_NOTES} generated and {2 * MIN_NOTES} real sounds"
            f" are needed, and n_notes (--notes) of {MIN_NOTES} or more"
        )
    parts = _Parts.draw(generated, against, training, n, seed)
    chosen, left_out = _chosen(metrics, parts, judge)
    work = _Work(parts, judge, budget, n_seeds, tracker, seed, cache)
    steps = [(metric, column) for metric in chosen for column in COLUMNS]
    report = SetReport(sample_rate=generated.sample_rate)
    report.facts = {
        "judge": {"name": judge.name, "hash": judge.hash, "evidence": judge.evidence},
        "n": n,
        "seed": seed,
        "seeds_of_networks": n_seeds,
        "critic": {"steps": budget.steps, "width": budget.width, "batch": budget.batch},
        "tracker": tracker,
        "seconds": generated.sounds.shape[1] / generated.sample_rate,
        "sample_rate": generated.sample_rate,
        "generated": _described(generated),
        "against": _described(against),
        "training": _described(training) if training else None,
    }
    progress(0, len(steps))
    for done, (metric, column) in enumerate(steps):
        for row, estimate in work.measure(metric, column).items():
            name, _, critic_steps = row.partition("@")
            if critic_steps:
                report.curves.setdefault(column, {})[int(critic_steps)] = estimate
            else:
                report.rows.setdefault(name, {})[column] = estimate
        progress(done + 1, len(steps))
    if "copies" in chosen:
        report.remarks += work.copy_remarks(parts.trained_on)
        report.pairs += work.copy_pairs()
    report.pairs += work.neighbour_pairs()
    report.remarks += left_out
    return report


@dataclass(frozen=True)
class _Parts:
    """The sets that the metrics compare."""

    columns: dict[str, SoundSet]
    reference: SoundSet  # n real notes
    real: SoundSet  # all real notes but the held-out column's
    known: SoundSet  # training notes, for copies
    calibration: SoundSet  # real notes that are neither known nor in a column
    trained_on: bool  # whether the training set was given

    @classmethod
    def draw(
        cls, generated: SoundSet, against: SoundSet, training: SoundSet | None, n: int, seed: int
    ) -> _Parts:
        random = np.random.default_rng(seed)
        order = random.permutation(len(against))
        held_out, real = against.take(order[:n]), against.take(order[n:])
        known, calibration = training, real
        if known is None:
            known, calibration = real.take(slice(0, None, 2)), real.take(slice(1, None, 2))
        columns = {
            GENERATED: generated.take(random.permutation(len(generated))[:n]),
            HELD_OUT: held_out,
            RANDOM_PHASE: spoiled.random_phase(held_out, seed),
            WRONG_PITCH: spoiled.wrong_pitch(held_out, seed),
            BLUR: spoiled.averaged_over_time(held_out),
            MEMORISED: spoiled.memorised(known, n, seed),
        }
        reference = real.take(slice(0, n))
        return cls(columns, reference, real, known, calibration, training is not None)

    @property
    def n(self) -> int:
        return len(self.reference)


def _described(sounds: SoundSet) -> dict[str, Any]:
    return {"title": sounds.title, "sounds": len(sounds), "hash": sounds.hash}


def _chosen(
    metrics: Sequence[str] | None, parts: _Parts, judge: Judge
) -> tuple[list[str], list[str]]:
    """Names of the metrics to measure, and why others were left out."""
    for name in metrics or ():
        if name not in METRICS:
            raise ParameterError(f"metrics={name!r} must be one of {', '.join(METRICS)}")
    kept, left_out = [], []
    for name in METRICS if metrics is None else [m for m in METRICS if m in metrics]:
        try:
            _require(name, parts, judge)
            kept.append(name)
        except ParameterError as error:
            if metrics is not None:
                raise
            left_out.append(f"{name} was left out: {error}.")
    return kept, left_out


def _require(metric: str, parts: _Parts, judge: Judge) -> None:
    """Raise if the sounds don't allow a metric."""
    least = {
        "kid": distances.MIN_KID_NOTES,
        "ndb": distances.MIN_PER_BIN * distances.N_BINS,
        "nnd": divergence.MIN_NOTES,
        "c2st": two_sample.MIN_NOTES,
    }.get(metric, MIN_NOTES)
    if metric == "fid":
        least = (
            distances.NOTES_PER_FEATURE
            * judge.embed(parts.reference.sounds[:1], parts.reference.sample_rate).shape[1]
        )
    if parts.n < least:
        raise ParameterError(
            f"{counted(parts.n, 'note')} of each kind are too few for {metric}, which needs"
            f" {least} or more: give {least} generated and {2 * least} real sounds, and --notes"
            f" {least}"
        )
    if metric == "is" and not judge.pitches:
        raise ParameterError(
            f"inception score (is) needs pitch probabilities, which judge {judge.name} does not"
            " have; give --judge"
        )
    if metric in ("pitch", "c2st"):
        needed = (parts.columns[GENERATED], parts.columns[HELD_OUT], parts.real, parts.known)
        require_labels(needed, metric)
    if metric == "c2st":
        for column in COLUMNS:
            first, _ = matched_keys(parts.real.pitches, parts.columns[column].pitches, 0)
            n_keys = len(set(np.round(parts.real.pitches[first]).tolist()))
            if len(first) < two_sample.MIN_NOTES or n_keys < 4:
                raise ParameterError(
                    f"{counted(len(first), 'note')} on {n_keys} common keys ({column} and real) are"
                    f" too few for c2st, which needs {two_sample.MIN_NOTES} on 4 keys or more"
                )
    if metric == "copies" and min(len(parts.calibration), parts.n) < copies.MIN_NOTES:
        raise ParameterError(
            f"{counted(len(parts.calibration), 'held-out real note')} are too few to calibrate"
            f" copies, which needs {copies.MIN_NOTES}: give {4 * copies.MIN_NOTES} real sounds, or"
            f" {2 * copies.MIN_NOTES} and --train"
        )


def matched_keys(first: np.ndarray, second: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of as many notes of each key from two sets, drawn at random.

    Parameters
    ----------
    first, second : array [n], array [m], MIDI numbers
        Pitches of the notes; they are compared in whole semitones.
    seed : int
        Seed of the draw.
    """
    random = np.random.default_rng(seed)
    indices: tuple[list[int], list[int]] = ([], [])
    keys = np.round(first), np.round(second)
    for key in np.intersect1d(*keys):
        of = [random.permutation(np.flatnonzero(pitches == key)) for pitches in keys]
        n = min(map(len, of))
        for index, part in zip(indices, of, strict=True):
            index += part[:n].tolist()
    return np.array(indices[0], int), np.array(indices[1], int)


class _Work:
    """The measurements, each of one metric and one column."""

    def __init__(
        self,
        parts: _Parts,
        judge: Judge,
        budget: Budget,
        n_seeds: int,
        tracker: Tracker,
        seed: int,
        cache: ResultCache | None,
    ) -> None:
        self.parts, self.judge, self.budget = parts, judge, budget
        self.n_seeds, self.tracker, self.seed, self.cache = n_seeds, tracker, seed, cache
        self._embedded: dict[str, np.ndarray] = {}
        self._copies: copies.Copies | None = None
        self._measures: dict[str, Callable[[str], dict[str, Estimate]]] = {
            "pitch": self._pitch,
            "is": self._is,
            "fid": self._fid,
            "kid": self._kid,
            "ndb": self._ndb,
            "nnd": self._nnd,
            "copies": self._copies_row,
            "c2st": self._c2st,
        }

    def measure(self, metric: str, column: str) -> dict[str, Estimate]:
        """Return the estimates of a metric by row; those of a curve have names like nnd@1000."""
        parts = self.parts
        key = {
            "metric": metric,
            "sounds": parts.columns[column].hash,
            # The generated notes have a second pitch tracker, and the calibration of copies.
            "column": column if column in (GENERATED, HELD_OUT) else "spoiled",
            "real": parts.real.hash,
            "known": parts.known.hash,
            "judge": [self.judge.name, self.judge.hash],
            "settings": [str(self.budget), self.n_seeds, self.tracker, self.seed],
        }

        def compute() -> dict[str, Any]:
            rows = self._measures[metric](column)
            return {name: estimate.content() for name, estimate in rows.items()}

        content = self.cache.get(key, compute) if self.cache else compute()
        return {
            name: Estimate(c["value"], c["standard_error"], c["n"], tuple(c["interval"]))
            for name, c in content.items()
        }

    def _features(self, notes: SoundSet) -> np.ndarray:
        if notes.hash not in self._embedded:
            self._embedded[notes.hash] = self.judge.embed(notes.sounds, notes.sample_rate)
        return self._embedded[notes.hash]

    def _pair(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        return self._features(self.parts.reference), self._features(self.parts.columns[column])

    def _pitch(self, column: str) -> dict[str, Estimate]:
        notes = self.parts.columns[column]
        rows = {f"in tune, {self.tracker}": in_tune(notes, self.tracker)}
        other: Tracker = "pyin" if self.tracker == "praat" else "praat"
        if column in (GENERATED, HELD_OUT):
            try:
                some = notes.take(slice(0, _CHECKED_BY_OTHER))
                rows[f"in tune, {other}, {len(some)} notes"] = in_tune(some, other)
            except MissingPackageError:
                pass
        if self.judge.pitches:
            p = self.judge.pitch_probabilities(notes.sounds, notes.sample_rate)
            read = np.array(self.judge.pitches)[p.argmax(axis=1)]
            right = int((read == np.round(notes.pitches)).sum())
            rows["pitch accuracy, judge"] = share(right, len(notes))
            rows["pitch entropy, judge"] = jackknife(distances.pitch_entropy, p)
        return rows

    def _is(self, column: str) -> dict[str, Estimate]:
        notes = self.parts.columns[column]
        p = self.judge.pitch_probabilities(notes.sounds, notes.sample_rate)
        return {"is": jackknife(distances.inception_score, p)}

    def _fid(self, column: str) -> dict[str, Estimate]:
        return {"fid": distances.frechet(*self._pair(column))}

    def _kid(self, column: str) -> dict[str, Estimate]:
        return {"kid": distances.kernel(*self._pair(column))}

    def _ndb(self, column: str) -> dict[str, Estimate]:
        return {"ndb, k = 50": distances.different_bins(*self._pair(column), seed=self.seed)}

    def _nnd(self, column: str) -> dict[str, Estimate]:
        real, notes = (
            log_mel_images(part.sounds, part.sample_rate)
            for part in (self.parts.real, self.parts.columns[column])
        )
        # Two thirds train the critics; the last third values them.
        sets = [half for x in (real, notes) for half in np.split(x, [2 * len(x) // 3])]
        result = divergence.neural_divergence(*sets, budget=self.budget, n_seeds=self.n_seeds)
        return {f"nnd@{steps}": result.estimate(steps) for steps in result.values}

    def _find_copies(self, column: str) -> copies.Copies:
        if column == GENERATED and self._copies:
            return self._copies
        parts = self.parts
        sets = (parts.known, parts.calibration, parts.columns[column])
        result = copies.find_copies(*map(copies.copy_images, sets))
        if column == GENERATED:
            self._copies = result
        return result

    def _copies_row(self, column: str) -> dict[str, Estimate]:
        return {"copies (0.05 by chance)": self._find_copies(column).estimate()}

    def _c2st(self, column: str) -> dict[str, Estimate]:
        real, notes = self.parts.real, self.parts.columns[column]
        first, second = matched_keys(real.pitches, notes.pitches, self.seed)
        shortest = round((two_sample.HELD_RANGE_S[1] + two_sample.CROP_S) * real.sample_rate)
        pair = [
            np.pad(x, ((0, 0), (0, max(0, shortest - x.shape[1]))))
            for x in (real.sounds[first], notes.sounds[second])
        ]
        areas = two_sample.two_sample_test(
            pair[0],
            pair[1],
            np.round(real.pitches[first]),
            real.sample_rate,
            features="log-mel",
            n_seeds=self.n_seeds,
            paired=False,
        )
        return {
            f"c2st, {part} (0.5 by chance)": over_seeds(area.values, len(first))
            for part, area in areas.items()
        }

    def copy_remarks(self, trained_on: bool) -> list[str]:
        """Return the alarm, and the notes nearest to the training set."""
        found, parts = self._find_copies(GENERATED), self.parts
        n, n_suspicious = len(found.distances), int(found.suspicious.sum())
        known = "the training set" if trained_on else "a quarter of the real sounds"
        verdict = "ALARM, copies" if found.alarm else "no alarm"
        lines = [
            f"Copies: {verdict}. {n_suspicious} of {n} notes are nearer to {known} than"
            f" {found.threshold:.2f} dB, as 5 % of held-out real notes are"
            f" (p = {found.p_value:.2g}; the alarm is below {copies.ALARM})."
        ]
        for i in np.argsort(found.distances)[:_N_PAIRS] if found.alarm else ():
            lines.append(
                f"{parts.columns[GENERATED].names[i]} is {found.distances[i]:.2f} dB from"
                f" {parts.known.names[found.nearest[i]]}."
            )
        return lines

    def copy_pairs(self) -> Iterable[tuple[str, np.ndarray, np.ndarray]]:
        """Yield the generated notes nearest to the training set, with those training notes."""
        found, parts = self._find_copies(GENERATED), self.parts
        made = parts.columns[GENERATED]
        for i in np.argsort(found.distances)[:_N_PAIRS]:
            j = found.nearest[i]
            title = f"{made.names[i]}, {found.distances[i]:.2f} dB from {parts.known.names[j]}"
            yield title, parts.known.sounds[j], made.sounds[i]

    def neighbour_pairs(self) -> Iterable[tuple[str, np.ndarray, np.ndarray]]:
        """Yield some generated notes, drawn at random, with the nearest real ones."""
        made = self.parts.columns[GENERATED].take(slice(0, _N_PAIRS))
        real = self.parts.real
        images = [copies.copy_images(part) for part in (made, real)]
        for i, image in enumerate(images[0]):
            j = int(np.argmin(np.square(images[1] - image).sum(axis=1)))
            title = f"{made.names[i]}, nearest real sound {real.names[j]}"
            yield title, real.sounds[j], made.sounds[i]


def in_tune(notes: SoundSet, tracker: Tracker) -> Estimate:
    """Return the share of notes within half a semitone of their pitch, by one tracker."""
    measured = [
        note_pitch(
            sound,
            notes.sample_rate,
            note_on_s=min(HOLD_S, len(sound) / notes.sample_rate),
            tracker=tracker,
        )
        for sound in notes.sounds
    ]
    cents = np.abs(cents_error(np.array(measured), notes.pitches))
    return share(int((cents <= IN_TUNE_CENTS).sum()), len(notes))
