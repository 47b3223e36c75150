"""Benchmark of SampleRNN: generation, training, and the loss of reduced precision."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.bench.compare import Job, Race, require_torch, samples_per_second
from audiogen.bench.limits import compute_limit, larger_limit, memory_limit
from audiogen.core import backend as _native

if TYPE_CHECKING:
    from audiogen.models.samplernn import SampleRNN, SampleRNNConfig
    from audiogen.presets import SamplernnPreset
    from audiogen.training.samplernn.excerpts import Chunk

N_SAMPLES = 512  # per call; eager PyTorch takes most of a second
RATE = 16000  # Hz


class Eager:
    """Generation in eager PyTorch at its best: dense weights, fused cells, reused tensors.

    Parameters
    ----------
    model : SampleRNN
        Unconditional model with GRUs and one softmax.
    n_streams : int
        Number of streams that are generated together.
    precision : str
        ``float32`` or ``bfloat16``.
    """

    def __init__(self, model: SampleRNN, n_streams: int = 1, precision: str = "float32"):
        torch = require_torch()
        from audiogen.models.samplernn import export_weights

        self._config, self._type = model.config, getattr(torch, precision)
        self._w = {k: torch.from_numpy(v).to(self._type) for k, v in export_weights(model).items()}
        self._state = [
            [h[None].expand(n_streams, -1).contiguous() for h in self._w[f"tiers.{t}.h0"]]
            for t in range(len(self._config.frame_sizes))
        ]
        top = self._config.frame_sizes[0]
        self._levels = torch.full((n_streams, top), self._config.q_levels // 2)
        self._random = torch.Generator().manual_seed(0)

    def __call__(self, n: int = N_SAMPLES) -> Any:
        """Generate `n` samples, a multiple of the longest frame."""
        torch = require_torch()
        from torch.nn import functional

        c, w = self._config, self._w
        context: list[Any] = [None] * len(c.frame_sizes)  # output of each tier
        levels = self._levels
        with torch.inference_mode():
            for i in range(n):
                for t, size in enumerate(c.frame_sizes):
                    if i % size:
                        continue
                    scaled = levels[:, -size:].float() * (4.0 / (c.q_levels - 1)) - 2.0
                    frame = scaled.to(self._type)
                    prefix = f"tiers.{t}."
                    if t == 0:
                        x = frame
                    else:
                        place = i % c.frame_sizes[t - 1] // size
                        x = self._linear(prefix + "input", frame) + context[t - 1][:, place]
                    for layer in range(c.n_rnn):
                        x = torch.gru_cell(
                            x,
                            self._state[t][layer],
                            w[f"{prefix}ih.{layer}.weight"],
                            w[f"{prefix}hh.{layer}.weight"],
                            w[f"{prefix}ih.{layer}.bias"],
                            w[f"{prefix}hh.{layer}.bias"],
                        )
                        self._state[t][layer] = x
                    up = self._linear(prefix + "upsample", x)
                    context[t] = up.view(len(x), c.ratios[t], c.dim)
                window = c.frame_sizes[-1]
                past = functional.embedding(levels[:, -window:], w["sample.embedding"]).flatten(1)
                x = torch.addmm(context[-1][:, i % window], past, w["sample.layer1.weight"].T)
                x = torch.relu(self._linear("sample.layer2", x))
                x = self._linear("sample.output", torch.relu(self._linear("sample.layer3", x)))
                chances = torch.softmax(x.float(), dim=1)
                drawn = torch.multinomial(chances, 1, generator=self._random)
                levels = torch.cat((levels, drawn), dim=1)[:, 1:]
        self._levels = levels
        return levels

    def _linear(self, name: str, x: Any) -> Any:
        return require_torch().addmm(self._w[f"{name}.bias"], x, self._w[f"{name}.weight"].T)


def _network(config: SampleRNNConfig, precision: str, model: SampleRNN) -> Any:
    from audiogen.models.samplernn import export_weights

    fields = asdict(config) | {"sample_rate": float(RATE)}
    del fields["weight_norm"], fields["learn_h0"]
    return _native.require().SampleRNN(fields, export_weights(model), precision)


def _peers(model: SampleRNN, n_streams: int, precision: str) -> tuple[str, Any, dict[str, Any]]:
    """Name and call of the peer at a precision, and the other peers.

    PyTorch has no int8 cell that packs its weights once; int8 races its other precisions.
    """
    precisions = ("float32", "bfloat16") if precision == "int8" else (precision,)
    calls = {f"PyTorch eager {p}": Eager(model, n_streams, p) for p in precisions}
    (name, call), *others = calls.items()
    return name, call, dict(others)


def weights_per_sample(config: SampleRNNConfig) -> tuple[float, float, float]:
    """Count the weights that one sample needs, after folding (csrc/models/samplernn.h).

    Returns
    -------
    tiers : float
        Weights of the tiers per sample.
    last : float
        Weights of the last two layers; half of their inputs are zero after the rectifier, and
        weights of zero inputs are not read.
    all_tiers : float
        Weights of the tiers.
    """
    square = config.dim**2
    per_sample = all_tiers = 0.0
    for t, size in enumerate(config.frame_sizes):
        ratio = size // (config.frame_sizes[t + 1] if t + 1 < len(config.frame_sizes) else 1)
        n_products = 2 * config.n_rnn - (t == 0)  # the first tier's input is read from a table
        weights = (3 * n_products + ratio) * square
        per_sample += weights / size
        all_tiers += weights
    return per_sample, (square + config.q_levels * config.dim) / 2, all_tiers


def _limit(config: SampleRNNConfig, precision: str, n_streams: int) -> Any:
    """The limit of a call: the weights of the tiers that it reads, or its products.

    At best the last two layers, which each sample reads in full, stay in the core's own cache.
    """
    tiers, last, all_tiers = weights_per_sample(config)
    n_bytes = {"float32": 4, "bfloat16": 2, "int8": 1}[precision]
    on_tiles = (precision, n_streams) == ("int8", 16) and _native.require().peak("int8 tiles", 1)
    return larger_limit(
        memory_limit(N_SAMPLES * n_bytes * tiers, n_bytes * all_tiers),
        compute_limit(
            2 * n_streams * N_SAMPLES * (tiers + last), "int8 tiles" if on_tiles else precision
        ),
    )


def generation() -> Iterator[Race]:
    """Yield the races of the paper's best three-tier model, with random weights.

    Half of its activations are zero after the rectifier; trained models have more and are faster.
    """
    torch = require_torch()
    native = _native.require()
    from audiogen.models.samplernn import SampleRNN, SampleRNNConfig

    torch.manual_seed(0)
    config = SampleRNNConfig()
    model = SampleRNN(config).eval()
    what = "paper-size SampleRNN"
    low = native.isa() in ("avx512_bf16", "amx")
    targets = {
        ("float32", 1): 4.0,
        ("bfloat16", 1): 10.0 if low else None,
        ("int8", 1): 25.0 if low else None,
        ("int8", 16): 12.0 if low else None,
    }
    for precision in ("float32", "bfloat16", "int8"):
        network = _network(config, precision, model)
        for n_streams in (1, 16):
            if (precision, n_streams) == ("bfloat16", 16):
                continue
            name, call, others = _peers(model, n_streams, precision)
            yield Race(
                f"{what}, {precision}{f', {n_streams} streams' if n_streams > 1 else ''}",
                partial(native.SampleStream(network, n_streams).draw, N_SAMPLES),
                call,
                name,
                others=others,
                target=targets.get((precision, n_streams)),
                limit=_limit(config, precision, n_streams),
                remark=samples_per_second(n_streams * N_SAMPLES),
            )
    for precision in ("float32", "bfloat16", "int8"):
        yield _two_threads(what, _network(config, precision, model), precision)


def _two_threads(what: str, network: Any, precision: str) -> Race:
    stream = _native.require().SampleStream
    # Opened in the first call, when the second core may be used.
    two = cache(lambda: stream(network, threads=2))
    return Race(
        f"{what}, {precision}, two threads",
        lambda: two().draw(N_SAMPLES),
        partial(stream(network).draw, N_SAMPLES),
        "one thread",
        target=1.7,
        remark=samples_per_second(N_SAMPLES),
        n_cores=2,
    )


class Plain:
    """Training step of a plain PyTorch port of SampleRNN.

    It has recurrent layers of `torch.nn`, a convolution over embedded samples, weight norm as a
    parametrization that is evaluated at each use, float32 and element-wise gradient clipping.

    Parameters
    ----------
    config : SampleRNNConfig
        Sizes of the network.
    batch : int
        Number of sequences in a step.
    n : int, samples
        Length of truncated back-propagation.
    """

    def __init__(self, config: SampleRNNConfig, batch: int, n: int):
        torch = require_torch()
        from torch import nn
        from torch.nn.utils.parametrizations import weight_norm

        self._config, self._batch, self._n = config, batch, n
        dim, window = config.dim, config.frame_sizes[-1]
        self._net = nn.ModuleDict()
        for t, (size, ratio) in enumerate(zip(config.frame_sizes, config.ratios, strict=True)):
            self._net[f"input{t}"] = weight_norm(nn.Conv1d(size, dim, 1))
            self._net[f"rnn{t}"] = nn.GRU(dim, dim, config.n_rnn, batch_first=True)
            self._net[f"up{t}"] = weight_norm(nn.ConvTranspose1d(dim, dim, ratio, ratio))
        self._net["embedding"] = nn.Embedding(config.q_levels, config.q_levels)
        self._net["first"] = weight_norm(nn.Conv1d(config.q_levels, dim, window, bias=False))
        self._net["hidden"] = weight_norm(nn.Conv1d(dim, dim, 1))
        self._net["output"] = weight_norm(nn.Conv1d(dim, config.q_levels, 1))
        self._optimiser = torch.optim.Adam(self._net.parameters(), 1e-3)

    def __call__(self) -> None:
        torch = require_torch()
        from torch.nn import functional

        config, net = self._config, self._net
        top, window = config.frame_sizes[0], config.frame_sizes[-1]
        levels = torch.randint(0, config.q_levels, (self._batch, top + self._n))
        scaled = levels * (4.0 / (config.q_levels - 1)) - 2.0
        context = None
        for t, size in enumerate(config.frame_sizes):
            frames = scaled[:, top - size : top + self._n - size].unflatten(1, (-1, size))
            x = net[f"input{t}"](frames.transpose(1, 2))
            x = x if context is None else x + context
            out, _ = net[f"rnn{t}"](x.transpose(1, 2))
            context = net[f"up{t}"](out.transpose(1, 2))
        past = net["embedding"](levels[:, top - window : -1]).transpose(1, 2)
        x = functional.relu(net["first"](past) + context)
        logits = net["output"](functional.relu(net["hidden"](x)))
        loss = functional.cross_entropy(logits, levels[:, top:])
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(self._net.parameters(), 1.0)
        self._optimiser.step()


class _Noise:
    """Excerpts of random levels, as the trainer reads them."""

    def __init__(self, config: SampleRNNConfig, n_samples: int):
        self.n_samples, self._past = n_samples, config.frame_sizes[0]
        self.levels = np.random.default_rng(0).integers(0, config.q_levels, 1 << 16)

    def draw(self, random: np.random.Generator) -> int:
        return int(random.integers(1 << 15))

    def all(self) -> list[int]:
        return [0]

    def chunk(self, which: int, start: int, n: int) -> Chunk:
        from audiogen.training.samplernn.excerpts import Chunk

        levels = self.levels[which : which + self._past + n]
        return Chunk(levels, None, levels)


def training() -> Iterator[Race]:
    """Yield the races of a training step at the published settings."""
    torch = require_torch()
    from audiogen.models.samplernn import SampleRNNConfig
    from audiogen.training.run.device import has_bfloat16
    from audiogen.training.run.memory import keep_freed_memory
    from audiogen.training.samplernn.recipe import SampleRNNRecipe
    from audiogen.training.samplernn.trainer import SampleRNNTrainer

    keep_freed_memory()  # also the peer's: the race compares arithmetic
    cases = (
        ("frames 8 and 2, 512 samples", SampleRNNConfig(), 128, 512),
        ("frames 64 and 16, 2 layers, 1024 samples", SampleRNNConfig((64, 16), n_rnn=2), 128, 1024),
    )
    for name, model, batch, chunk in cases:
        for low in (True, False) if has_bfloat16() else (False,):  # as `audiogen train` has it
            recipe = SampleRNNRecipe(
                steps=10**6, batch=batch, chunk=chunk, bfloat16=low, model=model
            )
            noise = _Noise(model, 4 * chunk)
            torch.manual_seed(0)
            yield Race(
                f"training step, {name}, batch {batch}{', bfloat16' if low else ''}",
                SampleRNNTrainer(noise, noise, recipe).train_step,
                Plain(model, batch, chunk),
                "torch.nn float32",
                target=1.5 if low == has_bfloat16() else None,
                remark=samples_per_second(batch * chunk),
                rounds=1,
            )


def stream_of(preset: SamplernnPreset, precision: str) -> Any:
    """Open one stream of samples of a preset's network."""
    backend = _native.load()
    network = backend.open_preset(preset.folder).network(precision)
    return backend.SampleStream(network, 1, 0)


# Script for a process whose environment selects the instruction set: seconds for N_SAMPLES by
# precision.
_TIMING_SCRIPT = """
import json, statistics, sys, time
from audiogen.bench.samplernn import stream_of
from audiogen.presets import load_preset
preset, n, seconds = load_preset(sys.argv[1]), int(sys.argv[2]), {}
for precision in ("float32", "bfloat16", "int8"):
    stream = stream_of(preset, precision)
    if preset.plays_notes:
        stream.start_note(0, 60.0, 0.8, 0)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        stream.process(n, 1.0)
        times.append(time.perf_counter() - start)
    seconds[precision] = statistics.median(times[1:])
print(json.dumps(seconds))
"""


def presets() -> Iterator[Race]:
    """Yield the races of the SampleRNN presets, on every instruction set of this CPU."""
    from audiogen.presets import find_presets, load_preset

    isas = _native.require().available_isas()
    for preset in map(load_preset, find_presets()):
        if preset.kind != "samplernn":
            continue
        remarks = {
            precision: f", loses {lost_bits(preset, precision):.1e} bits"
            for precision in ("bfloat16", "int8")
        }
        for isa in isas:
            run = subprocess.run(
                [sys.executable, "-c", _TIMING_SCRIPT, str(preset.folder), str(N_SAMPLES)],
                env=os.environ | {"AUDIOGEN_ISA": isa},
                capture_output=True,
                text=True,
                check=True,
            )
            for precision, seconds in json.loads(run.stdout).items():
                yield Race(
                    f"preset {preset.name}, {precision}, {isa}",
                    seconds,
                    N_SAMPLES / preset.sample_rate,
                    "real time",
                    target=1.0,
                    remark=samples_per_second(N_SAMPLES, remarks.get(precision, "")),
                    rounds=1,
                )


def lost_bits(preset: Any, precision: str) -> float:
    """Return the loss of a precision: the mean divergence of its distributions from float32's.

    Parameters
    ----------
    preset : SamplernnPreset
        Preset of the model.
    precision : str
        ``bfloat16`` or ``int8``.

    Returns
    -------
    float, bits per sample
        Kullback-Leibler divergence over two seconds that the float32 model generates.
    """

    def stream(precision: str) -> Any:
        opened = stream_of(preset, precision)
        if preset.plays_notes:
            opened.start_note(0, 60.0, 0.8, 0)
        return opened

    levels = stream("float32").draw(2 * preset.sample_rate, preset.sampling.temperature, 1.0)
    exact, rough = (_log_softmax(stream(p).logits(levels)[0]) for p in ("float32", precision))
    return float((np.exp(exact) * (exact - rough)).sum(axis=(-1, -2)).mean() / np.log(2.0))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the log-probabilities [n, n_bytes, n_levels] of one softmax, or one per byte."""
    n_levels = 256 if logits.shape[-1] == 512 else logits.shape[-1]
    parts = logits.astype(np.float64).reshape(len(logits), -1, n_levels)
    parts = parts - parts.max(axis=-1, keepdims=True)
    return parts - np.log(np.exp(parts).sum(axis=-1, keepdims=True))


JOBS = {
    "samplernn": Job(generation, "generation by the paper's SampleRNN", 3.0),
    "samplernn_presets": Job(presets, "generation by the SampleRNN presets", 1.0),
    "samplernn_training": Job(training, "a training step of SampleRNN", 2.0, memory_gb=4.0),
}
