"""Flat, two-tier and three-tier networks on one folder of recordings or notes, in equal CPU time.

    python docs/studies/samplernn_tiers.py FOLDER --seconds 180
    python docs/studies/samplernn_tiers.py FOLDER --preset speech-sketch [--held-out 0.05]

print held-out bits a sample of each, beside those of counting (Mehri et al., ICLR 2017, table 1).
*Equation 2* is the paper's flat RNN; the *flat* one here is a tier of one sample, whose output
layers hear the last sample too.

With a preset it's a flat network alone, of the preset's width and levels, with as many steps as fit
the time that the preset's --steps would take on this core (those of its card by default). Both are
of the default recipe, so the preset must have been trained by it.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from samplernn_identical import model_of

from audiogen.evaluation.likelihood import bigram_bits, unigram_bits
from audiogen.models.samplernn import SampleRNNConfig
from audiogen.presets import load_preset
from audiogen.training import samplernn
from audiogen.training.excerpts import TrainingData, read_training_data
from audiogen.training.export_samplernn import FINAL_S
from audiogen.training.memory import keep_freed_memory

NETWORKS: dict[str, dict[str, Any]] = {
    "equation 2": {"frame_sizes": (1,), "embedding_size": 0},
    "flat": {"frame_sizes": (1,)},
    "two tiers": {"frame_sizes": (2,)},
    "three tiers": {"frame_sizes": (8, 2)},
}
N_TIMED = 30  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0, help="of CPU time, for each")
    parser.add_argument("--preset", help="that one flat network is set beside")
    parser.add_argument("--steps", type=int, help="of the preset's training")
    parser.add_argument("--flat", choices=("equation 2", "flat"), default="equation 2")
    parser.add_argument("--held-out", type=float, default=0.1, help="share of the files")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    if given.preset is None:
        samplernn.N_EVALUATIONS = 1  # at the end alone
        model = samplernn.Recipe().model
        for name, sizes in NETWORKS.items():
            data = _read(given.folder, replace(model, **sizes), given.held_out)
            steps = int(given.seconds / _seconds_a_step(data))
            print(f"{given.folder.name}: {name}, {_trained(data, steps)}", flush=True)
    else:
        preset = load_preset(given.preset)
        model = model_of(given.preset).config
        seconds = _seconds_a_step(_read(given.folder, model, given.held_out))
        seconds *= given.steps or preset.training.steps
        data = _read(given.folder, replace(model, **NETWORKS[given.flat]), given.held_out)
        steps = int(seconds / _seconds_a_step(data))
        print(f"{given.folder.name}: {seconds:.0f} s of this core for either", flush=True)
        bits = preset.measured["held_out_bits"]
        print(f"{given.preset}, {preset.training.steps} steps: {bits:.3f} bits")
        print(f"{given.flat}, {_trained(data, steps)}", flush=True)
    levels = data.training.levels, data.held_out.levels, model.q_levels
    counted = f"bigram {bigram_bits(*levels):.3f}, unigram {unigram_bits(*levels):.3f}"
    print(f"{given.folder.name}: {counted}")


def _read(folder: Path, model: SampleRNNConfig, held_out: float) -> TrainingData:
    """The same split for every network; notes give the model a conditioning."""
    defaults = samplernn.Recipe()
    return read_training_data(
        folder,
        model,
        sample_rate=defaults.sample_rate,
        excerpt_s=defaults.excerpt_s,
        chunk=defaults.chunk,
        held_out=held_out,
        seed=0,
        astray=defaults.astray,
    )


def _trainer(data: TrainingData, steps: int) -> samplernn.Trainer:
    recipe = samplernn.Recipe(steps=steps, model=data.model)
    return samplernn.Trainer(data.training, data.held_out, recipe)


def _seconds_a_step(data: TrainingData) -> float:
    """CPU time."""
    trial = _trainer(data, 10**6)
    trial.train_step()
    start = time.process_time()
    for _ in range(N_TIMED):
        trial.train_step()
    return (time.process_time() - start) / N_TIMED


def _trained(data: TrainingData, steps: int) -> str:
    """What comes of so many steps, measured as a preset's card is."""
    trainer = _trainer(data, steps)
    while trainer.step < steps:
        trainer.train_step()
    return f"{steps} steps: {trainer.evaluate(FINAL_S, trainer.best_model()):.3f} bits"


if __name__ == "__main__":
    main()
