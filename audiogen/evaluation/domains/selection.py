"""Three rules that select among the runs of a sweep, and tables of accuracies by each rule.

Without a rule an algorithm is incomplete: hyperparameters and stopping time have to be chosen
without the test domain (Gulrajani and Lopez-Paz, ICLR 2021). The third rule, the oracle,
uses that domain, and is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from audiogen.errors import ParameterError
from audiogen.evaluation.domains.sweep import LABELS, Record
from audiogen.evaluation.sets.estimate import Estimate, over_seeds

RULES = ("training domains", "leave one domain out", "oracle")


class Choice(NamedTuple):
    """Choice of a rule among the draws of one algorithm, held-out domain and trial.

    Parameters
    ----------
    score : float
        Score by which the rule chose.
    accuracy : float
        Accuracy on the held-out domain.
    draw, step : int
        Number of the hyperparameters, and step of the checkpoint.
    """

    score: float
    accuracy: float
    draw: int
    step: int


def choose(
    records: Sequence[Record], rule: str, algorithm: str, domain: str, trial: int, label: str
) -> Choice | None:
    """Apply a rule to the runs of one algorithm, held-out domain and trial.

    * training domains: the mean accuracy on the notes set aside from the training domains; any
      checkpoint.
    * leave one domain out: the mean, over the other domains, of the accuracy on a domain in the
      run that held out both it and ``domain``; any checkpoint. The reported accuracy is that of
      the run that held out only ``domain``.
    * oracle: the accuracy on the notes set aside from ``domain`` itself; the last checkpoint
      only, so the domain is used once per draw.

    Parameters
    ----------
    records : sequence of Record
        Runs of a sweep.
    rule : str
        One of `RULES`.
    algorithm, domain : str
        Algorithm and held-out domain.
    trial : int
        Number of the repetition.
    label : "family" or "pitch"
        Label whose accuracies are used.

    Returns
    -------
    Choice or None
        None if runs that the rule needs are missing.
    """
    if rule not in RULES:
        raise ParameterError(f"rule={rule!r} must be one of {', '.join(RULES)}")
    number = LABELS.index(label)
    of = {
        (record.run.test, record.run.draw): record.checkpoints
        for record in records
        if record.run.algorithm == algorithm and record.run.trial == trial
    }
    choices = []
    for (test, draw), checkpoints in of.items():
        if test != (domain,):
            continue
        for i, check in enumerate(checkpoints):
            if rule == "oracle":
                if i < len(checkpoints) - 1:
                    continue
                score = check["aside"][domain][number]
            elif rule == "training domains":
                score = _mean(a[number] for name, a in check["aside"].items() if name != domain)
            else:
                others = sorted(set(check["aside"]) - {domain})
                pairs = [of.get((tuple(sorted((domain, v))), draw)) for v in others]
                if not all(pairs):
                    break
                scores = [
                    pair[i]["test"][other][number]
                    for pair, other in zip(pairs, others, strict=True)
                    if pair
                ]
                score = _mean(scores)
            accuracy = check["test"][domain][number]
            choices.append(Choice(score, accuracy, draw, check["step"]))
    return max(choices, key=lambda choice: choice.score, default=None)


def accuracies(
    records: Sequence[Record], rule: str, algorithm: str, label: str = "family"
) -> dict[str, Estimate]:
    """Return accuracies by held-out domain, and their mean, with standard errors over trials.

    Only trials that have runs of all held-out domains count. If there are none, each domain has the
    accuracy of the trials that it has, without a mean.
    """
    trials = sorted({record.run.trial for record in records})
    domains = sorted({name for record in records for name in record.run.test})
    by_trial: list[dict[str, float]] = []
    for trial in trials:
        of = {name: choose(records, rule, algorithm, name, trial, label) for name in domains}
        by_trial.append({name: choice.accuracy for name, choice in of.items() if choice})
    whole = [of for of in by_trial if len(of) == len(domains)]
    result = {}
    for name in domains:
        values = [of[name] for of in whole or by_trial if name in of]
        if values:
            result[name] = over_seeds(values, len(values))
    if whole:
        result["mean"] = over_seeds([_mean(of.values()) for of in whole], len(whole))
    return result


def rule_tables(
    records: Sequence[Record], label: str = "family"
) -> list[tuple[str, list[Sequence[str]]]]:
    """Return a table for each of the three rules: algorithms by held-out domain, in percent.

    Raises
    ------
    ParameterError
        If there are no records.
    """
    if not records:
        raise ParameterError("there are no runs yet; start with audiogen domains sweep")
    algorithms = list(dict.fromkeys(record.run.algorithm for record in records))
    domains = sorted({name for record in records for name in record.run.test})
    tables = []
    for rule in RULES:
        rows: list[Sequence[str]] = [("algorithm", *domains, "mean")]
        for algorithm in algorithms:
            of = accuracies(records, rule, algorithm, label)
            rows.append((algorithm, *(percent(of.get(name)) for name in (*domains, "mean"))))
        tables.append((f"{label}, selected by {rule}", rows))
    return tables


def select(
    records: Sequence[Record], label: str = "family", without: str | None = None
) -> tuple[str, int]:
    """Return the algorithm and draw with the best mean accuracy on held-out domains.

    The accuracy is that of the last checkpoint, averaged over held-out domains and trials; trials
    that lack a held-out domain don't count.

    Parameters
    ----------
    records : sequence of Record
        Runs of a sweep.
    label : "family" or "pitch"
        Label whose accuracies are used.
    without : str, optional
        Domain to exclude: runs that hold it out together with another domain are compared on the
        other one. A judge that is selected this way can be tested on the excluded domain.

    Raises
    ------
    ParameterError
        If no draw of any algorithm has all domains.
    """
    number = LABELS.index(label)
    chosen = []
    for record in records:
        others = [name for name in record.run.test if name != without]
        if len(others) == 1 and (without is None or without in record.run.test):
            chosen.append((record, others[0]))
    n_needed = len({record.run.test for record, _ in chosen})
    scores: dict[tuple[str, int], dict[int, list[float]]] = {}
    for record, tested in chosen:
        accuracy = record.checkpoints[-1]["test"][tested][number]
        of = scores.setdefault((record.run.algorithm, record.run.draw), {})
        of.setdefault(record.run.trial, []).append(accuracy)
    complete = {
        key: _mean(_mean(values) for values in whole)
        for key, of in scores.items()
        if (whole := [values for values in of.values() if len(values) == n_needed])
    }
    if not complete:
        raise ParameterError(
            "no algorithm has run for all held-out domains; continue audiogen domains sweep"
        )
    return max(complete, key=lambda key: complete[key])


def percent(estimate: Estimate | None) -> str:
    """Return an accuracy in percent with its standard error; - for None."""
    if estimate is None:
        return "-"
    if np.isfinite(estimate.standard_error):
        return f"{100 * estimate.value:.1f} ±{100 * estimate.standard_error:.1f}"
    return f"{100 * estimate.value:.1f}"


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
