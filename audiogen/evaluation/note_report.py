"""A report on a set of timbres: random notes measured, beside real notes measured alike."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audiogen.audio.pitch import Tracker, note_pitch
from audiogen.core.atomic_write import write_whole, written_whole
from audiogen.data.notes.nsynth import NoteInfo, NoteSet
from audiogen.data.source_toml import instrument_entries, program_of, read_source, timbre_names
from audiogen.errors import ParameterError, ShapeError
from audiogen.evaluation import metrics
from audiogen.evaluation.timbre_features import (
    FEWEST_FOR_DISTANCES,
    HOLD_S,
    Distance,
    distances,
    note_features,
    with_random_phase,
)

VELOCITIES = (50, 90, 127)
REPORT, PICTURE = "report.json", "spectrograms.png"
_MOST_PAIRS = 8

# Timbre, pitch (MIDI number), velocity (0..1) and seconds held become a waveform [n_samples].
Render = Callable[[str, int, float, float], np.ndarray]


class TimbreLike(Protocol):
    """What the report wants to know of a timbre; `program` finds its real notes."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def program(self) -> int | None: ...


@dataclass(frozen=True)
class NoteMeasures:
    """One note, measured.

    Parameters
    ----------
    timbre : str
    pitch : int, MIDI number
        As asked for.
    velocity : int, MIDI
    measured_pitch : float, MIDI number
        NaN where the tracker found none.
    level_db, peak_db : float, dBFS
    dc : float
        `metrics.dc_offset`.
    click : float
        `metrics.click_ratio`.
    silent, finite : bool
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


@dataclass(frozen=True)
class Report:
    """What came out of an evaluation.

    Parameters
    ----------
    generated : tuple of NoteMeasures
    real : tuple of NoteMeasures
        Empty without real notes.
    distances : dict[str, Distance]
        By name; empty for few notes, see `colour.distances`.
    pairs : tuple of (str, ndarray, ndarray)
        Title, real and generated waveform of the same timbre, pitch and velocity.
    sample_rate : int, Hz
    seed : int
    tracker : str
    """

    generated: tuple[NoteMeasures, ...]
    real: tuple[NoteMeasures, ...]
    distances: dict[str, Distance]
    pairs: tuple[tuple[str, np.ndarray, np.ndarray], ...]
    sample_rate: int
    seed: int
    tracker: str

    def table(self) -> list[tuple[str, str, str]]:
        """Return rows of (what, generated, real), ready to print."""
        ours, real = summarise(self.generated), summarise(self.real)
        rows = []
        for key, (title, form) in _ROWS.items():
            rows.append((title, form.format(ours[key]), form.format(real[key]) if real else "-"))
        for name, distance in self.distances.items():
            title = f"{name} to real notes"
            rows.append((title, f"{distance.to_real:.3g}", f"{distance.among_real:.3g}"))
            rows.append((f"{name}, phases made random", f"{distance.random_phase:.3g}", "-"))
        return rows

    def measured(self) -> dict[str, float]:
        """What a preset's card says: numbers by the names that ``[measured]`` has."""
        card: dict[str, float] = {"evaluated_notes": len(self.generated)}
        for prefix, notes in (("", self.generated), ("real_", self.real)):
            summary = summarise(notes)
            card |= {prefix + key: summary[key] for key in CARD if key in summary}
        for name, distance in self.distances.items():
            key = name.lower().replace(" ", "_")
            card[f"{key}_to_real"] = distance.to_real
            card[f"{key}_among_real"] = distance.among_real
            card[f"{key}_random_phase"] = distance.random_phase
        return {key: round(float(value), 4) for key, value in card.items() if np.isfinite(value)}

    def to_json(self) -> str:
        """Return everything but the sound as JSON; NaN becomes null."""
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
                }
                for name, distance in self.distances.items()
            },
            "timbres": {
                name: summarise([note for note in self.generated if note.timbre == name])
                for name in names
            },
            "notes": [asdict(note) for note in self.generated],
            "real_notes": [asdict(note) for note in self.real],
        }
        return json_of(content)

    def write(self, folder: str | PathLike[str]) -> list[Path]:
        """Write report.json and, where real notes were given, spectrograms.png.

        Returns
        -------
        list of Path
            The files written; each appears whole.

        Raises
        ------
        ParameterError
            If the folder can't be written.
        """
        return write_report(folder, self.to_json(), self.pairs, self.sample_rate)


def write_report(
    folder: str | PathLike[str],
    content: str,
    pairs: Sequence[tuple[str, np.ndarray, np.ndarray]],
    sample_rate: int,
) -> list[Path]:
    """Write report.json and, where there are pairs of sounds, spectrograms.png.

    Parameters
    ----------
    folder : path
    content : str
        Of report.json.
    pairs : sequence of (str, ndarray, ndarray)
        Title, real and generated waveform.
    sample_rate : int, Hz

    Returns
    -------
    list of Path
        The files written; each appears whole.

    Raises
    ------
    ParameterError
        If the folder can't be written.
    """
    folder = check_folder(folder)
    written = [folder / REPORT]
    if pairs:
        with written_whole(folder / PICTURE) as draft:
            _draw_pairs(pairs, sample_rate, draft)
        written.append(folder / PICTURE)
    write_whole(folder / REPORT, content)
    return written


def check_folder(folder: str | PathLike[str]) -> Path:
    """Make the folder of a report, before the work that fills it.

    Raises
    ------
    ParameterError
        If it can't be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(
            f"output={str(folder)!r} can't be made ({error.strerror}); name another folder"
        ) from error
    if not os.access(folder, os.W_OK):
        raise ParameterError(f"output={str(folder)!r} can't be written to; name another folder")
    return folder


CARD = ("pitch_ok", "pitch_ok_octave_free", "median_cents", "unpitched")  # keys of a summary

# Key of a summary: its title in the table, and how it's printed.
_ROWS = {
    "notes": ("notes", "{:d}"),
    "pitch_ok": ("pitch within half a semitone", "{:.1%}"),
    "pitch_ok_octave_free": ("the same, octaves forgiven", "{:.1%}"),
    "median_cents": ("median pitch error (cents)", "{:.1f}"),
    "unpitched": ("no pitch found", "{:.1%}"),
    "median_level_db": ("median level (dBFS)", "{:.1f}"),
    "highest_peak_db": ("highest peak (dBFS)", "{:.1f}"),
    "largest_dc": ("largest DC (of the level)", "{:.3f}"),
    "clicking": (f"clicking (ratio over {metrics.CLICK_RATIO:.0f})", "{:.1%}"),
    "silent": ("silent", "{:.1%}"),
    "not_finite": ("not finite", "{:.1%}"),
}


def summarise(notes: Sequence[NoteMeasures]) -> dict[str, Any]:
    """Return the rates and medians of measured notes, by the keys of the table; {} for none."""
    if not notes:
        return {}
    measured = np.array([note.measured_pitch for note in notes])
    wanted = np.array([note.pitch for note in notes], float)
    voiced = np.abs(measured - wanted)[np.isfinite(measured)]
    sounding = [note for note in notes if note.finite and not note.silent]
    return {
        "notes": len(notes),
        "pitch_ok": metrics.pitch_accuracy(measured, wanted),
        "pitch_ok_octave_free": metrics.pitch_accuracy(measured, wanted, octave_free=True),
        "median_cents": 100 * float(np.median(voiced)) if len(voiced) else float("nan"),
        "unpitched": float(np.mean(np.isnan(measured))),
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
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Render random notes, measure them, and measure as many real ones.

    Timbre, pitch and velocity (of those of the real notes; 50, 90 or 127 without) are drawn evenly;
    each note is held for `HOLD_S`. Real notes are drawn from the instruments that the timbres were
    made from, and halved: distances are those of the second half, and of notes rendered by its
    timbres, pitches and velocities, to the first half. So what is compared is alike in all but
    who made it, where the evenly drawn notes also have pitches that an instrument lacks.

    Parameters
    ----------
    render : callable
        Of timbre name, pitch (MIDI number), velocity (0..1) and seconds held; gives a waveform
        [n_samples].
    timbres : sequence
        With `name`, `family` and General MIDI `program` (or None). A timbre's real notes are
        those of the instrument with its name, or else its program, or else its family.
    pitch_range : tuple[int, int], MIDI numbers
        Lowest and highest, both included.
    sample_rate : int, Hz
        Of what `render` gives.
    real : NoteSet, optional
    n_notes : int
    seed : int
    tracker : "praat" or "pyin"
    progress : callable, optional
        Called with (notes done, notes in all).

    Returns
    -------
    Report

    Raises
    ------
    ParameterError
        If there are no timbres, or a number is out of range.
    ShapeError
        If `render` gives something else than one dimension.
    FormatError
        If a real note can't be read.
    MissingPackageError
        If the tracker isn't installed.
    """
    if not timbres or n_notes < 1 or not 0 <= pitch_range[0] <= pitch_range[1] <= 127:
        raise ParameterError(
            f"{len(timbres)} timbres, n_notes={n_notes} and pitch_range={pitch_range}: one timbre "
            "or more, one note or more and two MIDI numbers, lowest first, are wanted"
        )
    rng = np.random.default_rng(seed)
    velocities = VELOCITIES if real is None else sorted({note.velocity for note in real})
    generated = []
    for index in range(n_notes):
        timbre = timbres[int(rng.integers(len(timbres)))].name
        pitch = int(rng.integers(pitch_range[0], pitch_range[1] + 1))
        velocity = int(rng.choice(velocities))
        waveform = _rendered(render, timbre, pitch, velocity)
        generated.append(_measure(waveform, sample_rate, timbre, pitch, velocity, tracker))
        if progress:
            progress(index + 1, n_notes * (1 if real is None else 3))
    real_measures, real_features, like_features, phaseless_features = [], [], [], []
    drawn = [] if real is None else _draw_real(real, timbres, n_notes, rng)
    half = min(n_notes, len(drawn) // 2)
    phases = np.random.default_rng(seed)
    for index, (timbre, note) in enumerate(drawn):
        assert real is not None
        waveform = real.waveform(note)
        if index < n_notes:
            real_measures.append(
                _measure(waveform, sample_rate, note.instrument, note.pitch, note.velocity, tracker)
            )
        real_features.append(note_features(waveform, sample_rate))
        if half >= FEWEST_FOR_DISTANCES and half <= index < 2 * half:
            like = _rendered(render, timbre, note.pitch, note.velocity)
            like_features.append(note_features(like, sample_rate))
            phaseless = with_random_phase(like, phases)
            phaseless_features.append(note_features(phaseless, sample_rate))
        if progress:
            progress(n_notes + 2 * n_notes * (index + 1) // len(drawn), 3 * n_notes)
    return Report(
        tuple(generated),
        tuple(real_measures),
        distances(like_features, phaseless_features, real_features, half, seed),
        () if real is None else tuple(_pairs(render, timbres, real, pitch_range)),
        sample_rate,
        seed,
        tracker,
    )


def _rendered(render: Render, timbre: str, pitch: int, velocity: int) -> np.ndarray:
    waveform = np.asarray(render(timbre, pitch, velocity / 127, HOLD_S))
    if waveform.ndim != 1:
        raise ShapeError(f"render gave shape {waveform.shape}; [n_samples] was wanted")
    return waveform


def _measure(
    waveform: np.ndarray, sample_rate: int, timbre: str, pitch: int, velocity: int, tracker: Tracker
) -> NoteMeasures:
    finite = bool(np.all(np.isfinite(waveform)))
    sound = waveform if finite else np.zeros(1)
    silent = metrics.is_silent(sound)
    return NoteMeasures(
        timbre,
        pitch,
        velocity,
        float("nan")
        if silent
        else note_pitch(sound, sample_rate, note_on_s=HOLD_S, tracker=tracker),
        metrics.level_db(sound),
        metrics.peak_db(sound),
        metrics.dc_offset(sound),
        metrics.click_ratio(sound, sample_rate),
        silent and finite,
        finite,
    )


def _draw_real(
    real: NoteSet, timbres: Sequence[TimbreLike], n_notes: int, rng: np.random.Generator
) -> list[tuple[str, NoteInfo]]:
    """Return up to twice n_notes different real notes, each with the timbre that it's a note of."""
    own = _own_notes(real, timbres)
    chosen = {note.name: (name, note) for name, notes in own.items() for note in notes}
    lonely = [timbre for timbre in timbres if not own[timbre.name]]
    for index, note in enumerate(real):  # a family's are shared by those that have none
        names = [timbre.name for timbre in lonely if timbre.family == note.family]
        if names:
            chosen.setdefault(note.name, (names[index % len(names)], note))
    if not chosen:  # of other instruments: any timbre is as much like them
        chosen = {n.name: (timbres[i % len(timbres)].name, n) for i, n in enumerate(real)}
    notes = list(chosen.values())
    return [notes[index] for index in rng.permutation(len(notes))[: 2 * n_notes]]


def _own_notes(real: NoteSet, timbres: Sequence[TimbreLike]) -> dict[str, list[NoteInfo]]:
    """The notes of each timbre: of the instrument that has its name, or its program."""
    described = instrument_entries(read_source(real.folder))
    by_name = {timbre.name: timbre.name for timbre in timbres}
    by_program = {t.program: t.name for t in reversed(timbres) if t.program is not None}
    timbre_of = {}
    instruments = sorted({*described, *real.instruments})  # those that a part of the set lacks, too
    for instrument, name in zip(instruments, timbre_names(instruments, described), strict=True):
        program = program_of(instrument, described).get("program", -1)
        named = by_name.get(name) or by_name.get(instrument)
        timbre_of[instrument] = named or by_program.get(program)
    own: dict[str, list[NoteInfo]] = {timbre.name: [] for timbre in timbres}
    for note in real:
        timbre = timbre_of[note.instrument]
        if timbre is not None:
            own[timbre].append(note)
    return own


def _pairs(
    render: Render, timbres: Sequence[TimbreLike], real: NoteSet, pitch_range: tuple[int, int]
):
    """Yield, for timbres spread over the list, a real note from mid-range and its like."""
    middle = sum(pitch_range) / 2
    step = max(1, -(-len(timbres) // _MOST_PAIRS))
    own = _own_notes(real, timbres)
    for timbre in timbres[::step]:
        notes = own[timbre.name] or [note for note in real if note.family == timbre.family]
        if notes:
            note = min(notes, key=lambda n: (abs(n.pitch - middle), -n.velocity))
            ours = _rendered(render, timbre.name, note.pitch, note.velocity)
            title = f"{timbre.name}, pitch {note.pitch}, velocity {note.velocity}"
            yield title, real.waveform(note), ours


def _draw_pairs(
    pairs: Sequence[tuple[str, np.ndarray, np.ndarray]], sample_rate: int, path: Path
) -> None:
    """Draw log spectrograms, real on the left and generated on the right, each from its peak."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.1 * len(pairs) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(pairs), 2, squeeze=False, sharex=True, sharey=True)
    for row, (title, *waveforms) in zip(axes, pairs, strict=True):
        for axis, which, waveform in zip(row, ("real", "generated"), waveforms, strict=True):
            level_db, duration_s = _spectrogram_db(waveform, sample_rate)
            image = axis.imshow(
                level_db,
                origin="lower",
                aspect="auto",
                extent=(0, duration_s, 0, sample_rate / 2000),
                vmin=-90,
                vmax=0,
                cmap="magma",
            )
            axis.set_title(f"{which}: {title}", fontsize=8)
        row[0].set_ylabel("kHz", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("s", fontsize=8)
    figure.colorbar(image, ax=axes, label="dB under the loudest", shrink=0.6)
    figure.savefig(path, dpi=110, format="png")


def _spectrogram_db(waveform: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    import librosa

    waveform = np.nan_to_num(np.asarray(waveform, float))
    waveform = np.pad(waveform, (0, max(0, 2048 - len(waveform))))
    magnitude = np.abs(librosa.stft(waveform, n_fft=2048, hop_length=512))
    loudest = max(float(magnitude.max()), 1e-12)
    return 20 * np.log10(np.maximum(magnitude / loudest, 1e-6)), len(waveform) / sample_rate


def json_of(content: dict[str, Any]) -> str:
    """JSON text; NaN becomes null."""
    return json.dumps(_without_nan(content), indent=1)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
