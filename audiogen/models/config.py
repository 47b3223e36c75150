"""The sizes of each network, and the names and shapes of its tensors. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

from audiogen.errors import ParameterError
from audiogen.representation.harmonic import MOST_MAPS, N_MAPS, N_TIME_FEATURES
from audiogen.representation.levels import QUANTISATIONS
from audiogen.representation.note_features import N_NOTE_FEATURES

GENERATOR_CONDITIONINGS = ("one_hot", "harmonic")
SAMPLERNN_CONDITIONINGS = ("none", "class", "note")
N_GATES = {"gru": 3, "lstm": 4}
N_BYTE = 256  # largest number of classes of one softmax

WeightShapes = dict[str, tuple[int, ...]]


# Limits of the sizes, as csrc/models/gansynth.h and samplernn.h have them.
LARGEST = 1 << 16
MOST_BLOCKS, MOST_PITCHES = 12, 128
MOST_TIERS, MOST_LAYERS = 16, 64


def _make_tuples(config: Any, *names: str) -> None:
    """Let lists stand for tuples, as they come from a file."""
    for name in names:
        object.__setattr__(config, name, tuple(getattr(config, name)))


def _table(config: Any, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(config).items() if name not in leave_out}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()
    }


def _whole(name: str, value: Any, least: int = 1, most: int = LARGEST) -> Iterator[str]:
    if not isinstance(value, Integral) or not least <= value <= most:
        yield f"{name}={value!r} must be a whole number from {least} to {most}"


def _unknown(name: str, value: object, known: Sequence[str]) -> str:
    return f"{name}={value!r} must be {', '.join(map(repr, known[:-1]))} or {known[-1]!r}"


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of a GANSynth generator; the defaults are the paper's.

    Parameters
    ----------
    conditioning : str
        Form of the pitch input: ``one_hot`` (the paper's) or ``harmonic``
        (`audiogen.representation.harmonic`).
    latent_size : int
        Dimensions of the latent vector z.
    channels : tuple of int
        Channels of each block, from the coarsest to the finest. Each block after the first doubles
        both axes.
    start_shape : tuple of int
        Frames and bins of the first block.
    pitch_min : int, MIDI number
        Lowest pitch of the training data.
    n_pitches : int
        Number of pitches, from ``pitch_min`` upwards.
    note_off_frame : int
        First frame after the note-off (``harmonic`` only).
    n_maps : int
        Maps of the pitch (``harmonic`` only): 8, or 12 with those that distinguish even harmonics
        and multiples of three (`harmonic_maps`).

    Raises
    ------
    ParameterError
        If a field is out of its range: the first of `faults`.
    """

    conditioning: str = "one_hot"
    latent_size: int = 256
    channels: tuple[int, ...] = (256, 256, 256, 256, 128, 64, 32)
    start_shape: tuple[int, int] = (2, 16)
    pitch_min: int = 24
    n_pitches: int = 61
    note_off_frame: int = 93
    n_maps: int = N_MAPS

    def __post_init__(self) -> None:
        _make_tuples(self, "channels", "start_shape")
        for fault in self.faults():
            raise ParameterError(fault)

    def faults(self) -> Iterator[str]:
        """A message for each size that is out of range, which begins with its name.

        The messages are those of `GeneratorConfig::faults` of csrc/models/gansynth.cpp.
        """
        if self.conditioning not in GENERATOR_CONDITIONINGS:
            yield _unknown("conditioning", self.conditioning, GENERATOR_CONDITIONINGS)
        yield from _whole("latent_size", self.latent_size)
        if few := 1 <= len(self.channels) <= MOST_BLOCKS:
            for i, width in enumerate(self.channels):
                yield from _whole(f"channels[{i}]", width)
        else:
            yield (
                f"channels must be a list of 1 to {MOST_BLOCKS} widths; it has {len(self.channels)}"
            )
        if few and not all(
            1 <= size and size << (len(self.channels) - 1) <= LARGEST for size in self.start_shape
        ):
            yield (
                f"start_shape={list(self.start_shape)} must stay within 1 to {LARGEST} when each"
                " block after the first doubles it"
            )
        room = MOST_PITCHES - self.pitch_min
        if not 1 <= room <= MOST_PITCHES:
            yield f"pitch_min={self.pitch_min} must be a MIDI number from 0 to {MOST_PITCHES - 1}"
        elif not 1 <= self.n_pitches <= room:
            yield (
                f"n_pitches={self.n_pitches} must be 1 to {room}, so that the highest pitch from"
                f" pitch_min={self.pitch_min} on is at most {MOST_PITCHES - 1}"
            )
        if self.n_maps not in (N_MAPS, MOST_MAPS):
            yield f"n_maps={self.n_maps} must be {N_MAPS} or {MOST_MAPS}"

    def table(self) -> dict[str, Any]:
        """The table ``[generator]`` of a preset."""
        return _table(self, ("n_maps",) if self.n_maps == N_MAPS else ())

    def shape(self, block: int) -> tuple[int, int]:
        """Frames and bins of a block's output."""
        return self.start_shape[0] << block, self.start_shape[1] << block

    @property
    def full_shape(self) -> tuple[int, int]:
        """Frames and bins of the last block's output."""
        return self.shape(len(self.channels) - 1)

    @property
    def input_size(self) -> int:
        """Length of the input vector: the latent, then the one-hot pitch or the velocity."""
        return self.latent_size + (self.n_pitches if self.conditioning == "one_hot" else 1)


@dataclass(frozen=True)
class SampleRNNConfig:
    """Sizes of a SampleRNN; the defaults are the paper's best three-tier model.

    Parameters
    ----------
    frame_sizes : tuple of int, samples
        Frame sizes of the recurrent tiers, from the slowest tier to the fastest; each is a multiple
        of the next. ``(8, 2)`` gives three tiers, including the sample-level one. ``(1,)`` gives a
        single RNN without hierarchy; its sample-level network also receives the last sample.
    dim : int
        Units of every hidden layer.
    n_rnn : int
        Recurrent layers of each tier.
    rnn : str
        ``gru`` or ``lstm``.
    embedding_size : int
        Dimensions of a sample's embedding in the sample-level network. With 0 that network receives
        no samples of its own, which with frame sizes ``(1,)`` is the paper's equation 2: a
        baseline, not for presets.
    q_levels : int
        Quantisation levels: up to 256 in one softmax; or 65536, whose upper and lower byte are
        predicted one after the other (the dual softmax of Kalchbrenner et al., "Efficient Neural
        Audio Synthesis", ICML 2018).
    quantisation : str
        ``linear`` or ``mu_law``.
    weight_norm : bool
        Whether linear layers are weight-normalised (Salimans and Kingma, "Weight Normalization",
        2016).
    learn_h0 : bool
        Whether the initial state is learned; it is zero otherwise.
    conditioning : str
        ``none``; ``class``: one-hot of ``n_classes``; ``note``: `note_features` and the class.
    n_classes : int
        Number of classes; 0 without conditioning.

    Raises
    ------
    ParameterError
        If a field is out of its range: the first of `faults`.
    """

    frame_sizes: tuple[int, ...] = (8, 2)
    dim: int = 1024
    n_rnn: int = 1
    rnn: str = "gru"
    embedding_size: int = 256
    q_levels: int = 256
    quantisation: str = "linear"
    weight_norm: bool = True
    learn_h0: bool = True
    conditioning: str = "none"
    n_classes: int = 0

    def __post_init__(self) -> None:
        _make_tuples(self, "frame_sizes")
        for fault in self.faults():
            raise ParameterError(fault)

    def faults(self) -> Iterator[str]:
        """A message for each size that is out of range, which begins with its name.

        The messages are those of `SampleRNNConfig::faults` of csrc/models/samplernn.cpp.
        """
        for name, known in (
            ("rnn", tuple(N_GATES)),
            ("quantisation", QUANTISATIONS),
            ("conditioning", SAMPLERNN_CONDITIONINGS),
        ):
            if getattr(self, name) not in known:
                yield _unknown(name, getattr(self, name), known)
        sizes = self.frame_sizes
        in_range = 1 <= len(sizes) <= MOST_TIERS and all(1 <= size <= LARGEST for size in sizes)
        if not in_range or any(a % b or a <= b for a, b in pairwise(sizes)):
            yield (
                f"frame_sizes={list(sizes)} must be 1 to {MOST_TIERS} sizes that fall, each a"
                " multiple of the next, such as [8, 2]"
            )
        yield from _whole("dim", self.dim)
        yield from _whole("n_rnn", self.n_rnn, most=MOST_LAYERS)
        yield from _whole("embedding_size", self.embedding_size, least=0)
        if not (2 <= self.q_levels <= N_BYTE or self.q_levels == N_BYTE**2):
            yield f"q_levels={self.q_levels} must be 2 to {N_BYTE}, or {N_BYTE**2}"
        if self.conditioning == "none":
            if self.n_classes:
                yield f"n_classes={self.n_classes} is not supported by conditioning='none'; use 0"
        else:
            least = 2 if self.conditioning == "class" else 1
            if not least <= self.n_classes <= LARGEST:
                yield (
                    f"n_classes={self.n_classes} must be {least} to {LARGEST} with"
                    f" conditioning={self.conditioning!r}"
                )

    def table(self) -> dict[str, Any]:
        """The table ``[samplernn]`` of a preset, without what only training needs."""
        return _table(self, leave_out=("weight_norm", "learn_h0"))

    @property
    def two_bytes(self) -> bool:
        """Whether a level is predicted as an upper and a lower byte."""
        return self.q_levels > N_BYTE

    @property
    def n_features(self) -> int:
        """Length of the conditioning vector that each tier receives."""
        return self.n_classes + (N_NOTE_FEATURES if self.conditioning == "note" else 0)

    @property
    def ratios(self) -> tuple[int, ...]:
        """Conditioning vectors that a step of each tier produces for the tier below it."""
        below = (*self.frame_sizes[1:], 1)
        return tuple(a // b for a, b in zip(self.frame_sizes, below, strict=True))


# The configuration of rncm-prism/prism-samplernn (2021). Its top tier and its upsampling are
# written with one linear layer more and one bias less, which describes the same maps.
PRISM = SampleRNNConfig(
    frame_sizes=(64, 16), n_rnn=4, quantisation="mu_law", weight_norm=False, learn_h0=False
)
PUBLISHED = {"paper": SampleRNNConfig(), "prism": PRISM}


def weight_shapes(config: GeneratorConfig | SampleRNNConfig) -> WeightShapes:
    """Names and shapes of the tensors in a preset's ``weights.safetensors``, all float32.

    The engine multiplies with these weights as they are: equalised learning rates and weight
    normalisation are multiplied in by `export_weights`.

    Parameters
    ----------
    config : GeneratorConfig or SampleRNNConfig
        The network.

    Returns
    -------
    dict of str to tuple of int
        ``weight`` tensors are [n_out, n_in], or [n_out, n_in, frames, bins] of a convolution.

    Examples
    --------
    >>> weight_shapes(GeneratorConfig(channels=(8, 4)))["blocks.1.conv1.weight"]
    (4, 8, 3, 3)
    >>> weight_shapes(SampleRNNConfig(dim=16))["tiers.0.ih.0.weight"]
    (48, 8)
    """
    if isinstance(config, GeneratorConfig):
        return _generator_shapes(config)
    return _samplernn_shapes(config)


def _generator_shapes(config: GeneratorConfig) -> WeightShapes:
    shapes: WeightShapes = {}
    n_in, kernel = config.input_size, tuple(config.start_shape)
    for b, width in enumerate(config.channels):
        block = f"blocks.{b}"
        shapes[f"{block}.conv1.weight"] = (width, n_in, *kernel)
        shapes[f"{block}.conv1.bias"] = (width,)
        shapes[f"{block}.conv2.weight"] = (width, width, 3, 3)
        shapes[f"{block}.conv2.bias"] = (width,)
        if config.conditioning == "harmonic":
            part = f"{block}.conditioning"
            shapes[f"{part}.maps.weight"] = (width, config.n_maps)
            shapes[f"{part}.time.weight"] = (width, N_TIME_FEATURES)
            for name, n_out in (("noise", width), ("style1", 2 * width), ("style2", 2 * width)):
                shapes[f"{part}.{name}.weight"] = (n_out, config.input_size)
                shapes[f"{part}.{name}.bias"] = (n_out,)
        n_in, kernel = width, (3, 3)
    shapes["to_rgb.weight"], shapes["to_rgb.bias"] = (2, n_in), (2,)
    return shapes


def _samplernn_shapes(config: SampleRNNConfig) -> WeightShapes:
    shapes: WeightShapes = {}
    dim, n_features = config.dim, config.n_features
    n_gates, n_states = N_GATES[config.rnn], 2 if config.rnn == "lstm" else 1

    def linear(name: str, n_out: int, n_in: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (n_out, n_in), (n_out,)

    def features(part: str) -> None:
        if n_features:
            shapes[f"{part}.features.weight"] = (dim, n_features)

    for t, (frame_size, ratio) in enumerate(zip(config.frame_sizes, config.ratios, strict=True)):
        tier, n_in = f"tiers.{t}", dim
        if t == 0:  # the top tier's frame and conditioning go straight into its first layer
            n_in = frame_size + n_features
        else:
            linear(f"{tier}.input", dim, frame_size)
            features(tier)
        for layer in range(config.n_rnn):  # gates in torch's order: r, z, n or i, f, g, o
            linear(f"{tier}.ih.{layer}", n_gates * dim, dim if layer else n_in)
            linear(f"{tier}.hh.{layer}", n_gates * dim, dim)
        shapes[f"{tier}.h0"] = (n_states * config.n_rnn, dim)
        linear(f"{tier}.upsample", ratio * dim, dim)
    n_levels, window = min(config.q_levels, N_BYTE), config.frame_sizes[-1]
    if config.embedding_size:
        shapes["sample.embedding"] = (n_levels, config.embedding_size)
        shapes["sample.layer1.weight"] = (dim, window * config.embedding_size)  # oldest first
    features("sample")
    linear("sample.layer2", dim, dim)
    linear("sample.layer3", dim, dim)
    linear("sample.output", n_levels, dim)
    if config.two_bytes:
        if config.embedding_size:
            shapes["sample.embedding_low"] = (N_BYTE, config.embedding_size)
        shapes["sample.upper"] = (N_BYTE, dim)
        linear("sample.layer3_low", dim, dim)
        linear("sample.output_low", N_BYTE, dim)
    return shapes
