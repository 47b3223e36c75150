"""A critic that scores patches of a note's spectrogram, for training only.

Convolutions with a score for each patch (Isola et al., "Image-to-Image Translation with Conditional
Adversarial Networks", CVPR 2017) and a projection of the instrument (Miyato and Koyama, "cGANs with
Projection Discriminator", ICLR 2018). Like the generator's blocks, it receives the positions of the
pitch's partials, the time in the note, and the velocity. A score depends on 25 frames and 105 bins;
scores are 4 frames and 16 bins apart.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.models.gansynth import SLOPE
from audiogen.representation.harmonic import N_MAPS, N_TIME_FEATURES

WIDTHS = (24, 48, 72, 72)
KERNELS = ((3, 9), (3, 9), (3, 5), (3, 5))  # frames, bins
STRIDES = ((1, 2), (2, 2), (2, 2), (1, 2))


class CriticConditions(NamedTuple):
    """Conditions of a critic's input, one row for each note."""

    maps: Tensor  # [batch, 8, n_bins], `harmonic_maps` of the pitch
    time: Tensor  # [batch, n_frames, 7], `time_features`
    velocity: Tensor  # [batch], 0..1
    instruments: Tensor  # [batch], int64


class PatchCritic(nn.Module):
    """Scores of patches: higher for real notes.

    Parameters
    ----------
    n_instruments : int
        Number of instruments.
    """

    def __init__(self, n_instruments: int):
        super().__init__()
        kernel, width = KERNELS[0], WIDTHS[0]
        # Maps are alike in all frames and times in all bins: the layer of their concatenation
        # with the spectrogram is a sum of smaller ones.
        self.level = nn.Conv2d(1, width, kernel, STRIDES[0], _same(kernel))
        self.maps = nn.Conv1d(N_MAPS, width, kernel[1], STRIDES[0][1], kernel[1] // 2, bias=False)
        self.time = nn.Linear(N_TIME_FEATURES + 1, width, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                WIDTHS[i], WIDTHS[i + 1], KERNELS[i + 1], STRIDES[i + 1], _same(KERNELS[i + 1])
            )
            for i in range(len(WIDTHS) - 1)
        )
        self.score = nn.Conv2d(WIDTHS[-1], 1, 3, padding=1)
        self.instrument = nn.Embedding(n_instruments, WIDTHS[-1])
        for layer in (self.level, self.maps, *self.convolutions):
            nn.init.kaiming_normal_(layer.weight, SLOPE)
        nn.init.zeros_(self.instrument.weight)

    def forward(self, level: Tensor, conditions: CriticConditions) -> tuple[Tensor, list[Tensor]]:
        """Score notes.

        Parameters
        ----------
        level : Tensor [batch, n_frames, n_bins]
            Log magnitudes, from about -1 to 1.
        conditions : CriticConditions
            Conditions of each note.

        Returns
        -------
        scores : Tensor [batch, n_patches]
            Scores.
        features : list of Tensor [batch, channels, n_rows, n_columns]
            Outputs of the hidden layers after the first.
        """
        velocity = (2.0 * conditions.velocity - 1.0)[:, None, None]
        time = torch.cat((conditions.time, velocity.expand(-1, level.shape[1], 1)), dim=2)
        x = level[:, None].contiguous(memory_format=torch.channels_last)
        x = self.level(x) + self.maps(conditions.maps)[:, :, None]
        x = F.leaky_relu(x + self.time(time).transpose(1, 2)[..., None], SLOPE)
        features = []
        for layer in self.convolutions:
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
        projection = torch.einsum("bc,bctf->btf", self.instrument(conditions.instruments), x)
        return (self.score(x)[:, 0] + projection).flatten(1).float(), features


def _same(kernel: tuple[int, int]) -> tuple[int, int]:
    """Padding with which a convolution of stride 1 keeps the size."""
    return kernel[0] // 2, kernel[1] // 2
