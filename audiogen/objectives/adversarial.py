"""Losses of critics and of generators against them, each with its equation and source."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.errors import ParameterError


def critic_loss(real: Tensor, fake: Tensor, drift: float = 1e-3) -> Tensor:
    """E[D(fake)] - E[D(real)] + drift E[D(real)^2].

    Arjovsky et al., "Wasserstein GAN", ICML 2017, equation 2; the drift term keeps scores near
    zero (Karras et al., "Progressive Growing of GANs", ICLR 2018, appendix A.1).
    """
    return fake.mean() - real.mean() + drift * real.square().mean()


def generator_loss(fake: Tensor) -> Tensor:
    """-E[D(fake)] (Arjovsky et al., ICML 2017)."""
    return -fake.mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    uniform: Callable[..., Tensor] = torch.rand,
) -> Tensor:
    """E[(|grad D(x)| - 1)^2] at random points x between real and fake, one for each example.

    Gulrajani et al., "Improved Training of Wasserstein GANs", NIPS 2017, equation 3.
    """
    shape = (len(real), *[1] * (real.dim() - 1))
    mix = uniform(shape, dtype=real.dtype, device=real.device)
    between = torch.lerp(real, fake, mix).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1.0).square().mean()


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Move every parameter of a critic into [-limit, limit], after each of its steps.

    Arjovsky et al., ICML 2017, algorithm 1: bounds the critic's slope without a penalty.

    Parameters
    ----------
    critic : Module
        The critic.
    limit : float
        The bound; 0.01 in the paper.

    Raises
    ------
    ParameterError
        If ``limit`` isn't positive.
    """
    if not limit > 0.0:
        raise ParameterError(f"limit={limit} must be more than 0; the paper has 0.01")
    for weight in critic.parameters():
        weight.clamp_(-limit, limit)


def cross_entropy_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log s(D(real))] - E[log(1 - s(D(fake)))], with the sigmoid s: scores are logits.

    Goodfellow et al., "Generative Adversarial Nets", NIPS 2014, equation 1. At its minimum a
    score is the logarithm of the ratio of the densities.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def non_saturating_generator_loss(fake: Tensor) -> Tensor:
    """-E[log s(D(fake))], whose slope is -1 where the critic is sure that a sample is generated.

    Goodfellow et al., NIPS 2014, section 3.
    """
    return F.softplus(-fake).mean()


def least_squares_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """E[(D(real) - 1)^2] / 2 + E[D(fake)^2] / 2.

    Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017, equation 9.
    """
    return 0.5 * (real - 1.0).square().mean() + 0.5 * fake.square().mean()


def least_squares_generator_loss(fake: Tensor) -> Tensor:
    """E[(D(fake) - 1)^2] / 2 (Mao et al., ICCV 2017, equation 9)."""
    return 0.5 * (fake - 1.0).square().mean()


@dataclass(frozen=True)
class Objective:
    """Losses of a critic and a generator, and the bound of the critic's slope.

    Parameters
    ----------
    critic : callable
        Maps scores of real and of generated samples [n] to the critic's loss [].
    generator : callable
        Maps scores of generated samples [n] to the generator's loss [].
    penalty_weight : float
        Weight of `gradient_penalty` in the critic's loss; 0 for none.
    weight_limit : float
        Limit of `clip_weights`; infinity for none.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    penalty_weight: float = 0.0
    weight_limit: float = math.inf


# Constants of the papers; for points in the plane Gulrajani et al. use a penalty weight of 0.1.
OBJECTIVES = {
    "wasserstein": Objective(partial(critic_loss, drift=0.0), generator_loss, weight_limit=0.01),
    "wasserstein-gp": Objective(
        partial(critic_loss, drift=0.0), generator_loss, penalty_weight=10.0
    ),
    "non-saturating": Objective(cross_entropy_critic_loss, non_saturating_generator_loss),
    "least-squares": Objective(least_squares_critic_loss, least_squares_generator_loss),
}


def relativistic_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(-(D(real) - D(fake)))] of pairs: the critic says which of two is real.

    Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019; Huang et al., "The GAN is
    dead; long live the GAN!", NeurIPS 2024, equation 2. A real and a generated sample of the same
    note, crop and patch make a pair, so that differences between notes cancel. The loss is log 2
    where the two scores are equal.
    """
    return F.softplus(fake - real).mean()


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(-(D(fake) - D(real)))] of pairs; see `relativistic_critic_loss`."""
    return F.softplus(real - fake).mean()


def zero_centred_penalty(scores: Tensor, x: Tensor, signs: Tensor) -> Tensor:
    """E[|grad D(x)|^2] of each patch's score, by one gradient for all patches of an example.

    R1 where ``x`` is real (Mescheder et al., "Which Training Methods for GANs do actually
    Converge?", ICML 2018, equation 9), R2 where it is generated. The mean over patches is
    estimated with random signs (Hutchinson, "A stochastic estimator of the trace", 1989).

    Parameters
    ----------
    scores : Tensor [..., n_patches]
        The critic's scores of ``x``.
    x : Tensor [..., n_frames, n_bins]
        The critic's input, which takes gradients.
    signs : Tensor [..., n_patches]
        -1 or 1 at random.

    Returns
    -------
    Tensor []
    """
    (slope,) = torch.autograd.grad((signs * scores).sum(), x, create_graph=True)
    return slope.square().sum(dim=(-2, -1)).mean() / scores.shape[-1]
