"""Flat, two-tier and three-tier networks on one folder of recordings or notes, in equal CPU time.

    python docs/studies/samplernn_tiers.py FOLDER --seconds 200
    python docs/studies/samplernn_tiers.py FOLDER --seconds 2290 --networks "equation 2" flat
    python docs/studies/samplernn_tiers.py NOTES --seconds 3342 --levels 65536

print held-out bits a sample of each, beside those of counting (Mehri et al., ICLR 2017, table 1).
*Equation 2* is the paper's flat RNN; the *flat* one here is a tier of one sample, whose output
layers hear the last sample too. All are of the default recipe but for the options given, and the
seconds are those that steps take: the looks at held-out sound aren't counted.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from audiogen.data.notes.nsynth import is_note_set
from audiogen.evaluation.likelihood import bigram_bits, unigram_bits
from audiogen.training.run.memory import keep_freed_memory
from audiogen.training.samplernn import trainer as samplernn
from audiogen.training.samplernn.export import FINAL_S
from audiogen.training.samplernn.recipe import SampleRNNRecipe, default_recipe
from audiogen.training.samplernn.training_data import read_training_data

NETWORKS: dict[str, dict[str, Any]] = {
    "equation 2": {"frame_sizes": (1,), "embedding_size": 0},
    "flat": {"frame_sizes": (1,)},
    "two tiers": {"frame_sizes": (2,)},
    "three tiers": {"frame_sizes": (8, 2)},
    "16 and 4": {"frame_sizes": (16, 4)},
}
USUAL = list(NETWORKS)[:4]
N_TIMED = 30  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=200.0, help="of CPU time, for each")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=USUAL)
    parser.add_argument("--levels", type=int, default=256, help="or 65536")
    parser.add_argument("--held-out", type=float, default=0.05, help="share of the files")
    parser.add_argument("--augmentation", type=float, default=0.0)
    parser.add_argument("--astray", type=float, help="by default 0, of notes 0.25")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    samplernn.N_EVALUATIONS = 1  # at the end alone
    recipe = default_recipe(is_note_set(given.folder))
    recipe = replace(
        recipe,
        held_out=given.held_out,
        augmentation=given.augmentation,
        input_noise=recipe.input_noise if given.astray is None else given.astray,
        model=replace(recipe.model, q_levels=given.levels),
    )
    for name in given.networks:
        study = Study(given.folder, recipe, NETWORKS[name])
        steps = max(1, int(given.seconds / study.seconds_a_step()))
        print(f"{given.folder.name}: {name}, {study.trained(steps)}", flush=True)
    levels = study.data.training.levels, study.data.held_out.levels, given.levels
    counted = f"bigram {bigram_bits(*levels):.3f}, unigram {unigram_bits(*levels):.3f}"
    print(f"{given.folder.name}: {counted}")


class Study:
    """One network on the same split as all; notes give it a conditioning."""

    def __init__(self, folder: Path, recipe: SampleRNNRecipe, sizes: dict[str, Any]):
        recipe = replace(recipe, model=replace(recipe.model, **sizes))
        self.data = read_training_data(folder, recipe)
        self.recipe = replace(recipe, model=self.data.model)

    def trainer(self, steps: int) -> samplernn.SampleRNNTrainer:
        recipe = replace(self.recipe, steps=steps)
        return samplernn.SampleRNNTrainer(self.data.training, self.data.held_out, recipe)

    def seconds_a_step(self) -> float:
        """CPU time."""
        trial = self.trainer(10**6)
        trial.train_step()
        start = time.process_time()
        for _ in range(N_TIMED):
            trial.train_step()
        return (time.process_time() - start) / N_TIMED

    def trained(self, steps: int) -> str:
        """What comes of so many steps, measured as a preset's card is."""
        trainer = self.trainer(steps)
        while trainer.step < steps:
            trainer.train_step()
        return f"{steps} steps: {trainer.evaluate(FINAL_S, trainer.best_model()):.3f} bits"


if __name__ == "__main__":
    main()
