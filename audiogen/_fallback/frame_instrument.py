"""A GANSynth preset as an instrument: frames of a note, and the voice that makes samples of them.

Python twin of csrc/engine/frames/frame_instrument.h, note_frames.h and frame_voice.h.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from audiogen._fallback.gansynth import Generator
from audiogen._fallback.instrument import (
    AnyInstrument,
    Array,
    Note,
    Voice,
    Voices,
    require,
    stretch_of,
)
from audiogen._fallback.kernels import polar_to_rectangular
from audiogen.ops import reference
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import (
    LOBE_REACH,
    bin_centres_hz,
    nearest_partial,
    onset_centroids,
    pitch_to_hz,
    reference_phase,
)
from audiogen.representation.partials import TimbrePartials, interpolate

TWO_PI = np.float32(2 * np.pi)

# Frames. A loop's fade is at most half the loop; END_FADE is for a release that is still loud.
LOOP_FADE, RELEASE_FADE, END_FADE = 6, 2, 8
BAND_REACH = 16  # half the width, in bins, of the bands whose loudness is matched
LARGEST_RISE = 4.6  # nats; limits the gain of a release
FLICKER_FRAMES = 8.0  # time constant of the mean change of a bin
SILENCE = -5.0  # nats; below it, in all bins and after the attack, a note has ended
ATTACK_FRAMES = 16
FAINTEST = -60.0  # nats; lower levels have this weight, so that no band's weight is 0
TRANSPOSE_REACH = 5.0  # semitones; beyond this, a frame is regenerated instead of transposed
ATTACK_SPAN = 8  # frames after the first that a fast attack hastens through
MOVE_FRAMES = 2  # frames between two moves of a note's latent
PARTIAL_REACH = 2.0  # bins beside a partial that `noise` leaves alone
ENDED = np.float32(-60)  # nats; level of a timbre that ended before the one it is morphed with
MOST_ADDED = 1024  # timbres


class Instrument(AnyInstrument):
    """A GANSynth preset.

    Parameters
    ----------
    generator : Generator
        Generator of the preset.
    spectrogram : mapping
        Table ``[spectrogram]`` with ``sample_rate`` and, for mel bands, ``band_map``.
    sustain : mapping
        Table ``[sustain]``; empty if notes play to their end, whatever the note-off.
    pitch_range : tuple of float, MIDI numbers
        Lowest and highest trained pitch, MIDI numbers.
    timbres : sequence of array [latent_size]
        Latents that notes can be played with.
    macros : sequence of mapping
        Tables ``[[macros]]``.
    partials : sequence of TimbrePartials
        Partials of the first timbres; those of others are harmonic.
    """

    def __init__(
        self,
        generator: Generator,
        spectrogram: Mapping[str, Any],
        sustain: Mapping[str, int],
        pitch_range: tuple[float, float],
        timbres: Sequence[ArrayLike],
        macros: Sequence[Mapping[str, Any]] = (),
        partials: Sequence[TimbrePartials] = (),
    ):
        names = ["sample_rate", "n_fft", "hop_length", "phase"]
        names += ["magnitude_scale", "magnitude_offset", "frequency_scale"]
        self.generator = generator
        self.spectrogram = s = SpectrogramConfig(
            n_samples=1, n_frames=generator.n_frames, **{name: spectrogram[name] for name in names}
        )
        super().__init__(s.sample_rate, pitch_range, len(timbres))
        self.loop_start = sustain.get("loop_start_frame", 0)
        self.loop_end = sustain.get("loop_end_frame", 0)
        self.release = sustain.get("release_frame", 0)
        n_bins = generator.config.full_shape[1]
        for holds, message in (
            (s.n_bins == n_bins, f"n_fft={s.n_fft} does not fit a generator of {n_bins} bins"),
            (
                0 < min(s.magnitude_scale, s.frequency_scale) < math.inf,
                "magnitude_scale and frequency_scale must be > 0",
            ),
            (math.isfinite(s.magnitude_offset), "magnitude_offset must be finite"),
            (
                not sustain or self.loop_end >= self.loop_start + 2,
                f"loop_end={self.loop_end} must be at least 2 frames after"
                f" loop_start={self.loop_start}",
            ),
            (
                self.loop_end <= generator.n_frames and self.release < generator.n_frames,
                f"loop_end and release must be within the note's {generator.n_frames} frames",
            ),
        ):
            require(holds, message)
        self.timbres = [self._latent(z) for z in timbres]
        # Direction, and the distances along it at -1 and 1.
        self.macros = [
            (np.array(macro["direction"], np.float32), *map(np.float32, macro["range"]))
            for macro in macros
        ]
        require(
            len(partials) <= len(timbres),
            f"instrument has partials of {len(partials)} timbres, more than its {len(timbres)}"
            " timbres",
        )
        for of_timbre in partials:
            fault = of_timbre.fault()
            require(fault is None, fault or "")
        self._partials = partials
        self._most_timbres = len(self.timbres) + MOST_ADDED
        self.mel = None  # bands to bins, where the generator's bins are not linear
        if "band_map" in spectrogram:
            self.mel = _band_matrix(spectrogram["band_map"], s.n_bins)
            self.floor = np.float32(spectrogram["magnitude_floor"])
        # Periodic Hann over the squared windows that overlap at a sample.
        window = reference.hann_window(s.n_fft)
        overlap = np.sum(window.reshape(-1, s.hop_length) ** 2, axis=0)
        self.window = (window / np.tile(overlap, s.n_fft // s.hop_length)).astype(np.float32)
        self.centroids = onset_centroids(s)

    def partials(self, timbre: int, pitch: float) -> np.ndarray | None:
        """Partials of a timbre's notes at a pitch; None for harmonic ones."""
        return self._partials[timbre].at(pitch) if timbre < len(self._partials) else None

    def add_timbre(self, z: ArrayLike) -> int:
        """Add a latent that notes can be played with; returns its index."""
        latent = self._latent(z)
        for index, timbre in enumerate(self.timbres):
            if np.array_equal(timbre, latent):
                return index
        require(
            self.n_timbres < self._most_timbres,
            f"no more than {MOST_ADDED} latents can be added to an instrument",
        )
        self.timbres.append(latent)
        self.n_timbres = len(self.timbres)
        return self.n_timbres - 1

    def move_latent(self, z: Array, amounts: Sequence[np.float32]) -> Array:
        """A latent moved by the macros and scaled back to its length."""
        used = [(amount, m) for amount, m in zip(amounts, self.macros, strict=False) if amount]
        if not used:
            return z
        moved = z.copy()
        for amount, (direction, lowest, highest) in used:
            moved += amount * (-lowest if amount < 0 else highest) * direction
        before, after = (float(np.sum(np.square(x, dtype=np.float64))) for x in (z, moved))
        return moved * np.float32(math.sqrt(before / after)) if after > 0 else moved

    def make_voices(self, n: int, n_inputs: int) -> Voices:
        return Voices([_FrameVoice(self) for _ in range(n)])

    def _latent(self, z: ArrayLike) -> Array:
        latent, size = np.asarray(z, np.float32), self.generator.config.latent_size
        require(
            latent.shape == (size,),
            f"a timbre has {latent.size} numbers; it must have {size}",
        )
        require(bool(np.isfinite(latent).all()), "a timbre holds NaN or infinity")
        return latent


def _band_matrix(band_map: tuple[np.ndarray, np.ndarray, np.ndarray], n_bins: int) -> Array:
    """The matrix [bands, bins] of a map of mel bands (`representation.mel.band_map`)."""
    starts, bands, weights = band_map
    require(
        len(starts) == n_bins + 1 and len(bands) == len(weights) == starts[-1],
        f"the map of mel bands does not fit {n_bins} bins",
    )
    require(bool((bands < n_bins).all()), f"mel band {np.max(bands)} must be below {n_bins}")
    matrix = np.zeros((n_bins, n_bins), np.float32)
    matrix[bands, np.repeat(np.arange(n_bins), np.diff(starts))] = weights
    return matrix


@dataclass
class _GeneratorNote:
    z: Array
    pitch: float
    velocity: float
    seed: int
    noise_stream: int = 0
    partials: np.ndarray | None = None


@dataclass
class _Head:
    """A position in one of a note's images; ``offset`` is added to the log magnitudes."""

    levels: Array  # [n_frames, n_bins], nats
    frequencies: Array  # [n_frames, n_bins], units of pi
    frame: int
    offset: Array | float = 0.0

    def read(self) -> tuple[Array, Array]:
        frame = min(self.frame, len(self.levels) - 1)
        self.frame += 1
        return self.levels[frame] + self.offset, self.frequencies[frame]


class _NoteFrames:
    """The frames of one note of any length (csrc/engine/frames/note_frames.h)."""

    def __init__(self, instrument: Instrument, note: _GeneratorNote):
        self.instrument = instrument
        self.note = note
        self.image = self._generate()
        self.now = self.to = _Head(*self.image, 0)
        self.loop_fade = min(LOOP_FADE, (instrument.loop_end - instrument.loop_start) // 2)
        self.frames_read = self.fade_length = self.fade_done = 0
        self.released = self.finished = False
        self.releasing = not instrument.loop_end  # without a loop, to the end
        self.last: Array | None = None
        self.flicker = np.zeros_like(self.image[0][0])

    def start_beside(self, other: _NoteFrames) -> None:
        """Go to the position of another note of the same noise, with its loudness."""
        head = other.to if other.fade_length else other.now
        self.now = self.to = _Head(*self.image, head.frame, head.offset)
        self.frames_read, self.flicker = other.frames_read, other.flicker.copy()
        self.released, self.releasing = other.released, other.releasing
        self.finished = other.finished

    def set_pitch(self, pitch: float) -> None:
        """Change the pitch from the next frame on."""
        self.note.pitch = pitch
        self._generate_anew()

    def set_latent(self, z: Array) -> None:
        """Change the latent from the next frame on."""
        self.note.z = z
        self._generate_anew()

    def _generate_anew(self) -> None:
        self.last = None  # the change is not flicker
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

        may_end = (self.releasing and self.instrument.loop_end) or self.frames_read > ATTACK_FRAMES
        silent = level.max() <= SILENCE and may_end
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
        image = self.instrument.generator.generate(
            n.z,
            n.pitch,
            n.velocity,
            n.seed,
            noise_stream=stream,
            partials=() if n.partials is None else n.partials,
        )
        levels = (image[0] - np.float32(s.magnitude_offset)) / np.float32(s.magnitude_scale)
        frequencies = image[1] / np.float32(s.frequency_scale)
        mel = self.instrument.mel
        if mel is not None:
            levels = 0.5 * np.log(np.exp(levels) @ mel + self.instrument.floor)
            frequencies = frequencies @ mel
        return levels, frequencies

    def _step_to(self, frame: int, fade: int) -> None:
        self.note.noise_stream += 1  # the same frames with other noise, if the network has noise
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
        # The shorter way round: frequencies are known up to whole turns, 2 units.
        turn = next_frequency - frequency
        turn = turn - 2 * np.rint(turn / 2)
        return level + part * (next_level - level), frequency + part * turn

    def _match_loudness(self, level: Array, next_level: Array) -> Array:
        """Offset that gives the next frame, band by band, the loudness of this one."""
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


class _FrameVoice(Voice):
    """One sounding note: frames become samples (csrc/engine/frames/frame_voice.h)."""

    def __init__(self, instrument: Instrument):
        self.instrument = instrument
        self.other: _NoteFrames | None = None  # target of a morph; released a frame later
        self.other_timbre = self.morph_timbre = 0
        self.morph = np.float32(0)

    def note_off(self) -> None:
        self.released = self.frames.released = True

    def set_pitch(self, pitch: float) -> None:
        generator, spectrogram = self.instrument.generator, self.instrument.spectrogram
        if generator.config.conditioning == spectrogram.phase == "harmonic":
            self.wanted_pitch = pitch

    def set_morph(self, timbre: int, amount: np.float32) -> None:
        self.morph_timbre, self.morph = timbre, amount

    def note_on(self, note: Note) -> None:
        s = self.instrument.spectrogram
        self.timbre, self.macros = note.timbre, self.shaping.macros
        z = self._latent(note.timbre)
        self.n_pulled, self.lag = 0, np.float32(0)  # frames; how far behind the last one
        self.pulled: list[tuple[Array, Array]] = []  # the last two, while they are interpolated
        own = self.instrument.partials(note.timbre, note.key_pitch)
        other = self.instrument.partials(self.morph_timbre, note.key_pitch)
        partials = interpolate(own, other, float(self.morph))
        self.note = _GeneratorNote(z, note.pitch, note.velocity, note.seed, partials=partials)
        self.pitch = self.wanted_pitch = note.pitch
        self.network_pitch = self.next_network_pitch = note.pitch
        self.other = None
        self.active, self.released = True, False
        self.frame = 0
        self.tail_left = s.n_fft // s.hop_length - 1  # hops that sound after the last frame
        self.overlap = np.zeros(s.n_fft, np.float32)  # the first hop is ready
        self.turns = np.zeros(s.n_bins, np.float32)  # phases, within [-0.5, 0.5]
        self.steps = np.zeros((1, s.n_bins), np.float32)  # turns from each frame to the next
        if s.phase == "harmonic":
            # Phases of steady partials; the last step holds for all later frames.
            frames = np.arange(len(self.instrument.centroids) + 1)
            turns = reference_phase(note.pitch, s, frames, partials) / (2 * np.pi)
            self.turns = _within_half(turns[0]).astype(np.float32)
            self.steps = _within_half(np.diff(turns, axis=0)).astype(np.float32)
        self.frames = _NoteFrames(self.instrument, self.note)
        # The first frames begin before the note: its first hop is ready when all of the frames that
        # cover it are.
        self._start_morph()
        for _ in range(s.n_fft // s.hop_length):
            self._add_frame()

    def add(self, out: Array) -> None:
        hop, done = self.instrument.spectrogram.hop_length, 0
        while done < len(out) and self.active:
            if self.n_read == hop:
                if self._finished:
                    if self.tail_left == 0:
                        self.active = False
                        return
                    self.tail_left -= 1
                self._add_frame()
            take = min(len(out) - done, hop - self.n_read)
            out[done : done + take] += self.overlap[self.n_read : self.n_read + take]
            self.n_read += take
            done += take

    def _add_frame(self) -> None:
        hop = self.instrument.spectrogram.hop_length
        self.overlap = np.append(self.overlap[hop:], np.zeros(hop, np.float32))
        self.n_read = 0  # samples of the first hop
        if self._finished:
            return
        level, frequency = self._next_frame()
        self._turn(level, frequency)
        level = self._shape_spectrum(level)
        self.frame += 1
        spectrum = polar_to_rectangular(level, TWO_PI * self.turns)
        self.overlap += self.instrument.window * np.fft.irfft(np.append(np.complex64(0), spectrum))

    def _shape_spectrum(self, level: Array) -> Array:
        """Balance high and low partials, and partials and noise; the frame's power stays."""
        shaping, s = self.shaping, self.instrument.spectrogram
        if not (shaping.tilt or shaping.noise):
            return level
        f0, f_bin = float(pitch_to_hz(self.pitch)), bin_centres_hz(s, s.n_bins)
        gain_db = float(shaping.tilt) * np.log2(np.maximum(1.0, f_bin / f0))
        if s.phase == "harmonic":
            distance = np.abs(nearest_partial(f_bin, f0, self.note.partials)[1] - f_bin)
            bins = distance * s.n_fft / s.sample_rate
            gain_db += float(shaping.noise) * np.clip(bins - PARTIAL_REACH, 0.0, 1.0)
        shaped = level + np.float32(np.log(10.0) / 20.0) * gain_db.astype(np.float32)
        return shaped + _frame_level(level) - _frame_level(shaped)

    @property
    def _finished(self) -> bool:
        return self.frames.finished and (self.other is None or self.other.finished)

    def _next_frame(self) -> tuple[Array, Array]:
        """Log magnitude and phase channel at the voice's pitch and speed."""
        if self.shaping.attack < 0 or self.shaping.release != 0 or self.lag > 0:
            level, frequency = self._pull_frames()
        else:
            self.pulled = []
            level, frequency = self._pull_frame()
        if self.wanted_pitch == self.network_pitch:
            return level, frequency
        return _transpose(level, frequency, self.network_pitch, self.wanted_pitch)

    def _pull_frames(self) -> tuple[Array, Array]:
        """Pull frames at another speed than one per hop; interpolate between the last two."""
        distance = np.float32(1)  # from the last pulled frame to the wanted one
        if self.frames.released and self.shaping.release != 0:
            distance = stretch_of(-self.shaping.release) - self.lag
        elif self.shaping.attack < 0 and 0 < self.n_pulled <= ATTACK_SPAN:
            distance = stretch_of(-self.shaping.attack) - self.lag
        network_pitch = self.network_pitch
        while distance > 0 and not self._finished:
            frame = self._pull_frame()
            # At another pitch the partials of the frame before lie in other bins.
            known = self.pulled and self.network_pitch == network_pitch
            self.pulled = [self.pulled[-1] if known else frame, frame]
            distance -= np.float32(1)
        self.lag = max(np.float32(0), -distance)
        (last_level, last_frequency), (level, frequency) = self.pulled
        turn = last_frequency - frequency
        turn = turn - 2 * np.rint(turn / 2)  # the shorter way round
        return level + self.lag * (last_level - level), frequency + self.lag * turn

    def _latent(self, timbre: int) -> Array:
        return self.instrument.move_latent(self.instrument.timbres[timbre], self.macros)

    def _move_latents(self) -> None:
        """Move the latents of a sounding note to where the macros are."""
        self.macros = self.shaping.macros
        self.frames.set_latent(self._latent(self.timbre))
        if self.other is not None:
            self.other.set_latent(self._latent(self.other_timbre))

    def _pull_frame(self) -> tuple[Array, Array]:
        """Log magnitude and phase channel of the next frame, at the network's pitch."""
        self.n_pulled += 1
        self.network_pitch = self.next_network_pitch
        frame = self._mix_timbres()
        self._plan_frame()
        return frame

    def _plan_frame(self) -> None:
        """Set the pitch, the latents and the timbres of the next frame, a hop before it is due."""
        if abs(self.wanted_pitch - self.next_network_pitch) > TRANSPOSE_REACH:
            self.next_network_pitch = self.wanted_pitch
            self.frames.set_pitch(self.next_network_pitch)
            if self.other is not None:
                self.other.set_pitch(self.next_network_pitch)
        if self.shaping.macros != self.macros and self.instrument.macros:
            if (self.frame + 1) % MOVE_FRAMES == 0:
                self._move_latents()
        if self.other is not None and self.frames.releasing:
            self.other.released = True
        self._start_morph()

    def _start_morph(self) -> None:
        """Start, change or end the timbre that the next frame is morphed with."""
        if self.morph <= 0:
            self.other = None
        elif not self.frames.finished and (
            self.other is None or self.other_timbre != self.morph_timbre
        ):
            self.other_timbre = self.morph_timbre
            z, pitch = self._latent(self.other_timbre), self.next_network_pitch
            self.other = _NoteFrames(self.instrument, replace(self.note, z=z, pitch=pitch))
            self.other.start_beside(self.frames)

    def _mix_timbres(self) -> tuple[Array, Array]:
        """Log magnitude and phase channel between two timbres."""
        both = [self.frames] if self.other is None else [self.frames, self.other]
        images = [None if frames.finished else frames.next() for frames in both]
        if self.other is None:
            assert images[0] is not None  # one of them sounds
            return images[0]
        level, to_level = (ENDED if image is None else image[0] for image in images)
        level = level + self.morph * (to_level - level)
        frequencies = [image[1] for image in images if image is not None]
        turn = frequencies[-1] - frequencies[0]
        turn = turn - 2 * np.rint(turn / 2)  # the shorter way round
        return level, frequencies[0] + self.morph * turn

    def _move_pitch(self, frequency: Array) -> None:
        """Phases after a change of pitch: from centroid to centroid at the mean frequency."""
        s, centroids = self.instrument.spectrogram, self.instrument.centroids
        old_f0, f0 = (float(pitch_to_hz(pitch)) for pitch in (self.pitch, self.wanted_pitch))
        self.pitch = self.wanted_pitch
        frames = np.arange(len(centroids) + 1)
        turns = reference_phase(self.pitch, s, frames, self.note.partials) / (2 * np.pi)
        self.steps = _within_half(np.diff(turns, axis=0)).astype(np.float32)
        old_centre, centre = (
            centroids[min(frame, len(centroids) - 1)] / s.sample_rate
            for frame in (self.frame - 1, self.frame)
        )
        time = s.hop_length / s.sample_rate + centre - old_centre
        f_bin = bin_centres_hz(s, s.n_bins)
        width = s.sample_rate / s.n_fft
        ratio = nearest_partial(f_bin, f0, self.note.partials)[1] / f0
        old_bin = np.clip(np.floor(ratio * old_f0 / width - 0.5), 0, s.n_bins - 1)
        at_centre = self.turns[old_bin.astype(int)] + (old_bin + 1) * width * old_centre
        moved = at_centre + 0.5 * ratio * (old_f0 + f0) * time - f_bin * centre
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
        """Lock the phase of each bin to that of the nearest peak (Laroche and Dolson 1999)."""
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
    """Move a frame's partials from one pitch to another near it."""
    n = len(level)
    ratio = float(pitch_to_hz(pitch)) / float(pitch_to_hz(wanted))
    where = np.clip(np.arange(1, n + 1) * ratio - 1.0, 0.0, n - 1)
    i = np.minimum(where.astype(int), n - 2)
    t = (where - i).astype(np.float32)
    a, b, c, d = (level[np.clip(i + step, 0, n - 1)] for step in (-1, 0, 1, 2))
    # No lower than on the parabola through the other three: between two lobes there is silence.
    a, d = np.maximum(a, d + 3 * (b - c)), np.maximum(d, a + 3 * (c - b))
    # Catmull-Rom.
    cubic = t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))
    return b + np.float32(0.5) * t * (c - a + cubic), frequency[np.where(t < 0.5, i, i + 1)]


def _frame_level(level: Array) -> np.float32:
    """Half the logarithm of the power of a frame, nats."""
    return np.float32(0.5 * np.logaddexp.reduce(2.0 * level.astype(np.float64)))


def _within_half(turns: np.ndarray) -> np.ndarray:
    return turns - np.rint(turns)
