"""Each algorithm against its equation, computed apart from it on a tiny network."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.evaluation.domains import algorithms
from audiogen.evaluation.domains.algorithms import ALGORITHMS
from audiogen.evaluation.domains.network import Network, block_loss, image_network

LOSS = block_loss([3])
LR = 0.01


def learner(name, n_domains=3, **values):
    torch.manual_seed(0)
    features = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh())
    network = Network(features, 4, 3).double()
    made = ALGORITHMS[name](network, LOSS, n_domains, {"lr": LR, **values}, 3)
    for part in ("discriminator", "embedding"):
        if hasattr(made, part):
            getattr(made, part).double()
    return made


@pytest.fixture
def batches():
    random = np.random.default_rng(1)
    return [
        (
            torch.from_numpy(random.standard_normal((8, 3)) + e),
            torch.from_numpy(random.integers(3, size=(8, 1))),
        )
        for e in range(3)
    ]


def cross_entropy(logits, labels):
    """Mean cross entropy in numpy."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    exponential = np.exp(logits)
    p = exponential[np.arange(len(labels)), labels] / exponential.sum(axis=1)
    return float(-np.log(p).mean())


def value_of(made, batches):
    return float(made.objective(batches).detach())


def logits_of(made, x):
    return made.network(x).detach().numpy()


def risks_of(made, batches):
    return [cross_entropy(logits_of(made, x), y[:, 0]) for x, y in batches]


def features_of(made, batches):
    return [made.network.features(x).detach().numpy() for x, _ in batches]


def test_erm_minimises_the_mean_risk(batches):
    made = learner("erm")
    assert value_of(made, batches) == pytest.approx(np.mean(risks_of(made, batches)))
    before = made.network.classifier.weight.detach().clone()
    made.update(batches)
    step = made.network.classifier.weight.detach() - before
    # Adam's first step is the learning rate against the sign of the gradient.
    sign = torch.sign(made.network.classifier.weight.grad)
    assert torch.allclose(step, -LR * sign, rtol=1e-4)


def test_irm_penalises_the_derivative_by_the_scale(batches):
    def slope(made, x, y, part):
        f, step = logits_of(made, x)[part], 1e-5
        labels = y[part, 0]
        return (cross_entropy((1 + step) * f, labels) - cross_entropy((1 - step) * f, labels)) / (
            2 * step
        )

    halves = (slice(0, None, 2), slice(1, None, 2))
    for unbiased in (True, False):
        made = learner("irm", **{"lambda": 50.0, "anneal": 1, "unbiased": unbiased})
        penalties = [
            np.prod([slope(made, x, y, half) for half in halves])
            if unbiased
            else slope(made, x, y, slice(None)) ** 2
            for x, y in batches
        ]
        mean = np.mean(risks_of(made, batches))
        assert value_of(made, batches) == pytest.approx(mean + np.mean(penalties))
        made.step = 1  # annealed: the whole is divided by lambda
        optimiser = made.optimiser
        wanted = (mean + 50 * np.mean(penalties)) / 50
        assert value_of(made, batches) == pytest.approx(wanted, rel=1e-5)
        assert made.optimiser is not optimiser


def test_the_unbiased_penalty_has_the_mean_of_the_squared_expected_slope():
    # 2 x 2 examples with slopes a, b: all ways to pair halves average to ((a + b) / 2)^2 only
    # without the squares of single examples, which the plain form counts.
    made = learner("irm", **{"lambda": 1.0, "anneal": 0})
    f = torch.tensor([[2.0, 0, 0], [2.0, 0, 0]], dtype=torch.float64)
    y = torch.tensor([[0], [1]])
    a, b = (
        float(
            learner("irm", **{"lambda": 1, "anneal": 0, "unbiased": False}).penalty(
                f[i : i + 1], y[i : i + 1]
            )
        )
        ** 0.5
        for i in (0, 1)
    )
    assert float(made.penalty(f, y)) == pytest.approx(-a * b)  # the slopes have opposite signs


def test_group_dro_multiplies_weights_by_exponentials_of_risks(batches):
    made = learner("group-dro", eta=0.7)
    risks = np.array(risks_of(made, batches))
    weights = np.full(3, 1 / 3)
    for _ in range(2):
        weights = weights * np.exp(0.7 * risks)
        weights /= weights.sum()
        assert value_of(made, batches) == pytest.approx(float(weights @ risks))


def test_mixup_mixes_examples_and_losses_of_two_domains(batches, monkeypatch):
    monkeypatch.setattr(algorithms.torch, "randperm", lambda n: torch.tensor([2, 0, 1]))
    monkeypatch.setattr(
        torch.distributions.Beta, "sample", lambda self: torch.tensor(0.3, dtype=torch.float64)
    )
    made = learner("mixup", alpha=0.2)
    wanted = []
    for i, j in ((2, 0), (0, 1), (1, 2)):
        f = logits_of(made, 0.3 * batches[i][0] + 0.7 * batches[j][0])
        losses = [cross_entropy(f, batches[k][1][:, 0]) for k in (i, j)]
        wanted.append(0.3 * losses[0] + 0.7 * losses[1])
    assert value_of(made, batches) == pytest.approx(np.mean(wanted))


def test_mldg_adds_the_gradient_of_a_domain_after_a_step_on_the_others(batches, monkeypatch):
    monkeypatch.setattr(algorithms.torch, "randperm", lambda n: torch.tensor([1, 0, 2]))
    made = learner("mldg", beta=0.5)
    first, second = copy.deepcopy(made.network), copy.deepcopy(made.network)
    inner = sum(LOSS(first(batches[i][0]), batches[i][1]) for i in (0, 2)) / 2
    inner.backward()
    with torch.no_grad():
        for weight, source in zip(second.parameters(), first.parameters(), strict=True):
            weight -= LR * source.grad
    outer = LOSS(second(batches[1][0]), batches[1][1])
    outer.backward()
    value = made.update(batches)
    assert value == pytest.approx(float(inner + 0.5 * outer))
    for weight, a, b in zip(
        made.network.parameters(), first.parameters(), second.parameters(), strict=True
    ):
        assert torch.allclose(weight.grad, a.grad + 0.5 * b.grad)


def test_coral_aligns_means_and_covariances(batches):
    made = learner("coral", gamma=2.0)
    f = features_of(made, batches)
    distances = [
        np.mean((f[i].mean(0) - f[j].mean(0)) ** 2)
        + np.mean((np.cov(f[i].T) - np.cov(f[j].T)) ** 2)
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    wanted = np.mean(risks_of(made, batches)) + 2 * np.mean(distances)
    assert value_of(made, batches) == pytest.approx(wanted)


def test_mmd_compares_sums_of_gaussian_kernels(batches):
    made = learner("mmd", gamma=3.0)

    def kernel(a, b):
        return np.mean(
            [sum(np.exp(-s * ((x - y) ** 2).sum()) for s in made.scales) for x in a for y in b]
        )

    f = features_of(made, batches)
    distances = [
        kernel(f[i], f[i]) + kernel(f[j], f[j]) - 2 * kernel(f[i], f[j])
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    wanted = np.mean(risks_of(made, batches)) + 3 * np.mean(distances)
    assert value_of(made, batches) == pytest.approx(wanted)
    assert made.scales == (1e-3, 1e-2, 1e-1, 1, 10, 100, 1000)


@pytest.mark.parametrize("name", ["dann", "cdann"])
def test_adversaries_reverse_the_gradient_of_their_discriminator(name, batches):
    made = learner(name, **{"lambda": 0.4, "lr_discriminator": LR})
    f = torch.cat([made.network.features(x) for x, _ in batches])
    labels = torch.cat([y for _, y in batches])[:, 0]
    domains = np.repeat(np.arange(3), 8)
    received = f + made.embedding(labels) if name == "cdann" else f
    logits = made.discriminator(received).detach().numpy()
    losses = np.array([cross_entropy(logits[[i]], domains[[i]]) for i in range(24)])
    weights = 1 / np.bincount(labels)[labels] if name == "cdann" else np.ones(24)
    adversary = float((weights * losses).sum() / weights.sum())
    wanted = np.mean(risks_of(made, batches)) + adversary
    assert value_of(made, batches) == pytest.approx(wanted)

    risk = torch.stack(made.risks(batches)).mean()
    loss = made.domain_loss(f, torch.cat([y for _, y in batches]), torch.from_numpy(domains))
    body = list(made.network.features.parameters())
    own = list(made.discriminator.parameters())
    parts = [torch.autograd.grad(v, body, retain_graph=True) for v in (risk, loss)]
    of_discriminator = torch.autograd.grad(loss, own)
    made.update(batches)
    for weight, a, b in zip(body, *parts, strict=True):
        assert torch.allclose(weight.grad, a - 0.4 * b)
    for weight, gradient in zip(own, of_discriminator, strict=True):
        assert torch.allclose(weight.grad, gradient)


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_algorithm_learns_one_domain_or_three(name, batches):
    values = {"lambda": 0.1, "anneal": 1e9, "eta": 0.01, "alpha": 0.2, "beta": 0.5, "gamma": 0.1}
    for n in (1, 3):
        made = learner(name, n, lr_discriminator=LR, **values)
        x = batches[0][0]
        easy = [(x, (x[:, :1] > x[:, 1:2]).long())] * n
        first = np.mean(risks_of(made, easy))
        for _ in range(60):
            made.update(easy)
        assert np.mean(risks_of(made, easy)) < 0.7 * first


def test_each_algorithm_is_short():
    import inspect

    for kind in ALGORITHMS.values():
        n_code = len([line for line in inspect.getsource(kind).splitlines() if line.strip()])
        assert n_code <= 40, kind


def test_losses_add_up_and_the_network_has_a_head_for_all_labels():
    logits = torch.randn(5, 7, dtype=torch.float64)
    labels = torch.stack([torch.randint(3, (5,)), torch.randint(4, (5,))], 1)
    wanted = cross_entropy(logits[:, :3], labels[:, 0]) + cross_entropy(logits[:, 3:], labels[:, 1])
    assert float(block_loss([3, 4])(logits, labels)) == pytest.approx(wanted)
    assert image_network(60)(torch.zeros(2, 84, 16)).shape == (2, 60)
