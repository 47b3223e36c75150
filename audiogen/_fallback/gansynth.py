"""GANSynth's notes for an installation without the native module: slow, obvious, the same samples.

`Generator` and `Instrument` are called as those of `audiogen._native`, which is tested against
them; the comments of csrc/models/gansynth.h and csrc/engine say what each part promises. Here a
generator makes the whole image of a note at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from audiogen._fallback import kernels as fallback
from audiogen._fallback.engine import Array, Engine
from audiogen.core import backend as _native
from audiogen.errors import FormatError, ParameterError
from audiogen.ops import reference
from audiogen.presets import GeneratorTable, weight_shapes
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import (
    LOBE_REACH,
    bin_centres_hz,
    harmonic_maps,
    nearest_harmonic,
    onset_centroids,
    pitch_to_hz,
    reference_phase,
    time_features,
)

__all__ = ["Engine", "Generator", "Instrument"]

STREAMS_PER_NOTE = 32  # Philox streams that a note may use, one a block
SLOPE = np.float32(0.2)  # of the leaky ReLU
TWO_PI = np.float32(2 * np.pi)

LOOP_FADE, RELEASE_FADE, END_FADE = 6, 2, 8  # frames; LOOP_FADE or half the loop
BAND_REACH = 16  # half the width, in bins, of the bands whose loudness is matched
LARGEST_RISE = 4.6  # nats that a release may be raised by
FLICKER_FRAMES = 8.0  # that a bin's change is a running mean of
SILENCE = -5.0  # nats; no bin above it, and after the attack the note is over
ATTACK_FRAMES = 16
FAINTEST = -60.0  # nats; a weaker bin weighs as much, so that no band's weight vanishes
TRANSPOSE_REACH = 5.0  # semitones that a frame is transposed by before it is made anew

ENDED = np.float32(-60)  # nats, of a timbre that has ended before the one it is morphed with


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
            share = block["conditioning.noise.weight"] @ u + block["conditioning.noise.bias"]
            y += share[:, None, None] * noise
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
    return fallback.conv3x3(x, weight, bias, upsample)


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
        self.mel = None  # bands to bins, where the generator's bins aren't linear
        if "band_map" in spectrogram:
            starts, bands, weights = spectrogram["band_map"]
            bins = np.repeat(np.arange(s.n_bins), np.diff(starts))
            self.mel = np.zeros((s.n_bins, s.n_bins), np.float32)
            self.mel[bands, bins] = weights
            self.floor = np.float32(spectrogram["magnitude_floor"])
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
        self.last: Array | None = None
        self.flicker = np.zeros_like(self.image[0][0])

    def start_beside(self, other: _NoteFrames) -> None:
        """Go to where another note of the same noise is, as loud as that has become."""
        head = other.to if other.fade_length else other.now
        self.now = self.to = _Head(*self.image, head.frame, head.offset)
        self.frames_read, self.flicker = other.frames_read, other.flicker.copy()
        self.released, self.releasing = other.released, other.releasing
        self.finished = other.finished

    def set_pitch(self, pitch: float) -> None:
        """From the next frame on."""
        self.note.pitch = pitch
        self.last = None  # partials move to other bins, which is no flicker
        streams = self.note.noise_stream, self.note.noise_stream - bool(self.fade_length)
        for head, stream in zip((self.to, self.now), streams, strict=True):
            head.levels, head.frequencies = self._generate(stream)
        self.image = self.to.levels, self.to.frequencies

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
        if self.last is not None:
            change = np.abs(level - self.last)
            self.flicker += (change - self.flicker) * np.float32(1 / FLICKER_FRAMES)
        self.last = level
        self.frames_read += 1

        silent = level.max() <= SILENCE and (self.releasing or self.frames_read > ATTACK_FRAMES)
        if self.releasing and not self.fade_length:
            left = max(0, self.instrument.generator.n_frames - self.now.frame)
            if left < END_FADE:
                level = level + np.float32(math.log((left + 1) / (END_FADE + 1)))
            self.finished = left == 0
        self.finished = self.finished or bool(silent)
        return level, frequency

    def _generate(self, noise_stream: int | None = None) -> tuple[Array, Array]:
        n, s = self.note, self.instrument.spectrogram
        stream = n.noise_stream if noise_stream is None else noise_stream
        image = self.instrument.generator.generate(n.z, n.pitch, n.velocity, n.seed, stream)
        levels = (image[0] - np.float32(s.magnitude_offset)) / np.float32(s.magnitude_scale)
        frequencies = image[1] / np.float32(s.frequency_scale)
        mel = self.instrument.mel
        if mel is not None:
            levels = 0.5 * np.log(np.exp(levels) @ mel + self.instrument.floor)
            frequencies = frequencies @ mel
        return levels, frequencies

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
        weights = np.convolve(weight, band)[middle]
        mean = np.convolve(weight * (level - next_level), band)[middle] / weights
        if self.releasing:
            return np.minimum(mean, LARGEST_RISE).astype(np.float32)
        flicker = np.convolve(weight * self.flicker, band)[middle] / weights
        moved = mean - self.now.offset
        moved = np.where(moved < 0, np.minimum(moved + flicker, 0), moved)
        return np.minimum(self.now.offset + moved, 0).astype(np.float32)


class _Voice:
    """One sounding note: frames become samples (csrc/engine/frame_voice.h)."""

    def __init__(self, instrument: Instrument):
        self.instrument = instrument
        self.active = False
        self.other: _NoteFrames | None = None  # morphed to; released a frame later
        self.other_timbre = self.morph_timbre = 0
        self.morph = np.float32(0)

    @property
    def released(self) -> bool:
        return self.frames.released

    def note_off(self) -> None:
        self.frames.released = True

    def set_pitch(self, pitch: float) -> None:
        generator, spectrogram = self.instrument.generator, self.instrument.spectrogram
        if generator.config.conditioning == spectrogram.phase == "harmonic":
            self.wanted_pitch = pitch

    def set_morph(self, timbre: int, amount: np.float32) -> None:
        self.morph_timbre, self.morph = timbre, amount

    def note_on(self, timbre: int, pitch: float, velocity: float, seed: int) -> None:
        s = self.instrument.spectrogram
        self.note = note = _Note(self.instrument.timbres[timbre], pitch, velocity, seed)
        self.pitch = self.wanted_pitch = self.network_pitch = pitch
        self.other = None
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
                if self._finished:
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
        if self._finished:
            return
        level, frequency = self._next_frame()
        self._turn(level, frequency)
        self.frame += 1
        spectrum = fallback.polar_to_rectangular(level, TWO_PI * self.turns)
        self.overlap += self.instrument.window * np.fft.irfft(np.append(np.complex64(0), spectrum))

    @property
    def _finished(self) -> bool:
        return self.frames.finished and (self.other is None or self.other.finished)

    def _next_frame(self) -> tuple[Array, Array]:
        """Log magnitude and phase channel at the wanted pitch."""
        moved = abs(self.wanted_pitch - self.network_pitch) > TRANSPOSE_REACH
        if moved:
            self.network_pitch = self.wanted_pitch
            self.frames.set_pitch(self.network_pitch)
        if self.other is not None and self.frames.releasing:
            self.other.released = True
        if self.morph <= 0:
            self.other = None
        elif not self.frames.finished and (
            self.other is None or self.other_timbre != self.morph_timbre
        ):
            z = self.instrument.timbres[self.morph_timbre]
            self.other = _NoteFrames(
                self.instrument, replace(self.note, z=z, pitch=self.network_pitch)
            )
            self.other.start_beside(self.frames)
            self.other_timbre = self.morph_timbre
        elif moved and self.other is not None:
            self.other.set_pitch(self.network_pitch)
        level, frequency = self._mix_timbres()
        if self.wanted_pitch == self.network_pitch:
            return level, frequency
        return _transpose(level, frequency, self.network_pitch, self.wanted_pitch)

    def _mix_timbres(self) -> tuple[Array, Array]:
        """Log magnitude and phase channel between two timbres."""
        both = [self.frames] if self.other is None else [self.frames, self.other]
        images = [None if frames.finished else frames.next() for frames in both]
        if self.other is None:
            assert images[0] is not None  # one of them sounds
            return images[0]
        level, to_level = (ENDED if image is None else image[0] for image in images)
        level = level + self.morph * (to_level - level)
        known = [image[1] for image in images if image is not None]
        turn = known[-1] - known[0]
        turn = turn - 2 * np.rint(turn / 2)  # the shorter way round
        return level, known[0] + self.morph * turn

    def _move_pitch(self, frequency: Array) -> None:
        """Phases when the pitch has moved: from window's centre to centre, at the mean pitch."""
        s, centroids = self.instrument.spectrogram, self.instrument.centroids
        before, f0 = (float(pitch_to_hz(pitch)) for pitch in (self.pitch, self.wanted_pitch))
        self.pitch = self.wanted_pitch
        frames = np.arange(len(centroids) + 1)
        turns = reference_phase(self.pitch, s, frames) / (2 * np.pi)
        self.steps = _within_half(np.diff(turns, axis=0)).astype(np.float32)
        old_centre, centre = (
            centroids[min(frame, len(centroids) - 1)] / s.sample_rate
            for frame in (self.frame - 1, self.frame)
        )
        time = s.hop_length / s.sample_rate + centre - old_centre
        f_bin = bin_centres_hz(s, s.n_bins)
        width = s.sample_rate / s.n_fft
        number = nearest_harmonic(f_bin, f0)
        was = np.clip(np.floor(number * before / width - 0.5), 0, s.n_bins - 1)
        at_centre = self.turns[was.astype(int)] + (was + 1) * width * old_centre
        moved = at_centre + 0.5 * number * (before + f0) * time - f_bin * centre
        self.turns = _within_half(moved + 0.5 * frequency.astype(np.float64)).astype(np.float32)

    def _turn(self, level: Array, frequency: Array) -> None:
        harmonic = self.instrument.spectrogram.phase == "harmonic"
        if self.frame > 0 and self.wanted_pitch != self.pitch:
            self._move_pitch(frequency)
        elif self.frame > 0 or not harmonic:
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


def _transpose(level: Array, frequency: Array, pitch: float, wanted: float) -> tuple[Array, Array]:
    """Move a frame's partials from one pitch to another that is near."""
    n = len(level)
    ratio = float(pitch_to_hz(pitch)) / float(pitch_to_hz(wanted))
    where = np.clip(np.arange(1, n + 1) * ratio - 1.0, 0.0, n - 1)
    i = np.minimum(where.astype(int), n - 2)
    t = (where - i).astype(np.float32)
    a, b, c, d = (level[np.clip(i + step, 0, n - 1)] for step in (-1, 0, 1, 2))
    # No lower than on the parabola through the other three: beside a lobe lies nothing.
    a, d = np.maximum(a, d + 3 * (b - c)), np.maximum(d, a + 3 * (c - b))
    # Catmull-Rom.
    cubic = t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))
    return b + np.float32(0.5) * t * (c - a + cubic), frequency[np.where(t < 0.5, i, i + 1)]


def _within_half(turns: np.ndarray) -> np.ndarray:
    return turns - np.rint(turns)
