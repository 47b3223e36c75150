"""What Gulrajani et al. ("Improved Training of Wasserstein GANs", NIPS 2017) say of the penalty.

    python docs/studies/wgan_gp.py toys             # points in the plane, four objectives
    python docs/studies/wgan_gp.py critics          # contours, gradients and weights of critics
    python docs/studies/wgan_gp.py spectra FOLDER   # six generators of spectrograms of notes

prints tables and draws into docs/images/. FOLDER is a set of notes in NSynth's layout.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn


from audiogen.evaluation.metrics import frechet_distance, ndb
from audiogen.models.gansynth import Generator, GeneratorConfig
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.spectrogram import normalise, waveform_to_spectrogram
from audiogen.training.losses import OBJECTIVES, Objective, clip_weights, gradient_penalty

IMAGES = Path(__file__).parents[1] / "images"
SEEDS = range(3)
# The papers' optimisers and rates for trainings of 100,000 steps and more; `FASTER` times them here.
OPTIMISERS = {
    "wasserstein": partial(torch.optim.RMSprop, lr=5e-5),
    "wasserstein-gp": partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.9)),
    "non-saturating": partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999)),
    "least-squares": partial(torch.optim.RMSprop, lr=1e-4),
}
FASTER = 10.0
CRITIC_STEPS = 5  # to one of the generator, for the two Wasserstein objectives

Draw = Callable[[int], Tensor]


def optimiser(name: str, network: nn.Module) -> torch.optim.Optimizer:
    made = OPTIMISERS[name](network.parameters())
    made.param_groups[0]["lr"] *= FASTER
    return made
def set_rate(*o):
    for x in o[:-1]:
        x.param_groups[0].setdefault("first",x.param_groups[0]["lr"])
        x.param_groups[0]["lr"]=x.param_groups[0]["first"]*o[-1]


def critic_step(
    objective: Objective, critic: nn.Module, adam: torch.optim.Optimizer, real: Tensor, fake: Tensor
) -> Tensor:
    """One step of a critic that gives a score [n]; returns its loss."""
    loss = objective.critic(critic(real), critic(fake))
    if objective.penalty_weight:
        loss = loss + objective.penalty_weight * gradient_penalty(critic, real, fake)
    adam.zero_grad()
    loss.backward()
    adam.step()
    if math.isfinite(objective.weight_limit):
        clip_weights(critic, objective.weight_limit)
    return loss.detach()


def train(
    name: str,
    objective: Objective,
    generator: nn.Module,
    critic: nn.Module,
    draw: Draw,
    draw_latent: Draw,
    steps: int,
    batch: int,
) -> bool:
    """``steps`` of the critic, and the generator's between them; whether losses stayed finite."""
    critic_optimiser, generator_optimiser = optimiser(name, critic), optimiser(name, generator)
    every = CRITIC_STEPS if name.startswith("wasserstein") else 1
    for step in range(1, steps + 1):
        set_rate(critic_optimiser, generator_optimiser, 1.0 - step / steps)
        with torch.no_grad():
            fake = generator(draw_latent(batch))
        loss = critic_step(objective, critic, critic_optimiser, draw(batch), fake)
        if not torch.isfinite(loss):
            return False
        if step % every == 0:
            generator_optimiser.zero_grad()
            objective.generator(critic(generator(draw_latent(batch)))).backward()
            generator_optimiser.step()
    return True


def mlp(*sizes: int) -> nn.Sequential:
    """ReLU between linear maps that begin as He et al. (ICCV 2015) say."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
        nn.init.zeros_(layers[-2].bias)
    return nn.Sequential(*layers[:-1])


def scorer(*sizes: int) -> nn.Sequential:
    return nn.Sequential(*mlp(*sizes, 1), nn.Flatten(0))


def sliced_wasserstein(a: Tensor, b: Tensor) -> float:
    """Mean 1-Wasserstein distance of two sets [n, d] over 256 fixed directions."""
    generator = torch.Generator().manual_seed(0)
    directions = F.normalize(torch.randn(a.shape[1], 256, generator=generator), dim=0)
    sorted_a, sorted_b = ((x @ directions).sort(dim=0).values for x in (a, b))
    return float((sorted_a - sorted_b).abs().mean())


# --- a: points in the plane -----------------------------------------------------------------------


@dataclass
class Points:
    """A mixture of Gaussians: centres [n_modes, n_each, 2] of one deviation."""

    centres: Tensor
    deviation: float

    def draw(self, n: int) -> Tensor:
        every = self.centres.flatten(0, 1)
        return every[torch.randint(len(every), (n,))] + self.deviation * torch.randn(n, 2)

    def near(self, points: Tensor) -> Tensor:
        """How many points lie within 3 deviations of each mode [n_modes]."""
        distance, nearest = torch.cdist(points, self.centres.flatten(0, 1)).min(dim=1)
        mode = nearest[distance < 3.0 * self.deviation] // self.centres.shape[1]
        return torch.bincount(mode, minlength=len(self.centres))


def toys() -> dict[str, Points]:
    """The sets of the paper's figure 2, as its released code scales them.

    The Swiss roll is cut into 20 arcs, its modes, each of 40 Gaussians.
    """
    angle = 2.0 * math.pi * torch.arange(8) / 8
    ring = 2.0 / 1.414 * torch.stack((angle.cos(), angle.sin()), dim=1)
    grid = torch.cartesian_prod(*[torch.arange(-2.0, 3.0)] * 2) / 2.828
    turn = 1.5 * math.pi * (1.0 + 2.0 * (torch.arange(800.0) + 0.5) / 800)
    roll = torch.stack((turn * turn.cos(), turn * turn.sin()), dim=1) / 7.5
    return {
        "8 Gaussians": Points(ring[:, None], 0.02 / 1.414),
        "25 Gaussians": Points(grid[:, None], 0.05 / 2.828),
        "Swiss roll": Points(roll.reshape(20, 40, 2), 0.25 / 7.5),
    }
