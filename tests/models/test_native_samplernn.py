"""The native SampleRNN stream equals the PyTorch model, however its samples are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
native = pytest.importorskip("audiogen._native")

from audiogen.errors import FormatError, ParameterError
from audiogen.models.samplernn import SampleRNN, SampleRNNConfig, export_weights
from audiogen.ops import philox_uniform
from audiogen.representation.levels import dequantise, silence
from audiogen.representation.note_features import note_features

RATE = 4000
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
    "lstm": small((12, 4, 2), 24, n_rnn=2, rnn="lstm", q_levels=77, learn_h0=False),
    "class": small(
        (4, 1), 16, conditioning="class", n_classes=3, quantisation="mu_law", q_levels=8
    ),
    "note": small((16, 4), 40, conditioning="note", n_classes=2, q_levels=65536),
    "bytes": small((6, 3), 19, q_levels=65536, quantisation="mu_law", rnn="lstm"),
}


def make(config: SampleRNNConfig, seed: int = 0) -> SampleRNN:
    """A network with nothing at its initial zero."""
    torch.manual_seed(seed)
    model = SampleRNN(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def fields(config: SampleRNNConfig) -> dict[str, Any]:
    return {**{name: getattr(config, name) for name in FIELDS}, "sample_rate": RATE}


def compiled(model: SampleRNN, precision: str = "float32") -> Any:
    return native.SampleRNN(fields(model.config), export_weights(model), precision)


def random_levels(config: SampleRNNConfig, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, config.q_levels, shape).astype(np.int32)


class Note:
    """What the stream's calls tell, as `note_features` and a one-hot want it."""

    def __init__(self, pitch: float = 60.0, velocity: float = 1.0, index: int = 0):
        self.pitch, self.velocity, self.index = pitch, velocity, index
        self.phase, self.n, self.released = 0.0, 0, None

    def features(self, config: SampleRNNConfig) -> np.ndarray:
        one_hot = np.eye(config.n_classes, dtype=np.float32)[self.index]
        if config.conditioning == "class":
            return one_hot
        since_off = -1.0 if self.released is None else (self.n - self.released) / RATE
        told = note_features(self.phase, self.pitch, self.velocity, self.n / RATE, since_off, RATE)
        return np.concatenate((told, one_hot))

    def advance(self) -> None:
        self.phase = (self.phase + 440.0 * 2.0 ** ((self.pitch - 69.0) / 12.0) / RATE) % 1.0
        self.n += 1


# What is done to stream 0 before some samples, to the native stream and to the `Note`.
EVENTS = {
    300: lambda s: s.set_pitch(0, 66.6),
    301: lambda s: s.set_pitch(0, 67.0),
    650: lambda s: s.release(0),
    700: lambda s: s.set_pitch(0, 40.25),
}
START = {"pitch": 57.3, "velocity": 0.7, "index": 1}


class NoteEvents(Note):
    def set_pitch(self, _stream: int, pitch: float) -> None:
        self.pitch = pitch

    def release(self, _stream: int) -> None:
        self.released = self.n


class Reference:
    """Generation sample by sample: the torch modules, and the draw in plain NumPy."""

    def __init__(self, model: SampleRNN, note: NoteEvents | None = None, stream: int = 0):
        c = self.config = model.config
        self.model, self.note, self.stream = model, note, stream
        self.state = [h.clone() for h in model.initial_state(1)]
        self.levels = [silence(c.q_levels, c.quantisation)] * c.frame_sizes[0]
        self.told: list[Any] = [None] * len(c.frame_sizes)

    @torch.no_grad()
    def step(self, uniforms: np.ndarray, temperature: float = 1.0, top_p: float = 1.0) -> int:
        c, model = self.config, self.model
        n = len(self.levels) - c.frame_sizes[0]
        features = None
        if c.n_features:
            features = torch.from_numpy(self.note.features(c))[None, None]
            self.note.advance()
        above = None
        for t, (tier, size) in enumerate(zip(model.tiers, c.frame_sizes, strict=True)):
            if t:
                above = self.told[t - 1][:, n % c.frame_sizes[t - 1] // size][:, None]
            if n % size == 0:
                frame = torch.tensor(self.levels[-size:])[None, None].float()
                scaled = frame * (4.0 / (c.q_levels - 1)) - 2.0
                self.told[t], self.state[t] = tier(scaled, above, features, self.state[t])
        window = c.frame_sizes[-1]
        told = self.told[-1][:, n % window][:, None]
        past = self.levels[-window:]
        logits, _ = model.sample(torch.tensor([past]), torch.tensor([[0]]), told, features)
        level = draw(logits[0, 0].numpy(), uniforms[0], temperature, top_p)
        if c.two_bytes:
            _, low = model.sample(
                torch.tensor([past]), torch.tensor([[256 * level]]), told, features
            )
            level = 256 * level + draw(low[0, 0].numpy(), uniforms[1], temperature, top_p)
        self.levels.append(level)
        return level


def draw(logits: np.ndarray, uniform: float, temperature: float, top_p: float) -> int:
    if temperature < 1e-3:
        return int(np.argmax(logits))
    scaled = logits / np.float32(temperature)
    p = np.exp(scaled - scaled.max()).astype(np.float64)
    if top_p < 1.0:
        order = np.argsort(-p, kind="stable")
        n_kept = np.searchsorted(np.cumsum(p[order]), np.float32(top_p) * p.sum()) + 1
        p[order[n_kept:]] = 0.0
    exceeds = np.cumsum(p) > uniform * p.sum()
    return int(np.argmax(exceeds)) if exceeds.any() else int(np.flatnonzero(p)[-1])


def expected(
    model: SampleRNN, n: int, note: NoteEvents | None = None, stream: int = 0, **sampling: Any
) -> np.ndarray:
    reference = Reference(model, note, stream)
    n_draws = 2 if model.config.two_bytes else 1
    uniforms = philox_uniform(SEED, stream, 0, n * n_draws).reshape(n, n_draws)
    for i in range(n):
        if note is not None and i in EVENTS and model.config.conditioning == "note":
            EVENTS[i](note)
        reference.step(uniforms[i], **sampling)
    return np.array(reference.levels[-n:], np.int32)


def started(config: SampleRNNConfig, stream: Any) -> NoteEvents | None:
    """Begins the note that is `START`, or sets its class; returns its twin."""
    if config.conditioning == "note":
        stream.start_note(0, **START)
    elif config.conditioning == "class":
        stream.set_class(0, START["index"])
    return NoteEvents(**START) if config.n_features else None


def with_events(config: SampleRNNConfig, stream: Any, n: int, draw: Any) -> np.ndarray:
    """Calls draw(stream, first, n) between the events, and joins the results."""
    cuts = [i for i in EVENTS if i < n] if config.conditioning == "note" else []
    parts = []
    for first, last in zip([0, *cuts], [*cuts, n], strict=True):
        if first in EVENTS and first in cuts:
            EVENTS[first](stream)
        parts.append(draw(stream, first, last - first))
    return np.concatenate(parts, axis=1)


def teacher_forced(model: SampleRNN, levels: np.ndarray) -> np.ndarray:
    """The model's logits of levels [n], with the events; both bytes side by side."""
    c = model.config
    past = np.full(c.frame_sizes[0], silence(c.q_levels, c.quantisation))
    features = None
    if c.n_features:
        note, rows = NoteEvents(**START), []
        for i in range(len(levels)):
            if i in EVENTS and c.conditioning == "note":
                EVENTS[i](note)
            rows.append(note.features(c))
            note.advance()
        features = torch.from_numpy(np.stack(rows))[None]
    joined = torch.from_numpy(np.concatenate((past, levels)).astype(np.int64))[None]
    with torch.no_grad():
        logits, low, _ = model(joined, model.initial_state(1), features)
    return (logits if low is None else torch.cat((logits, low), dim=-1))[0].numpy()


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_equal_pytorch(name: str) -> None:
    config = CONFIGS[name]
    model = make(config)
    levels = random_levels(config, 1, 960)
    stream = native.SampleStream(compiled(model))
    started(config, stream)
    got = with_events(config, stream, 960, lambda s, i, n: s.logits(levels[:, i : i + n]))
    want = teacher_forced(model, levels[0])
    assert got.dtype == np.float32 and got.shape == (1, *want.shape)
    np.testing.assert_allclose(got[0], want, rtol=0, atol=1e-4)
    assert want.std() > 0.1


@pytest.mark.parametrize("name", CONFIGS)
def test_draws_equal_pytorch(name: str) -> None:
    config = CONFIGS[name]
    model = make(config, seed=1 if name == "two_tiers" else 0)  # whose draws are no ties
    n = 960
    stream = native.SampleStream(compiled(model), seed=SEED, first_stream=7)
    note = started(config, stream)
    got = with_events(config, stream, n, lambda s, _, n: s.draw(n))
    assert got.dtype == np.int32 and got.shape == (1, n)
    assert stream.position == n
    want = expected(model, n, note, stream=7)
    assert np.array_equal(got[0], want)
    assert len(set(want.tolist())) > 5


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 0.7},
        {"temperature": 0.0},
        {"temperature": 1.3, "top_p": 0.8},
        {"top_p": 0.05},
        {"top_p": 1e-6},
    ],
)
@pytest.mark.parametrize("name", ["two_tiers", "bytes"])
def test_sampling_equals_pytorch(name: str, sampling: dict[str, Any]) -> None:
    model = make(CONFIGS[name])
    stream = native.SampleStream(compiled(model), seed=SEED)
    want = expected(model, 250, **sampling)
    assert np.array_equal(stream.draw(250, **{"temperature": 1.0, **sampling})[0], want)


def test_top_p_takes_lower_levels_of_equals() -> None:
    model = make(CONFIGS["two_tiers"])
    with torch.no_grad():
        for parameter in model.sample.output.parameters():
            parameter.zero_()
        model.sample.output.weight.add_(1e-20)
        model.sample.output.gain.zero_()
    levels = native.SampleStream(compiled(model)).draw(500, top_p=10 / 256)
    assert set(levels[0].tolist()) == set(range(10))


def test_temperature_may_change_with_each_sample() -> None:
    model = make(CONFIGS["bytes"])
    network = compiled(model)
    curve = np.linspace(0.0, 2.0, 300, dtype=np.float32)
    whole = native.SampleStream(network).draw(300, curve)
    stream = native.SampleStream(network)
    apart = [stream.draw(1, float(t)) for t in curve]
    assert np.array_equal(whole, np.concatenate(apart, axis=1))
    assert not np.array_equal(whole, native.SampleStream(network).draw(300, 1.0))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_any_cutting_gives_the_same_samples(name: str, precision: str) -> None:
    network = compiled(make(CONFIGS[name]), precision)
    whole = native.SampleStream(network, seed=SEED).process(700)
    stream = native.SampleStream(network, seed=SEED)
    drawn = np.random.default_rng(0).integers(0, 40, 60)
    sizes = drawn[np.cumsum(drawn) <= 700].tolist()
    parts = [stream.process(n) for n in [*sizes, 700 - sum(sizes)]]
    assert np.array_equal(whole, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_streams_do_not_know_of_each_other(name: str, precision: str) -> None:
    config = CONFIGS[name]
    network = compiled(make(config), precision)
    single = [native.SampleStream(network, 1, SEED, 5 + s) for s in range(17)]
    if config.conditioning != "none":
        for s, stream in enumerate(single):
            stream.set_class(0, s % config.n_classes)
    alone = np.concatenate([stream.process(150) for stream in single])
    assert len(np.unique(alone, axis=0)) == 17
    for n in (2, 3, 5, 17):
        many = native.SampleStream(network, n, SEED, 5)
        if config.conditioning != "none":
            for s in range(n):
                many.set_class(s, s % config.n_classes)
        assert np.array_equal(many.process(150), alone[:n])


def test_notes_begin_at_any_time() -> None:
    network = compiled(make(CONFIGS["note"]))
    many = native.SampleStream(network, 3, SEED)
    many.start_note(0, 50.0)
    many.process(37)
    many.start_note(1, 71.5, 0.25, 1)
    many.process(6)
    many.release(1)
    many.set_pitch(2, 80.0)
    got = many.process(50)[1]
    alone = native.SampleStream(network, 1, SEED, 1)
    alone.start_note(0, 71.5, 0.25, 1)
    alone.process(6)
    alone.release(0)
    assert np.array_equal(got, alone.process(50)[0])
    assert many.position == 93


@pytest.mark.parametrize("name", CONFIGS)
def test_samples_are_levels_without_direct_current(name: str) -> None:
    config = CONFIGS[name]
    network = compiled(make(config))
    levels = native.SampleStream(network, seed=3).draw(600)[0]
    samples = native.SampleStream(network, seed=3).process(600)[0]
    x = dequantise(levels, config.q_levels, config.quantisation).astype(np.float64)
    pole = 1.0 - 2.0 * np.pi * 10.0 / RATE
    y, last_x, last_y = np.empty(600), 0.0, 0.0
    for i in range(600):
        last_y = y[i] = x[i] - last_x + pole * last_y
        last_x = x[i]
    np.testing.assert_allclose(samples, y, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["two_tiers", "lstm", "note"])
def test_feed_then_draw_is_as_if_all_had_been_drawn(name: str) -> None:
    network = compiled(make(CONFIGS[name]))
    whole = native.SampleStream(network, 2, SEED)
    levels = whole.draw(333)
    end = whole.process(77)
    for cuts in ([333], [1, 2, 330], [100, 233]):
        fed = native.SampleStream(network, 2, SEED)
        first = 0
        for n in cuts:
            fed.feed(np.ascontiguousarray(levels[:, first : first + n]))
            first += n
        assert fed.position == 333
        assert np.array_equal(fed.process(77), end)


def test_logits_go_on_like_feed() -> None:
    config = CONFIGS["bytes"]
    network = compiled(make(config))
    levels = random_levels(config, 2, 100)
    fed, seen = native.SampleStream(network, 2), native.SampleStream(network, 2)
    fed.feed(levels)
    seen.logits(levels)
    assert np.array_equal(fed.draw(50), seen.draw(50))


def test_reset_is_fresh_and_copy_goes_on() -> None:
    network = compiled(make(CONFIGS["note"]))
    stream = native.SampleStream(network, 2, 1)
    stream.start_note(1, 66.0, 0.3, 1)
    stream.process(101)
    saved = stream.copy()
    stream.release(1)
    after = stream.process(60)
    stream.reset(9, 4)
    assert stream.position == 0
    assert np.array_equal(stream.process(50), native.SampleStream(network, 2, 9, 4).process(50))
    assert saved.position == 101
    again = saved.copy()
    again.release(1)
    assert np.array_equal(again.process(60), after)
    saved.process(20)
    saved.release(1)
    assert not np.array_equal(saved.process(40), after[:, 20:])


def test_seeds_and_streams_differ() -> None:
    network = compiled(make(CONFIGS["two_tiers"]))
    base = native.SampleStream(network, 1, 3, 0).process(100)
    assert not np.array_equal(base, native.SampleStream(network, 1, 4, 0).process(100))
    assert not np.array_equal(base, native.SampleStream(network, 1, 3, 1).process(100))


@pytest.mark.parametrize("isa", native.available_isas())
def test_every_instruction_set(isa: str, tmp_path: Path) -> None:
    """Logits of each precision; the levels of float32."""
    names = ["flat", "one_tier", "two_tiers", "lstm", "note", "bytes"]
    for name in names:
        np.savez(tmp_path / f"{name}.npz", **export_weights(make(CONFIGS[name])))
    program = (
        "import sys, numpy as np\n"
        "from audiogen import _native\n"
        f"assert _native.isa() == {isa!r}\n"
        f"folder = {str(tmp_path)!r} + '/'\n"
        f"for name, config in {[(n, fields(CONFIGS[n])) for n in names]!r}:\n"
        "    weights = dict(np.load(folder + name + '.npz'))\n"
        "    levels = np.random.default_rng(1).integers(0, config['q_levels'], (1, 240))\n"
        "    for precision in ('float32', 'bfloat16', 'int8'):\n"
        "        network = _native.SampleRNN(config, weights, precision)\n"
        "        logits = _native.SampleStream(network).logits(levels.astype(np.int32))\n"
        "        np.save(folder + name + precision, logits)\n"
    )
    environment = {**os.environ, "AUDIOGEN_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    for name in names:
        model = make(CONFIGS[name])
        levels = random_levels(CONFIGS[name], 1, 240)
        exact = native.SampleStream(compiled(model)).logits(levels)
        for precision, bound in (("float32", 2e-5), ("bfloat16", 0.02), ("int8", 0.06)):
            got = np.load(tmp_path / f"{name}{precision}.npy")
            assert relative_error(got, exact) < bound, (name, precision)


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    """Root mean square of the difference, over that of the logits about their mean."""
    centred = want - want.mean(axis=-1, keepdims=True)
    return float(np.sqrt(np.mean((got - want) ** 2) / np.mean(centred**2)))


@pytest.mark.parametrize("name", CONFIGS)
def test_low_precisions_are_near(name: str) -> None:
    config = CONFIGS[name]
    model = make(config)
    levels = random_levels(config, 1, 480)
    exact = native.SampleStream(compiled(model)).logits(levels)
    for precision, bound in (("bfloat16", 0.02), ("int8", 0.06)):
        rough = native.SampleStream(compiled(model, precision)).logits(levels)
        error = relative_error(rough, exact)
        print(f"{name}: {precision} is off by {error:.2%} (root mean square)")
        assert 0 < error < bound


TINY = small((2, 1), 3)


def broken(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    weights = export_weights(make(TINY))
    for name, value in changes.items():
        name = name.replace("__", ".")
        if value is None:
            del weights[name]
        else:
            weights[name] = value
    return fields(TINY), weights


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tiers__0__hh__0__bias": None}, r"tiers.0.hh.0.bias is missing; .* of shape \[9\]"),
        ({"sample__output__bias": np.zeros(5)}, r"sample.output.bias has shape \[5\]"),
        (
            {"sample__embedding": np.full((256, 5), np.nan)},
            "sample.embedding has 1280 values that",
        ),
        ({"sample__layer4__bias": np.zeros(3)}, "sample.layer4.bias not found in the network"),
    ],
)
def test_bad_weights(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        native.SampleRNN(*broken(**changes))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frame_sizes": (2, 2)}, r"frame_sizes=\[2, 2\] must be 1 to 16 sizes that fall"),
        ({"frame_sizes": ()}, r"frame_sizes=\[\] must be"),
        ({"frame_sizes": (5, 2)}, "each a multiple"),
        ({"frame_sizes": "many"}, r"config\['frame_sizes'\] is 'many'"),
        ({"dim": 0}, "dim=0 must be a whole number from 1 to 65536"),
        ({"dim": -1}, r"config\['dim'\] is -1"),
        ({"n_rnn": 0}, "n_rnn=0"),
        ({"rnn": "rnn"}, "rnn='rnn' not found; use one of 'gru', 'lstm'"),
        ({"embedding_size": 0}, "embedding_size=0"),
        ({"q_levels": 257}, "q_levels=257 must be 2 to 256, or 65536"),
        ({"quantisation": "a_law"}, "quantisation='a_law' not found"),
        ({"conditioning": "mel"}, "conditioning='mel' not found"),
        ({"conditioning": "class", "n_classes": 1}, "n_classes=1 (must be 2|is not supported)"),
        ({"n_classes": 1}, "n_classes=1 (must be 2|is not supported)"),
        ({"sample_rate": 0}, "sample_rate=0"),
        ({"weight_norm": True}, "unknown field 'weight_norm'"),
    ],
)
def test_bad_config(change: dict[str, Any], words: str) -> None:
    config, weights = broken()
    with pytest.raises(ParameterError, match=words):
        native.SampleRNN({**config, **change}, weights)


def test_bad_precision() -> None:
    with pytest.raises(ParameterError, match="precision='half' not found; use one of 'float32'"):
        native.SampleRNN(*broken(), "half")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: s.draw(5, -1.0), "temperature=-1"),
        (lambda s: s.draw(5, np.nan), "temperature=nan"),
        (lambda s: s.draw(5, np.ones(4)), "temperature has 4 numbers .* the 5 samples"),
        (lambda s: s.process(5, 1.0, 0.0), "top_p=0"),
        (lambda s: s.process(5, 1.0, 1.5), "top_p=1.5"),
        (
            lambda s: s.feed(np.zeros((1, 5), np.int32)),
            r"levels has shape \[1, 5\]; it must be \[2, n\]",
        ),
        (lambda s: s.feed(np.zeros(5, np.int32)), r"shape \[5\]"),
        (lambda s: s.feed(np.full((2, 5), 65536, np.int32)), "levels holds 65536"),
        (lambda s: s.logits(np.full((2, 5), -1, np.int32)), "levels holds -1"),
        (lambda s: s.set_class(2, 0), "stream=2 must be 0 to 1"),
        (lambda s: s.set_class(0, 2), "index=2 not found; use 0 to 1"),
        (lambda s: s.start_note(0, np.inf), "pitch=inf"),
        (lambda s: s.start_note(0, 60.0, 1.5), "velocity=1.5"),
        (lambda s: s.start_note(0, 60.0, 1.0, 7), "index=7"),
        (lambda s: s.start_note(5, 60.0), "stream=5"),
        (lambda s: s.set_pitch(0, np.nan), "pitch=nan"),
        (lambda s: s.set_pitch(3, 60.0), "stream=3"),
        (lambda s: s.release(2), "stream=2"),
    ],
)
def test_bad_calls(call: Any, words: str) -> None:
    stream = native.SampleStream(compiled(make(CONFIGS["note"])), 2)
    with pytest.raises(ParameterError, match=words):
        call(stream)
    assert stream.position == 0


def test_notes_need_a_network_of_notes() -> None:
    network = native.SampleRNN(*broken())
    stream = native.SampleStream(network)
    for call in (
        lambda: stream.start_note(0, 60.0),
        lambda: stream.set_pitch(0, 60.0),
        lambda: stream.release(0),
        lambda: stream.set_class(0, 0),
    ):
        with pytest.raises(ParameterError, match=r"not supported by this network|without classes"):
            call()
    with pytest.raises(ParameterError, match="n_streams=0"):
        native.SampleStream(network, 0)
    with pytest.raises(ParameterError, match="threads=3"):
        native.SampleStream(network, threads=3)
