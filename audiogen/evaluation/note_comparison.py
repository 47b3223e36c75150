"""Real notes beside the oracle and a preset: statistics by group, two-sample tests, a judgement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from audiogen.evaluation import two_sample
from audiogen.evaluation.note_statistics import is_varying, note_statistics
from audiogen.evaluation.two_sample import FEATURES, PARTS, Area, two_sample_test

REAL, ORACLE, PRESET = "real", "oracle", "preset"
GROUPS = ("steady", "varying")
MIN_NOTES = 20  # for statistics
MIN_GROUP = 10  # notes of a group, for its medians
# Statistics of a preset's card.
CARD = ("attack_ms", "wander_db", "flutter_db", "off_partials_db", "level_dbfs")
AREA_TOLERANCE = 0.05  # of the area under the curve, from the oracle's
LEVEL_TOLERANCE_DB = 1.0  # of a timbre beside the others
MIN_OF_TIMBRE = 3  # notes of a timbre, for its level
_N_RESAMPLES = 400
_CONFIDENCE = 0.95


class _Statistic(NamedTuple):
    """How a statistic is printed, and how far from the oracle's it may be."""

    title: str  # {} is replaced by the band
    form: str
    tolerance: float  # in its unit
    relative: float  # share of the oracle's value; the larger of both counts


# Tolerances: 15 % of an attack, 0.1 dB or 30 % of a change of level, 1.5 dB of a band.
_STATISTICS = {
    "attack_ms": _Statistic("attack (ms)", "{:.0f}", 0.0, 0.15),
    "wander_db": _Statistic("wander, 0.4-3 Hz (dB)", "{:.2f}", 0.1, 0.3),
    "flutter_db": _Statistic("flutter, 3-8 Hz (dB)", "{:.2f}", 0.1, 0.3),
    "roughness_db": _Statistic("roughness, 15-60 Hz (dB)", "{:.2f}", 0.1, 0.3),
    "vibrato_cents": _Statistic("vibrato, 3-8 Hz (cents)", "{:.1f}", 1.0, 0.3),
    "off_partials_db": _Statistic("off partials, {} kHz (dB)", "{:.1f}", 1.5, 0.0),
    "near_partials_db": _Statistic("near them, {} kHz (dB)", "{:.1f}", 1.5, 0.0),
    "above_db": _Statistic("power above {} kHz (dB)", "{:.1f}", 1.5, 0.0),
    "level_dbfs": _Statistic("level (dBFS)", "{:.1f}", 1.0, 0.0),
}


@dataclass(frozen=True)
class Median:
    """Median of a statistic over a group of notes, for each kind of notes.

    Parameters
    ----------
    name : str
        Name of the statistic, with its band.
    group : str
        ``steady`` or ``varying``.
    values : dict of str to float
        Median of each kind; NaN without notes.
    errors : dict of str to float
        Mean absolute difference to the same real note, of each kind but the real one.
    interval : tuple of (float, float)
        95 % bootstrap interval, over notes, of the preset's median minus the oracle's; NaN without
        an oracle.
    outside : bool
        Whether the preset is outside the oracle's spread: the interval excludes 0, and the
        difference exceeds the tolerance.
    """

    name: str
    group: str
    values: dict[str, float]
    errors: dict[str, float]
    interval: tuple[float, float]
    outside: bool


@dataclass(frozen=True)
class Comparison:
    """Result of `compare_notes`.

    Parameters
    ----------
    n_notes : dict of str to int
        Notes of each group.
    medians : tuple of Median
        Medians of all statistics and groups.
    areas : dict of str to dict of str to Area
        Area under the curve for each kind of notes, by test (``linear, attack``). That of real
        notes compares two halves of them. Empty if no test was made.
    levels : dict of str to dict of str to float, dB
        For each kind but the real one, mean level of each timbre above that of the same real notes.
    """

    n_notes: dict[str, int]
    medians: tuple[Median, ...]
    areas: dict[str, dict[str, Area]]
    levels: dict[str, dict[str, float]] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, dict[str, str]]]:
        """Return rows of a title and the texts of each kind of notes, steady / varying.

        A value outside the oracle's spread has an exclamation mark.
        """
        rows = []
        if self.medians:
            counts = " / ".join(str(self.n_notes[group]) for group in GROUPS)
            rows.append(("compared notes, steady / varying", {REAL: counts}))
        for name in dict.fromkeys(median.name for median in self.medians):
            of = {median.group: median for median in self.medians if median.name == name}
            form = _statistic(name).form
            texts = {}
            for kind in of[GROUPS[0]].values:
                values = [_text(form, of[group], kind) for group in GROUPS]
                if any(value != "-" for value in values):
                    texts[kind] = " / ".join(values)
            if texts:
                rows.append((statistic_title(name), texts))
        if self.levels:
            texts = {kind: _range(levels.values()) for kind, levels in self.levels.items()}
            texts[PRESET] += "!" if self.wrong_levels() else ""
            rows.append(("level of timbres relative to real (dB)", texts))
        for test in dict.fromkeys(test for areas in self.areas.values() for test in areas):
            texts = {kind: str(areas[test]) for kind, areas in self.areas.items() if test in areas}
            if self.area_outside(test):
                texts[PRESET] += "!"
            rows.append((f"AUC, {test}", texts))
        return rows

    def area_outside(self, test: str) -> bool:
        """Return whether the preset is easier to tell from real notes than the oracle is."""
        preset, oracle = (self.areas.get(kind, {}).get(test) for kind in (PRESET, ORACLE))
        return (
            preset is not None
            and oracle is not None
            and preset.median > oracle.median + AREA_TOLERANCE
            and min(preset.values) > max(oracle.values)
        )

    def wrong_levels(self) -> dict[str, float]:
        """Timbres whose level beside the others is wrong: by how many dB, the worst one first.

        The level of a timbre above the real one, less the median of all timbres, is wrong if it is
        farther from 0 than that of the oracle's worst timbre and `LEVEL_TOLERANCE_DB`.
        """
        levels, bounds = (
            _relative_to_median(self.levels.get(kind, {})) for kind in (PRESET, ORACLE)
        )
        most = LEVEL_TOLERANCE_DB + max(map(abs, bounds.values()), default=0.0)
        off = {timbre: level for timbre, level in levels.items() if abs(level) > most}
        return dict(sorted(off.items(), key=lambda item: -abs(item[1])))

    def judgement(self) -> list[str]:
        """Return one line for each statistic outside the oracle's spread, worst excess first."""
        lines = []
        for median in self.medians:
            if median.outside:
                form = _statistic(median.name).form
                ours, bound = (form.format(median.values[kind]) for kind in (PRESET, ORACLE))
                title = statistic_title(median.name)
                text = f"{title} of {median.group} notes: {ours}, oracle {bound}"
                lines.append((_excess(median), text))
        lines.sort(key=lambda line: -line[0])
        tests = dict.fromkeys(test for areas in self.areas.values() for test in areas)
        off = [f"{timbre} {level:+.1f}" for timbre, level in self.wrong_levels().items()]
        if off:
            lines.append((0.0, f"level beside the other timbres (dB): {', '.join(off)}"))
        return [text for _, text in lines] + [
            f"AUC, {test}: {self.areas[PRESET][test]}, oracle {self.areas[ORACLE][test]}"
            for test in tests
            if self.area_outside(test)
        ]

    def card(self) -> dict[str, float]:
        """Return the numbers for the card of a preset: areas, and the statistics of `CARD`."""
        numbers = {}
        for median in self.medians:
            statistic, _, band = median.name.partition(" ")
            if statistic in CARD:
                if band:
                    low, high = (round(float(khz)) for khz in band.split("-"))
                    statistic += f"_{low}_to_{high}_khz"
                for kind, value in median.values.items():
                    prefix = "" if kind == PRESET else f"{kind}_"
                    numbers[f"{prefix}{statistic}_{median.group}"] = value
        for kind, levels in self.levels.items():
            prefix = "" if kind == PRESET else f"{kind}_"
            errors = [abs(level) for level in _relative_to_median(levels).values()]
            numbers[f"{prefix}timbre_level_error_db"] = float(np.mean(errors))
            numbers[f"{prefix}timbre_level_lowest_db"] = min(levels.values())
            numbers[f"{prefix}timbre_level_highest_db"] = max(levels.values())
        for kind, areas in self.areas.items():
            prefix = "" if kind == PRESET else f"{kind}_"
            for test, area in areas.items():
                key = test.replace("-", "_").replace(", ", "_")
                numbers[f"{prefix}auc_{key}"] = area.median
        return numbers

    def content(self) -> dict[str, Any]:
        """Return everything as plain numbers, for report.json."""
        return {
            "notes": self.n_notes,
            "statistics": {
                f"{median.name}, {median.group}": {
                    "median": median.values,
                    "mean_difference_to_same_note": median.errors,
                    "interval_of_difference_to_oracle": list(median.interval),
                    "outside": median.outside,
                }
                for median in self.medians
            },
            "two_sample": {
                kind: {test: list(area.values) for test, area in areas.items()}
                for kind, areas in self.areas.items()
            },
            "timbre_level_above_real_db": self.levels,
            "outside": self.judgement(),
        }


def compare_notes(
    notes: Mapping[str, np.ndarray],
    pitches: np.ndarray,
    sample_rate: int,
    *,
    partials: Sequence[np.ndarray | None] | None = None,
    pitched: Sequence[bool] | None = None,
    timbres: Sequence[str] = (),
    n_classifiers: int = two_sample.N_SEEDS,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> Comparison:
    """Compare notes with the real ones of the same timbres, pitches and velocities.

    Parameters
    ----------
    notes : dict of str to array [n_notes, n_samples]
        Notes of each kind, ``real`` and any others (``oracle``, ``preset``), in the same order.
    pitches : array [n_notes], MIDI number
        Pitches of the notes.
    sample_rate : int, Hz
        Sample rate of the notes.
    partials : sequence of array [n_partials] or None, optional
        Partials of each note (`audiogen.representation.partials`); harmonic ones by default.
    pitched : sequence of bool, optional
        Whether each note has partials at its pitch, for the statistics of these; all by default.
    timbres : sequence of str
        Timbre of each note, for the levels of timbres; none without.
    n_classifiers : int
        Classifiers of each two-sample test; 0 for none.
    seed : int
        Seed of the bootstrap and of the halves of real notes.
    progress : callable, optional
        Called after each kind of notes and each classifier.

    Returns
    -------
    Comparison

    Raises
    ------
    ParameterError
        If there are too few notes for a two-sample test.
    ShapeError
        If the arrays do not fit each other.
    MissingPackageError
        If torch or scipy is not installed and a two-sample test is wanted.
    """
    rng = np.random.default_rng(seed)
    partials = [None] * len(pitches) if partials is None else partials
    sounding = pitches
    if pitched is not None:
        sounding = np.where(pitched, pitches, np.nan)
        partials = [own if has else None for own, has in zip(partials, pitched, strict=True)]
    statistics = {}
    for kind, sounds in notes.items():
        statistics[kind] = [
            note_statistics(sound, pitch, sample_rate, own)
            for sound, pitch, own in zip(sounds, sounding, partials, strict=True)
        ]
        if progress:
            progress()
    varying = np.array([is_varying(values) for values in statistics[REAL]], bool)
    groups = dict(zip(GROUPS, (~varying, varying), strict=True))
    medians: list[Median] = []
    for name in statistics[REAL][0]:
        values = {kind: np.array([row[name] for row in rows]) for kind, rows in statistics.items()}
        medians += [_median(name, group, inside, values, rng) for group, inside in groups.items()]
    areas: dict[str, dict[str, Area]] = {}
    if n_classifiers:
        options: dict[str, Any] = {"n_seeds": n_classifiers, "progress": progress}
        for features in FEATURES:
            for kind, sounds in notes.items():
                if kind == REAL:
                    first, second = same_key_halves(pitches, rng)
                    if len(first) < two_sample.MIN_NOTES:
                        continue
                    pair, keys = (sounds[first], sounds[second]), pitches[first]
                else:
                    pair, keys = (notes[REAL], sounds), pitches
                result = two_sample_test(
                    *pair, keys, sample_rate, features=features, paired=kind != REAL, **options
                )
                areas.setdefault(kind, {}).update(
                    {f"{features}, {part}": result[part] for part in PARTS}
                )
    return Comparison(
        {group: int(inside.sum()) for group, inside in groups.items()},
        tuple(medians),
        areas,
        _levels(statistics, timbres),
    )


def n_steps(kinds: int, n_classifiers: int) -> int:
    """Return how often `compare_notes` calls ``progress`` at most."""
    return kinds * (1 + len(FEATURES) * n_classifiers)


def same_key_halves(pitches: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return indices of two sets of different notes with the same keys, drawn at random."""
    first, second = [], []
    for key in np.unique(pitches):
        index = random.permutation(np.flatnonzero(pitches == key))
        half = len(index) // 2
        first += index[:half].tolist()
        second += index[half : 2 * half].tolist()
    return np.array(first, int), np.array(second, int)


def statistic_title(name: str) -> str:
    """Return the title of a statistic of `note_statistics`, with its band."""
    return _statistic(name).title.format(name.partition(" ")[2])


def _levels(
    statistics: Mapping[str, Sequence[Mapping[str, float]]], timbres: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Mean level of each timbre above that of the real notes, by kind."""
    timbre_of_note = np.array(timbres, str)
    unique, counts = np.unique(timbre_of_note, return_counts=True)
    names = [str(name) for name in unique[counts >= MIN_OF_TIMBRE]]
    if not names:
        return {}
    levels = {
        kind: np.array([row["level_dbfs"] for row in rows]) for kind, rows in statistics.items()
    }
    real = levels.pop(REAL)
    return {
        kind: {name: float((level - real)[timbre_of_note == name].mean()) for name in names}
        for kind, level in levels.items()
    }


def _relative_to_median(levels: Mapping[str, float]) -> dict[str, float]:
    """Levels of timbres relative to their median."""
    median = float(np.median(list(levels.values()))) if levels else 0.0
    return {timbre: level - median for timbre, level in levels.items()}


def _range(values: Iterable[float]) -> str:
    values = list(values)
    return f"{min(values):.1f} to {max(values):.1f}"


def _statistic(name: str) -> _Statistic:
    return _STATISTICS[name.partition(" ")[0]]


def _text(form: str, median: Median, kind: str) -> str:
    value = median.values[kind]
    if not np.isfinite(value):
        return "-"
    return form.format(value) + ("!" if kind == PRESET and median.outside else "")


def _tolerance(name: str, bound: float) -> float:
    statistic = _statistic(name)
    return max(statistic.tolerance, statistic.relative * abs(bound))


def _excess(median: Median) -> float:
    """Difference to the oracle's median, in units of the tolerance."""
    bound = median.values[ORACLE]
    return abs(median.values[PRESET] - bound) / _tolerance(median.name, bound)


def _median(
    name: str,
    group: str,
    inside: np.ndarray,
    values: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> Median:
    """Medians of one statistic over the notes of a group for which all kinds have it."""
    chosen = inside & np.all([np.isfinite(v) for v in values.values()], axis=0)
    if chosen.sum() < MIN_GROUP:
        nothing = dict.fromkeys(values, float("nan"))
        without = {kind: float("nan") for kind in values if kind != REAL}
        return Median(name, group, nothing, without, (float("nan"),) * 2, False)
    notes = {kind: v[chosen] for kind, v in values.items()}
    medians = {kind: float(np.median(v)) for kind, v in notes.items()}
    errors = {
        kind: float(np.mean(np.abs(v - notes[REAL]))) for kind, v in notes.items() if kind != REAL
    }
    interval, outside = (float("nan"), float("nan")), False
    if ORACLE in notes and PRESET in notes:
        index = rng.integers(chosen.sum(), size=(_N_RESAMPLES, chosen.sum()))
        drawn = [np.median(notes[kind][index], axis=1) for kind in (PRESET, ORACLE)]
        edges = ((1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2)
        low, high = (float(edge) for edge in np.quantile(drawn[0] - drawn[1], edges))
        interval = (low, high)
        difference = abs(medians[PRESET] - medians[ORACLE])
        outside = not low <= 0 <= high and difference > _tolerance(name, medians[ORACLE])
    return Median(name, group, medians, errors, interval, outside)
