"""The critic of the built-in recipe: what it sees, what it learns, what it adds to the loss."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.models.patch_critic import WIDTHS, CriticConditions, PatchCritic
from audiogen.objectives import adversarial
from audiogen.training.gansynth.adversary import LARGEST_WEIGHT, RANGE_DB, Adversary
from audiogen.training.gansynth.trainer import BuiltInTrainer
from tests.training.test_trainer import TINY, make_trainer

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filterbank:UserWarning")


def test_relativistic_losses() -> None:
    real, fake = torch.tensor([[2.0, 0.5]]), torch.tensor([[1.0, 0.5], [2.0, 1.5]])
    softplus = [math.log1p(math.exp(x)) for x in (-1.0, 0.0, 0.0, 1.0)]
    critic = adversarial.relativistic_critic_loss(real, fake)
    assert float(critic) == pytest.approx(sum(softplus) / 4.0)
    # What one gains on a pair the other loses.
    generator = adversarial.relativistic_generator_loss(real, fake)
    assert float(generator) == pytest.approx(float(critic) + (1.0 + 0.0 + 0.0 - 1.0) / 4.0)


def test_the_penalty_is_the_mean_squared_slope_of_the_patches() -> None:
    """Exactly so over all signs, for patches that share inputs."""
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    x = torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(2)).requires_grad_()
    scores = x[:, 0] @ weights
    penalties = [
        adversarial.zero_centred_penalty(scores, x, torch.tensor([signs, signs]))
        for signs in itertools.product((-1.0, 1.0), repeat=3)
    ]
    wanted = weights.square().sum(dim=0).mean()
    torch.testing.assert_close(torch.stack(penalties).mean(), wanted)


def conditions(n: int, n_frames: int, n_bins: int) -> CriticConditions:
    draw = torch.Generator().manual_seed(3)
    return CriticConditions(
        torch.randn(n, 8, n_bins, generator=draw),
        torch.randn(n, n_frames, 7, generator=draw),
        torch.rand(n, generator=draw),
        torch.arange(n),
    )


def test_a_patch_critic_uses_all_it_is_given() -> None:
    torch.manual_seed(4)
    critic, given = PatchCritic(2), conditions(2, 13, 64)
    level = torch.randn(2, 13, 64, requires_grad=True)
    for tensor in (given.maps, given.time, given.velocity):
        tensor.requires_grad_()
    scores, features = critic(level, given)
    scores.square().sum().backward()
    assert scores.shape == (2, 4 * 4)
    assert [layer.shape[1] for layer in features] == list(WIDTHS[1:])
    for tensor in (level, given.maps, given.time, given.velocity):
        assert (tensor.grad != 0.0).all()
    # Instruments are alike at first.
    other = given._replace(instruments=given.instruments.flip(0))
    assert torch.equal(critic(level, other)[0], scores)
    with torch.no_grad():
        critic.instrument.weight[1] += 1.0
    assert not torch.allclose(critic(level, other)[0], scores)


def test_the_critic_sees_levels_relative_to_the_real_note() -> None:
    trainer = make_trainer()
    batch = trainer.batch(np.array([0, 5]), (0, 16))
    real = trainer.loss.resynthesise(batch.image, batch)
    faint = real * 10.0 ** (-35.0 / 20.0)
    levels = trainer.adversary.levels((real, faint, torch.zeros_like(real)), batch)
    loudest = levels.amax(dim=(2, 3))
    added = 40.0 / RANGE_DB * math.log10(1.0 + 10.0 ** (-RANGE_DB / 20.0))
    torch.testing.assert_close(loudest[0], torch.full((2,), 1.0 + added))
    torch.testing.assert_close(loudest[1], torch.zeros(2), rtol=0.0, atol=0.02)
    torch.testing.assert_close(levels[2], torch.full_like(levels[2], -1.0))
    last = trainer.batch(np.array([0, 5]), (16, 32))
    sound = trainer.loss.resynthesise(last.image, last)
    # Frames that others outside of the crop overlap with are left out, and none before a note.
    assert trainer.adversary.levels((sound,) * 3, last).shape[2] == 10
    assert levels.shape[2] == 13


@pytest.mark.slow
def test_the_critic_learns_and_its_gradient_fools_it() -> None:
    trainer = make_trainer(dataclasses.replace(TINY, adversarial_learning_rate=2e-3))
    adversary, critic = trainer.adversary, trainer.adversary.critic
    batch = trainer.batch(np.arange(8), (0, 16))
    flat = torch.randn(batch.image.shape, generator=torch.Generator().manual_seed(5)) * 0.1
    images = (batch.image, batch.image + flat, batch.image - flat)
    levels = adversary.levels([trainer.loss.resynthesise(i, batch) for i in images], batch)
    told: list[float] = []
    critic.requires_grad_(True)
    for step in range(120):
        loss = adversary.critic_loss(levels, batch, penalised=step % 4 == 0)
        trainer.descend(loss, adversary.optimiser, list(critic.parameters()))
        if step % 4:
            told.append(loss.item())
    critic.requires_grad_(False)
    assert told[0] > 0.5 and np.mean(told[-8:]) < 0.3
    assert adversary.gap(levels, batch) > 1.0
    assert adversary.gap(levels[[0, 0, 0]], batch) == pytest.approx(0.0, abs=1e-6)

    seen = []
    moved = flat.clone().requires_grad_()
    descent = torch.optim.Adam([moved], 0.02)
    for _ in range(20):
        images = (batch.image, batch.image + moved, batch.image - moved)
        sounds = [trainer.loss.resynthesise(image, batch) for image in images]
        loss, values = adversary.generator_loss(adversary.levels(sounds, batch), batch)
        seen.append((values["fooled"].item(), values["features"].item()))
        descent.zero_grad()
        loss.backward()
        descent.step()
    (fooled, features), (fooled_last, features_last) = seen[0], seen[-1]
    assert fooled_last < 0.6 * fooled and features_last < 0.9 * features


def test_the_weight_balances_gradients() -> None:
    adversary: Adversary = make_trainer().adversary
    image = torch.zeros(4, requires_grad=True)
    distances, own = 3.0 * image.sum(), 0.5 * image.sum()
    share = TINY.adversarial_weight
    assert adversary.weight(distances, own, image, 1) == pytest.approx(6.0 * share)
    louder = 6.0 * image.sum()
    assert adversary.weight(louder, own, image, 2) == pytest.approx(6.0 * share)
    assert adversary.weight(louder, own, image, 8) == pytest.approx((0.8 * 6 + 0.2 * 12) * share)
    adversary.norms = []
    assert adversary.weight(louder, 0.0 * own, image, 9) == LARGEST_WEIGHT * share


def test_without_a_weight_there_is_no_critic() -> None:
    trainer: BuiltInTrainer = make_trainer(
        dataclasses.replace(TINY, adversarial_share=1.0, adversarial_weight=0.0)
    )
    start = {name: value.clone() for name, value in trainer.adversary.critic.state_dict().items()}
    seen = [trainer.train_step() for _ in range(4)]
    assert not any({"critic", "fooled", "overfit"} & set(values) for values in seen)
    for name, value in trainer.adversary.critic.state_dict().items():
        assert torch.equal(value, start[name])
