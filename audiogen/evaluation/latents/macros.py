"""Macros of a GANSynth preset: directions in its latent space by regression of timbre features.

Latents between and around the trained ones are played; each feature of their notes is regressed on
the latents. The gradient, made orthogonal to those of level, pitch and the macros before it, is a
direction, whose range is as wide as the notes of the named timbres stay in tune, free of clicks and
equally loud. Of a kit the length of the drums replaces their pitch, and they must stay equally loud
and end within the clip. GANSpace (Härkönen et al., NeurIPS 2020) takes principal components as
directions instead, and names them by what people find that they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from audiogen.engine.latents import mix_latents, move_latent, require_latents
from audiogen.evaluation.latents.probe import Feature, Probe
from audiogen.evaluation.metrics import CLICK_RATIO, click_ratio
from audiogen.notes import pitch_name
from audiogen.presets import GansynthPreset, Macro, Preset

PITCHES = (48, 60, 72)  # MIDI numbers, moved into the preset's range
KIT_SHARES = (0.1, 0.5, 0.9)  # of a kit's drums by pitch, whose keys sampled latents are played at
STEPS = (0.75, 1.5, 2.25, 3.0)  # distances that are tried; latents lie at sqrt(latent_size), 4
N_LATENTS = 160  # that are played for the regression
MOST_TIMBRES = 8  # of the named ones, that the ranges are measured on; of a kit all are
AROUND = 0.35  # share of a random latent in a sampled one
RIDGE = 1e-2  # of the regression, as a share of the latents' mean variance
IN_TUNE_CENTS, LEAST_IN_TUNE = 50.0, 0.05  # cents; share by which a range may lose notes
MOST_LEVEL_DB = 3.0  # largest mean change of the level
SILENT_DB = -70.0
CUT_OFF_MS = 50.0  # a hit that ends within this time of the clip's end is cut off there
MOST_CUT_OFF = 0.05  # share of a kit's drums that a range may cut off
LEAST_RISING = 0.9  # share of a kit's drums whose measure must be higher at 1 than at -1

Progress = Callable[[int, int], None]


@dataclass
class MacroFit:
    """Result for one feature.

    Parameters
    ----------
    feature : Feature
        Feature that was fitted.
    macro : Macro or None
        The macro, if its effect is monotonic and above its spread.
    reason : str
        Why there is no macro.
    """

    feature: Feature
    macro: Macro | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.macro is None:
            return f"{self.feature.name}: not stored, {self.reason}"
        low, high = self.macro.range
        return f"{self.feature.name}: {self.macro.effect} Distances {low:g} to {high:g}."


@dataclass
class _Notes:
    """Notes of one latent: features by name, [n_keys]; whether each is in tune and has a fault.

    The fault of a note is a click, that of a drum that it is cut off at the end of the clip or
    silent. Drums have no nominal pitch and count as in tune.
    """

    features: dict[str, np.ndarray]
    in_tune: np.ndarray
    faulty: np.ndarray


@dataclass
class _Curve:
    """Notes of the named timbres along a direction, by distance."""

    notes: dict[float, list[_Notes]] = field(default_factory=dict)

    def values(self, distance: float, name: str) -> np.ndarray:
        """A feature of all notes, [n_timbres, n_keys]."""
        return np.array([notes.features[name] for notes in self.notes[distance]])

    def flags(self, distance: float, name: str) -> np.ndarray:
        """A flag of all notes, [n_timbres, n_keys]."""
        return np.array([getattr(notes, name) for notes in self.notes[distance]])

    def share(self, distance: float, flag: str) -> float:
        """Share of the notes that have a flag."""
        return float(self.flags(distance, flag).mean())


def fit_macros(
    preset: Preset,
    *,
    seed: int = 0,
    n_latents: int = N_LATENTS,
    progress: Progress = lambda done, total: None,
) -> list[MacroFit]:
    """Find the macros of a preset.

    Parameters
    ----------
    preset : Preset
        A GANSynth preset.
    seed : int
        Seed of the latents that are sampled.
    n_latents : int
        Number of latents that are played for the regression.
    progress : callable
        Function of (latents played, latents in all).

    Returns
    -------
    list of MacroFit
        One for each feature of `probe.Probe`.

    Raises
    ------
    ParameterError
        If the preset has no latents.
    MissingPackageError
        If neither praat-parselmouth nor librosa is installed.
    """
    preset = require_latents(preset)
    probe = Probe(preset)
    if preset.is_kit:
        keys = probe.keys(KIT_SHARES)
    else:
        low, high = preset.pitch_range
        keys = sorted({min(max(pitch, low), high) for pitch in PITCHES})
    # Drums differ more than instruments: all are played, those of a kit at their own pitch.
    step = 1 if probe.plays_hits else -(-len(preset.timbres) // MOST_TIMBRES)
    named = [
        (np.array(timbre.z), keys if timbre.key is None else [timbre.key])
        for timbre in preset.timbres[::step]
    ]
    total = n_latents + len(named) * (1 + 2 * len(STEPS) * len(probe.features))
    n_done = 0

    def play(z: np.ndarray, keys: Sequence[int]) -> _Notes:
        nonlocal n_done
        notes = _played(probe, z, keys)
        n_done += 1
        progress(n_done, total)
        return notes

    latents = list(_sampled(preset, n_latents, seed))
    gradients = _gradients(np.array(latents), [play(z, keys) for z in latents])
    plain = [play(z, own) for z, own in named]
    fits: list[MacroFit] = []
    for feature in probe.features:
        found = [fit.feature.name for fit in fits if fit.macro is not None]
        fixed = dict.fromkeys([*probe.nuisances, *found])  # each once, in a fixed order
        fixed.pop(feature.name, None)
        direction = _orthogonal(gradients[feature.name], [gradients[name] for name in fixed])
        curve = _Curve({0.0: plain})
        for distance in sorted([-s for s in STEPS] + list(STEPS)):
            curve.notes[distance] = [
                play(move_latent(z, distance * direction), own) for z, own in named
            ]
        judged = _judged_hits if probe.plays_hits else partial(_judged, pitches=keys)
        fits.append(judged(feature, direction, curve))
    return fits


def _sampled(preset: GansynthPreset, n: int, seed: int) -> Iterator[np.ndarray]:
    """Latents between two trained ones, moved in any direction, also out of their span."""
    random = np.random.default_rng(seed)
    trained = [np.array(timbre.z) for timbre in preset.timbres]
    for i in range(n):
        first, second = (trained[k] for k in random.integers(0, len(trained), 2))
        between = mix_latents(first, second, float(random.uniform()))
        around = np.random.default_rng(seed + i).standard_normal(len(between))
        yield mix_latents(between, around, float(random.uniform(0, AROUND)))


def _played(probe: Probe, z: np.ndarray, keys: Sequence[int]) -> _Notes:
    sounds = [probe.note(z, key) for key in keys]
    measures = [probe.measure(sound, key) for sound, key in zip(sounds, keys, strict=True)]
    features = {name: np.array([m[name] for m in measures]) for name in measures[0]}
    if probe.plays_hits:
        cut_off = 2.0 ** features["length"] > 1e3 * probe.clip_s - CUT_OFF_MS
        silent = features["level"] < SILENT_DB
        return _Notes(features, np.ones(len(keys), bool), cut_off | silent)
    in_tune = np.abs(features["pitch"]) <= IN_TUNE_CENTS
    clicks = [click_ratio(sound, probe.preset.sample_rate) > CLICK_RATIO for sound in sounds]
    return _Notes(features, in_tune, np.array(clicks))


def _gradients(latents: np.ndarray, notes: Sequence[_Notes]) -> dict[str, np.ndarray]:
    """Gradient of each feature, [latent_size], by ridge regression on latents of unit length."""
    x = latents / np.linalg.norm(latents, axis=1, keepdims=True)
    audible = np.array([n.features["level"].min() > SILENT_DB for n in notes])
    gradients = {}
    for name in notes[0].features:
        y = np.array([n.features[name] for n in notes])
        # NaN where no pitch was found; each pitch has its own mean.
        y = np.where(np.isfinite(y), y, np.nan)
        known = audible & np.isfinite(y).all(axis=1)
        a, b = x[known], y[known]
        a = a - a.mean(axis=0)
        b = (b - b.mean(axis=0)).mean(axis=1)
        spread = np.trace(a.T @ a) / a.shape[1]
        gradients[name] = np.linalg.solve(a.T @ a + RIDGE * spread * np.eye(a.shape[1]), a.T @ b)
    return gradients


def _orthogonal(gradient: np.ndarray, fixed: Sequence[np.ndarray]) -> np.ndarray:
    """The unit vector nearest to a gradient along which the fixed features do not change."""
    basis = np.linalg.qr(np.array(fixed).T)[0]
    rest = gradient - basis @ (basis.T @ gradient)
    return rest / max(float(np.linalg.norm(rest)), 1e-12)


def _judged(
    feature: Feature, direction: np.ndarray, curve: _Curve, pitches: Sequence[int]
) -> MacroFit:
    """Choose the range of a direction; refuse it if its effect is not clear."""
    low, high, reason = _range(curve, feature, "notes click")
    if reason:
        return MacroFit(feature, reason=reason)
    change = (curve.values(high, feature.name) - curve.values(low, feature.name)).mean(axis=1)
    spread = float(change.std())
    if change.mean() <= spread:
        return MacroFit(
            feature,
            reason=f"its effect differs by timbre: {change.mean():.2f} with a spread of"
            f" {spread:.2f}",
        )
    middle = min(range(len(pitches)), key=lambda i: abs(pitches[i] - 60))
    n_notes = curve.values(low, feature.name).size
    n_in_tune = [round(curve.share(d, "in_tune") * n_notes) for d in (low, 0.0, high)]
    tuning = f"{n_in_tune[0]}, {n_in_tune[1]} and {n_in_tune[2]} of {n_notes} notes in tune"
    where = f"At {pitch_name(pitches[middle])}"
    return _stored(feature, direction, curve, (low, high), where, middle, tuning)


def _judged_hits(feature: Feature, direction: np.ndarray, curve: _Curve) -> MacroFit:
    """The same for drums, which may follow a macro by whatever amounts."""
    low, high, reason = _range(
        curve, feature, "drums are cut off at the end of the clip or silent", MOST_CUT_OFF
    )
    if reason:
        return MacroFit(feature, reason=reason)
    change = (curve.values(high, feature.name) - curve.values(low, feature.name)).ravel()
    n_rising, n = int((change > 0).sum()), len(change)
    if n_rising < LEAST_RISING * n:
        return MacroFit(feature, reason=f"it rises in only {n_rising} of {n} drums")
    rising = f"it rises in {n_rising} of {n} drums"
    return _stored(feature, direction, curve, (low, high), "Mean of the drums", slice(None), rising)


def _stored(
    feature: Feature,
    direction: np.ndarray,
    curve: _Curve,
    ends: tuple[float, float],
    where: str,
    columns: int | slice,
    remark: str,
) -> MacroFit:
    """A macro with the means of columns of the feature's values as its effect, if they rise."""
    low, high = ends
    means = [
        float(curve.values(distance, feature.name)[:, columns].mean())
        for distance in (low, 0.0, high)
    ]
    values = [feature.shown(mean) for mean in means]
    if not float(values[0]) < float(values[1]) < float(values[2]):  # as they are shown
        return MacroFit(
            feature,
            reason=f"the {feature.measure} is not monotonic: {', '.join(values)} {feature.unit}",
        )
    effect = (
        f"{where}, {feature.measure} {values[0]} (-1), {values[1]} (0), {values[2]}"
        f" {feature.unit} (1); {remark}."
    )
    rounded = [round(float(number), 5) for number in direction]
    macro = Macro(feature.name, feature.help, rounded, [low, high], effect)
    return MacroFit(feature, macro)


def _range(
    curve: _Curve, feature: Feature, fault: str, most_faulty: float = 0.0
) -> tuple[float, float, str]:
    """The ends of a range, or the reason why there is none."""
    ends = [_furthest(sign, curve, feature, fault, most_faulty) for sign in (-1.0, 1.0)]
    for sign, (distance, reason) in zip("-+", ends, strict=True):
        if not distance:
            return 0.0, 0.0, f"at {sign}{STEPS[0]:g} {reason}"
    return -ends[0][0], ends[1][0], ""


def _furthest(
    sign: float, curve: _Curve, feature: Feature, fault: str, most_faulty: float
) -> tuple[float, str]:
    """The largest distance up to which all notes are sound, or 0 and the reason.

    A share ``most_faulty`` of the notes may have the fault where they hadn't it.
    """
    plain_in_tune = curve.share(0.0, "in_tune")
    plain_faulty = curve.flags(0.0, "faulty")
    plain_level = curve.values(0.0, "level")
    reached, last = 0.0, float(curve.values(0.0, feature.name).mean())
    reason = ""
    for step in STEPS:
        distance = sign * step
        value = float(curve.values(distance, feature.name).mean())
        level = float((curve.values(distance, "level") - plain_level).mean())
        if sign * (value - last) <= 0:
            reason = f"the {feature.measure} is not monotonic"
        elif curve.share(distance, "in_tune") < plain_in_tune - LEAST_IN_TUNE:
            reason = "notes are out of tune"
        elif (curve.flags(distance, "faulty") & ~plain_faulty).mean() > most_faulty:
            reason = fault
        elif abs(level) > MOST_LEVEL_DB:
            reason = f"the level changes by {level:+.1f} dB"
        else:
            reached, last = step, value
            continue
        break
    return reached, reason


def macro_tables(fits: Sequence[MacroFit], command: str) -> list[dict[str, Any]]:
    """Tables ``[[macros]]`` of the macros that were found, with the command that found them."""
    return [
        {
            "name": macro.name,
            "help": macro.help,
            "direction": macro.direction,
            "range": macro.range,
            "effect": macro.effect,
            "command": command,
        }
        for macro in (fit.macro for fit in fits)
        if macro is not None
    ]
