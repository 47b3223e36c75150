"""The study of coloured notes: its data, both selection rules, the linear chain, resuming."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from audiogen.data.toy_notes import draw_notes, recording_chain
from audiogen.studies import coloured_notes, run_study
from audiogen.studies.coloured_notes import RULES, Size, choose, linear_irm


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(
        coloured_notes.SIZES, "smoke", Size(120, 40, 5, 1, 1, 20, 1, is_evidence=False)
    )


def test_the_chain_tilts_the_spectrum():
    sounds = draw_notes(4, 0).sounds
    chained = recording_chain(sounds, np.array([True, False, True, False]))
    ratio = np.abs(np.fft.rfft(chained, axis=1)) / np.abs(np.fft.rfft(sounds, axis=1)).clip(1e-9)
    high, low = np.median(ratio[:, 1500:], axis=1), np.median(ratio[:, 20:300], axis=1)
    assert (high[::2] > 2 * low[::2]).all() and (high[1::2] < 0.85 * low[1::2]).all()
    assert np.abs(chained).max(axis=1) == pytest.approx(0.9)


@pytest.mark.slow
def test_labels_are_noisy_and_the_chain_agrees_by_environment(tmp_path):
    coloured_notes._prepare(Size(600, 10, 1, 1, 1, 1, 1), tmp_path, 0)
    with np.load(tmp_path / coloured_notes.NOTES) as arrays:
        content = dict(arrays)
    for number, (name, disagreement) in enumerate(coloured_notes.ENVIRONMENTS.items()):
        families = draw_notes(600, number).families
        labels = content[f"{name} labels"][:, 0]
        assert np.mean(labels != families) == pytest.approx(0.25, abs=0.06)
        # The bright chain raises the upper bands, whatever the note.
        image = content[f"{name} coloured"] - content[f"{name} plain"]
        tilt = image.reshape(600, 16, 16)[:, 12:].mean(axis=(1, 2))
        bright = tilt > np.median(tilt)
        assert np.mean(bright != labels) == pytest.approx(disagreement, abs=0.12)


def scores(draw, one, two, test):
    accuracies = {"train 1": one, "train 2": two, "test": test}
    return {"draw": draw, "accuracies": accuracies}


def test_each_rule_looks_at_its_own_environments():
    draws = [scores(0, 0.9, 0.8, 0.1), scores(1, 0.7, 0.7, 0.6), scores(2, 0.5, 0.9, 0.9)]
    assert choose(draws, RULES[0])["draw"] == 0
    assert choose(draws, RULES[1])["draw"] == 1  # 0.6 is the largest minimum


def test_linear_irm_leaves_out_the_effect():
    random = np.random.default_rng(0)
    moments = []
    for e in (0.2, 2.0, 5.0):
        x = e * random.standard_normal(5000)
        y = x + e * random.standard_normal(5000)
        f = np.stack([x, y + random.standard_normal(5000)], axis=1)
        moments.append((f.T @ f / 5000, f.T @ y / 5000, float(y @ y) / 5000))
    pooled = np.linalg.solve(sum(m[0] for m in moments), sum(m[1] for m in moments))
    invariant = linear_irm(moments, penalty=1e4, n_steps=1500)
    assert pooled[1] > 0.8
    assert invariant == pytest.approx([1, 0], abs=0.15)
    assert linear_irm(moments, penalty=1e4, n_steps=0) == pytest.approx(pooled)


def test_a_stopped_study_resumes_and_prints_both_rules(tiny, tmp_path, monkeypatch):
    stopped = run_study("coloured-notes", "smoke", tmp_path, minutes=0.0)
    assert stopped.missing == "4 of 4 trainings"
    line = {
        **{"method": "ERM", "draw": 0, "trial": 0},
        "accuracies": {"train 1": 0.8, "train 2": 0.9, "test": 0.125},
        "train_accuracy": 0.95,
    }
    (tmp_path / coloured_notes.RUNS).write_text(json.dumps(line) + "\n")
    trained, work = [], coloured_notes.train_and_measure

    def spied(sizes, folder, part):
        trained.append(part["method"])
        return work(sizes, folder, part)

    monkeypatch.setattr(coloured_notes, "train_and_measure", spied)
    result = run_study("coloured-notes", "smoke", tmp_path)
    assert trained == list(coloured_notes.METHODS[1:]) and not result.missing
    text = (tmp_path / "report.md").read_text()
    for rule in RULES:
        assert f"| ERM | {rule} | 95.0 | 85.0 | 12.5 |" in text
    assert "| chance |" in text and "Linear causal chain" in text
    assert "spurious weights" in text and "unbiased penalty" in text


@pytest.mark.slow
def test_the_smoke_size_supports_its_claims(tmp_path):
    result = run_study("coloured-notes", "smoke", tmp_path)
    assert result.checks and all(result.checks.values()), result.text()
