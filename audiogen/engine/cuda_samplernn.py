"""SampleRNN on a CUDA device: many streams at once, thousands of samples in one launch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen.core.checks import check_seed
from audiogen.core.device import choose_device
from audiogen.core.sampling import DC_BLOCK_HZ, check_sampling
from audiogen.errors import (
    DeviceError,
    FormatError,
    ParameterError,
    PresetError,
)
from audiogen.ops import _cuda
from audiogen.presets import (
    Preset,
    SampleRNNConfig,
    SamplernnPreset,
    load_preset,
    read_weights,
    weight_shapes,
)
from audiogen.representation.levels import dequantise

Array = NDArray[np.float32]

N_BYTE = 256  # levels of one softmax, at most
LONGEST_RUN = 8192  # samples per launch; Ctrl-C is handled between launches


class CudaSampleStream:
    """Samples of independent streams, called as `audiogen._native.SampleStream`.

    The streams share each pass over the weights, so many of them cost little more than one. They
    draw the same numbers as on the CPU; sums are in another order, so that now and then a level
    differs, and what follows it. Networks that are conditioned on notes aren't served.

    Parameters
    ----------
    config : mapping
        Fields of ``[samplernn]``, and ``sample_rate`` (Hz).
    weights : mapping of str to array
        Tensors of the network by name.
    n_streams : int
        Number of independent streams.
    seed : int
        Seed of the random numbers.
    first_stream : int
        Stream ``s`` draws the numbers of the Philox stream ``first_stream + s``.
    device : str
        A CUDA device as torch names it.

    Raises
    ------
    ParameterError, FormatError
        If the config or the weights are wrong.
    DeviceError
        If there is no such device, or audiogen was built without CUDA.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        weights: Mapping[str, Any],
        n_streams: int = 1,
        seed: int = 0,
        first_stream: int = 0,
        device: str = "cuda",
    ):
        table, sample_rate = _checked_config(config)
        if table.conditioning == "note":
            raise ParameterError(
                "config['conditioning'] is 'note', and notes are not made on CUDA; use "
                "audiogen._native.SampleStream, or a network with 'none' or 'class'"
            )
        if not 1 <= n_streams <= 1 << 16:
            raise ParameterError(f"n_streams={n_streams} is not 1 to 65536")
        folded = fold(table, _checked_weights(table, weights))
        self.n_streams = n_streams
        self._table = table
        self._device = _checked_device(device)
        self._seeds: Any = None
        import torch

        self._tensors = {k: torch.from_numpy(v).to(self._device) for k, v in folded.items()}
        self._network = _network_of(table, sample_rate, self._tensors)
        n_bytes = _cuda.samplernn_state_bytes(self._network, n_streams)
        self._state = torch.empty(n_bytes, dtype=torch.uint8, device=self._device)
        self._classes = torch.zeros(n_streams, dtype=torch.int32, device=self._device)
        self.reset(seed, first_stream)

    @classmethod
    def of_preset(cls, preset: str | PathLike[str] | Preset, **options: Any) -> CudaSampleStream:
        """Streams of a preset; ``options`` as those of the class.

        Raises
        ------
        PresetError
            If it isn't found, or isn't a SampleRNN.
        """
        loaded = preset if isinstance(preset, Preset) else load_preset(preset)
        if not isinstance(loaded, SamplernnPreset):
            raise PresetError(f"preset {loaded.name!r} is not a SampleRNN; give one of that kind")
        config = loaded.samplernn.table() | {"sample_rate": float(loaded.sample_rate)}
        return cls(config, read_weights(loaded), **options)

    @property
    def position(self) -> int:
        """Samples since the first state."""
        return self._position

    def reset(self, seed: int = 0, first_stream: int = 0) -> None:
        """Bring all streams to their first state: sample 0, class 0."""
        seed = check_seed(seed)
        if not 0 <= first_stream <= (1 << 32) - self.n_streams:
            raise ParameterError(
                f"first_stream={first_stream} is not 0 to {(1 << 32) - self.n_streams}"
            )
        self._seed, self._first_stream, self._position = seed, first_stream, 0
        self._seeds = None
        self._classes.zero_()

    def seed_streams(self, seeds: Sequence[int]) -> None:
        """Let each stream draw from Philox stream 0 of a seed of its own, as an engine's note does.

        Parameters
        ----------
        seeds : sequence of int
            Seed of each stream, 0 to 2**64 - 1.

        Raises
        ------
        ParameterError
            If a seed is out of range, or there are not as many as streams.
        """
        import torch

        given = np.array([check_seed(seed) for seed in seeds], np.uint64)
        if len(given) != self.n_streams:
            raise ParameterError(f"seeds has {len(given)} numbers; it must have {self.n_streams}")
        self._seeds = torch.from_numpy(given.view(np.int64)).to(self._device)

    def set_class(self, stream: int, index: int) -> None:
        """Choose what a stream sounds like, from here on."""
        if not 0 <= stream < self.n_streams:
            raise ParameterError(f"stream={stream} must be 0 to {self.n_streams - 1}")
        n_classes = self._table.n_classes
        if not 0 <= index < n_classes:
            raise ParameterError(f"index={index} is not one of the network's {n_classes} classes")
        self._classes[stream] = index

    def draw(self, n: int, temperature: ArrayLike = 1.0, top_p: float = 1.0) -> NDArray[np.int32]:
        """Draw the next levels.

        Parameters
        ----------
        n : int
            Number of samples.
        temperature : float or array [n]
            0 takes the likeliest level.
        top_p : float
            Draws only from the likeliest levels that together have this probability.

        Returns
        -------
        array [n_streams, n], int32
        """
        return self._drawn("levels", n, temperature, top_p)

    def process(self, n: int, temperature: ArrayLike = 1.0, top_p: float = 1.0) -> Array:
        """Draw as samples, [n_streams, n], without their direct current."""
        return self._drawn("samples", n, temperature, top_p)

    def feed(self, levels: ArrayLike) -> None:
        """Put given levels, [n_streams, n], where drawn ones would be."""
        given = self._given(levels)
        self._run(None, given.shape[1], given=given)

    def logits(self, levels: ArrayLike) -> Array:
        """Feed levels and return the logits of each sample, [n_streams, n, n_levels].

        Of two bytes those of the upper one, then those of the lower one given the upper one.
        """
        given = self._given(levels)
        return self._run("logits", given.shape[1], given=given)

    def _drawn(self, want: str, n: int, temperature: ArrayLike, top_p: float) -> Any:
        if n < 0:
            raise ParameterError(f"n={n}; give 0 or more samples")
        return self._run(want, n, check_sampling(temperature, top_p, n), top_p)

    def _given(self, levels: ArrayLike) -> NDArray[np.int32]:
        given, q_levels = np.asarray(levels), self._table.q_levels
        if given.ndim != 2 or len(given) != self.n_streams or given.dtype.kind not in "iu":
            raise ParameterError(
                f"levels has shape {given.shape} and type {given.dtype}; it must be whole numbers "
                f"[{self.n_streams}, n]"
            )
        if given.size and not 0 <= given.min() <= given.max() < q_levels:
            raise ParameterError(
                f"levels goes from {given.min()} to {given.max()}; it must be 0 to {q_levels - 1}"
            )
        return given.astype(np.int32)

    def _run(
        self,
        want: str | None,
        n: int,
        temperatures: Array | None = None,
        top_p: float = 1.0,
        given: NDArray[np.int32] | None = None,
    ) -> Any:
        """Go on by n samples, and give their levels, samples or logits."""
        import torch

        def on_device(part: NDArray[Any] | None) -> Any:
            return None if part is None else torch.tensor(part, device=self._device)

        n_logits = 2 * N_BYTE if self._table.q_levels > N_BYTE else self._table.q_levels
        tail = (n_logits,) if want == "logits" else ()
        dtype = torch.int32 if want == "levels" else torch.float32
        out = np.empty((self.n_streams, n, *tail), np.int32 if want == "levels" else np.float32)
        for first in range(0, n, LONGEST_RUN):
            part = slice(first, min(n, first + LONGEST_RUN))
            length = part.stop - part.start
            temperature = on_device(None if temperatures is None else temperatures[part])
            levels = on_device(None if given is None else given[:, part])
            made = None
            if want:
                size = (self.n_streams, length, *tail)
                made = torch.empty(size, dtype=dtype, device=self._device)
            run = _cuda.SamplernnRun(
                seed=self._seed,
                position=self._position,
                n=length,
                first_stream=self._first_stream,
                seeds=_pointer(self._seeds),
                top_p=top_p,
                temperature=_pointer(temperature),
                classes=_pointer(self._classes if self._table.n_classes else None),
                given=_pointer(levels),
                **({want: _pointer(made)} if want else {}),
            )
            _cuda.samplernn_draw(self._network, run, self._state, self.n_streams)
            self._position += length
            if made is not None:
                out[:, part] = made.cpu().numpy()
        return out


def fold(table: SampleRNNConfig, weights: Mapping[str, Any]) -> dict[str, Array]:
    """Multiply out what follows each other without a non-linearity, in float64.

    Parameters
    ----------
    table : SampleRNNConfig
        Sizes of the network.
    weights : mapping of str to array
        Tensors of the network by name.

    Returns
    -------
    dict of str to array, float32
        What `audiogen_cuda_samplernn` (csrc/cuda/audiogen_cuda.h) points to, by the names of its
        fields; those of its tiers begin with ``tiers.<t>.``.
    """
    w = {name: np.asarray(array, np.float64) for name, array in weights.items()}
    dim, n_rnn, last = table.dim, table.n_rnn, len(table.frame_sizes) - 1
    layer2 = w["sample.layer2.weight"]
    out: dict[str, Any] = {}
    for t, frame_size in enumerate(table.frame_sizes):
        tier = f"tiers.{t}."

        def stacked(kind: str, first: int = 0, tier: str = tier) -> Any:
            layers = [w[f"{tier}{kind.format(i)}"] for i in range(first, n_rnn)]
            return np.stack(layers) if layers else None

        ih, input_bias = w[f"{tier}ih.0.weight"], stacked("ih.{}.bias")
        if t == 0:
            direct, classes = np.split(ih, [frame_size], axis=1)
        else:
            direct = ih @ w[f"{tier}input.weight"]
            input_bias[0] += ih @ w[f"{tier}input.bias"]
            classes = ih @ w[f"{tier}features.weight"] if table.n_classes else ih[:, :0]
            out[f"{tier}above"] = ih
        up, up_bias = w[f"{tier}upsample.weight"], w[f"{tier}upsample.bias"]
        if t == last:
            up = (layer2 @ up.reshape(-1, dim, dim)).reshape(-1, dim)
            up_bias = (up_bias.reshape(-1, dim) @ layer2.T + w["sample.layer2.bias"]).ravel()
        out |= {
            f"{tier}direct": direct,
            f"{tier}classes": classes.T if table.n_classes else None,
            f"{tier}input": stacked("ih.{}.weight", 1),
            f"{tier}input_bias": input_bias,
            f"{tier}recurrent": stacked("hh.{}.weight"),
            f"{tier}recurrent_bias": stacked("hh.{}.bias"),
            f"{tier}h0": w[f"{tier}h0"],
            f"{tier}upsample": up,
            f"{tier}upsample_bias": up_bias,
        }
    two_bytes = table.q_levels > N_BYTE
    embeddings = [w["sample.embedding"]] + ([w["sample.embedding_low"]] if two_bytes else [])
    layer1 = (layer2 @ w["sample.layer1.weight"]).reshape(dim, table.frame_sizes[-1], -1)
    out["tables"] = np.stack([[e @ part.T for e in embeddings] for part in layer1.swapaxes(0, 1)])
    if table.n_classes:
        out["classes"] = (layer2 @ w["sample.features.weight"]).T
    layers = ["sample.layer3", *(["sample.layer3_low"] if two_bytes else [])]
    out["hidden"] = np.stack([w[f"{layer}.weight"] for layer in layers])
    out["hidden_bias"] = np.stack([w[f"{layer}.bias"] for layer in layers])
    out["output"], out["output_bias"] = w["sample.output.weight"], w["sample.output.bias"]
    if two_bytes:
        out["output_low"] = w["sample.output_low.weight"]
        out["output_low_bias"] = w["sample.output_low.bias"]
        out["upper"] = w["sample.upper"]
    out["samples"] = dequantise(np.arange(table.q_levels), table.q_levels, table.quantisation)
    return {k: np.ascontiguousarray(v, np.float32) for k, v in out.items() if v is not None}


def _network_of(
    table: SampleRNNConfig, sample_rate: float, tensors: Mapping[str, Any]
) -> _cuda.Samplernn:
    network = _cuda.Samplernn(
        n_tiers=len(table.frame_sizes),
        dim=table.dim,
        n_rnn=table.n_rnn,
        n_gates={"gru": 3, "lstm": 4}[table.rnn],
        q_levels=table.q_levels,
        dc_pole=1.0 - 2.0 * math.pi * DC_BLOCK_HZ / sample_rate,
    )
    for t, frame_size in enumerate(table.frame_sizes):
        network.tiers[t].frame_size = frame_size
    for name, tensor in tensors.items():
        *tier, field = name.split(".")
        owner = network.tiers[int(tier[1])] if tier else network
        setattr(owner, field, _pointer(tensor))
    return network


def _pointer(tensor: Any) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _checked_config(config: Mapping[str, Any]) -> tuple[SampleRNNConfig, float]:
    fields = dict(config)
    rate = fields.pop("sample_rate", 16000.0)
    if not isinstance(rate, (int, float)) or not 2 * math.pi * DC_BLOCK_HZ < rate < math.inf:
        raise ParameterError(f"config['sample_rate'] is {rate!r}, not a rate above 63 Hz")
    try:
        return SampleRNNConfig(**fields), float(rate)
    except TypeError as error:  # a field that is unknown, or no number
        raise ParameterError(f"config: {error}") from error


def _checked_weights(table: SampleRNNConfig, weights: Mapping[str, Any]) -> Mapping[str, Any]:
    shapes = weight_shapes(table)
    for name in sorted(shapes.keys() ^ weights.keys()):
        wrong = "is missing" if name in shapes else "belongs to no layer of the config"
        raise FormatError(f"weight {name!r} {wrong}; were the weights exported for another config?")
    for name, shape in shapes.items():
        found = np.shape(weights[name])
        if found != shape:
            raise FormatError(f"weight {name!r} has shape {found}; the config wants {shape}")
        if not np.isfinite(weights[name]).all():
            raise FormatError(f"weight {name!r} holds NaN or infinity; was the training stable?")
    return weights


def _checked_device(device: str) -> Any:
    chosen = choose_device(device)
    if chosen.type != "cuda":
        raise DeviceError(f"device={device!r} is not a CUDA device; use 'cuda' or 'cuda:N'")
    return chosen
