"""Preset beside notes, instruments and banks that its training did not have: three rows of a card.

Trained instruments are played by their timbres. Instruments that the preset doesn't know are played
by latents that an encoder finds for a few of their notes, and compared on their other notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiogen.audio.pitch import Tracker, note_pitch
from audiogen.core.counting import counted
from audiogen.data.notes.nsynth import NoteInfo, NoteSet
from audiogen.data.source_toml import instrument_entries, program_of, read_kit, read_source
from audiogen.errors import AudiogenError, ParameterError
from audiogen.evaluation import metrics, two_sample
from audiogen.evaluation.note_report import TimbreLike, own_notes
from audiogen.evaluation.report_files import json_text, write_report
from audiogen.evaluation.timbre_features import HOLD_S, note_features
from audiogen.evaluation.two_sample import Area, two_sample_test
from audiogen.notes.general_midi import UNPITCHED

NOTES, INSTRUMENTS, BANK = "held_out_notes", "held_out_instruments", "held_out_bank"
TITLES = {
    NOTES: "trained instruments, held-out notes",
    INSTRUMENTS: "held-out instruments, encoded",
    BANK: "another bank, encoded",
}
MIN_NOTES = two_sample.MIN_NOTES
N_ENCODED = 2  # notes of each instrument
FEATURES = "log-mel"  # of the classifiers
N_PAIRS = 3  # players of each row

# Function of timbre (a name, or what was encoded), pitch (MIDI number), velocity (0 to 1) and
# seconds until the release of the key; returns a waveform [n_samples].
Play = Callable[[Any, int, float, float], np.ndarray]
# Function of a waveform [n_samples] and its pitch; returns a timbre to play, and its error in dB.
Encode = Callable[[np.ndarray, int], tuple[Any, float]]


class PlannedNote(NamedTuple):
    """A real note, and the timbre that plays it.

    Parameters
    ----------
    note : NoteInfo
        The real note.
    timbre : str or object
        Name of a timbre, or what was encoded.
    """

    note: NoteInfo
    timbre: Any


@dataclass(frozen=True)
class Row:
    """Measurements of one row.

    Parameters
    ----------
    name : str
        `NOTES`, `INSTRUMENTS` or `BANK`.
    n_notes, n_instruments, n_encoded : int
        Numbers of compared notes, of their instruments, and of encoded notes.
    frechet, kernel : float
        Distances of timbre features, from one half of the real notes to notes played like the other
        half.
    frechet_real, kernel_real : float
        The same from one half of the real notes to the other.
    areas : dict of str to Area
        Two-sample test of each part of the notes against the same real notes.
    pitch_ok, pitch_ok_real : float
        Share of notes within half a semitone of their pitch, played and real; NaN for drums.
    error_db : float, dB
        Mean log-mel error of the encoded notes; NaN without any.
    pairs : tuple of (str, array, array)
        Title, real and played waveform of some notes.
    """

    name: str
    n_notes: int
    n_instruments: int
    n_encoded: int
    frechet: float
    frechet_real: float
    kernel: float
    kernel_real: float
    areas: dict[str, Area]
    pitch_ok: float
    pitch_ok_real: float
    error_db: float
    pairs: tuple[tuple[str, np.ndarray, np.ndarray], ...] = ()

    def numbers(self) -> dict[str, float]:
        """Return the numbers by name, without the name of the row."""
        numbers = {
            "count": self.n_notes,
            "instruments": self.n_instruments,
            "frechet_distance": self.frechet,
            "frechet_distance_among_real": self.frechet_real,
            "kernel_distance": self.kernel,
            "kernel_distance_among_real": self.kernel_real,
            **{f"auc_log_mel_{part}": area.median for part, area in self.areas.items()},
            "pitch_ok": self.pitch_ok,
            "pitch_ok_real": self.pitch_ok_real,
            "encoded": self.n_encoded,
            "encoding_error_db": self.error_db,
        }
        return {key: float(value) for key, value in numbers.items()}


@dataclass(frozen=True)
class HeldOutReport:
    """Result of `evaluate_held_out`.

    Parameters
    ----------
    rows : tuple of Row
        The rows.
    sample_rate : int, Hz
        Sample rate of the waveforms.
    seed : int
        Seed of the draw.
    notes : tuple of str
        Remarks on instruments that were left out.
    """

    rows: tuple[Row, ...]
    sample_rate: int
    seed: int
    notes: tuple[str, ...] = ()

    def table(self) -> list[tuple[str, ...]]:
        """Return rows of text, the header first; (real) is the same of real notes."""
        parts = [f"AUC, {part}" for part in two_sample.PARTS]
        header = ("", "notes", "instruments", "Frechet distance (real)", "kernel distance (real)")
        rows: list[tuple[str, ...]] = [(*header, *parts, "in tune (real)")]
        for row in self.rows:
            rows.append(
                (
                    TITLES[row.name],
                    str(row.n_notes),
                    str(row.n_instruments),
                    f"{row.frechet:.3g} ({row.frechet_real:.3g})",
                    f"{row.kernel:.3g} ({row.kernel_real:.3g})",
                    *(str(row.areas[part]) for part in two_sample.PARTS),
                    "-"
                    if np.isnan(row.pitch_ok)
                    else f"{row.pitch_ok:.1%} ({row.pitch_ok_real:.1%})",
                )
            )
        return rows

    def remarks(self) -> list[str]:
        """Return how instruments were encoded, and what was left out."""
        lines = [
            f"{TITLES[row.name]}: {counted(row.n_encoded, 'note')} encoded, {row.error_db:.1f} dB"
            " from the recordings on average; they are not compared."
            for row in self.rows
            if row.n_encoded
        ]
        return [*lines, *self.notes]

    def measured(self) -> dict[str, float]:
        """Return the numbers for the ``[measured]`` table of a preset."""
        numbers = {
            f"{r.name}_{key}": value for r in self.rows for key, value in r.numbers().items()
        }
        return {key: round(value, 4) for key, value in numbers.items() if np.isfinite(value)}

    def prefixes(self) -> tuple[str, ...]:
        """Return the prefixes of the card's entries that `measured` replaces."""
        return tuple(f"{row.name}_" for row in self.rows)

    def to_json(self) -> str:
        """Return everything but the waveforms as JSON; NaN becomes null."""
        rows = {
            row.name: {
                "title": TITLES[row.name],
                **row.numbers(),
                "auc_of_each_seed": {part: list(area.values) for part, area in row.areas.items()},
            }
            for row in self.rows
        }
        content = {"format": 1, "seed": self.seed, "sample_rate": self.sample_rate, "rows": rows}
        return json_text({**content, "remarks": self.remarks()})

    def write(self, folder: str | PathLike[str], name: str) -> list[Path]:
        """Write report.json, report.html and rainbowgrams.png.

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
            [pair for row in self.rows for pair in row.pairs],
            self.sample_rate,
            title=f"Held-out sounds and {name}",
            table=self.table(),
            remarks=self.remarks(),
        )


def evaluate_held_out(
    sets: Mapping[str, NoteSet],
    timbres: Sequence[TimbreLike],
    play: Play,
    encode: Encode,
    *,
    pitch_range: tuple[int, int],
    sample_rate: int,
    n_notes: int = 200,
    n_encoded: int = N_ENCODED,
    n_classifiers: int = two_sample.N_SEEDS,
    drums: Mapping[str, tuple[int, float]] | None = None,
    seed: int = 0,
    tracker: Tracker = "praat",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> HeldOutReport:
    """Play real notes again, and compare them with the recordings, a row for each set.

    Parameters
    ----------
    sets : dict of str to NoteSet
        Real notes at ``sample_rate``, by `NOTES` (of instruments that the timbres were trained on),
        `INSTRUMENTS` (of others; those that a timbre belongs to are left out) and `BANK` (of
        another bank; all of its instruments count).
    timbres : sequence
        Timbres of the preset.
    play : callable
        Function that plays a timbre or a latent.
    encode : callable
        Function that finds a latent for a recorded note.
    pitch_range : tuple of int, MIDI numbers
        Lowest and highest pitch of the preset; all sounds of a drum kit are compared.
    sample_rate : int, Hz
        Sample rate of all sounds.
    n_notes : int
        Largest number of compared notes in a row.
    n_encoded : int
        Encoded notes of each instrument; its other notes are played with the latent of the nearest
        encoded key.
    n_classifiers : int
        Classifiers of each two-sample test.
    drums : dict of str to (int, float), optional
        Key and pitch of each timbre of a drum kit. In the sets of a kit each key is an instrument;
        the other sets are of other kits, none of whose keys is left out.
    seed : int
        Seed of the draw of notes.
    tracker : "praat" or "pyin"
        Pitch tracker.
    progress : callable
        Function of (steps done, total).

    Returns
    -------
    HeldOutReport

    Raises
    ------
    ParameterError
        If a set has fewer than 60 notes to compare, or of a drum kit's sets one isn't of a kit.
    """
    random = np.random.default_rng(seed)
    chosen: dict[str, dict[str, list[NoteInfo]]] = {}
    to_encode: dict[tuple[str, str], list[NoteInfo]] = {}
    n_compared: dict[str, int] = {}
    left_out: list[str] = []
    for name in (name for name in TITLES if name in sets):
        if drums is not None:
            read_kit(sets[name].folder)  # raises unless the set is of a drum kit
        chosen[name], names = _instruments(name, sets[name], timbres, pitch_range, drums)
        if names:
            reason = "no timbre is of" if name == NOTES else "the preset was trained on"
            left_out.append(f"{TITLES[name]}: left out what {reason}: {', '.join(names)}.")
        for instrument, notes in chosen[name].items():
            to_encode[name, instrument] = [] if name == NOTES else notes_to_encode(notes, n_encoded)
        n_compared[name] = sum(
            len(notes) - len(to_encode[name, instrument])
            for instrument, notes in chosen[name].items()
        )
        n = n_compared[name]
        if n < MIN_NOTES:
            few = "" if name == NOTES else f", without {n_encoded} encoded ones of each instrument,"
            where = "" if drums is not None else f" from {pitch_range[0]} to {pitch_range[1]}"
            raise ParameterError(
                f"{TITLES[name]}: {counted(n, 'note')}{where}{few} in {sets[name].folder} are too"
                f" few; {MIN_NOTES} are needed"
            )
    total = sum(map(len, to_encode.values())) + n_classifiers * len(chosen)
    total += sum(min(n_notes, n) for n in n_compared.values())
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        progress(done, max(total, done))

    rows = []
    for name, instruments in chosen.items():
        errors: list[float] = []
        planned: list[PlannedNote] = []
        for instrument, notes in instruments.items():
            if name == NOTES:
                planned += [PlannedNote(note, instrument) for note in notes]
                continue
            latents: dict[int, Any] = {}
            encoded = to_encode[name, instrument]
            for note in encoded:
                try:
                    latents[note.pitch], error_db = encode(sets[name].waveform(note), note.pitch)
                except AudiogenError as error:
                    raise ParameterError(f"{note.name} can't be encoded: {error}") from error
                errors.append(error_db)
                advance()
            for note in notes:
                if note not in encoded:
                    nearest = min(latents, key=lambda pitch: abs(pitch - note.pitch))
                    planned.append(PlannedNote(note, latents[nearest]))
        order = random.permutation(len(planned))[:n_notes]
        compared = [planned[index] for index in order]
        row = _measured_row(
            name,
            sets[name],
            compared,
            play,
            sample_rate,
            errors,
            n_classifiers,
            drums is not None,
            tracker,
            advance,
        )
        rows.append(row)
    return HeldOutReport(tuple(rows), sample_rate, seed, tuple(left_out))


def notes_to_encode(notes: Sequence[NoteInfo], n: int) -> list[NoteInfo]:
    """Choose up to n notes of one instrument: keys spread over its range, at the highest velocity.

    Parameters
    ----------
    notes : sequence of NoteInfo
        Notes of the instrument.
    n : int
        Number of notes.
    """
    keys = sorted({note.pitch for note in notes})
    places = (np.arange(n) + 0.5) / n * len(keys)
    chosen = sorted({keys[int(place)] for place in places})
    return [max((m for m in notes if m.pitch == key), key=lambda m: m.velocity) for key in chosen]


def _instruments(
    name: str,
    real: NoteSet,
    timbres: Sequence[TimbreLike],
    pitch_range: tuple[int, int],
    drums: Mapping[str, tuple[int, float]] | None,
) -> tuple[dict[str, list[NoteInfo]], list[str]]:
    """Notes in the preset's range by instrument (by timbre for `NOTES`), and those left out."""
    low, high = pitch_range
    own = own_notes(real, timbres, drums)
    known = {note.instrument for notes in own.values() for note in notes}
    others = [each for each in real.instruments if each not in known]
    any_counts = name == BANK or drums is not None  # the keys of two kits are the same
    by_name: dict[str, list[NoteInfo]]
    if name == NOTES:
        by_name, left_out = own, others
    else:
        kept = real.instruments if any_counts else others
        by_name = {each: [note for note in real if note.instrument == each] for each in kept}
        left_out = [] if any_counts else sorted(known)
    playable = {
        each: [note for note in notes if drums is not None or low <= note.pitch <= high]
        for each, notes in by_name.items()
    }
    return {each: notes for each, notes in playable.items() if notes}, left_out


def _measured_row(
    name: str,
    real_notes: NoteSet,
    planned: Sequence[PlannedNote],
    play: Play,
    sample_rate: int,
    errors: Sequence[float],
    n_classifiers: int,
    of_kit: bool,
    tracker: Tracker,
    advance: Callable[[], None],
) -> Row:
    """Play the notes of a row and compare them with the real ones."""
    n_samples = round(HOLD_S * sample_rate)
    real, played = (np.zeros((len(planned), n_samples), np.float32) for _ in range(2))
    for index, (note, timbre) in enumerate(planned):
        sounds = real_notes.waveform(note), play(timbre, note.pitch, note.velocity / 127, HOLD_S)
        for waveforms, sound in zip((real, played), sounds, strict=True):
            part = np.nan_to_num(np.asarray(sound)[:n_samples], posinf=0.0, neginf=0.0)
            waveforms[index, : len(part)] = part
        advance()
    entries = instrument_entries(read_source(real_notes.folder))
    # Classifiers train on half of the keys. Drums without a tone share one pitch.
    keys = [entries[note.instrument]["key"] if of_kit else note.pitch for note, _ in planned]
    pitches = np.array(keys, float)
    half = len(planned) // 2
    features = np.stack([note_features(sound, sample_rate) for sound in real[: 2 * half]])
    ours = np.stack([note_features(sound, sample_rate) for sound in played[half : 2 * half]])
    reference, others = features[:half], features[half:]

    programs = [program_of(note.instrument, entries).get("program") for note, _ in planned]
    pitched = np.array([program not in UNPITCHED for program in programs])
    if not pitched.any():
        pitched[:] = True

    def in_tune(waveforms: np.ndarray) -> float:
        if of_kit:
            return float("nan")
        measured = [
            note_pitch(sound, sample_rate, note_on_s=HOLD_S, tracker=tracker)
            for sound in waveforms[pitched]
        ]
        return metrics.pitch_accuracy(np.array(measured), pitches[pitched])

    areas = two_sample_test(
        real,
        played,
        pitches,
        sample_rate,
        features=FEATURES,
        n_seeds=n_classifiers,
        progress=advance,
    )
    pairs = tuple(
        (f"{TITLES[name]}: {note.name}", real[index], played[index])
        for index, (note, _) in enumerate(planned[:N_PAIRS])
    )
    return Row(
        name,
        len(planned),
        len({note.instrument for note, _ in planned}),
        len(errors),
        metrics.frechet_distance(reference, ours),
        metrics.frechet_distance(reference, others),
        metrics.kernel_distance(reference, ours),
        metrics.kernel_distance(reference, others),
        areas,
        in_tune(played),
        in_tune(real),
        float(np.mean(errors)) if errors else float("nan"),
        pairs,
    )
