"""Sounds of a GANSynth preset's latent space: named timbres, half-way mixes and random latents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from audiogen.audio.pitch import best_tracker, cents_error, note_pitch
from audiogen.data.notes.nsynth import NoteInfo, NoteSet
from audiogen.data.source_toml import read_kit
from audiogen.engine.latents import require_latents
from audiogen.errors import ParameterError
from audiogen.evaluation.latents.macros import IN_TUNE_CENTS
from audiogen.evaluation.latents.probe import HOLD_S, VELOCITY, Feature, Probe
from audiogen.evaluation.metrics import CLICK_RATIO, click_ratio, is_silent
from audiogen.evaluation.two_sample import (
    CROP_S,
    HELD_RANGE_S,
    MIN_NOTES,
    PARTS,
    RECOMMENDED_NOTES,
    Area,
    two_sample_test,
)
from audiogen.presets import GansynthPreset, Preset

GROUPS = ("named", "half-way", "random")
N_LATENTS = 24  # of the half-way and of the random group each
N_NOTES = 5  # measured notes per latent; a named drum is hit once
# Positions in the preset's pitch range; its ends are the hardest notes for all latents.
_SPREAD = np.linspace(0.1, 0.9, N_NOTES)
_CHORD = (0, 4, 7, 12)  # semitones; follows three single notes in the phrase
_HITS_S = 0.4  # between the hits of a drum kit's phrase
_HIT_VELOCITIES = (0.2, 0.4, 0.6, 0.8, 1.0)  # of a named drum's phrase
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
        Three notes and a chord, for listening; of a preset without a sustain five hits: a kit's
        named drum with rising velocities, others at five pitches.
    features : dict of str to float
        Median of each feature of `probe.Probe`, in display units.
    level_dbfs : float, dBFS
        Median RMS level of the notes; of hits that of the loudest 10 ms.
    n_notes, n_silent : int
        Number of measured notes, and of those without sound.
    n_in_tune, n_clicks : int or None
        Number of notes within 50 cents of their pitch, and with a click; None for hits, which may
        have no nominal pitch, and some of them scrapes and rattles.
    """

    group: str
    timbre: str
    phrase: np.ndarray
    features: dict[str, float]
    level_dbfs: float
    n_notes: int
    n_silent: int
    n_in_tune: int | None = None
    n_clicks: int | None = None


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
    features : tuple of Feature
        Measures of the sounds.
    areas : dict of str to dict of str to Area
        Two-sample test of each group against real notes, by part of the note; empty without real
        notes.
    n_compared : int
        Notes of each kind in the two-sample tests.
    """

    preset: str
    sample_rate: int
    sounds: tuple[Sound, ...]
    features: tuple[Feature, ...]
    areas: dict[str, dict[str, Area]] = field(default_factory=dict)
    n_compared: int = 0

    def group(self, name: str) -> list[Sound]:
        """The sounds of a group."""
        return [sound for sound in self.sounds if sound.group == name]

    @property
    def has_pitch(self) -> bool:
        """Whether pitches and clicks were counted; False for hits."""
        return self.sounds[0].n_in_tune is not None

    def share(self, group: str, count: str) -> float:
        """Share of a group's notes that ``n_in_tune``, ``n_clicks`` or ``n_silent`` counts."""
        sounds = self.group(group)
        n_notes = sum(sound.n_notes for sound in sounds)
        return sum(getattr(sound, count) for sound in sounds) / n_notes

    def table(self) -> list[tuple[str, ...]]:
        """Rows of text, a column for each group; the header first."""
        groups = [name for name in GROUPS if self.group(name)]
        rows: list[tuple[str, ...]] = [("", *groups)]
        rows.append(("latents", *(str(len(self.group(name))) for name in groups)))
        counts = {"n_silent": "silent notes"}
        if self.has_pitch:
            counts = {"n_in_tune": "notes in tune", "n_clicks": "notes with a click", **counts}
        for count, title in counts.items():
            rows.append((title, *(f"{self.share(name, count):.1%}" for name in groups)))
        sounds = {name: self.group(name) for name in groups}
        levels = ([sound.level_dbfs for sound in group] for group in sounds.values())
        rows.append(("level (dBFS)", *(_spread(values, 1) for values in levels)))
        for feature in self.features:
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
            if self.group(name) and self.has_pitch:
                numbers[f"{key}_in_tune"] = round(self.share(name, "n_in_tune"), 4)
                numbers[f"{key}_clicks"] = round(self.share(name, "n_clicks"), 4)
            elif self.group(name):
                numbers[f"{key}_silent"] = round(self.share(name, "n_silent"), 4)
            for part, area in self.areas.get(name, {}).items():
                numbers[f"{key}_auc_{part}"] = round(area.median, 3)
        return numbers

    def content(self) -> dict[str, Any]:
        """All fields except the sound, for JSON."""
        return {
            "preset": self.preset,
            "sample_rate": self.sample_rate,
            "features": {f.name: {"measure": f.measure, "unit": f.unit} for f in self.features},
            "sounds": [
                {
                    "group": sound.group,
                    "timbre": sound.timbre,
                    "features": sound.features,
                    "level_dbfs": sound.level_dbfs,
                    "notes": sound.n_notes,
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
        `two_sample_test`: each real note has a generated one of its pitch, or of its key of a drum
        kit, and velocity.
    progress : callable
        Function of (latents and tests done, total).

    Returns
    -------
    Exploration

    Raises
    ------
    ParameterError
        If the preset has no latents, ``n_latents`` is below 1, there are too few real notes in
        the preset's pitch range, or they aren't drums and the preset is a kit.
    MissingPackageError
        If neither praat-parselmouth nor librosa is installed, or torch for a two-sample test.
    """
    preset = require_latents(preset)
    if n_latents < 1:
        raise ParameterError(f"n_latents={n_latents} must be 1 or more")
    notes = [] if real is None else _compared_notes(preset, real, seed)
    probe = Probe(preset)
    keys = probe.keys(_SPREAD.tolist())
    timbres = list(_timbres(preset.timbre_names, n_latents, seed))
    groups = [name for name in GROUPS if any(group == name for group, _ in timbres)]
    total = len(timbres) + (len(groups) if notes else 0)
    sounds = []
    for done, (group, timbre) in enumerate(timbres, 1):
        sounds.append(_measured(probe, group, timbre, keys))
        progress(done, total)
    areas = {}
    if notes:
        for done, group in enumerate(groups, len(timbres) + 1):
            played: list[str | None] = [sound.timbre for sound in sounds if sound.group == group]
            if preset.is_kit and group == "named":
                played = [None]  # each key plays its own drum
            areas[group] = _compared(probe, played, notes, seed)
            progress(done, total)
    rate = preset.sample_rate
    return Exploration(preset.name, rate, tuple(sounds), probe.features, areas, len(notes))


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


def _measured(probe: Probe, group: str, timbre: str, keys: list[int]) -> Sound:
    is_drum = probe.preset.is_kit and group == "named"
    if is_drum:
        keys = keys[:1]  # all keys play it alike
    waveforms = [probe.note(timbre, key) for key in keys]
    measures = [probe.measure(x, key) for x, key in zip(waveforms, keys, strict=True)]
    features = {}
    for feature in probe.features:
        value = float(np.median([m[feature.name] for m in measures]))
        features[feature.name] = round(2.0**value if feature.is_log2 else value, 3)
    level = round(float(np.median([m["level"] for m in measures])), 2)
    n_silent = sum(is_silent(x) for x in waveforms)
    if probe.plays_hits:
        strokes = (
            [(keys[0], v) for v in _HIT_VELOCITIES]
            if is_drum
            else [(key, VELOCITY) for key in keys]
        )
        hits = [(_HITS_S * i, _HITS_S, *stroke) for i, stroke in enumerate(strokes)]
        phrase = probe.play(hits, timbre)
        return Sound(group, timbre, phrase, features, level, len(keys), n_silent)
    rate, tracker = probe.preset.sample_rate, best_tracker()
    heard = [note_pitch(x, rate, note_on_s=HOLD_S, tracker=tracker) for x in waveforms]
    cents = np.abs(cents_error(np.array(heard), np.array(keys, float)))
    single = [(0.5 * i, 0.45, pitch, VELOCITY) for i, pitch in enumerate(keys[1:4])]
    root = min(keys[2], probe.preset.pitch_range[1] - _CHORD[-1])
    chord = [(1.5, 1.5, root + step, 0.7 * VELOCITY) for step in _CHORD]
    return Sound(
        group,
        timbre,
        probe.play(single + chord, timbre),
        features,
        level,
        len(keys),
        n_silent,
        n_in_tune=int((cents <= IN_TUNE_CENTS).sum()),
        n_clicks=sum(click_ratio(x, rate) > CLICK_RATIO for x in waveforms),
    )


def _compared_notes(
    preset: GansynthPreset, real: NoteSet, seed: int
) -> list[tuple[int, float, np.ndarray]]:
    """Key, velocity and waveform of real notes that the preset can play."""
    low, high = preset.pitch_range
    key_of = _key_finder(preset, real)
    playable = [(key, note) for note in real if (key := key_of(note)) is not None]
    if len(playable) < MIN_NOTES:
        where = "a key of the kit" if preset.is_kit else f"a pitch from {low} to {high}"
        raise ParameterError(
            f"{len(playable)} real notes have {where}; a two-sample test needs {MIN_NOTES}, better"
            f" {RECOMMENDED_NOTES}"
        )
    chosen = np.random.default_rng(seed).permutation(len(playable))[:RECOMMENDED_NOTES]
    n_samples = round(_COMPARED_S * preset.sample_rate)
    return [
        (key, note.velocity / 127, _of_length(real.waveform(note), n_samples))
        for key, note in (playable[i] for i in chosen)
    ]


def _key_finder(preset: GansynthPreset, real: NoteSet) -> Callable[[NoteInfo], int | None]:
    """Function that returns the key of a real note; None for one that the preset can't play."""
    if not preset.is_kit:
        low, high = preset.pitch_range
        return lambda note: note.pitch if low <= note.pitch <= high else None
    entries = read_kit(real.folder)
    kept = {key for key, _ in preset.drums.values()}
    keys = {name: entry["key"] for name, entry in entries.items() if entry["key"] in kept}
    return lambda note: keys.get(note.instrument)


def _of_length(waveform: np.ndarray, n_samples: int) -> np.ndarray:
    waveform = np.asarray(waveform, np.float32)[:n_samples]
    return np.pad(waveform, (0, n_samples - len(waveform)))


def _compared(
    probe: Probe,
    timbres: Sequence[str | None],
    notes: list[tuple[int, float, np.ndarray]],
    seed: int,
) -> dict[str, Area]:
    """Two-sample test of real notes against notes of the same keys, with the timbres in turn.

    Only the attacks of drums are compared, because most drums end before the held part begins.
    """
    generated = [
        _of_length(
            probe.play([(0.0, _COMPARED_S, key, velocity)], timbres[i % len(timbres)], seed + i),
            len(waveform),
        )
        for i, (key, velocity, waveform) in enumerate(notes)
    ]
    return two_sample_test(
        np.stack([waveform for _, _, waveform in notes]),
        np.stack(generated),
        np.array([float(key) for key, _, _ in notes]),
        probe.preset.sample_rate,
        features="log-mel",
        paired=False,
        parts=("attack",) if probe.plays_hits else PARTS,
    )
