"""Study: nine algorithms on held-out sound banks by three selection rules; one bank or several.

DomainBed's question (Gulrajani and Lopez-Paz, ICLR 2021) for instrument families, and judges
trained on one bank against judges trained on several, on a bank that none of them was trained on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.batch.pool import run_jobs
from audiogen.core.atomic_write import folder_written_whole, write_whole
from audiogen.data.source_toml import toml_text
from audiogen.data.toy_notes import draw_notes
from audiogen.errors import ParameterError
from audiogen.evaluation.domains.banks import (
    DOMAINS_TOML,
    KNOWN_BANKS,
    PITCHES,
    build_domains,
    installed_banks,
    read_domains,
    read_provenance,
)
from audiogen.evaluation.domains.images import note_images
from audiogen.evaluation.domains.selection import RULES, accuracies, percent, rule_tables
from audiogen.evaluation.domains.sweep import (
    ALGORITHM_NAMES,
    LABELS,
    Notes,
    accuracy,
    draw_hyperparameters,
    plan,
    sweep,
    train,
)
from audiogen.evaluation.sets.estimate import over_seeds
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts

DOMAINS, SWEEP, BANKS = "domains", "sweep", "banks.jsonl"
TOYS = {"bright": -0.8, "dark": 0.8, "plain": 0.0}  # weights of recording chains, smoke only
MIN_GAIN = 0.10  # of the judge of several banks over the judge of one

Line = Mapping[str, Any]  # a part of the run, and its results


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    algorithms : tuple of str
        Algorithms of the sweep.
    draws, trials, n_steps : int
        Hyperparameters, repetitions and steps of the sweep.
    n_keys : int
        Keys per program of a bank; 0 means parametric notes instead of banks.
    bank_steps, bank_trials : int
        Steps and repetitions of the judges of one bank and of several.
    """

    algorithms: tuple[str, ...]
    draws: int
    trials: int
    n_steps: int
    n_keys: int
    bank_steps: int
    bank_trials: int


SIZES = {
    "smoke": Size(("erm", "coral"), 1, 1, 12, 0, 12, 1),
    "full": Size(ALGORITHM_NAMES, 5, 2, 120, 24, 150, 2),
}


def run(
    size: str,
    folder: Path,
    *,
    seed: int,
    jobs: int,
    minutes: float | None,
    progress: Callable[[int, int], None],
) -> StudyResult:
    """Run the study; see `audiogen.studies.run_study`."""
    sizes, end = SIZES[size], time.monotonic() + 60 * (np.inf if minutes is None else minutes)
    domains = (folder / DOMAINS).absolute()
    if not domains.exists():
        _prepare(sizes, domains, seed)
    names = [table["name"] for table in read_provenance(domains)["banks"]]
    runs = plan(
        domains,
        names,
        algorithms=sizes.algorithms,
        draws=sizes.draws,
        trials=sizes.trials,
        n_steps=sizes.n_steps,
    )
    planned = _bank_parts(sizes, names)
    n_all = len(planned) + len(runs)
    lines = run_parts(
        folder / BANKS,
        planned,
        partial(judge_bank, domains),
        jobs=jobs,
        minutes=minutes,
        progress=lambda i, n: progress(i, n_all),
    )
    records = sweep(
        runs,
        folder / SWEEP,
        run_jobs=partial(run_jobs, workers=jobs),
        minutes=max(0.0, end - time.monotonic()) / 60 if minutes is not None else None,
        progress=lambda i, n: progress(len(lines) + i, n_all),
    )
    missing = [
        f"{n - done} of {n} {what}"
        for done, n, what in (
            (len(records), len(runs), "runs of the sweep"),
            (len(lines), len(planned), "judges of one bank and several"),
        )
        if done < n
    ]
    tables = [Table(f"Accuracy in percent: {t}", rows) for t, rows in _sweep_tables(records)]
    of_banks = _by_number(lines, names)
    tables.append(Table("Judges of one bank and of several, by ERM", _bank_rows(lines, names)))
    numbers = {
        "banks": {f"{label}, {kind}": v for (label, kind), v in of_banks.items()},
        "sweep": {
            rule: {
                algorithm: {name: e.content() for name, e in of.items()}
                for algorithm in sizes.algorithms
                if (of := accuracies(records, rule, algorithm))
            }
            for rule in RULES
        },
        "provenance": read_provenance(domains)["banks"],
    }
    checks = _checks(sizes, records, of_banks)
    return StudyResult(tables, numbers, checks, " and ".join(missing))


def _prepare(sizes: Size, folder: Path, seed: int) -> None:
    if sizes.n_keys:
        banks = installed_banks()
        if len(banks) < 3:
            packages = ", ".join(bank.package for bank in KNOWN_BANKS.values())
            raise ParameterError(
                f"{len(banks)} of the sound banks of this study are installed, and it needs 3 or"
                f" more: apt install {packages.replace(',', '')}"
            )
        build_domains(banks, folder, n_keys=sizes.n_keys, seed=seed)
        return
    from safetensors.numpy import save_file

    with folder_written_whole(folder) as draft:
        for number, (name, weight) in enumerate(TOYS.items()):
            notes = draw_notes(120, 100 * seed + number)
            sounds = np.repeat(notes.sounds, 4, axis=1)  # at 16 kHz an octave lower
            sounds[:, 1:] += weight * sounds[:, :-1]
            labels = np.stack([notes.families, notes.pitches - 12 - PITCHES[0]], axis=1)
            tensors = {"images": note_images(sounds), "labels": labels.astype(np.int64)}
            save_file(tensors, draft / f"{name}.safetensors")
        tables = [{"name": name, "licence": "-"} for name in TOYS]
        write_whole(draft / DOMAINS_TOML, toml_text("Toys.", {"format": 1}, "banks", tables))


def _bank_parts(sizes: Size, names: Sequence[str]) -> list[Part]:
    """The judges of each set of banks, tested on a bank that they were not trained on."""
    parts: list[Part] = []
    for trial in range(sizes.bank_trials):
        for test in names:
            others = sorted(set(names) - {test})
            for banks in [",".join(others), *others]:
                parts.append(
                    {"banks": banks, "test": test, "trial": trial, "n_steps": sizes.bank_steps}
                )
    return parts


def judge_bank(folder: Path, part: Mapping[str, Any]) -> dict[str, Any]:
    """Train a judge by ERM, with the same number of notes at each step whatever its banks.

    Parameters
    ----------
    folder : Path
        Folder of the domains.
    part : mapping
        ``banks`` for training, separated by commas; ``test``, the bank for testing; ``trial``, the
        repetition; and ``n_steps``.

    Returns
    -------
    dict
        ``accuracies`` of family and pitch on the bank for testing.
    """
    domains = {domain.name: domain for domain in read_domains(folder)}
    banks, n_steps = part["banks"].split(","), part["n_steps"]
    values = draw_hyperparameters("erm", 0, 0, n_steps)
    values["batch"] = 96 // len(banks)
    notes = [Notes(domains[name].images, domains[name].labels) for name in banks]
    network = train("erm", notes, values, n_steps, part["trial"])
    test = domains[part["test"]]
    return {"accuracies": list(accuracy(network, Notes(test.images, test.labels)))}


def _is_of_one_bank(line: Line) -> bool:
    return "," not in line["banks"]


def _by_number(lines: Sequence[Line], names: Sequence[str]) -> dict[tuple[str, str], list[float]]:
    """Mean accuracies over held-out banks by (label, "one bank" or "several"), one per trial."""
    result: dict[tuple[str, str], list[float]] = {}
    n_needed = {"one bank": len(names) * (len(names) - 1), "several": len(names)}
    for number, label in enumerate(LABELS):
        for kind, n in n_needed.items():
            trials: dict[int, list[float]] = {}
            for line in lines:
                if _is_of_one_bank(line) == (kind == "one bank"):
                    trials.setdefault(line["trial"], []).append(line["accuracies"][number])
            whole = [float(np.mean(values)) for values in trials.values() if len(values) == n]
            if whole:
                result[label, kind] = whole
    return result


def _bank_rows(lines: Sequence[Line], names: Sequence[str]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [
        ("label", "trained on", *(f"tested on {n}" for n in names), "mean")
    ]
    means = _by_number(lines, names)
    for number, label in enumerate(LABELS):
        for trained in [*names, "all others"]:
            cells = []
            for test in names:
                values = [
                    line["accuracies"][number]
                    for line in lines
                    if line["test"] == test
                    and (
                        not _is_of_one_bank(line)
                        if trained == "all others"
                        else line["banks"] == trained
                    )
                ]
                cells.append(percent(over_seeds(values, len(values)) if values else None))
            whole = means.get((label, "several")) if trained == "all others" else None
            rows.append((label, trained, *cells, _mean_text(whole)))
        rows.append(
            (
                label,
                "one bank, mean",
                *["-"] * len(names),
                _mean_text(means.get((label, "one bank"))),
            )
        )
    return rows


def _mean_text(values: Sequence[float] | None) -> str:
    return percent(over_seeds(values, len(values)) if values else None)


def _sweep_tables(records: Sequence[Any]) -> list[tuple[str, list[Sequence[str]]]]:
    return rule_tables(records) if records else []


def _checks(
    sizes: Size, records: Sequence[Any], of_banks: dict[tuple[str, str], list[float]]
) -> dict[str, bool]:
    checks: dict[str, bool] = {}
    pair = [of_banks.get(("family", kind)) for kind in ("one bank", "several")]
    if sizes.n_keys and pair[0] and pair[1]:
        gain = float(np.mean(pair[1]) - np.mean(pair[0]))
        claim = f"a judge of several banks gains {100 * MIN_GAIN:.0f} points or more of family"
        checks[f"{claim} accuracy on an unseen bank ({100 * gain:.1f})"] = gain >= MIN_GAIN
    means = {
        (rule, algorithm): of["mean"]
        for rule in RULES
        for algorithm in sizes.algorithms
        if "mean" in (of := accuracies(records, rule, algorithm))
    }
    erm = means.get((RULES[0], "erm"))
    if sizes.n_keys and erm:
        better = [
            algorithm
            for algorithm in sizes.algorithms
            if (e := means.get((RULES[0], algorithm)))
            and e.value - erm.value
            > 2 * float(np.hypot(*np.nan_to_num([e.standard_error, erm.standard_error])))
        ]
        claim = "no algorithm beats ERM by 2 standard errors, selected by training domains"
        checks[claim + (f" ({', '.join(better)} do)" if better else "")] = not better
        upper = [
            means[RULES[2], a].value >= means[RULES[1], a].value
            for a in sizes.algorithms
            if (RULES[1], a) in means and (RULES[2], a) in means
        ]
        if upper:
            checks["the oracle is at or above leaving one domain out for every algorithm"] = all(
                upper
            )
    return checks
