"""The engine for an installation without the native module: slow, obvious, the same samples.

`Generator`, `Instrument` and `Engine` are called as those of `audiogen._native`, which is tested
against them; the comments of csrc/models/gansynth.h and csrc/engine say what each part promises.
Here a generator makes the whole image of a note at once, and where native code keeps float32 this
keeps it too, so that sums that run on for the length of a note round alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogen.engine.synth import NOTE_OFF
from audiogen.errors import FormatError, ParameterError
from audiogen.ops import _native, fallback, reference
from audiogen.presets import GeneratorTable, weight_shapes
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import (
    harmonic_maps,
    onset_centroids,
    reference_phase,
    time_features,
)

Array = NDArray[np.float32]

STREAMS_PER_NOTE = 32  # Philox streams that a note may use, one a block
SLOPE = np.float32(0.2)  # of the leaky ReLU
TWO_PI = np.float32(2 * np.pi)

LOOP_FADE, RELEASE_FADE, END_FADE = 6, 2, 8  # frames; LOOP_FADE or half the loop
BAND_REACH = 16  # half the width, in bins, of the bands whose loudness is matched
LARGEST_RISE = 4.6  # nats that a release may be raised by
SILENCE = -5.0  # nats; no bin above it, and after the attack the note is over
ATTACK_FRAMES = 16
FAINTEST = -60.0  # nats; a weaker bin weighs as much, so that no band's weight vanishes
LOBE_REACH = 4  # bins on each side of a partial's peak that turn with it

KAISER_BETA, TAPS = 11.2, 72  # of the resampler's filter
LARGEST_TABLE = 1 << 24  # numbers in it
SEED_STEP = 0x9E3779B97F4A7C15  # between the seeds of notes


class Generator:
    """A GANSynth generator: fields of ``GeneratorConfig`` with ``sample_rate``, and its weights."""

    def __init__(
        self, config: Mapping[str, Any], weights: Mapping[str, Any], precision: str = "float32"
    ):
        from pydantic import ValidationError

        _native.kernels()  # says once that the compiled module is missing, where it is
        if precision != "float32":
            raise ParameterError(
                f"precision={precision!r} needs the compiled module (and 'bfloat16' a CPU that has"
                " it); use 'float32'"
            )
        fields = dict(config)
        sample_rate = fields.pop("sample_rate", 16000.0)
        try:
            self.config = GeneratorTable.model_validate(fields, strict=False)
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(map(str, wrong["loc"]))
            raise ParameterError(f"config: {where}: {wrong['msg']}") from error
        self.n_frames, n_bins = self.config.full_shape
        # Says where the bins lie; how far apart the frames are doesn't matter here.
        self._axis = SpectrogramConfig(sample_rate, 1, 2 * n_bins, n_bins, self.n_frames)
        arrays = checked_weights(weights, weight_shapes(self.config))
        self._blocks = [
            {k.removeprefix(f"blocks.{b}."): w for k, w in arrays.items() if f".{b}." in k}
            for b in range(len(self.config.channels))
        ]
        self._image = arrays["to_rgb.weight"], arrays["to_rgb.bias"]

    def generate(
        self,
        z: Array,
        pitch: float,
        velocity: float = 1.0,
        seed: int = 0,
        noise_stream: int = 0,
    ) -> Array:
        """A whole note, [2, n_frames, n_bins], in the generator's units."""
        u = self._input(np.asarray(z, np.float32), pitch, velocity)
        x = u
        for b, block in enumerate(self._blocks):
            if b == 0:
                y = np.einsum("i,oitf->otf", u, block["conv1.weight"])
                y += block["conv1.bias"][:, None, None]
            else:
                y = _conv(x, block, "conv1", upsample=True)
            if self.config.conditioning == "one_hot":
                x = _activate(_conv(_activate(y), block, "conv2"))
                continue
            rows = np.arange(y.shape[1])
            maps = harmonic_maps(float(pitch), self._axis, y.shape[2])
            time = time_features(self.n_frames, self.config.note_off_frame, len(rows))
            stream = noise_stream * STREAMS_PER_NOTE + b
            draws = [fallback.philox_uniform(seed, stream, row, y.shape[2]) for row in rows]
            noise = (np.stack(draws) - np.float32(0.5)) * np.float32(math.sqrt(12.0))
            y += (block["conditioning.maps.weight"] @ maps)[:, None]
            y += (block["conditioning.time.weight"] @ time.T)[:, :, None]
            y += block["conditioning.noise"][:, None, None] * noise
            x = _activate(_styled(y, block, "style1", u))
            x = _activate(_styled(_conv(x, block, "conv2"), block, "style2", u))
        weight, bias = self._image
        return np.tanh(np.einsum("oc,ctf->otf", weight, x) + bias[:, None, None])

    def _input(self, z: Array, pitch: float, velocity: float) -> Array:
        """The network's input, as ``input_vector`` of models/gansynth.py."""
        if self.config.conditioning == "harmonic":
            return np.append(_pixel_norm(z), np.float32(2.0 * velocity - 1.0))
        one_hot = np.zeros(self.config.n_pitches, np.float32)
        index = int(np.rint(pitch)) - self.config.pitch_min
        one_hot[min(max(index, 0), self.config.n_pitches - 1)] = 1.0
        return _pixel_norm(np.append(z, one_hot))


def checked_weights(
    weights: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """The weights as contiguous float32 arrays, if they are those of a network."""
    for name in sorted(shapes.keys() ^ weights.keys()):
        wrong = "is missing" if name in shapes else "belongs to no layer of the config"
        raise FormatError(f"weight {name!r} {wrong}; were the weights exported for another config?")
    arrays = {}
    for name, shape in shapes.items():
        try:
            array = np.ascontiguousarray(weights[name], np.float32)
        except (TypeError, ValueError):
            raise ParameterError(f"weight {name!r} isn't an array of numbers") from None
        if array.shape != shape:
            raise FormatError(f"weight {name!r} has shape {array.shape}; the config wants {shape}")
        if not np.isfinite(array).all():
            raise FormatError(f"weight {name!r} holds NaN or infinity; was the training stable?")
        arrays[name] = array
    return arrays


def _conv(x: Array, block: dict[str, Array], layer: str, upsample: bool = False) -> Array:
    weight, bias = block[f"{layer}.weight"], block[f"{layer}.bias"]
    return fallback.conv_rows(x, weight, bias, 1.0, False, upsample)


def _styled(y: Array, block: dict[str, Array], style: str, u: Array) -> Array:
    weight, bias = (block[f"conditioning.{style}.{part}"] for part in ("weight", "bias"))
    scale, shift = np.split(weight @ u + bias, 2)
    return y * (1 + scale)[:, None, None] + shift[:, None, None]


def _activate(y: Array) -> Array:
    return _pixel_norm(np.where(y < 0, SLOPE * y, y))


def _pixel_norm(x: Array) -> Array:
    """Unit mean square over the first axis."""
    return x / np.sqrt(np.mean(np.square(x), axis=0) + np.float32(reference.PIXEL_NORM_EPSILON))


class Instrument:
    """What a preset is to the engine: ``[spectrogram]`` with ``sample_rate``, ``[sustain]``, ..."""

    def __init__(
        self,
        generator: Generator,
        spectrogram: Mapping[str, Any],
        sustain: Mapping[str, int],
        pitch_range: tuple[float, float],
        timbres: Sequence[Sequence[float]],
    ):
        names = ["sample_rate", "n_fft", "hop_length", "phase"]
        names += ["magnitude_scale", "magnitude_offset", "frequency_scale"]
        self.generator = generator
        self.spectrogram = s = SpectrogramConfig(
            n_samples=1, n_frames=generator.n_frames, **{name: spectrogram[name] for name in names}
        )
        self.loop_start = sustain["loop_start_frame"]
        self.loop_end = sustain["loop_end_frame"]
        self.release = sustain["release_frame"]
        self.lowest, self.highest = (np.float32(pitch) for pitch in pitch_range)
        self.timbres = [np.asarray(z, np.float32) for z in timbres]
        size, n_bins = generator.config.latent_size, generator.config.full_shape[1]
        for holds, wrong in (
            (s.n_bins == n_bins, f"n_fft={s.n_fft} doesn't fit a generator of {n_bins} bins"),
            (1000 <= s.sample_rate <= 384000, f"sample_rate={s.sample_rate} isn't 1000 to 384000"),
            (
                0 < min(s.magnitude_scale, s.frequency_scale) < math.inf,
                "magnitude_scale and frequency_scale must be > 0",
            ),
            (math.isfinite(s.magnitude_offset), "magnitude_offset is not a number"),
            (
                self.loop_end >= self.loop_start + 2,
                f"loop_end={self.loop_end} must be at least 2 frames after"
                f" loop_start={self.loop_start}",
            ),
            (
                self.loop_end <= generator.n_frames and self.release < generator.n_frames,
                f"loop_end and release must be within the note's {generator.n_frames} frames",
            ),
            (self.lowest <= self.highest, "highest_pitch is below lowest_pitch"),
            (bool(self.timbres), "instrument has no timbre"),
            (
                all(z.shape == (size,) and np.isfinite(z).all() for z in self.timbres),
                f"a timbre isn't {size} numbers",
            ),
        ):
            if not holds:
                raise ParameterError(wrong)
        self.sample_rate, self.n_timbres = s.sample_rate, len(self.timbres)
        # Periodic Hann over the squared windows that meet at a sample.
        window = reference.hann_window(s.n_fft)
        meeting = np.sum(window.reshape(-1, s.hop_length) ** 2, axis=0)
        self.window = (window / np.tile(meeting, s.n_fft // s.hop_length)).astype(np.float32)
        self.centroids = onset_centroids(s)

    def make_voice(self) -> _Voice:
        return _Voice(self)


@dataclass
class _Note:
    z: Array
    pitch: float
    velocity: float
    seed: int
    noise_stream: int = 0


@dataclass
class _Head:
    """Where a note is in one of its images; `offset` is added to its log magnitudes."""

    levels: Array  # [n_frames, n_bins], nats
    frequencies: Array  # [n_frames, n_bins], units of pi
    frame: int
    offset: Array | float = 0.0

    def read(self) -> tuple[Array, Array]:
        frame = min(self.frame, len(self.levels) - 1)
        self.frame += 1
        return self.levels[frame] + self.offset, self.frequencies[frame]


class _NoteFrames:
    """The frames of one note of any length (csrc/engine/note_frames.h)."""

    def __init__(self, instrument: Instrument, note: _Note):
        self.instrument = instrument
        self.note = note
        self.image = self._generate()
        self.now = self.to = _Head(*self.image, 0)
        self.loop_fade = min(LOOP_FADE, (instrument.loop_end - instrument.loop_start) // 2)
        self.frames_read = self.fade_length = self.fade_done = 0
        self.released = self.releasing = self.finished = False

    def next(self) -> tuple[Array, Array]:
        """Log magnitude (nats) and phase channel (units of pi) of the next frame."""
        if self.released and not self.releasing:
            self.releasing = True
            if self.fade_length:
                self.now = self.to
            self._step_to(self.instrument.release, RELEASE_FADE)
        elif not (self.releasing or self.fade_length):
            if self.now.frame + self.loop_fade == self.instrument.loop_end:
                self._step_to(self.instrument.loop_start, self.loop_fade)

        level, frequency = self.now.read()
        if self.fade_length:
            level, frequency = self._fade(level, frequency)
        self.frames_read += 1

        silent = level.max() <= SILENCE and (self.releasing or self.frames_read > ATTACK_FRAMES)
        if self.releasing and not self.fade_length:
            left = max(0, self.instrument.generator.n_frames - self.now.frame)
            if left < END_FADE:
                level = level + np.float32(math.log((left + 1) / (END_FADE + 1)))
            self.finished = left == 0
        self.finished = self.finished or bool(silent)
        return level, frequency

    def _generate(self) -> tuple[Array, Array]:
        n, s = self.note, self.instrument.spectrogram
        image = self.instrument.generator.generate(n.z, n.pitch, n.velocity, n.seed, n.noise_stream)
        levels = (image[0] - np.float32(s.magnitude_offset)) / np.float32(s.magnitude_scale)
        return levels, image[1] / np.float32(s.frequency_scale)

    def _step_to(self, frame: int, fade: int) -> None:
        self.note.noise_stream += 1  # the same frames with other noise, where there is any
        if self.instrument.generator.config.conditioning == "harmonic":
            self.image = self._generate()
        self.to = _Head(*self.image, frame)
        self.fade_length, self.fade_done = fade, 0

    def _fade(self, level: Array, frequency: Array) -> tuple[Array, Array]:
        next_level, next_frequency = self.to.read()
        if self.fade_done == 0:
            self.to.offset = self._match_loudness(level, next_level)
            next_level = next_level + self.to.offset
        self.fade_done += 1
        part = np.float32(self.fade_done / (self.fade_length + 1))
        if self.fade_done == self.fade_length:
            self.now, self.fade_length = self.to, 0
        # The shorter way round: frequencies are known up to whole turns, and pi is half a turn.
        turn = next_frequency - frequency
        turn = turn - 2 * np.rint(turn / 2)
        return level + part * (next_level - level), frequency + part * turn

    def _match_loudness(self, level: Array, next_level: Array) -> Array:
        """What brings the loudness of the next frame, band by band, to that of this one."""
        weight = np.exp(np.maximum(level, FAINTEST)).astype(np.float64)
        band = np.ones(2 * BAND_REACH + 1)
        middle = slice(BAND_REACH, BAND_REACH + len(level))
        difference = np.convolve(weight * (level - next_level), band)[middle]
        mean = difference / np.convolve(weight, band)[middle]
        return np.minimum(mean, LARGEST_RISE if self.releasing else 0.0).astype(np.float32)


class _Voice:
    """One sounding note: frames become samples (csrc/engine/frame_voice.h)."""

    def __init__(self, instrument: Instrument):
        self.instrument = instrument
        self.active = False
        self.id = self.age = 0

    @property
    def released(self) -> bool:
        return self.frames.released

    def note_off(self) -> None:
        self.frames.released = True

    def note_on(self, timbre: int, pitch: float, velocity: float, seed: int) -> None:
        s = self.instrument.spectrogram
        note = _Note(self.instrument.timbres[timbre], pitch, velocity, seed)
        self.active = True
        self.frame = 0
        self.tail_left = s.n_fft // s.hop_length - 1  # hops that sound after the last frame
        self.overlap = np.zeros(s.n_fft, np.float32)  # the first hop is ready
        self.turns = np.zeros(s.n_bins, np.float32)  # phases, within [-0.5, 0.5]
        self.steps = np.zeros((1, s.n_bins), np.float32)  # turns from each frame to the next
        if s.phase == "harmonic":
            # Those of a harmonic tone; the last step is for all later frames.
            frames = np.arange(len(self.instrument.centroids) + 1)
            turns = reference_phase(note.pitch, s, frames) / (2 * np.pi)
            self.turns = _within_half(turns[0]).astype(np.float32)
            self.steps = _within_half(np.diff(turns, axis=0)).astype(np.float32)
        self.frames = _NoteFrames(self.instrument, note)
        # The first frames begin before the note: the hop that starts with it is ready when all of
        # the frames that cover it are.
        for _ in range(s.n_fft // s.hop_length):
            self._add_frame()

    def add(self, out: Array) -> None:
        """Add the next ``len(out)`` samples."""
        hop, done = self.instrument.spectrogram.hop_length, 0
        while done < len(out) and self.active:
            if self.read == hop:
                if self.frames.finished:
                    if self.tail_left == 0:
                        self.active = False
                        return
                    self.tail_left -= 1
                self._add_frame()
            take = min(len(out) - done, hop - self.read)
            out[done : done + take] += self.overlap[self.read : self.read + take]
            self.read += take
            done += take

    def _add_frame(self) -> None:
        hop = self.instrument.spectrogram.hop_length
        self.overlap = np.append(self.overlap[hop:], np.zeros(hop, np.float32))
        self.read = 0  # samples of the hop that is ready
        if self.frames.finished:
            return
        level, frequency = self.frames.next()
        self._turn(level, frequency)
        self.frame += 1
        spectrum = fallback.polar_to_rectangular(level, TWO_PI * self.turns)
        self.overlap += self.instrument.window * np.fft.irfft(np.append(np.complex64(0), spectrum))

    def _turn(self, level: Array, frequency: Array) -> None:
        harmonic = self.instrument.spectrogram.phase == "harmonic"
        if self.frame > 0 or not harmonic:
            step = self.steps[min(self.frame, len(self.steps)) - 1]
            self.turns = _within_half(self.turns + step + np.float32(0.5) * frequency)
        if harmonic:
            self._lock(level)

    def _lock(self, level: Array) -> None:
        """Let each bin take the phase of the nearest peak, less what the distance makes of it."""
        rises = level[1:] > level[:-1]
        falls = level[1:] >= np.append(level[2:], -np.inf)
        peaks = 1 + np.flatnonzero(rises & falls)
        if not len(peaks):
            return
        bins = np.arange(len(level))
        # A bin halfway between two peaks belongs to the lower one.
        ends = (peaks[:-1] + peaks[1:]) // 2 + 1
        nearest = peaks[np.searchsorted(ends, bins, side="right")]
        distance = bins - nearest
        centroids = self.instrument.centroids
        per_bin = np.float32(centroids[min(self.frame, len(centroids) - 1)] / (2 * len(level)))
        locked = self.turns[nearest] - distance.astype(np.float32) * per_bin
        self.turns = np.where(np.abs(distance) <= LOBE_REACH, _within_half(locked), self.turns)


def _within_half(turns: np.ndarray) -> np.ndarray:
    return turns - np.rint(turns)


class _Resampler:
    """Polyphase windowed-sinc filter for a rational factor (csrc/engine/resampler.h)."""

    def __init__(self, from_hz: int, to_hz: int):
        for rate in (from_hz, to_hz):
            if not 1000 <= rate <= 384000:
                raise ParameterError(
                    f"sample_rate={rate} Hz; wanted 1000 to 384000, for instance 48000"
                )
        common = math.gcd(from_hz, to_hz)
        self.up, self.down = to_hz // common, from_hz // common
        # Going down, the filter is as much longer as its band is narrower.
        band = min(1.0, to_hz / from_hz)
        half = math.ceil(TAPS / (2 * band)) if self.up != self.down else 0
        self.taps = 2 * half
        if self.up * self.taps > LARGEST_TABLE:
            raise ParameterError(
                f"sample_rate={to_hz} Hz and the model's {from_hz} Hz have too small a common"
                " divisor; use a usual rate"
            )
        self.latency = -(-half * self.up // self.down)
        if half:
            # Input samples from half - 1 before the moment to half after it.
            x = np.arange(1 - half, half + 1) - np.arange(self.up)[:, None] / self.up
            rows = np.i0(KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - (x / half) ** 2)))
            rows *= np.sinc(x * band)
            self.filter = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
        self.reset()

    def reset(self) -> None:
        # Input from sample `start` on; what is before the first is silence.
        self.start = -(self.latency * self.down // self.up + self.taps + 1)
        self.input = np.zeros(-self.start, np.float32)
        self.pulled = 0

    def needed(self, n: int) -> int:
        return n * self.down // self.up + 1

    def push(self, samples: Array) -> None:
        self.input = np.append(self.input, samples)

    def pull(self, n: int) -> Array:
        moments = (self.pulled + np.arange(n) - self.latency) * self.down
        self.pulled += n
        first = moments // self.up - max(0, self.taps // 2 - 1) - self.start
        if self.taps:
            under = np.lib.stride_tricks.sliding_window_view(self.input, self.taps)[first]
            out = np.einsum("nt,nt->n", self.filter[moments % self.up], under)
        else:
            out = self.input[first]
        self.start += int(first[-1])
        self.input = self.input[first[-1] :]
        return out


class Engine:
    """Events and a block's length in, samples out (csrc/engine/engine.h)."""

    def __init__(
        self,
        instrument: Any,
        sample_rate: int,
        max_block: int,
        max_voices: int,
        seed: int = 0,
    ):
        self._instrument = instrument
        self._resampler = _Resampler(round(instrument.sample_rate), sample_rate)
        if not 1 <= max_block <= 65536:
            raise ParameterError(f"max_block={max_block}; wanted 1 to 65536")
        if not 1 <= max_voices <= 4096:
            raise ParameterError(f"max_voices={max_voices}; wanted 1 to 4096")
        self.max_block = max_block
        self.latency = self._resampler.latency
        self._voices = [instrument.make_voice() for _ in range(max_voices)]
        # A note that must make room for another fades out in 5 ms.
        n = round(instrument.sample_rate) // 200
        self._fade = (1 - np.arange(1, n + 1) / (n + 1)).astype(np.float32)
        self.reset(seed)

    def reset(self, seed: int = 0) -> None:
        for voice in self._voices:
            voice.active = False
        self._fading = np.zeros_like(self._fade)  # what is left of such notes
        self._resampler.reset()
        self._seed = seed
        self._host_time = self._model_time = self._n_notes = 0
        self.n_transposed = self.n_stolen = 0

    @property
    def n_sounding(self) -> int:
        return sum(voice.active for voice in self._voices)

    def process(self, n: int, events: np.ndarray) -> Array:
        """The next n samples, float32."""
        if n > self.max_block:
            raise ParameterError(f"n={n} is more than max_block={self.max_block}")
        up, down = self._resampler.up, self._resampler.down
        for event in events:
            # The first sample of the model at or after the event.
            at = self._host_time + min(int(event["offset"]), max(n - 1, 0))
            self._advance(-(-at * down // up))
            self._handle(event)
        if n < 1:
            return np.zeros(0, np.float32)
        self._host_time += n
        self._advance(self._resampler.needed(self._host_time - 1))
        return self._resampler.pull(n)

    def _advance(self, until: int) -> None:
        mix = np.zeros(max(0, until - self._model_time), np.float32)
        for voice in self._voices:
            voice.add(mix)
        n = min(len(mix), len(self._fading))
        mix[:n] += self._fading[:n]
        self._fading = np.append(self._fading[n:], np.zeros(n, np.float32))
        self._resampler.push(mix)
        self._model_time += len(mix)

    def _handle(self, event: np.void) -> None:
        id, pitch, velocity = int(event["id"]), event["pitch"], event["value"]
        if event["kind"] == NOTE_OFF:
            for voice in self._voices:
                if voice.active and voice.id == id:
                    voice.note_off()
            return
        if not (np.isfinite(pitch) and np.isfinite(velocity)):
            return
        instrument, octave = self._instrument, np.float32(12)
        pitch = np.clip(pitch, np.float32(-128), np.float32(256))
        self.n_transposed += not instrument.lowest <= pitch <= instrument.highest
        while pitch > instrument.highest:
            pitch -= octave
        while pitch < instrument.lowest:
            pitch += octave
        pitch = min(pitch, instrument.highest)  # a range of less than an octave
        timbre = int(event["timbre"])
        timbre = timbre if timbre < instrument.n_timbres else 0
        # What is random in a note depends on the seed and on how many notes came before it.
        seed = (self._seed + SEED_STEP * self._n_notes) % 2**64
        voice = self._free_voice()
        voice.id, voice.age = id, self._n_notes
        voice.note_on(timbre, float(pitch), float(np.clip(velocity, 0, 1)), seed)
        self._n_notes += 1

    def _free_voice(self) -> Any:
        for voice in self._voices:
            if not voice.active:
                return voice
        self.n_stolen += 1
        # Released notes go first, and of those the oldest.
        chosen = min(self._voices, key=lambda voice: (not voice.released, voice.age))
        rest = np.zeros_like(self._fade)
        chosen.add(rest)
        self._fading += self._fade * rest
        return chosen
