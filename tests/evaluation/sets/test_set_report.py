"""The report on a set: columns, order of spoiled notes, cache, minimum numbers, files."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from audiogen.data.toy_notes import PITCHES, SAMPLE_RATE, draw_notes
from audiogen.errors import ParameterError
from audiogen.evaluation.sets import divergence, set_report, spoiled
from audiogen.evaluation.sets.cache import ResultCache
from audiogen.evaluation.sets.divergence import Budget
from audiogen.evaluation.sets.images import log_mel_images
from audiogen.evaluation.sets.set_report import COLUMNS, evaluate_sets, matched_keys
from audiogen.evaluation.sets.sounds import SoundSet


class MeanJudge:
    """Stands in for a network: mean levels of eight bands, and pitches by the loudest partial."""

    name, hash, pitches, evidence = "mean", "0", PITCHES, "Right on 41 % of an unseen bank"
    n_calls = 0

    def embed(self, sounds, sample_rate):
        MeanJudge.n_calls += 1
        images = log_mel_images(sounds, sample_rate, 8, 8)
        return images.mean(axis=2)

    def pitch_probabilities(self, sounds, sample_rate):
        level = np.abs(np.fft.rfft(sounds, 8192, axis=1))
        f0 = 440 * 2 ** ((np.array(PITCHES) - 69) / 12)
        salience = sum(level[:, np.round(k * f0 * 8192 / sample_rate).astype(int)] for k in (1, 2))
        return salience / salience.sum(axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Phases by numpy: librosa's first inverse transform compiles for seconds."""

    def random_phase(notes, seed):
        spectrum = np.fft.rfft(notes.sounds, axis=1)
        turn = np.random.default_rng(seed).uniform(0, 2 * np.pi, spectrum.shape)
        made = np.fft.irfft(spectrum * np.exp(1j * turn), notes.sounds.shape[1], axis=1)
        return notes.with_sounds(made)

    monkeypatch.setattr(divergence, "N_FINAL", 128)
    monkeypatch.setattr(divergence, "N_FINAL_SEEN", 128)
    monkeypatch.setattr(spoiled, "random_phase", random_phase)
    monkeypatch.setattr(
        spoiled, "averaged_over_time", lambda notes: notes.with_sounds(notes.sounds[::-1])
    )


def toy_set(title: str, n: int, seed: int, labelled: bool = True) -> SoundSet:
    notes = draw_notes(n, seed)
    pitches = notes.pitches.astype(float) if labelled else np.full(n, np.nan)
    names = tuple(f"{title}{i}" for i in range(n))
    return SoundSet(title, names, notes.sounds, pitches, SAMPLE_RATE)


@pytest.mark.slow
def test_every_metric_has_every_column_and_its_error(tmp_path):
    real, made = toy_set("real", 240, 0), toy_set("made", 100, 1)
    options = {
        "metrics": ["is", "fid", "kid", "nnd", "copies"],
        "judge": MeanJudge(),
        "budget": Budget(16, 4, 8),
        "n_seeds": 2,
        "cache": ResultCache(tmp_path / "cache"),
    }
    seen = []
    report = evaluate_sets(made, real, progress=lambda *step: seen.append(step), **options)
    assert seen[-1] == (30, 30)
    for row, of in report.rows.items():
        assert tuple(of) == COLUMNS, row
        assert all(e.n == 100 and e.standard_error >= 0 for e in of.values()), row
    fid, copied = report.rows["fid"], report.rows["copies (0.05 by chance)"]
    assert fid["generated"].value < fid["wrong pitch"].value
    assert fid["held-out real"].value < fid["random phase"].value
    assert copied["memorised"].value > 0.95 and copied["generated"].value < 0.3
    assert set(report.curves["memorised"]) == {1, 4, 16}
    assert any(line.startswith("Copies: no alarm") for line in report.remarks)

    n_calls, n_measured = MeanJudge.n_calls, options["cache"].n_hits
    again = evaluate_sets(made, real, **options)
    assert again.table() == report.table() and options["cache"].n_hits == n_measured + 30
    assert MeanJudge.n_calls <= n_calls + 2  # to learn the number of features

    pytest.importorskip("matplotlib")
    report.pairs = report.pairs[:1]
    report.write(tmp_path / "report")
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    evidence = MeanJudge.evidence
    assert content["judge"] == {"name": "mean", "hash": "0", "evidence": evidence}
    assert evidence in (tmp_path / "report" / "report.html").read_text() and content["n"] == 100
    assert set(content["metrics"]["fid"]) == set(COLUMNS)
    assert content["nnd_curve"]["generated"]["16"]["n"] == 100
    page = (tmp_path / "report" / "report.html").read_text()
    assert "memorised" in page and "hash 0" in page


def test_copies_of_a_given_training_set_ring_the_alarm():
    real, training = toy_set("real", 120, 0), toy_set("train", 100, 2)
    made = training.take(np.arange(60))
    report = evaluate_sets(made, real, training=training, metrics=["copies"], judge=MeanJudge())
    assert "ALARM" in report.remarks[0] and report.pairs[0][0].count("train") == 2
    fresh = evaluate_sets(
        toy_set("made", 60, 3), real, training=training, metrics=["copies"], judge=MeanJudge()
    )
    assert "no alarm" in fresh.remarks[0]


@pytest.mark.slow
def test_too_few_sounds_are_refused_with_the_number():
    judge = MeanJudge()
    for made, real, metric, message in (
        (39, 200, "kid", "39 sounds in made and 200 in real are too few: 40 generated and 80 real"),
        (200, 79, "kid", "79 in real are too few"),
        (
            99,
            200,
            "nnd",
            "99 notes of each kind .* nnd, which needs 100 or more: give 100 .* 200 real",
        ),
        (249, 600, "ndb", "needs 250 or more: give 250 generated and 500 real"),
        (59, 200, "c2st", "needs 60 or more: give 60 generated and 120 real"),
        (60, 80, "copies", "calibrate copies, which needs 40: give 160 real sounds, or 80 and"),
        (60, 200, "nothing", "metrics='nothing' must be one of pitch, is"),
    ):
        with pytest.raises(ParameterError, match=message):
            evaluate_sets(
                toy_set("made", made, 1), toy_set("real", real, 0), metrics=[metric], judge=judge
            )


def test_unlabelled_sounds_are_refused_only_for_what_needs_pitches():
    real, made = toy_set("real", 120, 0), toy_set("made", 60, 1, labelled=False)
    for metric in ("pitch", "c2st"):
        with pytest.raises(
            ParameterError, match=rf"60 of 60 sounds have no pitch .*{metric} needs"
        ):
            evaluate_sets(made, real, metrics=[metric], judge=MeanJudge())
    report = evaluate_sets(made, real, metrics=["kid"], judge=MeanJudge())
    assert list(report.rows) == ["kid"]


def test_metrics_that_the_sounds_do_not_allow_are_left_out_by_default(monkeypatch):
    monkeypatch.setattr(set_report, "METRICS", ("kid", "ndb", "c2st"))
    made = toy_set("made", 60, 1, labelled=False)
    report = evaluate_sets(made, toy_set("real", 120, 0), judge=MeanJudge())
    assert list(report.rows) == ["kid"]
    assert [line.partition(" was left out")[0] for line in report.remarks] == ["ndb", "c2st"]


def test_sample_rates_must_be_equal():
    made = toy_set("made", 60, 1)
    other = SoundSet("other", made.names, made.sounds, made.pitches, 16000)
    with pytest.raises(ParameterError, match=r"made has 8000 Hz and other 16000 Hz.*resample"):
        evaluate_sets(made, other, judge=MeanJudge())


def test_notes_are_matched_by_key():
    first, second = np.array([60.0, 60, 61, 64, 64]), np.array([64.2, 60, 60, 60, 62])
    a, b = matched_keys(first, second, 0)
    assert sorted(first[a].tolist()) == [60, 60, 64]
    assert np.round(second[b]).tolist() == first[a].tolist()
    assert len(set(a)) == len(set(b)) == 3


def test_a_damaged_or_closed_cache_only_costs_time(tmp_path):
    cache = ResultCache(tmp_path)
    assert cache.get({"a": 1}, lambda: {"x": 1.5}) == {"x": 1.5}
    assert cache.get({"a": 1}, lambda: 0) == {"x": 1.5}
    assert cache.get({"a": 2}, lambda: 7) == 7
    for path in tmp_path.iterdir():
        path.write_text("{")
    assert cache.get({"a": 1}, lambda: 3) == 3
    (tmp_path / "file").write_text("")
    assert ResultCache(tmp_path / "file").get({}, lambda: 4) == 4
