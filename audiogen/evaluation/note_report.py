"""Report on the notes of a preset: measurements of random notes and of real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audiogen.audio.pitch import Tracker, note_pitch
from audiogen.core.counting import counted
from audiogen.data.notes.nsynth import NoteInfo, NoteSet
from audiogen.data.source_toml import instrument_entries, program_of, read_source, timbre_names
from audiogen.errors import ParameterError, ShapeError
from audiogen.evaluation import metrics, two_sample
from audiogen.evaluation.note_comparison import (
    MIN_NOTES,
    ORACLE,
    PRESET,
    REAL,
    Comparison,
    compare_notes,
    n_steps,
)
from audiogen.evaluation.oracle import oracle
from audiogen.evaluation.report_files import json_text, write_report
from audiogen.evaluation.timbre_features import (
    HOLD_S,
    MIN_NOTES_FOR_DISTANCES,
    Distance,
    distances,
    note_features,
    with_random_phase,
)
from audiogen.notes.general_midi import UNPITCHED
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.partials import HARMONIC, TimbrePartials

VELOCITIES = (50, 90, 127)
METRICS = ("distances", "statistics", "c2st")  # comparisons with real notes
_MAX_PAIRS = 8

# Function of timbre, pitch (MIDI number), velocity (0 to 1) and seconds until the release of the
# key; returns a waveform [n_samples].
Render = Callable[[str, int, float, float], np.ndarray]


class TimbreLike(Protocol):
    """Timbre of a preset; its real notes are those of its `program`."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def program(self) -> int | None: ...


@dataclass(frozen=True)
class NoteMeasures:
    """Measurements of one note.

    Parameters
    ----------
    timbre : str
        Timbre, or instrument of a real note.
    pitch : int, MIDI number
        Pitch asked for.
    velocity : int, 1 to 127
        Velocity asked for.
    measured_pitch : float, MIDI number
        NaN if the tracker found no pitch.
    level_db, peak_db : float, dBFS
        Root mean square and peak.
    dc : float
        `metrics.dc_offset`.
    click : float
        `metrics.click_ratio`.
    silent, finite : bool
        Whether the peak is below -60 dBFS, and whether all samples are finite.
    pitched : bool
        Whether the sound should have a pitch, which a woodblock's has not.
    """

    timbre: str
    pitch: int
    velocity: int
    measured_pitch: float
    level_db: float
    peak_db: float
    dc: float
    click: float
    silent: bool
    finite: bool
    pitched: bool = True


@dataclass(frozen=True)
class Report:
    """Result of `evaluate_notes`.

    Parameters
    ----------
    generated : tuple of NoteMeasures
        Measurements of rendered notes.
    real : tuple of NoteMeasures
        Empty without real notes.
    distances : dict[str, Distance]
        Distances by name; empty for few notes, see `timbre_features.distances`.
    pairs : tuple of (str, array, array)
        Title, real and generated waveform of the same timbre, pitch and velocity.
    sample_rate : int, Hz
        Sample rate of the waveforms.
    seed : int
        Seed of the draw.
    tracker : str
        Pitch tracker that was used.
    comparison : Comparison, optional
        Statistics and two-sample tests of the same notes, real, of the oracle and of the preset.
    """

    generated: tuple[NoteMeasures, ...]
    real: tuple[NoteMeasures, ...]
    distances: dict[str, Distance]
    pairs: tuple[tuple[str, np.ndarray, np.ndarray], ...]
    sample_rate: int
    seed: int
    tracker: str
    comparison: Comparison | None = None

    def header(self, name: str) -> tuple[str, ...]:
        """Return the titles of the table's columns, for a preset of this name."""
        return ("", REAL, ORACLE, name)

    def table(self) -> list[tuple[str, ...]]:
        """Return rows of (quantity, real, oracle, preset) as text."""
        generated, real = summarise(self.generated), summarise(self.real)
        rows: list[tuple[str, ...]] = []
        for key, (title, form) in _ROWS.items():
            if key in CARD and not any(note.pitched for note in (*self.generated, *self.real)):
                continue
            theirs = form.format(real[key]) if real else "-"
            rows.append((title, theirs, "-", form.format(generated[key])))
        for name, distance in self.distances.items():
            bound = "-" if np.isnan(distance.oracle) else f"{distance.oracle:.3g}"
            among, ours = f"{distance.among_real:.3g}", f"{distance.to_real:.3g}"
            rows.append((f"{name} to real notes", among, bound, ours))
            title = f"{name}, random phases"
            rows.append((title, "-", "-", f"{distance.random_phase:.3g}"))
        for title, texts in self.comparison.rows() if self.comparison else ():
            rows.append((title, *(texts.get(kind, "-") for kind in (REAL, ORACLE, PRESET))))
        return rows

    def remarks(self) -> list[str]:
        """Return the judgement: what is outside the oracle's spread."""
        if self.comparison is None or ORACLE not in self.comparison.medians[0].values:
            return []
        outside = self.comparison.judgement()
        if not outside:
            return ["Nothing is outside the oracle's spread."]
        return ["Outside the oracle's spread (!), farthest first:", *outside]

    def measured(self) -> dict[str, float]:
        """Return the numbers for the ``[measured]`` table of a preset."""
        card: dict[str, float] = {"evaluated_notes": len(self.generated)}
        for prefix, notes in (("", self.generated), ("real_", self.real)):
            summary = summarise(notes)
            card |= {prefix + key: summary[key] for key in CARD if key in summary}
        for name, distance in self.distances.items():
            key = name.lower().replace(" ", "_")
            card[f"{key}_to_real"] = distance.to_real
            card[f"{key}_among_real"] = distance.among_real
            card[f"{key}_random_phase"] = distance.random_phase
            card[f"{key}_oracle"] = distance.oracle
        if self.comparison:
            card["compared_notes"] = sum(self.comparison.n_notes.values())
            card |= self.comparison.card()
        return {key: round(float(value), 4) for key, value in card.items() if np.isfinite(value)}

    def to_json(self) -> str:
        """Return everything but the waveforms as JSON; NaN becomes null."""
        names = sorted({note.timbre for note in self.generated})
        content = {
            "format": 1,
            "seed": self.seed,
            "sample_rate": self.sample_rate,
            "tracker": self.tracker,
            "generated": summarise(self.generated),
            "real": summarise(self.real) or None,
            "distances": {
                name: {
                    "generated_to_real": distance.to_real,
                    "real_to_real": distance.among_real,
                    "random_phase_to_real": distance.random_phase,
                    "oracle_to_real": distance.oracle,
                }
                for name, distance in self.distances.items()
            },
            "comparison": self.comparison.content() if self.comparison else None,
            "timbres": {
                name: summarise([note for note in self.generated if note.timbre == name])
                for name in names
            },
            "notes": [asdict(note) for note in self.generated],
            "real_notes": [asdict(note) for note in self.real],
        }
        return json_text(content)

    def write(self, folder: str | PathLike[str], name: str = PRESET) -> list[Path]:
        """Write report.json, report.html and, if there are real notes, rainbowgrams.png.

        Parameters
        ----------
        folder : path
            Folder of the report.
        name : str
            Name of the preset.

        Returns
        -------
        list of Path
            Written files.

        Raises
        ------
        ParameterError
            If the folder cannot be written.
        """
        return write_report(
            folder,
            self.to_json(),
            self.pairs,
            self.sample_rate,
            title=f"Evaluation of {name}",
            table=[self.header(name), *self.table()],
            remarks=self.remarks(),
        )


CARD = ("pitch_ok", "pitch_ok_octave_free", "median_cents", "unpitched")  # keys of a summary

# Title and format of each key of a summary.
_ROWS = {
    "notes": ("notes", "{:d}"),
    "pitch_ok": ("pitch within half a semitone", "{:.1%}"),
    "pitch_ok_octave_free": ("the same, but for octaves", "{:.1%}"),
    "median_cents": ("median pitch error (cents)", "{:.1f}"),
    "unpitched": ("no pitch found", "{:.1%}"),
    "median_level_db": ("median level (dBFS)", "{:.1f}"),
    "highest_peak_db": ("highest peak (dBFS)", "{:.1f}"),
    "largest_dc": ("largest DC (relative to level)", "{:.3f}"),
    "clicking": (f"clicking (ratio above {metrics.CLICK_RATIO:.0f})", "{:.1%}"),
    "silent": ("silent", "{:.1%}"),
    "not_finite": ("not finite", "{:.1%}"),
}


def summarise(notes: Sequence[NoteMeasures]) -> dict[str, Any]:
    """Return rates and medians of notes by the keys of the table; {} for no notes."""
    if not notes:
        return {}
    pitched = [note for note in notes if note.pitched]
    measured = np.array([note.measured_pitch for note in pitched])
    wanted = np.array([note.pitch for note in pitched], float)
    voiced = np.abs(measured - wanted)[np.isfinite(measured)]

    def in_tune(octave_free: bool) -> float:
        if not pitched:
            return float("nan")
        return metrics.pitch_accuracy(measured, wanted, octave_free=octave_free)

    sounding = [note for note in notes if note.finite and not note.silent]
    return {
        "notes": len(notes),
        "pitch_ok": in_tune(octave_free=False),
        "pitch_ok_octave_free": in_tune(octave_free=True),
        "median_cents": 100 * float(np.median(voiced)) if len(voiced) else float("nan"),
        "unpitched": float(np.mean(np.isnan(measured))) if pitched else float("nan"),
        "median_level_db": float(np.median([n.level_db for n in sounding] or [float("nan")])),
        "highest_peak_db": max((n.peak_db for n in sounding), default=float("nan")),
        "largest_dc": max((abs(n.dc) for n in sounding), default=float("nan")),
        "clicking": float(np.mean([n.click > metrics.CLICK_RATIO for n in notes])),
        "silent": float(np.mean([n.silent for n in notes])),
        "not_finite": float(np.mean([not n.finite for n in notes])),
    }


def evaluate_notes(
    render: Render,
    timbres: Sequence[TimbreLike],
    *,
    pitch_range: tuple[int, int],
    sample_rate: int,
    real: NoteSet | None = None,
    n_notes: int = 200,
    seed: int = 0,
    tracker: Tracker = "praat",
    spectrogram: SpectrogramConfig | None = None,
    partials: Mapping[str, TimbrePartials] | None = None,
    drums: Mapping[str, tuple[int, float]] | None = None,
    metrics: Sequence[str] | None = None,
    n_classifiers: int = two_sample.N_SEEDS,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Render random notes, measure them, and compare others with as many real ones.

    Timbre, pitch and velocity (one of the real notes', or 50, 90 and 127) are uniformly random;
    each note is held for `HOLD_S`. Real notes are drawn from the instruments that the timbres were
    trained on. Distances are measured to the first half of them, from the second half and from
    notes rendered with the second half's timbres, pitches and velocities. The compared sets thus
    have the same keys, while the uniformly random notes include pitches that an instrument lacks.

    Parameters
    ----------
    render : callable
        Function of timbre name, pitch (MIDI number), velocity (0 to 1) and seconds until the
        release of the key; returns a waveform [n_samples].
    timbres : sequence
        Timbres with `name`, `family` and General MIDI `program` (or None). A timbre's real notes
        are those of the instrument with its name, else its program, else its family.
    pitch_range : tuple[int, int], MIDI numbers
        Lowest and highest, both included.
    sample_rate : int, Hz
        Sample rate of the rendered waveforms.
    real : NoteSet, optional
        Real notes to compare with; those outside of the pitch range are left out.
    n_notes : int
        Number of rendered notes.
    seed : int
        Seed of the draw.
    tracker : "praat" or "pyin"
        Pitch tracker.
    spectrogram : SpectrogramConfig, optional
        Representation of the preset, for the oracle; there is none without it, or if its phase
        channel is not ``harmonic``.
    partials : dict of str to TimbrePartials, optional
        Partials of timbres by name; harmonic ones by default.
    drums : dict of str to (int, float), optional
        Key of each timbre of a drum kit, and the pitch of its sound. Its notes have no pitch that
        is measured.
    metrics : sequence of str, optional
        Comparisons with real notes, of `METRICS`; those that the number of notes allows by default.
    n_classifiers : int
        Classifiers of each two-sample test.
    progress : callable, optional
        Function of (steps done, steps in all).

    Returns
    -------
    Report

    Raises
    ------
    ParameterError
        If there are no timbres, a number is out of range, no real note is in the pitch range, or
        there are too few notes for one of ``metrics``.
    ShapeError
        If a rendered waveform does not have one dimension.
    FormatError
        If a real note cannot be read.
    MissingPackageError
        If the tracker or librosa is not installed.
    """
    if not timbres or n_notes < 1 or not 0 <= pitch_range[0] <= pitch_range[1] <= 127:
        raise ParameterError(
            f"{counted(len(timbres), 'timbre')}, n_notes={n_notes}, pitch_range={pitch_range} must "
            "be one timbre or more, one note or more and two MIDI numbers, lowest first"
        )
    rng = np.random.default_rng(seed)
    velocities = VELOCITIES if real is None else sorted({note.velocity for note in real})
    done, n_work = 0, n_notes

    def advance(n: int = 1) -> None:
        nonlocal done
        done += n
        if progress:
            progress(done, max(n_work, done))

    drums = drums or {}

    def key_of(timbre: str, pitch: int) -> int:
        return drums[timbre][0] if timbre in drums else pitch

    def sounding_pitch(timbre: str, pitch: int) -> float:
        return drums[timbre][1] if timbre in drums else float(pitch)

    def partials_of_note(timbre: str, pitch: int) -> np.ndarray | None:
        return (partials or {}).get(timbre, HARMONIC).at(sounding_pitch(timbre, pitch))

    generated = []
    order = [_random_note(timbres, pitch_range, velocities, rng) for _ in range(n_notes)]
    order = [(name, key_of(name, pitch), velocity) for name, pitch, velocity in order]
    if real is not None and not drums:  # the preset plays others an octave off
        low, high = pitch_range
        if not any(low <= note.pitch <= high for note in real):
            raise ParameterError(
                f"{real.folder}: has no note from {low} to {high}, the preset's pitches; give"
                " notes in that range"
            )
        real = real.filter(pitches=pitch_range)
    drawn = [] if real is None else draw_real(real, timbres, n_notes, rng, drums)
    chosen = chosen_metrics(metrics, len(drawn))
    compared = bool({"statistics", "c2st"} & set(chosen))
    bound = spectrogram is not None and spectrogram.phase == "harmonic"
    classifiers = n_classifiers if "c2st" in chosen else 0
    n_work += len(drawn) + (n_steps(3 if bound else 2, classifiers) if compared else 0)
    pitched = {
        timbre.name: timbre.program not in UNPITCHED and timbre.name not in drums
        for timbre in timbres
    }
    for timbre, pitch, velocity in order:
        waveform = _rendered(render, timbre, pitch, velocity)
        asked = timbre, pitch, velocity
        generated.append(_measure(waveform, sample_rate, *asked, pitched[timbre], tracker))
        advance()
    half = min(n_notes, len(drawn) // 2) if "distances" in chosen else 0
    sounds: dict[str, list[np.ndarray]] = {REAL: [], ORACLE: [], PRESET: []}
    features: dict[str, list[np.ndarray]] = {REAL: [], ORACLE: [], PRESET: [], "phaseless": []}
    phases, real_measures = np.random.default_rng(seed), []
    for index, (timbre, note) in enumerate(drawn):
        assert real is not None
        waveform = real.waveform(note)
        if index < n_notes:
            asked = note.instrument, key_of(timbre, note.pitch), note.velocity
            real_measures.append(_measure(waveform, sample_rate, *asked, pitched[timbre], tracker))
        kinds = {REAL: waveform}
        if compared or half <= index < 2 * half:
            key = key_of(timbre, note.pitch)
            kinds[PRESET] = _rendered(render, timbre, key, note.velocity)
            if spectrogram is not None and bound:
                sounding = sounding_pitch(timbre, note.pitch)
                own = [partials_of_note(timbre, note.pitch)]
                (kinds[ORACLE],) = oracle([waveform], [sounding], spectrogram, own)
        for kind, sound in kinds.items():
            if compared:
                sounds[kind].append(_held(sound, sample_rate))
            if half and (kind == REAL or half <= index < 2 * half):
                features[kind].append(note_features(sound, sample_rate))
        if half <= index < 2 * half:
            phaseless = with_random_phase(kinds[PRESET], phases)
            features["phaseless"].append(note_features(phaseless, sample_rate))
        advance()
    comparison = None
    if compared:
        comparison = compare_notes(
            {kind: np.stack(part) for kind, part in sounds.items() if part},
            np.array([key_of(timbre, note.pitch) for timbre, note in drawn], float),
            sample_rate,
            partials=[partials_of_note(timbre, note.pitch) for timbre, note in drawn],
            pitched=[pitched[timbre] for timbre, _ in drawn],
            timbres=[timbre for timbre, _ in drawn],
            n_classifiers=classifiers,
            seed=seed,
            progress=advance,
        )
    return Report(
        tuple(generated),
        tuple(real_measures),
        distances(
            features[PRESET],
            features["phaseless"],
            features[REAL],
            half,
            seed,
            oracle=features[ORACLE],
        ),
        () if real is None else tuple(_pairs(render, timbres, real, pitch_range, drums)),
        sample_rate,
        seed,
        tracker,
        comparison,
    )


def chosen_metrics(metrics: Sequence[str] | None, n_notes: int) -> tuple[str, ...]:
    """Return the comparisons to make with a number of real notes.

    Parameters
    ----------
    metrics : sequence of str, optional
        Names of `METRICS`; by default those that the number of notes allows.
    n_notes : int
        Number of real notes.

    Raises
    ------
    ParameterError
        If a name is unknown, or there are too few notes for it.
    """
    least = {
        "distances": 2 * MIN_NOTES_FOR_DISTANCES,
        "statistics": MIN_NOTES,
        "c2st": two_sample.MIN_NOTES,
    }
    for name in metrics or ():
        if name not in METRICS:
            raise ParameterError(f"metrics={name!r} must be one of {', '.join(METRICS)}")
        if n_notes < least[name]:
            raise ParameterError(
                f"{counted(n_notes, 'real note')} are too few for {name}, which needs "
                f"{least[name]} or more; give a larger set, and n_notes of {-(-least[name] // 2)}"
                " or more"
            )
    wanted = METRICS if metrics is None else metrics
    return tuple(name for name in METRICS if name in wanted and n_notes >= least[name])


def _random_note(
    timbres: Sequence[TimbreLike],
    pitch_range: tuple[int, int],
    velocities: Sequence[int],
    rng: np.random.Generator,
) -> tuple[str, int, int]:
    """A timbre, a pitch and a velocity, uniformly drawn."""
    timbre = timbres[int(rng.integers(len(timbres)))].name
    pitch = int(rng.integers(pitch_range[0], pitch_range[1] + 1))
    return timbre, pitch, int(rng.choice(velocities))


def _held(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """The part of a note until the release of its key, float32."""
    held = np.zeros(round(HOLD_S * sample_rate), np.float32)
    part = np.nan_to_num(waveform[: len(held)], posinf=0.0, neginf=0.0)
    held[: len(part)] = part
    return held


def _rendered(render: Render, timbre: str, pitch: int, velocity: int) -> np.ndarray:
    waveform = np.asarray(render(timbre, pitch, velocity / 127, HOLD_S))
    if waveform.ndim != 1:
        raise ShapeError(f"render returned shape {waveform.shape}; it must be [n_samples]")
    return waveform


def _measure(
    waveform: np.ndarray,
    sample_rate: int,
    timbre: str,
    pitch: int,
    velocity: int,
    pitched: bool,
    tracker: Tracker,
) -> NoteMeasures:
    finite = bool(np.all(np.isfinite(waveform)))
    sound = waveform if finite else np.zeros(1)
    silent = metrics.is_silent(sound)
    return NoteMeasures(
        timbre,
        pitch,
        velocity,
        float("nan")
        if silent or not pitched
        else note_pitch(sound, sample_rate, note_on_s=HOLD_S, tracker=tracker),
        metrics.level_db(sound),
        metrics.peak_db(sound),
        metrics.dc_offset(sound),
        metrics.click_ratio(sound, sample_rate),
        silent and finite,
        finite,
        pitched,
    )


def draw_real(
    real: NoteSet,
    timbres: Sequence[TimbreLike],
    n_notes: int,
    rng: np.random.Generator,
    drums: Mapping[str, tuple[int, float]] | None = None,
) -> list[tuple[str, NoteInfo]]:
    """Return up to 2 n_notes different real notes, each with its timbre.

    A timbre without notes of its own has those of its family, but for a drum kit.
    """
    own = own_notes(real, timbres, drums)
    chosen = {note.name: (name, note) for name, notes in own.items() for note in notes}
    if drums and not chosen:
        raise ParameterError(
            f"{real.folder}: has no recordings of the kit's keys; give a set that audiogen data"
            " drums made"
        )
    without = [] if drums else [timbre for timbre in timbres if not own[timbre.name]]
    for index, note in enumerate(real):  # they share the notes of their family
        names = [timbre.name for timbre in without if timbre.family == note.family]
        if names:
            chosen.setdefault(note.name, (names[index % len(names)], note))
    if not chosen:  # no timbre is related to the notes, so all share them
        chosen = {n.name: (timbres[i % len(timbres)].name, n) for i, n in enumerate(real)}
    notes = list(chosen.values())
    return [notes[index] for index in rng.permutation(len(notes))[: 2 * n_notes]]


def own_notes(
    real: NoteSet,
    timbres: Sequence[TimbreLike],
    drums: Mapping[str, tuple[int, float]] | None = None,
) -> dict[str, list[NoteInfo]]:
    """Return the notes of each timbre: those of the instrument with its key, name or program."""
    entries = instrument_entries(read_source(real.folder))
    by_name = {timbre.name: timbre.name for timbre in timbres}
    by_program = {t.program: t.name for t in reversed(timbres) if t.program is not None}
    by_key = {key: name for name, (key, _) in (drums or {}).items()}
    timbre_of = {}
    instruments = sorted({*entries, *real.instruments})  # `real` may be a part of the set
    for instrument, name in zip(instruments, timbre_names(instruments, entries), strict=True):
        program = program_of(instrument, entries).get("program", -1)
        keyed = by_key.get(entries.get(instrument, {}).get("key", -1))
        named = by_name.get(name) or by_name.get(instrument)
        timbre_of[instrument] = keyed or named or by_program.get(program)
    own: dict[str, list[NoteInfo]] = {timbre.name: [] for timbre in timbres}
    for note in real:
        timbre = timbre_of[note.instrument]
        if timbre is not None:
            own[timbre].append(note)
    return own


def _pairs(
    render: Render,
    timbres: Sequence[TimbreLike],
    real: NoteSet,
    pitch_range: tuple[int, int],
    drums: Mapping[str, tuple[int, float]],
):
    """Yield, for timbres spread over the list, a mid-range real note and its rendered twin."""
    middle = sum(pitch_range) / 2
    step = max(1, -(-len(timbres) // _MAX_PAIRS))
    own = own_notes(real, timbres, drums)
    for timbre in timbres[::step]:
        notes = own[timbre.name]
        if not notes and not drums:
            notes = [note for note in real if note.family == timbre.family]
        if notes:
            note = min(notes, key=lambda n: (abs(n.pitch - middle), -n.velocity))
            key = drums[timbre.name][0] if drums else note.pitch
            ours = _rendered(render, timbre.name, key, note.velocity)
            title = f"{timbre.name}, pitch {key}, velocity {note.velocity}"
            yield title, real.waveform(note), ours
