"""SampleRNN: an autoregressive network that generates audio one sample at a time.

Mehri et al., "SampleRNN: An Unconditional End-to-End Neural Audio Generation Model", ICLR 2017.
Recurrent tiers, each at the rate of its frames, condition the tier below. A network at the rate of
samples predicts each sample's level (`audiogen.representation.levels`) from the last few samples
and the conditioning. A *frame* here is a group of samples.

A recurrent tier that has received samples up to n - 1 conditions those from n on. With frame sizes
(8, 2), samples 8 to 15 depend on the top tier's state after sample 7 and on the lower tier's states
after samples 7, 9, 11 and 13.
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

State = list[Tensor]  # per tier: h [n_rnn, batch, dim]; for LSTMs h, then c [2 n_rnn, batch, dim]


def level_features(n_levels: int, size: int) -> Tensor:
    """Initialise an embedding with cosines over the levels, so that near levels start out similar.

    These are random Fourier features (Rahimi and Recht, 2007): cosines with random phases and 1/4
    to 64 periods over the range of levels.

    Parameters
    ----------
    n_levels : int
        Number of levels.
    size : int
        Dimensions of the embedding.

    Returns
    -------
    Tensor [n_levels, size]
        Cosines of variance 1.
    """
    periods = torch.logspace(-2.0, 6.0, size, base=2.0)
    place = torch.linspace(0.0, 1.0, n_levels)[:, None]
    return math.sqrt(2.0) * torch.cos(2.0 * math.pi * (periods * place + torch.rand(size)))


class Linear(nn.Module):
    """A linear layer, optionally weight-normalised.

    Parameters
    ----------
    n_in : int
        Input dimensions.
    n_out : int
        Output dimensions.
    bias : bool
        Whether to add a bias.
    norm : bool
        Whether to use weight normalisation (Salimans and Kingma, 2016).
    init : str
        Initialisation: ``he``, ``lecun``, or ``orthogonal`` for each square block of rows.
    """

    def __init__(self, n_in: int, n_out: int, *, bias: bool = True, norm: bool, init: str):
        super().__init__()
        weight = torch.empty(n_out, n_in)
        if init == "orthogonal":  # one block per gate
            for block in weight.split(n_in):
                nn.init.orthogonal_(block)
        else:
            deviation = math.sqrt({"he": 2.0, "lecun": 1.0}[init] / n_in)
            nn.init.uniform_(weight, -math.sqrt(3.0) * deviation, math.sqrt(3.0) * deviation)
        self.weight = nn.Parameter(weight)
        self.gain = nn.Parameter(weight.norm(dim=1)) if norm else None
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None

    def effective(self) -> Tensor:
        """Return the weight that the layer multiplies with; each row has its learned length."""
        if self.gain is None:
            return self.weight
        return self.weight * (self.gain / self.weight.norm(dim=1))[:, None]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective(), self.bias)


class Tier(nn.Module):
    """A tier: recurrent layers at the rate of its frames, and the upsampling to the tier below.

    Parameters
    ----------
    config : SampleRNNConfig
        Sizes of the network.
    index : int
        Number of the tier; 0 is the slowest.
    """

    def __init__(self, config: SampleRNNConfig, index: int):
        super().__init__()
        c, norm = config, config.weight_norm
        gates, dim = N_GATES[c.rnn], c.dim
        self.kind = c.rnn
        self.frame_size, self.ratio = c.frame_sizes[index], c.ratios[index]
        self.top = index == 0  # its frames and features go straight into its first layer
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
                nn.init.constant_(layer.bias[dim : 2 * dim], 3.0)  # forget gates start open
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
        """Process a sequence of frames.

        Parameters
        ----------
        frames : Tensor [batch, n_frames, frame_size]
            Levels scaled to -2..2.
        above : Tensor [batch, n_frames, dim], optional
            Conditioning from the tier above.
        features : Tensor [batch, n_frames, n_features], optional
            Features of the first sample after each frame.
        state : Tensor [n_states, batch, dim]
            State before the first frame.

        Returns
        -------
        conditioning : Tensor [batch, n_frames * ratio, dim]
            Conditioning of the tier below.
        state : Tensor [n_states, batch, dim]
            State after the last frame.
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
    """The network at the rate of samples: logits from the last samples and the conditioning.

    Parameters
    ----------
    config : SampleRNNConfig
        Sizes of the network.
    """

    def __init__(self, config: SampleRNNConfig):
        super().__init__()
        c, dim, norm = config, config.dim, config.weight_norm
        self.window = c.frame_sizes[-1]  # number of last samples that the network receives
        self.two_bytes = c.two_bytes
        n_out = min(c.q_levels, N_BYTE)
        self.has_embedding = c.embedding_size > 0
        if self.has_embedding:
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
            if self.has_embedding:
                self.embedding_low = nn.Parameter(level_features(N_BYTE, c.embedding_size))
            self.upper = nn.Parameter(0.1 * torch.randn(N_BYTE, dim))
            self.layer3_low = Linear(dim, dim, norm=norm, init="he")
            self.output_low = Linear(dim, N_BYTE, norm=norm, init="lecun")

    def forward(
        self, past: Tensor, levels: Tensor, conditioning: Tensor, features: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Compute the logits of samples with a known past.

        Parameters
        ----------
        past : Tensor [batch, window + n_samples - 1], int64
            Input levels: the ``window`` samples before the first sample, and all but the last one.
        levels : Tensor [batch, n_samples], int64
            The samples; their upper bytes condition their lower bytes.
        conditioning : Tensor [batch, n_samples, dim]
            Conditioning from the tier above.
        features : Tensor [batch, n_samples, n_features], optional
            Features of each sample.

        Returns
        -------
        logits : Tensor [batch, n_samples, n_levels]
            Logits of the level, or of its upper byte.
        low_logits : Tensor [batch, n_samples, 256] or None
            Logits of the lower byte, given the upper one.
        """
        x = conditioning
        if self.has_embedding:
            embedded = F.embedding(past >> 8 if self.two_bytes else past, self.embedding)
            if self.two_bytes:
                embedded = embedded + F.embedding(past & 255, self.embedding_low)
            embedded = embedded.unfold(1, self.window, 1).transpose(2, 3).flatten(2)
            x = x + self.layer1(embedded)
        if features is not None:
            x = x + self.features(features)
        x = F.relu(self.layer2(x))
        logits = self.output(F.relu(self.layer3(x)))
        if not self.two_bytes:
            return logits, None
        upper = F.embedding(levels >> 8, self.upper)
        return logits, self.output_low(F.relu(self.layer3_low(x) + upper))


class SampleRNN(nn.Module):
    """A SampleRNN, which predicts all samples of a sequence at once from their known past.

    Parameters
    ----------
    config : SampleRNNConfig
        Sizes of the network.
    """

    def __init__(self, config: SampleRNNConfig):
        super().__init__()
        self.config = config
        self.tiers = nn.ModuleList(Tier(config, i) for i in range(len(config.frame_sizes)))
        self.sample = SampleLevel(config)

    def initial_state(self, batch: int) -> State:
        """Return the state before the first sample."""
        return [tier.h0[:, None].expand(-1, batch, -1) for tier in self.tiers]

    def forward(
        self,
        levels: Tensor,
        state: State,
        features: Tensor | None = None,
        inputs: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, State]:
        """Compute the logits of a sequence of samples with teacher forcing.

        Parameters
        ----------
        levels : Tensor [batch, frame_sizes[0] + n_samples], int64
            Levels: ``frame_sizes[0]`` samples of the past, then the samples to predict, whose
            number is a multiple of ``frame_sizes[0]``.
        state : State
            `initial_state`, or the state that the sequence before returned.
        features : Tensor [batch, n_samples, n_features], optional
            Features of each sample.
        inputs : Tensor [batch, frame_sizes[0] + n_samples], int64, optional
            Levels that the network receives in place of ``levels``, such as corrupted ones;
            ``levels`` by default.

        Returns
        -------
        logits : Tensor [batch, n_samples, n_levels]
            Logits of the level, or of its upper byte.
        low_logits : Tensor [batch, n_samples, 256] or None
            Logits of the lower byte, given the upper one.
        state : State
            State after the sequence.

        Raises
        ------
        ParameterError
            If the number of samples is not such a multiple.
        """
        inputs = levels if inputs is None else inputs
        config, top = self.config, self.config.frame_sizes[0]
        n = levels.shape[1] - top
        if n < 1 or n % top:
            raise ParameterError(
                f"levels has {levels.shape[1]} samples; it must be a multiple of {top}, at least"
                f" {2 * top}"
            )
        scaled = inputs.float() * (4.0 / (config.q_levels - 1)) - 2.0
        conditioning, ends = None, []
        for tier, first in zip(self.tiers, state, strict=True):
            size = tier.frame_size
            frames = scaled[:, top - size : top + n - size].unflatten(1, (-1, size))
            frame_features = None if features is None else features[:, ::size]
            conditioning, end = tier(frames, conditioning, frame_features, first)
            ends.append(end)
        past = inputs[:, top - self.sample.window : -1]
        logits, low = self.sample(past, levels[:, top:], conditioning, features)
        return logits, low, ends

    def bits(
        self,
        levels: Tensor,
        state: State,
        features: Tensor | None = None,
        inputs: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Compute the negative log-likelihood of each sample of a sequence, in bits.

        Parameters
        ----------
        levels : Tensor [batch, frame_sizes[0] + n_samples], int64
            Levels, as in `forward`.
        state : State
            State before the sequence.
        features : Tensor [batch, n_samples, n_features], optional
            Features of each sample.
        inputs : Tensor [batch, frame_sizes[0] + n_samples], int64, optional
            Levels that the network receives in place of ``levels``.

        Returns
        -------
        bits : Tensor [batch, n_samples]
            Bits of each sample.
        state : State
            State after the sequence.
        """
        logits, low, state = self(levels, state, features, inputs)
        target = levels[:, self.config.frame_sizes[0] :]
        upper = target >> 8 if self.config.two_bytes else target
        nats = F.cross_entropy(logits.flatten(0, 1).float(), upper.flatten(), reduction="none")
        if low is not None:
            lower = (target & 255).flatten()
            nats = nats + F.cross_entropy(low.flatten(0, 1).float(), lower, reduction="none")
        return nats.view(target.shape) / math.log(2.0), state


@torch.no_grad()
def export_weights(model: SampleRNN) -> dict[str, np.ndarray]:
    """Return the weights as the engine reads them, with weight normalisation multiplied in.

    Parameters
    ----------
    model : SampleRNN
        A trained network.

    Returns
    -------
    dict of str to array, float32
        The tensors of `audiogen.models.config.weight_shapes`.
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
    """Load the weights of `export_weights` into a model.

    Parameters
    ----------
    model : SampleRNN
        The network to change.
    weights : dict of str to array
        The tensors of `audiogen.models.config.weight_shapes`.
    """
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, Linear):
                module.weight.copy_(torch.as_tensor(weights[f"{name}.weight"]))
                if module.gain is not None:
                    module.gain.copy_(module.weight.norm(dim=1))
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if not name.endswith((".weight", ".gain")):
                tensor.copy_(torch.as_tensor(weights[name]))
