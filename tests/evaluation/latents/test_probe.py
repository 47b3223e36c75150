"""Measures of the timbre of synthetic notes and hits, and the keys that are played."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.evaluation.latents.probe import Probe, measure_hit, measure_note
from audiogen.presets import load_preset

RATE = 16000


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


def hit(decay_s: float = 0.1, hz: float = 200.0, noise: float = 0.0, click: float = 0.0):
    """A decaying sine and noise behind 0.1 s of silence; a click begins it."""
    t = np.arange(2 * RATE) / RATE
    random = np.random.default_rng(0).standard_normal(len(t))
    sound = (np.sin(2 * np.pi * hz * t) + noise * random) * np.exp(-t / decay_s)
    sound[: round(0.01 * RATE)] += click * random[: round(0.01 * RATE)]
    return np.concatenate([np.zeros(RATE // 10), 0.3 * sound])


class TestHits:
    def test_a_feature_follows_its_cause(self) -> None:
        plain = measure_hit(hit(), RATE)
        for name, change in (
            ("brightness", {"hz": 800.0}),
            ("noisiness", {"noise": 1.0}),
            ("length", {"decay_s": 0.3}),
            ("hardness", {"click": 0.5}),
        ):
            assert measure_hit(hit(**change), RATE)[name] > plain[name] + 0.3

    def test_values_of_a_known_hit(self) -> None:
        measured = measure_hit(hit(decay_s=0.1), RATE)
        assert 2 ** measured["length"] == pytest.approx(460, rel=0.05)  # 40 dB
        assert 2 ** measured["brightness"] == pytest.approx(200, rel=0.05)
        assert measured["level"] == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=1)
        white = np.random.default_rng(0).standard_normal(RATE)
        assert measure_hit(white, RATE)["noisiness"] == pytest.approx(-2.5, abs=0.3)

    def test_the_attack_counts(self) -> None:
        # A loud burst on a weak body: a window that fades in would hide it.
        measured = measure_hit(hit(click=3.0, decay_s=0.3), RATE)
        assert 2 ** measured["brightness"] > 1500 and measured["noisiness"] > -20

    @pytest.mark.parametrize("silence", [np.zeros(RATE), np.zeros(0), 1e-9 * np.ones(RATE)])
    def test_silence_is_dark_tonal_short_and_soft(self, silence: np.ndarray) -> None:
        measured = measure_hit(silence, RATE)
        assert 2 ** measured["brightness"] == pytest.approx(20)
        assert measured["noisiness"] == -60 and measured["length"] == measured["hardness"] == 0
        assert measured["level"] < -150

    def test_a_hit_may_begin_with_the_last_samples(self) -> None:
        late = np.zeros(RATE)
        late[-40:] = 0.5
        assert np.isfinite(list(measure_hit(late, RATE).values())).all()


def test_keys_of_a_kit_are_spread_over_its_pitches() -> None:
    kit = load_preset("drums")
    pitches = dict(kit.drums.values())
    played = [pitches[key] for key in Probe(kit).keys([0.0, 0.25, 0.5, 0.75, 1.0])]
    assert played == sorted(played) and len(set(played)) == 5
    assert (played[0], played[-1]) == (min(pitches.values()), max(pitches.values()))
    assert Probe(load_preset("leads")).keys([0.0, 1.0]) == load_preset("leads").pitch_range
