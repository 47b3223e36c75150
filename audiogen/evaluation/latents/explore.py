"""Sounds of a GANSynth preset's latent space: named timbres, half-way mixes and random latents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from audiogen.audio.pitch import best_tracker, cents_error, note_pitch
from audiogen.data.notes.nsynth import NoteSet
from audiogen.engine import Synth
from audiogen.engine.latents import require_latents
from audiogen.errors import ParameterError
from audiogen.evaluation.latents.macros import (
    FEATURES,
    HOLD_S,
    IN_TUNE_CENTS,
    VELOCITY,
    measure_note,
)
from audiogen.evaluation.metrics import CLICK_RATIO, click_ratio, is_silent
from audiogen.evaluation.two_sample import (
    CROP_S,
    HELD_RANGE_S,
    MIN_NOTES,
    RECOMMENDED_NOTES,
    Area,
    two_sample_test,
)
from audiogen.presets import Preset, require_pitches

GROUPS = ("named", "half-way", "random")
N_LATENTS = 24  # of the half-way and of the random group each
N_PITCHES = 5  # measured notes per latent
# Positions in the preset's pitch range; its ends are the hardest notes for all latents.
_SPREAD = np.linspace(0.1, 0.9, N_PITCHES)
_CHORD = (0, 4, 7, 12)  # semitones; follows three single notes in the phrase
_COMPARED_S = HELD_RANGE_S[1] + CROP_S  # length of notes in a two-sample test

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sound:
    """A latent, and measurements of its notes.

    Parameters
    ----------
    group : str
        ``named``, ``half-way`` or ``random``.
    timbre : str
        The latent as `Synth.render` and ``--timbre`` take it: ``harp``, ``harp+koto``,
        ``random:7``.
    phrase : array [n_samples], float32
        Three notes and a chord, for listening.
    features : dict of str to float
        Median of each of `macros.FEATURES`, in display units.
    level_dbfs : float, dBFS
        Median RMS level of the notes.
    n_in_tune, n_clicks, n_silent : int
        Number of notes, out of `N_PITCHES`, within 50 cents of their pitch, with a click, and
        without sound.
    """

    group: str
    timbre: str
    phrase: np.ndarray
    features: dict[str, float]
    level_dbfs: float
    n_in_tune: int
    n_clicks: int
    n_silent: int


@dataclass(frozen=True)
class Exploration:
    """Result of `explore_latents`.

    Parameters
    ----------
    preset : str
        Name of the preset.
    sample_rate : int, Hz
        Sample rate of the phrases.
    sounds : tuple of Sound
        The sounds, by groups.
    areas : dict of str to dict of str to Area
        Two-sample test of each group against real notes, by part of the note; empty without real
        notes.
    n_compared : int
        Notes of each kind in the two-sample tests.
    """

    preset: str
    sample_rate: int
    sounds: tuple[Sound, ...]
    areas: dict[str, dict[str, Area]] = field(default_factory=dict)
    n_compared: int = 0

    def group(self, name: str) -> list[Sound]:
        """The sounds of a group."""
        return [sound for sound in self.sounds if sound.group == name]

    def share(self, group: str, count: str) -> float:
        """Share of a group's notes that ``n_in_tune``, ``n_clicks`` or ``n_silent`` counts."""
        sounds = self.group(group)
        return sum(getattr(sound, count) for sound in sounds) / (N_PITCHES * len(sounds))

    def table(self) -> list[tuple[str, ...]]:
        """Rows of text, a column for each group; the header first."""
        groups = [name for name in GROUPS if self.group(name)]
        rows: list[tuple[str, ...]] = [("", *groups)]
        rows.append(("latents", *(str(len(self.group(name))) for name in groups)))
        for title, count in (
            ("notes in tune", "n_in_tune"),
            ("notes with a click", "n_clicks"),
            ("silent notes", "n_silent"),
        ):
            rows.append((title, *(f"{self.share(name, count):.1%}" for name in groups)))
        sounds = {name: self.group(name) for name in groups}
        levels = ([sound.level_dbfs for sound in group] for group in sounds.values())
        rows.append(("level (dBFS)", *(_spread(values, 1) for values in levels)))
        for feature in FEATURES:
            digits = 0 if feature.is_log2 else 1
            values = ([s.features[feature.name] for s in group] for group in sounds.values())
            title = f"{feature.measure} ({feature.unit})"
            rows.append((title, *(_spread(each, digits) for each in values)))
        for part in next(iter(self.areas.values()), {}):
            cells = [str(self.areas[name][part]) for name in groups]
            rows.append((f"two-sample test, {part} (AUC)", *cells))
        return rows

    def measured(self) -> dict[str, float]:
        """Numbers for the preset's card, by name."""
        numbers: dict[str, float] = {}
        for name in GROUPS[1:]:
            key = name.replace("-", "_")
            if self.group(name):
                numbers[f"{key}_in_tune"] = round(self.share(name, "n_in_tune"), 4)
                numbers[f"{key}_clicks"] = round(self.share(name, "n_clicks"), 4)
            for part, area in self.areas.get(name, {}).items():
                numbers[f"{key}_auc_{part}"] = round(area.median, 3)
        return numbers

    def content(self) -> dict[str, Any]:
        """All fields except the sound, for JSON."""
        return {
            "preset": self.preset,
            "sample_rate": self.sample_rate,
            "features": {f.name: {"measure": f.measure, "unit": f.unit} for f in FEATURES},
            "notes_of_a_latent": N_PITCHES,
            "sounds": [
                {
                    "group": sound.group,
                    "timbre": sound.timbre,
                    "features": sound.features,
                    "level_dbfs": sound.level_dbfs,
                    "in_tune": sound.n_in_tune,
                    "clicks": sound.n_clicks,
                    "silent": sound.n_silent,
                }
                for sound in self.sounds
            ],
            "two_sample_test": {
                name: {part: list(area.values) for part, area in areas.items()}
                for name, areas in self.areas.items()
            },
            "compared_notes": self.n_compared,
        }


def explore_latents(
    preset: Preset,
    *,
    n_latents: int = N_LATENTS,
    seed: int = 0,
    real: NoteSet | None = None,
    progress: Progress = lambda done, total: None,
) -> Exploration:
    """Play and measure latents between and beyond a preset's named timbres.

    Parameters
    ----------
    preset : Preset
        A GANSynth preset.
    n_latents : int
        Number of half-way and of random latents; there are no more half-way ones than pairs of
        timbres.
    seed : int
        Seed of the first random latent, and of the draw of pairs.
    real : NoteSet, optional
        Real notes at the preset's sample rate, which each group is compared with by
        `two_sample_test`: each real note has a generated one of its pitch and velocity.
    progress : callable
        Function of (latents and tests done, total).

    Returns
    -------
    Exploration

    Raises
    ------
    ParameterError
        If the preset has no latents, ``n_latents`` is below 1, or there are too few real notes in
        the preset's pitch range.
    MissingPackageError
        If neither praat-parselmouth nor librosa is installed, or torch for a two-sample test.
    """
    preset = require_latents(preset)
    require_pitches(preset, "explore")
    if n_latents < 1:
        raise ParameterError(f"n_latents={n_latents} must be 1 or more")
    notes = [] if real is None else _compared_notes(preset, real, seed)
    synth = Synth(preset)
    timbres = list(_timbres(preset.timbre_names, n_latents, seed))
    groups = [name for name in GROUPS if any(group == name for group, _ in timbres)]
    total = len(timbres) + (len(groups) if notes else 0)
    sounds = []
    for done, (group, timbre) in enumerate(timbres, 1):
        sounds.append(_measured(synth, group, timbre))
        progress(done, total)
    areas = {}
    if notes:
        for done, group in enumerate(groups, len(timbres) + 1):
            played = [sound.timbre for sound in sounds if sound.group == group]
            areas[group] = _compared(synth, played, notes, seed)
            progress(done, total)
    return Exploration(preset.name, preset.sample_rate, tuple(sounds), areas, len(notes))


def _spread(values: Sequence[float], digits: int) -> str:
    """Median, 10th and 90th percentile."""
    low, middle, high = np.percentile(values, (10, 50, 90))
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _timbres(names: Sequence[str], n: int, seed: int) -> Iterator[tuple[str, str]]:
    """Groups and timbres."""
    for name in names:
        yield "named", name
    pairs = list(combinations(names, 2))
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:n]
    for i in sorted(chosen):
        yield "half-way", "+".join(pairs[i])
    for i in range(n):
        yield "random", f"random:{seed + i}"


def _measured(synth: Synth, group: str, timbre: str) -> Sound:
    rate = synth.preset.sample_rate
    assert synth.preset.pitch_range is not None
    low, high = synth.preset.pitch_range
    pitches = [round(low + part * (high - low)) for part in _SPREAD]

    def play(notes: list[tuple[float, float, int, float]]) -> np.ndarray:
        return synth.render(notes, timbre=timbre, sample_rate=rate, stereo=False)

    waveforms = [play([(0.0, HOLD_S, pitch, VELOCITY)]) for pitch in pitches]
    measures = [measure_note(x, rate, p) for x, p in zip(waveforms, pitches, strict=True)]
    tracker = best_tracker()
    heard = [note_pitch(x, rate, note_on_s=HOLD_S, tracker=tracker) for x in waveforms]
    cents = np.abs(cents_error(np.array(heard), np.array(pitches, float)))
    features = {}
    for feature in FEATURES:
        value = float(np.median([m[feature.name] for m in measures]))
        features[feature.name] = round(2.0**value if feature.is_log2 else value, 3)
    single = [(0.5 * i, 0.45, pitch, VELOCITY) for i, pitch in enumerate(pitches[1:4])]
    root = min(pitches[2], high - _CHORD[-1])
    chord = [(1.5, 1.5, root + step, 0.7 * VELOCITY) for step in _CHORD]
    return Sound(
        group,
        timbre,
        play(single + chord),
        features,
        round(float(np.median([m["level"] for m in measures])), 2),
        n_in_tune=int((cents <= IN_TUNE_CENTS).sum()),
        n_clicks=sum(click_ratio(x, rate) > CLICK_RATIO for x in waveforms),
        n_silent=sum(is_silent(x) for x in waveforms),
    )


def _compared_notes(
    preset: Preset, real: NoteSet, seed: int
) -> list[tuple[int, float, np.ndarray]]:
    """Pitch, velocity and waveform of real notes that the preset can play."""
    assert preset.pitch_range is not None
    low, high = preset.pitch_range
    playable = [note for note in real if low <= note.pitch <= high]
    if len(playable) < MIN_NOTES:
        raise ParameterError(
            f"{len(playable)} real notes have a pitch from {low} to {high}; a two-sample test needs"
            f" {MIN_NOTES}, better {RECOMMENDED_NOTES}"
        )
    chosen = np.random.default_rng(seed).permutation(len(playable))[:RECOMMENDED_NOTES]
    n_samples = round(_COMPARED_S * preset.sample_rate)
    return [
        (note.pitch, note.velocity / 127, _of_length(real.waveform(note), n_samples))
        for note in (playable[i] for i in chosen)
    ]


def _of_length(waveform: np.ndarray, n_samples: int) -> np.ndarray:
    waveform = np.asarray(waveform, np.float32)[:n_samples]
    return np.pad(waveform, (0, n_samples - len(waveform)))


def _compared(
    synth: Synth, timbres: Sequence[str], notes: list[tuple[int, float, np.ndarray]], seed: int
) -> dict[str, Area]:
    """Two-sample test of real notes against notes of the same pitches, with the timbres in turn."""
    rate = synth.preset.sample_rate
    n_samples = len(notes[0][2])
    generated = [
        _of_length(
            synth.render(
                [(0.0, _COMPARED_S, pitch, velocity)],
                timbre=timbres[i % len(timbres)],
                seed=seed + i,
                sample_rate=rate,
                stereo=False,
            ),
            n_samples,
        )
        for i, (pitch, velocity, _) in enumerate(notes)
    ]
    return two_sample_test(
        np.stack([waveform for _, _, waveform in notes]),
        np.stack(generated),
        np.array([float(pitch) for pitch, _, _ in notes]),
        rate,
        features="log-mel",
        paired=False,
    )
