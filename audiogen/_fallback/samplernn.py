"""SampleRNN for an installation without the native module: obvious, and fast enough to play.

`SampleRNN`, `SampleStream` and `SampleInstrument` are called as those of `audiogen._native`, which
is tested against them; csrc/models/samplernn.h and csrc/engine/sample_voice.h say what each part
promises. Each stream runs on its own, sample by sample, and the only product that isn't made anew
for each sample is that of the embedding with the first layer, which becomes a table.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen._fallback.engine import Engine
from audiogen._fallback.gansynth import checked_weights
from audiogen._fallback.kernels import philox_block
from audiogen.core import backend as _native
from audiogen.core.sampling import DC_BLOCK_HZ, check_sampling
from audiogen.errors import ParameterError
from audiogen.presets import SamplernnTable, weight_shapes
from audiogen.representation.harmonic import pitch_to_hz
from audiogen.representation.levels import dequantise, silence
from audiogen.representation.note_features import note_features

__all__ = ["Engine", "SampleInstrument", "SampleRNN", "SampleStream"]

Array = NDArray[np.float32]

END_FADE_S, LONGEST_RELEASE_S = 0.02, 2.0
N_BYTE = 256  # levels of one softmax, at most
LEAST_TEMPERATURE = np.float32(1e-3)  # below it the likeliest level is taken
QUIET, QUIET_S = 1e-3, 0.05  # a released note that is as quiet for so long is over

# Sums in any order, so that they run on vectors.
_sums = numba.njit(cache=True, fastmath={"reassoc", "contract", "nsz"})


@_sums
def _add_product(weight, x, y):
    """y += weight x"""
    for row in range(weight.shape[0]):
        total = np.float32(0)
        for i in range(weight.shape[1]):
            total += weight[row, i] * x[i]
        y[row] += total


@_sums
def _affine(weight, bias, x):
    y = bias.copy()
    _add_product(weight, x, y)
    return y


@_sums
def _gru_step(weight, bias, recurrent, recurrent_bias, x, h):
    """Brings h forward; gates in torch's order: reset, update, new."""
    one, dim = np.float32(1), h.size
    told = _affine(weight, bias, x)
    known = _affine(recurrent, recurrent_bias, h)
    for i in range(dim):
        reset = one / (one + np.exp(-(told[i] + known[i])))
        update = one / (one + np.exp(-(told[dim + i] + known[dim + i])))
        new = np.tanh(told[2 * dim + i] + reset * known[2 * dim + i])
        h[i] = new + update * (h[i] - new)


@_sums
def _lstm_step(weight, bias, recurrent, recurrent_bias, x, h, c):
    """Brings h and c forward; gates in torch's order: input, forget, cell, output."""
    one, dim = np.float32(1), h.size
    gates = _affine(weight, bias, x) + _affine(recurrent, recurrent_bias, h)
    for i in range(dim):
        keep = one / (one + np.exp(-gates[dim + i]))
        take = one / (one + np.exp(-gates[i]))
        c[i] = keep * c[i] + take * np.tanh(gates[2 * dim + i])
        h[i] = np.tanh(c[i]) / (one + np.exp(-gates[3 * dim + i]))


@_sums
def _hidden(tables, bytes_, told, weight, bias):
    """The first two layers: rows of the tables and what was told, then a layer with ReLU."""
    x = told.copy()
    for row in range(tables.shape[0]):
        x += tables[row, bytes_[row]]
    return np.maximum(_affine(weight, bias, x), np.float32(0))


@_sums
def _logits(x, weight, bias, told, out_weight, out_bias):
    """The last two layers."""
    hidden = _affine(weight, bias, x) + told
    return _affine(out_weight, out_bias, np.maximum(hidden, np.float32(0)))


@numba.njit(cache=True)
def _draw(logits, temperature, top_p, uniform):
    """Draw a level from a softmax, with a uniform number in [0, 1)."""
    if temperature < LEAST_TEMPERATURE:
        return np.argmax(logits)
    scaled = logits / temperature
    p = np.exp(scaled - scaled.max())
    if top_p < 1.0:  # keep the fewest of the likeliest that have this share; of equals the lower
        order = np.argsort(-p, kind="mergesort")
        wanted, kept = top_p * _sum(p), 0.0
        for rank in range(p.size):
            if kept >= wanted:
                p[order[rank]] = 0
            kept += p[order[rank]]
    threshold, running, last = uniform * _sum(p), 0.0, 0
    for level in range(p.size):
        running += p[level]
        if running > threshold:
            return level
        if p[level] > 0:
            last = level
    return last


@numba.njit(cache=True)
def _sum(p):
    """The sum in double, in order."""
    total = 0.0
    for value in p:
        total += value
    return total


@numba.njit(cache=True)
def _uniform(seed_low, seed_high, stream, i):
    """Number i of a stream; its row is the upper half of i."""
    word, row = i & np.uint64(0xFFFFFFFF), i >> np.uint64(32)
    words = philox_block(seed_low, seed_high, stream, row, word // np.uint64(4))
    return np.float32(words[word % np.uint64(4)] >> np.uint64(8)) * np.float32(2**-24)


@numba.njit(cache=True)
def _take_dc_off(samples, pole, state, out):
    """A zero at 0 Hz and a pole beside it; the state is the last input and the last output."""
    for i in range(samples.size):
        state[1] = samples[i] - state[0] + pole * state[1]
        state[0] = samples[i]
        out[i] = state[1]


@numba.njit(cache=True)
def _phases(first, step, n):
    """Phases of n samples, cycles, and the one after them."""
    out = np.empty(n)
    phase = first
    for i in range(n):
        out[i] = phase
        phase += step
        phase -= np.floor(phase)
    return out, phase


class SampleRNN:
    """A network: fields of ``[samplernn]`` with ``sample_rate``, and its weights."""

    def __init__(
        self, config: Mapping[str, Any], weights: Mapping[str, Any], precision: str = "float32"
    ):
        from pydantic import ValidationError

        _native.kernels()  # says once that the compiled module is missing, where it is
        if precision != "float32":
            raise ParameterError(
                f"precision={precision!r} needs the compiled module; use 'float32'"
            )
        fields = dict(config)
        self.sample_rate = float(fields.pop("sample_rate", 16000.0))
        fields["frame_sizes"] = list(fields.get("frame_sizes", ()))
        try:
            self.config = SamplernnTable.model_validate(fields)
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(map(str, wrong["loc"]))
            raise ParameterError(f"config: {where}: {wrong['msg']}") from error
        self.weights = w = checked_weights(weights, weight_shapes(self.config))
        c = self.config
        self.two_bytes = c.q_levels > N_BYTE
        layers = np.split(w["sample.layer1.weight"], c.frame_sizes[-1], axis=1)
        tables = [w["sample.embedding"] @ layer.T for layer in layers]
        if self.two_bytes:
            tables += [w["sample.embedding_low"] @ layer.T for layer in layers]
        self.tables = np.stack(tables)  # [window, or twice, n_levels, dim]
        self.samples = dequantise(np.arange(c.q_levels), c.q_levels, c.quantisation)
        self.silence = silence(c.q_levels, c.quantisation)
        self.dc_pole = 1.0 - 2.0 * math.pi * DC_BLOCK_HZ / self.sample_rate


class SampleStream:
    """Samples of independent streams; a copy is a saved state."""

    def __init__(
        self, network: SampleRNN, n_streams: int = 1, seed: int = 0, first_stream: int = 0
    ):
        if n_streams < 1:
            raise ParameterError(f"n_streams={n_streams}; give 1 or more")
        self._network = network
        self._streams = [_Stream(network) for _ in range(n_streams)]
        self.reset(seed, first_stream)

    @property
    def n_streams(self) -> int:
        return len(self._streams)

    @property
    def position(self) -> int:
        """Samples of the first stream since its first state."""
        return self._streams[0].position

    def reset(self, seed: int = 0, first_stream: int = 0) -> None:
        for s, stream in enumerate(self._streams):
            stream.reset(seed, first_stream + s)

    def set_class(self, stream: int, index: int) -> None:
        self._stream(stream).index = self._class(index)

    def start_note(self, stream: int, pitch: float, velocity: float = 1.0, index: int = 0) -> None:
        started = self._note(stream)
        pitch, index = _pitch(pitch), self._class(index)
        if not 0.0 <= velocity <= 1.0:
            raise ParameterError(f"velocity={velocity} is not 0 to 1")
        started.start()
        started.pitch, started.velocity, started.index = pitch, float(velocity), index

    def set_pitch(self, stream: int, pitch: float) -> None:
        self._note(stream).pitch = _pitch(pitch)

    def release(self, stream: int) -> None:
        released = self._note(stream)
        if released.released_at is None:
            released.released_at = released.position

    def feed(self, levels: ArrayLike) -> None:
        """Put given levels, [n_streams, n], where drawn ones would be."""
        for stream, row in zip(self._streams, self._levels(levels), strict=True):
            stream.run(len(row), row)

    def process(self, n: int, temperature: ArrayLike = 1.0, top_p: float = 1.0) -> Array:
        """Draw n samples of each stream, [n_streams, n]."""
        return np.stack([samples for _, samples in self._drawn(n, temperature, top_p)])

    def draw(self, n: int, temperature: ArrayLike = 1.0, top_p: float = 1.0) -> NDArray[np.int32]:
        """The same as levels."""
        return np.stack([levels for levels, _ in self._drawn(n, temperature, top_p)])

    def logits(self, levels: ArrayLike) -> Array:
        """As `feed`, and gives the logits of each sample, [n_streams, n, n_levels].

        Of two bytes those of the upper one, then those of the lower one given the upper one.
        """
        out = []
        for stream, row in zip(self._streams, self._levels(levels), strict=True):
            heard: list[Array] = []
            stream.run(len(row), row, heard.append)
            width = 2 * N_BYTE if self._network.two_bytes else self._network.config.q_levels
            out.append(np.concatenate([np.zeros(0, np.float32), *heard]).reshape(len(row), width))
        return np.stack(out)

    def copy(self) -> SampleStream:
        other = copy.copy(self)
        other._streams = [stream.copy() for stream in self._streams]
        return other

    def _drawn(
        self, n: int, temperature: ArrayLike, top_p: float
    ) -> list[tuple[NDArray[np.int32], Array]]:
        temperatures = check_sampling(temperature, top_p, n)
        return [stream.draw(n, temperatures, np.float32(top_p)) for stream in self._streams]

    def _stream(self, number: int) -> _Stream:
        if not 0 <= number < len(self._streams):
            raise ParameterError(f"stream={number} isn't 0 to {len(self._streams) - 1}")
        return self._streams[number]

    def _note(self, number: int) -> _Stream:
        if self._network.config.conditioning != "note":
            raise ParameterError(
                "the network was not trained on notes; use one with conditioning='note'"
            )
        return self._stream(number)

    def _class(self, index: int) -> int:
        n_classes = self._network.config.n_classes
        if not 0 <= index < n_classes:
            raise ParameterError(f"index={index} is not one of the network's {n_classes} classes")
        return index

    def _levels(self, levels: ArrayLike) -> NDArray[np.int64]:
        given = np.asarray(levels)
        q_levels, n_streams = self._network.config.q_levels, len(self._streams)
        if given.ndim != 2 or len(given) != n_streams or given.dtype.kind not in "iu":
            raise ParameterError(
                f"levels has shape {given.shape} and type {given.dtype}; whole numbers "
                f"[{n_streams}, n] are wanted"
            )
        if given.size and not 0 <= given.min() <= given.max() < q_levels:
            raise ParameterError(
                f"levels goes from {given.min()} to {given.max()}; 0 to {q_levels - 1} are wanted"
            )
        return given.astype(np.int64)


def _pitch(pitch: float) -> float:
    if not math.isfinite(pitch):
        raise ParameterError(f"pitch={pitch} is not a MIDI number")
    return float(pitch)


class _Stream:
    """One stream."""

    def __init__(self, network: SampleRNN):
        self.network = network
        self.reset(0, 0)

    def reset(self, seed: int, number: int) -> None:
        """As new: sample 0, class 0, a note of the default kind."""
        self.seed = np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)
        self.number = np.uint64(number)
        self.pitch, self.velocity, self.index = 60.0, 1.0, 0
        self.start()

    def start(self) -> None:
        """Back to sample 0."""
        c, weights = self.network.config, self.network.weights
        tiers = range(len(c.frame_sizes))
        self.position = 0
        self.phase = 0.0  # of the note's fundamental, cycles
        self.released_at: int | None = None
        self.past = np.full(c.frame_sizes[0], self.network.silence)
        self.states = [weights[f"tiers.{t}.h0"].copy() for t in tiers]
        self.told: list[Array] = [np.zeros((0, c.dim), np.float32) for _ in tiers]  # to below
        self.dc = np.zeros(2)

    def copy(self) -> _Stream:
        other = copy.copy(self)
        other.states = [state.copy() for state in self.states]
        other.told = list(self.told)
        other.dc = self.dc.copy()
        return other

    def draw(
        self, n: int, temperatures: Array, top_p: np.float32
    ) -> tuple[NDArray[np.int32], Array]:
        """Draw n levels; those and their samples."""

        # Number i of a stream is for sample i, or for byte i.
        def choose(logits: Array, i: int, k: int) -> int:
            uniform = _uniform(*self.seed, self.number, np.uint64(i))
            return int(_draw(logits, temperatures[k], top_p, uniform))

        return self.run(n, choose=choose)

    def run(
        self,
        n: int,
        given: NDArray[np.int64] | None = None,
        hear: Callable[[Array], None] | None = None,
        choose: Callable[[Array, int, int], int] | None = None,
    ) -> tuple[NDArray[np.int32], Array]:
        """Go on by n samples.

        Parameters
        ----------
        n : int
        given : array [n], int, optional
            Levels; drawn ones without.
        hear : callable, optional
            Gets all logits.
        choose : callable, optional
            Draws a level, or a byte of it, from logits, the number of the draw and that of the
            sample among the n.

        Returns
        -------
        levels : array [n], int32
        samples : array [n], float32
        """
        net, top = self.network, self.network.config.frame_sizes[0]
        step = np.float32(4.0 / (net.config.q_levels - 1))
        line = np.append(self.past, np.zeros(n, np.int64) if given is None else given)
        scaled = line.astype(np.float32) * step - 2
        features = self._features(n)
        for k in range(n):
            at, end = self.position + k, top + k
            self._step_tiers(at, scaled[k:end], features[k])
            if hear is None and choose is None:
                continue
            x = self._first_layers(at, line[k:end], features[k])
            upper = self._logits(x, "", None)
            if hear:
                hear(upper)
            if not net.two_bytes:
                if choose:
                    line[end] = choose(upper, at, k)
            else:
                if choose:
                    line[end] = choose(upper, 2 * at, k) << 8
                lower = self._logits(x, "_low", line[end] >> 8)
                if hear:
                    hear(lower)
                if choose:
                    line[end] += choose(lower, 2 * at + 1, k)
            scaled[end] = np.float32(line[end]) * step - 2
        self.position += n
        self.past = line[n:]
        samples = np.empty(n, np.float32)
        _take_dc_off(net.samples[line[top:]], net.dc_pole, self.dc, samples)
        return line[top:].astype(np.int32), samples

    def _step_tiers(self, at: int, past: Array, features: Array) -> None:
        """Step the tiers that step at a sample, from the last ``frame_sizes[0]`` scaled levels."""
        c, w = self.network.config, self.network.weights
        for t, size in enumerate(c.frame_sizes):
            if at % size:
                continue
            frame, tier = past[len(past) - size :], f"tiers.{t}"
            if t == 0:
                x = np.append(frame, features)
            else:
                x = _affine(w[f"{tier}.input.weight"], w[f"{tier}.input.bias"], frame)
                x += self._told_to(t, at)
                if len(features):
                    _add_product(w[f"{tier}.features.weight"], features, x)
            for layer in range(c.n_rnn):
                products = (
                    w[f"{tier}.ih.{layer}.weight"],
                    w[f"{tier}.ih.{layer}.bias"],
                    w[f"{tier}.hh.{layer}.weight"],
                    w[f"{tier}.hh.{layer}.bias"],
                )
                h = self.states[t][layer]
                if c.rnn == "gru":
                    _gru_step(*products, x, h)
                else:
                    _lstm_step(*products, x, h, self.states[t][c.n_rnn + layer])
                x = h
            told = _affine(w[f"{tier}.upsample.weight"], w[f"{tier}.upsample.bias"], x)
            self.told[t] = told.reshape(-1, c.dim)

    def _told_to(self, t: int, at: int) -> Array:
        """What the tier above tier t, or above the samples, says at a sample."""
        sizes = [*self.network.config.frame_sizes, 1]
        return self.told[t - 1][at % sizes[t - 1] // sizes[t]]

    def _first_layers(self, at: int, past: NDArray[np.int64], features: Array) -> Array:
        net, w = self.network, self.network.weights
        sizes = net.config.frame_sizes
        told = self._told_to(len(sizes), at)
        if len(features):
            told = told.copy()
            _add_product(w["sample.features.weight"], features, told)
        levels = past[len(past) - sizes[-1] :]
        bytes_ = np.append(levels >> 8, levels & 255) if net.two_bytes else levels
        return _hidden(net.tables, bytes_, told, w["sample.layer2.weight"], w["sample.layer2.bias"])

    def _logits(self, x: Array, byte: str, upper: int | None) -> Array:
        w, layer, output = self.network.weights, f"sample.layer3{byte}", f"sample.output{byte}"
        told = np.zeros_like(x) if upper is None else w["sample.upper"][upper]
        return _logits(
            x,
            w[f"{layer}.weight"],
            w[f"{layer}.bias"],
            told,
            w[f"{output}.weight"],
            w[f"{output}.bias"],
        )

    def _features(self, n: int) -> Array:
        """What the network is told before each of the next n samples, [n, n_features]."""
        c, rate = self.network.config, self.network.sample_rate
        one_hot = np.zeros((n, c.n_classes), np.float32)
        one_hot[:, self.index : self.index + 1] = 1.0
        if c.conditioning != "note":
            return one_hot
        at = self.position + np.arange(n)
        phases, self.phase = _phases(self.phase, float(pitch_to_hz(self.pitch)) / rate, n)
        off = -1.0 if self.released_at is None else (at - self.released_at) / rate
        told = note_features(phases, self.pitch, self.velocity, at / rate, off, rate)
        return np.concatenate((told, one_hot), axis=1)


class SampleInstrument:
    """What a preset that plays notes is to `Engine`."""

    def __init__(
        self,
        network: SampleRNN,
        temperature: float,
        top_p: float,
        pitch_range: tuple[float, float],
        n_timbres: int,
    ):
        self.network, self.temperature, self.top_p = network, temperature, top_p
        self.sample_rate, self.n_timbres = network.sample_rate, n_timbres
        self.lowest, self.highest = (np.float32(pitch) for pitch in pitch_range)

    def make_voice(self) -> _SampleVoice:
        return _SampleVoice(self)


class _SampleVoice:
    """One sounding note, from the network's first state on (csrc/engine/sample_voice.h)."""

    def __init__(self, instrument: SampleInstrument):
        self.instrument = instrument
        self.stream = SampleStream(instrument.network)
        self.active = self.released = False
        rate = instrument.sample_rate
        self.longest_quiet = round(QUIET_S * rate)  # samples, as all that follows
        self.longest_release = round(LONGEST_RELEASE_S * rate)
        self.fade_length = round(END_FADE_S * rate)

    def note_on(self, timbre: int, pitch: float, velocity: float, seed: int) -> None:
        self.stream.reset(seed)
        self.stream.start_note(0, pitch, velocity, timbre)
        self.active, self.released = True, False
        self.quiet = 0  # since the note-off, without a louder sample between
        self.release_left, self.fade_left = self.longest_release, self.fade_length

    def note_off(self) -> None:
        if not self.released:
            self.released = True
            self.stream.release(0)

    def set_pitch(self, pitch: float) -> None:
        self.stream.set_pitch(0, pitch)

    def set_morph(self, timbre: int, amount: np.float32) -> None:
        """Without effect: a network plays one of its classes."""

    def add(self, out: Array) -> None:
        """Add the next ``len(out)`` samples."""
        if not self.active:
            return
        sampling = self.instrument.temperature, self.instrument.top_p
        for i, sample in enumerate(self.stream.process(len(out), *sampling)[0]):
            out[i] += self._released_gain(sample) * sample if self.released else sample
            if not self.active:
                return

    def _released_gain(self, sample: np.float32) -> np.float32:
        """Of the next sample after the note-off; counts on to the end of the note."""
        if self.release_left:
            self.release_left -= 1
            self.quiet = self.quiet + 1 if abs(sample) < QUIET else 0
            if self.quiet == self.longest_quiet:
                self.release_left = 0
            return np.float32(1)
        gain = np.float32(self.fade_left) / np.float32(self.fade_length)
        self.fade_left -= 1
        self.active = self.fade_left > 0
        return gain
