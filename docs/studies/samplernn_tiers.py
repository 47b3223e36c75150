"""Flat, two-tier and three-tier networks on one folder of recordings or notes, in equal CPU time.

    python docs/studies/samplernn_tiers.py FOLDER [SECONDS]

prints held-out bits a sample of each, beside those of counting (Mehri et al., ICLR 2017, table 1).
"""

import sys
import time
from pathlib import Path

import torch

from audiogen.evaluation.likelihood import bigram_bits, unigram_bits
from audiogen.models.samplernn import SampleRNNConfig
from audiogen.training import samplernn
from audiogen.training.excerpts import read_training_data
from audiogen.training.memory import keep_freed_memory

MODELS = {"flat": (1,), "two tiers": (16,), "three tiers": (16, 4)}
N_TIMED = 8  # steps


def main(folder: Path, seconds: float) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    samplernn.N_EVALUATIONS = 1  # at the end alone
    for name, frame_sizes in MODELS.items():
        model = SampleRNNConfig(frame_sizes, 256, embedding_size=64, quantisation="mu_law")
        defaults = samplernn.Recipe()
        data = read_training_data(
            folder,
            model,
            sample_rate=defaults.sample_rate,
            excerpt_s=defaults.excerpt_s,
            chunk=defaults.chunk,
            held_out=0.1,
            seed=0,
            astray=0.0,
        )
        recipe = samplernn.Recipe(steps=10**6, model=data.model)  # notes have a conditioning
        trial = samplernn.Trainer(data.training, data.held_out, recipe)
        trial.train_step()
        start = time.process_time()
        for _ in range(N_TIMED):
            trial.train_step()
        steps = int(seconds * N_TIMED / (time.process_time() - start))
        recipe = samplernn.Recipe(steps=steps, model=data.model)
        trainer = samplernn.Trainer(data.training, data.held_out, recipe)
        while trainer.step < steps - 1:
            trainer.train_step()
        bits = trainer.train_step()["held_out_bits"]
        print(f"{folder.name}: {name}, {steps} steps: {bits:.3f} bits", flush=True)
    levels = data.training.levels, data.held_out.levels, model.q_levels
    print(f"{folder.name}: bigram {bigram_bits(*levels):.3f}, unigram {unigram_bits(*levels):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 300.0)
