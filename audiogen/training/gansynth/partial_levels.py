"""Levels of audio on partials, beside them and between them, by bands and slowly over time.

Windows twice as long as the representation's separate what lies 12 to 24 Hz beside a partial, the
sidebands of its vibrato and noise, from the partial itself: in the representation's own windows
both are in one main lobe.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import nearest_partial, pitch_to_hz

LONGER = 2  # windows over the representation's
ON_HZ, BESIDE_HZ = 12.0, 24.0  # distances from a partial
BAND_HZ = 250.0
N_POOLED, POOL_STEP = 4, 2  # frames of the long window that a level is the mean of
FLOOR = 1e-8  # power added, over that of the loudest bin
LEAST_LOUDEST = 1.0  # power of a sine of -66 dBFS at `n_fft` 4096; silence is measured against it


def partial_levels(
    sound: Tensor,
    pitch: np.ndarray,
    config: SpectrogramConfig,
    relative_to: Tensor,
    partials: np.ndarray | None = None,
) -> tuple[Tensor, Tensor]:
    """Levels of sounds in three classes of bins.

    Parameters
    ----------
    sound : Tensor [batch, n_samples]
        Sounds.
    pitch : array [batch], MIDI number
        Their pitches.
    config : SpectrogramConfig
        The representation.
    relative_to : Tensor [batch, n_samples]
        Sounds whose loudest bins set the floors, which are at least those of a sine of -66 dBFS.
    partials : array [batch, n_partials], optional
        Their partials (`audiogen.representation.partials`); harmonic ones by default.

    Returns
    -------
    levels : Tensor [batch, 3, n_levels, n_bands], nats
        Half the logarithm of the mean power of bins up to 12 Hz from a partial, up to 24 Hz, and
        beyond.
    weight : Tensor [batch, 3, 1, n_bands]
        1 where a band has bins of the class, else 0.
    """
    power = _power(sound, config)
    loudest = _power(relative_to, config).amax(dim=(1, 2)).clamp_min(LEAST_LOUDEST)
    loudest = loudest[:, None, None, None]
    shares, present = _classes(pitch, config, partials)
    shares, present = shares.to(power), present.to(power)
    batch, n_frames, n_bins = power.shape
    n_bands = present.shape[-1]
    bands = power.new_zeros(batch, n_frames, n_bands * -(-n_bins // n_bands))
    bands[..., :n_bins] = power
    in_classes = torch.einsum("btkn,bckn->bctk", bands.view(batch, n_frames, n_bands, -1), shares)
    pooled = F.avg_pool2d(in_classes, (min(N_POOLED, n_frames), 1), (POOL_STEP, 1))
    return 0.5 * torch.log(pooled + FLOOR * loudest), present


def distance_of_levels(levels: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> Tensor:
    """Mean absolute difference of the levels of two sounds of equal pitches, nats."""
    weight = wanted[1]
    far = (weight * (levels[0] - wanted[0]).abs()).mean(dim=2)
    return far.sum() / weight.sum().clamp_min(1.0)


def _power(sound: Tensor, config: SpectrogramConfig) -> Tensor:
    """Power [batch, n_frames, n_bins] by the long window, without DC."""
    n_fft = LONGER * config.n_fft
    sound = F.pad(sound, (0, max(0, n_fft - sound.shape[-1])))
    window = torch.hann_window(n_fft, dtype=sound.dtype, device=sound.device)
    spectrum = torch.stft(
        sound, n_fft, LONGER * config.hop_length, window=window, center=False, return_complex=True
    )
    return spectrum[:, 1:].abs().square().transpose(1, 2)


@lru_cache(maxsize=256)
def _classes_of(
    pitch: float, config: SpectrogramConfig, ratios: tuple[float, ...] | None
) -> tuple[Tensor, Tensor]:
    """Share of each bin in the mean of its band and class, [3, n_bands, bins], and whether any."""
    n_bins = LONGER * config.n_bins
    width = config.bin_width_hz / LONGER
    per_band = min(n_bins, max(1, round(BAND_HZ / width)))
    n_bands = -(-n_bins // per_band)
    hz = (np.arange(n_bands * per_band) + 1) * width
    partials = None if ratios is None else np.array(ratios)
    distance = np.abs(hz - nearest_partial(hz, pitch_to_hz(pitch), partials)[1])
    inside = np.arange(n_bands * per_band) < n_bins
    on, beside = distance <= ON_HZ, (distance > ON_HZ) & (distance <= BESIDE_HZ)
    masks = np.stack([on, beside, distance > BESIDE_HZ]) & inside
    masks = masks.reshape(3, n_bands, per_band).astype(np.float32)
    count = masks.sum(axis=-1, keepdims=True)
    shares = masks / np.maximum(count, 1.0)
    return torch.from_numpy(shares), torch.from_numpy((count[..., 0] > 0).astype(np.float32))


def _classes(
    pitches: np.ndarray, config: SpectrogramConfig, partials: np.ndarray | None
) -> tuple[Tensor, Tensor]:
    ratios = [None] * len(pitches) if partials is None else [tuple(row) for row in partials]
    notes = zip(pitches.tolist(), ratios, strict=True)
    shares, present = zip(*(_classes_of(note[0], config, note[1]) for note in notes), strict=True)
    return torch.stack(shares), torch.stack(present)[:, :, None]
