"""Distances between notes as losses and for reports, each with its equation and source.

Spectrograms are in the generator's units unless a docstring says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen.models.gansynth import identity
from audiogen.representation import _torchaudio


def loudness_weight(log_magnitude: Tensor) -> Tensor:
    """Square root of each bin's magnitude over the largest of its frame.

    A frame without a bin above 0 nats (a sine of -54 dBFS at ``n_fft`` 2048) is measured against
    0 nats, so that silence has little weight.

    Parameters
    ----------
    log_magnitude : Tensor [..., n_frames, n_bins], nats
        Log magnitude, not in the generator's units.

    Returns
    -------
    Tensor, as ``log_magnitude``
    """
    loudest = log_magnitude.amax(dim=-1, keepdim=True).clamp_min(0.0)
    return torch.exp(0.5 * (log_magnitude - loudest))


def energy_distance(to_first: Tensor, to_second: Tensor, apart: Tensor) -> Tensor:
    """(d(x, y) + d(x', y) - d(x, x')) / 2 of a real note y and two generated ones, x and x'.

    A distance alone is least for the median of all real notes, which is too smooth; less the
    distance between two generated notes it is least for notes that vary as real ones do (Szekely
    and Rizzo, "Energy statistics", 2013; Gritsenko et al., "A spectral energy distance for parallel
    speech synthesis", NeurIPS 2020).

    Parameters
    ----------
    to_first, to_second : Tensor []
        Mean distances of the generated notes to the real one.
    apart : Tensor []
        Mean distance between the generated notes.

    Returns
    -------
    Tensor []
    """
    return 0.5 * (to_first + to_second - apart)


SILENCE = 1e-7  # power over that of a note's loudest mel band

# Weight of distances of changes over time, beside distances of levels. At 1 an `energy_distance`
# rewards flicker in the level of a steady note, which the network can't predict.
CHANGE_WEIGHT = 3.0
DRIFT_FRAMES = (8, 16)  # 0.26 and 0.51 s at 32 ms a frame


def magnitude_distance(generated: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of log magnitudes, and of their changes over time.

    Differences of single bins and of means over 4 x 4 bins; and, times `CHANGE_WEIGHT`, those of
    their changes from frame to frame and over 16 frames. Most bins of a note are noise or silence.
    Lasting, slowly changing and flickering levels differ in these five terms, so that an
    `energy_distance` separates them.

    Parameters
    ----------
    generated, real : Tensor [..., n_frames, n_bins]
        Log magnitudes.

    Returns
    -------
    Tensor []
    """
    return _distance_and_change(generated - real)


def _distance_and_change(difference: Tensor) -> Tensor:
    means = F.avg_pool2d(difference, 4)
    changes = [change(difference, 1), change(means, 1), change(means, 4)]
    far = torch.stack([part.abs().mean() for part in (difference, means)]).sum()
    for part in changes:
        if part.numel():
            far = far + CHANGE_WEIGHT * part.abs().mean()
    return 0.5 * far


def resynthesis_distance(generated: Tensor, real: Tensor) -> Tensor:
    """`magnitude_distance` of mel levels of resynthesised audio, and of their mean changes.

    How much a band changes on average over the frames is predictable where a single change isn't,
    so this term makes partials as steady as they should be early in a training. (McDermott and
    Simoncelli, "Sound Texture Perception via Statistics of the Auditory Periphery", Neuron 71(5),
    2011: sounds with equal statistics of this kind sound alike.)

    Parameters
    ----------
    generated, real : Tensor [batch, n_frames, n_bands]
        Levels of mel bands.

    Returns
    -------
    Tensor []
    """
    far = magnitude_distance(generated, real)
    for n_frames in (1, 4):
        changes = [change(x, n_frames).abs().mean(dim=-2) for x in (generated, real)]
        far = far + CHANGE_WEIGHT * (changes[0] - changes[1]).abs().mean()
    return far


def levels_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over frames of the root mean square difference of levels.

    Other than a mean over single bands it compares the spectrum of a frame as a whole, so that an
    `energy_distance` of it tells apart distributions that have the same levels in each band.

    Parameters
    ----------
    a, b : Tensor [..., n_frames, n_bands]
        Levels.

    Returns
    -------
    Tensor []
    """
    return ((a - b).square().mean(dim=-1) + 1e-6).sqrt().mean()


def note_levels(power: Tensor, loudest: Tensor) -> Tensor:
    """Levels of frames, and of all of them together.

    Mel bands and bins have equal weight in the other distances, so that many weak ones outweigh the
    few that a note's level depends on.

    Parameters
    ----------
    power : Tensor [..., n_frames]
        Power of each frame.
    loudest : Tensor [..., 1]
        Power against which silence is measured, `SILENCE` of it.

    Returns
    -------
    Tensor [..., 2 * n_frames], nats
        The level of each frame, then that of the mean power, repeated once per frame.
    """
    whole = power.mean(dim=-1, keepdim=True).expand_as(power)
    return 0.5 * torch.log(torch.cat([power, whole], dim=-1) + SILENCE * loudest)


def drift_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of slow changes of levels, over 8 and 16 frames.

    The mean absolute difference of levels can't correct a drift that is smaller than a level's
    constant error, which sets its sign. Changes don't contain the constant error.

    Parameters
    ----------
    a, b : Tensor [batch, 1 + n_bands, n_frames]
        Levels of the whole spectrum and of bands.

    Returns
    -------
    Tensor []
        The whole spectrum's difference and the mean of the bands'; 0 for 8 frames or fewer.
    """
    far = a.new_zeros(())
    for lag in DRIFT_FRAMES:
        apart = change((a - b).transpose(1, 2), lag).transpose(1, 2)
        if apart.numel():
            far = far + whole_and_bands(apart) / len(DRIFT_FRAMES)
    return far


def whole_and_bands(difference: Tensor) -> Tensor:
    """Mean absolute difference of the whole spectrum's levels, plus that of the bands'.

    Parameters
    ----------
    difference : Tensor [batch, 1 + n_bands, n]
        Differences of levels of the whole spectrum and of bands.

    Returns
    -------
    Tensor []
    """
    apart = difference.abs()
    return apart[:, 0].mean() + apart[:, 1:].mean()


def change(x: Tensor, n_frames: int) -> Tensor:
    """Difference of each frame of x [..., n_frames, n_bins] and an earlier one."""
    return x[..., n_frames:, :] - x[..., :-n_frames, :]


def loud_distance(
    generated: Tensor,
    real: Tensor,
    weight: Tensor,
    joint: Callable[[Tensor], Tensor] = identity,
    share: Tensor | float = 1.0,
) -> Tensor:
    """`magnitude_distance` weighted by loudness, which is mostly about partials.

    Parameters
    ----------
    generated, real : Tensor [batch, n_frames, n_bins]
        Log magnitudes.
    weight : Tensor [batch, n_frames, n_bins]
        `loudness_weight` of the real note.
    joint : callable
        Mean over the processes that share the batch.
    share : Tensor [batch, 1, 1] or float
        Factor of each note's distance.

    Returns
    -------
    Tensor []
    """
    return _distance_and_change(share * weight * (generated - real)) / joint(weight.mean())


def peak_distance(
    generated: Tensor, real: Tensor, weight: Tensor, share: Tensor | float = 1.0
) -> Tensor:
    """Mean over frames of the distance of log magnitudes at each frame's strongest bins.

    Bins are weighted by linear magnitude, the square of ``weight``. All frames have equal weight,
    except that silent ones have less. In `loud_distance`, the many weak bins of a sound with one
    strong partial, such as a marimba or a kick, outweigh that partial.

    Parameters
    ----------
    generated, real : Tensor [batch, n_frames, n_bins]
        Log magnitudes.
    weight : Tensor [batch, n_frames, n_bins]
        `loudness_weight` of the real note.
    share : Tensor [batch, 1, 1] or float
        Factor of each note's distance.

    Returns
    -------
    Tensor []
    """
    peaks = weight.square()
    far = (share * peaks * (generated - real).abs()).sum(dim=-1)
    return (far / peaks.sum(dim=-1).clamp_min(1.0)).mean()


def frequency_distance(
    generated: Tensor,
    real: Tensor,
    weight: Tensor,
    joint: Callable[[Tensor], Tensor] = identity,
    share: Tensor | float = 1.0,
) -> Tensor:
    """Mean of |exp(i pi generated) - exp(i pi real)|, weighted by linear magnitude.

    The chord between two phase advances, and `CHANGE_WEIGHT` times that between their changes over
    1 and 4 frames. (By the chord's square, 2 - 2 cos, an `energy_distance` would only see means.)
    The linear magnitude is the square of ``weight``: with a smaller power the many bins between the
    partials, whose phases are noise, would outweigh the few of the partials.

    Parameters
    ----------
    generated, real : Tensor [batch, n_frames, n_bins]
        Instantaneous frequencies in units of pi per frame.
    weight : Tensor [batch, n_frames, n_bins]
        `loudness_weight` of the real note.
    joint : callable
        Mean over the processes that share the batch.
    share : Tensor [batch, 1, 1] or float
        Factor of each note's distance.

    Returns
    -------
    Tensor []
    """
    difference, magnitude = math.pi * (generated - real), weight.square()
    far = (share * magnitude * _chord(difference)).sum()
    for n_frames in (1, 4):
        both = torch.minimum(magnitude[..., n_frames:, :], magnitude[..., :-n_frames, :])
        far = far + CHANGE_WEIGHT * (share * both * _chord(change(difference, n_frames))).sum()
    return far / joint(magnitude.sum())


def _chord(angle: Tensor) -> Tensor:
    return 2.0 * torch.sin(0.5 * angle).abs()


def log_mel_distance(a: Tensor, b: Tensor, sample_rate: int) -> Tensor:
    """Mean absolute difference of the log-mel spectrograms of two sets of sounds.

    It ignores phase and weighs frequencies by 64 mel bands; for reports.

    Parameters
    ----------
    a, b : Tensor [..., n_samples]
        Sounds; full scale is 1.
    sample_rate : int, Hz
        Sample rate of both.

    Returns
    -------
    Tensor [], dB
        Bands below about -88 dB of a full-scale sine count as equal.

    Raises
    ------
    MissingPackageError
        If torchaudio isn't installed.

    Examples
    --------
    >>> x = torch.sin(torch.arange(16000) * 0.1)
    >>> round(float(log_mel_distance(x, 0.99 * x, 16000)), 2) < 0.1
    True
    """
    return (log_mel(a, sample_rate) - log_mel(b, sample_rate)).abs().mean()


def matched_log_mel_distance(a: Tensor, b: Tensor, sample_rate: int) -> Tensor:
    """`log_mel_distance` of two sounds at the gain of ``a`` that makes it smallest.

    Parameters
    ----------
    a, b : Tensor [n_samples]
        Sounds of similar level: gains up to 15 dB are tried, in steps of 0.25 dB.
    sample_rate : int, Hz
        Sample rate of both.

    Returns
    -------
    Tensor [], dB

    Examples
    --------
    >>> x = torch.sin(torch.arange(16000) * 0.1)
    >>> float(log_mel_distance(x, 0.5 * x, 16000)) > 1.0
    True
    >>> float(matched_log_mel_distance(x, 0.5 * x, 16000)) < 0.1
    True
    """
    power, log_b = mel_power(a, sample_rate), _decibels(mel_power(b, sample_rate))
    gains = 10.0 ** (torch.arange(-15.0, 15.25, 0.25, device=a.device) / 10.0)
    log_a = _decibels(gains[:, None, None] * power)
    return (log_a - log_b).abs().mean(dim=(1, 2)).min()


def energy_distance_of_sets(a: Tensor, b: Tensor, sample_rate: int) -> float:
    """2 E|A - B| - E|A - A'| - E|B - B'| of two sets of sounds, by their log-mel spectrograms.

    0 for two sets of the same distribution, however much each varies; it grows with sounds that are
    unlike and with too little variety. The estimate is unbiased and may be a little below 0.
    Szekely and Rizzo, "Energy statistics", J. Statistical Planning and Inference 143 (2013).

    Parameters
    ----------
    a, b : Tensor [n, n_samples]
        The two sets, with two sounds or more each; a single sound has distance 0 from its set.
    sample_rate : int, Hz
        Sample rate of both.

    Returns
    -------
    float, dB
    """
    levels_a, levels_b = (log_mel(sounds, sample_rate).flatten(1) for sounds in (a, b))

    def mean_distance(x: Tensor, y: Tensor) -> float:
        total = float(torch.cdist(x, y, p=1.0).sum()) / x.shape[1]
        pairs = len(x) * (len(y) - 1) if x is y else len(x) * len(y)
        return total / max(1, pairs)

    between = mean_distance(levels_a, levels_b)
    return 2.0 * between - mean_distance(levels_a, levels_a) - mean_distance(levels_b, levels_b)


def log_mel(sound: Tensor, sample_rate: int) -> Tensor:
    """Log-mel spectrogram [..., 64, n_frames] in dB of sounds [..., n_samples]."""
    return _decibels(mel_power(sound, sample_rate))


def mel_power(sound: Tensor, sample_rate: int) -> Tensor:
    """Power mel spectrogram [..., 64, n_frames] of sounds, with windows of 1024 samples."""
    mel = _torchaudio.find().transforms.MelSpectrogram(
        sample_rate, n_fft=1024, hop_length=256, n_mels=64, pad_mode="constant"
    )
    return mel.to(sound.device)(sound)


def _decibels(power: Tensor) -> Tensor:
    # 1e-4 is 88 dB below the power, n_fft^2 / 16, of a full-scale sine.
    return 10.0 * torch.log10(power + 1e-4)


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle between latents [..., n], radians [...]."""
    return torch.arccos(F.cosine_similarity(a, b, dim=-1).clamp(-1.0 + 1e-6, 1.0 - 1e-6))


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation of latents [..., n] (Shoemake, "Animating Rotation", 1985).

    The generator uses only the direction, so lengths are interpolated linearly.
    """
    between = angle(a, b)[..., None]
    part_a, part_b = torch.sin((1.0 - t) * between), torch.sin(t * between)
    length = torch.lerp(a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True), t)
    mixed = F.normalize(a, dim=-1) * part_a + F.normalize(b, dim=-1) * part_b
    return F.normalize(mixed, dim=-1) * length
