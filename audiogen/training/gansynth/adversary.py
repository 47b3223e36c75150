"""The critic of the built-in recipe and what it adds to the generator's loss.

Its input is spectrograms of resynthesised audio: of the generated notes, and of the real ones
through the same resynthesis, whose marks it would otherwise learn. Each generated note is compared
with the real one of the same instrument, pitch, velocity and crop
(`adversarial.relativistic_critic_loss`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from audiogen.models.patch_critic import CriticConditions, PatchCritic
from audiogen.objectives import adversarial, losses
from audiogen.representation.harmonic import harmonic_maps, time_features
from audiogen.representation.resynthesis import whole_frames
from audiogen.representation.spectrogram import spectra
from audiogen.training.gansynth.critic_overfit import CriticOverfit
from audiogen.training.gansynth.note_batches import Batch
from audiogen.training.gansynth.recipe import BuiltInRecipe
from audiogen.training.run.processes import Processes

RANGE_DB = 70.0  # of the critic's input, below the loudest bin of the real note's crop
LEAST_LOUDEST = 1.0  # magnitude of a sine of -60 dBFS at `n_fft` 4096: reference of silent crops
LEAST_GAP = 0.2  # mean difference of scores below which overfitting is not judged
BALANCE_EVERY = 8  # steps between two measurements of the gradients
BALANCE_DECAY = 0.8  # of their running means
LARGEST_WEIGHT = 1e4  # before the recipe's share


class Adversary:
    """A critic with its optimiser.

    Parameters
    ----------
    recipe : BuiltInRecipe
        Weights, rates and the representation.
    n_instruments : int
        Number of instruments.
    processes : Processes
        The processes that share each batch.
    device : torch.device
        The device of the network.
    autocast : callable
        Context in which the network runs.

    Attributes
    ----------
    critic : PatchCritic
        The network.
    optimiser : torch.optim.Adam
        Its optimiser.
    overfit : CriticOverfit
        How far it overfits.
    norms : list of float
        Running means of the norms of the distances' gradient and of the critic's; empty at first.
    """

    def __init__(
        self,
        recipe: BuiltInRecipe,
        n_instruments: int,
        processes: Processes,
        device: torch.device,
        autocast: Callable[[], torch.autocast],
    ):
        self._recipe, self._processes, self._autocast = recipe, processes, autocast
        self.critic = PatchCritic(n_instruments).to(
            device=device, memory_format=torch.channels_last
        )
        self.critic.requires_grad_(False)
        self.optimiser = torch.optim.Adam(
            self.critic.parameters(), recipe.adversarial_learning_rate, (0.5, 0.99)
        )
        self.overfit = CriticOverfit("a smaller --adversarial-share", LEAST_GAP)
        self.norms: list[float] = []

    def levels(self, sounds: Sequence[Tensor], batch: Batch) -> Tensor:
        """The critic's input: log magnitudes of audio.

        Parameters
        ----------
        sounds : three Tensors [batch, n_samples]
            Resynthesised audio (`EnergyLoss.resynthesise`) of the real notes and of two generated
            ones of each. The loudest bin of a real note is at 1, and `RANGE_DB` below at -1.
        batch : Batch
            The notes.

        Returns
        -------
        Tensor [3, batch, n_frames, n_bins]
        """
        config = self._recipe.spectrogram
        whole = whole_frames(config, batch.frames)
        magnitudes = torch.stack([spectra(sound, config)[:, whole].abs() for sound in sounds])
        loudest = magnitudes[0].detach().amax(dim=(1, 2), keepdim=True).clamp_min(LEAST_LOUDEST)
        relative = magnitudes / loudest + 10.0 ** (-RANGE_DB / 20.0)
        return 1.0 + 40.0 / RANGE_DB * torch.log10(relative)

    def critic_loss(self, levels: Tensor, batch: Batch, penalised: bool) -> Tensor:
        """Loss of the critic.

        Parameters
        ----------
        levels : Tensor [3, batch, n_frames, n_bins]
            `levels`; no gradient flows into them.
        batch : Batch
            The notes.
        penalised : bool
            Whether to add the penalty of its slope.

        Returns
        -------
        Tensor []
        """
        recipe = self._recipe
        levels = levels.detach().requires_grad_(penalised)
        scores, _ = self._score(levels, batch)
        loss = adversarial.relativistic_critic_loss(scores[:1], scores[1:])
        if penalised:
            uniform = self._processes.drawn(torch.rand)((len(batch.pitch), *scores.shape[::2]))
            signs = torch.where(uniform.transpose(0, 1) < 0.5, -1.0, 1.0).to(scores)
            penalty = adversarial.zero_centred_penalty(scores, levels, signs)
            loss = loss + recipe.penalty_every * recipe.penalty_weight * penalty
        return loss

    def generator_loss(self, levels: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The critic's term of the generator's loss, before `weight`.

        Parameters
        ----------
        levels : Tensor [3, batch, n_frames, n_bins]
            `levels`, with gradients of the generated notes.
        batch : Batch
            The notes.

        Returns
        -------
        loss : Tensor []
            The sum of the following.
        values : dict of str to Tensor []
            ``fooled``, the relativistic loss; and ``features``, energy distances by the critic's
            hidden layers, relative to the mean of the real notes' activations.
        """
        scores, features = self._score(levels, batch)
        fooled = adversarial.relativistic_generator_loss(scores[:1], scores[1:])
        share = batch.variety[:, None, None, None]
        total = fooled.new_zeros(())
        for layer in features:
            real, first, second = layer.float()
            far = [(a - b).abs().mean() for a, b in ((first, real), (second, real))]
            apart = (share * (first - second)).abs().mean()
            size = self._processes.mean(real.abs().mean()).clamp_min(1e-6)
            total = total + losses.energy_distance(far[0], far[1], apart) / size
        return fooled + total, {"fooled": fooled, "features": total}

    def weight(self, distances: Tensor, own: Tensor, image: Tensor, step: int) -> float:
        """Weight of `generator_loss` beside the distances, by the norms of their gradients.

        Esser et al., "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021,
        equation 7; at the generator's output.

        Parameters
        ----------
        distances, own : Tensor []
            The distances' loss, and `generator_loss`.
        image : Tensor
            The generator's output, which both depend on.
        step : int
            Number of the step.

        Returns
        -------
        float
        """
        if not self.norms or step % BALANCE_EVERY == 0:
            slopes = [
                torch.autograd.grad(loss, image, retain_graph=True)[0] for loss in (distances, own)
            ]
            squares = torch.stack([slope.square().sum() for slope in slopes])
            norms = self._processes.mean(squares).sqrt().tolist()
            old = self.norms or norms
            self.norms = [
                BALANCE_DECAY * a + (1.0 - BALANCE_DECAY) * b
                for a, b in zip(old, norms, strict=True)
            ]
        ratio = min(self.norms[0] / max(self.norms[1], 1e-12), LARGEST_WEIGHT)
        return self._recipe.adversarial_weight * ratio

    @torch.no_grad()
    def gap(self, levels: Tensor, batch: Batch) -> float:
        """Mean score of real notes minus that of generated ones."""
        scores, _ = self._score(levels, batch)
        return float(scores[0].mean() - scores[1:].mean())

    def state(self) -> dict[str, Any]:
        """Return network, optimiser and running means."""
        return {
            "critic": self.critic.state_dict(),
            "critic_optimiser": self.optimiser.state_dict(),
            "critic_norms": list(self.norms),
            "critic_gaps": self.overfit.scores,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["critic_optimiser"])
        self.norms = list(state["critic_norms"])
        self.overfit.scores = state["critic_gaps"]

    def _score(self, levels: Tensor, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Scores [3, batch, n_patches] and features [3, batch, ...] of `levels`."""
        config, n = self._recipe.spectrogram, len(batch.pitch)
        whole = whole_frames(config, batch.frames)
        maps = harmonic_maps(
            batch.pitch.cpu().numpy(), config, config.n_bins, partials=batch.partials
        )
        times = time_features(
            config.n_frames, self._recipe.generator.note_off_frame, config.n_frames
        )
        time = torch.from_numpy(times[slice(*batch.frames)][whole]).to(levels)
        conditions = CriticConditions(
            torch.from_numpy(maps).to(levels).repeat(3, 1, 1),
            time.expand(3 * n, -1, -1),
            batch.velocity.repeat(3),
            batch.instruments.repeat(3),
        )
        with self._autocast():
            scores, features = self.critic(levels.flatten(0, 1), conditions)
        return scores.unflatten(0, (3, n)), [each.unflatten(0, (3, n)) for each in features]
