"""Nine algorithms that train a network on several domains, each with its equation and paper.

R_e is the mean loss (risk) of the network f = w(Phi(x)) on the batch of domain e, where Phi are the
features, w is the classifier and n is the number of domains.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from audiogen.evaluation.domains.network import Loss, Network

Batches = Sequence[tuple[Tensor, Tensor]]  # inputs and labels [n, n_labels] of each domain


class Algorithm:
    """Base class of the algorithms: one optimiser, which minimises their objective.

    Parameters
    ----------
    network : Network
        Network to train.
    loss : callable
        Loss of (logits, labels): the mean over the batch.
    n_domains : int
        Number of training domains.
    hyperparameters : mapping
        Values of the algorithm; ``lr`` and optionally ``weight_decay`` for all.
    n_classes : int
        Number of classes of the first label, for algorithms that are conditioned on it.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        n_domains: int,
        hyperparameters: Mapping[str, float],
        n_classes: int = 1,
    ) -> None:
        self.network, self.loss, self.n_domains = network, loss, n_domains
        self.n_classes = n_classes
        self.values, self.step = dict(hyperparameters), 0
        self.prepare()
        self.reset_optimiser()

    def prepare(self) -> None:
        """Make the algorithm's modules other than the network."""

    def groups(self) -> list[dict]:
        """Return the optimiser's parameter groups."""
        return [{"params": list(self.network.parameters())}]

    def reset_optimiser(self) -> None:
        """Reset the optimiser and its moments."""
        decay = self.values.get("weight_decay", 0.0)
        self.optimiser = torch.optim.Adam(self.groups(), self.values["lr"], weight_decay=decay)

    def risks(self, batches: Batches) -> list[Tensor]:
        """Return R_e of each domain."""
        return [self.loss(self.network(x), y) for x, y in batches]

    def objective(self, batches: Batches) -> Tensor:
        """Return the value to minimise."""
        raise NotImplementedError

    def update(self, batches: Batches) -> float:
        """Take one step, and return the objective before it."""
        value = self.objective(batches)
        self.optimiser.zero_grad()
        value.backward()
        self.optimiser.step()
        self.step += 1
        return float(value.detach())


class ERM(Algorithm):
    """Empirical risk minimisation (Vapnik, 1998): minimise (1 / n) sum_e R_e."""

    def objective(self, batches: Batches) -> Tensor:
        return torch.stack(self.risks(batches)).mean()


class IRM(Algorithm):
    """Invariant risk minimisation (Arjovsky et al., 2019), IRMv1.

    Minimise (1 / n) sum_e [R_e + lambda (d R_e(s f) / d s at s = 1)^2]. lambda is 1 for
    ``anneal`` steps; then the optimiser is reset, and the objective is divided by lambda.
    With ``unbiased`` the square is the product of the derivatives of two halves of the batch,
    whose mean is the squared derivative of the expected risk; the value can be negative.
    """

    def penalty(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the squared derivative with respect to the scale of the logits."""

        def slope(part: slice) -> Tensor:
            scale = torch.ones((), requires_grad=True)
            risk = self.loss(logits[part] * scale, y[part])
            return torch.autograd.grad(risk, scale, create_graph=True)[0]

        if self.values.get("unbiased", True):
            return slope(slice(0, None, 2)) * slope(slice(1, None, 2))
        return slope(slice(None)) ** 2

    def objective(self, batches: Batches) -> Tensor:
        weight = self.values["lambda"] if self.step >= self.values["anneal"] else 1.0
        if self.step and self.step == math.ceil(self.values["anneal"]):
            self.reset_optimiser()
        logits = [self.network(x) for x, _ in batches]
        risks = [self.loss(f, y) for f, (_, y) in zip(logits, batches, strict=True)]
        penalties = [self.penalty(f, y) for f, (_, y) in zip(logits, batches, strict=True)]
        total = torch.stack(risks).mean() + weight * torch.stack(penalties).mean()
        return total / max(weight, 1.0)


class GroupDRO(Algorithm):
    """Group distributionally robust optimisation (Sagawa et al., ICLR 2020).

    Minimise sum_e q_e R_e with q_e <- q_e exp(eta R_e) / sum, so the worst domain weighs most.
    """

    def prepare(self) -> None:
        self.weights = torch.full((self.n_domains,), 1.0 / self.n_domains)

    def objective(self, batches: Batches) -> Tensor:
        risks = torch.stack(self.risks(batches))
        self.weights = self.weights * torch.exp(self.values["eta"] * risks.detach())
        self.weights = self.weights / self.weights.sum()
        return (self.weights * risks).sum()


class Mixup(Algorithm):
    """Mixup between domains (Zhang et al., ICLR 2018; Yan et al., 2020).

    Minimise E[m L(f(x), y_i) + (1 - m) L(f(x), y_j)] with x = m x_i + (1 - m) x_j, where the
    examples come from two domains i and j, and m ~ Beta(alpha, alpha).
    """

    def objective(self, batches: Batches) -> Tensor:
        alpha = self.values["alpha"]
        order = torch.randperm(len(batches)).tolist()
        values = []
        for i, j in zip(order, order[1:] + order[:1], strict=True):
            (first, y_first), (second, y_second) = batches[i], batches[j]
            if i == j:  # one domain
                second, y_second = second.flip(0), y_second.flip(0)
            n = min(len(first), len(second))
            m = torch.distributions.Beta(alpha, alpha).sample()
            logits = self.network(m * first[:n] + (1 - m) * second[:n])
            losses = (self.loss(logits, y_first[:n]), self.loss(logits, y_second[:n]))
            values.append(m * losses[0] + (1 - m) * losses[1])
        return torch.stack(values).mean()


class MLDG(ERM):
    """Meta-learning for domain generalisation (Li et al., AAAI 2018), first order.

    Minimise F(t) + beta G(t - lr dF/dt) in the weights t, where G is the risk of one domain, drawn
    at each step, and F the mean risk of the others; the inner gradient is a constant.
    """

    def update(self, batches: Batches) -> float:
        if len(batches) == 1:  # its halves stand in for two domains
            x, y = batches[0]
            batches = [(x[::2], y[::2]), (x[1::2], y[1::2])]
        order = torch.randperm(len(batches)).tolist()
        inner, (x, y) = [batches[i] for i in order[1:]], batches[order[0]]
        weights = dict(self.network.named_parameters())
        outer_risk = super().objective(inner)
        gradients = torch.autograd.grad(outer_risk, list(weights.values()))
        moved = {
            name: (weight - self.values["lr"] * gradient).detach().requires_grad_()
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
        risk = self.loss(functional_call(self.network, moved, (x,)), y)
        further = torch.autograd.grad(risk, list(moved.values()))
        beta = self.values["beta"]
        for weight, first, second in zip(weights.values(), gradients, further, strict=True):
            weight.grad = first + beta * second
        self.optimiser.step()
        self.step += 1
        return float((outer_risk + beta * risk).detach())


class CORAL(Algorithm):
    """Correlation alignment (Sun and Saenko, ECCV workshops 2016), with means as well.

    Minimise (1 / n) sum_e R_e + gamma mean_{i<j} [|m_i - m_j|^2 / d + |C_i - C_j|_F^2 / d^2] with
    the means m and covariances C of the d features in each domain.
    """

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the distance of two sets of features [n, d]."""
        means = (first.mean(0) - second.mean(0)).square().mean()
        return means + (torch.cov(first.T) - torch.cov(second.T)).square().mean()

    def objective(self, batches: Batches) -> Tensor:
        features = [self.network.features(x) for x, _ in batches]
        risks = [
            self.loss(self.network.classifier(f), y)
            for f, (_, y) in zip(features, batches, strict=True)
        ]
        value = torch.stack(risks).mean()
        pairs = [self.distance(a, b) for a, b in itertools.combinations(features, 2)]
        return value + self.values["gamma"] * torch.stack(pairs).mean() if pairs else value


class MMD(CORAL):
    """Maximum mean discrepancy (Gretton et al., JMLR 2012; Li et al., CVPR 2018).

    Minimise (1 / n) sum_e R_e + gamma mean_{i<j} [E k(a, a') + E k(b, b') - 2 E k(a, b)] with
    features a, b of domains i, j and k(a, b) = sum_s exp(-s |a - b|^2), s = 0.001, 0.01, ... 1000.
    """

    scales = tuple(10.0**power for power in range(-3, 4))

    def kernel(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the mean of the kernel over all pairs."""
        squares = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist").square()
        return torch.stack([torch.exp(-s * squares) for s in self.scales]).sum(0).mean()

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        same = self.kernel(first, first) + self.kernel(second, second)
        return same - 2 * self.kernel(first, second)


class _Reversed(torch.autograd.Function):
    """The identity, whose gradient is multiplied by -weight."""

    @staticmethod
    def forward(context, x: Tensor, weight: float) -> Tensor:
        context.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.weight * gradient, None


class DANN(Algorithm):
    """Domain-adversarial training (Ganin et al., JMLR 2016).

    min over Phi, w and max over the discriminator D of (1 / n) sum_e R_e - lambda L(D(Phi(x)), e),
    by gradient reversal: D minimises its cross entropy L, whose gradient reaches Phi with -lambda.
    """

    def prepare(self) -> None:
        n = self.network.n_features
        self.discriminator = nn.Sequential(
            nn.Linear(n, 64), nn.ReLU(), nn.Linear(64, self.n_domains)
        )

    def groups(self) -> list[dict]:
        own = list(self.discriminator.parameters())
        return [*super().groups(), {"params": own, "lr": self.values["lr_discriminator"]}]

    def domain_loss(self, features: Tensor, labels: Tensor, domains: Tensor) -> Tensor:
        """Return the discriminator's cross entropy."""
        return F.cross_entropy(self.discriminator(features), domains)

    def objective(self, batches: Batches) -> Tensor:
        features = [self.network.features(x) for x, _ in batches]
        labels = torch.cat([y for _, y in batches])
        sizes = torch.tensor([len(x) for x, _ in batches])
        domains = torch.repeat_interleave(torch.arange(len(batches)), sizes)
        parts = zip(features, batches, strict=True)
        risks = [self.loss(self.network.classifier(f), y) for f, (_, y) in parts]
        reverse = _Reversed.apply(torch.cat(features), self.values["lambda"])
        return torch.stack(risks).mean() + self.domain_loss(reverse, labels, domains)


class CDANN(DANN):
    """Class-conditional DANN (Li et al., ECCV 2018).

    DANN whose discriminator receives Phi(x) plus an embedding of the class, and whose cross entropy
    weights an example by 1 / (number of examples of its class), so that classes count equally.
    """

    def prepare(self) -> None:
        super().prepare()
        self.embedding = nn.Embedding(self.n_classes, self.network.n_features)

    def groups(self) -> list[dict]:
        groups = super().groups()
        groups[1]["params"] += list(self.embedding.parameters())
        return groups

    def domain_loss(self, features: Tensor, labels: Tensor, domains: Tensor) -> Tensor:
        classes = labels[:, 0]
        counts = torch.bincount(classes, minlength=self.n_classes)
        weights = 1.0 / counts[classes]
        logits = self.discriminator(features + self.embedding(classes))
        losses = F.cross_entropy(logits, domains, reduction="none")
        return (weights * losses).sum() / weights.sum()


ALGORITHMS: dict[str, type[Algorithm]] = {
    "erm": ERM,
    "irm": IRM,
    "group-dro": GroupDRO,
    "mixup": Mixup,
    "mldg": MLDG,
    "coral": CORAL,
    "mmd": MMD,
    "dann": DANN,
    "cdann": CDANN,
}
