"""Losses are what their equations say, and a critic trained with them finds every mode."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.errors import ParameterError
from audiogen.objectives import adversarial, losses


def test_critic_and_generator_losses() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.5])
    assert float(adversarial.critic_loss(real, fake)) == pytest.approx(-0.25 - 2.0 + 1e-3 * 5.0)
    assert float(adversarial.critic_loss(real, fake, drift=0.1)) == pytest.approx(-2.25 + 0.5)
    assert float(adversarial.generator_loss(fake)) == pytest.approx(0.25)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_penalty_of_a_linear_critic(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    weight = torch.randn(2, 3, 5, dtype=dtype)
    real, fake = torch.randn(2, 4, 2, 3, 5, dtype=dtype)
    penalty = adversarial.gradient_penalty(lambda x: (x * weight).sum(dim=(1, 2, 3)), real, fake)
    assert penalty.dtype == dtype
    assert float(penalty) == pytest.approx((float(weight.norm()) - 1.0) ** 2, rel=1e-6)
    unit = weight / weight.norm()
    alike = adversarial.gradient_penalty(lambda x: (x * unit).sum(dim=(1, 2, 3)), real, fake)
    assert float(alike) < 1e-10


def test_penalty_looks_between_real_and_fake() -> None:
    """One random point of the straight line for each example."""
    seen: list[torch.Tensor] = []

    def critic(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach())
        return 0.5 * x.square().sum(dim=1)

    real, fake = torch.zeros(1000, 3), torch.tensor([[3.0, 0.0, 4.0]]).repeat(1000, 1)
    penalty = adversarial.gradient_penalty(critic, real, fake)
    part = seen[0][:, 0] / 3.0
    torch.testing.assert_close(seen[0], part[:, None] * fake)
    assert 0.0 <= part.min() < 0.02 and 0.98 < part.max() <= 1.0
    assert abs(float(part.mean()) - 0.5) < 0.03
    # The slope there is 5 times the part.
    assert float(penalty) == pytest.approx(float((5.0 * part - 1.0).square().mean()), rel=1e-5)


def test_penalty_of_a_flat_critic_has_a_gradient() -> None:
    weight = torch.zeros(3, requires_grad=True)
    penalty = adversarial.gradient_penalty(
        lambda x: x @ weight, torch.ones(2, 3), torch.zeros(2, 3)
    )
    penalty.backward()
    assert penalty.item() == 1.0 and torch.isfinite(weight.grad).all()


def test_objectives_on_known_scores() -> None:
    """Each paper's formula, written out for two scores."""
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.5])
    log = lambda *xs: sum(math.log1p(math.exp(x)) for x in xs) / len(xs)  # noqa: E731
    wanted = {
        "wasserstein": (-0.25 - 2.0, 0.25),
        "wasserstein-gp": (-0.25 - 2.0, 0.25),
        "non-saturating": (log(-1.0, -3.0) + log(-1.0, 0.5), log(1.0, -0.5)),
        "least-squares": (0.25 * (0.0 + 4.0 + 1.0 + 0.25), 0.25 * (4.0 + 0.25)),
    }
    assert set(adversarial.OBJECTIVES) == set(wanted)
    for name, (of_critic, of_generator) in wanted.items():
        objective = adversarial.OBJECTIVES[name]
        assert float(objective.critic(real, fake)) == pytest.approx(of_critic, abs=1e-6), name
        assert float(objective.generator(fake)) == pytest.approx(of_generator, abs=1e-6), name


@pytest.mark.parametrize("name", adversarial.OBJECTIVES)
def test_critic_and_generator_pull_apart(name: str) -> None:
    """A critic raises real scores and lowers fake ones; a generator raises them again."""
    objective = adversarial.OBJECTIVES[name]
    real, fake = torch.full((2, 3), 0.5, requires_grad=True)
    slopes = torch.autograd.grad(objective.critic(real, fake), (real, fake))
    assert (slopes[0] < 0.0).all() and (slopes[1] > 0.0).all()
    assert (torch.autograd.grad(objective.generator(fake), fake)[0] < 0.0).all()
    # Nor does it stop where the critic is sure.
    sure = torch.tensor([-40.0], requires_grad=True)
    assert float(torch.autograd.grad(objective.generator(sure), sure)[0]) <= -0.999


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("non-saturating", lambda p, q: torch.log(p / q)),
        ("least-squares", lambda p, q: p / (p + q)),
    ],
)
def test_best_scores_are_those_of_the_papers(name: str, best) -> None:
    """Of outcomes that real and fake have with probabilities p and q: no slope, and a minimum."""
    n_real, n_fake = torch.tensor([60, 30, 10]), torch.tensor([20, 30, 50])
    score = best(n_real / 100, n_fake / 100).double().requires_grad_()

    def loss(score: torch.Tensor) -> torch.Tensor:
        real, fake = (score.repeat_interleave(n) for n in (n_real, n_fake))
        return adversarial.OBJECTIVES[name].critic(real, fake)

    (slope,) = torch.autograd.grad(loss(score), score)
    assert slope.abs().max() < 1e-7
    for away in 0.1 * torch.cat((torch.eye(3), -torch.eye(3))):
        assert loss(score + away) > loss(score)


def trained_on_two_points(name: str, real: torch.Tensor, fake: torch.Tensor) -> torch.nn.Linear:
    """A linear critic of ``real`` and ``fake`` [1, n], trained until it moves no more."""
    objective, critic = adversarial.OBJECTIVES[name], torch.nn.Linear(real.shape[1], 1)
    descent = torch.optim.SGD(critic.parameters(), 0.02)
    for _ in range(200):
        loss = objective.critic(critic(real)[:, 0], critic(fake)[:, 0])
        if objective.penalty_weight:
            loss = loss + objective.penalty_weight * adversarial.gradient_penalty(
                critic, real, fake
            )
        descent.zero_grad()
        loss.backward()
        descent.step()
        if math.isfinite(objective.weight_limit):
            adversarial.clip_weights(critic, objective.weight_limit)
    return critic


def test_a_trained_critic_knows_the_distance_of_two_points() -> None:
    """The 1-Wasserstein distance of two points is theirs, here 5."""
    torch.manual_seed(0)
    real, fake = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[0.0, 1.0, 4.0]])
    # A slope s along the line loses 10 (s - 1)^2 and wins 5 s: the best is 1 + 5 / 20.
    critic = trained_on_two_points("wasserstein-gp", real, fake)
    apart = float(critic(real) - critic(fake))
    assert apart == pytest.approx(5.0 * (1.0 + 5.0 / 20.0), rel=1e-4)
    # Clipped weights measure the sum of differences instead, in units of the limit.
    critic = trained_on_two_points("wasserstein", real, fake)
    assert float(critic(real) - critic(fake)) == pytest.approx(0.01 * (3.0 + 4.0), rel=1e-5)


def test_clip_weights() -> None:
    critic = torch.nn.Linear(3, 1)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[-2.0, 0.05, 0.3]]))
        critic.bias.fill_(0.5)
    adversarial.clip_weights(critic, 0.1)
    torch.testing.assert_close(critic.weight.detach(), torch.tensor([[-0.1, 0.05, 0.1]]))
    assert critic.bias.item() == pytest.approx(0.1)
    with pytest.raises(ParameterError, match=r"limit=0\.0 must be more than 0"):
        adversarial.clip_weights(critic, 0.0)


def test_slerp() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 6, 16, dtype=torch.float64)
    at = lambda t: losses.slerp(a, b, torch.full((6, 1), t, dtype=torch.float64))  # noqa: E731
    torch.testing.assert_close(at(0.0), a)
    torch.testing.assert_close(at(1.0), b)
    middle = at(0.5)
    lengths = [v.norm(dim=1) for v in (a, b, middle)]
    torch.testing.assert_close(lengths[2], 0.5 * (lengths[0] + lengths[1]))
    cosines = [torch.cosine_similarity(middle, v) for v in (a, b)]
    torch.testing.assert_close(cosines[0], cosines[1])
    angle = torch.arccos(torch.cosine_similarity(a, b))
    torch.testing.assert_close(torch.arccos(cosines[0]), 0.5 * angle)
    # Equal steps are equal angles, and equal latents stay what they are.
    third = torch.arccos(torch.cosine_similarity(at(1.0 / 3.0), a))
    torch.testing.assert_close(third, angle / 3.0)
    half = torch.full((6, 1), 0.5, dtype=torch.float64)
    torch.testing.assert_close(losses.slerp(a, a, half), a, rtol=1e-5, atol=1e-6)
    assert torch.isfinite(losses.slerp(a, -a, half)).all()


def test_loudness_weight() -> None:
    level = torch.tensor([[4.0, 2.0, -10.0], [-3.0, -4.0, -50.0]])
    weight = losses.loudness_weight(level)
    torch.testing.assert_close(weight[0], torch.exp(0.5 * torch.tensor([0.0, -2.0, -14.0])))
    torch.testing.assert_close(weight[1], torch.exp(0.5 * level[1]))  # against 0 nats


def test_energy_distance_learns_how_much_real_ones_vary() -> None:
    torch.manual_seed(0)
    mean, spread = (torch.tensor(value, requires_grad=True) for value in (0.0, 0.05))
    optimiser = torch.optim.Adam((mean, spread), 0.02)
    for _ in range(400):
        real = 0.3 + 0.5 * torch.randn(256)
        first, second = (mean + spread * torch.randn(256) for _ in range(2))
        pairs = ((first, real), (second, real), (first, second))
        loss = losses.energy_distance(*((a - b).abs().mean() for a, b in pairs))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(mean) == pytest.approx(0.3, abs=0.1)
    assert float(spread.abs()) == pytest.approx(0.5, abs=0.1)


def test_magnitude_distance() -> None:
    wanted = torch.zeros(1, 8, 8)
    made = wanted.clone()
    made[0, 0, 0] = 0.8
    # A bin alone, and in a mean over 16, come to the same; so do their changes, which are as many
    # as there are steps in time.
    alone, change, mean_change = 0.8 / 64, 0.8 / 56, 0.05 / 2
    expected = 0.5 * (2.0 * alone + losses.CHANGE_WEIGHT * (change + mean_change))
    assert float(losses.magnitude_distance(made, wanted)) == pytest.approx(expected)
    # What cancels within 4 x 4 bins counts as single bins only.
    made[0, 0, 1] = -0.8
    expected = alone + losses.CHANGE_WEIGHT * change
    assert float(losses.magnitude_distance(made, wanted)) == pytest.approx(expected)
    assert float(losses.magnitude_distance(made, made)) == 0.0


def test_a_steady_difference_is_not_a_change() -> None:
    wanted, flicker = torch.zeros(1, 8, 8), torch.tensor([0.5, -0.5]).repeat(4)[:, None]
    steady = losses.magnitude_distance(wanted + 0.5, wanted)
    assert float(steady) == pytest.approx(0.5)
    expected = 0.5 * (0.5 + losses.CHANGE_WEIGHT)
    assert float(losses.magnitude_distance(wanted + flicker, wanted)) == pytest.approx(expected)


def test_energy_distance_tells_slow_change_from_flicker() -> None:
    """Of made notes whose single bins vary like real ones, those that last as long are nearest."""
    torch.manual_seed(0)
    shape = (4000, 16, 4)

    def notes(steady: float) -> torch.Tensor:
        lasting, flicker = torch.randn(shape[0], 1, 1), torch.randn(shape)
        return steady**0.5 * lasting + (1.0 - steady) ** 0.5 * flicker

    def apart(steady: float) -> float:
        real, first, second = notes(0.9), notes(steady), notes(steady)
        pairs = ((first, real), (second, real), (first, second))
        return float(losses.energy_distance(*(losses.magnitude_distance(*pair) for pair in pairs)))

    assert apart(0.9) < min(apart(0.6), apart(1.0))


def test_loud_distance() -> None:
    made, wanted, weight = torch.zeros(1, 8, 8), torch.zeros(1, 8, 8), torch.full((1, 8, 8), 0.25)
    made += 0.1
    assert float(losses.loud_distance(made, wanted, weight)) == pytest.approx(0.1)
    weight[..., :4] = 1.0  # as steady, and so much of all the weight
    made[..., 4:] = 0.0
    assert float(losses.loud_distance(made, wanted, weight)) == pytest.approx(0.1 / 1.25)


def test_peak_distance_is_about_the_strongest_bins() -> None:
    real = torch.full((1, 8, 1000), -12.0)
    real[0, :4, 500] = 1.0  # one partial; the other frames are silent
    weight = losses.loudness_weight(real)
    made = real.clone()
    made[0, :4, 500] += 1.0
    assert float(losses.peak_distance(made, real, weight)) == pytest.approx(0.5, abs=0.01)
    made = real + 1.0
    made[0, :4, 500] -= 1.0
    assert float(losses.peak_distance(made, real, weight)) < 0.01
    assert float(losses.loud_distance(made, real, weight)) > 0.5
    assert float(losses.peak_distance(made, real, weight, share=0.0)) == 0.0


def test_frequency_distance() -> None:
    wanted = torch.zeros(1, 1, 2)
    made = torch.tensor([[[0.5, 1.0]]])
    weight = torch.tensor([[[1.0, 0.5]]])
    # The chord of a quarter of a turn, and of a half; the weights are squared.
    distance = losses.frequency_distance(made, wanted, weight)
    assert float(distance) == pytest.approx((math.sqrt(2.0) + 0.25 * 2.0) / 1.25)
    whole_turns = losses.frequency_distance(wanted + 2.0, wanted, weight)
    assert float(whole_turns) == pytest.approx(0.0, abs=1e-6)
    # A change of half a turn, where both frames are loud.
    changing = torch.tensor([[[0.0, 0.0], [0.0, 1.0]]])
    weight = torch.tensor([[[1.0, 1.0], [1.0, 0.5]]])
    distance = losses.frequency_distance(changing, torch.zeros(1, 2, 2), weight)
    assert float(distance) == pytest.approx((0.5 + losses.CHANGE_WEIGHT * 0.5) / 3.25)


def mlp(*sizes: int) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.slow
def test_eight_gaussians_are_all_found() -> None:
    """The toy of Gulrajani et al., "Improved Training of Wasserstein GANs", figure 1, shortened."""
    torch.manual_seed(0)
    angle = 2.0 * math.pi * torch.arange(8) / 8
    centres = 2.0 * torch.stack((angle.cos(), angle.sin()), dim=1) / 1.414
    generator, critic = mlp(2, 96, 96, 2), mlp(2, 96, 96, 1)
    adam = torch.optim.Adam(generator.parameters(), 2e-3, (0.5, 0.9))
    critic_adam = torch.optim.Adam(critic.parameters(), 2e-3, (0.5, 0.9))

    objective = adversarial.OBJECTIVES["wasserstein-gp"]

    def score(x: torch.Tensor) -> torch.Tensor:
        return critic(x)[:, 0]

    for _ in range(500):
        for _ in range(3):
            real = centres[torch.randint(8, (128,))] + 0.02 / 1.414 * torch.randn(128, 2)
            fake = generator(torch.randn(128, 2)).detach()
            penalty = adversarial.gradient_penalty(score, real, fake)
            loss = objective.critic(score(real), score(fake)) + 0.1 * penalty
            critic_adam.zero_grad()
            loss.backward()
            critic_adam.step()
        adam.zero_grad()
        objective.generator(score(generator(torch.randn(128, 2)))).backward()
        adam.step()

    with torch.no_grad():
        made = generator(torch.randn(4000, 2))
    distance = torch.cdist(made, centres)
    near = distance.amin(dim=1) < 0.3
    share = torch.bincount(distance.argmin(dim=1)[near], minlength=8) / 4000
    assert near.float().mean() > 0.6, near.float().mean()
    assert share.min() > 0.02, share


def test_log_mel_distance() -> None:
    torch.manual_seed(0)
    t = torch.arange(16000) / 16000
    tone = 0.5 * torch.sin(2.0 * math.pi * 440.0 * t) + 0.01 * torch.randn(16000)
    noise = 0.1 * torch.randn(2, 16000)
    assert float(losses.log_mel_distance(tone, tone, 16000)) == 0.0
    # A gain of 6 dB is a distance of 6 dB; a phase is none.
    louder = losses.log_mel_distance(noise, 2.0 * noise, 16000)
    assert float(louder) == pytest.approx(6.02, abs=0.05)
    assert float(losses.log_mel_distance(noise, -noise, 16000)) < 1e-4
    octave = 0.5 * torch.sin(2.0 * math.pi * 880.0 * t) + 0.01 * torch.randn(16000)
    other = float(losses.log_mel_distance(tone, octave, 16000))
    assert other > 1.0
    assert other == pytest.approx(float(losses.log_mel_distance(octave, tone, 16000)))
    silent = losses.log_mel_distance(torch.zeros(3, 100), torch.full((3, 100), 1e-9), 44100)
    assert float(silent) < 1e-4


def test_log_mel_bands_are_librosas() -> None:
    """Another library's mel spectrogram gives the same number."""
    librosa = pytest.importorskip("librosa")
    torch.manual_seed(0)
    a, b = 0.1 * torch.randn(2, 8000)

    def log_mel(x: torch.Tensor) -> np.ndarray:
        power = librosa.feature.melspectrogram(
            y=x.numpy(), sr=16000, n_fft=1024, hop_length=256, n_mels=64, htk=True, norm=None
        )
        return 10.0 * np.log10(power + 1e-4)

    wanted = np.abs(log_mel(a) - log_mel(b)).mean()
    assert float(losses.log_mel_distance(a, b, 16000)) == pytest.approx(wanted, rel=1e-3)
