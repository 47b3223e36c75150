"""Macros: directions that are known before they are fitted, and those of a drum kit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen.engine import Synth
from audiogen.errors import ParameterError
from audiogen.evaluation.latents import macros
from audiogen.evaluation.latents.macros import STEPS, fit_macros, macro_tables
from audiogen.evaluation.latents.probe import DRUM_FEATURES, FEATURES, Probe, measure_hit
from audiogen.presets import Preset, change_fields, load_preset

SNARE = 38  # key
NAMES = ("brightness", "breath", "swell", "hardness", "decay", "level", "pitch")


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
        assert str(fits["hardness"]).endswith("sounds click or are cut off")
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


@pytest.mark.slow
def test_macros_of_a_kit_are_found_by_its_own_measures(few_drums: Preset) -> None:
    fits = {fit.feature.name: fit for fit in fit_macros(few_drums, n_latents=40)}
    assert list(fits) == [feature.name for feature in DRUM_FEATURES]
    for fit in fits.values():
        assert (fit.macro is None) == bool(fit.reason)
        if fit.macro is not None:
            assert fit.macro.effect.startswith(f"Of 3 drums, {fit.feature.measure} ")
            assert "in tune" not in fit.macro.effect


def test_the_shipped_kit_has_macros_that_work() -> None:
    synth = Synth("drums")
    assert [macro.name for macro in synth.preset.macros][:2] == ["brightness", "noisiness"]
    for name in ("brightness", "noisiness"):
        measured = []
        for value in (-1.0, 1.0):
            synth.set(name, value)
            hit = synth.render([(0.0, 0.5, SNARE, 0.8)], stereo=False)
            measured.append(measure_hit(hit, synth.sample_rate)[name])
        assert measured[1] > measured[0] + 0.5
        synth.set(name, 0.0)


def test_a_macro_of_a_kit_must_change_most_drums() -> None:
    feature = DRUM_FEATURES[0]

    def judged(slopes: list[float]) -> macros.MacroFit:
        def notes(slope: float, distance: float) -> macros._Notes:
            features = {"brightness": np.array([8 + slope * distance]), "level": np.zeros(1)}
            return macros._Notes(features, np.ones(1, bool), np.zeros(1, bool))

        distances = [0.0, *STEPS, *(-step for step in STEPS)]
        curve = macros._Curve({d: [notes(slope, d) for slope in slopes] for d in distances})
        return macros._judged(feature, np.ones(8), curve, ())

    assert judged([3.0] + 9 * [0.1]).macro is not None  # their sizes may differ
    assert judged([3.0] + 7 * [0.1] + 2 * [-0.1]).reason == "only 8 of 10 drums follow"


def test_a_drum_that_is_cut_off_ends_a_range(
    few_drums: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Probe(few_drums)
    z = np.array(few_drums.timbres[0].z)
    assert not macros._played(probe, z, [SNARE]).clicks.any()
    monkeypatch.setattr(probe, "note", lambda *_: np.ones(round(probe.clip_s * 64000)))
    assert macros._played(probe, z, [SNARE]).clicks.all()
