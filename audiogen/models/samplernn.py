"""SampleRNN: a network that draws sound one sample at a time, with slower networks above it.

Mehri et al., "SampleRNN: An Unconditional End-to-End Neural Audio Generation Model", ICLR 2017.
Recurrent tiers, each at the rate of its frames, tell the tier below what goes on; a network at the
rate of samples draws a level from the last few ones and what it was told. Sound is levels
(`representation.levels`); a *frame* here is a group of samples.

A recurrent tier that has seen samples up to n - 1 conditions those from n on: with frame sizes
(8, 2), samples 8 .. 15 follow from tier states that know samples 0 .. 7 (top) and 0 .. 7, 0 .. 9,
0 .. 11, 0 .. 13 (below).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.errors import ParameterError
from audiogen.models.config import N_BYTE, N_GATES, PRISM, PUBLISHED, SampleRNNConfig
from audiogen.models.recurrent import scan

__all__ = [
    "PRISM",
    "PUBLISHED",
    "SampleRNN",
    "SampleRNNConfig",
    "export_weights",
    "import_weights",
]

State = list[Tensor]  # for each tier [n_rnn, batch, dim], or [2 n_rnn, batch, dim]: h, then c


def level_features(n_levels: int, size: int) -> Tensor:
    """Waves over the range of levels, so that levels near each other begin alike.

    As random Fourier features (Rahimi and Recht, 2007), of 1/4 to 64 periods over the range and
    random phase.

    Parameters
    ----------
    n_levels : int
    size : int
        Waves.

    Returns
    -------
    features : Tensor [n_levels, size]
        Of variance 1 over phases.
    """
    periods = torch.logspace(-2.0, 6.0, size, base=2.0)
    place = torch.linspace(0.0, 1.0, n_levels)[:, None]
    return math.sqrt(2.0) * torch.cos(2.0 * math.pi * (periods * place + torch.rand(size)))


class Linear(nn.Module):
    """A linear layer, weight-normalised if asked for."""

    def __init__(self, n_in: int, n_out: int, *, bias: bool = True, norm: bool, init: str):
        super().__init__()
        weight = torch.empty(n_out, n_in)
        if init == "orthogonal":  # each gate on its own
            for block in weight.split(n_in):
                nn.init.orthogonal_(block)
        else:
            deviation = math.sqrt({"he": 2.0, "lecun": 1.0}[init] / n_in)
            nn.init.uniform_(weight, -math.sqrt(3.0) * deviation, math.sqrt(3.0) * deviation)
        self.weight = nn.Parameter(weight)
        self.gain = nn.Parameter(weight.norm(dim=1)) if norm else None
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None

    def effective(self) -> Tensor:
        """The weight that multiplies: each row has the length that was learned for it."""
        if self.gain is None:
            return self.weight
        return self.weight * (self.gain / self.weight.norm(dim=1))[:, None]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective(), self.bias)


class Tier(nn.Module):
    """Recurrent layers at the rate of frames, and the linear map to the rate below."""

    def __init__(self, config: SampleRNNConfig, index: int):
        super().__init__()
        c, norm = config, config.weight_norm
        gates, dim = N_GATES[c.rnn], c.dim
        self.kind = c.rnn
        self.frame_size, self.ratio = c.frame_sizes[index], c.ratios[index]
        self.top = index == 0  # its frame and features go straight into its first layer
        if self.top:
            n_in = self.frame_size + c.n_features
        else:
            n_in = dim
            self.input = Linear(self.frame_size, dim, norm=norm, init="lecun")
            if c.n_features:
                self.features = Linear(c.n_features, dim, bias=False, norm=norm, init="lecun")
        sizes = [n_in] + [dim] * (c.n_rnn - 1)
        self.ih = nn.ModuleList(Linear(n, gates * dim, norm=norm, init="lecun") for n in sizes)
        self.hh = nn.ModuleList(
            Linear(dim, gates * dim, norm=norm, init="orthogonal") for _ in sizes
        )
        if c.rnn == "lstm":
            for layer in self.ih:
                nn.init.constant_(layer.bias[dim : 2 * dim], 3.0)  # don't forget at first
        n_states = c.n_rnn * (2 if c.rnn == "lstm" else 1)
        first = torch.zeros(n_states, dim)
        self.h0: Tensor
        if c.learn_h0:
            self.h0 = nn.Parameter(first)
        else:
            self.register_buffer("h0", first)
        self.upsample = Linear(dim, self.ratio * dim, norm=norm, init="lecun")

    def forward(
        self, frames: Tensor, above: Tensor | None, features: Tensor | None, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run over frames.

        Parameters
        ----------
        frames : Tensor [batch, n_frames, frame_size], levels scaled to -2..2
        above : Tensor [batch, n_frames, dim], from the tier above
        features : Tensor [batch, n_frames, n_features]
            Of the first sample after each frame.
        state : Tensor [n_states, batch, dim]

        Returns
        -------
        conditioning : Tensor [batch, n_frames * ratio, dim]
        state : Tensor [n_states, batch, dim]
        """
        if self.top:
            x = frames if features is None else torch.cat((frames, features), dim=-1)
        else:
            x = self.input(frames) + above
            if features is not None:
                x = x + self.features(features)
        last = []
        layers: list[Any] = [*zip(self.ih, self.hh, strict=True)]
        for i, (ih, hh) in enumerate(layers):
            first = state[i :: len(layers)]
            x, end = scan(self.kind, ih(x), first, hh.effective(), hh.bias)
            last.append(end)
        batch, n_frames, dim = x.shape
        conditioning = self.upsample(x).view(batch, n_frames * self.ratio, dim)
        return conditioning, torch.stack(last, dim=1).flatten(0, 1)


class SampleLevel(nn.Module):
    """The network at the rate of samples: the last levels and the conditioning give logits."""

    def __init__(self, config: SampleRNNConfig):
        super().__init__()
        c, dim, norm = config, config.dim, config.weight_norm
        self.window = c.frame_sizes[-1]  # samples that are looked back at
        self.two_bytes = c.two_bytes
        n_out = min(c.q_levels, N_BYTE)
        self.hears = c.embedding_size > 0
        if self.hears:
            self.embedding = nn.Parameter(level_features(n_out, c.embedding_size))
            self.layer1 = Linear(
                self.window * c.embedding_size, dim, bias=False, norm=norm, init="lecun"
            )
        if c.n_features:
            self.features = Linear(c.n_features, dim, bias=False, norm=norm, init="lecun")
        self.layer2 = Linear(dim, dim, norm=norm, init="he")
        self.layer3 = Linear(dim, dim, norm=norm, init="he")
        self.output = Linear(dim, n_out, norm=norm, init="lecun")
        if c.two_bytes:
            if self.hears:
                self.embedding_low = nn.Parameter(level_features(N_BYTE, c.embedding_size))
            self.upper = nn.Parameter(0.1 * torch.randn(N_BYTE, dim))
            self.layer3_low = Linear(dim, dim, norm=norm, init="he")
            self.output_low = Linear(dim, N_BYTE, norm=norm, init="lecun")

    def forward(
        self, heard: Tensor, levels: Tensor, conditioning: Tensor, features: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Logits of samples whose past is known.

        Parameters
        ----------
        heard : Tensor [batch, window + n_samples - 1], int64
            What lies before each sample.
        levels : Tensor [batch, n_samples], int64
            The samples themselves, whose upper bytes tell the lower ones.
        conditioning : Tensor [batch, n_samples, dim]
        features : Tensor [batch, n_samples, n_features]

        Returns
        -------
        logits : Tensor [batch, n_samples, n_levels]
        low_logits : Tensor [batch, n_samples, 256] or None
            Of the lower byte, given the upper one.
        """
        x = conditioning
        if self.hears:
            past = F.embedding(heard >> 8 if self.two_bytes else heard, self.embedding)
            if self.two_bytes:
                past = past + F.embedding(heard & 255, self.embedding_low)
            past = past.unfold(1, self.window, 1).transpose(2, 3).flatten(2)
            x = x + self.layer1(past)
        if features is not None:
            x = x + self.features(features)
        x = F.relu(self.layer2(x))
        logits = self.output(F.relu(self.layer3(x)))
        if not self.two_bytes:
            return logits, None
        known = F.embedding(levels >> 8, self.upper)
        return logits, self.output_low(F.relu(self.layer3_low(x) + known))


class SampleRNN(nn.Module):
    """Levels of the past to logits of the next level, for every sample of a stretch at once.

    Parameters
    ----------
    config : SampleRNNConfig
    """

    def __init__(self, config: SampleRNNConfig):
        super().__init__()
        self.config = config
        self.tiers = nn.ModuleList(Tier(config, i) for i in range(len(config.frame_sizes)))
        self.sample = SampleLevel(config)

    def initial_state(self, batch: int) -> State:
        """The state before the first sample."""
        return [tier.h0[:, None].expand(-1, batch, -1) for tier in self.tiers]

    def forward(
        self,
        levels: Tensor,
        state: State,
        features: Tensor | None = None,
        heard: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, State]:
        """Logits of a stretch of samples, teacher-forced.

        Parameters
        ----------
        levels : Tensor [batch, frame_sizes[0] + n_samples], int64
            The first ``frame_sizes[0]`` are the past; ``n_samples`` is a multiple of it.
        state : State
            `initial_state`, or what the stretch before returned.
        features : Tensor [batch, n_samples, n_features], optional
        heard : Tensor, as ``levels``, optional
            What the network hears of the past in place of ``levels``.

        Returns
        -------
        logits : Tensor [batch, n_samples, n_levels]
        low_logits : Tensor [batch, n_samples, 256] or None
        state : State
        """
        heard = levels if heard is None else heard
        config, top = self.config, self.config.frame_sizes[0]
        n = levels.shape[1] - top
        if n < 1 or n % top:
            raise ParameterError(
                f"levels has {levels.shape[1]} samples; a multiple of {top} is wanted, 2 x or more"
            )
        scaled = heard.float() * (4.0 / (config.q_levels - 1)) - 2.0
        conditioning, ends = None, []
        for tier, first in zip(self.tiers, state, strict=True):
            size = tier.frame_size
            frames = scaled[:, top - size : top + n - size].unflatten(1, (-1, size))
            told = None if features is None else features[:, ::size]
            conditioning, end = tier(frames, conditioning, told, first)
            ends.append(end)
        past = heard[:, top - self.sample.window : -1]
        logits, low = self.sample(past, levels[:, top:], conditioning, features)
        return logits, low, ends

    def bits(
        self,
        levels: Tensor,
        state: State,
        features: Tensor | None = None,
        heard: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Negative log likelihood of each sample of a stretch, in bits.

        Parameters
        ----------
        levels, state, features, heard
            As `forward`.

        Returns
        -------
        bits : Tensor [batch, n_samples]
        state : State
        """
        logits, low, state = self(levels, state, features, heard)
        target = levels[:, self.config.frame_sizes[0] :]
        upper = target >> 8 if self.config.two_bytes else target
        nats = F.cross_entropy(logits.flatten(0, 1).float(), upper.flatten(), reduction="none")
        if low is not None:
            lower = (target & 255).flatten()
            nats = nats + F.cross_entropy(low.flatten(0, 1).float(), lower, reduction="none")
        return nats.view(target.shape) / math.log(2.0), state


@torch.no_grad()
def export_weights(model: SampleRNN) -> dict[str, np.ndarray]:
    """Weights under the names that presets and the native stream use, weight norm folded in.

    Returns
    -------
    dict of str to array, float32
        ``tiers.<t>.``: ``input.weight`` [dim, frame_size], ``input.bias``, ``features.weight``
        [dim, n_features] (not of the top tier, whose frame and features go into ``ih.0``),
        ``ih.<l>.weight`` [gates * dim, n_in], ``ih.<l>.bias``, ``hh.<l>.weight``
        [gates * dim, dim], ``hh.<l>.bias``, ``h0`` [n_states, dim], ``upsample.weight``
        [ratio * dim, dim], ``upsample.bias``.
        ``sample.``: ``embedding`` [n_levels, embedding_size], ``layer1.weight``
        [dim, window * embedding_size] (oldest sample first), ``features.weight``,
        ``layer2.weight``, ``layer2.bias``, ``layer3.*``, ``output.*``; of two bytes also
        ``embedding_low``, ``upper`` [256, dim], ``layer3_low.*``, ``output_low.*``.
        Gates are in torch's order: reset, update, new; or input, forget, cell, output.
    """
    weights: dict[str, np.ndarray] = {}
    for name, module in model.named_modules():
        if isinstance(module, Linear):
            weights[f"{name}.weight"] = module.effective().float().numpy().copy()
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if not name.endswith((".weight", ".gain")):
            weights[name] = tensor.float().numpy().copy()
    return weights


def import_weights(model: SampleRNN, weights: dict[str, Any]) -> None:
    """Set a model to what `export_weights` gave; the inverse."""
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, Linear):
                module.weight.copy_(torch.as_tensor(weights[f"{name}.weight"]))
                if module.gain is not None:
                    module.gain.copy_(module.weight.norm(dim=1))
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if not name.endswith((".weight", ".gain")):
                tensor.copy_(torch.as_tensor(weights[name]))
