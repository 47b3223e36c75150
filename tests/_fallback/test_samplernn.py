"""SampleRNN networks and streams in both backends: PyTorch's logits, the same levels."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from audiogen import _fallback as fallback
from audiogen.errors import FormatError, ParameterError
from audiogen.ops import philox_uniform
from audiogen.representation.levels import dequantise, silence
from audiogen.representation.note_features import note_features

from .networks import CLASS, NOTE, RATE, table_of, weights_for

pytestmark = pytest.mark.filterwarnings("ignore:audiogen was installed without:RuntimeWarning")

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lstm": {"rnn": "lstm", "n_rnn": 2, "frame_sizes": [6]},
    "flat": {"frame_sizes": [1]},
    "two_bytes": {"frame_sizes": [16, 8, 2], "q_levels": 1 << 16},
    "class": CLASS,
    "note": NOTE,
}
MOST = 1e-4  # between logits


def network(module: ModuleType, name: str = "plain", **changes: Any) -> Any:
    table = table_of(**(CONFIGS[name] | changes))
    config = table.table() | {"sample_rate": float(RATE)}
    return module.SampleRNN(config, weights_for(table))


def some_levels(name: str, n_streams: int, n: int) -> np.ndarray:
    q_levels = table_of(**CONFIGS[name]).q_levels
    return np.random.default_rng(2).integers(0, q_levels, (n_streams, n)).astype(np.int32)


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_those_of_the_model(module: ModuleType, name: str) -> None:
    torch = pytest.importorskip("torch")
    from audiogen.models.samplernn import SampleRNN, import_weights

    config = table_of(**CONFIGS[name])
    model = SampleRNN(config)
    import_weights(model, weights_for(config))
    n, top = 96, config.frame_sizes[0]
    levels = some_levels(name, 2, n)
    past = np.full((2, top), silence(config.q_levels, config.quantisation))
    stream = module.SampleStream(network(module, name), 2)
    features = None
    if name == "class":
        features = np.zeros((2, n, 3), np.float32)
        features[0, :, 1] = features[1, :, 2] = 1.0
        stream.set_class(0, 1)
        stream.set_class(1, 2)
    if name == "note":
        features = np.zeros((2, n, config.n_features), np.float32)
        at = np.arange(n) / RATE
        for s, (hz, pitch, velocity) in enumerate(((440.0, 69.0, 0.75), (220.0, 57.0, 0.25))):
            off = at - 40 / RATE if s == 1 else -np.ones(n)
            off = np.where(off < 0, -1.0, off)
            features[s, :, :-2] = note_features(at * hz, pitch, velocity, at, off, RATE)
            features[s, :, config.n_features - 2 + s] = 1.0
            stream.start_note(s, pitch, velocity, s)
    with torch.no_grad():
        conditioning = None if features is None else torch.from_numpy(features)
        line = torch.from_numpy(np.append(past, levels, axis=1)).long()
        upper, lower, _ = model(line, model.initial_state(2), conditioning)
    wanted = np.concatenate([part.numpy() for part in (upper, lower) if part is not None], axis=2)
    got = [stream.logits(levels[:, :40])]
    if name == "note":
        stream.release(1)
    got += [stream.logits(levels[:, 40:41]), stream.logits(levels[:, 41:])]
    assert np.abs(wanted).max() > 1.0
    np.testing.assert_allclose(np.concatenate(got, axis=1), wanted, rtol=0, atol=MOST)


@pytest.mark.parametrize("name", CONFIGS)
def test_levels_are_the_native_ones(native: ModuleType, name: str) -> None:
    results = []
    for module in (native, fallback):
        stream = module.SampleStream(network(module, name), 2, seed=5, first_stream=3)
        if name == "note":
            stream.start_note(0, 57.3, 0.7, 1)
            stream.start_note(1, 60.0, 1.0, 0)
        parts = [stream.draw(1500, 0.9, 0.95)]
        if name == "note":
            stream.set_pitch(0, 59.1)
            stream.release(1)
        parts.append(stream.draw(1500, np.linspace(0.0, 1.2, 1500, dtype=np.float32)))
        results.append((np.concatenate(parts, axis=1), stream.process(500)))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=0, atol=1e-6)


def test_levels_follow_from_the_softmax_and_the_uniform_numbers(module: ModuleType) -> None:
    stream = module.SampleStream(network(module), 1, seed=(1 << 40) + 7, first_stream=2)
    other = module.SampleStream(network(module), 1)
    levels = stream.draw(300, 0.7)[0]
    logits = other.logits(levels[None])[0]
    uniform = philox_uniform((1 << 40) + 7, 2, 0, 300)
    for level, row, u in zip(levels, logits, uniform, strict=True):
        p = np.exp((row - row.max()) / 0.7).astype(np.float64)
        running = np.cumsum(p / p.sum())
        below = running[level - 1] if level else 0.0
        assert below - 1e-5 <= u <= running[level] + 1e-5


def test_top_p_and_greedy_sampling(module: ModuleType) -> None:
    levels = module.SampleStream(network(module)).draw(400, 1.0, 0.3)
    logits = module.SampleStream(network(module)).logits(levels)[0]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    drawn = np.take_along_axis(p, levels[0][:, None], axis=1)
    likelier = np.where(p > drawn, p, 0.0).sum(axis=1)
    assert (likelier < 0.3 + 1e-5).all() and (likelier > 0.0).any()
    for sampling in ((0.0, 1.0), (5e-4, 1.0), (1.0, 1e-6)):
        levels = module.SampleStream(network(module)).draw(100, *sampling)
        logits = module.SampleStream(network(module)).logits(levels)
        np.testing.assert_array_equal(levels, logits.argmax(axis=2))


def test_a_uniform_softmax(module: ModuleType) -> None:
    table = table_of()
    weights = {name: np.zeros_like(w) for name, w in weights_for(table).items()}
    even = module.SampleRNN(table.table() | {"sample_rate": float(RATE)}, weights)
    drawn = module.SampleStream(even, seed=1).draw(4000)[0]
    uniform = philox_uniform(1, 0, 0, 4000)
    np.testing.assert_array_equal(drawn, np.floor(uniform * 256))
    assert module.SampleStream(even).draw(500, 1.0, 0.25).max() == 63  # of equals the lower ones
    assert not module.SampleStream(even).draw(50, 0.0).any()


@pytest.mark.parametrize("name", CONFIGS)
def test_samples_depend_neither_on_blocks_nor_on_other_streams(
    module: ModuleType, name: str
) -> None:
    net = network(module, name)
    curve = np.linspace(0.5, 1.5, 331, dtype=np.float32)
    wanted = module.SampleStream(net, 3, seed=9).process(331, curve, 0.9)
    alone = module.SampleStream(net, 1, seed=9, first_stream=2)
    parts, done = [], 0
    for n in (0, 1, 7, 2, 64, 200, 57):
        parts.append(alone.process(n, curve[done : done + n], 0.9))
        done += n
    np.testing.assert_array_equal(np.concatenate(parts, axis=1)[0], wanted[2])
    assert len({tuple(row) for row in wanted}) == 3
    assert alone.position == 331


def test_samples_are_the_levels_without_dc(module: ModuleType) -> None:
    levels = module.SampleStream(network(module), 1, seed=4).draw(RATE)
    stream = module.SampleStream(network(module), 1, seed=4)
    # Fed levels run through the filter, too.
    stream.feed(levels[:, :100])
    got = stream.process(RATE - 100)[0]
    x = dequantise(levels[0], 256, "linear").astype(np.float64)
    pole, y, last_x = 1 - 2 * np.pi * 10 / RATE, 0.0, 0.0
    wanted = np.empty(RATE)
    for n in range(RATE):
        y, last_x = x[n] - last_x + pole * y, x[n]
        wanted[n] = y
    np.testing.assert_allclose(got, wanted[100:], rtol=0, atol=1e-6)
    assert abs(x.mean()) > 1e-3 and abs(got.mean()) < 1e-3


def test_a_copy_continues_from_the_same_state(module: ModuleType) -> None:
    stream = module.SampleStream(network(module, "note"), 2, seed=3)
    stream.start_note(1, 70.2, 0.3, 1)
    stream.process(77)
    saved = stream.copy()
    wanted = stream.process(100)
    stream.release(0)
    np.testing.assert_array_equal(saved.process(100), wanted)
    assert saved.position == 177
    saved.reset(3)
    fresh = module.SampleStream(network(module, "note"), 2, seed=3)
    np.testing.assert_array_equal(saved.process(50), fresh.process(50))


def test_a_note_starts_from_the_first_state(module: ModuleType) -> None:
    net = network(module, "note")
    stream = module.SampleStream(net, 1, seed=3)
    stream.process(33)
    stream.start_note(0, 64.0, 0.5, 1)
    assert stream.position == 0
    fresh = module.SampleStream(net, 1, seed=3)
    fresh.start_note(0, 64.0, 0.5, 1)
    np.testing.assert_array_equal(stream.process(200), fresh.process(200))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda s: s.feed(np.zeros((1, 4), np.int32)), "levels"),
        (lambda s: s.feed(np.full((2, 4), 256, np.int32)), "levels"),
        (lambda s: s.logits(np.full((2, 4), -1, np.int32)), "levels"),
        (lambda s: s.process(4, -1.0), "temperature"),
        (lambda s: s.process(4, np.nan), "temperature"),
        (lambda s: s.process(4, np.ones(3, np.float32)), "temperature"),
        (lambda s: s.process(4, 1.0, 0.0), "top_p"),
        (lambda s: s.process(4, 1.0, 1.5), "top_p"),
        (lambda s: s.set_class(2, 0), "stream=2"),
        (lambda s: s.set_class(0, 2), "index=2"),
        (lambda s: s.start_note(0, np.nan), "pitch"),
        (lambda s: s.start_note(0, 60.0, 1.5), "velocity"),
        (lambda s: s.start_note(0, 60.0, 1.0, 2), "index=2"),
        (lambda s: s.set_pitch(5, 60.0), "stream=5"),
        (lambda s: s.release(5), "stream=5"),
    ],
)
def test_bad_arguments_are_refused(
    module: ModuleType, call: Callable[[Any], object], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        call(module.SampleStream(network(module, "note"), 2))


def test_bad_networks_are_refused(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="notes"):
        module.SampleStream(network(module)).start_note(0, 60.0)
    with pytest.raises(ValueError, match="index=0"):
        module.SampleStream(network(module)).set_class(0, 0)
    with pytest.raises(ValueError, match="streams"):
        module.SampleStream(network(module), 0)
    table = table_of()
    config, weights = table.table(), weights_for(table)
    with pytest.raises(ValueError, match="frame_sizes"):
        module.SampleRNN(config | {"frame_sizes": [8, 3]}, weights)
    with pytest.raises(ValueError, match="rnn"):
        module.SampleRNN(config | {"rnn": "rnn"}, weights)
    for change, error in (
        ({"sample.output.bias": np.zeros(3, np.float32)}, FormatError),
        ({"sample.outputs": np.zeros(3, np.float32)}, FormatError),
        ({"sample.output.bias": np.full(256, np.nan, np.float32)}, FormatError),
        ({"sample.output.bias": "many"}, ParameterError),
    ):
        with pytest.raises(error, match=next(iter(change))):
            module.SampleRNN(config, weights | change)


def test_other_precisions_need_the_compiled_module() -> None:
    table = table_of()
    with pytest.raises(ParameterError, match="needs the compiled module"):
        fallback.SampleRNN(table.table(), weights_for(table), "int8")
