"""Real notes beside the oracle and a preset: groups, medians, what is outside the spread."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.evaluation import note_comparison
from audiogen.evaluation.note_comparison import (
    GROUPS,
    ORACLE,
    PRESET,
    REAL,
    Comparison,
    compare_notes,
    same_key_halves,
)
from audiogen.evaluation.two_sample import Area
from audiogen.representation.config import SpectrogramConfig

RATE = 8000
TIME_S = np.arange(3 * RATE) / RATE
PITCHES = np.repeat(np.arange(50.0, 65.0), 2)


def tone(pitch, attack_s=0.05, wander_db=0.0, gain=0.1):
    f0 = 440 * 2 ** ((pitch - 69) / 12)
    sound = sum(np.sin(2 * np.pi * h * f0 * TIME_S + h * h) / h for h in (1, 2, 3))
    level = 10 ** (wander_db * np.sqrt(2) * np.sin(2 * np.pi * TIME_S) / 20)
    return gain * sound * level * np.minimum(1, TIME_S / attack_s)


def tones(seed=0, attack=1.0, steady_db=0.0, gain=0.1):
    """Every second note varies; attacks differ from note to note."""
    random = np.random.default_rng(seed)
    return np.array(
        [
            tone(p, attack * random.uniform(0.04, 0.06), 1.5 if i % 2 else steady_db, gain)
            for i, p in enumerate(PITCHES)
        ]
    )


def compare(preset, **options):
    notes = {REAL: tones(), ORACLE: tones(1), PRESET: preset}
    return compare_notes(notes, PITCHES, RATE, n_classifiers=0, **options)


def find(comparison, name, group):
    (median,) = (m for m in comparison.medians if (m.name, m.group) == (name, group))
    return median


def test_levels_of_timbres_are_compared_with_one_another():
    timbres = [f"t{i % 5}" for i in range(len(PITCHES))]
    quiet = 10 ** (-8.0 / 20)
    preset = np.array(
        [s * (quiet if t == "t3" else 0.5) for s, t in zip(tones(2), timbres, strict=True)]
    )
    comparison = compare(preset, timbres=timbres)
    levels = comparison.levels
    assert set(levels) == {ORACLE, PRESET} and abs(levels[ORACLE]["t3"]) < 0.1
    assert levels[PRESET]["t3"] == pytest.approx(-8.0, abs=0.1)
    assert levels[PRESET]["t0"] == pytest.approx(-6.0, abs=0.1)
    assert list(comparison.wrong_levels()) == ["t3"]
    assert "level beside the other timbres (dB): t3 -2.0" in comparison.judgement()
    row = dict(comparison.rows())["level of timbres relative to real (dB)"]
    assert row[PRESET] == "-8.0 to -6.0!" and REAL not in row
    card = comparison.card()
    assert card["timbre_level_error_db"] == pytest.approx(0.4, abs=0.05)
    assert card["timbre_level_lowest_db"] == pytest.approx(-8.0, abs=0.1)
    assert card["timbre_level_highest_db"] == pytest.approx(-6.0, abs=0.1)
    assert compare(preset, timbres=["only-two"] * 2 + timbres[2:]).levels.keys() == levels.keys()
    assert compare(preset).levels == {}


def test_a_perfect_preset_has_nothing_outside():
    comparison = compare(tones(2))
    assert comparison.n_notes == {"steady": 15, "varying": 15}
    assert comparison.judgement() == [] and comparison.areas == {}
    wander = find(comparison, "wander_db", "varying")
    assert wander.values[PRESET] == pytest.approx(1.7, abs=0.1) and wander.errors[PRESET] < 0.1
    assert not any("!" in text for _, texts in comparison.rows() for text in texts.values())


def test_faults_are_named_with_their_group():
    comparison = compare(tones(2, attack=2.0, steady_db=0.6))
    outside = {(m.name, m.group) for m in comparison.medians if m.outside}
    assert outside == {("attack_ms", "steady"), ("wander_db", "steady")}
    lines = comparison.judgement()
    assert lines[0] == "wander, 0.4-3 Hz (dB) of steady notes: 0.67, oracle 0.00"
    assert lines[1].startswith("attack (ms) of steady notes") and len(lines) == 2
    rows = dict(comparison.rows())
    assert rows["wander, 0.4-3 Hz (dB)"][PRESET].startswith("0.67! / 1.6")
    assert "!" not in rows["wander, 0.4-3 Hz (dB)"][ORACLE]
    attack = find(comparison, "attack_ms", "steady")
    assert 0 < attack.interval[0] < attack.values[PRESET] - attack.values[ORACLE]
    assert attack.errors[PRESET] == pytest.approx(40, abs=5)
    content = comparison.content()
    assert content["outside"] == lines
    card = comparison.card()
    assert card["wander_db_steady"] == pytest.approx(0.67, abs=0.01)
    assert card["oracle_wander_db_steady"] < 0.01 < card["real_wander_db_varying"]
    off = find(comparison, "off_partials_db 0-2", "steady")
    assert card["off_partials_db_0_to_2_khz_steady"] == off.values[PRESET]
    assert "off_partials_db_2_to_4_khz_steady" in card
    assert content["statistics"]["attack_ms, steady"]["outside"] is True


def test_a_small_difference_is_within_the_tolerance():
    outside = {m.name for m in compare(tones(2, gain=0.09)).medians if m.outside}
    assert outside == set()  # 0.92 dB
    outside = {m.name for m in compare(tones(2, gain=0.06)).medians if m.outside}
    assert outside == {"level_dbfs"}


def test_groups_that_are_too_small_have_no_medians():
    notes = {kind: tones()[::2][: note_comparison.MIN_GROUP] for kind in (REAL, ORACLE, PRESET)}
    comparison = compare_notes(notes, PITCHES[::2][:10], RATE, n_classifiers=0)
    assert comparison.n_notes == {"steady": 10, "varying": 0}
    for name in ("attack_ms", "level_dbfs"):
        assert np.isfinite(find(comparison, name, "steady").values[PRESET])
        assert np.isnan(find(comparison, name, "varying").values[PRESET])
    assert dict(comparison.rows())["level (dBFS)"][REAL].endswith(" / -")


def test_without_an_oracle_nothing_is_judged():
    notes = {REAL: tones(), PRESET: tones(2, attack=3.0)}
    comparison = compare_notes(notes, PITCHES, RATE, n_classifiers=0)
    assert comparison.judgement() == []
    assert np.isnan(find(comparison, "attack_ms", "steady").interval).all()


def test_areas_are_judged_by_their_spread():
    def comparison(*values):
        areas = {
            ORACLE: {"linear, held": Area((0.8, 0.84))},
            PRESET: {"linear, held": Area(values)},
        }
        return Comparison(dict.fromkeys(GROUPS, 0), (), areas)

    assert comparison(0.9, 0.95).judgement() == [
        "AUC, linear, held: 0.93 +-0.02, oracle 0.82 +-0.02"
    ]
    assert comparison(0.83, 0.95).judgement() == []  # their ranges overlap
    assert comparison(0.85, 0.86).judgement() == []  # within the tolerance
    assert comparison(0.9, 0.95).card() == pytest.approx(
        {"auc_linear_held": 0.925, "oracle_auc_linear_held": 0.82}
    )
    assert dict(comparison(0.9, 0.95).rows())["AUC, linear, held"][PRESET] == "0.93 +-0.02!"


def test_areas_are_of_the_same_notes(monkeypatch):
    calls, steps = [], []

    def two_sample_test(real, generated, pitches, rate, **options):
        calls.append((len(real), options["features"], options["paired"]))
        return {part: Area((0.5,)) for part in ("attack", "held")}

    monkeypatch.setattr(note_comparison, "two_sample_test", two_sample_test)
    monkeypatch.setattr(note_comparison.two_sample, "MIN_NOTES", 15)
    notes = {REAL: tones(), ORACLE: tones(), PRESET: tones()}
    comparison = compare_notes(
        notes, PITCHES, RATE, n_classifiers=1, progress=lambda: steps.append(None)
    )
    assert calls == [
        (n, features, paired)
        for features in ("log-mel", "linear")
        for n, paired in ((15, False), (30, True), (30, True))
    ]
    assert set(comparison.areas[PRESET]) == {
        f"{features}, {part}" for features in ("log-mel", "linear") for part in ("attack", "held")
    }
    assert len(steps) == 3


def test_halves_have_different_notes_of_the_same_keys():
    pitches = np.array([60.0, 61, 60, 60, 62, 62, 61, 60, 60])
    first, second = same_key_halves(pitches, np.random.default_rng(0))
    np.testing.assert_array_equal(pitches[first], pitches[second])
    assert len(first) == 4 and not set(first) & set(second)


def test_oracle_returns_notes_through_the_representation():
    pytest.importorskip("torch")
    from audiogen.errors import ParameterError
    from audiogen.evaluation.oracle import oracle

    config = SpectrogramConfig(
        sample_rate=RATE,
        n_samples=RATE * 3,
        n_fft=1024,
        hop_length=256,
        n_frames=97,
        phase="harmonic",
        magnitude_floor=1e-4,
        magnitude_scale=0.1,
        magnitude_offset=0.12,
    )
    notes = [tone(62), tone(70)[: RATE * 2]]
    played = oracle(notes, [62.0, 70.0], config)
    assert [len(x) for x in played] == [len(x) for x in notes]
    for note, copy in zip(notes, played, strict=True):
        held = slice(RATE // 2, 3 * RATE // 2)
        levels = [np.sqrt(np.mean(np.square(x[held]))) for x in (note, copy)]
        assert levels[1] == pytest.approx(levels[0], rel=0.05)
        assert np.abs(copy - note).max() > 0.01  # phases are those of the engine
    own = oracle(notes, [62.0, 70.0], config, [None, np.array([1.0, 2.4])])
    np.testing.assert_allclose(own[0], played[0], atol=1e-6)
    assert np.abs(own[1] - played[1]).max() > 0.01  # partials begin with other phases
    with pytest.raises(ParameterError, match="phase='phase' is not supported by the oracle"):
        oracle(notes, [62.0, 70.0], SpectrogramConfig(phase="phase"))
