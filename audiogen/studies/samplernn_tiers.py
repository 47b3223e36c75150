"""Study: flat, two-tier and three-tier SampleRNNs on one folder of sounds, in equal CPU time.

Held-out bits per sample beside those of unigram and bigram models (Mehri et al., "SampleRNN", ICLR
2017, table 1). *Equation 2* is the paper's flat RNN; *flat* is a tier of one sample, whose output
layers also receive the last sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from audiogen.data.notes.nsynth import is_note_set
from audiogen.errors import ParameterError
from audiogen.evaluation.likelihood import bigram_bits, unigram_bits
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts
from audiogen.studies.sounds import parametric_notes
from audiogen.training.run.memory import keep_freed_memory
from audiogen.training.samplernn.export import FINAL_S
from audiogen.training.samplernn.recipe import SampleRNNRecipe, default_recipe
from audiogen.training.samplernn.trainer import SampleRNNTrainer
from audiogen.training.samplernn.training_data import TrainingData, read_training_data

NOTES, RUNS = "notes", "runs.jsonl"
EQUATION_2, FLAT, COUNTED = "equation 2", "flat", ("bigram", "unigram")
NETWORKS: dict[str, dict[str, Any]] = {
    EQUATION_2: {"frame_sizes": (1,), "embedding_size": 0},
    FLAT: {"frame_sizes": (1,)},
    "two tiers": {"frame_sizes": (2,)},
    "three tiers": {"frame_sizes": (8, 2)},
}


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    cpu_s : float, s
        CPU time of the steps of each training.
    n_timed : int
        Steps that are timed to find how many fit.
    evaluated_s : float, s
        Largest length of the held-out sound.
    model : dict of str to value
        Fields of the network that differ from the default recipe's.
    is_evidence : bool
        Whether the run is large enough for the claims.
    """

    cpu_s: float
    n_timed: int
    evaluated_s: float
    model: dict[str, Any]
    is_evidence: bool


SIZES = {
    "smoke": Size(0.1, 1, 0.3, {"dim": 16, "embedding_size": 8}, False),
    "full": Size(120.0, 30, FINAL_S, {}, True),
}


class TierTrainer(SampleRNNTrainer):
    """The trainer of `audiogen train` without evaluations: all is measured at the end."""

    def evaluate_held_out(self) -> dict[str, float]:
        return {}


def run(
    size: str,
    folder: Path,
    *,
    seed: int,
    jobs: int,
    minutes: float | None,
    progress: Callable[[int, int], None],
    data: Path | None = None,
) -> StudyResult:
    """Run the study; see `audiogen.studies.run_study`."""
    sizes = SIZES[size]
    if data is None:
        if size != "smoke":
            raise ParameterError(
                "data=None must be a folder of recordings or notes for size full: --data FOLDER"
            )
        data = folder / NOTES
        parametric_notes(data, 24, seed)
    parts: list[Part] = [{"network": name} for name in (*COUNTED, *NETWORKS)]
    lines = run_parts(
        folder / RUNS,
        parts,
        partial(_numbers, sizes, data, seed),
        jobs=jobs,
        minutes=minutes,
        progress=progress,
    )
    left = len(parts) - len(lines)
    rows: list[Any] = [("network", "held-out bits per sample", "steps, CPU seconds")]
    for line in lines:
        training = f"{line['steps']}, {line['cpu_s']:.0f}" if "steps" in line else ""
        rows.append((line["network"], f"{line['bits']:.3f}", training))
    table = Table(f"{data.name}: bits per sample", rows)
    missing = f"{left} of {len(parts)} models" if left else ""
    checks = _checks(lines) if sizes.is_evidence else {}
    return StudyResult([table], {"models": lines}, checks, missing)


def _numbers(sizes: Size, folder: Path, seed: int, part: Mapping[str, Any]) -> dict[str, Any]:
    """Train a network, or count levels, and measure on the held-out sound."""
    torch.set_num_threads(1)
    keep_freed_memory()
    recipe = default_recipe(is_note_set(folder))
    recipe = replace(recipe, seed=seed, held_out=0.05, model=replace(recipe.model, **sizes.model))
    if part["network"] in COUNTED:
        data = read_training_data(folder, recipe)
        count = bigram_bits if part["network"] == "bigram" else unigram_bits
        levels = (data.training.levels, data.held_out.levels)
        return {"bits": count(*levels, recipe.model.q_levels)}
    recipe = replace(recipe, model=replace(recipe.model, **NETWORKS[part["network"]]))
    data = read_training_data(folder, recipe)
    recipe = replace(recipe, model=data.model)
    seconds_per_step = _trained(data, recipe, sizes.n_timed + 1)[1] / (sizes.n_timed + 1)
    n_steps = max(1, int(sizes.cpu_s / seconds_per_step))
    trainer, seconds = _trained(data, recipe, n_steps)
    bits = trainer.evaluate(sizes.evaluated_s, trainer.quantised_model())
    return {"bits": bits, "steps": n_steps, "cpu_s": round(seconds, 1)}


def _trained(
    data: TrainingData, recipe: SampleRNNRecipe, n_steps: int
) -> tuple[TierTrainer, float]:
    """Return a trainer after its steps, and their CPU time in seconds."""
    trainer = TierTrainer(data.training, data.held_out, replace(recipe, steps=n_steps))
    start = time.process_time()
    for _ in range(n_steps):
        trainer.train_step()
    return trainer, time.process_time() - start


def _checks(lines: list[dict[str, Any]]) -> dict[str, bool]:
    """The paper's claim on tiers, if all networks are trained."""
    bits = {line["network"]: line["bits"] for line in lines}
    if len(bits) < len(NETWORKS) + len(COUNTED):
        return {}
    tiers = [name for name in NETWORKS if "tiers" in name]
    best, other = min(tiers, key=bits.__getitem__), f"{bits[EQUATION_2]:.3f}"
    return {
        f"tiers have fewer bits than equation 2: {bits[best]:.3f} against {other}": bits[best]
        < bits[EQUATION_2],
        f"tiers have fewer bits than a flat network: {bits[best]:.3f} against {bits[FLAT]:.3f}": (
            bits[best] < bits[FLAT]
        ),
    }
