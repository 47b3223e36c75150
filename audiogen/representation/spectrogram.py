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
    first = start
    if config.phase != "phase":
        first = max(start - 1, 0)  # frequency needs the frame before
    elif config.frequency in ("mel", "mel_released"):
        first = 0  # phases are unwrapped from the clip's start
    spectrum = _stft(waveform, config, first, stop)
    magnitude, phase = spectrum.abs(), spectrum.angle()
    if config.phase == "harmonic":
        phase = phase - _reference(pitch, config, first, stop).to(phase)
    if config.frequency == "linear":
        log_magnitude = torch.log(magnitude + config.magnitude_floor)
    else:
        matrix = mel.matrix(config).to(magnitude)
        log_magnitude = torch.log(magnitude.square() @ matrix + config.magnitude_floor)
        if config.frequency == "mel_nearest":
            phase = ((spectrum * _mid_frame(config, magnitude)) @ matrix.to(spectrum)).angle()
        else:
            phase = _unwrap(phase.double()) @ matrix.double()
    channel = _wrap(phase) / math.pi if config.phase == "phase" else phase_to_frequency(phase)
    channel = channel.to(log_magnitude)
    return torch.stack((log_magnitude, channel), dim=-3)[..., start - first :, :]


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
        raise ShapeError(
            f"spectrogram has shape {tuple(spectrogram.shape)}; wanted [..., {wanted}]"
        )
    log_magnitude, channel = spectrogram.unbind(dim=-3)
    if config.frequency == "linear":
        magnitude = torch.exp(log_magnitude)
    else:
        inverse = mel.inverse_matrix(config).to(spectrogram)
        power = torch.exp(log_magnitude) @ inverse
        magnitude = torch.sqrt(power.clamp_min(0.0) + config.magnitude_floor)
    if config.frequency in ("mel", "mel_released"):
        # Mixed before they are wrapped, since the weights aren't whole numbers.
        phase = math.pi * channel.double()
        phase = _unwrap(phase) if config.phase == "phase" else torch.cumsum(phase, dim=-2)
        phase = _wrap(phase @ mel.inverse_matrix(config).to(phase)).to(channel)
    else:
        if config.frequency == "mel_nearest":
            channel = channel[..., mel.nearest_bands(config)]
        phase = math.pi * channel if config.phase == "phase" else frequency_to_phase(channel)
    if config.phase == "harmonic":
        phase = phase + _reference(pitch, config, 0, config.n_frames).to(phase)
    spectrum = torch.polar(magnitude, phase)
    if config.frequency == "mel_nearest":
        spectrum = spectrum * _mid_frame(config, magnitude)
    return _istft(F.pad(spectrum, (1, 0)), config)


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


def spectra(sound: Tensor, config: SpectrogramConfig) -> Tensor:
    """Spectra [..., n_frames, n_bins] of a sound that begins with a frame, complex."""
    framed = sound.unfold(-1, config.n_fft, config.hop_length) * hann_window(config, sound)
    return torch.fft.rfft(framed)[..., 1:]


def overlap_add(framed: Tensor, config: SpectrogramConfig) -> Tensor:
    """Frames [batch, n_frames, n_fft], a hop apart, added up to [batch, n_samples]."""
    size = (1, config.hop_length * (framed.shape[1] - 1) + config.n_fft)
    step = (1, config.hop_length)
    return F.fold(framed.transpose(1, 2), size, (1, config.n_fft), stride=step)[:, 0, 0]


def hann_window(config: SpectrogramConfig, like: Tensor) -> Tensor:
    """The periodic window of a frame [n_fft], rounded from float64."""
    return torch.hann_window(config.n_fft, periodic=True, dtype=torch.float64).to(like)


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
    # Wrapped while it is float64: after 4 s it is up to 2e5 rad.
    return _wrap(torch.from_numpy(reference_phase(pitches, config, np.arange(start, stop))))


def _mid_frame(config: SpectrogramConfig, like: Tensor) -> Tensor:
    """Factor of each bin that moves the origin of time from the frame's start to its middle.

    Seen from there, all bins of one partial have the same phase; seen from the start, neighbours
    are half a turn apart and would cancel where bands are wider than bins.
    """
    return 2.0 * (torch.arange(config.n_bins) % 2).to(like) - 1.0


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
    return spectra(padded, config)


def _istft(spectrum: Tensor, config: SpectrogramConfig) -> Tensor:
    """Weighted overlap-add: window again, add, divide by the added squared windows."""
    window = hann_window(config, spectrum.real)
    framed = torch.fft.irfft(spectrum, n=config.n_fft) * window
    lead = framed.shape[:-2]
    weight = window.square().expand(1, config.n_frames, -1)
    both = torch.cat((framed.reshape(-1, config.n_frames, config.n_fft), weight))
    both = overlap_add(both, config)
    waveform = both[:-1] / both[-1].clamp_min(TINY)
    return waveform[:, config.pad_front :][:, : config.n_samples].reshape(*lead, config.n_samples)


def _unwrap(phase: Tensor) -> Tensor:
    steps = _wrap(phase.diff(dim=-2))
    return torch.cumsum(torch.cat((phase[..., :1, :], steps), dim=-2), dim=-2)
