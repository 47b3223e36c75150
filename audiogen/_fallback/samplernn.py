"""SampleRNN: a network and streams of its samples (csrc/models/samplernn.h).

Each stream runs on its own, sample by sample. Only the product of the embedding with the first
layer is computed beforehand, as a table.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen._fallback.instrument import Array, require
from audiogen._fallback.kernels import philox_block
from audiogen._fallback.weights import check_precision, checked_config, checked_weights
from audiogen.models.config import SampleRNNConfig, weight_shapes
from audiogen.representation.harmonic import pitch_to_hz
from audiogen.representation.levels import dequantise, silence
from audiogen.representation.note_features import note_features

Levels = NDArray[np.int32]

DC_BLOCK_HZ = 10.0  # corner of the filter that removes the direct current of drawn samples
N_BYTE = 256  # largest number of levels of one softmax
LEAST_TEMPERATURE = np.float32(1e-3)  # below it the likeliest level is taken

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
    """Update h; gates in torch's order: reset, update, new."""
    one, dim = np.float32(1), h.size
    a = _affine(weight, bias, x)
    b = _affine(recurrent, recurrent_bias, h)
    for i in range(dim):
        reset = one / (one + np.exp(-(a[i] + b[i])))
        update = one / (one + np.exp(-(a[dim + i] + b[dim + i])))
        new = np.tanh(a[2 * dim + i] + reset * b[2 * dim + i])
        h[i] = new + update * (h[i] - new)


@_sums
def _lstm_step(weight, bias, recurrent, recurrent_bias, x, h, c):
    """Update h and c; gates in torch's order: input, forget, cell, output."""
    one, dim = np.float32(1), h.size
    gates = _affine(weight, bias, x) + _affine(recurrent, recurrent_bias, h)
    for i in range(dim):
        keep = one / (one + np.exp(-gates[dim + i]))
        take = one / (one + np.exp(-gates[i]))
        c[i] = keep * c[i] + take * np.tanh(gates[2 * dim + i])
        h[i] = np.tanh(c[i]) / (one + np.exp(-gates[3 * dim + i]))


@_sums
def _hidden(tables, bytes_, conditioning, weight, bias):
    """The first two layers: rows of the tables and the conditioning, then a layer with ReLU."""
    x = conditioning.copy()
    for row in range(tables.shape[0]):
        x += tables[row, bytes_[row]]
    return np.maximum(_affine(weight, bias, x), np.float32(0))


@_sums
def _output(x, weight, bias, conditioning, out_weight, out_bias):
    """The last two layers."""
    hidden = _affine(weight, bias, x) + conditioning
    return _affine(out_weight, out_bias, np.maximum(hidden, np.float32(0)))


@numba.njit(cache=True)
def _draw(logits, temperature, top_p, uniform):
    """Draw a level from a softmax, with a uniform number in [0, 1)."""
    if temperature < LEAST_TEMPERATURE:
        return np.argmax(logits)
    scaled = logits / temperature
    p = np.exp(scaled - scaled.max())
    if top_p < 1.0:  # keep the fewest of the likeliest levels with this share; of equals the lower
        order = np.argsort(-p, kind="mergesort")
        share, kept = top_p * _sum(p), 0.0
        for rank in range(p.size):
            if kept >= share:
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
    """The sum in double precision, in order."""
    total = 0.0
    for value in p:
        total += value
    return total


@numba.njit(cache=True)
def _uniform(seed_low, seed_high, stream, i):
    """Number i of a Philox stream; its row is the upper half of i."""
    word, row = i & np.uint64(0xFFFFFFFF), i >> np.uint64(32)
    words = philox_block(seed_low, seed_high, stream, row, word // np.uint64(4))
    return np.float32(words[word % np.uint64(4)] >> np.uint64(8)) * np.float32(2**-24)


@numba.njit(cache=True)
def _block_dc(samples, pole, state, out):
    """A zero at 0 Hz and a pole beside it; the state is the last input and the last output."""
    for i in range(samples.size):
        state[1] = samples[i] - state[0] + pole * state[1]
        state[0] = samples[i]
        out[i] = state[1]


@numba.njit(cache=True)
def _phases(first, step, n):
    """Phases of n samples, cycles, and the next one."""
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
        check_precision(precision)
        self.config, self.sample_rate = checked_config(SampleRNNConfig, config)
        self.weights = w = checked_weights(weights, weight_shapes(self.config))
        c = self.config
        self.two_bytes = c.q_levels > N_BYTE
        layers = np.split(w["sample.layer1.weight"], c.frame_sizes[-1], axis=1)
        tables = [w["sample.embedding"] @ layer.T for layer in layers]
        if self.two_bytes:
            tables += [w["sample.embedding_low"] @ layer.T for layer in layers]
        self.tables = np.stack(tables)  # [window, or twice that, n_levels, dim]
        self.samples = dequantise(np.arange(c.q_levels), c.q_levels, c.quantisation)
        self.silence = silence(c.q_levels, c.quantisation)
        self.dc_pole = 1.0 - 2.0 * math.pi * DC_BLOCK_HZ / self.sample_rate

    @property
    def n_logits(self) -> int:
        """Logits of a sample; those of two bytes follow each other."""
        return 2 * N_BYTE if self.two_bytes else self.config.q_levels

    @property
    def plays_notes(self) -> bool:
        """Whether it is conditioned on notes."""
        return self.config.conditioning == "note"


class SampleStream:
    """Samples of independent streams; a copy is a saved state.

    Parameters
    ----------
    network : SampleRNN
        Network that generates.
    n_streams : int
        Number of independent streams.
    seed : int
        Seed of the random numbers.
    first_stream : int
        Stream s draws the numbers of Philox stream ``first_stream + s``.
    threads : int
        1 or 2, without effect.
    """

    def __init__(
        self,
        network: SampleRNN,
        n_streams: int = 1,
        seed: int = 0,
        first_stream: int = 0,
        threads: int = 1,
    ):
        require(n_streams >= 1, f"n_streams={n_streams} must be 1 or more")
        require(threads in (1, 2), f"threads={threads} must be 1 or 2")
        self._network = network
        self._streams = [Stream(network) for _ in range(n_streams)]
        self.reset(seed, first_stream)

    @property
    def n_streams(self) -> int:
        """Number of streams."""
        return len(self._streams)

    @property
    def position(self) -> int:
        """Samples of the first stream since its first state."""
        return self._streams[0].position

    def reset(self, seed: int = 0, first_stream: int = 0) -> None:
        """Bring all streams to their first state."""
        for s, stream in enumerate(self._streams):
            stream.reset(seed, first_stream + s)

    def set_class(self, stream: int, index: int) -> None:
        """Condition a stream on a class from the next sample on."""
        self._stream(stream).index = self._class(index)

    def start_note(self, stream: int, pitch: float, velocity: float = 1.0, index: int = 0) -> None:
        """Bring a stream to its first state, where a note starts."""
        started = self._note(stream)
        pitch, index = _pitch(pitch), self._class(index)
        require(0.0 <= velocity <= 1.0, f"velocity={velocity} must be 0 to 1")
        started.start_note(pitch, float(velocity), index)

    def set_pitch(self, stream: int, pitch: float) -> None:
        """Change the pitch from the next sample on."""
        self._note(stream).pitch = _pitch(pitch)

    def release(self, stream: int) -> None:
        """End the note at the next sample."""
        self._note(stream).release()

    def feed(self, levels: ArrayLike) -> None:
        """Take levels [n_streams, n] in place of drawn ones."""
        for stream, row in zip(self._streams, self._levels(levels), strict=True):
            stream.feed(row)

    def process(self, n: int, temperature: ArrayLike = 1.0, top_p: float = 1.0) -> Array:
        """Draw n samples of each stream, [n_streams, n]."""
        return np.stack([samples for _, samples in self._drawn(n, temperature, top_p)])

    def draw(self, n: int, temperature: ArrayLike = 1.0, top_p: float = 1.0) -> Levels:
        """Draw n levels of each stream, [n_streams, n]."""
        return np.stack([levels for levels, _ in self._drawn(n, temperature, top_p)])

    def logits(self, levels: ArrayLike) -> Array:
        """Feed levels [n_streams, n]; the logits of each, [n_streams, n, n_logits].

        Logits of two bytes: those of the upper byte, then those of the lower given the upper.
        """
        rows = zip(self._streams, self._levels(levels), strict=True)
        return np.stack([stream.logits(row) for stream, row in rows])

    def copy(self) -> SampleStream:
        """Return a copy that continues from the same state."""
        other = copy.copy(self)
        other._streams = [stream.copy() for stream in self._streams]
        return other

    def _drawn(self, n: int, temperature: ArrayLike, top_p: float) -> list[tuple[Levels, Array]]:
        temperatures = np.asarray(temperature, np.float32)
        require(
            temperatures.ndim <= 1 and temperatures.size in (1, n),
            f"temperature has the shape {temperatures.shape}; use one number, or one for each of"
            f" the {n} samples",
        )
        require(
            bool(((temperatures >= 0) & np.isfinite(temperatures)).all()),
            f"temperature={temperature!r} must be 0 or more",
        )
        require(0.0 < top_p <= 1.0, f"top_p={top_p} must be above 0 and at most 1")
        return [stream.draw(n, temperatures, np.float32(top_p)) for stream in self._streams]

    def _stream(self, number: int) -> Stream:
        most = len(self._streams) - 1
        require(0 <= number <= most, f"stream={number} must be 0 to {most}")
        return self._streams[number]

    def _note(self, number: int) -> Stream:
        require(
            self._network.plays_notes,
            "notes are not supported by this network; use one with conditioning='note'",
        )
        return self._stream(number)

    def _class(self, index: int) -> int:
        n_classes = self._network.config.n_classes
        require(
            0 <= index < n_classes,
            f"index={index} not found; the network has {n_classes} classes",
        )
        return index

    def _levels(self, levels: ArrayLike) -> NDArray[np.int64]:
        given = np.asarray(levels)
        q_levels, n_streams = self._network.config.q_levels, len(self._streams)
        require(
            given.ndim == 2 and len(given) == n_streams and given.dtype.kind in "iu",
            f"levels has the shape {given.shape} and the type {given.dtype}; it must be whole"
            f" numbers [{n_streams}, n]",
        )
        require(
            given.size == 0 or bool(0 <= given.min() <= given.max() < q_levels),
            f"levels must be 0 to {q_levels - 1}",
        )
        return given.astype(np.int64)


def _pitch(pitch: float) -> float:
    require(math.isfinite(pitch) and abs(pitch) <= 1000.0, f"pitch={pitch} must be a MIDI number")
    return float(pitch)


class Stream:
    """One stream of samples."""

    def __init__(self, network: SampleRNN):
        self._network = network
        self.reset(0, 0)

    def reset(self, seed: int, number: int) -> None:
        """Bring the stream to its first state; it draws the numbers of a Philox stream."""
        self._seed = np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)
        self._number = np.uint64(number)
        self.start_note()

    def start_note(self, pitch: float = 60.0, velocity: float = 1.0, index: int = 0) -> None:
        """Bring the stream to sample 0 of a note."""
        c, weights = self._network.config, self._network.weights
        tiers = range(len(c.frame_sizes))
        self.pitch, self.velocity, self.index = pitch, velocity, index
        self.position = 0
        self._phase = 0.0  # phase of the note's fundamental, cycles
        self._released_at: int | None = None
        self._past = np.full(c.frame_sizes[0], self._network.silence)  # levels
        self._states = [weights[f"tiers.{t}.h0"].copy() for t in tiers]
        # Output of each tier, on which the tier below is conditioned, [ratio, dim].
        self._upsampled: list[Array] = [np.zeros((0, c.dim), np.float32) for _ in tiers]
        self._dc = np.zeros(2)

    def release(self) -> None:
        """End the note at the next sample."""
        if self._released_at is None:
            self._released_at = self.position

    @property
    def last_output(self) -> float:
        """Newest sample, in double precision."""
        return float(self._dc[1])

    def copy(self) -> Stream:
        """Another stream with the same state and random numbers."""
        other = copy.copy(self)
        other._states = [state.copy() for state in self._states]
        other._upsampled = list(self._upsampled)
        other._dc = self._dc.copy()
        return other

    def continue_from(self, other: Stream) -> None:
        """Take the state of another stream; the class and the random numbers stay its own."""
        kept = self._seed, self._number, self.index
        vars(self).update(vars(other.copy()))
        self._seed, self._number, self.index = kept

    def feed(self, levels: NDArray[np.int64]) -> None:
        """Take given levels."""
        self._run(len(levels), levels)

    def logits(self, levels: NDArray[np.int64]) -> Array:
        """Take given levels; the logits of each, [n, n_logits]."""
        parts: list[Array] = [np.zeros(0, np.float32)]
        self._run(len(levels), levels, lambda logits, *_: parts.append(logits))
        return np.concatenate(parts).reshape(len(levels), self._network.n_logits)

    def draw(self, n: int, temperature: Array, top_p: np.float32) -> tuple[Levels, Array]:
        """Draw n levels, with one temperature or one for each; the levels and the samples."""
        temperatures = np.broadcast_to(temperature, n)

        def choose(logits: Array, number: int, k: int) -> int:
            uniform = _uniform(*self._seed, self._number, np.uint64(number))
            return int(_draw(logits, temperatures[k], top_p, uniform))

        return self._run(n, None, choose)

    def _run(
        self,
        n: int,
        levels: NDArray[np.int64] | None,
        choose: Callable[[Array, int, int], Any] | None = None,
    ) -> tuple[Levels, Array]:
        """Advance by n samples.

        Parameters
        ----------
        n : int
            Number of samples.
        levels : array [n], int, optional
            Given levels; without, `choose` draws them.
        choose : callable, optional
            Called once per level, or once per byte of a level, with the logits, the index of the
            draw and the index of the sample (0 to n - 1). Returns the level or byte; if ``levels``
            is given, its value is used instead.

        Returns
        -------
        levels : array [n], int32
        samples : array [n], float32
        """
        net, top = self._network, self._network.config.frame_sizes[0]
        step = np.float32(4.0 / (net.config.q_levels - 1))
        line = np.append(self._past, np.zeros(n, np.int64) if levels is None else levels)
        scaled = line.astype(np.float32) * step - 2
        features = self._features(n)
        for k in range(n):
            at, end = self.position + k, top + k
            self._step_tiers(at, scaled[k:end], features[k])
            if choose is None:
                continue
            x = self._first_layers(at, line[k:end], features[k])
            if net.two_bytes:
                upper = choose(self._logits(x, ""), 2 * at, k)
                upper = upper if levels is None else line[end] >> 8
                lower = choose(self._logits(x, "_low", upper), 2 * at + 1, k)
                level = None if levels is not None else (upper << 8) + lower
            else:
                level = choose(self._logits(x, ""), at, k)
            if levels is None:
                line[end] = level
                scaled[end] = np.float32(level) * step - 2
        self.position += n
        self._past = line[n:]
        samples = np.empty(n, np.float32)
        _block_dc(net.samples[line[top:]], net.dc_pole, self._dc, samples)
        return line[top:].astype(np.int32), samples

    def _step_tiers(self, at: int, past: Array, features: Array) -> None:
        """Step the tiers that step at a sample, from the last ``frame_sizes[0]`` scaled levels."""
        c, w = self._network.config, self._network.weights
        for t, size in enumerate(c.frame_sizes):
            if at % size:
                continue
            frame, tier = past[len(past) - size :], f"tiers.{t}"
            if t == 0:
                x = np.append(frame, features)
            else:
                x = _affine(w[f"{tier}.input.weight"], w[f"{tier}.input.bias"], frame)
                x += self._from_above(t, at)
                if len(features):
                    _add_product(w[f"{tier}.features.weight"], features, x)
            for layer in range(c.n_rnn):
                products = (
                    w[f"{tier}.ih.{layer}.weight"],
                    w[f"{tier}.ih.{layer}.bias"],
                    w[f"{tier}.hh.{layer}.weight"],
                    w[f"{tier}.hh.{layer}.bias"],
                )
                h = self._states[t][layer]
                if c.rnn == "gru":
                    _gru_step(*products, x, h)
                else:
                    _lstm_step(*products, x, h, self._states[t][c.n_rnn + layer])
                x = h
            upsampled = _affine(w[f"{tier}.upsample.weight"], w[f"{tier}.upsample.bias"], x)
            self._upsampled[t] = upsampled.reshape(-1, c.dim)

    def _from_above(self, t: int, at: int) -> Array:
        """Conditioning of tier t, or of the samples, by the tier above, at a sample."""
        sizes = [*self._network.config.frame_sizes, 1]
        return self._upsampled[t - 1][at % sizes[t - 1] // sizes[t]]

    def _first_layers(self, at: int, past: NDArray[np.int64], features: Array) -> Array:
        net, w = self._network, self._network.weights
        sizes = net.config.frame_sizes
        x = self._from_above(len(sizes), at)
        if len(features):
            x = x.copy()
            _add_product(w["sample.features.weight"], features, x)
        levels = past[len(past) - sizes[-1] :]
        bytes_ = np.append(levels >> 8, levels & 255) if net.two_bytes else levels
        return _hidden(net.tables, bytes_, x, w["sample.layer2.weight"], w["sample.layer2.bias"])

    def _logits(self, x: Array, byte: str, upper: int | None = None) -> Array:
        w, layer, output = self._network.weights, f"sample.layer3{byte}", f"sample.output{byte}"
        return _output(
            x,
            w[f"{layer}.weight"],
            w[f"{layer}.bias"],
            np.zeros_like(x) if upper is None else w["sample.upper"][upper],
            w[f"{output}.weight"],
            w[f"{output}.bias"],
        )

    def _features(self, n: int) -> Array:
        """Features that condition the next n samples, [n, n_features]."""
        c, rate = self._network.config, self._network.sample_rate
        one_hot = np.zeros((n, c.n_classes), np.float32)
        one_hot[:, self.index : self.index + 1] = 1.0
        if not self._network.plays_notes:
            return one_hot
        at = self.position + np.arange(n)
        phases, self._phase = _phases(self._phase, float(pitch_to_hz(self.pitch)) / rate, n)
        off = -1.0 if self._released_at is None else (at - self._released_at) / rate
        note = note_features(phases, self.pitch, self.velocity, at / rate, off, rate)
        return np.concatenate((note, one_hot), axis=1)
