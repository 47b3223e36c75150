"""Study: a memorised training set wins distances of features and loses the neural divergence.

Generators of parametric notes, whose distribution can be sampled without end, are ranked by FID,
KID and inception score on a pitch classifier, and by the value of critics of several budgets.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.core.atomic_write import written_whole
from audiogen.data.toy_notes import PITCHES, SAMPLE_RATE, ToyNotes, draw_notes
from audiogen.evaluation.metrics import frechet_distance, kernel_distance
from audiogen.evaluation.sets.distances import inception_score
from audiogen.evaluation.sets.divergence import critic_value
from audiogen.evaluation.sets.estimate import Estimate, jackknife, normal_estimate, over_seeds
from audiogen.evaluation.sets.images import log_mel_images
from audiogen.evaluation.sets.judge import train_judge
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts

IMAGES, SCORES, RUNS = "images.npz", "scores.json", "runs.jsonl"
SCORE_NAMES = ("fid", "kid", "is")
FRESH, FITTED = "true distribution, fresh", "fitted Gaussians"
GENERATOR = "generator with two faults"
BLUR = 0.04  # of the generator
N_COMPONENTS = 40  # of each fitted Gaussian


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    n_train, n_real, n_held_out : int
        Numbers of notes: training set of the generators and the judge, real notes that train the
        critic, and held-out real notes on which the critic is evaluated.
    memorised : tuple of int
        Sizes of memorised sets; ``rival`` is the one that FID is made to prefer to the generator.
    budgets : tuple of int
        Steps of critics.
    last_rows : tuple of int
        Memorised sets that get the largest budget, beside the fresh notes and the generator.
    """

    n_train: int
    n_real: int
    n_held_out: int
    judge_steps: int
    memorised: tuple[int, ...]
    rival: int
    budgets: tuple[int, ...]
    last_rows: tuple[int, ...]
    n_seeds: int
    width: int
    is_evidence: bool = True  # whether it is large enough for the claims


SIZES = {
    "smoke": Size(240, 60, 60, 10, (4,), 4, (4, 16), (4,), 2, 8, False),
    "full": Size(
        2048,
        2048,
        2048,
        400,
        (64, 256, 512, 1024),
        256,
        (250, 1000, 4000, 16000),
        (256, 1024),
        3,
        16,
    ),
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
    sizes = SIZES[size]
    if not (folder / SCORES).exists():
        _prepare(sizes, folder, seed)
    scores = json.loads((folder / SCORES).read_text())
    parts: list[Part] = [
        {"row": row, "steps": steps, "seed": number} for row, steps, number in _runs(sizes)
    ]
    lines = run_parts(
        folder / RUNS,
        parts,
        partial(_value, folder, sizes.width),
        jobs=jobs,
        minutes=minutes,
        progress=progress,
    )
    values = {(r["row"], r["steps"], r["seed"]): (r["value"], r["seen"]) for r in lines}
    return _result(sizes, scores, values, len(parts))


Key = tuple[str, int, int]  # row, steps, seed of the critic


def memorised_name(n: int) -> str:
    """Return the name of the row of a memorised set."""
    return f"memorised {n}"


def _runs(sizes: Size) -> Iterator[Key]:
    """All critics, those that the claim needs first."""
    first = [GENERATOR, memorised_name(sizes.rival), FRESH]
    rest = [FITTED, *(memorised_name(n) for n in sizes.memorised if n != sizes.rival)]
    last = {*first, *map(memorised_name, sizes.last_rows)}
    for budgets in (sizes.budgets[:-1][:2], sizes.budgets[:-1][2:]):
        for rows in (first, rest):
            for steps in budgets:
                yield from itertools.product(rows, [steps], range(sizes.n_seeds))
    for row in (*first, *rest):
        if row in last:
            yield from itertools.product([row], sizes.budgets[-1:], range(sizes.n_seeds))


def _prepare(sizes: Size, folder: Path, seed: int) -> None:
    """Draw the notes, train the judge, and score all rows by it."""
    n_memorised = max(sizes.memorised)
    counts = {
        "train": max(sizes.n_train, n_memorised),
        "real": sizes.n_real,
        "held_out": sizes.n_held_out,
        "fresh": sizes.n_real,  # a generator's samples for the critic, and for its value
        "fresh_held_out": sizes.n_held_out,
    }
    notes = {part: draw_notes(n, seed * 100 + i) for i, (part, n) in enumerate(counts.items())}
    images = {part: log_mel_images(drawn.sounds, SAMPLE_RATE) for part, drawn in notes.items()}
    train = notes["train"]
    judge = train_judge(
        train.sounds, train.pitches, SAMPLE_RATE, n_steps=sizes.judge_steps, seed=seed
    )
    random = np.random.default_rng(seed)
    cells = train.pitches * 2 + train.families
    fitted = _fitted(images["train"], cells, sizes.n_real + sizes.n_held_out, random)
    images["fitted"], images["fitted_held_out"] = np.split(fitted, [sizes.n_real])

    n, reference = sizes.n_held_out, judge.embed_images(images["held_out"])

    def score(x: np.ndarray) -> dict[str, Any]:
        features, classes = judge.embed_images(x), judge.class_probabilities(x)
        return {
            "fid": jackknife(frechet_distance, reference, features).content(),
            "kid": jackknife(kernel_distance, reference, features).content(),
            "is": jackknife(inception_score, classes).content(),
        }

    rows = {
        memorised_name(size): score(images["train"][random.choice(size, n)])
        for size in sizes.memorised
    }
    rows[FRESH] = score(images["fresh_held_out"])
    rows[FITTED] = score(images["fitted_held_out"])
    wanted = rows[memorised_name(sizes.rival)]["fid"]["value"]
    share = 0.0
    for share in np.arange(0.1, 1.001, 0.05):
        features = judge.embed_images(_slighted(notes, images, "fresh_held_out", share))
        if frechet_distance(reference, features) > wanted:
            break
    for part in ("fresh", "fresh_held_out"):
        images[part.replace("fresh", "faulty")] = _slighted(notes, images, part, share)
    rows[GENERATOR] = score(images["faulty_held_out"])
    with written_whole(folder / IMAGES) as draft:
        arrays: dict[str, Any] = {part: x.astype(np.float32) for part, x in images.items()}
        np.savez(draft, **arrays)
    card = {"judge": judge.name, "judge_hash": judge.hash, "slighted": float(share), "n": n}
    with written_whole(folder / SCORES) as draft:
        draft.write_text(json.dumps({**card, "rows": rows}, indent=1))


def _slighted(
    notes: dict[str, ToyNotes], images: dict[str, np.ndarray], part: str, share: float
) -> np.ndarray:
    """Fresh images with two faults: a slight blur, and a share of the lowest pitch is omitted."""
    lowest = np.flatnonzero(notes[part].pitches == PITCHES[0])
    omitted = lowest[: round(share * len(lowest))]
    return mixed_with_neighbours(np.delete(images[part], omitted, axis=0), BLUR)


def mixed_with_neighbours(images: np.ndarray, share: float) -> np.ndarray:
    """Return images [n, height, width] mixed with a share of their means over 3 x 3 pixels."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return ((1 - share) * images + share * windows.mean(axis=(-2, -1))).astype(np.float32)


def _fitted(
    images: np.ndarray, cells: np.ndarray, n: int, random: np.random.Generator
) -> np.ndarray:
    """Draw from a Gaussian fitted to the images of each pitch and family, by its components."""
    kinds, counts = np.unique(cells, return_counts=True)
    flat, drawn = images.reshape(len(images), -1), np.empty((n, images[0].size), np.float32)
    chosen = random.choice(kinds, n, p=counts / counts.sum())
    for kind in kinds:
        part, places = flat[cells == kind], np.flatnonzero(chosen == kind)
        mean = part.mean(axis=0)
        _, deviations, axes = np.linalg.svd(
            (part - mean) / np.sqrt(max(1, len(part) - 1)), full_matrices=False
        )
        k = min(N_COMPONENTS, len(deviations))
        latent = random.standard_normal((len(places), k)) * deviations[:k]
        drawn[places] = mean + latent @ axes[:k]
    return np.clip(drawn, -1, 1).reshape(n, *images.shape[1:])


def _value(folder: Path, width: int, part: Mapping[str, Any]) -> dict[str, float]:
    """Value of one critic on held-out images, and on its own."""
    row = part["row"]
    with np.load(folder / IMAGES) as images:
        if row.startswith("memorised"):
            pair = (images["train"][: int(row.split()[1])],) * 2
        else:
            name = {FRESH: "fresh", GENERATOR: "faulty", FITTED: "fitted"}[row]
            pair = (images[name], images[f"{name}_held_out"])
        real = images["real"], images["held_out"]
    value, seen = critic_value(*real, *pair, steps=part["steps"], width=width, seed=part["seed"])
    return {"value": value, "seen": seen}


def _result(
    sizes: Size, scores: dict[str, Any], values: dict[Key, tuple[float, float]], n_runs: int
) -> StudyResult:
    memorised = [memorised_name(n) for n in sizes.memorised]
    rows = [FRESH, GENERATOR, FITTED, *memorised]
    divergence = {}
    for row in rows:
        for steps in sizes.budgets:
            keys = [(row, steps, number) for number in range(sizes.n_seeds)]
            if all(key in values for key in keys):
                divergence[row, steps] = over_seeds([values[key][0] for key in keys], scores["n"])
    budgets = [steps for steps in sizes.budgets if (GENERATOR, steps) in divergence]
    table: list[Any] = [("", "FID", "KID", "IS", *(f"NND, {steps} steps" for steps in budgets))]
    for row in rows:
        numbers = scores["rows"][row]
        cells = [_text(numbers[name]) for name in SCORE_NAMES]
        table.append((row, *cells, *(str(divergence.get((row, steps), "-")) for steps in budgets)))
    cheats: list[Any] = [("metric", "smallest memorised set that beats the generator")]
    for name, sign in (("fid", 1), ("kid", 1), ("is", -1)):
        of = {row: sign * scores["rows"][row][name]["value"] for row in rows}
        cheats.append((name.upper(), _smallest(of, sizes.memorised)))
    for steps in budgets:
        of = {row: divergence[row, steps].value for row in rows if (row, steps) in divergence}
        cheats.append((f"NND, {steps} steps", _smallest(of, sizes.memorised)))
    missing = f"{n_runs - len(values)} of {n_runs} critics" if len(values) < n_runs else ""
    tables = [
        Table(
            f"{scores['n']} notes a row; the generator omits {scores['slighted']:.0%} of the notes"
            " of one pitch",
            table,
        ),
        Table("Size of a memorised set that wins", cheats),
    ]
    numbers = {
        **scores,
        "nnd": {f"{row}, {steps} steps": e.content() for (row, steps), e in divergence.items()},
        "critics": [[*key, *pair] for key, pair in values.items()],
    }
    return StudyResult(tables, numbers, _checks(sizes, scores, divergence), missing)


def _checks(
    sizes: Size, scores: dict[str, Any], divergence: dict[tuple[str, int], Estimate]
) -> dict[str, bool]:
    """The claims, at the largest budget that has been run for both sides of each."""
    rival = memorised_name(sizes.rival)
    of = {
        name: {row: s[name]["value"] for row, s in scores["rows"].items()} for name in SCORE_NAMES
    }
    checks: dict[str, bool] = {}
    if not sizes.is_evidence:
        return checks
    for name, better in zip(SCORE_NAMES, (np.less, np.less, np.greater), strict=True):
        checks[f"{name.upper()} prefers {rival} to the generator"] = bool(
            better(of[name][rival], of[name][GENERATOR])
        )

    def above(first: str, second: str) -> None:
        both = [s for s in sizes.budgets if {(first, s), (second, s)} <= set(divergence)]
        if both:
            low, high = (divergence[row, both[-1]] for row in (second, first))
            error = float(np.hypot(low.standard_error, high.standard_error))
            gap = (high.value - low.value) / max(error, 1e-12)
            claim = f"NND at {both[-1]} steps ranks {first} behind {second} by 2 standard errors"
            checks[f"{claim} or more ({gap:.1f})"] = gap >= 2

    above(rival, FRESH)
    above(rival, GENERATOR)
    return checks


def _smallest(scores: dict[str, float], memorised: tuple[int, ...]) -> str:
    """Smallest memorised set with a lower score than the generator's, of those with a score."""
    measured = [n for n in memorised if memorised_name(n) in scores]
    winners = [n for n in measured if scores[memorised_name(n)] < scores[GENERATOR]]
    return str(min(winners)) if winners else f"none of {', '.join(map(str, measured))}"


def _text(content: dict[str, Any]) -> str:
    return str(normal_estimate(content["value"], content["standard_error"], content["n"]))
