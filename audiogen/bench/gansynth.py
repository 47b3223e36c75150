"""Benchmark of GANSynth's training: one step of both networks at full size."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.bench.compare import Job, Race, require_torch, samples_per_second

if TYPE_CHECKING:
    from audiogen.data.notes.nsynth import NoteSet
    from audiogen.training.gansynth.progressive import ProgressiveTrainer

N_NOTES = 32
STEPS_LEFT = 50  # in the last stage, where no held-out notes are evaluated


class Plain:
    """Training step of a plain PyTorch port of GANSynth: float32, channels first.

    It has the same networks, batch, losses and penalty. The gradient of the generator's step also
    goes to the weights of the critic, and the critic's notes keep the graph that made them.

    Parameters
    ----------
    trainer : ProgressiveTrainer
        Trainer whose networks are copied and whose notes are used.
    """

    def __init__(self, trainer: ProgressiveTrainer):
        import torch

        from audiogen.models.gansynth import Critic, Generator

        self._trainer, recipe = trainer, trainer.recipe
        self._generator = Generator(recipe.generator, recipe.spectrogram)
        self._critic = Critic(trainer.critic.config)
        self._optimisers = [
            torch.optim.Adam(network.parameters(), recipe.learning_rate, recipe.betas)
            for network in (self._generator, self._critic)
        ]

    def __call__(self) -> None:
        import torch
        import torch.nn.functional as F

        from audiogen.objectives import adversarial
        from audiogen.representation.spectrogram import waveform_to_spectrogram

        trainer, recipe = self._trainer, self._trainer.recipe
        chance = trainer.draw_step()
        classes = trainer.pitch_classes(chance.pitches[0])
        score, logits = self._judge(self._generate(chance.z[0], chance.pitches[0]))
        pitch_loss = F.cross_entropy(logits, classes)
        loss = adversarial.generator_loss(score) + recipe.fake_pitch_weight * pitch_loss
        self._descend(0, loss)

        waveforms = torch.from_numpy(trainer.notes.waveforms(chance.notes[0]))
        real = waveform_to_spectrogram(waveforms, recipe.spectrogram)
        fake = self._generate(chance.z[1], chance.pitches[1]).detach()
        real_score, logits = self._judge(real)
        fake_score, _ = self._judge(fake)
        penalty = adversarial.gradient_penalty(lambda x: self._judge(x)[0], real, fake)
        real_classes = trainer.pitch_classes(trainer.notes.pitches[chance.notes[0]])
        pitch_loss = F.cross_entropy(logits, real_classes)
        loss = adversarial.critic_loss(real_score, fake_score, recipe.drift)
        loss = loss + recipe.penalty_weight * penalty + recipe.real_pitch_weight * pitch_loss
        self._descend(1, loss)

    def _generate(self, z: np.ndarray, pitches: np.ndarray) -> Any:
        import torch

        from audiogen.representation.spectrogram import denormalise

        image = self._generator(torch.from_numpy(z), torch.from_numpy(pitches))
        return denormalise(image, self._trainer.recipe.spectrogram)

    def _judge(self, spectrogram: Any) -> Any:
        from audiogen.representation.spectrogram import normalise

        return self._critic(normalise(spectrogram, self._trainer.recipe.spectrogram))

    def _descend(self, which: int, loss: Any) -> None:
        self._optimisers[which].zero_grad(set_to_none=True)
        loss.backward()
        self._optimisers[which].step()


def training() -> Iterator[Race]:
    """Yield the races of a training step of the recipes that grow, at full size."""
    torch = require_torch()
    from audiogen.training.gansynth.progressive import ProgressiveTrainer
    from audiogen.training.recipes import read_recipe
    from audiogen.training.run.memory import keep_freed_memory

    keep_freed_memory()  # also the peer's: the race compares arithmetic
    with tempfile.TemporaryDirectory() as folder:
        notes = noise_notes(Path(folder) / "notes")
        for name in ("gansynth-small", "gansynth-paper"):
            recipe = read_recipe(name)
            trainer = ProgressiveTrainer(notes, recipe, "cpu")
            trainer.step = trainer.n_steps - STEPS_LEFT
            torch.manual_seed(0)
            yield Race(
                f"training step, {name}, full-grown, batch {recipe.batch}, bfloat16",
                trainer.train_step,
                Plain(trainer),
                "torch.nn float32",
                remark=samples_per_second(recipe.batch * recipe.spectrogram.n_samples),
                rounds=1,
            )


def noise_notes(folder: Path) -> NoteSet:
    """Write a data set of notes of white noise, 4 s each."""
    from audiogen.data.notes.nsynth import SetWriter, read_notes

    random = np.random.default_rng(0)
    with SetWriter(folder, 16000) as writer:
        for i in range(N_NOTES):
            writer.add(
                0.1 * random.standard_normal(64000),
                instrument="noise_synthetic_000",
                family="synth_lead",
                source="synthetic",
                pitch=50 + i,
                velocity=100,
                qualities=[0] * 10,
            )
    return read_notes(folder)


JOBS = {
    "gansynth_training": Job(
        training, "a training step of GANSynth", 10.0, memory_gb=12.0, by_default=False
    )
}
