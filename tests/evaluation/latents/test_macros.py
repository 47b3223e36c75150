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
            def played(probe: Any, z: np.ndarray, keys: Any) -> Any:
                unit, n = z / np.linalg.norm(z), len(keys)
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
            notes.faulty[:] = gradients["hardness"] @ unit > 0.05

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


@pytest.mark.slow
def test_macros_of_a_kit_are_found_by_its_own_measures(few_drums: Preset) -> None:
    fits = {fit.feature.name: fit for fit in fit_macros(few_drums, n_latents=40)}
    assert list(fits) == [feature.name for feature in DRUM_FEATURES]
    found = [fit.macro for fit in fits.values() if fit.macro is not None]
    assert found
    for macro in found:
        assert macro.effect.startswith(f"Mean of the drums, {fits[macro.name].feature.measure} ")
        assert "it rises in 3 of 3 drums" in macro.effect and "in tune" not in macro.effect


def test_the_shipped_macros_of_drums_have_their_effect() -> None:
    synth = Synth("drums")
    names = [macro.name for macro in synth.preset.macros]
    assert names[:2] == ["brightness", "noisiness"]
    for name in names:
        rises = []
        for key in (36, 38, 42, 50, 56):  # kick, snare, hi-hat, tom, cowbell
            measured = []
            for value in (-1.0, 1.0):
                synth.set(name, value)
                hit = synth.render([(0.0, 0.5, key, 0.8)], sample_rate=64000, stereo=False)
                measured.append(measure_hit(hit, 64000)[name])
            rises.append(measured[1] > measured[0])
        synth.set(name, 0.0)
        assert sum(rises) >= 4, name


class TestKit:
    @staticmethod
    def judged(slopes: list[float], faults: Callable[[int, float], bool] = lambda i, d: False):
        """A kit whose drums' brightness has these slopes along the direction."""

        def notes(i: int, distance: float) -> macros._Notes:
            features = {
                "brightness": np.array([8 + slopes[i] * distance]),
                "level": np.zeros(1),
            }
            return macros._Notes(features, np.ones(1, bool), np.array([faults(i, distance)]))

        distances = [0.0, *STEPS, *(-step for step in STEPS)]
        curve = macros._Curve({d: [notes(i, d) for i in range(len(slopes))] for d in distances})
        return macros._judged_hits(DRUM_FEATURES[0], np.ones(8), curve)

    def test_most_drums_must_follow_by_whatever_amounts(self) -> None:
        assert self.judged([3.0] + 9 * [0.1]).macro is not None
        refused = self.judged([3.0] + 7 * [0.1] + 2 * [-0.1])
        assert refused.reason == "it rises in only 8 of 10 drums"

    def test_a_range_ends_where_further_drums_are_cut_off(self) -> None:
        slopes = 30 * [0.1]
        # One is cut off anyway; two of the others are at the second step.
        fit = self.judged(slopes, lambda i, d: i == 0 or (i < 3 and d > STEPS[0]))
        assert fit.macro is not None and fit.macro.range == [-STEPS[-1], STEPS[0]]
        fit = self.judged(slopes, lambda i, d: i < 3 and d > 0)
        assert fit.reason == "at +0.75 drums are cut off at the end of the clip or silent"

    def test_a_drum_that_sounds_to_the_end_or_not_at_all_is_faulty(
        self, few_drums: Preset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        probe = Probe(few_drums)
        for seconds, faulty in ((0.0, True), (0.5, False), (probe.clip_s - 0.06, False),
                                (probe.clip_s, True)):  # fmt: skip
            sound = np.ones(round(seconds * few_drums.sample_rate))
            monkeypatch.setattr(probe, "note", lambda *_, sound=sound: sound)
            z = np.array(few_drums.timbres[0].z)
            assert macros._played(probe, z, [SNARE]).faulty.tolist() == [faulty], seconds
