"""The sizes and scales of a spectrogram. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from audiogen.errors import ParameterError

FREQUENCY_AXES = ("linear", "mel", "mel_released", "mel_nearest")
PHASE_CHANNELS = ("phase", "instantaneous_frequency", "harmonic")


@dataclass(frozen=True)
class SpectrogramConfig:
    """Sizes and scales of a two-channel spectrogram: log magnitude and one form of phase.

    The defaults are the paper's "+H" resolution with a linear frequency axis.

    Parameters
    ----------
    sample_rate : int, Hz
        Sample rate of the clip.
    n_samples : int
        Length of the clip.
    n_fft : int, samples
        Length of a frame; a power of two. There are ``n_fft // 2`` bins: DC is left out.
    hop_length : int, samples
        Distance of two frames; divides ``n_fft`` into at least two parts.
    n_frames : int
        Number of frames of the whole clip.
    frequency : str
        Frequency axis. ``linear``: the bins of the transform. ``mel``: both channels multiplied by
        the mel matrix. ``mel_released``: the same with the matrix of the released checkpoints.
        ``mel_nearest``: mel magnitude; a band's phase is that of the sum of its bins about the
        middle of the frame, and a bin takes the phase of its nearest band, which preserves the
        waveform.
    phase : str
        Second channel. ``phase``: the phase. ``instantaneous_frequency``: its derivative.
        ``harmonic``: the derivative of its difference from a harmonic tone at the note's pitch (see
        `audiogen.representation.harmonic`).
    padding : str
        ``balanced``: ``n_fft - hop_length`` samples of silence before the clip, so that
        ``n_fft // hop_length`` frames cover its first sample, and the rest after it. If the rest is
        shorter, fewer frames cover the last samples. ``front``: all silence before the clip, as in
        the original, which loses the last samples.
    magnitude_floor : float
        Constant added to magnitudes (mel: to powers) before the logarithm.
    magnitude_scale : float
        Scale of the first channel in the generator's units:
        ``magnitude_scale * log_magnitude + magnitude_offset``, clipped to [-1, 1].
    magnitude_offset : float
        Offset of the first channel in the generator's units.
    frequency_scale : float
        Scale of the second channel in the generator's units, clipped to [-1, 1].

    Raises
    ------
    ParameterError
        If a field is out of its range, or two fields do not go together.
    """

    sample_rate: int = 16000
    n_samples: int = 64000
    n_fft: int = 2048
    hop_length: int = 512
    n_frames: int = 128
    frequency: str = "linear"
    phase: str = "instantaneous_frequency"
    padding: str = "balanced"
    magnitude_floor: float = 1e-6
    magnitude_scale: float = 0.0661371661726
    magnitude_offset: float = 0.113718730221
    frequency_scale: float = 0.8

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("frequency", self.frequency, FREQUENCY_AXES),
            ("phase", self.phase, PHASE_CHANNELS),
            ("padding", self.padding, ("balanced", "front")),
        ):
            if value not in allowed:
                choices = ", ".join(map(repr, allowed))
                raise ParameterError(f"{name}={value!r} must be one of {choices}")
        if self.n_fft & (self.n_fft - 1) or self.n_fft < 16:
            raise ParameterError(f"n_fft={self.n_fft} must be a power of two, 16 or more; use 2048")
        if not 0 < self.hop_length <= self.n_fft // 2 or self.n_fft % self.hop_length:
            raise ParameterError(
                f"hop_length={self.hop_length} must divide n_fft={self.n_fft} into at least two"
                f" parts; use {self.n_fft // 4}"
            )
        least = self.n_samples
        if self.padding == "balanced":
            least += self.n_fft - self.hop_length
        if self.span < least:
            raise ParameterError(
                f"n_frames={self.n_frames} covers {self.span} samples; n_samples={self.n_samples}"
                f" needs {least}; use n_frames={-(-(least - self.n_fft) // self.hop_length) + 1}"
            )
        if self.phase == "harmonic" and self.frequency != "linear":
            raise ParameterError(
                f"frequency={self.frequency!r} is not supported by phase='harmonic'; use 'linear'"
            )

    @property
    def n_bins(self) -> int:
        """Number of bins, without DC."""
        return self.n_fft // 2

    @property
    def span(self) -> int:
        """Samples from the start of the first frame to the end of the last one."""
        return self.hop_length * (self.n_frames - 1) + self.n_fft

    @property
    def pad_front(self) -> int:
        """Samples of silence before the clip."""
        if self.padding == "front":
            return self.span - self.n_samples
        return self.n_fft - self.hop_length

    @property
    def bin_width_hz(self) -> float:
        return self.sample_rate / self.n_fft


PAPER_BASE = SpectrogramConfig(n_fft=1024, hop_length=256, n_frames=256)
PAPER_HIGH = SpectrogramConfig()
