"""A preset's generator as a PyTorch module that can be traced and scripted.

`audiogen.models.gansynth.Generator` is the model for training: it computes its conditioning with
NumPy. This module computes the same from tensors alone, with the preset's weights as constants.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.errors import ParameterError
from audiogen.models.gansynth import SLOPE
from audiogen.presets import GansynthPreset, Preset
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import MOST_MAPS, bin_centres_hz, time_features
from audiogen.representation.partials import MOST_PARTIALS, ratio_of


def require_generator(preset: Preset, target: str) -> GansynthPreset:
    """Return a preset that has a generator.

    Parameters
    ----------
    preset : Preset
        Preset to export.
    target : str
        Format that needs it, for the message.

    Raises
    ------
    ParameterError
        If the preset is a SampleRNN.
    """
    if isinstance(preset, GansynthPreset):
        return preset
    hint = "export it as sfz" if preset.plays_notes else "choose a GANSynth preset"
    raise ParameterError(
        f"{target} is not supported by preset {preset.name!r}, a {preset.kind}, which makes one"
        f" sample at a time; {hint}"
    )


def spectrogram_of(preset: GansynthPreset) -> SpectrogramConfig:
    """The spectrogram that a preset's generator makes."""
    table = preset.spectrogram
    span = table.hop_length * (table.n_frames - 1) + table.n_fft
    return SpectrogramConfig(
        sample_rate=preset.sample_rate,
        n_samples=span - 2 * (table.n_fft - table.hop_length),
        **table.table(),
    )


def partial_table(preset: GansynthPreset) -> np.ndarray:
    """Partials of a preset's timbres at each pitch.

    Parameters
    ----------
    preset : GansynthPreset
        The preset.

    Returns
    -------
    array [n_timbres, n_keys, n_partials], float64
        Ratios to the pitch. One key where all are the same; else those from the generator's lowest
        pitch on.
    """
    lowest = preset.generator.pitch_min
    by_key = any(timbre.inharmonicity for timbre in preset.timbres)
    pitches = np.arange(lowest, lowest + (preset.generator.n_pitches if by_key else 1))
    harmonic = np.arange(1.0, MOST_PARTIALS + 1.0)
    rows = [
        [ratio_of(harmonic, partials.at(pitch)) for pitch in pitches]
        for partials in preset.partials.values()
    ]
    return np.array(rows)


def nearest_partial(
    frequency_hz: Tensor, f0_hz: Tensor, partials: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`audiogen.representation.harmonic.nearest_partial` in tensors.

    Parameters
    ----------
    frequency_hz : Tensor [n_bins], float64, Hz
        Frequencies.
    f0_hz : Tensor [batch, 1], float64, Hz
        Frequencies of the pitches.
    partials : Tensor [batch, n_partials], float64
        Ratios of the notes' partials.

    Returns
    -------
    number, partial_hz, position, slope : Tensor [batch, n_bins]
        The partials' numbers and frequencies; position and slope of
        `audiogen.representation.partials.position_among`.
    """
    ratio = frequency_hz[None] / f0_hz
    below = (partials[:, None] <= ratio[:, :, None]).long().sum(dim=2)
    knots = F.pad(partials, [1, 0])
    last_step = (partials[:, -1:] - partials[:, -2:-1]).clamp(min=1.0)
    slope = 1.0 / torch.cat((partials - knots[:, :-1], last_step), dim=1).gather(1, below)
    position = below + (ratio - knots.gather(1, below)) * slope
    number = torch.floor(position + 0.5).clamp(min=1.0)
    last = float(partials.shape[1])
    ratio = partials.gather(1, number.clamp(max=last).long() - 1)
    ratio = ratio + (number - last).clamp(min=0.0) * last_step
    return number, ratio * f0_hz, position, slope


def _pixel_norm(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class _Block(nn.Module):
    """One block of the generator; a coarse one covers several bins and frames with each pixel."""

    def __init__(
        self,
        weights: dict[str, Tensor],
        b: int,
        preset: GansynthPreset,
        spectrogram: SpectrogramConfig,
    ):
        super().__init__()
        self.first, self.slope = b == 0, SLOPE
        self.harmonic = preset.generator.conditioning == "harmonic"
        self.n_frames, self.n_bins = preset.generator.shape(b)
        self.has_all_maps = preset.generator.n_maps == MOST_MAPS
        for name in ("conv1", "conv2"):
            self.register_buffer(f"{name}_weight", weights[f"blocks.{b}.{name}.weight"])
            self.register_buffer(f"{name}_bias", weights[f"blocks.{b}.{name}.bias"])
        centres = bin_centres_hz(spectrogram, self.n_bins)
        self.width_hz = spectrogram.sample_rate / 2 / self.n_bins
        self.register_buffer("centres_hz", torch.from_numpy(np.asarray(centres, np.float64)))
        none = torch.zeros(0)
        for name in ("maps", "time", "noise", "style1", "style2"):
            weight = weights.get(f"blocks.{b}.conditioning.{name}.weight", none)
            bias = weights.get(f"blocks.{b}.conditioning.{name}.bias", none)
            if name == "time" and self.harmonic:  # the same for every note
                generator = preset.generator
                features = time_features(
                    generator.full_shape[0], generator.note_off_frame, self.n_frames
                )
                weight = (torch.from_numpy(features) @ weight.T).T.contiguous()
            self.register_buffer(f"{name}_weight", weight)
            self.register_buffer(f"{name}_bias", bias)

    def maps(self, pitch: Tensor, partials: Tensor) -> Tensor:
        """`harmonic_maps` of pitches [batch], float64: [batch, n_maps, n_bins], float32."""
        f0 = 440.0 * torch.pow(
            torch.full([1, 1], 2.0, dtype=torch.float64), (pitch[:, None] - 69.0) / 12.0
        )
        h, partial_hz, turns, slope = nearest_partial(self.centres_hz, f0, partials)
        distance = ((self.centres_hz[None] - partial_hz) / self.width_hz).float()
        place = (2.0 * math.pi * (turns - torch.floor(turns))).float()
        x = (math.pi * self.width_hz / f0 * slope).float()
        resolved = torch.sin(x) / x
        octaves = torch.log2((self.centres_hz / 1000.0).float()) / 4.0
        zero = torch.zeros_like(distance)
        rows = [
            torch.tanh(h.float() / 16.0),
            torch.exp(-0.5 * distance * distance),
            torch.exp(-distance * distance / 18.0),
            resolved * torch.cos(place),
            resolved * torch.sin(place),
            torch.log2((self.centres_hz[None] / f0).float()) / 4.0,
            octaves[None] + zero,
            ((pitch[:, None] - 54.0) / 30.0).float() + zero,
        ]
        if self.has_all_maps:
            for n in (2.0, 3.0):
                place = (2.0 * math.pi * (turns / n - torch.floor(turns / n))).float()
                resolved = torch.sin(x / n) / (x / n)
                rows += [resolved * torch.cos(place), resolved * torch.sin(place)]
        return torch.stack(rows, dim=1)

    def styled(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = style[:, :, None, None].chunk(2, dim=1)
        return x * (1.0 + scale) + shift

    def forward(
        self,
        x: Tensor,
        u: Tensor,
        pitch: Tensor,
        partials: Tensor,
        noise: Tensor,
        given: int,
        rows1: tuple[int, int],
        rows2: tuple[int, int],
    ) -> Tensor:
        """Rows rows2 of the block's output, from input rows that begin with row ``given``."""
        p, q = rows1
        lo, hi = rows2
        if self.first:
            y = torch.einsum("bi,oitf->botf", u, self.conv1_weight[:, :, p:q])
            y = y + self.conv1_bias[None, :, None, None]
        else:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            y = F.conv2d(self.rows(x, 2 * given, p, q), self.conv1_weight, self.conv1_bias)
        if self.harmonic:
            bins = torch.matmul(self.maps_weight[None], self.maps(pitch, partials))
            y = y + bins[:, :, None] + self.time_weight[None, :, p:q, None]
            gain = F.linear(u, self.noise_weight, self.noise_bias)
            y = y + gain[:, :, None, None] * noise[:, None, p:q]
            y = self.styled(y, F.linear(u, self.style1_weight, self.style1_bias))
        y = _pixel_norm(F.leaky_relu(y, self.slope))
        y = F.conv2d(self.rows(y, p, lo, hi), self.conv2_weight, self.conv2_bias)
        if self.harmonic:
            y = self.styled(y, F.linear(u, self.style2_weight, self.style2_bias))
        return _pixel_norm(F.leaky_relu(y, self.slope))

    def rows(self, x: Tensor, start: int, lo: int, hi: int) -> Tensor:
        """Rows lo - 1 to hi of ``x``, whose first row is ``start``; zeros beyond the ends."""
        top, bottom = int(lo == 0), int(hi == self.n_frames)
        x = x[:, :, lo - 1 + top - start : hi + 1 - bottom - start]
        return F.pad(x, (1, 1, top, bottom))


class FrameNetwork(nn.Module):
    """The generator of a preset with its weights, from latents and pitches to spectrogram frames.

    Parameters
    ----------
    preset : GansynthPreset
        Preset that was read from a folder.
    """

    def __init__(self, preset: GansynthPreset):
        super().__init__()
        from safetensors.torch import load_file

        stored = load_file(str(preset.weights_path))
        weights = {name: tensor.float() for name, tensor in stored.items()}
        spectrogram = spectrogram_of(preset)
        generator = preset.generator
        self.harmonic = generator.conditioning == "harmonic"
        self.latent_size, self.pitch_min = generator.latent_size, generator.pitch_min
        self.n_frames, self.n_bins = generator.full_shape
        self.blocks = nn.ModuleList(
            _Block(weights, b, preset, spectrogram) for b in range(len(generator.channels))
        )
        self.register_buffer("rgb_weight", weights["to_rgb.weight"][:, :, None, None])
        self.register_buffer("rgb_bias", weights["to_rgb.bias"])
        self.register_buffer("pitches", torch.arange(generator.n_pitches)[None])
        self.magnitude_scale = spectrogram.magnitude_scale
        self.magnitude_offset = spectrogram.magnitude_offset
        self.frequency_scale = spectrogram.frequency_scale

    @torch.jit.export
    def draw_noise(self, batch: int) -> list[Tensor]:
        """Uniform noise of unit variance for each block, as the generator was trained with."""
        noise: list[Tensor] = []
        for block in self.blocks:
            shape = [batch, block.n_frames, block.n_bins]
            noise.append((torch.rand(shape) - 0.5) * math.sqrt(12.0))
        return noise

    def forward(
        self,
        z: Tensor,
        pitch: Tensor,
        velocity: Tensor,
        partials: Tensor,
        noise: list[Tensor],
        start: int,
        stop: int,
    ) -> tuple[Tensor, Tensor]:
        """Generate frames start to stop of notes.

        Parameters
        ----------
        z : Tensor [batch, latent_size]
            Latents.
        pitch : Tensor [batch], MIDI number
            Pitches.
        velocity : Tensor [batch], 0 to 1
            Velocities; no effect on a ``one_hot`` generator.
        partials : Tensor [batch, n_partials], float64
            Ratios of the notes' partials (`partial_table`); no effect on a ``one_hot`` generator.
        noise : list of Tensor [batch, n_frames_b, n_bins_b]
            Noise of each block, for whole notes.
        start, stop : int
            Range of frames; only the rows that they depend on are computed.

        Returns
        -------
        log_magnitude : Tensor [batch, stop - start, n_bins]
            Natural logarithm of the magnitude (mel: power).
        frequency : Tensor [batch, stop - start, n_bins]
            The generator's phase channel in half turns per hop.
        """
        if self.harmonic:
            u = torch.cat((_pixel_norm(z), 2.0 * velocity[:, None] - 1.0), dim=1)
        else:
            index = torch.round(pitch)[:, None] - self.pitch_min
            u = _pixel_norm(torch.cat((z, (self.pitches == index).to(z.dtype)), dim=1))
        firsts: list[int] = []
        lasts: list[int] = []
        lo, hi = start, stop
        for b in range(len(self.blocks)):
            total = self.n_frames >> b
            firsts.insert(0, lo)
            lasts.insert(0, hi)
            p, q = max(lo - 1, 0), min(hi + 1, total)
            lo, hi = max((p - 1) // 2, 0), min((q + 2) // 2, total // 2)
        x, given = u, 0
        for b, block in enumerate(self.blocks):
            lo, hi = firsts[b], lasts[b]
            total = self.n_frames >> (len(self.blocks) - 1 - b)
            p, q = max(lo - 1, 0), min(hi + 1, total)
            x = block(x, u, pitch.double(), partials, noise[b], given, (p, q), (lo, hi))
            given = lo
        image = torch.tanh(F.conv2d(x, self.rgb_weight, self.rgb_bias))
        log_magnitude = (image[:, 0] - self.magnitude_offset) / self.magnitude_scale
        return log_magnitude, image[:, 1] / self.frequency_scale
