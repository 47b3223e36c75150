"""What a note's frames become once they are played, so that a training hears what its users will.

The engine turns the bins of a partial together and adds overlapping frames up, which takes from
what the frames held: levels that change from one to the next and phases that don't follow cancel.
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
RANGE_DB = 80.0  # below the loudest band of a note's crop nothing is heard


def played(
    spectrogram: Tensor, config: SpectrogramConfig, pitch: Tensor, frames: tuple[int, int]
) -> Tensor:
    """The sound that the engine makes of frames of a note.

    Parameters
    ----------
    spectrogram : Tensor [batch, 2, n_frames, n_bins]
        Log magnitude in nats and the ``harmonic`` phase channel in units of pi, of which the first
        frame's isn't used: partials begin as the pitch's own would be there.
    config : SpectrogramConfig
    pitch : Tensor [batch], MIDI number
    frames : (start, stop)
        Where they lie in the clip.

    Returns
    -------
    Tensor [batch, n_samples]
        From the first frame's beginning to the last one's end; what lies before the note is
        silent. See `whole_frames`.
    """
    log_magnitude, channel = spectrogram.unbind(dim=1)
    phase = locked_phase(log_magnitude, channel, config, pitch, frames)
    spectrum = F.pad(ops.polar_to_rectangular(log_magnitude, phase), (1, 0))
    sound = ops.istft(spectrum, config.n_fft, config.hop_length)
    if frames[0] == 0:
        sound = F.pad(sound[:, config.pad_front :], (config.pad_front, 0))
    return sound


def whole_frames(config: SpectrogramConfig, frames: tuple[int, int]) -> slice:
    """Those of a crop that no frame beyond it is missing from; none is missing before a note."""
    reach = config.n_fft // config.hop_length - 1
    return slice(reach if frames[0] else 0, frames[1] - frames[0] - reach)


def locked_phase(
    log_magnitude: Tensor,
    channel: Tensor,
    config: SpectrogramConfig,
    pitch: Tensor,
    frames: tuple[int, int],
) -> Tensor:
    """Phases that turn from frame to frame, those near a peak with it, as the engine's do.

    Laroche and Dolson, "Improved Phase Vocoder Time-Scale Modification of Audio", 1999, section
    III-C; see ``turn_phase`` and ``lock_phase`` in csrc/engine/frame_voice.cpp.

    Parameters
    ----------
    log_magnitude, channel : Tensor [batch, n_frames, n_bins]
    config, pitch, frames
        As `played`.

    Returns
    -------
    Tensor [batch, n_frames, n_bins], rad
    """
    numbers = np.arange(*frames)
    reference = reference_phase(pitch.double().numpy(), config, numbers)
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
    """For each bin of frames [..., n_bins] the nearest local maximum, and how far above it it is.

    A bin halfway between two belongs to the lower one; a frame without any is far from all.
    """
    n = level.shape[-1]
    bins = torch.arange(n)
    rises = F.pad(level[..., 1:] > level[..., :-1], (1, 0))
    falls = F.pad(level[..., :-1] >= level[..., 1:], (0, 1), value=True)
    far = 2 * n  # further than any bin
    below = torch.where(rises & falls, bins, -far).cummax(dim=-1).values
    above = torch.where(rises & falls, bins, far).flip(-1).cummin(dim=-1).values.flip(-1)
    nearest = torch.where(bins - below <= above - bins, below, above)
    return nearest.clamp(0, n - 1), bins - nearest


def mel(power: Tensor, config: SpectrogramConfig) -> Tensor:
    """Power in each mel band [..., n_mels] of spectra [..., n_bins] without the constant bin."""
    return power @ _mel_bands(config.n_bins, config.sample_rate).to(power)


@lru_cache
def _mel_bands(n_bins: int, sample_rate: int) -> Tensor:
    """Weights [n_bins, n_mels]."""
    functional = _torchaudio.find().functional
    return functional.melscale_fbanks(n_bins + 1, 0.0, sample_rate / 2, N_MELS, sample_rate)[1:]


def log_mel(power: Tensor, loudest: Tensor) -> Tensor:
    """Levels of mel bands [batch, n_frames, n_mels] in nats, down to `RANGE_DB` below ``loudest``.

    ``loudest`` [batch, 1, 1] is a band's power, too.
    """
    return 0.5 * torch.log(power + 10.0 ** (-RANGE_DB / 10.0) * loudest)
