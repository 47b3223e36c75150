"""The engine for an installation without the native module: slow, obvious, the same samples.

`Generator`, `Instrument` and `Engine` are called as those of `audiogen._native`, which is tested
against them; the comments of csrc/models/gansynth.h and csrc/engine say what each part promises.
Here a generator makes the whole image of a note at once, and where native code keeps float32 this
keeps it too, so that sums that run on for the length of a note round alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogen.engine.synth import ALL_OFF, NOTE_OFF, NOTE_ON, PARAMETER
from audiogen.errors import FormatError, ParameterError
from audiogen.ops import _native, fallback, reference
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

Array = NDArray[np.float32]

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

KAISER_BETA, TAPS = 11.2, 72  # of the resampler's filter
LARGEST_TABLE = 1 << 24  # numbers in it
SEED_STEP = 0x9E3779B97F4A7C15  # between the seeds of notes

TICK = 16  # samples of the model's time between two looks at the parameters
VIBRATO_HZ = 5.5
FURTHEST_BEND = np.float32(12)  # semitones beyond the trained pitches
GOLDEN = 0.6180339887498949
ENDED = np.float32(-60)  # nats, of a timbre that has ended before the one it is morphed with

# csrc/engine/parameters.h, which says what each is.
_COLUMNS = "name", "unit", "lowest", "highest", "initial", "smoothing_s", "controller", "help"
_ROWS = (
    ("volume", "", 0.0, 1.0, 1.0, 0.02, 7, "Loudness; its square is the gain."),
    ("pan", "", -1.0, 1.0, 0.0, 0.02, 10, "Left to right."),
    ("spread", "", 0.0, 1.0, 0.0, 0.02, -1, "How far apart notes are panned."),
    ("bend", "semitones", -48.0, 48.0, 0.0, 0.01, -2, "Added to all pitches."),
    ("glide", "s", 0.0, 10.0, 0.0, 0.0, 5, "Time of the way from the last note's pitch."),
    ("sustain", "", 0.0, 1.0, 0.0, 0.0, 64, "Pedal: from 0.5 on, notes let go sound on."),
    ("vibrato", "semitones", 0.0, 2.0, 0.0, 0.05, -3, "Depth, at 5.5 Hz."),
    ("morph", "", 0.0, 1.0, 0.0, 0.03, 1, "From each note's timbre to `morph_timbre`."),
    ("morph_timbre", "", 0.0, 4095.0, 0.0, 0.0, -1, "Where `morph` leads."),
)
parameters: tuple[dict[str, Any], ...] = tuple(
    dict(zip(_COLUMNS, row, strict=True)) for row in _ROWS
)
INDEX = {row["name"]: i for i, row in enumerate(parameters)}


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


class _Smoother:
    """A number that moves in a straight line to where it is told to go (csrc/core/smoother.h)."""

    def __init__(self, value: float, ticks: int):
        self.ticks = ticks
        self.set(value)

    def set(self, value: float) -> None:
        self.value = self.target = np.float32(value)
        self.left = 0

    def move_to(self, target: float) -> None:
        if not self.ticks:
            self.set(target)
            return
        self.target, self.left = np.float32(target), self.ticks
        self.step = (self.target - self.value) / np.float32(self.ticks)

    def tick(self) -> None:
        if self.left:
            self.left -= 1
            self.value = self.value + self.step if self.left else self.target


class _Slot:
    """A voice and how its note is played."""

    def __init__(self, voice: Any):
        self.voice = voice
        self.id = self.number = 0  # of the note; how many came before it
        self.pedalled = False  # let go, and held by the pedal
        self.pitch = np.float32(60)
        self.away = self.step = np.float32(0)  # semitones that it isn't there yet, and a tick less
        self.sounding = self.pitch
        self.place = np.float32(0)  # where `spread` puts it, -1 to 1
        self.gain = self.next_gain = np.ones(1, np.float32)  # at the last tick, at the next


class Engine:
    """Events and a block's length in, samples out (csrc/engine/engine.h)."""

    def __init__(
        self,
        instrument: Any,
        sample_rate: int,
        max_block: int,
        max_voices: int,
        seed: int = 0,
        n_channels: int = 1,
    ):
        self._instrument = instrument
        self._rate = round(instrument.sample_rate)
        resampler = _Resampler(self._rate, sample_rate)
        if not 1 <= max_block <= 65536:
            raise ParameterError(f"max_block={max_block}; wanted 1 to 65536")
        if not 1 <= max_voices <= 4096:
            raise ParameterError(f"max_voices={max_voices}; wanted 1 to 4096")
        if n_channels not in (1, 2):
            raise ParameterError(f"n_channels={n_channels}; wanted 1 or 2")
        self.max_block, self.n_channels = max_block, n_channels
        self.latency = resampler.latency
        self._up, self._down = resampler.up, resampler.down
        self._resamplers = [_Resampler(self._rate, sample_rate) for _ in range(n_channels)]
        self._parameters = {
            row["name"]: _Smoother(row["initial"], round(row["smoothing_s"] * self._rate / TICK))
            for row in parameters
        }
        self._slots = [_Slot(instrument.make_voice()) for _ in range(max_voices)]
        # A note that must make room for another fades out in 5 ms.
        n = self._rate // 200
        self._fade = (1 - np.arange(1, n + 1) / (n + 1)).astype(np.float32)
        self.reset(seed)

    def reset(self, seed: int = 0) -> None:
        for slot in self._slots:
            slot.voice.active = slot.pedalled = False
        for row, parameter in zip(parameters, self._parameters.values(), strict=True):
            parameter.set(row["initial"])
        # What is left of notes that made room.
        self._fading = np.zeros((self.n_channels, len(self._fade)), np.float32)
        for resampler in self._resamplers:
            resampler.reset()
        self._seed = seed
        self._host_time = self._model_time = self._n_notes = 0
        self.n_transposed = self.n_stolen = 0
        self._last = self._slots[0]  # where a glide begins
        self._stale = False  # a tick has something to do

    @property
    def n_sounding(self) -> int:
        return sum(slot.voice.active for slot in self._slots)

    def process(self, n: int, events: np.ndarray) -> Array:
        """The next n samples, float32 [n], or [n, 2] of two channels."""
        if n > self.max_block:
            raise ParameterError(f"n={n} is more than max_block={self.max_block}")
        for event in events:
            # The first sample of the model at or after the event.
            at = self._host_time + min(int(event["offset"]), max(n - 1, 0))
            self._advance(-(-at * self._down // self._up))
            self._handle(event)
        if n < 1:
            return np.zeros(0 if self.n_channels == 1 else (0, 2), np.float32)
        self._host_time += n
        self._advance(self._resamplers[0].needed(self._host_time - 1))
        out = [resampler.pull(n) for resampler in self._resamplers]
        return out[0] if self.n_channels == 1 else np.stack(out, axis=1)

    def _value(self, name: str) -> np.float32:
        return self._parameters[name].value

    def _active(self) -> list[_Slot]:
        return [slot for slot in self._slots if slot.voice.active]

    def _advance(self, until: int) -> None:
        while self._model_time < until:
            if self._model_time % TICK == 0 and self._moving():
                self._tick()
            n = until - self._model_time
            if self._moving():
                n = min(n, TICK - self._model_time % TICK)
            self._mix(n)
            self._model_time += n

    def _mix(self, n: int) -> None:
        mix = np.zeros((self.n_channels, n), np.float32)
        part = np.float32(self._model_time % TICK + 1) + np.arange(n, dtype=np.float32)
        for slot in self._active():
            voice = np.zeros(n, np.float32)
            slot.voice.add(voice)
            slope = (slot.next_gain - slot.gain) / np.float32(TICK)
            mix += (slot.gain[:, None] + slope[:, None] * part) * voice
        faded = min(n, len(self._fade))
        mix[:, :faded] += self._fading[:, :faded]
        self._fading = np.pad(self._fading[:, faded:], ((0, 0), (0, faded)))
        for resampler, samples in zip(self._resamplers, mix, strict=True):
            resampler.push(samples)

    def _moving(self) -> bool:
        """Whether anything is on its way, so that ticks matter."""
        return (
            self._stale
            or bool(self._value("vibrato") > 0)
            or any(parameter.left for parameter in self._parameters.values())
            or any(bool(slot.away != 0) for slot in self._active())
        )

    def _tick(self) -> None:
        for parameter in self._parameters.values():
            parameter.tick()
        self._stale = False
        for slot in self._active():
            slot.gain, slot.next_gain = slot.next_gain, self._gain(slot)
            self._stale |= bool((slot.gain != slot.next_gain).any())  # until it has arrived
            nearer = max(np.float32(0), abs(slot.away) - slot.step)
            slot.away = np.copysign(nearer, slot.away)
            pitch = self._pitch(slot)
            if pitch != slot.sounding:
                slot.sounding = pitch
                slot.voice.set_pitch(float(pitch))
            slot.voice.set_morph(self._morph_timbre(), self._value("morph"))

    def _gain(self, slot: _Slot) -> Array:
        """Balance: what is in the middle is as loud on each side as it is alone."""
        gain = np.full(self.n_channels, self._value("volume") ** 2, np.float32)
        if self.n_channels == 2:
            place = np.clip(self._value("pan") + self._value("spread") * slot.place, -1, 1)
            gain *= np.minimum(np.float32(1), 1 + place * np.array([-1, 1], np.float32))
        return gain

    def _pitch(self, slot: _Slot) -> np.float32:
        pitch = slot.pitch + slot.away + self._value("bend")
        if self._value("vibrato") > 0:
            cycles = VIBRATO_HZ * self._model_time / self._instrument.sample_rate
            pitch += self._value("vibrato") * np.float32(math.sin(2 * math.pi * cycles))
        lowest = min(self._instrument.lowest - FURTHEST_BEND, slot.pitch)
        return np.clip(pitch, lowest, max(self._instrument.highest + FURTHEST_BEND, slot.pitch))

    def _morph_timbre(self) -> int:
        return min(int(np.rint(self._value("morph_timbre"))), self._instrument.n_timbres - 1)

    def _handle(self, event: np.void) -> None:
        kind, value = event["kind"], event["value"]
        if kind == NOTE_OFF:
            for slot in self._active():
                if slot.id == event["id"]:
                    slot.pedalled = bool(self._value("sustain") >= 0.5)
                    if not slot.pedalled:
                        slot.voice.note_off()
        elif kind == NOTE_ON:
            self._note_on(event)
        elif kind == PARAMETER:
            self._set(int(event["id"]), value)
        elif kind == ALL_OFF:
            for slot in self._active():
                if value > 0:
                    self._fade_out(slot)
                    slot.voice.active = False
                else:
                    slot.voice.note_off()

    def _set(self, index: int, value: np.float32) -> None:
        if index >= len(parameters) or not np.isfinite(value):
            return
        row = parameters[index]
        self._parameters[row["name"]].move_to(float(np.clip(value, row["lowest"], row["highest"])))
        self._stale = True
        if self._value("sustain") < 0.5:
            for slot in self._slots:
                if slot.pedalled and slot.voice.active:
                    slot.voice.note_off()
                slot.pedalled = False

    def _note_on(self, event: np.void) -> None:
        pitch, velocity = event["pitch"], event["value"]
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

        before = self._last.pitch + self._last.away
        self._last = slot = self._free_slot()
        slot.id, slot.number, slot.pedalled = int(event["id"]), self._n_notes, False
        self._n_notes += 1
        slot.pitch, slot.away = pitch, np.float32(0)
        ticks = float(self._value("glide")) * instrument.sample_rate / TICK
        if ticks >= 1 and slot.number:
            slot.away = before - pitch
            slot.step = abs(slot.away) / np.float32(ticks)
        slot.place = np.float32(2 * ((0.5 + GOLDEN * slot.number) % 1) - 1)
        slot.gain = slot.next_gain = self._gain(slot)
        slot.sounding = self._pitch(slot)

        timbre = int(event["timbre"])
        timbre = timbre if timbre < instrument.n_timbres else 0
        # What is random in a note depends on the seed and on how many notes came before it.
        seed = (self._seed + SEED_STEP * slot.number) % 2**64
        slot.voice.set_morph(self._morph_timbre(), self._value("morph"))
        slot.voice.note_on(timbre, float(slot.sounding), float(np.clip(velocity, 0, 1)), seed)

    def _free_slot(self) -> _Slot:
        for slot in self._slots:
            if not slot.voice.active:
                return slot
        self.n_stolen += 1
        # Released notes go first, and of those the oldest.
        chosen = min(self._slots, key=lambda slot: (not slot.voice.released, slot.number))
        self._fade_out(chosen)
        return chosen

    def _fade_out(self, slot: _Slot) -> None:
        """Set aside how a voice would go on, to be heard while it plays another note, or none."""
        rest = np.zeros_like(self._fade)
        slot.voice.add(rest)
        self._fading += self._fade * slot.next_gain[:, None] * rest
