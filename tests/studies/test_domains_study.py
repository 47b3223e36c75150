"""The study of domains: resuming, its tables, its claims, and its need of sound banks."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")

from audiogen.errors import ParameterError
from audiogen.studies import domains, run_study
from audiogen.studies.domains import Size


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(domains.SIZES, "smoke", Size(("erm",), 1, 1, 2, 0, 2, 1))


def test_a_stopped_study_resumes_with_all_rules_in_one_report(tiny, tmp_path, monkeypatch):
    stopped = run_study("domains", "smoke", tmp_path, minutes=0.0)
    assert stopped.missing == "6 of 6 runs of the sweep and 9 of 9 judges of one bank and several"
    trained, work = [], domains.judge_bank

    def spied(folder, part):
        trained.append((part["test"], part["banks"]))
        return work(folder, part)

    names = ("bright", "dark", "plain")
    lines = [
        {**part, "accuracies": [0.5, 0.25]}
        for part in domains._bank_parts(domains.SIZES["smoke"], names)[:7]
    ]
    (tmp_path / domains.BANKS).write_text("\n".join(map(json.dumps, lines)) + "\n")
    monkeypatch.setattr(domains, "judge_bank", spied)
    result = run_study("domains", "smoke", tmp_path)
    assert trained == [("plain", "bright"), ("plain", "dark")]
    assert not result.missing
    text = (tmp_path / "report.md").read_text()
    for rule in ("training domains", "leave one domain out", "oracle"):
        assert f"family, selected by {rule}" in text
    assert "| family | bright | - | 50.0 |" in text
    assert "| family | all others | 50.0 | 50.0 |" in text


def scores(one, several):
    names = ("a", "b", "c")
    return [
        {**part, "accuracies": (several if "," in part["banks"] else one, 0.9)}
        for part in domains._bank_parts(Size(("erm",), 1, 1, 1, 1, 1, 2), names)
    ]


def test_one_bank_is_compared_with_all_others_over_whole_trials():
    made = scores(0.2, 0.5)
    assert len(made) == 2 * 9
    of = domains._by_number(made, ("a", "b", "c"))
    assert of["family", "one bank"] == pytest.approx([0.2, 0.2])
    assert of["family", "several"] == pytest.approx([0.5, 0.5])
    assert ("family", "several") not in domains._by_number(made[:6], ("a", "b", "c"))
    rows = domains._bank_rows(made, ("a", "b", "c"))
    assert rows[1][:4] == ("family", "a", "-", "20.0 ±0.0")
    assert rows[4][-1] == "50.0 ±0.0"


@pytest.mark.parametrize(("gain", "holds"), [(0.12, True), (0.05, False)])
def test_the_claim_on_banks_has_a_threshold(gain, holds):
    of = domains._by_number(scores(0.3, 0.3 + gain), ("a", "b", "c"))
    checks = domains._checks(domains.SIZES["full"], [], of)
    assert list(checks.values()) == [holds] and f"({100 * gain:.1f})" in next(iter(checks))


def test_all_judges_of_a_bank_receive_as_many_notes(monkeypatch, tmp_path):
    run_folder = tmp_path / "domains"
    domains._prepare(domains.SIZES["smoke"], run_folder, 0)
    batches = []

    def spied(algorithm, notes, values, n_steps, seed):
        batches.append(len(notes) * values["batch"])
        raise ParameterError("enough")

    monkeypatch.setattr(domains, "train", spied)
    for banks in ("bright", "bright,dark"):
        part = {"banks": banks, "test": "plain", "trial": 0, "n_steps": 1}
        with pytest.raises(ParameterError, match=r"enough"):
            domains.judge_bank(run_folder, part)
    assert batches == [96, 96]


def test_missing_banks_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(domains, "installed_banks", lambda: {"fluid": tmp_path})
    with pytest.raises(ParameterError, match=r"1 of the sound banks .* apt install fluid-sound"):
        run_study("domains", "full", tmp_path / "x")
