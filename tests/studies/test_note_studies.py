"""Studies of single notes: ways to play the oracle, and the two-sample test on spoiled notes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from audiogen.evaluation.two_sample import Area
from audiogen.studies import oracle, run_study, spoiled_notes


def test_the_phases_of_the_real_notes_lose_less_than_the_engines(tmp_path: Path) -> None:
    result = run_study("oracle", "smoke", tmp_path / "oracle")
    assert not result.missing and not result.checks
    assert [row[0] for row in result.tables[0].rows[1:]] == ["real", "engine", "analysed"]
    of = {line["way"]: line["medians"]["attack_ms"]["steady"] for line in result.numbers["ways"]}
    real, _, _ = of["engine"]
    assert 25.0 < real < 50.0
    assert of["engine"][2] > 1.0 > of["analysed"][2]  # mean errors, ms


def test_the_oracles_claims() -> None:
    areas: dict[str, Any] = {
        way: {"attack": [0.75, 0.7], "held": [0.55, 0.55]} for way in (*oracle.WAYS, oracle.SHORT)
    }
    areas["analysed"] = {"attack": [0.5, 0.5], "held": [0.5, 0.5]}
    assert all(oracle._checks(areas).values()) and len(oracle._checks(areas)) == 2
    areas["narrow"] = {"attack": [0.8], "held": [0.5]}  # better in one part only
    assert all(oracle._checks(areas).values())
    areas["tonal"] = {"attack": [0.6], "held": [0.5]}
    areas["analysed"]["held"] = [0.6, 0.6]
    checks = oracle._checks(areas)
    assert not any(checks.values()) and "tonal" in list(checks)[1]
    assert len(oracle._checks({"analysed": areas["analysed"]})) == 1
    assert not oracle._checks({"engine": {}})


@pytest.mark.slow
def test_the_test_tells_noise(tmp_path: Path) -> None:
    result = run_study("spoiled-notes", "smoke", tmp_path / "spoiled")
    assert not result.missing and not result.checks
    (line,) = result.numbers["tests"]
    assert line["against"] == spoiled_notes.LOUD_NOISE
    assert all(0.55 < area <= 1.0 for areas in line["areas"].values() for area in areas)
    assert len(result.tables[0].rows) == 2


def test_the_two_sample_tests_claims() -> None:
    def areas(**values: float) -> dict[tuple[str, str, str], Area]:
        of = {
            spoiled_notes.THEMSELVES: values.get("themselves", 0.5),
            spoiled_notes.OTHERS: values.get("others", 0.45),
            spoiled_notes.LOUD_NOISE: values.get("noise", 0.8),
        }
        return {
            (name, "linear", part): Area((value, value - 0.02, value + 0.02))
            for name, value in of.items()
            for part in ("attack", "held")
        }

    assert list(spoiled_notes._checks(areas()).values()) == [True, True]
    assert list(spoiled_notes._checks(areas(others=0.39)).values()) == [False, True]
    assert list(spoiled_notes._checks(areas(themselves=0.62)).values()) == [False, True]
    assert list(spoiled_notes._checks(areas(noise=0.6)).values()) == [True, False]


def test_notes_are_spoiled_as_said() -> None:
    random = np.random.default_rng(0)
    t = np.arange(16000) / 16000
    sounds = np.sin(2.0 * np.pi * 440.0 * t) * np.exp(-4.0 * t) * np.ones((2, 1))
    for way, level_db in ((spoiled_notes.QUIET_NOISE, -60.0), (spoiled_notes.LOUD_NOISE, -40.0)):
        noise = spoiled_notes.spoil(way, sounds, random) - sounds
        measured = 20.0 * np.log10(noise.std() / np.sqrt(np.mean(sounds**2)))
        assert measured == pytest.approx(level_db, abs=0.2)
    assert spoiled_notes.spoil(spoiled_notes.THEMSELVES, sounds, random) is sounds
    blurred = spoiled_notes.mixed_over_frames(sounds[0], 0.2)
    same = spoiled_notes.mixed_over_frames(sounds[0], 0.0)
    np.testing.assert_allclose(same, sounds[0], atol=1e-6)
    assert 1e-4 < np.abs(blurred - sounds[0]).mean() < 0.1
    moved = spoiled_notes.spoil(spoiled_notes.RANDOM_PHASES, sounds, random)
    assert moved.shape == sounds.shape and np.abs(moved - sounds).mean() > 0.05
