"""Waveform to log magnitude and phase channel, and back, for all of the paper's forms.

Each function has its inverse: `waveform_to_spectrogram` / `spectrogram_to_waveform`,
`normalise` / `denormalise`. Torch tensors, so that training can run them on any device.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen.errors import ParameterError, ShapeError
from audiogen.representation import mel
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import reference_phase

TINY = 1e-12  # least squared window that the inverse divides by: the very ends of the clip


def waveform_to_spectrogram(
    waveform: Tensor,
    config: SpectrogramConfig,
    *,
    pitch: Tensor | None = None,
    frames: tuple[int, int] | None = None,
) -> Tensor:
    """Analyse clips.

    Parameters
    ----------
    waveform : Tensor [..., n_samples]
        Shorter clips are padded with silence at the end.
    config : SpectrogramConfig
    pitch : Tensor [...], MIDI number
        Needed when ``config.phase`` is ``harmonic``.
    frames : (start, stop), optional
        Only these frames.

    Returns
    -------
    Tensor [..., 2, n_frames, n_bins]
        Log magnitude (mel: log power) and phase channel in units of pi. With instantaneous
        frequency and ``harmonic`` the first frame of the clip holds the phase itself.

    Raises
    ------
    ShapeError
        If a clip is longer than ``config.n_samples``.
    """
    start, stop = frames or (0, config.n_frames)
    before = min(start, 1) if config.phase != "phase" else 0  # frequency needs the frame before
    spectrum = _stft(waveform, config, start - before, stop)
    magnitude, phase = spectrum.abs(), spectrum.angle()
    if config.phase == "harmonic":
        phase = phase - _reference(pitch, config, start - before, stop).to(phase)
    if config.phase != "phase":
        channel = phase_to_frequency(phase)[..., before:, :]
    else:
        channel = phase / math.pi
    magnitude = magnitude[..., before:, :]
    if config.frequency == "linear":
        log_magnitude = torch.log(magnitude + config.magnitude_floor)
    else:
        matrix = mel.matrix(config).to(magnitude)
        log_magnitude = torch.log(magnitude.square() @ matrix + config.magnitude_floor)
        channel = _channel_to_mel(channel, config, matrix)
    return torch.stack((log_magnitude, channel), dim=-3)


def spectrogram_to_waveform(
    spectrogram: Tensor, config: SpectrogramConfig, *, pitch: Tensor | None = None
) -> Tensor:
    """Inverse of `waveform_to_spectrogram`, for whole clips.

    Parameters
    ----------
    spectrogram : Tensor [..., 2, n_frames, n_bins]
    config : SpectrogramConfig
    pitch : Tensor [...], MIDI number
        Needed when ``config.phase`` is ``harmonic``.

    Returns
    -------
    Tensor [..., n_samples]
    """
    wanted = (2, config.n_frames, config.n_bins)
    if spectrogram.shape[-3:] != wanted:
        raise ShapeError(f"spectrogram has shape {tuple(spectrogram.shape)}; wanted [..., {wanted}]")
    log_magnitude, channel = spectrogram.unbind(dim=-3)
    if config.frequency == "linear":
        magnitude = torch.exp(log_magnitude)
    else:
        matrix = mel.matrix(config).to(spectrogram)
        power = torch.exp(log_magnitude) @ mel.inverse_matrix(config).to(spectrogram)
        magnitude = torch.sqrt(power.clamp_min(0.0) + config.magnitude_floor)
        channel = _channel_to_linear(channel, config, matrix)
    if config.phase == "phase":
        phase = channel * math.pi
    else:
        phase = frequency_to_phase(channel)
    if config.phase == "harmonic":
        phase = phase + _reference(pitch, config, 0, config.n_frames).to(phase)
    spectrum = F.pad(torch.polar(magnitude, phase), (1, 0))
    return _istft(spectrum, config)


def normalise(spectrogram: Tensor, config: SpectrogramConfig) -> Tensor:
    """Into the generator's units, clipped to [-1, 1]."""
    scale, offset = _scales(spectrogram, config)
    return (spectrogram * scale + offset).clamp(-1.0, 1.0)


def denormalise(image: Tensor, config: SpectrogramConfig) -> Tensor:
    """Inverse of `normalise`, where it didn't clip."""
    scale, offset = _scales(image, config)
    return (image - offset) / scale


def phase_to_frequency(phase: Tensor) -> Tensor:
    """Phase [..., n_frames, n_bins] in rad to instantaneous frequency in units of pi a frame.

    The first frame keeps the absolute phase over pi.
    """
    return _wrap(torch.cat((phase[..., :1, :], phase.diff(dim=-2)), dim=-2)) / math.pi


def frequency_to_phase(frequency: Tensor) -> Tensor:
    """Inverse of `phase_to_frequency`, up to whole turns; summed in float64 and wrapped."""
    turns = torch.cumsum(frequency.double() / 2.0, dim=-2)
    return (2.0 * math.pi * (turns - torch.round(turns))).to(frequency)


def _wrap(phase: Tensor) -> Tensor:
    return torch.remainder(phase + math.pi, 2.0 * math.pi) - math.pi


def _scales(like: Tensor, config: SpectrogramConfig) -> tuple[Tensor, Tensor]:
    scale = like.new_tensor([config.magnitude_scale, config.frequency_scale])
    offset = like.new_tensor([config.magnitude_offset, 0.0])
    return scale[:, None, None], offset[:, None, None]


def _reference(pitch: Tensor | None, config: SpectrogramConfig, start: int, stop: int) -> Tensor:
    if pitch is None:
        raise ParameterError("pitch is None, but phase='harmonic' needs it; give MIDI numbers")
    pitches = pitch.detach().cpu().numpy().astype(np.float64)
    return torch.from_numpy(reference_phase(pitches, config, np.arange(start, stop)))


def _window(config: SpectrogramConfig, like: Tensor) -> Tensor:
    return torch.hann_window(config.n_fft, periodic=True, dtype=torch.float64).to(like)


def _stft(waveform: Tensor, config: SpectrogramConfig, start: int, stop: int) -> Tensor:
    """Frames start .. stop of the padded clip, without the constant bin."""
    n_samples = waveform.shape[-1]
    if n_samples > config.n_samples:
        raise ShapeError(
            f"waveform has {n_samples} samples; at most {config.n_samples} fit, cut it first"
        )
    # Only the samples that the asked frames cover, with silence where they leave the clip.
    first = start * config.hop_length - config.pad_front
    last = first + (stop - start - 1) * config.hop_length + config.n_fft
    inside = waveform[..., max(first, 0) : max(last, 0)]
    before = min(max(-first, 0), last - first)
    padded = F.pad(inside, (before, last - first - before - inside.shape[-1]))
    framed = padded.unfold(-1, config.n_fft, config.hop_length) * _window(config, waveform)
    return torch.fft.rfft(framed)[..., 1:]


def _istft(spectrum: Tensor, config: SpectrogramConfig) -> Tensor:
    """Weighted overlap-add: window again, add, divide by the added squared windows."""
    window = _window(config, spectrum.real)
    framed = torch.fft.irfft(spectrum, n=config.n_fft) * window
    lead = framed.shape[:-2]
    weight = window.square().expand(1, config.n_frames, -1)
    both = torch.cat((framed.reshape(-1, config.n_frames, config.n_fft), weight))
    size, step = (1, config.span), (1, config.hop_length)
    both = F.fold(both.transpose(1, 2), size, (1, config.n_fft), stride=step)[:, 0, 0]
    waveform = both[:-1] / both[-1].clamp_min(TINY)
    return waveform[:, config.pad_front :][:, : config.n_samples].reshape(*lead, config.n_samples)


def _channel_to_mel(channel: Tensor, config: SpectrogramConfig, matrix: Tensor) -> Tensor:
    if config.frequency == "mel_nearest":
        return channel[..., mel.nearest_bins(config)]
    if config.phase == "phase":
        # Phases are mixed unwrapped and wrapped again.
        phase = _unwrap(channel * math.pi) @ matrix
        return _wrap(phase) / math.pi
    phase = torch.cumsum(channel.double() * math.pi, dim=-2) @ matrix.double()
    return phase_to_frequency(phase).to(channel)


def _channel_to_linear(channel: Tensor, config: SpectrogramConfig, matrix: Tensor) -> Tensor:
    if config.frequency == "mel_nearest":
        return channel[..., mel.nearest_channels(config)]
    inverse = mel.inverse_matrix(config).to(channel).double()
    if config.phase == "phase":
        return (_wrap(_unwrap(channel.double() * math.pi) @ inverse) / math.pi).to(channel)
    phase = torch.cumsum(channel.double() * math.pi, dim=-2) @ inverse
    return phase_to_frequency(phase).to(channel)


def _unwrap(phase: Tensor) -> Tensor:
    steps = _wrap(phase.diff(dim=-2))
    return torch.cumsum(torch.cat((phase[..., :1, :], steps), dim=-2), dim=-2)
