"""GANSynth: a generator of whole notes as spectrograms, and the critic that teaches it.

Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019, after Karras et al.,
"Progressive Growing of GANs", ICLR 2018. Tensors are [batch, channels, n_frames, n_bins].

Two ways to say a pitch: ``one_hot``, as published, and ``harmonic``, where every block is told
where the partials of the pitch lie (`representation.harmonic`), what time it is in the note, how
hard it was struck, and is given noise for what isn't tonal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.errors import ParameterError
from audiogen.models.config import GeneratorConfig
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import (
    N_MAPS,
    N_TIME_FEATURES,
    harmonic_maps,
    time_features,
)

SLOPE = 0.2  # of the leaky ReLU


def pixel_norm(x: Tensor) -> Tensor:
    """Scale each pixel's channel vector to unit mean square (Karras et al., section 4.2)."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def upsample(x: Tensor) -> Tensor:
    """Repeat each pixel twice along both axes."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class EqualisedWeight(nn.Module):
    """A weight drawn from N(0, 1) and scaled where it's used (Karras et al., section 4.1)."""

    def __init__(self, *shape: int, gain: float = math.sqrt(2.0), bias: bool = True):
        super().__init__()
        self.scale = gain / math.sqrt(math.prod(shape[1:]))
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None

    def effective(self) -> Tensor:
        """The weight that multiplies, scale included."""
        return self.weight * self.scale

    def conv(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.effective(), self.bias)

    def linear(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective(), self.bias)


class Conditioning(nn.Module):
    """What a block of a ``harmonic`` generator is told beside its input."""

    def __init__(self, width: int, input_size: int):
        super().__init__()
        self.maps = EqualisedWeight(width, N_MAPS, gain=1.0, bias=False)
        self.time = EqualisedWeight(width, N_TIME_FEATURES, gain=1.0, bias=False)
        self.noise = EqualisedWeight(width, input_size, gain=1.0)
        with torch.no_grad():  # the same for all sounds, until they are heard to differ
            self.noise.weight.zero_()
            self.noise.bias.fill_(0.05)
        self.style1 = EqualisedWeight(2 * width, input_size, gain=0.5)
        self.style2 = EqualisedWeight(2 * width, input_size, gain=0.5)

    def terms(self, maps: Tensor, time: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What to add for maps [B, 8, F], time [T, 7] and input [B, input_size].

        Over bins [B, C, F], over frames [C, T], and share of the noise [B, C].
        """
        over_bins = torch.einsum("cm,bmf->bcf", self.maps.effective(), maps)
        return over_bins, self.time.linear(time).T, self.noise.linear(u)


class Block(nn.Module):
    """Upsample, two 3x3 convolutions, each with leaky ReLU and pixel norm."""

    def __init__(self, width: int, first: EqualisedWeight, config: GeneratorConfig):
        super().__init__()
        self.conv1 = first
        self.conv2 = EqualisedWeight(width, width, 3, 3)
        harmonic = config.conditioning == "harmonic"
        self.conditioning = Conditioning(width, config.input_size) if harmonic else None


def activate(x: Tensor, told: tuple[Tensor, ...] | None, style: Tensor | None) -> Tensor:
    """What follows a convolution: conditioning, style, leaky ReLU, pixel norm.

    Parameters
    ----------
    x : Tensor [batch, channels, n_frames, n_bins]
    told : (over bins [B, C, F], over frames [C, T], share of the noise [B, C], noise [B, T, F])
    style : Tensor [batch, 2 * channels]
        Scale less 1, then shift, of each channel.

    Returns
    -------
    Tensor, as ``x``
        Computed in float32 whatever the dtype of ``x``.
    """
    y = x.float()
    if told is not None:
        over_bins, over_frames, share, noise = told
        y = y + over_bins[:, :, None] + over_frames[:, :, None]
        y = y + share[:, :, None, None] * noise[:, None]
    if style is not None:
        scale, shift = style.float()[:, :, None, None].chunk(2, dim=1)
        y = y * (1.0 + scale) + shift
    return pixel_norm(F.leaky_relu(y, SLOPE)).to(x.dtype)


class Generator(nn.Module):
    """Latent and pitch to a spectrogram in the generator's units.

    Parameters
    ----------
    config : GeneratorConfig
    spectrogram : SpectrogramConfig
        Says what the bins are, for the ``harmonic`` conditioning.
    """

    def __init__(self, config: GeneratorConfig, spectrogram: SpectrogramConfig):
        super().__init__()
        self.config = config
        self.spectrogram = spectrogram
        full = config.shape(len(config.channels) - 1)
        if full != (spectrogram.n_frames, spectrogram.n_bins):
            raise ParameterError(
                f"channels and start_shape make {full[0]} x {full[1]}; the spectrogram is"
                f" {spectrogram.n_frames} x {spectrogram.n_bins}"
            )
        widths = config.channels
        blocks = []
        for b, width in enumerate(widths):
            if b == 0:
                # The paper's "VALID" convolution over a zero canvas that holds one vector: a
                # dense layer to start_shape with one bias a channel. A released kernel is flipped.
                first = EqualisedWeight(width, config.input_size, *config.start_shape)
            else:
                first = EqualisedWeight(width, widths[b - 1], 3, 3)
            blocks.append(Block(width, first, config))
        self.blocks = nn.ModuleList(blocks)
        self.to_rgb = nn.ModuleList(EqualisedWeight(2, w, 1, 1, gain=1.0) for w in widths)
        self.activate = activate  # training may put a compiled one here
        self.uniform = torch.rand  # and here one that draws for several processes

    def input_vector(self, z: Tensor, pitch: Tensor, velocity: Tensor | None) -> Tensor:
        """Latent with pitch (``one_hot``) or velocity (``harmonic``), as the first layer sees it.

        ``one_hot``: the pixel norm runs over latent and pitch together, as published.
        ``harmonic``: the latent is normalised alone; velocity 0..1 is mapped to -1..1.
        """
        config = self.config
        if config.conditioning == "one_hot":
            index = pitch.round().long() - config.pitch_min
            return pixel_norm(torch.cat((z, F.one_hot(index, config.n_pitches).to(z)), dim=1))
        velocity = torch.ones_like(pitch) if velocity is None else velocity
        return torch.cat((pixel_norm(z), 2.0 * velocity[:, None].to(z) - 1.0), dim=1)

    def forward(
        self,
        z: Tensor,
        pitch: Tensor,
        velocity: Tensor | None = None,
        *,
        noise: list[Tensor] | None = None,
        frames: tuple[int, int] | None = None,
        stage: float | None = None,
    ) -> Tensor:
        """Generate notes, or some frames of them.

        Parameters
        ----------
        z : Tensor [batch, latent_size]
        pitch : Tensor [batch], MIDI number
            Whole numbers for ``one_hot``.
        velocity : Tensor [batch], 0..1, optional
            For ``harmonic``; 1 by default.
        noise : list of Tensor [batch, n_frames_b, n_bins_b], optional
            One for each block, whole notes, unit variance; drawn when absent. For ``harmonic``.
        frames : (start, stop), optional
            Only these frames, at the cost of only these frames; equal to that part of the whole.
        stage : float, optional
            Progressive growing: 1 is the first block alone, 1.3 is 70 % of it and 30 % of the
            second block's image; all blocks by default. The output has the finer block's size.

        Returns
        -------
        Tensor [batch, 2, n_frames, n_bins]
            Log magnitude and phase channel in the generator's units, within [-1, 1].
        """
        config, batch = self.config, len(z)
        u = self.input_vector(z, pitch, velocity)
        n_blocks = len(self.blocks) if stage is None else math.ceil(stage)
        ranges = self._row_ranges(n_blocks, frames)
        if config.conditioning == "harmonic":
            pitches = pitch.detach().cpu().numpy().astype(np.float64)

        x, image = u, None
        for b in range(n_blocks):
            block = self.blocks[b]
            total, n_bins = config.shape(b)
            (p, q), (lo, hi) = ranges[b]
            if b == 0:
                x = torch.einsum("bi,oitf->botf", u, block.conv1.effective())
                x = x[:, :, p:q] + block.conv1.bias[:, None, None]
            else:
                x = block.conv1.conv(_rows(upsample(x), 2 * ranges[b - 1][1][0], p, q, total))
            if block.conditioning is not None:
                maps = torch.from_numpy(harmonic_maps(pitches, self.spectrogram, n_bins)).to(u)
                time = time_features(
                    config.shape(len(self.blocks) - 1)[0], config.note_off_frame, total
                )[p:q]
                if noise is None:
                    shape = (batch, q - p, n_bins)
                    grain = (self.uniform(shape, device=x.device) - 0.5) * math.sqrt(12.0)
                else:
                    grain = noise[b][:, p:q]
                terms = block.conditioning.terms(maps, torch.from_numpy(time).to(u), u)
                told = (*terms, grain.to(u))
                style1 = block.conditioning.style1.linear(u)
                style2 = block.conditioning.style2.linear(u)
            else:
                told = style1 = style2 = None
            x = self.activate(x, told, style1)
            x = self.activate(block.conv2.conv(_rows(x, p, lo, hi, total)), None, style2)
            if stage is not None and b >= n_blocks - 2:
                fine = torch.tanh(self.to_rgb[b].conv(x))
                if image is not None:
                    above = lo - 2 * ranges[b - 1][1][0]
                    coarse = upsample(image)[:, :, above : above + hi - lo]
                    fine = torch.lerp(coarse, fine, stage - n_blocks + 1)
                image = fine
        return torch.tanh(self.to_rgb[-1].conv(x)) if image is None else image

    def _row_ranges(self, n_blocks: int, frames: tuple[int, int] | None):
        """Rows of each block that the asked frames need: (after conv1, after conv2)."""
        lo, hi = frames or (0, self.config.shape(n_blocks - 1)[0])
        ranges = []
        for b in reversed(range(n_blocks)):
            total = self.config.shape(b)[0]
            p, q = max(lo - 1, 0), min(hi + 1, total)
            ranges.append(((p, q), (lo, hi)))
            lo, hi = max((p - 1) // 2, 0), min((q + 2) // 2, total // 2)
        return ranges[::-1]


def _rows(x: Tensor, start: int, lo: int, hi: int, total: int) -> Tensor:
    """Rows lo-1 .. hi of a level whose rows from ``start`` are ``x``, zeros beyond its ends."""
    top, bottom = int(lo == 0), int(hi == total)
    x = x[:, :, lo - 1 + top - start : hi + 1 - bottom - start]
    return F.pad(x, (1, 1, top, bottom))


@dataclass(frozen=True)
class CriticConfig:
    """Sizes of a critic; the defaults are the paper's.

    Parameters
    ----------
    channels : tuple of int
        Width of each block, coarse to fine, as the generator's.
    start_shape : tuple of int
        Frames and bins at the coarsest block.
    n_conditions : int
        Channels that tell the critic what was asked for, beside the two of the spectrogram.
    n_pitches : int
        Size of the auxiliary pitch classifier; 0 for none.
    """

    channels: tuple[int, ...] = (256, 256, 256, 256, 128, 64, 32)
    start_shape: tuple[int, int] = (2, 16)
    n_conditions: int = 0
    n_pitches: int = 61


class Critic(nn.Module):
    """Spectrogram to a score, higher for real, and pitch logits."""

    def __init__(self, config: CriticConfig):
        super().__init__()
        self.config = config
        widths = config.channels
        n_in = 2 + config.n_conditions
        self.from_rgb = nn.ModuleList(EqualisedWeight(w, n_in, 1, 1) for w in widths)
        self.blocks = nn.ModuleList(
            nn.ModuleList((EqualisedWeight(w, w, 3, 3), EqualisedWeight(widths[b], w, 3, 3)))
            for b, w in enumerate(widths[1:])
        )
        w = widths[0]
        self.last = nn.ModuleList(
            (EqualisedWeight(w, w + 1, 3, 3), EqualisedWeight(w, w, *config.start_shape))
        )
        self.score = EqualisedWeight(1, w, gain=1.0)
        self.joint = identity  # mean over the processes that have a share of the batch each
        self.pitch = EqualisedWeight(config.n_pitches, w, gain=1.0) if config.n_pitches else None

    def forward(self, image: Tensor, stage: float | None = None) -> tuple[Tensor, Tensor | None]:
        """Judge spectrograms in the generator's units.

        Parameters
        ----------
        image : Tensor [batch, 2 + n_conditions, n_frames, n_bins]
        stage : float, optional
            Progressive growing, as `Generator.forward`.

        Returns
        -------
        score : Tensor [batch]
        logits : Tensor [batch, n_pitches] or None
        """
        n_blocks = len(self.from_rgb) if stage is None else math.ceil(stage)
        x = F.leaky_relu(self.from_rgb[n_blocks - 1].conv(image), SLOPE)
        for b in reversed(range(n_blocks - 1)):
            for layer in self.blocks[b].children():
                x = F.leaky_relu(layer.conv(F.pad(x, (1, 1, 1, 1))), SLOPE)
            x = F.avg_pool2d(x, 2)
            if stage is not None and b == n_blocks - 2:
                coarse = F.leaky_relu(self.from_rgb[b].conv(F.avg_pool2d(image, 2)), SLOPE)
                x = torch.lerp(coarse, x, stage - n_blocks + 1)
        x = torch.cat((x, minibatch_deviation(x, self.joint)), dim=1)
        x = F.leaky_relu(self.last[0].conv(F.pad(x, (1, 1, 1, 1))), SLOPE)
        x = F.leaky_relu(self.last[1].conv(x), SLOPE)[:, :, 0, 0]
        logits = None if self.pitch is None else self.pitch.linear(x)
        return self.score.linear(x)[:, 0], logits


def identity(x: Tensor) -> Tensor:
    return x


def minibatch_deviation(x: Tensor, joint: Callable[[Tensor], Tensor] = identity) -> Tensor:
    """One channel that holds how much the batch varies (Karras et al., section 3).

    ``joint`` makes means of this process's share those of the whole batch.
    """
    mean = joint(x.mean(dim=0))
    deviation = torch.sqrt(joint((x - mean).square().mean(dim=0)) + 1e-6).mean()
    return deviation.expand(len(x), 1, *x.shape[2:])


def export_weights(generator: Generator) -> dict[str, np.ndarray]:
    """The generator's weights as the engine reads them: scales folded in, last image layer only.

    Returns
    -------
    dict of str to array, float32
        ``blocks.B.conv1.weight`` ([C, input, frames, bins] for block 0), ``.conv2.weight``,
        ``.conditioning.{style1,style2,noise}.weight``, each with ``.bias``;
        ``.conditioning.{maps,time}.weight``; ``to_rgb.weight`` [2, C], ``to_rgb.bias``.
    """
    weights: dict[str, Any] = {}
    for name, module in generator.named_modules():
        if isinstance(module, EqualisedWeight) and not name.startswith("to_rgb"):
            weights[f"{name}.weight"] = module.effective()
            if module.bias is not None:
                weights[f"{name}.bias"] = module.bias
    weights["to_rgb.weight"] = generator.to_rgb[-1].effective()[:, :, 0, 0]
    weights["to_rgb.bias"] = generator.to_rgb[-1].bias
    return {name: w.detach().float().cpu().numpy().copy() for name, w in weights.items()}


@torch.no_grad()
def import_weights(generator: Generator, weights: Mapping[str, np.ndarray]) -> None:
    """Set a generator to what `export_weights` gave; the inverse.

    The image layers of coarser blocks, which only growing needs, stay as they are.
    """
    for name, module in generator.named_modules():
        if isinstance(module, EqualisedWeight) and not name.startswith("to_rgb"):
            module.weight.copy_(torch.as_tensor(weights[f"{name}.weight"]) / module.scale)
            if module.bias is not None:
                module.bias.copy_(torch.as_tensor(weights[f"{name}.bias"]))
    last = generator.to_rgb[-1]
    last.weight.copy_(torch.as_tensor(weights["to_rgb.weight"])[:, :, None, None] / last.scale)
    last.bias.copy_(torch.as_tensor(weights["to_rgb.bias"]))
