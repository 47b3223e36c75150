"""SampleRNN on CUDA: its structs, its folded weights and its calls on the CPU; its samples where
there is a GPU. The phases themselves are held to the CPU's stream by tests/cpp.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.engine import cuda_samplernn
from audiogen.engine.cuda_samplernn import CudaSampleStream, fold
from audiogen.errors import DeviceError, FormatError, ParameterError, PresetError
from audiogen.models.samplernn import SampleRNN, SampleRNNConfig, export_weights
from audiogen.ops import _cuda
from audiogen.presets import DEFAULT_PRESET
from audiogen.representation.levels import dequantise, silence

HEADER = Path(__file__).parents[2] / "csrc/cuda/audiogen_cuda.h"
RATE = 4000.0
SEED = 2**63 + 11
FIELDS = (
    *("frame_sizes", "dim", "n_rnn", "rnn", "embedding_size", "q_levels", "quantisation"),
    *("conditioning", "n_classes"),
)


def small(frame_sizes: tuple[int, ...], dim: int = 20, **changes: Any) -> SampleRNNConfig:
    return SampleRNNConfig(frame_sizes, dim, **{"embedding_size": 5, **changes})


CONFIGS = {
    "two_tiers": small((8, 2), 33),
    "flat": small((1,), 17, q_levels=100),
    "one_tier": small((6,), 64, n_rnn=2, quantisation="mu_law"),
    "lstm": small((12, 4, 2), 24, n_rnn=2, rnn="lstm", q_levels=77),
    "class": small((4, 1), 16, conditioning="class", n_classes=3, q_levels=8),
    "bytes": small(
        (6, 3), 19, conditioning="class", n_classes=2, q_levels=65536, quantisation="mu_law"
    ),
}


def make(config: SampleRNNConfig) -> SampleRNN:
    """A network with nothing at its initial zero."""
    torch.manual_seed(0)
    model = SampleRNN(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def fields(config: SampleRNNConfig) -> dict[str, Any]:
    chosen = {name: getattr(config, name) for name in FIELDS}
    return {**chosen, "frame_sizes": list(config.frame_sizes)}


def arguments(config: SampleRNNConfig) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return {**fields(config), "sample_rate": RATE}, export_weights(make(config))


# ---- The C interface ----


@pytest.mark.parametrize(
    ("name", "struct"),
    [
        ("audiogen_cuda_samplernn_tier", _cuda.SamplernnTier),
        ("audiogen_cuda_samplernn", _cuda.Samplernn),
        ("audiogen_cuda_samplernn_run", _cuda.SamplernnRun),
    ],
)
def test_header_and_python_declare_the_same_structs(name, struct):
    text = re.sub(r"//.*", "", HEADER.read_text())
    body = re.search(rf"struct {name} {{([^}}]*)}}", text).group(1)
    kinds = {
        "uint64_t": ctypes.c_uint64,
        "uint32_t": ctypes.c_uint32,
        "float": ctypes.c_float,
        "double": ctypes.c_double,
        "audiogen_cuda_samplernn_tier": _cuda.SamplernnTier * _cuda.MOST_TIERS,
    }

    def kind(declared: str) -> Any:
        return ctypes.c_void_p if "*" in declared else kinds[declared.split()[0]]

    declared = [line.strip() for line in body.split(";") if line.strip()]
    wanted = [(re.search(r"(\w+)(\[\w+\])?$", d).group(1), kind(d)) for d in declared]
    assert list(struct._fields_) == wanted
    assert f"#define AUDIOGEN_CUDA_MOST_TIERS {_cuda.MOST_TIERS}\n" in HEADER.read_text()


def test_the_built_library_measures_states():
    if not _cuda.library_path().exists():
        pytest.skip("the CUDA library was not built (no nvcc, or AUDIOGEN_CUDA=off)")
    table = SampleRNNConfig(**fields(CONFIGS["two_tiers"]))
    network = cuda_samplernn._network_of(table, RATE, {})
    one, many = (_cuda.samplernn_state_bytes(network, n) for n in (1, 100))
    assert 0 < one < many < 100 * one
    with pytest.raises(DeviceError, match="n_streams=70000"):
        _cuda.samplernn_state_bytes(network, 70000)


# ---- Folded weights ----


def folded_logits(config: SampleRNNConfig, w: dict[str, np.ndarray], levels, index: int):
    """The step of csrc/kernels/networks/samplernn_phases.h in NumPy, teacher-forced."""
    c, dim = config, config.dim
    past = [silence(c.q_levels, c.quantisation)] * c.frame_sizes[0]
    n_tiers, n_gates = len(c.frame_sizes), {"gru": 3, "lstm": 4}[c.rnn]
    states = [w[f"tiers.{t}.h0"].astype(np.float64) for t in range(n_tiers)]
    told: list[Any] = [None] * n_tiers

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def matrix(name, x):
        return w[name] @ x + w[f"{name}_bias"]

    out = []
    for n, level in enumerate(levels):
        for t, size in enumerate(c.frame_sizes):
            if n % size:
                continue
            tier = {k.split(".")[2]: v for k, v in w.items() if k.startswith(f"tiers.{t}.")}
            scaled = np.array(past[-size:]) * 4 / (c.q_levels - 1) - 2
            for layer in range(c.n_rnn):
                if layer:
                    x = tier["input"][layer - 1] @ states[t][layer - 1]
                else:
                    x = tier["direct"] @ scaled
                    if t:
                        x = x + told[t - 1][n % c.frame_sizes[t - 1] // size]
                    if c.n_classes:
                        x = x + tier["classes"][index]
                x = (x + tier["input_bias"][layer]).reshape(n_gates, dim)
                h = states[t][layer]
                r = tier["recurrent"][layer] @ h + tier["recurrent_bias"][layer]
                r = r.reshape(n_gates, dim)
                if c.rnn == "gru":
                    reset, update = sigmoid(x[:2] + r[:2])
                    states[t][layer] = (1 - update) * np.tanh(x[2] + reset * r[2]) + update * h
                else:
                    take, keep, give = sigmoid((x + r)[[0, 1, 3]])
                    cell = keep * states[t][c.n_rnn + layer] + take * np.tanh(x[2] + r[2])
                    states[t][c.n_rnn + layer] = cell
                    states[t][layer] = give * np.tanh(cell)
            up = tier["upsample"] @ states[t][c.n_rnn - 1] + tier["upsample_bias"]
            told[t] = up.reshape(-1, dim)
            if t + 1 < n_tiers:
                told[t] = told[t] @ w[f"tiers.{t + 1}.above"].T
        window = c.frame_sizes[-1]
        x = told[-1][n % window]
        for table, old in zip(w["tables"], past[-window:], strict=True):
            parts = (old >> 8, old & 255) if c.two_bytes else (old,)
            x = x + sum(rows[byte] for rows, byte in zip(table, parts, strict=True))
        if c.n_classes:
            x = x + w["classes"][index]
        hidden = w["hidden"] @ np.maximum(x, 0) + w["hidden_bias"]
        logits = matrix("output", np.maximum(hidden[0], 0))
        if c.two_bytes:
            low = np.maximum(hidden[1] + w["upper"][level >> 8], 0)
            logits = np.concatenate((logits, matrix("output_low", low)))
        out.append(logits)
        past.append(level)
    return np.stack(out)


def model_logits(model: SampleRNN, levels, index: int) -> np.ndarray:
    c = model.config
    past = np.full(c.frame_sizes[0], silence(c.q_levels, c.quantisation))
    features = None
    if c.n_classes:
        features = torch.eye(c.n_classes)[index].expand(1, len(levels), -1)
    joined = torch.from_numpy(np.concatenate((past, levels)).astype(np.int64))[None]
    with torch.no_grad():
        logits, low, _ = model(joined, model.initial_state(1), features)
    return (logits if low is None else torch.cat((logits, low), dim=-1))[0].numpy()


@pytest.mark.parametrize("name", CONFIGS)
def test_folded_weights_make_the_models_logits(name):
    config = CONFIGS[name]
    model = make(config)
    table = SampleRNNConfig(**fields(config))
    folded = fold(table, export_weights(model))
    assert {array.dtype for array in folded.values()} == {np.dtype(np.float32)}
    assert all(array.flags.c_contiguous for array in folded.values())
    levels = np.random.default_rng(1).integers(0, config.q_levels, 48)
    index = max(config.n_classes - 1, 0)
    want = model_logits(model, levels, index)
    np.testing.assert_allclose(folded_logits(config, folded, levels, index), want, atol=1e-5)
    assert want.std() > 0.1
    every = np.arange(config.q_levels)
    assert np.array_equal(
        folded["samples"], dequantise(every, config.q_levels, config.quantisation)
    )


# ---- The stream's calls ----


class Library:
    """What the CUDA library does, but for the samples: remembers the runs, and draws their n."""

    def __init__(self, monkeypatch):
        self.runs: list[_cuda.SamplernnRun] = []
        self.network: Any = None
        monkeypatch.setattr(cuda_samplernn, "_checked_device", lambda _: torch.device("cpu"))
        monkeypatch.setattr(_cuda, "samplernn_state_bytes", lambda network, n: 256 * n)
        monkeypatch.setattr(_cuda, "samplernn_draw", self.draw)
        monkeypatch.setattr(cuda_samplernn, "LONGEST_RUN", 10)

    def draw(self, network, run, state, n_streams):
        assert state.numel() == 256 * n_streams
        self.network = network
        self.runs.append(run)
        for pointer, kind in ((run.levels, ctypes.c_int32), (run.samples, ctypes.c_float)):
            if pointer:
                out = (kind * (n_streams * run.n)).from_address(pointer)
                out[:] = [
                    s * 1000 + run.position + i for s in range(n_streams) for i in range(run.n)
                ]


@pytest.fixture
def library(monkeypatch):
    return Library(monkeypatch)


def test_calls_cut_time_into_launches(library):
    stream = CudaSampleStream(*arguments(CONFIGS["class"]), n_streams=2, seed=SEED, first_stream=5)
    levels = stream.draw(25, temperature=np.linspace(0.5, 1.0, 25), top_p=0.5)
    assert levels.dtype == np.int32
    assert np.array_equal(levels, np.add.outer([0, 1000], np.arange(25)))
    assert [(run.position, run.n) for run in library.runs] == [(0, 10), (10, 10), (20, 5)]
    assert {(run.seed, run.first_stream, run.top_p) for run in library.runs} == {(SEED, 5, 0.5)}
    assert all(r.temperature and r.classes and not r.given and not r.logits for r in library.runs)
    samples = stream.process(3)
    assert samples.dtype == np.float32
    assert np.array_equal(samples, np.add.outer([0, 1000], np.arange(25, 28)))
    assert stream.position == 28
    stream.feed(np.zeros((2, 12), int))
    assert [bool(r.given) for r in library.runs[3:]] == [False, True, True]
    assert stream.logits(np.ones((2, 3), int)).shape == (2, 3, 8)
    assert library.runs[-1].logits and library.runs[-1].position == 40
    stream.reset(1)
    assert stream.draw(0).shape == (2, 0) and stream.position == 0
    stream.draw(1)
    assert (library.runs[-1].position, library.runs[-1].seed) == (0, 1)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_struct_points_to_all_that_the_network_has(library, name):
    c = CONFIGS[name]
    CudaSampleStream(*arguments(c)).draw(1)
    network = library.network
    gates = {"gru": 3, "lstm": 4}[c.rnn]
    found = (network.n_tiers, network.dim, network.n_rnn, network.n_gates, network.q_levels)
    assert found == (len(c.frame_sizes), c.dim, c.n_rnn, gates, c.q_levels)
    absent = set() if c.two_bytes else {"output_low", "output_low_bias", "upper"}
    absent |= set() if c.n_classes else {"classes"}
    pointers = [field for field, kind in _cuda.Samplernn._fields_ if kind is ctypes.c_void_p]
    assert {field for field in pointers if getattr(network, field) is None} == absent
    for t, frame_size in enumerate(c.frame_sizes):
        tier = network.tiers[t]
        assert tier.frame_size == frame_size
        missing = {field for field, _ in tier._fields_ if getattr(tier, field) is None}
        wanted = set() if t else {"above"}
        wanted |= set() if c.n_rnn > 1 else {"input"}
        assert missing == wanted | (set() if c.n_classes else {"classes"})
    assert network.dc_pole == pytest.approx(1 - 2 * np.pi * 10 / RATE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.draw(3, temperature=[1, 2]), "temperature"),
        (lambda s: s.draw(3, temperature=-1), "temperature"),
        (lambda s: s.draw(3, top_p=0), "top_p=0"),
        (lambda s: s.draw(-1), "n=-1"),
        (lambda s: s.feed([[1.5]]), "levels"),
        (lambda s: s.feed(np.zeros((3, 1), int)), "levels"),
        (lambda s: s.feed([[1], [8]]), "levels goes from 1 to 8"),
        (lambda s: s.set_class(2, 0), "stream=2"),
        (lambda s: s.set_class(0, 3), "index=3"),
        (lambda s: s.reset(-1), "seed=-1"),
        (lambda s: s.reset(0, 2**32 - 1), "first_stream="),
    ],
)
def test_wrong_arguments(library, call, message):
    stream = CudaSampleStream(*arguments(CONFIGS["class"]), n_streams=2)
    with pytest.raises(ParameterError, match=re.escape(message)):
        call(stream)


def test_wrong_networks():
    config, weights = arguments(CONFIGS["two_tiers"])
    with pytest.raises(ParameterError, match="notes are not made on CUDA"):
        CudaSampleStream({**config, "conditioning": "note", "n_classes": 2}, weights)
    with pytest.raises(ParameterError, match="dim"):
        CudaSampleStream({**config, "dim": 0}, weights)
    with pytest.raises(ParameterError, match="sample_rate"):
        CudaSampleStream({**config, "sample_rate": 10}, weights)
    with pytest.raises(ParameterError, match="n_streams=0"):
        CudaSampleStream(config, weights, n_streams=0)
    with pytest.raises(FormatError, match="is missing"):
        CudaSampleStream(config, {k: v for k, v in weights.items() if k != "sample.embedding"})
    with pytest.raises(FormatError, match="shape"):
        CudaSampleStream({**config, "dim": 32}, weights)
    broken = {**weights, "tiers.0.h0": weights["tiers.0.h0"] * np.nan}
    with pytest.raises(FormatError, match="NaN"):
        CudaSampleStream(config, broken)


def test_preset_of_another_kind():
    with pytest.raises(PresetError, match="not a SampleRNN"):
        CudaSampleStream.of_preset(DEFAULT_PRESET)


def test_devices_that_are_not_there():
    config, weights = arguments(CONFIGS["two_tiers"])
    with pytest.raises(DeviceError, match="is not a CUDA device"):
        CudaSampleStream(config, weights, device="cpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="sees no CUDA device"):
            CudaSampleStream(config, weights)


def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setattr(_cuda, "library_path", lambda: tmp_path / "absent.so")
    with pytest.raises(DeviceError, match="AUDIOGEN_CUDA=on"):
        _cuda.samplernn_state_bytes(_cuda.Samplernn(), 1)


# ---- On a GPU ----


@pytest.fixture
def native():
    module = pytest.importorskip("audiogen._native")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device; tests/cpp runs the kernel's phases on the CPU")
    if not _cuda.library_path().exists():
        pytest.skip("the CUDA library was not built")
    return module


def both(native, name: str, n_streams: int) -> tuple[Any, Any]:
    config, weights = arguments(CONFIGS[name])
    ours = CudaSampleStream(config, weights, n_streams, SEED, 7)
    theirs = native.SampleStream(native.SampleRNN(config, weights), n_streams, SEED, 7)
    for stream in (ours, theirs):
        for s in range(n_streams if CONFIGS[name].n_classes else 0):
            stream.set_class(s, s % CONFIGS[name].n_classes)
    return ours, theirs


@pytest.mark.cuda
@pytest.mark.parametrize("n_streams", [1, 3, 17])
@pytest.mark.parametrize("name", CONFIGS)
def test_logits_equal_the_cpus(native, name, n_streams):
    ours, theirs = both(native, name, n_streams)
    size = (n_streams, 300)
    levels = np.random.default_rng(1).integers(0, CONFIGS[name].q_levels, size, np.int32)
    np.testing.assert_allclose(ours.logits(levels), theirs.logits(levels), rtol=0, atol=1e-4)


@pytest.mark.cuda
@pytest.mark.parametrize(
    "sampling", [{}, {"temperature": 0.7}, {"top_p": 0.8}, {"temperature": 0.0}]
)
@pytest.mark.parametrize("name", CONFIGS)
def test_draws_equal_the_cpus(native, name, sampling):
    ours, theirs = both(native, name, 3)
    assert np.array_equal(ours.draw(300, **sampling), theirs.draw(300, **sampling))
    samples = ours.process(200, **sampling), theirs.process(200, **sampling)
    np.testing.assert_allclose(*samples, rtol=0, atol=1e-6)


@pytest.mark.cuda
def test_samples_do_not_depend_on_cuts_and_neighbours(native):
    ours, _ = both(native, "two_tiers", 17)
    whole = ours.draw(1000)
    ours.reset(SEED, 7)
    parts = [ours.draw(n) for n in (1, 8, 300, 691)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    alone, _ = both(native, "two_tiers", 1)
    assert np.array_equal(alone.draw(1000)[0], whole[0])
