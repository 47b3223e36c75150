"""Macros: features of synthetic notes, and directions that are known before they are fitted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen.errors import ParameterError
from audiogen.evaluation.latents import macros
from audiogen.evaluation.latents.macros import (
    FEATURES,
    STEPS,
    fit_macros,
    macro_tables,
    measure_note,
)
from audiogen.presets import Preset, change_fields, load_preset

RATE = 16000
NAMES = ("brightness", "breath", "swell", "hardness", "decay", "level", "pitch")


def note(
    slope_db: float = 6.0,
    noise: float = 0.0,
    attack_s: float = 0.01,
    onset_db: float = 0.0,
    decay_db_s: float = 0.0,
) -> np.ndarray:
    """A C4 of 12 partials, each octave weaker by the slope, which differs in the first 100 ms."""
    t = np.arange(round(1.2 * RATE)) / RATE
    f0 = 440.0 * 2.0 ** (-9 / 12)
    early = np.clip((0.13 - t) / 0.06, 0, 1)
    sound = np.zeros_like(t)
    for k in range(1, 13):
        level_db = -slope_db * np.log2(k) + onset_db * np.log2(k) * early
        sound += 10 ** (level_db / 20) * np.sin(2 * np.pi * f0 * k * t + k * k)
    sound += noise * np.random.default_rng(0).standard_normal(len(t))
    return 0.1 * sound * np.clip(t / attack_s, 0, 1) * 10 ** (-decay_db_s * t / 20)


class TestMeasures:
    def test_a_feature_follows_its_cause(self) -> None:
        plain = measure_note(note(), RATE, 60)
        for name, change in (
            ("brightness", {"slope_db": 3.0}),
            ("breath", {"noise": 0.05}),
            ("swell", {"attack_s": 0.2}),
            ("hardness", {"onset_db": 6.0}),
            ("decay", {"decay_db_s": 20.0}),
        ):
            assert measure_note(note(**change), RATE, 60)[name] > plain[name] + 0.3

    def test_values_of_a_known_note(self) -> None:
        measured = measure_note(note(attack_s=0.1, decay_db_s=12.0), RATE, 60)
        assert 2 ** measured["swell"] == pytest.approx(80, rel=0.15)  # 10 to 90 %
        assert measured["decay"] == pytest.approx(12.0, abs=0.5)
        assert abs(measured["pitch"]) < 3
        power = np.arange(1, 13) ** -2.0
        centroid = 261.63 * (power * np.arange(1, 13)).sum() / power.sum()
        assert 2 ** measured["brightness"] == pytest.approx(centroid, rel=0.02)

    def test_partials_are_not_noise(self) -> None:
        assert measure_note(note(), RATE, 60)["breath"] < -50


class TestFits:
    """The played notes are replaced by functions of the latent, so that all gradients are known."""

    @pytest.fixture
    def preset(self, tmp_path: Path, write_tiny: Callable[..., Path]) -> Preset:
        random = np.random.default_rng(0)
        timbres = [
            {"name": f"t{i}", "z": random.standard_normal(8).tolist(), "family": "x"}
            for i in range(6)
        ]
        tiny = load_preset(write_tiny(tmp_path / "first"))
        generator = tiny.generator.table() | {"latent_size": 8}
        changes: dict[str, Any] = {"timbres": timbres, "default_timbre": "t0"}
        return load_preset(write_tiny(tmp_path / "tiny", generator=generator, **changes))

    @pytest.fixture
    def gradients(self) -> dict[str, np.ndarray]:
        basis = np.linalg.qr(np.random.default_rng(1).standard_normal((8, 8)))[0]
        made = dict(zip(NAMES, basis, strict=False))
        made["level"] = 0.5 * made["level"]
        # A bright note is also a loud and a breathy one.
        made["brightness"] = made["brightness"] + made["level"]
        made["breath"] = 5 * made["breath"] + made["brightness"]
        return made

    @pytest.fixture
    def fit(
        self, preset: Preset, gradients: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., Any]:
        def fit(change: Callable[[np.ndarray, Any], None] = lambda z, notes: None) -> Any:
            def played(synth: Any, z: np.ndarray, pitches: Any) -> Any:
                unit, n = z / np.linalg.norm(z), len(pitches)
                features = {k: g @ unit + np.arange(n, dtype=float) for k, g in gradients.items()}
                notes = macros._Notes(features, np.ones(n, bool), np.zeros(n, bool))
                change(unit, notes)
                return notes

            monkeypatch.setattr(macros, "_played", played)
            fits = fit_macros(preset, n_latents=60)
            return {fit.feature.name: fit for fit in fits}

        return fit

    def test_directions_are_the_gradients_without_what_must_stay(self, fit, gradients) -> None:
        fits = fit()
        assert list(fits) == [feature.name for feature in FEATURES]
        directions = {name: np.array(fit.macro.direction) for name, fit in fits.items()}
        for name, direction in directions.items():
            assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-3)
            assert abs(direction @ gradients["level"]) < 0.03, name
            assert direction @ gradients[name] > 0.9
            assert fits[name].macro.range == [-STEPS[-1], STEPS[-1]]
        assert abs(directions["breath"] @ gradients["brightness"]) < 0.03

    def test_the_effect_is_that_of_the_ends(self, fit) -> None:
        effect = fit()["decay"].macro.effect
        assert effect.startswith("At C4, fall of the level ")
        low, middle, high = (float(x) for x in re.findall(r"-?\d+\.\d", effect))
        assert low < middle < high
        assert "18, 18 and 18 of 18 notes in tune" in effect

    def test_a_range_ends_where_notes_are_out_of_tune(self, fit, gradients) -> None:
        def detune(unit: np.ndarray, notes: Any) -> None:
            notes.in_tune[:] = gradients["decay"] @ unit < 0.8

        macro = fit(detune)["decay"].macro
        assert macro.range[0] == -STEPS[-1] and 0 < macro.range[1] < STEPS[-1]

    def test_what_has_no_clear_effect_is_refused(self, fit, gradients) -> None:
        def bend(unit: np.ndarray, notes: Any) -> None:
            notes.features["decay"][:] = -np.square(gradients["decay"] @ unit)
            notes.features["swell"] *= 0.0
            notes.clicks[:] = gradients["hardness"] @ unit > 0.05

        fits = fit(bend)
        assert fits["decay"].macro is fits["swell"].macro is fits["hardness"].macro is None
        assert "not monotonic" in str(fits["decay"]) or "differs by timbre" in str(fits["decay"])
        assert "the attack time is not monotonic" in str(fits["swell"])
        assert str(fits["hardness"]).endswith("notes click")
        assert [table["name"] for table in macro_tables(list(fits.values()), "x")] == [
            "brightness",
            "breath",
        ]

    def test_tables_are_fields_of_a_preset(self, fit, preset: Preset) -> None:
        change_fields(preset.folder, {"macros": macro_tables(list(fit().values()), "the command")})
        stored = load_preset(preset.folder).macros
        assert [macro.name for macro in stored] == [feature.name for feature in FEATURES]
        assert {macro.command for macro in stored} == {"the command"}

    def test_a_samplernn_has_none(self, tmp_path: Path, write_murmur: Callable[..., Path]) -> None:
        with pytest.raises(ParameterError, match="latents are not supported by preset"):
            fit_macros(load_preset(write_murmur(tmp_path / "murmur")))
