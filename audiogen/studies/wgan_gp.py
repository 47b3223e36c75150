"""Study: a critic with clipped weights and with a gradient penalty, on points in the plane.

Gulrajani et al., "Improved Training of Wasserstein GANs", NIPS 2017, figure 1: generators of sets
of points by four objectives, gradients through a deep critic, and the functions that critics learn.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.core.packages import require_package
from audiogen.objectives.adversarial import OBJECTIVES, Objective, clip_weights, gradient_penalty
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RUNS, CONTOURS, GRADIENTS = "runs.jsonl", "contours.png", "gradients.png"
# The papers' optimisers and rates, for some 100,000 training steps; our runs multiply the rates.
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "wasserstein": partial(torch.optim.RMSprop, lr=5e-5),
    "wasserstein-gp": partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.9)),
    "non-saturating": partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999)),
    "least-squares": partial(torch.optim.RMSprop, lr=1e-4),
}
CLIPPED, PENALISED = "wasserstein", "wasserstein-gp"
PLANE_PENALTY = 0.1  # for points in the plane, as in the paper's released code
REFERENCE = "the set itself"
# Critics of the second part by title: objective, and limit of the weights.
DEEP_CRITICS = {
    **{f"clipped at {limit:g}": (CLIPPED, limit) for limit in (0.1, 0.01, 0.001)},
    "penalty": (PENALISED, math.inf),
}
SHOWN_LAYERS = (1, 4, 8, 12)
N_DEEP = 12  # layers of a deep critic


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    sets : tuple of str
        Sets of points.
    n_seeds : int
        Training runs of each set and objective.
    steps, contour_steps, deep_steps : int
        Steps of the critics in the three parts.
    n_points : int
        Generated points that a set is compared with.
    width : int
        Units of hidden layers.
    is_evidence : bool
        Whether the run is large enough for the claims.
    """

    sets: tuple[str, ...]
    n_seeds: int
    steps: int
    contour_steps: int
    deep_steps: int
    n_points: int
    width: int
    is_evidence: bool


SIZES = {
    "smoke": Size(("8 Gaussians",), 1, 60, 10, 10, 500, 32, False),
    "full": Size(
        ("8 Gaussians", "25 Gaussians", "Swiss roll"), 3, 6000, 3000, 2000, 10000, 128, True
    ),
}

Draw = Callable[[int], Tensor]


@dataclass(frozen=True)
class Training:
    """Length and learning rates of a training run.

    Parameters
    ----------
    steps : int
        Steps of the critic.
    batch : int
        Points per batch.
    faster : float
        Factor on the learning rates, which fall linearly to 0.
    critic_steps : int
        Steps of the critic per step of the generator, with the two Wasserstein objectives.
    """

    steps: int
    batch: int
    faster: float = 1.0
    critic_steps: int = 5

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
    """Train a critic that gives scores [n]; yield the loss of each step."""
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
    """Train a critic, and a generator between its steps, until a loss isn't finite."""

    def generate(n: int) -> Tensor:
        return generator(torch.randn(n, latent_size))

    every = training.critic_steps if name.startswith("wasserstein") else 1
    optimiser = OPTIMISERS[name](generator.parameters())
    for step, loss in enumerate(critic_losses(name, objective, critic, draw, generate, training)):
        if not torch.isfinite(loss):
            return
        if (step + 1) % every == 0:
            training.set_rate(optimiser, step)
            optimiser.zero_grad()
            objective.generator(critic(generate(training.batch))).backward()
            optimiser.step()


def mlp(*sizes: int) -> nn.Sequential:
    """Linear maps with ReLUs between them, initialised by He et al. (ICCV 2015)."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        linear = nn.Linear(n_in, n_out)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
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
    """A mixture of Gaussians.

    Parameters
    ----------
    centres : Tensor [n_modes, n_each, 2]
        Centres of the Gaussians of each mode.
    deviation : float
        Standard deviation of all.
    """

    centres: Tensor
    deviation: float

    def draw(self, n: int) -> Tensor:
        every = self.centres.flatten(0, 1)
        return every[torch.randint(len(every), (n,))] + self.deviation * torch.randn(n, 2)

    def near(self, points: Tensor) -> Tensor:
        """Number of points within 3 deviations of each mode, [n_modes]."""
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


def in_plane(objective: Objective) -> Objective:
    """An objective with the penalty's weight for points in the plane."""
    return replace(objective, penalty_weight=min(objective.penalty_weight, PLANE_PENALTY))


def coverage(points: Points, made: Tensor) -> dict[str, float]:
    """Modes with a tenth of their share, share of points near one, and distance from the set."""
    near = points.near(made)
    return {
        "modes": int((near > 0.1 * len(made) / len(near)).sum()),
        "near": int(near.sum()) / len(made),
        "distance": sliced_wasserstein(made, points.draw(len(made))),
    }


def fixed_fake(points: Points) -> Draw:
    """The paper's fixed generator: the set plus noise with a standard deviation of 1."""
    return lambda n: points.draw(n) + torch.randn(n, 2)


def train_critic(
    name: str, objective: Objective, critic: nn.Module, points: Points, training: Training
) -> None:
    """Train a critic alone."""
    for _ in critic_losses(name, objective, critic, points.draw, fixed_fake(points), training):
        pass


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
    parts = list(_parts(sizes, seed))
    lines = run_parts(
        folder / RUNS,
        parts,
        partial(_numbers, sizes),
        jobs=jobs,
        minutes=minutes,
        progress=progress,
    )
    complete = len(lines) == len(parts)
    if complete:
        _draw_contours(sizes, seed).savefig(folder / CONTOURS)
        _draw_gradients(lines).savefig(folder / GRADIENTS)
    missing = "" if complete else f"{len(parts) - len(lines)} of {len(parts)} trainings"
    tables = [table for name in sizes.sets if (table := _set_table(sizes, name, lines)).rows[2:]]
    deep = [line for line in lines if line["part"] == "gradients"]
    if deep:
        tables.append(_gradient_table(deep))
    return StudyResult(tables, {"trainings": lines}, _checks(sizes, lines), missing)


def _parts(sizes: Size, seed: int) -> Iterator[Part]:
    for name in sizes.sets:
        yield {"part": "points", "set": name, "critic": REFERENCE, "seed": seed}
        for objective, number in itertools.product(OBJECTIVES, range(sizes.n_seeds)):
            yield {"part": "points", "set": name, "critic": objective, "seed": seed + number}
    for title in DEEP_CRITICS:
        yield {"part": "gradients", "set": "Swiss roll", "critic": title, "seed": seed}


def _numbers(sizes: Size, part: Mapping[str, Any]) -> dict[str, Any]:
    """Train as a part asks for, and measure."""
    torch.manual_seed(part["seed"])
    points, start = toys()[part["set"]], time.process_time()
    if part["part"] == "gradients":
        return _deep_gradients(sizes, points, part["critic"])
    if part["critic"] == REFERENCE:
        return coverage(points, points.draw(sizes.n_points))
    widths = (2, *[sizes.width] * 3)
    generator, critic = mlp(*widths, 2), scorer(*widths)
    objective = in_plane(OBJECTIVES[part["critic"]])
    training = Training(sizes.steps, batch=128, faster=20.0)
    train(part["critic"], objective, generator, critic, points.draw, 2, training)
    with torch.no_grad():
        made = generator(torch.randn(sizes.n_points, 2))
    return {**coverage(points, made), "cpu_s": round(time.process_time() - start, 1)}


def _deep_gradients(sizes: Size, points: Points, title: str) -> dict[str, Any]:
    """Gradients through a deep critic, layer by layer, and its weights."""
    name, limit = DEEP_CRITICS[title]
    objective = replace(in_plane(OBJECTIVES[name]), weight_limit=limit)
    critic = scorer(2, *[sizes.width] * (N_DEEP - 1))
    train_critic(name, objective, critic, points, Training(sizes.deep_steps, batch=128))
    weights = torch.cat([weight.detach().flatten() for weight in critic.parameters()])
    histogram, edges = np.histogram(weights.numpy(), bins=60)
    return {
        "slopes": layer_slopes(critic, points),
        "at_limit": float((weights.abs() > 0.99 * limit).float().mean()),
        "histogram": histogram.tolist(),
        "edges": [round(float(edge), 6) for edge in edges],
    }


def layer_slopes(critic: nn.Sequential, points: Points) -> list[float]:
    """Norm of the gradient of the critic's loss in the output of each layer, first to last."""
    real, fake = points.draw(1000), fixed_fake(points)(1000)
    x, outputs = torch.cat((real, fake)).double(), []
    for module in critic.double():  # float32 underflows at 1e-45
        x = module(x)
        if isinstance(module, nn.Linear):
            outputs.append(x)
    loss = OBJECTIVES[CLIPPED].critic(x[:1000], x[1000:])
    return [float(slope.norm()) for slope in torch.autograd.grad(loss, outputs)]


def _set_table(sizes: Size, name: str, lines: list[dict[str, Any]]) -> Table:
    rows: list[Any] = [("", "modes", "within 3 sd", "sliced Wasserstein", "CPU seconds")]
    for critic in (REFERENCE, *OBJECTIVES):
        found = [r for r in lines if (r["part"], r["set"], r["critic"]) == ("points", name, critic)]
        if found:
            forms = (
                ("modes", "{:.0f}"), ("near", "{:.0%}"), ("distance", "{:.3f}"), ("cpu_s", "{:.0f}")
            )  # fmt: skip
            cells = [", ".join(form.format(r[k]) for r in found if k in r) for k, form in forms]
            rows.append((critic, *cells))
    n = len(toys()[name].centres)
    return Table(f"{name}: {n} modes, {sizes.n_points} points, {sizes.steps} steps", rows)


def _gradient_table(lines: list[dict[str, Any]]) -> Table:
    header = ("critic", *(f"layer {k}" for k in SHOWN_LAYERS), "first over last", "at the limit")
    rows: list[Any] = [header]
    for line in lines:
        slopes = line["slopes"]
        clipped = math.isfinite(DEEP_CRITICS[line["critic"]][1])
        rows.append(
            (
                line["critic"],
                *(f"{slopes[k - 1]:.1e}" for k in SHOWN_LAYERS),
                f"{slopes[0] / max(slopes[-1], 1e-300):.1e}",
                f"{line['at_limit']:.0%}" if clipped else "-",
            )
        )
    return Table(f"Gradients of a critic of {N_DEEP} layers, and its weights", rows)


def _checks(sizes: Size, lines: list[dict[str, Any]]) -> dict[str, bool]:
    """The claims that the trainings so far can decide."""
    checks: dict[str, bool] = {}
    if not sizes.is_evidence:
        return checks
    for name in sizes.sets:
        of = {
            critic: [r for r in lines if r["set"] == name and r["critic"] == critic]
            for critic in (CLIPPED, PENALISED)
        }
        if all(len(found) == sizes.n_seeds for found in of.values()):
            n = len(toys()[name].centres)
            clipped, penalised = (min(r["modes"] for r in found) for found in of.values())
            checks[f"{name}: the penalty finds {penalised} of {n} modes, clipping {clipped}"] = (
                penalised >= 0.95 * n and penalised >= clipped
            )
            clipped, penalised = (
                float(np.mean([r["distance"] for r in found])) for found in of.values()
            )
            claim = f"is {penalised:.3f} with the penalty, {clipped:.3f} with clipping"
            checks[f"{name}: the distance from the set {claim}"] = penalised < clipped
    deep = {r["critic"]: r["slopes"] for r in lines if r["part"] == "gradients"}
    if len(deep) == len(DEEP_CRITICS):
        ratios = {title: slopes[0] / slopes[-1] for title, slopes in deep.items()}
        checks[
            f"with the penalty the first layer's gradient is {ratios['penalty']:.2g} of the last's"
        ] = 0.1 < ratios["penalty"] < 10
        checks["each clipped critic's gradient changes by more than a factor of 100"] = all(
            not 0.01 < ratio < 100 for title, ratio in ratios.items() if title != "penalty"
        )
    return checks


def _figure(width: float, height: float) -> Figure:
    figures = require_package("matplotlib.figure", "plot", "drawing critics")
    figure: Figure = figures.Figure(figsize=(width, height), dpi=90, layout="constrained")
    return figure


def _draw_contours(sizes: Size, seed: int) -> Figure:
    """Functions that critics learn for each set: clipped above, penalised below (figure 1a)."""
    figure = _figure(3.0 * len(toys()), 6.0)
    rows = figure.subplots(2, len(toys()), sharex=True, sharey=True)
    axis = torch.linspace(-3.0, 3.0, 128)
    pixels = torch.cartesian_prod(axis, axis)
    for row, name in zip(rows, (CLIPPED, PENALISED), strict=True):
        for axes, (title, points) in zip(row, toys().items(), strict=True):
            torch.manual_seed(seed)
            critic = scorer(2, *[sizes.width] * 3)
            training = Training(sizes.contour_steps, batch=128, faster=10.0)
            train_critic(name, in_plane(OBJECTIVES[name]), critic, points, training)
            with torch.no_grad():
                score = critic(pixels).reshape(128, 128).T
            axes.contour(axis, axis, score, levels=24, cmap="viridis", linewidths=0.8)
            axes.plot(*points.draw(500).T, ".", color="tab:orange", markersize=2)
            axes.set(title=f"{title}, {name}", xticks=[], yticks=[], aspect="equal")
    return figure


def _draw_gradients(lines: list[dict[str, Any]]) -> Figure:
    """Gradients by layer, and weights of a clipped and a penalised critic (figure 1b)."""
    figure = _figure(10.0, 3.6)
    slopes_axes, *histograms = figure.subplots(1, 3)
    drawn = dict(zip(("clipped at 0.01", "penalty"), histograms, strict=True))
    for line in (line for line in lines if line["part"] == "gradients"):
        title, slopes = line["critic"], line["slopes"]
        slopes_axes.semilogy(range(1, len(slopes) + 1), slopes, marker=".", label=title)
        if title in drawn:
            drawn[title].stairs(line["histogram"], line["edges"], fill=True)
            drawn[title].set(title=f"weights, {title}", yticks=[])
    slopes_axes.set(xlabel="layer", title="norm of the gradient")
    slopes_axes.legend()
    return figure
