"""A generator as TorchScript that nn~ plays in Max and Pure Data.

nn~ expects a scripted module with ``get_methods`` and ``get_attributes``, for each method a buffer
``NAME_params`` (channels and ratio of its input, channels and ratio of its output) and for each
attribute a buffer ``NAME_params`` (types), ``get_NAME`` and ``set_NAME``.
"""

from __future__ import annotations

import math
import os
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.core.atomic_write import written_whole
from audiogen.core.checks import check_whole
from audiogen.errors import ParameterError
from audiogen.export.frame_network import (
    FrameNetwork,
    nearest_partial,
    partial_table,
    require_generator,
    spectrogram_of,
)
from audiogen.presets import GansynthPreset, Preset, require_pitches
from audiogen.representation.harmonic import GOLDEN, LOBE_REACH, bin_centres_hz, onset_centroids

INLETS = ("pitch (MIDI number)", "velocity (0 to 1, 0 releases)", "timbre x", "timbre y")
MOST_VOICES = 16  # channels of mc.nn~, each a voice
CHUNK = 8  # frames that the network computes at once
LOWEST_HZ, HIGHEST_HZ = 8000, 192000
# As the engine's (csrc/engine/frames/note_frames.h and .cpp).
LOOP_FADE, RELEASE_FADE, END_FADE, ATTACK_FRAMES = 6, 2, 8, 16  # frames
BAND_REACH, FLICKER_FRAMES = 16, 8.0
LARGEST_RISE, FAINTEST, SILENCE = 4.6, -60.0, -5.0  # nats


def _wrap(turns: Tensor) -> Tensor:
    return turns - torch.floor(turns + 0.5)


def _wrap_half(turns: Tensor) -> Tensor:
    return turns - 2.0 * torch.floor(0.5 * turns + 0.5)


class NnTilde(nn.Module):
    """A synthesiser of one voice per channel: pitch, velocity and timbre in, audio out.

    The frames, their loop and release, and the phases are the engine's (csrc/engine/frames). A note
    starts at the sample at which its velocity rises from 0, with the pitch and the timbre of that
    sample, and is released at the frame after its velocity falls to 0.

    Parameters
    ----------
    preset : GansynthPreset
        A preset with a linear frequency axis.
    sample_rate : int, Hz
        Rate of the host. Frames are transformed at this rate; nothing is resampled.
    """

    def __init__(self, preset: GansynthPreset, sample_rate: int):
        super().__init__()
        config = spectrogram_of(preset)
        self.network = FrameNetwork(preset)
        self.n_bins, self.n_frames = config.n_bins, config.n_frames
        self.harmonic = config.phase == "harmonic"
        parts = config.n_fft // config.hop_length
        self.hop = round(config.hop_length * sample_rate / config.sample_rate)
        self.n_fft, self.parts = self.hop * parts, parts
        # A bin's frequency at the host's rate over the preset's; the pitch makes up for it.
        stretch = (sample_rate / self.n_fft) / config.bin_width_hz
        self.pitch_shift = 12.0 * math.log2(stretch)
        self.model_rate, self.model_fft = config.sample_rate, config.n_fft
        self.model_hop, self.pad = config.hop_length, config.pad_front
        self.rate = sample_rate
        sustain = preset.sustain
        self.loop_start, self.loop_end = sustain.loop_start_frame, sustain.loop_end_frame
        self.release_frame = sustain.release_frame
        self.loop_fade = min(LOOP_FADE, (self.loop_end - self.loop_start) // 2)
        self.chunk, self.release_fade = CHUNK, RELEASE_FADE
        self.end_fade, self.attack_frames = END_FADE, ATTACK_FRAMES
        self.reach, self.per_flicker = BAND_REACH, 1.0 / FLICKER_FRAMES
        self.largest_rise, self.faintest, self.silence = LARGEST_RISE, FAINTEST, SILENCE
        self.golden, self.lobe_reach = GOLDEN, LOBE_REACH

        window = np.hanning(self.n_fft + 1)[:-1]
        squares = np.square(window).reshape(parts, self.hop).sum(axis=0)
        scaled = window / np.tile(squares, parts) * (self.n_fft / config.n_fft)
        self.register_buffer("window", torch.from_numpy(scaled).float())
        centres = np.asarray(bin_centres_hz(config, self.n_bins), np.float64)
        self.register_buffer("bins_hz", torch.from_numpy(centres))
        self.register_buffer("index", torch.arange(self.n_bins))
        self.centroids: list[float] = [float(c) for c in onset_centroids(config)]
        latents, axes = timbre_axes(preset)
        self.register_buffer("latents", torch.from_numpy(latents).float())
        self.register_buffer("axes", torch.from_numpy(axes).float())
        self.register_buffer("partials", torch.from_numpy(partial_table(preset)))
        gains = [10.0 ** ((timbre.gain_db or 0.0) / 20.0) for timbre in preset.timbres]
        self.register_buffer("gains", torch.tensor(gains))
        self.lowest_key = preset.generator.pitch_min

        slots, voices = 2 * MOST_VOICES, MOST_VOICES  # the two heads of a voice: now and next
        for name, shape in (
            ("turns", (voices, self.n_bins)),
            ("advance", (voices, self.n_bins)),
            ("lobe", (voices, self.n_bins)),
            ("flicker", (voices, self.n_bins)),
            ("last", (voices, self.n_bins)),
            ("offset", (slots, self.n_bins)),
            ("overlap", (voices, self.n_fft)),
            ("tail", (voices, self.n_fft)),
            ("z", (voices, latents.shape[1])),
            ("velocity_of_note", (voices,)),
            ("gain_of_note", (voices,)),
        ):
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("partials_of_note", self.partials[:1, 0].repeat(voices, 1))
        empty = torch.zeros(0)
        self.images = [empty] * slots
        self.frequencies = [empty] * slots
        self.noise = [self.network.draw_noise(1)] * slots
        self.first: list[int] = [-1] * slots  # frame at which the head's chunk begins
        self.frame: list[int] = [0] * slots
        self.head: list[int] = [0] * voices  # which head is now
        self.gate: list[float] = [0.0] * voices
        self.pitch: list[float] = [60.0] * voices
        self.active: list[bool] = [False] * voices
        self.finished: list[bool] = [True] * voices
        self.releasing: list[bool] = [False] * voices
        self.fade_length: list[int] = [0] * voices
        self.fade_done: list[int] = [0] * voices
        self.frames_read: list[int] = [0] * voices
        self.turned: list[int] = [0] * voices  # frames whose phases were integrated
        self.read: list[int] = [self.hop] * voices
        self.tail_left: list[int] = [0] * voices

        self.timbre: tuple[int] = (preset.timbre_names.index(preset.timbre().name),)
        self.methods: list[str] = ["forward"]
        self.attributes: list[str] = ["timbre"]
        self.register_buffer("forward_params", torch.tensor([len(INLETS), 1, 1, 1]))
        self.register_buffer("timbre_params", torch.tensor([1]))  # an integer
        self.forward_input_labels: list[str] = [f"(signal) {label}" for label in INLETS]
        self.forward_output_labels: list[str] = ["(signal) audio"]

    # --- What nn~ calls ---------------------------------------------------------------------------

    @torch.jit.export
    def get_methods(self) -> list[str]:
        return self.methods

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return self.attributes

    @torch.jit.export
    def get_buffer_attributes(self) -> list[str]:
        names: list[str] = []
        return names

    @torch.jit.export
    def is_buffer_empty(self, buffer_name: str) -> bool:
        return True

    @torch.jit.export
    def set_buffer_attribute(self, buffer_name: str, buffer: Tensor, sr: int) -> int:
        return -1

    @torch.jit.export
    def clear_buffer_attribute(self, buffer_name: str) -> int:
        return -1

    @torch.jit.export
    def get_sample_rate(self) -> int:
        return self.rate

    @torch.jit.export
    def set_sample_rate(self, sample_rate: int) -> None:
        pass  # the transform is of one rate

    @torch.jit.export
    def get_timbre(self) -> tuple[int]:
        return self.timbre

    @torch.jit.export
    def set_timbre(self, timbre: int) -> int:
        if timbre < 0 or timbre >= self.latents.shape[0]:
            return -1
        self.timbre = (timbre,)
        return 0

    @torch.jit.export
    def forward(self, x: Tensor) -> Tensor:
        """Render audio [batch, 1, n] under control signals [batch, 4, n]."""
        y = torch.zeros([x.shape[0], 1, x.shape[2]])
        for v in range(min(x.shape[0], len(self.head))):
            self.play(v, x[v], y[v, 0])
        return y

    # --- A voice --------------------------------------------------------------------------------

    def play(self, v: int, x: Tensor, y: Tensor) -> None:
        velocities: list[float] = x[1].tolist()
        n = len(velocities)
        at = 0
        while at < n:
            if velocities[at] > 0.0 and self.gate[v] <= 0.0:
                self.start(v, float(x[0, at]), velocities[at], x[2:, at])
            # The next start is the first sample whose velocity rises from 0.
            end, before = at, velocities[at]
            while end < n and not (velocities[end] > 0.0 and before <= 0.0):
                before = velocities[end]
                end += 1
            while at < end:
                if self.read[v] == self.hop:
                    self.gate[v] = velocities[at]
                    self.next_hop(v)
                take = min(end - at, self.hop - self.read[v])
                first = self.read[v]
                y[at : at + take] = (
                    self.overlap[v, first : first + take] + self.tail[v, first : first + take]
                )
                self.read[v] += take
                at += take
            self.gate[v] = velocities[end - 1]

    def next_hop(self, v: int) -> None:
        self.shift(self.tail, v)
        self.shift(self.overlap, v)
        self.read[v] = 0
        if self.active[v]:
            if self.finished[v]:
                self.tail_left[v] -= 1
                self.active[v] = self.tail_left[v] > 0
            else:
                self.add_frame(v)

    def shift(self, sums: Tensor, v: int) -> None:
        rest = sums[v, self.hop :].clone()
        sums[v, : rest.shape[0]] = rest
        sums[v, rest.shape[0] :] = 0.0

    def start(self, v: int, pitch: float, velocity: float, place: Tensor) -> None:
        rest = self.overlap[v] + self.tail[v]
        self.tail[v] = 0.0
        if self.read[v] < self.hop or self.active[v]:
            self.tail[v, : self.n_fft - self.read[v]] = rest[self.read[v] :]
        self.overlap[v] = 0.0
        self.active[v], self.finished[v], self.releasing[v] = True, False, False
        self.tail_left[v] = self.parts - 1
        self.gate[v], self.pitch[v] = velocity, pitch - self.pitch_shift
        self.z[v] = self.latents[self.timbre[0]] + place @ self.axes
        self.velocity_of_note[v] = min(velocity, 1.0)
        self.gain_of_note[v] = self.gains[self.timbre[0]]
        key = max(math.floor(pitch + 0.5) - self.lowest_key, 0)
        key = min(key, self.partials.size(1) - 1)
        self.partials_of_note[v] = self.partials[self.timbre[0], key]
        self.head[v], self.fade_length[v], self.fade_done[v] = 0, 0, 0
        self.frames_read[v], self.turned[v] = 0, 0
        self.flicker[v] = 0.0
        self.seek(2 * v, 0)
        self.offset[2 * v] = 0.0
        self.start_phase(v)
        for i in range(self.parts):  # the frames that cover the note's first hop
            if i > 0:
                self.shift(self.overlap, v)
            self.add_frame(v)
        self.read[v] = 0

    def start_phase(self, v: int) -> None:
        """Phases before the first frame, and their advance per frame, of steady partials."""
        self.turns[v] = 0.0
        self.advance[v] = 0.0
        self.lobe[v] = 0.0
        if self.harmonic:
            f0_hz = 440.0 * 2.0 ** ((self.pitch[v] - 69.0) / 12.0)
            f0 = torch.full([1, 1], f0_hz, dtype=torch.float64)
            nearest = nearest_partial(self.bins_hz, f0, self.partials_of_note[v : v + 1])
            number, tone = nearest[0][0], nearest[1][0]
            lobe = (tone - self.bins_hz) / self.model_rate
            spread = 0.5 * self.golden * number * number
            turns = lobe * self.centroids[0] - tone * self.pad / self.model_rate + spread
            self.turns[v] = _wrap(turns).float()
            self.advance[v] = _wrap(tone * self.model_hop / self.model_rate).float()
            self.lobe[v] = lobe.float()

    def add_frame(self, v: int) -> None:
        log_magnitude, frequency = self.next_frame(v)
        i = self.turned[v]
        if i > 0 or not self.harmonic:
            shift = 0.0
            if 0 < i < len(self.centroids):
                shift = self.centroids[i] - self.centroids[i - 1]
            self.turns[v] = _wrap(
                self.turns[v] + self.advance[v] + self.lobe[v] * shift + 0.5 * frequency
            )
        if self.harmonic:
            centroid = self.centroids[min(i, len(self.centroids) - 1)]
            self.turns[v] = self.locked(self.turns[v], log_magnitude, centroid / self.model_fft)
        self.turned[v] += 1
        phase = 2.0 * math.pi * self.turns[v]
        spectrum = torch.polar(torch.exp(log_magnitude), phase)
        spectrum = F.pad(spectrum, (1, max(0, self.n_fft // 2 - self.n_bins)))
        signal = torch.fft.irfft(spectrum[: self.n_fft // 2 + 1], n=self.n_fft)
        self.overlap[v] += self.gain_of_note[v] * self.window * signal

    def locked(self, turns: Tensor, level: Tensor, per_bin: float) -> Tensor:
        """Bins of a partial with the phase of its peak (`FrameVoice::lock_phase`)."""
        n = self.n_bins
        # Not `is_peak[:-1] &= ...`, which TorchScript applies to a copy.
        rises = level[1:] > level[:-1]
        edge = torch.zeros(1, dtype=torch.bool)
        is_peak = torch.cat((edge, rises)) & torch.cat((~rises, ~edge))
        below = torch.cummax(torch.where(is_peak, self.index, -n), dim=0)[0]
        above = torch.where(is_peak, self.index, 3 * n)
        above = torch.cummin(above.flip(0), dim=0)[0].flip(0)
        owner = torch.where(
            self.index < torch.div(below + above, 2, rounding_mode="floor") + 1, below, above
        )
        owner = torch.where(below < 0, above, owner)
        owner = torch.where(above >= n, below, owner)
        distance = self.index - owner
        near = (distance.abs() <= self.lobe_reach) & (distance != 0)
        peak = turns[owner.clamp(0, n - 1)]
        return torch.where(near, _wrap(peak - distance * per_bin), turns)

    # --- Frames of a note (`NoteFrames`) --------------------------------------------------------

    def seek(self, slot: int, frame: int) -> None:
        self.frame[slot] = frame
        self.first[slot] = -1
        self.noise[slot] = self.network.draw_noise(1)

    def read_head(self, slot: int) -> tuple[Tensor, Tensor]:
        """The next frame of a head: log magnitude with the head's offset, and frequency."""
        v, frame = slot // 2, min(self.frame[slot], self.n_frames - 1)
        first = self.first[slot]
        if first < 0 or frame < first or frame >= first + self.images[slot].shape[0]:
            stop = min(frame + self.chunk, self.n_frames)
            pitch = torch.full([1], self.pitch[v])
            velocity = self.velocity_of_note[v : v + 1]
            image, frequency = self.network(
                self.z[v : v + 1],
                pitch,
                velocity,
                self.partials_of_note[v : v + 1],
                self.noise[slot],
                frame,
                stop,
            )
            self.images[slot], self.frequencies[slot] = image[0], frequency[0]
            self.first[slot] = first = frame
        self.frame[slot] += 1
        return self.images[slot][frame - first] + self.offset[slot], self.frequencies[slot][
            frame - first
        ]

    def next_frame(self, v: int) -> tuple[Tensor, Tensor]:
        now, step = 2 * v + self.head[v], -1
        if not self.releasing[v]:
            if self.gate[v] <= 0.0:
                step = self.release_frame
            elif self.fade_length[v] == 0 and self.frame[now] + self.loop_fade == self.loop_end:
                step = self.loop_start
        if step >= 0:
            self.releasing[v] = self.gate[v] <= 0.0
            if self.fade_length[v] != 0:
                self.head[v] = 1 - self.head[v]
            self.seek(2 * v + 1 - self.head[v], step)
            self.fade_length[v] = self.release_fade if self.releasing[v] else self.loop_fade
            self.fade_done[v] = 0
        now = 2 * v + self.head[v]
        level, frequency = self.read_head(now)
        if self.fade_length[v] != 0:
            level, frequency = self.fade_frame(v, level, frequency)
        if self.frames_read[v] > 0:
            change = (level - self.last[v]).abs()
            self.flicker[v] += (change - self.flicker[v]) * self.per_flicker
        self.last[v] = level
        self.frames_read[v] += 1
        loudest = float(level.max())
        if self.releasing[v]:
            left = self.n_frames
            if self.fade_length[v] == 0:
                left = max(0, self.n_frames - self.frame[2 * v + self.head[v]])
            if left < self.end_fade:
                level = level + math.log((left + 1) / (self.end_fade + 1))
            if left == 0:
                self.finished[v] = True
        if loudest <= self.silence and (
            self.releasing[v] or self.frames_read[v] > self.attack_frames
        ):
            self.finished[v] = True
        return level, frequency

    def fade_frame(self, v: int, level: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor]:
        other = 2 * v + 1 - self.head[v]
        if self.fade_done[v] == 0:
            self.offset[other] = 0.0
            next_level, next_frequency = self.read_head(other)
            self.match_loudness(v, level, next_level)
            next_level = next_level + self.offset[other]
        else:
            next_level, next_frequency = self.read_head(other)
        self.fade_done[v] += 1
        part = self.fade_done[v] / (self.fade_length[v] + 1)
        level = level + part * (next_level - level)
        frequency = frequency + part * _wrap_half(next_frequency - frequency)
        if self.fade_done[v] == self.fade_length[v]:
            self.head[v] = 1 - self.head[v]
            self.fade_length[v] = 0
        return level, frequency

    def match_loudness(self, v: int, level: Tensor, next_level: Tensor) -> None:
        now, other = 2 * v + self.head[v], 2 * v + 1 - self.head[v]
        weight = torch.exp(level.clamp(min=self.faintest)).double()
        sums = torch.stack((weight, weight * (level - next_level), weight * self.flicker[v]))
        padded = F.pad(sums, (self.reach + 1, self.reach)).cumsum(dim=1)
        bands = padded[:, 2 * self.reach + 1 :] - padded[:, : self.n_bins]
        total = bands[0].clamp(min=1e-30)
        mean, flicker = (bands[1] / total).float(), (bands[2] / total).float()
        if self.releasing[v]:
            self.offset[other] = mean.clamp(max=self.largest_rise)
        else:
            before = self.offset[now].clone()
            moved = mean - before
            moved = torch.where(moved < 0.0, (moved + flicker).clamp(max=0.0), moved)
            self.offset[other] = (before + moved).clamp(max=0.0)


def timbre_axes(preset: GansynthPreset) -> tuple[np.ndarray, np.ndarray]:
    """Latents of a preset's timbres, and the axes of the inlets x and y.

    Parameters
    ----------
    preset : GansynthPreset
        Preset with timbres.

    Returns
    -------
    latents : array [n_timbres, latent_size]
        Latents.
    axes : array [2, latent_size]
        The two principal components of the latents; 1 is one standard deviation. Coordinates of the
        latent space where there are fewer than three timbres.
    """
    latents = np.array([timbre.z for timbre in preset.timbres], np.float64)
    axes = np.eye(2, latents.shape[1])
    if len(latents) > 2:
        _, sizes, components = np.linalg.svd(latents - latents.mean(axis=0), full_matrices=False)
        axes = components[:2] * sizes[:2, None] / np.sqrt(len(latents) - 1)
    return latents, axes


def export_nn_tilde(
    preset: Preset,
    path: str | os.PathLike[str],
    *,
    sample_rate: int = 48000,
    timbre: str | None = None,
) -> list[str]:
    """Write a GANSynth preset as TorchScript for nn~.

    Parameters
    ----------
    preset : Preset
        A GANSynth preset with a linear frequency axis.
    path : path
        File to write, ``.ts``.
    sample_rate : int, Hz
        Rate at which Max or Pure Data runs.
    timbre : str, optional
        Timbre that the attribute ``timbre`` has at first; the preset's default without.

    Returns
    -------
    list of str
        Labels of the inlets.

    Raises
    ------
    ParameterError
        If the preset is not supported, or the rate is out of range.
    PresetError
        If the preset has no such timbre.
    """
    chosen = require_generator(preset, "nn~")
    require_pitches(preset, "nn~")
    if chosen.spectrogram.frequency != "linear":
        raise ParameterError(
            f"nn~ is not supported by preset {chosen.name!r}, whose frequency axis is"
            f" {chosen.spectrogram.frequency!r}; export one with a linear axis"
        )
    check_whole("sample_rate", sample_rate, LOWEST_HZ, HIGHEST_HZ, "Hz")
    index = chosen.timbre_names.index(chosen.timbre(timbre).name)
    module = NnTilde(chosen, sample_rate).eval()
    module.timbre = (index,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but nn~ loads nothing else
        scripted = torch.jit.script(module)
    with written_whole(path) as temporary:
        scripted.save(str(temporary))
    return list(INLETS)
