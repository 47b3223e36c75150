"""Audio that the engine resynthesises from spectrogram frames, in torch.

The engine rotates the bins of a partial together and overlap-adds frames, which cancels what isn't
consistent from frame to frame: levels that jump and phases that don't follow their frequency.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen import ops
from audiogen.representation import _torchaudio
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import LOBE_REACH, onset_centroids, reference_phase

N_MELS = 64
RANGE_DB = 80.0  # levels further below the loudest band of a note's crop count as equal


def resynthesise(
    spectrogram: Tensor,
    config: SpectrogramConfig,
    pitch: Tensor,
    frames: tuple[int, int],
    partials: np.ndarray | None = None,
) -> Tensor:
    """Resynthesise frames of notes as the engine does.

    Parameters
    ----------
    spectrogram : Tensor [batch, 2, n_frames, n_bins]
        Log magnitude in nats and the ``harmonic`` phase channel in units of pi. The first frame's
        phase channel isn't used: partials begin with the phase of the pitch itself.
    config : SpectrogramConfig
        The representation.
    pitch : Tensor [batch], MIDI number
        Pitch of each note.
    frames : (start, stop)
        Position of the frames in the clip.
    partials : array [batch, n_partials], optional
        Partials of the notes (`audiogen.representation.partials`); harmonic ones by default.

    Returns
    -------
    Tensor [batch, n_samples]
        From the start of the first frame to the end of the last; silent before the note. See
        `whole_frames`.
    """
    log_magnitude, channel = spectrogram.unbind(dim=1)
    phase = locked_phase(log_magnitude, channel, config, pitch, frames, partials)
    spectrum = F.pad(ops.polar_to_rectangular(log_magnitude, phase), (1, 0))
    sound = ops.istft(spectrum, config.n_fft, config.hop_length)
    if frames[0] == 0:
        sound = F.pad(sound[:, config.pad_front :], (config.pad_front, 0))
    return sound


def whole_frames(config: SpectrogramConfig, frames: tuple[int, int]) -> slice:
    """Frames of a crop that overlap with none outside of it; before a note there are none."""
    reach = config.n_fft // config.hop_length - 1
    return slice(reach if frames[0] else 0, frames[1] - frames[0] - reach)


def locked_phase(
    log_magnitude: Tensor,
    channel: Tensor,
    config: SpectrogramConfig,
    pitch: Tensor,
    frames: tuple[int, int],
    partials: np.ndarray | None = None,
) -> Tensor:
    """Phases of frames, with the bins near a spectral peak locked to it.

    Laroche and Dolson, "Improved Phase Vocoder Time-Scale Modification of Audio", 1999, section
    III-C; see ``turn_phase`` and ``lock_phase`` in csrc/engine/frames/frame_voice.cpp.

    Parameters
    ----------
    log_magnitude, channel : Tensor [batch, n_frames, n_bins]
        The two channels of a spectrogram.
    config, pitch, frames, partials
        Arguments of `resynthesise`.

    Returns
    -------
    Tensor [batch, n_frames, n_bins], rad
    """
    numbers = np.arange(*frames)
    reference = reference_phase(pitch.double().cpu().numpy(), config, numbers, partials)
    steps = torch.from_numpy(np.diff(reference, axis=1) % (2.0 * math.pi)).to(channel)
    nearest, distance = nearest_peak(log_magnitude.detach())
    centroids = onset_centroids(config)
    centroid = torch.from_numpy(centroids[np.minimum(numbers, len(centroids) - 1)]).to(channel)
    behind = distance * (2.0 * math.pi / config.n_fft * centroid[:, None])
    near = distance.abs() <= LOBE_REACH
    phase = torch.from_numpy(reference[:, 0] % (2.0 * math.pi)).to(channel)
    phases = []
    for i in range(len(numbers)):
        if i:
            phase = phase + steps[:, i - 1] + math.pi * channel[:, i]
        locked = phase.gather(1, nearest[:, i]) - behind[:, i]
        phase = torch.where(near[:, i], locked, phase)
        phases.append(phase)
    return torch.stack(phases, dim=1)


def nearest_peak(level: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest local maximum of each bin, and the distance above it.

    Parameters
    ----------
    level : Tensor [..., n_bins]
        Levels of frames.

    Returns
    -------
    nearest : Tensor [..., n_bins], int64
        Bin of the maximum. A bin halfway between two belongs to the lower one.
    distance : Tensor [..., n_bins], int64
        Bins from the maximum up to this bin; large in a frame without any.
    """
    n = level.shape[-1]
    bins = torch.arange(n, device=level.device)
    rises = F.pad(level[..., 1:] > level[..., :-1], (1, 0))
    falls = F.pad(level[..., :-1] >= level[..., 1:], (0, 1), value=True)
    far = 2 * n  # further than any bin
    below = torch.where(rises & falls, bins, -far).cummax(dim=-1).values
    above = torch.where(rises & falls, bins, far).flip(-1).cummin(dim=-1).values.flip(-1)
    nearest = torch.where(bins - below <= above - bins, below, above)
    return nearest.clamp(0, n - 1), bins - nearest


def mel(power: Tensor, config: SpectrogramConfig) -> Tensor:
    """Power of mel bands [..., n_mels] of power spectra [..., n_bins] without the constant bin."""
    return power @ _mel_bands(config.n_bins, config.sample_rate).to(power)


@lru_cache
def _mel_bands(n_bins: int, sample_rate: int) -> Tensor:
    """Weights [n_bins, n_mels]."""
    functional = _torchaudio.find().functional
    return functional.melscale_fbanks(n_bins + 1, 0.0, sample_rate / 2, N_MELS, sample_rate)[1:]


def log_mel(power: Tensor, loudest: Tensor) -> Tensor:
    """Levels of mel bands, down to `RANGE_DB` below the loudest.

    Parameters
    ----------
    power : Tensor [batch, n_frames, n_mels]
        Power of the bands.
    loudest : Tensor [batch, 1, 1]
        Power of the loudest band.

    Returns
    -------
    Tensor [batch, n_frames, n_mels], nats
    """
    return 0.5 * torch.log(power + 10.0 ** (-RANGE_DB / 10.0) * loudest)
