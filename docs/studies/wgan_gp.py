"""What Gulrajani et al. ("Improved Training of Wasserstein GANs", NIPS 2017) say of the penalty.

    python docs/studies/wgan_gp.py "8 Gaussians"  # a set of points by four objectives
    python docs/studies/wgan_gp.py gradients      # through a deep critic, clipped and penalised
    python docs/studies/wgan_gp.py contours       # of what a critic has learnt

The sets are those of `toys`; pictures go into docs/images/. `wgan_gp_spectra.py` goes on.
"""

from __future__ import annotations

import io
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from audiogen.objectives.losses import OBJECTIVES, Objective, clip_weights, gradient_penalty

IMAGES = Path(__file__).parents[1] / "images"
# The papers' optimisers and rates, for trainings of some 100,000 steps; ours multiply the rates.
OPTIMISERS = {
    "wasserstein": partial(torch.optim.RMSprop, lr=5e-5),
    "wasserstein-gp": partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.9)),
    "non-saturating": partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999)),
    "least-squares": partial(torch.optim.RMSprop, lr=1e-4),
}
PLANE_PENALTY = 0.1  # for points in the plane, as in the paper's released code

Draw = Callable[[int], Tensor]


@dataclass(frozen=True)
class Training:
    """How long and how fast: ``faster`` multiplies the rates, which fall to 0 linearly."""

    steps: int  # of the critic
    batch: int
    faster: float = 1.0
    critic_steps: int = 5  # to one of the generator, for the two Wasserstein objectives

    def set_rate(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        share = self.faster * (1.0 - step / self.steps)
        optimiser.param_groups[0]["lr"] = optimiser.defaults["lr"] * share


def critic_losses(
    name: str,
    objective: Objective,
    critic: nn.Module,
    draw: Draw,
    draw_fake: Draw,
    training: Training,
) -> Iterator[Tensor]:
    """Train a critic that gives scores [n]: the loss of each step."""
    optimiser = OPTIMISERS[name](critic.parameters())
    for step in range(training.steps):
        training.set_rate(optimiser, step)
        with torch.no_grad():
            real, fake = draw(training.batch), draw_fake(training.batch)
        loss = objective.critic(critic(real), critic(fake))
        if objective.penalty_weight:
            loss = loss + objective.penalty_weight * gradient_penalty(critic, real, fake)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if math.isfinite(objective.weight_limit):
            clip_weights(critic, objective.weight_limit)
        yield loss.detach()


def train(
    name: str,
    objective: Objective,
    generator: nn.Module,
    critic: nn.Module,
    draw: Draw,
    latent_size: int,
    training: Training,
) -> None:
    """The critic's steps with the generator's between them, until a loss isn't finite."""

    def generate(n: int) -> Tensor:
        return generator(torch.randn(n, latent_size))

    every = training.critic_steps if name.startswith("wasserstein") else 1
    optimiser = OPTIMISERS[name](generator.parameters())
    for step, loss in enumerate(critic_losses(name, objective, critic, draw, generate, training)):
        if not torch.isfinite(loss):
            print(f"{name}: the critic's loss is {float(loss)} at its step {step}")
            return
        if (step + 1) % every == 0:
            training.set_rate(optimiser, step)
            optimiser.zero_grad()
            objective.generator(critic(generate(training.batch))).backward()
            optimiser.step()


def mlp(*sizes: int) -> nn.Sequential:
    """ReLU between linear maps that begin as He et al. (ICCV 2015) say."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
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
    """The sets of the paper's figure 1a, as its released code scales them.

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


def save(figure: Figure, name: str) -> None:
    """Write a picture of 64 colours into docs/images/."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)


def in_plane(objective: Objective) -> Objective:
    return replace(objective, penalty_weight=min(objective.penalty_weight, PLANE_PENALTY))


def coverage(points: Points, made: Tensor) -> tuple[str, str, str]:
    """Modes that have a tenth of their share, what is near one, and the distance from the set."""
    near = points.near(made)
    modes = int((near > 0.1 * len(made) / len(near)).sum())
    distance = sliced_wasserstein(made, points.draw(len(made)))
    return str(modes), f"{100 * int(near.sum()) / len(made):.0f} %", f"{distance:.3f}"


def study_points(points: Points) -> None:
    """Each objective on a set, three seeds."""
    training = Training(steps=6000, batch=128, faster=20.0)
    n = 10000
    print("| | modes | within 3 sd | sliced Wasserstein | CPU seconds |")
    print("|---|---|---|---|---|")
    torch.manual_seed(0)
    print(f"| the set itself | {' | '.join(coverage(points, points.draw(n)))} | |")
    for name, objective in OBJECTIVES.items():
        rows = []
        for seed in range(3):
            torch.manual_seed(seed)
            generator, critic = mlp(2, 128, 128, 128, 2), scorer(2, 128, 128, 128)
            start = time.process_time()
            train(name, in_plane(objective), generator, critic, points.draw, 2, training)
            seconds = f"{time.process_time() - start:.0f}"
            with torch.no_grad():
                rows.append((*coverage(points, generator(torch.randn(n, 2))), seconds))
        cells = [", ".join(column) for column in zip(*rows, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def fixed_fake(points: Points) -> Draw:
    """The paper's generator that stands still: the set and noise of deviation 1."""
    return lambda n: points.draw(n) + torch.randn(n, 2)


def stand_still(
    name: str, objective: Objective, critic: nn.Module, points: Points, training: Training
) -> None:
    """Train the critic alone."""
    for _ in critic_losses(name, objective, critic, points.draw, fixed_fake(points), training):
        pass


def study_contours() -> None:
    """Figure 1a of the paper: what a critic has learnt of a set, clipped and penalised."""
    figure = Figure(figsize=(9, 6), dpi=90, layout="constrained")
    rows = figure.subplots(2, 3, sharex=True, sharey=True)
    axis = torch.linspace(-3.0, 3.0, 128)
    pixels = torch.cartesian_prod(axis, axis)
    for row, name in zip(rows, ("wasserstein", "wasserstein-gp"), strict=True):
        for axes, (title, points) in zip(row, toys().items(), strict=True):
            torch.manual_seed(0)
            critic = scorer(2, 128, 128, 128)
            objective = in_plane(OBJECTIVES[name])
            training = Training(steps=3000, batch=128, faster=10.0)
            stand_still(name, objective, critic, points, training)
            with torch.no_grad():
                score = critic(pixels).reshape(128, 128).T
            axes.contour(axis, axis, score, levels=24, cmap="viridis", linewidths=0.8)
            axes.plot(*points.draw(500).T, ".", color="tab:orange", markersize=2)
            axes.set(title=f"{title}, {name}", xticks=[], yticks=[], aspect="equal")
    save(figure, "wgan-gp-contours.png")


def layer_slopes(critic: nn.Sequential, points: Points) -> list[float]:
    """Norm of the gradient of the critic's loss by what each layer gives, first to last."""
    real, fake = points.draw(1000), fixed_fake(points)(1000)
    x, outputs = torch.cat((real, fake)).double(), []
    for module in critic.double():  # float32 ends at 1e-45
        x = module(x)
        if isinstance(module, nn.Linear):
            outputs.append(x)
    loss = OBJECTIVES["wasserstein"].critic(x[:1000], x[1000:])
    return [float(slope.norm()) for slope in torch.autograd.grad(loss, outputs)]


def study_gradients() -> None:
    """Figure 1b of the paper: gradients through a critic of 12 layers, and where weights end."""
    points = toys()["Swiss roll"]
    trials = {
        f"clipped at {c:g}": ("wasserstein", replace(OBJECTIVES["wasserstein"], weight_limit=c))
        for c in (0.1, 0.01, 0.001)
    }
    trials["penalty"] = ("wasserstein-gp", in_plane(OBJECTIVES["wasserstein-gp"]))
    figure = Figure(figsize=(10, 3.6), dpi=90, layout="constrained")
    slopes_axes, *histograms = figure.subplots(1, 3)
    drawn = dict(zip(("clipped at 0.01", "penalty"), histograms, strict=True))
    print("| critic | layer 1 | 4 | 8 | 12 | first over last | weights at the limit |")
    print("|---|---|---|---|---|---|---|")
    for title, (name, objective) in trials.items():
        torch.manual_seed(0)
        critic = scorer(2, *[128] * 11)
        training = Training(steps=2000, batch=128)
        stand_still(name, objective, critic, points, training)
        weights = torch.cat([weight.detach().flatten() for weight in critic.parameters()])
        limit = objective.weight_limit
        at_limit = float((weights.abs() > 0.99 * limit).float().mean())
        slopes = layer_slopes(critic, points)
        shown = " | ".join(f"{slopes[layer]:.1e}" for layer in (0, 3, 7, 11))
        share = f"{100 * at_limit:.0f} %" if math.isfinite(limit) else "-"
        print(f"| {title} | {shown} | {slopes[0] / slopes[-1]:.1e} | {share} |", flush=True)
        slopes_axes.semilogy(range(1, 13), slopes, marker=".", label=title)
        if title in drawn:
            drawn[title].hist(weights.numpy(), bins=60)
            drawn[title].set(title=f"weights, {title}", yticks=[])
    slopes_axes.set(xlabel="layer", title="norm of the gradient")
    slopes_axes.legend()
    save(figure, "wgan-gp-gradients.png")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] in toys():
        study_points(toys()[sys.argv[1]])
    else:
        {"gradients": study_gradients, "contours": study_contours}[sys.argv[1]]()
