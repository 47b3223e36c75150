"""Training a GANSynth generator as published: adversarial from the start, growing block by block.

Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019; Karras et al., "Progressive
Growing of GANs", ICLR 2018. Both networks begin with their coarsest block; each further one is
faded in and then trained for a while. Latents are random, and a pitch classifier beside the
critic's score teaches the generator to play the pitch it is conditioned on. The constants are in
`audiogen.training.recipes`.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen.data.notes.nsynth import NoteSet
from audiogen.models.gansynth import Critic, CriticConfig, Generator, upsample
from audiogen.objectives import adversarial, losses
from audiogen.representation.spectrogram import (
    denormalise,
    normalise,
    spectrogram_to_waveform,
    waveform_to_spectrogram,
)
from audiogen.training.gansynth.critic_overfit import CriticOverfit
from audiogen.training.gansynth.note_batches import NotesOnDisk
from audiogen.training.recipes import ProgressiveRecipe
from audiogen.training.run.processes import Processes
from audiogen.training.run.trainer import CPU, Trainer, n_bytes_of, update_average

N_EVALUATIONS = 60  # evaluations per training; the last resolution has seven
N_BATCHES = 4  # batches of each kind that the critic scores per evaluation
N_SOUNDS = 32  # held-out notes of an evaluation, and generated ones
N_TIMBRES = 16  # timbres of the preset
# Random numbers are drawn from the seed, one of these purposes and a number, so that a resumed
# training needs no state of a generator.
_STEP, _EPOCH, _EVALUATION, _TIMBRES = range(4)
_SAVED = ("generator", "average", "critic", "optimiser", "critic_optimiser")


@dataclass(frozen=True)
class StepDraw:
    """Random numbers of one step.

    Parameters
    ----------
    z : array [1 + critic_steps, batch, latent_size]
        Latents; those of the generator's step come first.
    pitches : array [1 + critic_steps, batch]
        Pitches that the generator is conditioned on.
    notes : array [critic_steps, batch]
        Indices of real notes.
    """

    z: np.ndarray
    pitches: np.ndarray
    notes: np.ndarray


class ProgressiveTrainer(Trainer):
    """The networks, their optimisers, and a step of both at each resolution.

    Parameters
    ----------
    notes : NoteSet
        The notes.
    recipe : ProgressiveRecipe
        The recipe.
    device : torch.device
        The device of the networks.
    processes : Processes, optional
        The processes that share each batch; by default this one alone.
    """

    def __init__(
        self,
        notes: NoteSet,
        recipe: ProgressiveRecipe,
        device: torch.device | str = CPU,
        processes: Processes | None = None,
    ):
        super().__init__(recipe, processes, torch.device(device))
        config, spectrogram = recipe.generator, recipe.spectrogram
        self.notes = NotesOnDisk(notes, config, spectrogram.n_samples)
        training, held_out = self.notes.split(recipe.held_out, recipe.seed)
        self.training = training
        self.held_out = self._random(_EVALUATION, 0).permutation(held_out)
        torch.manual_seed(recipe.seed)
        layout: dict[str, Any] = {"device": self.device, "memory_format": torch.channels_last}
        self.generator = Generator(config, spectrogram).to(**layout)
        self.critic = Critic(
            CriticConfig(config.channels, config.start_shape, n_pitches=config.n_pitches)
        ).to(**layout)
        self.critic.joint = self.processes.mean
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        # The energy distance of sounds, since the critic's scores change with the critic; of the
        # last resolution only, since no other makes a preset.
        self.best: dict[str, Any] = {"energy_db": math.inf, "step": 0}
        self.critic_overfit = CriticOverfit("stop earlier")
        self._begin_stage(0)

    @property
    def n_steps(self) -> int:
        """Number of steps of the whole training."""
        return self.recipe.n_steps

    @property
    def growth(self) -> float:
        """How far the networks have grown, as ``stage`` of their ``forward``."""
        return self.recipe.growth_at(self.recipe.images_at(self.step))

    @property
    def grown(self) -> bool:
        """Whether all blocks are fully faded in."""
        return self.growth == len(self.recipe.generator.channels)

    def phases(self) -> list[tuple[float, int]]:
        """Share and first step of each resolution, the fade to it included."""
        recipe = self.recipe
        starts = [recipe.starts_at(max(0, stage - 1)) for stage in range(0, recipe.n_stages, 2)]
        ends = [*starts[1:], recipe.images]
        return [
            ((end - start) / recipe.images, self._first_step(recipe.starts_at(2 * i)))
            for i, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]

    def _first_step(self, images: int) -> int:
        return math.ceil(images * self.n_steps / self.recipe.images)

    # --- Steps ----------------------------------------------------------------------------------

    def train_step(self) -> dict[str, float]:
        """Take a step of the generator, then of the critic, each with its own batch.

        Returns
        -------
        dict of float
            ``growth``; ``fooled``, the generator's loss by the critic; ``generated_pitch`` and
            ``real_pitch``, shares of pitches that the critic classifies correctly; ``wasserstein``
            and ``penalty``. After an evaluation ``held_out_...`` and ``overfit``.

        Raises
        ------
        AudiogenError
            If a loss or a gradient isn't finite; the weights of its network are unchanged.
        """
        stage = self.recipe.stage_at(self.recipe.images_at(self.step))
        if stage != self._stage:
            self._begin_stage(stage)
        growth, draw = self.growth, self.draw_step()
        values = self._generator_step(growth, draw.z[0], draw.pitches[0])
        for z, pitches, notes in zip(draw.z[1:], draw.pitches[1:], draw.notes, strict=True):
            values |= self._critic_step(growth, z, pitches, notes)
        # One synchronisation with the device instead of one for each value.
        means = self.processes.mean(torch.stack(list(values.values()))).tolist()
        measured = {"growth": growth} | dict(zip(values, means, strict=True))
        self.step += 1
        done = [step * N_EVALUATIONS // self.n_steps for step in (self.step - 1, self.step)]
        if done[0] != done[1]:
            measured |= self.evaluate_held_out()
        return measured

    def _begin_stage(self, stage: int) -> None:
        """Make new optimisers: weights and their average carry over, Adam's moments don't."""
        self._stage = stage
        rate, betas = self.recipe.learning_rate, self.recipe.betas
        self.optimiser = torch.optim.Adam(self.generator.parameters(), rate, betas)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), rate, betas)

    def _random(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.recipe.seed, purpose, number))

    def draw_step(self) -> StepDraw:
        """Draw the random numbers of a step, this process's share of them.

        Real notes come in random order, each once an epoch; pitches as often as they are in the
        set. Also seeds torch's generator, for the points of the gradient penalty.
        """
        recipe = self.recipe
        random = self._random(_STEP, self.step)
        shape = (1 + recipe.critic_steps, recipe.batch)
        z = random.standard_normal((*shape, recipe.generator.latent_size), np.float32)
        pitches = self.notes.pitches[random.choice(self.training, shape)]
        torch.manual_seed(int(random.integers(1 << 63)))
        n = recipe.critic_steps * recipe.batch
        epochs, places = np.divmod(self.step * n + np.arange(n), len(self.training))
        order = [
            _shuffled(len(self.training), recipe.seed, int(epoch))[place]
            for epoch, place in zip(epochs, places, strict=True)
        ]
        notes = self.training[order].reshape(recipe.critic_steps, -1)
        own = self.processes.own
        return StepDraw(*(np.stack([own(row) for row in rows]) for rows in (z, pitches, notes)))

    def _generator_step(self, growth: float, z: np.ndarray, pitches: np.ndarray) -> dict:
        self.critic.requires_grad_(False)
        score, logits = self._score(self._generate(self.generator, growth, z, pitches), growth)
        classes = self.pitch_classes(pitches)
        fooled = adversarial.generator_loss(score)
        loss = fooled + self.recipe.fake_pitch_weight * F.cross_entropy(logits, classes)
        self.descend(loss, self.optimiser, list(self.generator.parameters()))
        self.critic.requires_grad_(True)
        parameters = self.average.parameters(), self.generator.parameters()
        update_average(*parameters, self.recipe.average)
        return {"fooled": fooled.detach(), "generated_pitch": _accuracy(logits, classes)}

    def _critic_step(
        self, growth: float, z: np.ndarray, pitches: np.ndarray, notes: np.ndarray
    ) -> dict:
        recipe = self.recipe
        real = self.real_spectrograms(notes, growth)
        with torch.no_grad():
            fake = self._generate(self.generator, growth, z, pitches)
        real_score, logits = self._score(real, growth)
        fake_score, _ = self._score(fake, growth)
        penalty = adversarial.gradient_penalty(
            lambda x: self._score(x, growth)[0], real, fake, self.processes.drawn(torch.rand)
        )
        classes = self.pitch_classes(self.notes.pitches[notes])
        loss = adversarial.critic_loss(real_score, fake_score, recipe.drift)
        loss = loss + recipe.penalty_weight * penalty
        loss = loss + recipe.real_pitch_weight * F.cross_entropy(logits, classes)
        self.descend(loss, self.critic_optimiser, list(self.critic.parameters()))
        return {
            "wasserstein": (real_score.mean() - fake_score.mean()).detach(),
            "penalty": penalty.detach(),
            "real_pitch": _accuracy(logits, classes),
        }

    def _generate(
        self, generator: Generator, growth: float, z: np.ndarray, pitches: np.ndarray
    ) -> Tensor:
        """Generate spectrograms, in their own units."""
        with self.autocast():
            image = generator(
                torch.from_numpy(z).to(self.device),
                torch.from_numpy(pitches).to(self.device),
                stage=growth,
            )
        return denormalise(image.float(), self.recipe.spectrogram)

    def real_spectrograms(self, notes: np.ndarray, growth: float) -> Tensor:
        """Spectrograms of real notes at the resolution of a generator that has grown so far."""
        sounds = torch.from_numpy(self.notes.waveforms(notes)).to(self.device)
        image = waveform_to_spectrogram(sounds, self.recipe.spectrogram)
        return coarsened(image, growth, len(self.recipe.generator.channels))

    def _score(self, spectrogram: Tensor, growth: float) -> tuple[Tensor, Tensor]:
        """Scores [batch] and pitch logits of spectrograms, normalised and clipped here.

        So the penalty's gradient is by the spectrogram's own units, as published: at a magnitude
        scale of 0.066 and a frequency scale of 0.8 a slope in frequency weighs 12 times one in log
        magnitude.
        """
        image = normalise(spectrogram, self.recipe.spectrogram)
        with self.autocast():
            score, logits = self.critic(image.contiguous(memory_format=torch.channels_last), growth)
        return score.float(), logits.float()

    def pitch_classes(self, pitches: np.ndarray) -> Tensor:
        """Classes of the pitch classifier, int64, of MIDI numbers."""
        classes = pitches.astype(np.int64) - self.recipe.generator.pitch_min
        return torch.from_numpy(classes).to(self.device)

    # --- Evaluation -----------------------------------------------------------------------------

    def n_evaluations(self, n_steps: int) -> int:
        """Number of evaluations in a training of ``n_steps``."""
        return min(n_steps, N_EVALUATIONS)

    def evaluate(self) -> dict[str, float]:
        """Compare held-out notes with generated ones.

        Returns
        -------
        dict of float
            ``wasserstein``: the critic's mean score of held-out notes less that of generated ones;
            ``pitch``: share of held-out notes whose pitch the critic classifies correctly;
            ``energy_db``: `losses.energy_distance_of_sets` of the averaged generator's sounds.
        """
        scores = self._critic_scores()
        return {
            "wasserstein": scores["held_out"] - scores["generated"],
            "pitch": scores["pitch"],
            "energy_db": self._energy(),
        }

    def baseline(self) -> dict[str, float]:
        """Baseline of `evaluate`: ``energy_db_silence``, the energy distance of silence."""
        return {"energy_db_silence": self._energy(silence=True)}

    def evaluate_held_out(self) -> dict[str, float]:
        """Evaluate as between two steps; return measurements by name."""
        scores, energy = self._critic_scores(), self._energy()
        names = ("known", "held_out", "generated")
        overfit = self.critic_overfit.add(*(scores[name] for name in names))
        self.warning = self.critic_overfit.warning
        if self.grown and energy < self.best["energy_db"]:
            self.best = {"energy_db": energy, "step": self.step}
        return {
            "held_out_wasserstein": scores["held_out"] - scores["generated"],
            "held_out_pitch": scores["pitch"],
            "held_out_energy_db": energy,
            "overfit": overfit,
        }

    @torch.no_grad()
    def _critic_scores(self) -> dict[str, float]:
        """Mean scores of ``known``, ``held_out`` and ``generated`` notes; accuracy of ``pitch``.

        Batches are of equal size, since the critic receives their deviation.
        """
        random = self._random(_EVALUATION, self.step)
        size = min(self.recipe.batch, len(self.held_out), len(self.training))
        growth, totals = self.growth, np.zeros(4)
        for _ in range(N_BATCHES):
            known, held_out = (
                random.choice(notes, size, replace=False)
                for notes in (self.training, self.held_out)
            )
            pitches = self.notes.pitches[held_out]
            z = random.standard_normal((size, self.recipe.generator.latent_size), np.float32)
            known_score, _ = self._score(self.real_spectrograms(known, growth), growth)
            score, logits = self._score(self.real_spectrograms(held_out, growth), growth)
            generated = self._generate(self.generator, growth, z, pitches)
            fake_score, _ = self._score(generated, growth)
            means = [each.mean() for each in (known_score, score, fake_score)]
            means.append(_accuracy(logits, self.pitch_classes(pitches)))
            totals += torch.stack(means).tolist()
        names = ("known", "held_out", "generated", "pitch")
        return dict(zip(names, (totals / N_BATCHES).tolist(), strict=True))

    @torch.no_grad()
    def _energy(self, silence: bool = False) -> float:
        """Energy distance of held-out notes and as many generated ones of their pitches, dB."""
        chosen = self.held_out[:N_SOUNDS]
        real = torch.from_numpy(self.notes.waveforms(chosen)).to(self.device)
        shape = (len(chosen), self.recipe.generator.latent_size)
        # The same latents in every evaluation.
        z = self._random(_EVALUATION, 0).standard_normal(shape, np.float32)
        if silence:
            sounds = torch.zeros_like(real)
        else:
            sounds = self.generate_audio(z, self.notes.pitches[chosen])
        return losses.energy_distance_of_sets(sounds, real, self.recipe.spectrogram.sample_rate)

    @torch.no_grad()
    def generate_audio(self, z: np.ndarray, pitches: np.ndarray) -> Tensor:
        """Generate sounds with the averaged weights, at any growth: coarse images are repeated.

        Parameters
        ----------
        z : array [n, latent_size]
            Latents.
        pitches : array [n], MIDI numbers
            Pitches.

        Returns
        -------
        Tensor [n, n_samples]
        """
        spectrogram, size = self.recipe.spectrogram, self.recipe.batch
        sounds = []
        for i in range(0, len(z), size):
            rows = slice(i, i + size)
            image = self._generate(self.average, self.growth, z[rows], pitches[rows])
            while image.shape[-1] < spectrogram.n_bins:
                image = upsample(image)
            sounds.append(spectrogram_to_waveform(image, spectrogram))
        return torch.cat(sounds)

    def timbre_latents(self) -> list[list[float]]:
        """Latents of the preset's timbres, drawn by the seed, [N_TIMBRES, latent_size]."""
        shape = (N_TIMBRES, self.recipe.generator.latent_size)
        return self._random(_TIMBRES, 0).standard_normal(shape, np.float32).tolist()

    # --- Checkpoints ----------------------------------------------------------------------------

    def checkpoint_bytes(self) -> int:
        """Approximate size of a checkpoint: networks, average, two moments of Adam."""
        return 4 * n_bytes_of(self.generator) + 3 * n_bytes_of(self.critic)

    def differences(self, state: dict[str, Any]) -> list[str]:
        """Reasons why a state doesn't belong to this training; empty if it does."""
        different = super().differences(state)
        if not different and (state["names"], state["training"]) != (
            self.notes.names,
            self._training_names(),
        ):
            different.append("other notes, or another split of them")
        return different

    def _training_names(self) -> list[str]:
        return [self.notes.note_names[i] for i in self.training]

    def own_state(self) -> dict[str, Any]:
        """Return weights, optimisers, the stage of growth and the split."""
        modules = {name: getattr(self, name).state_dict() for name in _SAVED}
        return modules | {
            "names": self.notes.names,
            "training": self._training_names(),
            "stage": self._stage,
            "critic_scores": self.critic_overfit.scores,
        }

    def restore_own(self, state: dict[str, Any]) -> None:
        """Restore what `own_state` returned."""
        self.critic_overfit.scores = state["critic_scores"]
        self.warning = self.critic_overfit.warning
        self._begin_stage(state["stage"])
        for name in _SAVED:
            getattr(self, name).load_state_dict(state[name])


def coarsened(image: Tensor, growth: float, n_blocks: int) -> Tensor:
    """Reduce images to the resolution of a generator that has grown so far.

    Karras et al., "Progressive Growing of GANs", section 2.

    Parameters
    ----------
    image : Tensor [batch, 2, n_frames, n_bins]
        Images of full size.
    growth : float
        1 for the first block's size; 1.3 for the second's, with 30 % of its detail.
    n_blocks : int
        Number of blocks at full size.

    Returns
    -------
    Tensor [batch, 2, n_frames / 2**k, n_bins / 2**k]
        Means over squares of 2**k, ``k = n_blocks - ceil(growth)``.

    Examples
    --------
    >>> coarsened(torch.ones(1, 2, 8, 16), 2.5, 4).shape
    torch.Size([1, 2, 4, 8])
    """
    n = math.ceil(growth)
    fine = F.avg_pool2d(image, 1 << (n_blocks - n))
    if growth == n:
        return fine
    return torch.lerp(upsample(F.avg_pool2d(fine, 2)), fine, growth - n + 1)


@lru_cache(maxsize=4)
def _shuffled(n: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, _EPOCH, epoch)).permutation(n)


def _accuracy(logits: Tensor, classes: Tensor) -> Tensor:
    return (logits.detach().argmax(dim=1) == classes).float().mean()
