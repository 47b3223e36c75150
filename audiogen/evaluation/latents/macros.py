"""Macros of a GANSynth preset: directions in its latent space by regression of timbre features.

Latents between and around the trained ones are played; each feature of their notes is regressed on
the latents. The gradient, made orthogonal to those of level, pitch and the macros before it, is a
direction, whose range is as wide as the notes of the named timbres stay in tune, free of clicks and
equally loud. GANSpace (Härkönen et al., NeurIPS 2020) takes principal components as directions
instead, and names them by what people find that they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audiogen.audio.pitch import best_tracker, cents_error, note_pitch
from audiogen.engine import Synth
from audiogen.engine.latents import mix_latents, move_latent, require_latents
from audiogen.evaluation.metrics import CLICK_RATIO, click_ratio, level_db
from audiogen.notes import pitch_name
from audiogen.presets import GansynthPreset, Macro, Preset, require_pitches

PITCHES = (48, 60, 72)  # MIDI numbers, moved into the preset's range
VELOCITY, HOLD_S = 0.8, 0.9
ONSET_S = 0.1  # what hardness is measured in
STEPS = (0.75, 1.5, 2.25, 3.0)  # distances that are tried; latents lie at sqrt(latent_size), 4
N_LATENTS = 160  # that are played for the regression
MOST_TIMBRES = 8  # of the named ones, that the ranges are measured on
AROUND = 0.35  # share of a random latent in a sampled one
RIDGE = 1e-2  # of the regression, as a share of the latents' mean variance
IN_TUNE_CENTS, LEAST_IN_TUNE = 50.0, 0.05  # cents; share by which a range may lose notes
MOST_LEVEL_DB = 3.0  # largest mean change of the level
SILENT_DB = -70.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Feature:
    """A measure of timbre that a macro changes.

    Parameters
    ----------
    name : str
        Name of the macro.
    help : str
        Sentence on the macro's effect.
    measure : str
        Name of the measure, as the effect states it.
    unit : str
        Unit of the values that are shown.
    is_log2 : bool
        Whether the value is a base-2 logarithm of what is shown.
    """

    name: str
    help: str
    measure: str
    unit: str
    is_log2: bool = False

    def shown(self, value: float) -> str:
        """A value as the effect shows it, without its unit."""
        return f"{2**value:.0f}" if self.is_log2 else f"{value:.1f}"


# In the order in which they become macro_1, macro_2, ...: each is made independent of those before.
FEATURES = (
    Feature(
        "brightness",
        "Brightness of the sustain, dark to bright.",
        "spectral centroid",
        "Hz",
        is_log2=True,
    ),
    Feature(
        "breath",
        "Noise between the partials, clean to breathy.",
        "power off the partials relative to that on them",
        "dB",
    ),
    Feature("swell", "Slowness of the attack, short to long.", "attack time", "ms", is_log2=True),
    Feature(
        "hardness",
        "Brightness of the first 100 ms relative to the sustain, soft to hard.",
        "spectral centroid of the onset above that of the sustain",
        "octaves",
    ),
    Feature("decay", "Decay of a held note, steady to short.", "fall of the level", "dB/s"),
)
NUISANCES = ("level", "pitch")  # which no macro may change


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
    """Notes of one latent: features by name, [n_pitches]; whether each is in tune and clicks."""

    features: dict[str, np.ndarray]
    in_tune: np.ndarray
    clicks: np.ndarray


@dataclass
class _Curve:
    """Notes of the named timbres along a direction, by distance."""

    notes: dict[float, list[_Notes]] = field(default_factory=dict)

    def values(self, distance: float, name: str) -> np.ndarray:
        """A feature of all notes, [n_timbres, n_pitches]."""
        return np.array([notes.features[name] for notes in self.notes[distance]])

    def share(self, distance: float, flag: str) -> float:
        return float(np.mean([getattr(notes, flag) for notes in self.notes[distance]]))


def measure_note(waveform: np.ndarray, sample_rate: int, pitch: float) -> dict[str, float]:
    """Timbre features of a note that is held for `HOLD_S`.

    Parameters
    ----------
    waveform : ndarray [n_samples], float
        The note, from its start.
    sample_rate : int, Hz
        Sample rate of the samples.
    pitch : float, MIDI number
        Pitch that was asked for.

    Returns
    -------
    dict of str to float
        ``brightness`` (log2 Hz), ``breath`` (dB), ``swell`` (log2 ms), ``hardness`` (octaves),
        ``decay`` (dB/s), ``level`` (dBFS) and ``pitch`` (cents from the one asked for; NaN if no
        pitch is found).
    """
    x = np.asarray(waveform, np.float64)
    hold, onset = round(HOLD_S * sample_rate), round(ONSET_S * sample_rate)
    sustain = x[2 * onset : hold]
    centroid = _centroid(sustain, sample_rate)
    early, late = level_db(sustain[:onset]), level_db(sustain[-onset:])
    found = note_pitch(x, sample_rate, note_on_s=HOLD_S, tracker=best_tracker())
    return {
        "brightness": centroid,
        "breath": _off_partials_db(sustain, sample_rate, pitch),
        "swell": np.log2(_attack_ms(x[:hold], sample_rate)),
        "hardness": _centroid(x[:onset], sample_rate) - centroid,
        "decay": (early - late) / ((len(sustain) - onset) / sample_rate),
        "level": level_db(x[:hold]),
        "pitch": float(cents_error(found, pitch, octave_free=True)),
    }


def _centroid(x: np.ndarray, sample_rate: int) -> float:
    """Spectral centroid of the power, log2 Hz."""
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    frequency = np.arange(len(power)) * sample_rate / len(x)
    return float(np.log2(max(power @ frequency / max(power.sum(), 1e-30), 20.0)))


def _off_partials_db(x: np.ndarray, sample_rate: int, pitch: float) -> float:
    """Power farther from any partial than a quarter of their distance, relative to the rest."""
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    number = np.arange(len(power)) * sample_rate / len(x) / f0
    is_off = (np.abs(number - np.rint(number)) > 0.25) & (number > 0.5)
    is_on = ~is_off & (number > 0.5)
    return float(10 * np.log10(max(power[is_off].sum(), 1e-20) / max(power[is_on].sum(), 1e-20)))


def _attack_ms(x: np.ndarray, sample_rate: int) -> float:
    """Time from 10 to 90 % of the largest level of the first half second."""
    width = round(0.02 * sample_rate)
    level = np.sqrt(np.convolve(x[: sample_rate // 2] ** 2, np.hanning(width), "same"))
    top = level.max()
    start = int(np.argmax(level >= 0.1 * top))
    end = int(np.argmax(level >= 0.9 * top))
    return max((end - start) / sample_rate * 1e3, 1.0)


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
        One for each of `FEATURES`.

    Raises
    ------
    ParameterError
        If the preset has no latents.
    MissingPackageError
        If neither praat-parselmouth nor librosa is installed.
    """
    preset = require_latents(preset)
    require_pitches(preset, "a macro")
    synth = Synth(preset)
    low, high = preset.pitch_range
    pitches = sorted({min(max(pitch, low), high) for pitch in PITCHES})
    step = -(-len(preset.timbres) // MOST_TIMBRES)
    named = [np.array(timbre.z) for timbre in preset.timbres[::step]]
    total = n_latents + len(named) * (1 + 2 * len(STEPS) * len(FEATURES))
    n_done = 0

    def play(z: np.ndarray) -> _Notes:
        nonlocal n_done
        notes = _played(synth, z, pitches)
        n_done += 1
        progress(n_done, total)
        return notes

    latents = list(_sampled(preset, n_latents, seed))
    gradients = _gradients(np.array(latents), [play(z) for z in latents])
    plain = [play(z) for z in named]
    fits: list[MacroFit] = []
    fixed = [gradients[name] for name in NUISANCES]
    for feature in FEATURES:
        direction = _orthogonal(gradients[feature.name], fixed)
        curve = _Curve({0.0: plain})
        for distance in sorted([-s for s in STEPS] + list(STEPS)):
            curve.notes[distance] = [play(move_latent(z, distance * direction)) for z in named]
        fits.append(_judged(feature, direction, curve, pitches))
        if fits[-1].macro is not None:
            fixed.append(gradients[feature.name])
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


def _played(synth: Synth, z: np.ndarray, pitches: Sequence[int]) -> _Notes:
    rate = synth.preset.sample_rate
    measures, clicks = [], []
    for pitch in pitches:
        note = [(0.0, HOLD_S, pitch, VELOCITY)]
        sound = synth.render(note, timbre=z, sample_rate=rate, stereo=False)
        measures.append(measure_note(sound, rate, pitch))
        clicks.append(click_ratio(sound, rate) > CLICK_RATIO)
    features = {name: np.array([m[name] for m in measures]) for name in measures[0]}
    in_tune = np.abs(features["pitch"]) <= IN_TUNE_CENTS
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
    ends = [_furthest(sign, curve, feature) for sign in (-1.0, 1.0)]
    for sign, (distance, reason) in zip("-+", ends, strict=True):
        if not distance:
            return MacroFit(feature, reason=f"at {sign}{STEPS[0]:g} {reason}")
    low, high = -ends[0][0], ends[1][0]
    change = (curve.values(high, feature.name) - curve.values(low, feature.name)).mean(axis=1)
    spread = float(change.std())
    if change.mean() <= spread:
        return MacroFit(
            feature,
            reason=f"its effect differs by timbre: {change.mean():.2f} with a spread of"
            f" {spread:.2f}",
        )
    middle = min(range(len(pitches)), key=lambda i: abs(pitches[i] - 60))
    means = [
        float(curve.values(distance, feature.name)[:, middle].mean())
        for distance in (low, 0.0, high)
    ]
    values = [feature.shown(mean) for mean in means]
    if not float(values[0]) < float(values[1]) < float(values[2]):  # as they are shown
        return MacroFit(
            feature,
            reason=f"at {pitch_name(pitches[middle])} the {feature.measure} is not monotonic:"
            f" {', '.join(values)} {feature.unit}",
        )
    n_notes = curve.values(low, feature.name).size
    n_in_tune = [round(curve.share(d, "in_tune") * n_notes) for d in (low, 0.0, high)]
    effect = (
        f"At {pitch_name(pitches[middle])}, {feature.measure} {values[0]} (-1), {values[1]} (0),"
        f" {values[2]} {feature.unit} (1); {n_in_tune[0]}, {n_in_tune[1]} and {n_in_tune[2]} of"
        f" {n_notes} notes in tune."
    )
    rounded = [round(float(number), 5) for number in direction]
    macro = Macro(feature.name, feature.help, rounded, [low, high], effect)
    return MacroFit(feature, macro)


def _furthest(sign: float, curve: _Curve, feature: Feature) -> tuple[float, str]:
    """The largest distance up to which all notes are sound, or 0 and the reason."""
    plain_in_tune = curve.share(0.0, "in_tune")
    plain_clicks = curve.share(0.0, "clicks")
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
        elif curve.share(distance, "clicks") > plain_clicks:
            reason = "notes click"
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
