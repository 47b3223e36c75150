"""GANSynth: a generator of whole notes as spectrograms, and its critic.

Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019, after Karras et al.,
"Progressive Growing of GANs", ICLR 2018. Tensors are [batch, channels, n_frames, n_bins].

The generator is conditioned on pitch in one of two ways: ``one_hot``, as published, or
``harmonic``, where every block receives the positions of the pitch's partials
(`audiogen.representation.harmonic`), the time in the note, the velocity, and noise for the sound
between the partials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.errors import ParameterError
from audiogen.models.config import GeneratorConfig
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import (
    N_TIME_FEATURES,
    harmonic_maps,
    time_features,
)

SLOPE = 0.2  # slope of the leaky ReLU for negative values


def pixel_norm(x: Tensor) -> Tensor:
    """Normalise each pixel's channel vector to unit mean square (Karras et al., section 4.2)."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def upsample(x: Tensor) -> Tensor:
    """Double both axes by repeating pixels."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class EqualisedWeight(nn.Module):
    """A weight initialised from N(0, 1) and scaled at run time (Karras et al., section 4.1)."""

    def __init__(self, *shape: int, gain: float = math.sqrt(2.0), bias: bool = True):
        super().__init__()
        self.scale = gain / math.sqrt(math.prod(shape[1:]))
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None

    def effective(self) -> Tensor:
        """Return the scaled weight, which the layer multiplies with."""
        return self.weight * self.scale

    def conv(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.effective(), self.bias)

    def linear(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective(), self.bias)

    def load(self, effective: np.ndarray, bias: np.ndarray | None) -> None:
        """Set the weight that `effective` returns, and the bias."""
        self.weight.copy_(torch.as_tensor(effective) / self.scale)
        if self.bias is not None:
            self.bias.copy_(torch.as_tensor(bias))


class NoiseGain(EqualisedWeight):
    """Gain of the noise in each channel, s W u + b (1 + s g . u), with s the scale.

    ``by_input``, g, is shared by all channels of a block and has a higher learning rate, so that
    timbres learn their level of noise within tens of steps. Exported as one linear layer.
    """

    def __init__(self, width: int, input_size: int):
        super().__init__(width, input_size, gain=1.0)
        self.by_input = nn.Parameter(torch.zeros(input_size))
        with torch.no_grad():  # at first the same gain for all latents
            self.weight.zero_()
            self.bias.fill_(0.05)

    def effective(self) -> Tensor:
        assert self.bias is not None
        return (self.weight + torch.outer(self.bias, self.by_input)) * self.scale

    def load(self, effective: np.ndarray, bias: np.ndarray | None) -> None:
        super().load(effective, bias)
        self.by_input.zero_()

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Missing in checkpoints of earlier versions.
        state.setdefault(f"{prefix}by_input", torch.zeros_like(self.by_input))
        super()._load_from_state_dict(state, prefix, *rest)


class ConditioningTerms(NamedTuple):
    """Terms that a ``harmonic`` block adds to the output of its first convolution."""

    bins: Tensor  # [batch, channels, n_bins], from the pitch
    frames: Tensor  # [channels, n_frames], from the time in the note
    noise_gain: Tensor  # [batch, channels], from latent and velocity
    noise: Tensor  # [batch, n_frames, n_bins], unit variance


class Conditioning(nn.Module):
    """Layers that condition a block of a ``harmonic`` generator."""

    def __init__(self, width: int, config: GeneratorConfig):
        super().__init__()
        input_size = config.input_size
        self.maps = EqualisedWeight(width, config.n_maps, gain=1.0, bias=False)
        self.time = EqualisedWeight(width, N_TIME_FEATURES, gain=1.0, bias=False)
        self.noise = NoiseGain(width, input_size)
        self.style1 = EqualisedWeight(2 * width, input_size, gain=0.5)
        self.style2 = EqualisedWeight(2 * width, input_size, gain=0.5)

    def terms(self, maps: Tensor, time: Tensor, u: Tensor, noise: Tensor) -> ConditioningTerms:
        """Compute the terms of a block.

        Parameters
        ----------
        maps : Tensor [batch, n_maps, n_bins]
            `harmonic_maps` of the pitches.
        time : Tensor [n_frames, 7]
            `time_features` of the block's frames.
        u : Tensor [batch, input_size]
            The generator's input vector.
        noise : Tensor [batch, n_frames, n_bins]
            Noise of unit variance.

        Returns
        -------
        ConditioningTerms
            Terms for `activate`.
        """
        bins = torch.einsum("cm,bmf->bcf", self.maps.effective(), maps)
        return ConditioningTerms(bins, self.time.linear(time).T, self.noise.linear(u), noise)


class Block(nn.Module):
    """Upsample, two 3x3 convolutions, each with leaky ReLU and pixel norm."""

    def __init__(self, width: int, first: EqualisedWeight, config: GeneratorConfig):
        super().__init__()
        self.conv1 = first
        self.conv2 = EqualisedWeight(width, width, 3, 3)
        harmonic = config.conditioning == "harmonic"
        self.conditioning = Conditioning(width, config) if harmonic else None


def activate(x: Tensor, terms: ConditioningTerms | None, style: Tensor | None) -> Tensor:
    """Apply what follows a convolution: conditioning, style, leaky ReLU, pixel norm.

    Parameters
    ----------
    x : Tensor [batch, channels, n_frames, n_bins]
        Output of the convolution.
    terms : ConditioningTerms, optional
        Terms to add.
    style : Tensor [batch, 2 * channels], optional
        Scale minus 1, then shift, of each channel.

    Returns
    -------
    Tensor [batch, channels, n_frames, n_bins]
        Computed in float32 and returned in the dtype of ``x``.
    """
    y = x.float()
    if terms is not None:
        y = y + terms.bins[:, :, None] + terms.frames[:, :, None]
        y = y + terms.noise_gain[:, :, None, None] * terms.noise[:, None]
    if style is not None:
        scale, shift = style.float()[:, :, None, None].chunk(2, dim=1)
        y = y * (1.0 + scale) + shift
    return pixel_norm(F.leaky_relu(y, SLOPE)).to(x.dtype)


class Generator(nn.Module):
    """A generator of spectrograms from a latent and a pitch.

    Parameters
    ----------
    config : GeneratorConfig
        Sizes of the network.
    spectrogram : SpectrogramConfig
        The output's frames and bins.

    Attributes
    ----------
    activate : callable
        `activate`; training may replace it by a compiled version.
    uniform : callable
        `torch.rand`; training on several processes replaces it by one shared between them.

    Raises
    ------
    ParameterError
        If the blocks do not make a spectrogram of that size.
    """

    def __init__(self, config: GeneratorConfig, spectrogram: SpectrogramConfig):
        super().__init__()
        self.config = config
        self.spectrogram = spectrogram
        full = config.shape(len(config.channels) - 1)
        if full != (spectrogram.n_frames, spectrogram.n_bins):
            raise ParameterError(
                f"channels and start_shape make {full[0]} x {full[1]}; they must make n_frames x"
                f" n_bins of the spectrogram, {spectrogram.n_frames} x {spectrogram.n_bins}"
            )
        widths = config.channels
        blocks = []
        for b, width in enumerate(widths):
            if b == 0:
                # The paper's "VALID" convolution over a zero canvas with one vector in it is a
                # dense layer to start_shape with one bias per channel; its kernel is flipped.
                first = EqualisedWeight(width, config.input_size, *config.start_shape)
            else:
                first = EqualisedWeight(width, widths[b - 1], 3, 3)
            blocks.append(Block(width, first, config))
        self.blocks = nn.ModuleList(blocks)
        self.to_rgb = nn.ModuleList(EqualisedWeight(2, w, 1, 1, gain=1.0) for w in widths)
        self.activate = activate
        self.uniform = torch.rand

    def input_vector(self, z: Tensor, pitch: Tensor, velocity: Tensor | None) -> Tensor:
        """Make the input of the first layer, [batch, input_size].

        ``one_hot``: latent and one-hot pitch, pixel-normalised together, as published.
        ``harmonic``: the normalised latent, and the velocity scaled from 0..1 to -1..1.
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
        partials: np.ndarray | None = None,
    ) -> Tensor:
        """Generate notes, or a range of their frames.

        Parameters
        ----------
        z : Tensor [batch, latent_size]
            Latents.
        pitch : Tensor [batch], MIDI number
            Pitches; whole numbers for ``one_hot``.
        velocity : Tensor [batch], 0..1, optional
            Velocities for ``harmonic``; 1 by default.
        noise : list of Tensor [batch, n_frames_b, n_bins_b], optional
            Noise of unit variance for each block of ``harmonic``, for whole notes; random by
            default.
        frames : (start, stop), optional
            Range of frames to generate; all frames by default. The result equals that part of the
            whole note, and only the rows that it depends on are computed.
        stage : float, optional
            Stage of progressive growing: 1 is the first block alone, 1.3 is 70 % of its image and
            30 % of the second block's; all blocks by default. The output has the finer block's
            size.
        partials : array [batch, n_partials], optional
            Partials of the notes (`audiogen.representation.partials`) for ``harmonic``; harmonic
            ones by default.

        Returns
        -------
        Tensor [batch, 2, n_frames, n_bins]
            Log magnitude and phase channel in the generator's units, in [-1, 1].
        """
        config, batch = self.config, len(z)
        u = self.input_vector(z, pitch, velocity)
        n_blocks = len(self.blocks) if stage is None else math.ceil(stage)
        ranges = self.row_ranges(frames, n_blocks)
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
                maps = torch.from_numpy(
                    harmonic_maps(pitches, self.spectrogram, n_bins, config.n_maps, partials)
                ).to(u)
                time = time_features(
                    config.shape(len(self.blocks) - 1)[0], config.note_off_frame, total
                )[p:q]
                if noise is None:
                    shape = (batch, q - p, n_bins)
                    block_noise = (self.uniform(shape, device=x.device) - 0.5) * math.sqrt(12.0)
                else:
                    block_noise = noise[b][:, p:q]
                terms = block.conditioning.terms(
                    maps, torch.from_numpy(time).to(u), u, block_noise.to(u)
                )
                style1 = block.conditioning.style1.linear(u)
                style2 = block.conditioning.style2.linear(u)
            else:
                terms = style1 = style2 = None
            x = self.activate(x, terms, style1)
            x = self.activate(block.conv2.conv(_rows(x, p, lo, hi, total)), None, style2)
            if stage is not None and b >= n_blocks - 2:
                fine = torch.tanh(self.to_rgb[b].conv(x))
                if image is not None:
                    above = lo - 2 * ranges[b - 1][1][0]
                    coarse = upsample(image)[:, :, above : above + hi - lo]
                    fine = torch.lerp(coarse, fine, stage - n_blocks + 1)
                image = fine
        return torch.tanh(self.to_rgb[-1].conv(x)) if image is None else image

    def row_ranges(
        self, frames: tuple[int, int] | None = None, n_blocks: int | None = None
    ) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Return the rows of each block that ``frames`` depends on: (after conv1, after conv2)."""
        n_blocks = len(self.blocks) if n_blocks is None else n_blocks
        lo, hi = frames or (0, self.config.shape(n_blocks - 1)[0])
        ranges = []
        for b in reversed(range(n_blocks)):
            total = self.config.shape(b)[0]
            p, q = max(lo - 1, 0), min(hi + 1, total)
            ranges.append(((p, q), (lo, hi)))
            lo, hi = max((p - 1) // 2, 0), min((q + 2) // 2, total // 2)
        return ranges[::-1]


def _rows(x: Tensor, start: int, lo: int, hi: int, total: int) -> Tensor:
    """Return rows lo - 1 to hi of ``x``, whose first row is ``start``; zeros beyond the ends."""
    top, bottom = int(lo == 0), int(hi == total)
    x = x[:, :, lo - 1 + top - start : hi + 1 - bottom - start]
    return F.pad(x, (1, 1, top, bottom))


@dataclass(frozen=True)
class CriticConfig:
    """Sizes of a critic; the defaults are the paper's.

    Parameters
    ----------
    channels : tuple of int
        Channels of each block, from the coarsest to the finest, as the generator's.
    start_shape : tuple of int
        Frames and bins of the coarsest block.
    n_pitches : int
        Classes of the auxiliary pitch classifier; 0 for none.
    """

    channels: tuple[int, ...] = (256, 256, 256, 256, 128, 64, 32)
    start_shape: tuple[int, int] = (2, 16)
    n_pitches: int = 61


class Critic(nn.Module):
    """A critic: scores spectrograms, higher for real ones, and classifies their pitch.

    Parameters
    ----------
    config : CriticConfig
        Sizes of the network.

    Attributes
    ----------
    joint : callable
        Averages a tensor over the processes that share a batch; the identity on one process.
    """

    def __init__(self, config: CriticConfig):
        super().__init__()
        self.config = config
        widths = config.channels
        self.from_rgb = nn.ModuleList(EqualisedWeight(w, 2, 1, 1) for w in widths)
        self.blocks = nn.ModuleList(
            nn.ModuleList((EqualisedWeight(w, w, 3, 3), EqualisedWeight(widths[b], w, 3, 3)))
            for b, w in enumerate(widths[1:])
        )
        w = widths[0]
        self.last = nn.ModuleList(
            (EqualisedWeight(w, w + 1, 3, 3), EqualisedWeight(w, w, *config.start_shape))
        )
        self.score = EqualisedWeight(1, w, gain=1.0)
        self.joint = identity
        self.pitch = EqualisedWeight(config.n_pitches, w, gain=1.0) if config.n_pitches else None

    def forward(self, image: Tensor, stage: float | None = None) -> tuple[Tensor, Tensor | None]:
        """Score spectrograms.

        Parameters
        ----------
        image : Tensor [batch, 2, n_frames, n_bins]
            Spectrograms in the generator's units, then the conditioning channels.
        stage : float, optional
            Stage of progressive growing, as in `Generator.forward`.

        Returns
        -------
        score : Tensor [batch]
            Scores, higher for real notes.
        logits : Tensor [batch, n_pitches] or None
            Logits of the pitch classes.
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
    """Return ``x``."""
    return x


def minibatch_deviation(x: Tensor, joint: Callable[[Tensor], Tensor] = identity) -> Tensor:
    """Compute the minibatch standard deviation as a channel (Karras et al., section 3).

    Parameters
    ----------
    x : Tensor [batch, channels, n_frames, n_bins]
        Features.
    joint : callable
        Averages a tensor over the processes that share a batch.

    Returns
    -------
    Tensor [batch, 1, n_frames, n_bins]
        The standard deviation over the batch, averaged to one number.
    """
    mean = joint(x.mean(dim=0))
    deviation = torch.sqrt(joint((x - mean).square().mean(dim=0)) + 1e-6).mean()
    return deviation.expand(len(x), 1, *x.shape[2:])


def export_weights(generator: Generator) -> dict[str, np.ndarray]:
    """Return the generator's weights as the engine reads them.

    The scales of the equalised weights are multiplied in, and only the last image layer is kept.

    Parameters
    ----------
    generator : Generator
        A trained generator.

    Returns
    -------
    dict of str to array, float32
        The tensors of `audiogen.models.config.weight_shapes`.
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
    """Load the weights of `export_weights` into a generator.

    The image layers of the coarser blocks, which only progressive growing uses, do not change.

    Parameters
    ----------
    generator : Generator
        The generator to change.
    weights : mapping of str to array
        The tensors of `audiogen.models.config.weight_shapes`.
    """
    for name, module in generator.named_modules():
        if isinstance(module, EqualisedWeight) and not name.startswith("to_rgb"):
            bias = weights[f"{name}.bias"] if module.bias is not None else None
            module.load(weights[f"{name}.weight"], bias)
    last = generator.to_rgb[-1]
    last.weight.copy_(torch.as_tensor(weights["to_rgb.weight"])[:, :, None, None] / last.scale)
    last.bias.copy_(torch.as_tensor(weights["to_rgb.bias"]))
