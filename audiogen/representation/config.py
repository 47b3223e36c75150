"""The sizes and scales of a spectrogram, in one place that imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from audiogen.errors import ParameterError

FREQUENCY_AXES = ("linear", "mel", "mel_released", "mel_nearest")
PHASE_CHANNELS = ("phase", "instantaneous_frequency", "harmonic")


@dataclass(frozen=True)
class SpectrogramConfig:
    """A two-channel spectrogram: log magnitude and one form of phase.

    The defaults are the paper's "+H" resolution with a linear frequency axis.

    Parameters
    ----------
    sample_rate : int, Hz
    n_samples : int
        Length of the clip.
    n_fft, hop_length : int, samples
    n_frames : int
        Frames of the whole clip. There are ``n_fft // 2`` bins: the constant one is left out.
    frequency : str
        ``linear``; ``mel`` (both channels through the mel matrix); ``mel_released`` (the same with
        the matrix of the released checkpoints); ``mel_nearest`` (mel magnitude; a band has the
        phase of the spectrum summed over its bins, about the middle of the frame, and a bin takes
        that of the nearest band, which keeps the waveform).
    phase : str
        ``phase``; ``instantaneous_frequency``; ``harmonic`` (instantaneous frequency less that of
        a harmonic tone at the note's pitch, see `harmonic.py`).
    padding : str
        ``balanced`` puts ``n_fft - hop_length`` samples of silence before the clip, so that
        ``n_fft // hop_length`` frames cover its first sample, and the rest behind; where less than
        that is left behind, fewer frames cover the last samples. ``front`` puts all of it before
        the clip, as the original does, and loses the last samples.
    magnitude_floor : float
        Added to magnitudes (mel: to powers) before the logarithm.
    magnitude_scale, magnitude_offset, frequency_scale : float
        The generator's units: ``scale * log_magnitude + offset`` and ``scale * frequency``,
        clipped to [-1, 1].
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
                raise ParameterError(
                    f"{name}={value!r} is unknown; use one of {', '.join(allowed)}"
                )
        if self.n_fft & (self.n_fft - 1) or self.n_fft < 8:
            raise ParameterError(f"n_fft={self.n_fft} isn't a power of two of at least 8; use 2048")
        if not 0 < self.hop_length <= self.n_fft // 2 or self.n_fft % self.hop_length:
            raise ParameterError(
                f"hop_length={self.hop_length} doesn't divide n_fft={self.n_fft} into at least two"
                f" parts; use {self.n_fft // 4}"
            )
        least = self.n_samples
        if self.padding == "balanced":
            least += self.n_fft - self.hop_length
        if self.span < least:
            raise ParameterError(
                f"n_frames={self.n_frames} covers {self.span} samples; a clip of {self.n_samples}"
                f" needs {least}; use n_frames={-(-(least - self.n_fft) // self.hop_length) + 1}"
            )
        if self.phase == "harmonic" and self.frequency != "linear":
            raise ParameterError(
                f"phase='harmonic' needs frequency='linear', got {self.frequency!r}"
            )

    @property
    def n_bins(self) -> int:
        """Bins of a frame, without the constant one."""
        return self.n_fft // 2

    @property
    def span(self) -> int:
        """Samples from the first frame's start to the last frame's end."""
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
