"""A GANSynth generator that makes the whole image of a note at once (csrc/models/gansynth.h)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audiogen._fallback import kernels as fallback
from audiogen._fallback.instrument import Array, require
from audiogen._fallback.weights import check_precision, checked_config, checked_weights
from audiogen.models.config import GeneratorConfig, weight_shapes
from audiogen.ops import reference
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import harmonic_maps, time_features
from audiogen.representation.partials import MOST_PARTIALS, are_valid

STREAMS_PER_NOTE = 32  # Philox streams that a note may use, one for each block
SLOPE = np.float32(0.2)  # slope of the leaky ReLU


class Generator:
    """A GANSynth generator: fields of ``GeneratorConfig`` with ``sample_rate``, and its weights."""

    def __init__(
        self, config: Mapping[str, Any], weights: Mapping[str, Any], precision: str = "float32"
    ):
        check_precision(precision)
        self.config, rate = checked_config(GeneratorConfig, config)
        sample_rate = round(rate)
        self.n_frames, n_bins = self.config.full_shape
        # For the frequencies of the bins; the other sizes have no effect.
        sizes: dict[str, Any] = {"n_samples": 1, "n_fft": 2 * n_bins, "hop_length": n_bins}
        self._axis = SpectrogramConfig(sample_rate, n_frames=self.n_frames, **sizes)
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
        frames: tuple[int, int] | None = None,
        noise_stream: int = 0,
        partials: Sequence[float] | Array = (),
    ) -> Array:
        """Frames of a note, [2, n_frames, n_bins], in the generator's units; all by default."""
        z = np.asarray(z, np.float32)
        require(
            z.shape == (self.config.latent_size,) and bool(np.isfinite(z).all()),
            f"z has the shape {z.shape}; it must be {self.config.latent_size} finite numbers",
        )
        ratios = np.array(partials, np.float64) if len(partials) else None
        require(
            ratios is None or are_valid(ratios),
            f"partials must be 1 to {MOST_PARTIALS} ascending ratios above 0 and up to 2048",
        )
        first, last = (0, self.n_frames) if frames is None else frames
        require(
            0 <= first <= last <= self.n_frames,
            f"frames=({first}, {last}) must be a range within 0 to {self.n_frames}",
        )
        u = self._input(z, pitch, velocity)
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
            n_bins, n_maps = y.shape[2], self.config.n_maps
            maps = harmonic_maps(float(pitch), self._axis, n_bins, n_maps, ratios)
            time = time_features(self.n_frames, self.config.note_off_frame, len(rows))
            stream = noise_stream * STREAMS_PER_NOTE + b
            uniform = [fallback.philox_uniform(seed, stream, row, y.shape[2]) for row in rows]
            noise = (np.stack(uniform) - np.float32(0.5)) * np.float32(math.sqrt(12.0))
            y += (block["conditioning.maps.weight"] @ maps)[:, None]
            y += (block["conditioning.time.weight"] @ time.T)[:, :, None]
            level = block["conditioning.noise.weight"] @ u + block["conditioning.noise.bias"]
            y += level[:, None, None] * noise
            x = _activate(_styled(y, block, "style1", u))
            x = _activate(_styled(_conv(x, block, "conv2"), block, "style2", u))
        weight, bias = self._image
        image = np.tanh(np.einsum("oc,ctf->otf", weight, x) + bias[:, None, None])
        return image[:, first:last]

    def _input(self, z: Array, pitch: float, velocity: float) -> Array:
        """The network's input, as ``input_vector`` of models/gansynth.py."""
        if self.config.conditioning == "harmonic":
            return np.append(_pixel_norm(z), np.float32(2.0 * velocity - 1.0))
        one_hot = np.zeros(self.config.n_pitches, np.float32)
        index = int(np.rint(pitch)) - self.config.pitch_min
        one_hot[min(max(index, 0), self.config.n_pitches - 1)] = 1.0
        return _pixel_norm(np.append(z, one_hot))


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
