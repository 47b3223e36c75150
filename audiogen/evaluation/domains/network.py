"""The network of the domains: convolutions over an image of a note, then a linear classifier."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.evaluation.domains.images import N_BANDS, N_FRAMES

CHANNELS, N_FEATURES = (1, 12, 24, 32), 64
_KERNELS = (((7, 3), (3, 2)), ((5, 3), (2, 2)), ((3, 3), (2, 2)))  # sizes and strides

Loss = Callable[[Tensor, Tensor], Tensor]


class Network(nn.Module):
    """A feature extractor and a linear classifier of its features.

    Parameters
    ----------
    features : nn.Module
        Feature extractor: inputs to [n, n_features].
    n_features, n_outputs : int
        Number of features, and of logits.
    """

    def __init__(self, features: nn.Module, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.features, self.n_features = features, n_features
        self.classifier = nn.Linear(n_features, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n, n_outputs]."""
        return self.classifier(self.features(x))


def image_network(n_outputs: int) -> Network:
    """Return the network for images [n, 84, 16]: three convolutions and a hidden layer of 64."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, N_BANDS))]
    height, width = N_BANDS, N_FRAMES
    for (before, after), (kernel, stride) in zip(
        itertools.pairwise(CHANNELS), _KERNELS, strict=True
    ):
        padding = (kernel[0] // 2, kernel[1] // 2)
        layers += [nn.Conv2d(before, after, kernel, stride, padding), nn.GroupNorm(4, after)]
        layers.append(nn.LeakyReLU(0.1))
        height, width = -(-height // stride[0]), -(-width // stride[1])
    layers += [nn.Flatten(), nn.Linear(CHANNELS[-1] * height * width, N_FEATURES)]
    return Network(nn.Sequential(*layers, nn.LeakyReLU(0.1)), N_FEATURES, n_outputs)


def block_loss(sizes: Sequence[int]) -> Loss:
    """Return the sum of cross entropies of several labels, whose logits are concatenated.

    Parameters
    ----------
    sizes : sequence of int
        Number of classes of each label, in the order of the columns of the labels [n, n_labels].
    """

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        blocks = logits.split(list(sizes), dim=1)
        return torch.stack(
            [F.cross_entropy(block, labels[:, i]) for i, block in enumerate(blocks)]
        ).sum()

    return loss
