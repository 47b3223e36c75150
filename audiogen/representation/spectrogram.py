"""Waveform to log magnitude and phase channel, and back, in all of the paper's forms.

Functions come in inverse pairs: `waveform_to_spectrogram` and `spectrogram_to_waveform`,
`normalise` and `denormalise`. They take torch tensors on any device, run on `audiogen.ops`, and
are differentiable.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen import ops
from audiogen.errors import ParameterError, ShapeError
from audiogen.representation import mel
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import reference_turns


def waveform_to_spectrogram(
    waveform: Tensor,
    config: SpectrogramConfig,
    *,
    pitch: Tensor | None = None,
    frames: tuple[int, int] | None = None,
    partials: np.ndarray | None = None,
) -> Tensor:
    """Analyse clips.

    Parameters
    ----------
    waveform : Tensor [..., n_samples]
        Clips; shorter ones are padded with silence at the end.
    config : SpectrogramConfig
        Sizes and form of the spectrogram.
    pitch : Tensor [...], MIDI number
        Pitch of each clip; needed when ``config.phase`` is ``harmonic``.
    frames : (start, stop), optional
        Range of frames to compute; all frames by default.
    partials : array [..., n_partials], optional
        Partials of the clips when ``config.phase`` is ``harmonic``
        (`audiogen.representation.partials`); harmonic ones by default.

    Returns
    -------
    Tensor [..., 2, n_frames, n_bins]
        Log magnitude (mel: log power) and phase channel in units of pi. For instantaneous
        frequency and ``harmonic``, the first frame of the clip holds the phase itself.

    Raises
    ------
    ShapeError
        If a clip is longer than ``config.n_samples``.
    ParameterError
        If ``pitch`` is missing.
    """
    start, stop = frames or (0, config.n_frames)
    first = start
    if config.phase != "phase":
        first = max(start - 1, 0)  # frequency needs the frame before
    elif config.frequency in ("mel", "mel_released"):
        first = 0  # phases are unwrapped from the start of the clip
    spectrum = _stft(waveform, config, first, stop)
    magnitude, phase = spectrum.abs(), spectrum.angle()
    if config.phase == "harmonic":
        phase = phase - _reference(pitch, config, (first, stop), partials).to(phase)
    if config.frequency == "linear":
        log_magnitude = torch.log(magnitude + config.magnitude_floor)
    else:
        matrix = mel.matrix(config).to(magnitude)
        log_magnitude = torch.log(magnitude.square() @ matrix + config.magnitude_floor)
        if config.frequency == "mel_nearest":
            phase = ((spectrum * _mid_frame(config, magnitude)) @ matrix.to(spectrum)).angle()
        else:
            phase = ops.unwrap(phase) @ matrix
    if config.phase == "phase":
        channel = ops.wrap(phase) / math.pi
    else:
        channel = ops.instantaneous_frequency(phase)
    return torch.stack((log_magnitude, channel), dim=-3)[..., start - first :, :]


def spectrogram_to_waveform(
    spectrogram: Tensor,
    config: SpectrogramConfig,
    *,
    pitch: Tensor | None = None,
    partials: np.ndarray | None = None,
) -> Tensor:
    """Synthesise whole clips; the inverse of `waveform_to_spectrogram`.

    Parameters
    ----------
    spectrogram : Tensor [..., 2, n_frames, n_bins]
        Log magnitude (mel: log power) and phase channel in units of pi.
    config : SpectrogramConfig
        Sizes and form of the spectrogram.
    pitch : Tensor [...], MIDI number
        Pitch of each clip; needed when ``config.phase`` is ``harmonic``.
    partials : array [..., n_partials], optional
        Partials of the clips, as of `waveform_to_spectrogram`.

    Returns
    -------
    Tensor [..., n_samples]
        Clips without the padding.

    Raises
    ------
    ShapeError
        If ``spectrogram`` has another shape.
    ParameterError
        If ``pitch`` is missing.
    """
    wanted = (2, config.n_frames, config.n_bins)
    if spectrogram.shape[-3:] != wanted:
        raise ShapeError(
            f"spectrogram has shape {tuple(spectrogram.shape)}; it must be [..., {wanted}]"
        )
    log_magnitude, channel = spectrogram.unbind(dim=-3)
    if config.frequency != "linear":
        power = torch.exp(log_magnitude) @ mel.inverse_matrix(config).to(spectrogram)
        log_magnitude = 0.5 * torch.log(power.clamp_min(0.0) + config.magnitude_floor)
    if config.frequency in ("mel", "mel_released"):
        # Bands are mixed by weights that are not whole numbers, so phases must not be wrapped
        # before. A generator's frequencies may exceed 1 and are summed as they are.
        phase = math.pi * channel
        phase = ops.unwrap(phase) if config.phase == "phase" else torch.cumsum(phase, dim=-2)
        phase = phase @ mel.inverse_matrix(config).to(phase)
    else:
        if config.frequency == "mel_nearest":
            channel = channel[..., mel.nearest_bands(config)]
        phase = math.pi * channel if config.phase == "phase" else ops.integrate(channel)
    if config.phase == "harmonic":
        phase = phase + _reference(pitch, config, (0, config.n_frames), partials).to(phase)
    spectrum = ops.polar_to_rectangular(log_magnitude, phase)
    if config.frequency == "mel_nearest":
        spectrum = spectrum * _mid_frame(config, log_magnitude)
    padded = ops.istft(F.pad(spectrum, (1, 0)), config.n_fft, config.hop_length)
    return padded[..., config.pad_front : config.pad_front + config.n_samples]


def normalise(spectrogram: Tensor, config: SpectrogramConfig) -> Tensor:
    """Scale a spectrogram to the generator's units and clip it to [-1, 1]."""
    scale, offset = _scales(spectrogram, config)
    return (spectrogram * scale + offset).clamp(-1.0, 1.0)


def denormalise(image: Tensor, config: SpectrogramConfig) -> Tensor:
    """Invert `normalise`, except for its clipping."""
    scale, offset = _scales(image, config)
    return (image - offset) / scale


def spectra(waveform: Tensor, config: SpectrogramConfig) -> Tensor:
    """Spectra of a waveform's frames, the first of which begins at its first sample.

    Parameters
    ----------
    waveform : Tensor [..., n_samples]
        At least ``config.n_fft`` samples.
    config : SpectrogramConfig
        Frame and hop length.

    Returns
    -------
    Tensor [..., n_frames, n_bins], complex
        Spectra under a periodic Hann window, without the DC bin.
    """
    window = torch.hann_window(config.n_fft, periodic=True, dtype=torch.float64).to(waveform)
    framed = waveform.unfold(-1, config.n_fft, config.hop_length) * window
    return torch.fft.rfft(framed)[..., 1:]


def _scales(like: Tensor, config: SpectrogramConfig) -> tuple[Tensor, Tensor]:
    scale = like.new_tensor([config.magnitude_scale, config.frequency_scale])
    offset = like.new_tensor([config.magnitude_offset, 0.0])
    return scale[:, None, None], offset[:, None, None]


def _reference(
    pitch: Tensor | None,
    config: SpectrogramConfig,
    frames: tuple[int, int],
    partials: np.ndarray | None,
) -> Tensor:
    """Phases of steady partials [..., n_frames, n_bins], wrapped."""
    if pitch is None:
        raise ParameterError("pitch=None is not supported by phase='harmonic'; pass MIDI numbers")
    pitches = pitch.detach().cpu().numpy().astype(np.float64)
    turns = reference_turns(pitches, config, np.arange(*frames), partials)
    turns -= np.rint(turns)  # in float64: after 4 s a phase can be 2e5 rad
    return 2.0 * math.pi * torch.from_numpy(turns)


def _mid_frame(config: SpectrogramConfig, like: Tensor) -> Tensor:
    """Factor of each bin that moves the time origin from the start of a frame to its middle.

    Relative to the middle, all bins of one partial have the same phase. Relative to the start,
    neighbouring bins differ by half a turn and would cancel where bands are wider than bins.
    """
    return 2.0 * (torch.arange(config.n_bins) % 2).to(like) - 1.0


def _stft(waveform: Tensor, config: SpectrogramConfig, start: int, stop: int) -> Tensor:
    """Frames start to stop of the padded clip, without the DC bin."""
    n_samples = waveform.shape[-1]
    if n_samples > config.n_samples:
        raise ShapeError(
            f"waveform has {n_samples} samples; at most {config.n_samples} fit, so cut it first"
        )
    # Only the samples that these frames cover, with silence where they exceed the clip.
    first = start * config.hop_length - config.pad_front
    last = first + (stop - start - 1) * config.hop_length + config.n_fft
    inside = waveform[..., max(first, 0) : max(last, 0)]
    before = min(max(-first, 0), last - first)
    padded = F.pad(inside, (before, last - first - before - inside.shape[-1]))
    return spectra(padded, config)
