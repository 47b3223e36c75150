"""From log magnitude and phase to a complex spectrum, and from spectra to a waveform."""

from __future__ import annotations

from typing import Any

from audiogen.errors import ParameterError, ShapeError
from audiogen.ops._arrays import check_integer
from audiogen.ops._dispatch import argument, run


def polar_to_rectangular(log_magnitude: Any, phase: Any) -> Any:
    """Make a complex spectrum of log magnitude and phase.

    Parameters
    ----------
    log_magnitude : array or tensor [...]
        Natural logarithm of the magnitude.
    phase : array or tensor [...], rad
        Phase, of the same shape. In single precision |phase| <= 65536; NaN beyond.

    Returns
    -------
    array or tensor [...], complex64 (complex128 if both arguments are float64)
        ``exp(log_magnitude + i phase)``. Differentiable in both arguments.

    Raises
    ------
    ShapeError
        If the shapes differ.
    ParameterError
        If an argument is not real, or tensors are on different devices.

    Examples
    --------
    >>> import numpy as np
    >>> polar_to_rectangular(np.log([2.0, 2.0]), np.array([0.0, np.pi / 2])).round(4)
    array([2.+0.j, 0.+2.j])
    """
    log_magnitude, phase = argument("log_magnitude", log_magnitude), argument("phase", phase)
    if log_magnitude.shape != phase.shape:
        raise ShapeError(
            f"log_magnitude has shape {tuple(log_magnitude.shape)} and phase"
            f" {tuple(phase.shape)}; they must be equal"
        )
    return run("polar_to_rectangular", log_magnitude, phase)


def istft(spectrum: Any, n_fft: int, hop_length: int) -> Any:
    """Invert a short-time Fourier transform: inverse transform, Hann window, weighted overlap-add.

    Parameters
    ----------
    spectrum : array or tensor [..., n_frames, n_fft / 2 + 1], complex
        One-sided spectra of frames under a periodic Hann window of ``n_fft`` samples. The imaginary
        parts of the first and last bin are ignored.
    n_fft : int
        Samples of a frame; a power of two, 16 or more.
    hop_length : int
        Samples from one frame's start to the next one's; at most ``n_fft``.

    Returns
    -------
    array or tensor [..., hop_length * (n_frames - 1) + n_fft]
        The signal from the first frame's start to the last frame's end; empty without frames.
        Differentiable.

    Raises
    ------
    ShapeError
        If ``spectrum`` has fewer than two axes or another number of bins.
    ParameterError
        If ``n_fft`` or ``hop_length`` is out of its range.

    Notes
    -----
    Each frame is windowed again, and the sum of the frames is divided by the sum of the squared
    windows, which minimises the squared error of the spectra. The divisor is at least a
    thousandth of its maximum: with a hop of a quarter of ``n_fft``, the first and last
    ``n_fft / 15`` samples fade, and all others are exact.

    References
    ----------
    D. Griffin and J. Lim, "Signal estimation from modified short-time Fourier transform", IEEE
    Trans. ASSP 32(2), 1984, equation 6.

    Examples
    --------
    >>> import numpy as np
    >>> signal = np.sin(0.1 * np.arange(64))
    >>> window = np.sin(np.pi * np.arange(16) / 16) ** 2
    >>> frames = np.stack([signal[i : i + 16] for i in range(0, 49, 4)])
    >>> again = istft(np.fft.rfft(frames * window), n_fft=16, hop_length=4)
    >>> bool(np.allclose(again[2:-2], signal[2:-2]))
    True
    """
    n_fft = check_integer("n_fft", n_fft, 16)
    if n_fft & (n_fft - 1):
        raise ParameterError(f"n_fft={n_fft} must be a power of two, such as 1024 or 2048")
    hop_length = check_integer("hop_length", hop_length, 1, n_fft)
    spectrum = argument("spectrum", spectrum, is_complex=True)
    shape = tuple(spectrum.shape)
    if len(shape) < 2 or shape[-1] != n_fft // 2 + 1:
        raise ShapeError(
            f"spectrum has shape {shape}; with n_fft={n_fft} it must be [..., n_frames, "
            f"{n_fft // 2 + 1}], so a spectrogram without DC needs a first bin of zeros"
        )
    return run("istft", spectrum, n_fft=n_fft, hop_length=hop_length)
