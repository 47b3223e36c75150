"""Verification of a preset: fields, weights, previews, and the level and pitch of its sound."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audiogen.audio.files import read_channels
from audiogen.audio.pitch import Tracker, cents_error, note_pitch
from audiogen.core.counting import counted
from audiogen.core.packages import require_package
from audiogen.errors import FormatError, MissingPackageError
from audiogen.notes.general_midi import UNPITCHED
from audiogen.presets import (
    PREVIEW_PICTURE,
    PREVIEW_SOUND,
    Preset,
    find_preset,
    load_preset,
    preset_faults,
)

# Files that a preset may have: data, nothing executable.
SUFFIXES = {
    *(".toml", ".safetensors", ".flac", ".wav", ".ogg", ".png", ".jpg", ".md", ".txt", ".json")
}
# Notes of all timbres together, spread over the pitch range; fewer of a SampleRNN, which takes
# about as long as the notes last.
N_NOTES = {"gansynth": 200, "samplernn": 60}
MIN_PER_TIMBRE = 3
NOTE_S, FREE_S = 1.0, 2.0  # length of a note, and of sound that is generated freely
HIT_VELOCITIES = (0.5, 1.0)  # of each sound of a drum kit
MIN_PEAK = 1e-3  # -60 dBFS; below, a sound is silent
MAX_CLIPPED = 1e-3  # share of samples above full scale
IN_TUNE_CENTS = 50.0
OUT_OF_TUNE = 0.1  # share of all notes from which a preset fails
TRACKER: Tracker = "praat"  # whose readings count
_OTHER: Tracker = "pyin"  # shown beside a wrong note; it takes a second, so only for some
_N_OTHER, _N_LISTED = 12, 4  # notes of a preset with the other tracker; notes listed for a timbre


@dataclass(frozen=True)
class TimbreVerdict:
    """Pitch of a timbre's notes.

    Parameters
    ----------
    timbre : str
        Name of the timbre.
    cents : dict of int to float
        Error of each note by its MIDI number, by Praat's tracker; NaN if it found no pitch. Empty
        for a timbre whose program has no pitch, such as a woodblock.
    other_cents : dict of int to float
        Errors by pYIN for some of the notes that are out of tune. They don't count: accepting
        either tracker would pass too many notes that are out of tune.
    """

    timbre: str
    cents: dict[int, float]
    other_cents: dict[int, float] = field(default_factory=dict)

    @property
    def n_in_tune(self) -> int:
        """Number of notes within 50 cents."""
        return sum(abs(cents) <= IN_TUNE_CENTS for cents in self.cents.values())

    def __str__(self) -> str:
        if not self.cents:
            return f"{self.timbre}: has no pitch"
        wrong = {key: cents for key, cents in self.cents.items() if not abs(cents) <= IN_TUNE_CENTS}
        if not wrong:
            return f"{self.timbre}: in tune"
        errors = ", ".join(
            self._error(key, cents) for key, cents in itertools.islice(wrong.items(), _N_LISTED)
        )
        errors += f", and {len(wrong) - _N_LISTED} more" if len(wrong) > _N_LISTED else ""
        verdict = "partly out of tune" if self.n_in_tune else "out of tune"
        return f"{self.timbre}: {verdict} ({errors})"

    def _error(self, key: int, cents: float) -> str:
        text = f"key {key} " + ("has no pitch" if np.isnan(cents) else f"off by {cents:+.0f} cents")
        other = self.other_cents.get(key)
        if other is None:
            return text
        return text + (f" [{_OTHER}: none]" if np.isnan(other) else f" [{_OTHER}: {other:+.0f}]")


@dataclass
class Verification:
    """Result of `verify_preset`.

    Parameters
    ----------
    folder : Path
        Folder of the preset.
    faults : list of str
        Sentences that begin with the file or the timbre; empty if the preset is valid.
    n_sounds : int
        Number of rendered notes, or of freely generated sounds.
    timbres : list of TimbreVerdict
        Verdict on each timbre of a preset that plays notes.
    """

    folder: Path
    faults: list[str] = field(default_factory=list)
    n_sounds: int = 0
    timbres: list[TimbreVerdict] = field(default_factory=list)

    @property
    def n_pitched(self) -> int:
        """Number of notes whose pitch was measured."""
        return sum(len(verdict.cents) for verdict in self.timbres)

    @property
    def n_in_tune(self) -> int:
        """Number of notes that are in tune."""
        return sum(verdict.n_in_tune for verdict in self.timbres)


def verify_preset(
    name_or_path: str | os.PathLike[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Check all files of a preset, and the sound of each of its timbres.

    The timbres of a GANSynth preset play 200 notes together, those of a SampleRNN 60, and three
    each or more, spread over the pitch range; a timbre of a preset that plays no notes generates 2
    s of sound, and each sound of a drum kit is hit twice. A preset fails if a timbre is silent,
    clips or is not finite, or if 10 % of all notes are more than half a semitone from the pitch
    asked for by Praat's tracker; timbres whose program has no pitch don't count. Readings of pYIN
    are shown beside.

    Parameters
    ----------
    name_or_path : str or path
        Argument of `load_preset`.
    progress : callable
        Function of (sounds rendered, sounds in all).

    Returns
    -------
    Verification

    Raises
    ------
    PresetError
        If there is no such preset.
    MissingPackageError
        If praat-parselmouth is not installed.
    """
    folder = find_preset(name_or_path)
    result = Verification(folder)
    result.faults += preset_faults(folder)
    playable = not result.faults
    result.faults += _file_faults(folder)
    if playable:
        preset = load_preset(folder)
        play = _hit if preset.is_kit else _play if preset.plays_notes else _generate
        play(preset, result, progress)
    return result


def _file_faults(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.suffix.lower() not in SUFFIXES:
            yield f"{path.name}: isn't data of a preset; remove it"
    yield from _preview_sound_faults(folder / PREVIEW_SOUND)
    picture = folder / PREVIEW_PICTURE
    if not picture.is_file():
        yield f"{picture.name}: is missing; draw one with `audiogen render --plot`"
    elif fault := _picture_fault(picture):
        yield f"{picture.name}: {fault}"


def _preview_sound_faults(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield f"{path.name}: is missing; make one with `audiogen render`"
        return
    try:
        samples, _ = read_channels(path)
    except FormatError as error:
        yield f"{path.name}: {str(error).removeprefix(f'{path}: ')}"
        return
    if np.abs(samples).max() < MIN_PEAK:
        yield f"{path.name}: is silent; make it again"


def _picture_fault(path: Path) -> str:
    image = require_package("matplotlib.image", "plot", "checking a preset's picture")
    try:
        pixels = image.imread(path)
    except (OSError, SyntaxError, ValueError) as error:
        return f"can't be read as a picture ({error}); draw it again"
    return "" if pixels.size else "is empty; draw it again"


def _generate(preset: Preset, result: Verification, progress: Callable[[int, int], None]) -> None:
    from audiogen.engine import Synth

    synth = Synth(preset)
    timbres: list[str | None] = [*synth.timbres] or [None]
    for timbre in timbres:
        samples = synth.generate(FREE_S, seed=0, timbre=timbre)
        what = "sound" if timbre is None else f"timbre {timbre}"
        result.faults += [f"{what}: {fault}" for fault in _level_faults(samples)]
        result.n_sounds += 1
        progress(result.n_sounds, len(timbres))


def _hit(preset: Preset, result: Verification, progress: Callable[[int, int], None]) -> None:
    """Play each sound of a drum kit at two velocities; drums have no pitch to be wrong."""
    from audiogen.engine import Synth

    synth = Synth(preset)
    total = len(preset.timbres) * len(HIT_VELOCITIES)
    for timbre in preset.timbres:
        faults: dict[str, None] = {}
        for velocity in HIT_VELOCITIES:
            samples = synth.render([(0.0, NOTE_S, timbre.key, velocity)], stereo=False)
            faults |= dict.fromkeys(_level_faults(samples))
            result.n_sounds += 1
            progress(result.n_sounds, total)
        result.faults += [f"timbre {timbre.name}: {fault}" for fault in faults]


def _play(preset: Preset, result: Verification, progress: Callable[[int, int], None]) -> None:
    from audiogen.engine import Synth

    synth = Synth(preset)
    assert preset.pitch_range is not None
    low, high = preset.pitch_range
    n_others = 0  # notes that the other tracker was asked for
    unpitched = {timbre.name for timbre in preset.timbres if timbre.program in UNPITCHED}
    asked = verified_pitches(len(synth.timbres), low, high, N_NOTES[preset.kind])
    total = sum(map(len, asked))
    for timbre, pitches in zip(synth.timbres, asked, strict=True):
        verdict = TimbreVerdict(timbre, {})
        faults: dict[str, None] = {}  # each once
        for pitch in pitches:
            samples = synth.render([(0.0, NOTE_S, pitch, 0.8)], timbre=timbre, stereo=False)
            note_faults = list(_level_faults(samples))
            faults |= dict.fromkeys(note_faults)
            result.n_sounds += 1
            progress(result.n_sounds, total)
            if timbre in unpitched:
                continue
            audible = np.nan_to_num(samples) if note_faults else samples
            cents = verdict.cents[pitch] = _cents(audible, preset.sample_rate, pitch, TRACKER)
            if not abs(cents) <= IN_TUNE_CENTS and n_others < _N_OTHER:
                n_others += 1
                with suppress(MissingPackageError):
                    other = _cents(audible, preset.sample_rate, pitch, _OTHER)
                    verdict.other_cents[pitch] = other
        result.faults += [f"timbre {timbre}: {fault}" for fault in faults]
        result.timbres.append(verdict)
    n_wrong = result.n_pitched - result.n_in_tune
    if result.n_pitched and n_wrong >= OUT_OF_TUNE * result.n_pitched:
        result.faults.append(
            f"pitch: {n_wrong} of {counted(result.n_pitched, 'note')} out of tune; it must be less"
            f" than {OUT_OF_TUNE:.0%}: train longer"
        )


def verified_pitches(n_timbres: int, low: int, high: int, n_notes: int) -> list[list[int]]:
    """Return the pitches that each timbre plays, spread over the range, different for each.

    Parameters
    ----------
    n_timbres : int
        Number of timbres.
    low, high : int, MIDI numbers
        Lowest and highest pitch.
    n_notes : int
        Number of notes of all timbres together; there are more if that is fewer than three each.

    Examples
    --------
    >>> verified_pitches(2, 60, 71, 6)
    [[61, 65, 69], [63, 67, 71]]
    """
    each = max(MIN_PER_TIMBRE, -(-n_notes // max(1, n_timbres)))
    width = (high - low + 1) / each  # of the part of the range from which a note is taken
    return [
        sorted({low + int((k + (timbre + 0.5) / n_timbres) * width) for k in range(each)})
        for timbre in range(n_timbres)
    ]


def _level_faults(samples: np.ndarray) -> Iterator[str]:
    if not np.isfinite(samples).all():
        yield "has samples that are NaN or infinite; train it again"
        return
    peak = float(np.abs(samples).max(initial=0.0))
    clipped = float(np.mean(np.abs(samples) > 1.0)) if len(samples) else 0.0
    if peak < MIN_PEAK:
        yield "is silent; train it longer"
    if clipped > MAX_CLIPPED:
        yield (
            f"is too loud: {clipped:.1%} of its samples are above full scale, the peak is"
            f" {20 * np.log10(peak):+.1f} dBFS; train it longer, or on quieter sound if it stays"
        )


def _cents(samples: np.ndarray, sample_rate: int, pitch: float, tracker: Tracker) -> float:
    """Return the error of a note by a tracker; NaN if it finds no pitch."""
    measured = note_pitch(samples, sample_rate, note_on_s=NOTE_S, tracker=tracker)
    return float(cents_error(measured, pitch))
