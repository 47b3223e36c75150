"""Neural network divergence: the value of a freshly trained critic on sounds that it never saw.

Gulrajani, Raffel and Metz, "Towards GAN Benchmarks Which Require Generalization", ICLR 2019. A
model that repeats its training set wins distances of features; a critic with enough steps learns
the repeated notes and tells them from held-out real ones. The number depends on the critic's
budget, so it comes with its curve over the budget, and it depends on the critic's seed, so there
are several.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.core.packages import require_package
from audiogen.errors import ParameterError, ShapeError
from audiogen.evaluation.sets.estimate import Estimate, over_seeds

if TYPE_CHECKING:
    import torch

N_SEEDS, N_STEPS, WIDTH, BATCH = 3, 1000, 16, 32  # the paper has 100,000 steps, 64 and 256
BUDGET_RATIO, N_BUDGETS = 4, 3  # of the curve: a sixteenth, a quarter, and all of the steps
PENALTY_WEIGHT = 10.0
LEARNING_RATE, BETAS = 2e-4, (0.0, 0.9)
AVERAGE_DECAY = 0.999  # of the averaged weights, whose value counts
DEQUANTISATION = 1 / 128  # width of the noise that hides the images' quantisation
N_FINAL, N_FINAL_SEEN = 2048, 512  # pairs that the final values are averaged over
MIN_NOTES = 100  # of each set


@dataclass(frozen=True)
class Budget:
    """Training budget of a critic.

    Parameters
    ----------
    steps : int
        Steps of the longest training; the curve has shorter ones, too.
    width : int
        Channels of the first convolution; the others have 2 and 4 times as many.
    batch : int
        Images of each kind in a step.
    """

    steps: int = N_STEPS
    width: int = WIDTH
    batch: int = BATCH

    def __post_init__(self) -> None:
        if min(self.steps, self.width, self.batch) < 1:
            raise ParameterError(f"{self}: steps, width and batch must be 1 or more")

    def curve(self) -> tuple[int, ...]:
        """The numbers of steps of the curve, ascending."""
        steps = [self.steps // BUDGET_RATIO**k for k in range(N_BUDGETS)]
        return tuple(sorted({n for n in steps if n >= 1}))


@dataclass(frozen=True)
class Divergence:
    """Result of `neural_divergence`.

    Parameters
    ----------
    values : dict of int to tuple of float
        Value of each critic seed on held-out images, by the number of steps.
    seen_values : dict of int to tuple of float
        The same on the images that the critic was trained on. The difference is overfitting.
    n : int
        Number of generated notes.
    """

    values: dict[int, tuple[float, ...]]
    seen_values: dict[int, tuple[float, ...]]
    n: int

    @property
    def steps(self) -> int:
        """The largest budget."""
        return max(self.values)

    def estimate(self, steps: int | None = None) -> Estimate:
        """Return the mean over the critic seeds at a budget, the largest by default."""
        return over_seeds(self.values[self.steps if steps is None else steps], self.n)


def neural_divergence(
    real: np.ndarray,
    held_out: np.ndarray,
    generated: np.ndarray,
    generated_held_out: np.ndarray,
    *,
    budget: Budget | None = None,
    n_seeds: int = N_SEEDS,
    progress: Callable[[], None] | None = None,
) -> Divergence:
    """Train critics of several seeds and budgets; evaluate them on images that they never saw.

    Parameters
    ----------
    real, held_out : array [n, height, width], float
        Images of real notes from -1 to 1: the critic's, and those that it is evaluated on.
    generated, generated_held_out : array [n, height, width], float
        The same of generated notes.
    budget : Budget, optional
        Largest budget of a critic.
    n_seeds : int
        Number of critics at each budget.
    progress : callable, optional
        Called after each critic.

    Raises
    ------
    ParameterError
        If a set has fewer than 2 images, or ``n_seeds`` is below 1.
    ShapeError
        If the sets differ in size of image.
    """
    if n_seeds < 1:
        raise ParameterError(f"n_seeds={n_seeds} must be 1 or more")
    values, seen, budget = {}, {}, budget or Budget()
    for steps in budget.curve():
        results = []
        for seed in range(n_seeds):
            results.append(
                critic_value(
                    real, held_out, generated, generated_held_out,
                    steps=steps, width=budget.width, batch=budget.batch, seed=seed,
                )
            )  # fmt: skip
            if progress:
                progress()
        values[steps] = tuple(held for held, _ in results)
        seen[steps] = tuple(trained for _, trained in results)
    return Divergence(values, seen, len(generated) + len(generated_held_out))


def critic_value(
    real: np.ndarray,
    held_out: np.ndarray,
    generated: np.ndarray,
    generated_held_out: np.ndarray,
    *,
    steps: int,
    width: int = WIDTH,
    batch: int = BATCH,
    seed: int = 0,
) -> tuple[float, float]:
    """Train one critic; returns its value on the held-out images, and on its own.

    The value is E[D(real)] - E[D(generated)] - 10 E[(|grad D| - 1)^2], of the averaged weights.

    Parameters
    ----------
    real, held_out, generated, generated_held_out : array [n, height, width], float
        Images as in `neural_divergence`.
    steps, width, batch : int
        Budget of the critic.
    seed : int
        Seed of weights and batches.
    """
    sets = (real, held_out, generated, generated_held_out)
    if any(x.ndim != 3 or x.shape[1:] != real.shape[1:] for x in sets):
        raise ShapeError(
            f"sets have shapes {', '.join(str(x.shape) for x in sets)}; they must be"
            " [n, height, width] with one height and width"
        )
    if min(map(len, sets)) < 2:
        raise ParameterError(
            f"sets of {', '.join(str(len(x)) for x in sets)} images must have 2 or more"
        )
    torch = require_package("torch", "train", "the neural network divergence")
    from audiogen.objectives.adversarial import gradient_penalty

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of images this small, more threads are slower
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            tensors = [torch.from_numpy(np.asarray(x, np.float32))[:, None] for x in sets]
            own, unseen, fake, unseen_fake = tensors
            critic = _critic(width, real.shape[1:])
            average = [parameter.detach().clone() for parameter in critic.parameters()]
            # A short training would otherwise keep the average at the initial weights.
            decay = min(AVERAGE_DECAY, 1 - 10 / (steps + 10))
            optimiser = torch.optim.Adam(critic.parameters(), LEARNING_RATE, betas=BETAS)

            def draw(x: Any, n: int) -> Any:
                chosen = x[torch.randint(len(x), (n,))]
                return chosen + DEQUANTISATION * (torch.rand_like(chosen) - 0.5)

            for step in range(steps):
                optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / steps)
                x, y = draw(own, batch), draw(fake, batch)
                penalty = gradient_penalty(critic, x, y)
                loss = critic(y).mean() - critic(x).mean() + PENALTY_WEIGHT * penalty
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                with torch.no_grad():
                    for mean, parameter in zip(average, critic.parameters(), strict=True):
                        mean.lerp_(parameter, 1 - decay)
            with torch.no_grad():
                for mean, parameter in zip(average, critic.parameters(), strict=True):
                    parameter.copy_(mean)

            def value(x: Any, y: Any, n: int) -> float:
                parts = []
                for _ in range(n // 128):
                    a, b = draw(x, 128), draw(y, 128)
                    penalty = gradient_penalty(critic, a, b).detach()
                    with torch.no_grad():
                        gap = critic(a).mean() - critic(b).mean()
                    parts.append(float(gap - PENALTY_WEIGHT * penalty))
                return float(np.mean(parts))

            return value(unseen, unseen_fake, N_FINAL), value(own, fake, N_FINAL_SEEN)
    finally:
        torch.set_num_threads(threads)


def _critic(width: int, shape: tuple[int, ...]) -> torch.nn.Sequential:
    """The paper's critic: three 5 x 5 convolutions of stride 2, swish, no normalisation."""
    from torch import nn

    layers: list[nn.Module] = []
    for before, after in itertools.pairwise((1, width, 2 * width, 4 * width)):
        layers += [nn.Conv2d(before, after, 5, 2, 2), nn.SiLU()]
    height, length = (-(-size // 8) for size in shape)
    layers += [nn.Flatten(), nn.Linear(4 * width * height * length, 1), nn.Flatten(0)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers)
