"""Results are graded against a baseline, with advice; the time is forecast."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from audiogen.presets import find_presets, load_preset
from audiogen.training.run.forecast import Forecast, duration
from audiogen.training.run.judgement import judge


@pytest.mark.parametrize(
    ("bits", "bigram", "grade"),
    [(4.58, 3.63, "poor"), (3.63, 3.63, "poor"), (3.3, 3.63, "fair"), (2.6, 4.8, "good")],
)
def test_bits_are_graded_against_a_bigram(bits: float, bigram: float, grade: str) -> None:
    measured = {"held_out_bits": bits, "held_out_bits_bigram": bigram, "best_step": 100.0}
    judgement = judge("samplernn", measured, 100)
    assert judgement is not None and judgement.grade == grade
    assert f"{bits:.2f} bits" in judgement.reason and f"{bigram:.2f}" in judgement.reason
    assert ("Train longer" in judgement.advice) == (grade != "good")


def test_overfitting_asks_for_more_sound_not_for_more_steps() -> None:
    measured = {"held_out_bits": 3.0, "held_out_bits_bigram": 3.2, "best_step": 300.0}
    judgement = judge("samplernn", measured, 1000)
    assert judgement is not None
    assert "after step 300 of 1000" in judgement.advice and "add sound" in judgement.advice
    assert "Train longer" not in str(judgement)


@pytest.mark.parametrize(
    ("kind", "name", "baseline", "grades"),
    [
        (
            "builtin",
            "log_mel_db",
            "log_mel_db_random",
            {2.5: "good", 6: "fair", 9: "poor"},
        ),
        (
            "progressive",
            "energy_db",
            "energy_db_silence",
            {0.3: "good", 1: "fair", 9: "poor"},
        ),
    ],
)
def test_notes_are_graded_against_random_ones_or_silence(kind, name, baseline, grades) -> None:
    for value, grade in grades.items():
        judgement = judge(
            f"gansynth-{kind}", {f"held_out_{name}": value, f"held_out_{baseline}": 10.0}, 1200
        )
        assert judgement is not None and judgement.grade == grade
        assert judgement.advice and "10.0 dB" in judgement.reason
    assert judge(f"gansynth-{kind}", {f"held_out_{name}": 1.0}, 1200) is None


def test_shipped_presets_that_draw_samples_are_good() -> None:
    for preset in map(load_preset, find_presets()):
        if preset.kind == "samplernn":
            measured = {k: v for k, v in preset.measured.items() if k != "best_step"}
            judgement = judge("samplernn", measured, preset.training.steps)
            assert judgement is not None and judgement.grade == "good", preset.name


class Evaluated:
    """A trainer that is evaluated ten times, with a last phase of a quarter of the steps."""

    def phases(self) -> list[tuple[float, int]]:
        return [(0.75, 0), (0.25, 75)]

    def n_evaluations(self, n_steps: int) -> int:
        return 10


def test_a_forecast_counts_evaluations() -> None:
    forecast = Forecast([0.25, 1.25], 3.0, Evaluated())  # type: ignore[arg-type]
    assert forecast.step_s == 0.5
    assert forecast.seconds(100) == 80.0
    assert forecast.steps_in(80.0) == 100
    assert forecast.steps_in(40.0) == 40  # evaluations take half at most


def test_durations_have_two_units() -> None:
    assert [duration(s) for s in (0.4, 61.0, 3599.6, 90_000.0)] == [
        "0 s",
        "1 min 01 s",
        "1 h 00 min",
        "25 h 00 min",
    ]
