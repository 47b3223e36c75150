"""Sweeps: what is planned, resumed and recorded; the three rules on records made by hand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch")

from audiogen.batch.pool import run_jobs
from audiogen.errors import FormatError, ParameterError
from audiogen.evaluation.domains import selection
from audiogen.evaluation.domains.banks import read_domains
from audiogen.evaluation.domains.sweep import (
    RUNS,
    Record,
    Run,
    do_run,
    draw_hyperparameters,
    plan,
    read_records,
    sweep,
)

NAMES = ("bright", "dark", "plain")


def test_every_algorithm_holds_out_each_domain_and_each_pair():
    runs = plan("x", NAMES, draws=2, trials=3)
    assert len(runs) == 2 * 3 * 6 * 9 and len({run.key for run in runs}) == len(runs)
    assert {run.test for run in runs} == {(n,) for n in NAMES} | {
        ("bright", "dark"), ("bright", "plain"), ("dark", "plain")
    }  # fmt: skip
    with pytest.raises(ParameterError, match=r"'best' must be one of erm, irm"):
        plan("x", NAMES, algorithms=["best"])
    with pytest.raises(ParameterError, match=r"2 domains .* are too few"):
        plan("x", NAMES[:2])
    with pytest.raises(ParameterError, match=r"steps=0 must be 1"):
        plan("x", NAMES, n_steps=0)


def test_hyperparameters_are_defaults_or_drawn_within_the_ranges():
    assert draw_hyperparameters("irm", 0, 5, 5000) == {
        "lr": 1e-3, "batch": 32, "lambda": 100, "anneal": 500
    }  # fmt: skip
    drawn = [draw_hyperparameters("irm", i, 0, 5000) for i in range(1, 200)]
    for name, low, high in (("lambda", -1, 5), ("anneal", 0, 4), ("lr", -3.5, -2.5)):
        powers = np.log10([values[name] for values in drawn])
        assert low <= powers.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < powers.max() <= high
    again = draw_hyperparameters("irm", 7, 0, 500)
    assert again["lambda"] == drawn[6]["lambda"] and again["anneal"] == drawn[6]["anneal"] / 10
    assert draw_hyperparameters("irm", 7, 1, 500) != again


@pytest.mark.slow
def test_a_run_learns_and_measures_held_out_domains(toy_domains):
    record = do_run(Run(str(toy_domains), "erm", ("plain",), 0, 0, 60))
    assert [c["step"] for c in record.checkpoints] == [30, 60]
    last = record.checkpoints[-1]
    assert set(last["aside"]) == set(NAMES) and set(last["test"]) == {"plain"}
    assert last["test"]["plain"][0] > 0.8 and last["aside"]["bright"][0] > 0.8
    again = do_run(Run(str(toy_domains), "erm", ("plain",), 0, 0, 60))
    assert again.checkpoints == record.checkpoints
    assert Record.read(record.line(), str(toy_domains)) == record


@pytest.mark.slow
def test_a_stopped_sweep_is_resumed_in_processes(toy_domains, tmp_path):
    runs = plan(str(toy_domains), NAMES, algorithms=["erm"], draws=1, trials=1, n_steps=2)
    done = sweep(runs[:4], tmp_path)
    assert len(done) == 4
    with (tmp_path / RUNS).open("a") as file:
        file.write('{"run": {"algo')
    assert len(read_records(tmp_path)) == 4
    lines = (tmp_path / RUNS).read_text().splitlines()[:4]
    asked = []

    def recorded(runs, work, failed, *, stop):
        asked.extend(runs)
        return run_jobs(runs, work, failed, workers=2, stop=stop)

    records = sweep(runs, tmp_path, run_jobs=recorded)
    assert asked == runs[4:] and [r.run for r in records] == runs
    assert len((tmp_path / RUNS).read_text().splitlines()) == 6
    assert sweep(runs, tmp_path, minutes=0) == records
    with pytest.raises(ParameterError, match=r"holds a sweep with .*name another folder"):
        sweep(plan(str(toy_domains), NAMES, n_steps=3), tmp_path)
    (tmp_path / RUNS).write_text("nonsense\n" + "\n".join(lines) + "\n")
    with pytest.raises(FormatError, match=r"line 1 isn't a run"):
        read_records(tmp_path)


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_finishes_the_sweep(toy_domains, tmp_path):
    pytest.importorskip("ray", reason="ray isn't installed; pip install ray")
    import os

    runs = plan(str(toy_domains), NAMES, algorithms=["erm"], draws=1, trials=1, n_steps=2)
    mark = tmp_path / "once"
    mark.touch()
    lost = runs[3].key

    def on_cluster(runs, work, failed, *, stop):
        def mortal(run):  # a closure travels by value
            if run.key == lost and mark.exists():
                mark.unlink()
                os._exit(9)
            return work(run)

        return run_jobs(runs, mortal, failed, ray="local", stop=stop)

    records = sweep(runs, tmp_path / "sweep", run_jobs=on_cluster)
    assert [r.run for r in records] == runs and not mark.exists()


def record(algorithm, test, draw, checks, trial=0):
    """A record of two checkpoints; ``checks`` has (aside, test) accuracies of each."""
    return Record(
        Run("", algorithm, tuple(test), draw, trial, 2),
        {},
        [
            {
                "step": i + 1,
                "aside": {name: [value, 0.0] for name, value in zip("abc", aside, strict=True)},
                "test": {name: [value, 0.0] for name, value in zip(test, tested, strict=True)},
            }
            for i, (aside, tested) in enumerate(checks)
        ],
    )


# The held-out domain is a. Training domains (b, c) prefer draw 0, step 1; leaving b or c out
# prefers draw 1, step 2; the oracle prefers draw 2, whose better first checkpoint doesn't count.
BY_HAND = [
    record("erm", "a", 0, [((0.1, 0.9, 0.9), [0.11]), ((0.1, 0.8, 0.9), [0.12])]),
    record("erm", "a", 1, [((0.2, 0.8, 0.8), [0.21]), ((0.2, 0.8, 0.8), [0.22])]),
    record("erm", "a", 2, [((0.9, 0.1, 0.1), [0.31]), ((0.5, 0.1, 0.1), [0.32])]),
    record("erm", "ab", 0, [((0, 0, 0), [0, 0.3]), ((0, 0, 0), [0, 0.3])]),
    record("erm", "ac", 0, [((0, 0, 0), [0, 0.3]), ((0, 0, 0), [0, 0.3])]),
    record("erm", "ab", 1, [((0, 0, 0), [0, 0.2]), ((0, 0, 0), [0, 0.5])]),
    record("erm", "ac", 1, [((0, 0, 0), [0, 0.2]), ((0, 0, 0), [0, 0.4])]),
]


def test_the_three_rules_choose_by_their_own_numbers():
    chosen = {
        rule: selection.choose(BY_HAND, rule, "erm", "a", 0, "family") for rule in selection.RULES
    }
    assert chosen["training domains"] == (0.9, 0.11, 0, 1)
    assert chosen["leave one domain out"] == (pytest.approx(0.45), 0.22, 1, 2)
    assert chosen["oracle"] == (0.5, 0.32, 2, 2)
    assert selection.choose(BY_HAND[:3], "leave one domain out", "erm", "a", 0, "family") is None
    assert selection.choose(BY_HAND, "oracle", "erm", "b", 0, "family") is None
    with pytest.raises(ParameterError, match=r"rule='luck' must be one of training domains"):
        selection.choose(BY_HAND, "luck", "erm", "a", 0, "family")


def test_errors_are_over_trials_and_tables_have_all_three_rules():
    records = [
        record("erm", d, 0, [((0.5,) * 3, [0.2 + 0.2 * trial + 0.1 * i])] * 2, trial)
        for i, d in enumerate("abc")
        for trial in (0, 1)
    ]
    of = selection.accuracies(records, "oracle", "erm")
    assert of["a"].value == pytest.approx(0.3) and of["a"].standard_error == pytest.approx(0.1)
    assert of["mean"].value == pytest.approx(0.4)
    tables = selection.rule_tables(records)
    assert [title.split(" by ")[1] for title, _ in tables] == list(selection.RULES)
    assert tables[0][1][1] == ("erm", "30.0 ±10.0", "40.0 ±10.0", "50.0 ±10.0", "40.0 ±10.0")
    assert tables[1][1][1] == ("erm", "-", "-", "-", "-")
    with pytest.raises(ParameterError, match=r"there are no runs yet"):
        selection.rule_tables([])


def test_a_judge_is_selected_by_held_out_domains_with_and_without_one_of_them():
    def one(algorithm, test, values):
        return record(algorithm, test, 0, [((0,) * 3, values)] * 2)

    records = [one("erm", d, [0.5]) for d in "abc"]
    records += [one("irm", d, [v]) for d, v in zip("abc", (0.9, 0.4, 0.4), strict=True)]
    records += [one("erm", pair, [0.5, 0.5]) for pair in ("ab", "ac", "bc")]
    # Without a, irm is poor on b and c; without b, it is good on a.
    records += [one("irm", pair, v) for pair, v in (("ab", (0.9, 0.1)), ("ac", (0.9, 0.1)))]
    records += [one("irm", "bc", (0.3, 0.3))]
    assert selection.select(records) == ("irm", 0)
    assert selection.select(records, without="a") == ("erm", 0)
    assert selection.select(records, without="b") == ("irm", 0)  # (0.9 + 0.3) / 2 beats 0.5
    more = [*records, record("mmd", "a", 0, [((0,) * 3, [1.0])] * 2)]
    assert selection.select(more) == ("irm", 0)  # mmd lacks b and c
    with pytest.raises(ParameterError, match=r"continue audiogen domains sweep"):
        selection.select([one("erm", "ab", [0, 0])])


def test_domains_are_read_with_their_labels(toy_domains, tmp_path):
    domains = read_domains(toy_domains)
    assert [d.name for d in domains] == list(NAMES)
    assert domains[0].images.shape == (100, 84, 16) and domains[0].labels.shape == (100, 2)
    with pytest.raises(FormatError, match=r"give a folder that audiogen domains build wrote"):
        read_domains(tmp_path)
    (tmp_path / "domains.toml").write_bytes((toy_domains / "domains.toml").read_bytes())
    with pytest.raises(FormatError, match=r"bright.safetensors: can't be read"):
        read_domains(tmp_path)


def test_commands_sweep_and_tabulate(toy_domains, tmp_path, capsys):
    from audiogen.cli.main import main

    def call(*words):
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), " ".join((captured.out + captured.err).split())

    words = ("domains", "sweep", toy_domains, "-o", tmp_path / "runs", "--algorithm", "erm")
    status, out = call(*words, "--draws", "1", "--trials", "1", "--steps", "2")
    assert status == 0 and "6 of 6 runs" in out
    status, out = call("domains", "table", tmp_path / "runs", "--label", "pitch")
    assert status == 0
    assert all(f"pitch, selected by {rule}" in out for rule in selection.RULES)
    for words, message in (
        (("table", tmp_path), "has no runs; give the folder"),
        (("table", tmp_path / "runs", "--label", "x"), "must be one of family, pitch"),
        (("sweep", tmp_path, "-o", tmp_path / "y"), "give a folder that audiogen domains build"),
        (("build", "-o", tmp_path / "z", "--bank", "x"), "must be NAME=FILE"),
        (("build", "-o", tmp_path / "z", "--bank", "x=y.sf2"), "1 bank given (x)"),
    ):
        status, out = call("domains", *words)
        assert status == 2 and message in out and "Traceback" not in out, out


def test_jobs_are_those_of_the_batch(toy_domains, tmp_path):
    runs = plan(str(toy_domains), NAMES, algorithms=["erm"], draws=1, trials=1, n_steps=1)
    broken = [Run(str(tmp_path), *run.key, run.n_steps) for run in runs[:1]]
    with pytest.raises(ParameterError, match=r"failed: .*give a folder that audiogen domains"):
        sweep(broken, tmp_path / "out", run_jobs=partial(run_jobs, workers=1))
