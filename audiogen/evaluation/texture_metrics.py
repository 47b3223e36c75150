"""Metrics of freely generated sound: silence, cycles and noise in streams, speech, tonality."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from audiogen.core.packages import require_package
from audiogen.errors import ParameterError
from audiogen.evaluation.metrics import SILENCE_DB, level_db

WINDOW_S = 10.0
QUIET_SHARE = 0.95  # share of blocks below -60 dBFS in a silent window
MIN_CYCLE_CORRELATION = 0.98  # reached by a cycle with noise 17 dB below it
MIN_FLUX = 0.01  # below, a window is a steady tone
MIN_NOISE_S = 0.5  # shortest run of flat spectra that counts as noise
# Spectral flatness of noise, and of a stream without noise; white noise has 0.56.
NOISE_FLATNESS, TONAL_FLATNESS = 0.4, 0.2

_BLOCK_S = 0.05  # block of flatness and level
_FRAME_S = 0.128  # frame of flux and peaks; a Hann window resolves harmonics 32 Hz apart
_CYCLE_PART_S = 1.0
_MAX_CYCLE_S = 4.0
_PEAK_DB = 12.0  # above the median of the bins within 250 Hz; in noise one bin in 5000 reaches it
_AUDIBLE_RANGE_DB = 40.0  # below the loudest frame


@dataclass(frozen=True)
class Window:
    """Measurements of a window of a stream.

    Parameters
    ----------
    start_s : float, s
        Time from the beginning of the stream.
    level_db : float, dBFS
        Root mean square without DC.
    flux : float, 0 to 1
        Spectral flux; see `spectral_flux`.
    cycle : float, -1 to 1
        Normalised autocorrelation at the best period, in the second (or the period, if longer)
        where it is lowest.
    noise_s : float, s
        Longest run of flat spectra that are not quieter than the stream.
    faults : tuple of str
        Subset of "silence", "cycle" and "noise".
    """

    start_s: float
    level_db: float
    flux: float
    cycle: float
    noise_s: float
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Life:
    """Result of `alive`.

    Parameters
    ----------
    windows : tuple of Window
        Windows in the order of time.
    """

    windows: tuple[Window, ...]

    @property
    def alive(self) -> bool:
        """True if no window has a fault."""
        return not any(window.faults for window in self.windows)

    @property
    def verdict(self) -> str:
        """One line: "alive", or the faults and the first time of each."""
        first: dict[str, float] = {}
        for window in self.windows:
            for fault in window.faults:
                first.setdefault(fault, window.start_s)
        return ", ".join(f"{fault} from {start_s:g} s" for fault, start_s in first.items()) or (
            "alive"
        )


def alive(samples: np.ndarray, sample_rate: int, *, window_s: float = WINDOW_S) -> Life:
    """Detect whether a long stream has collapsed into silence, a fixed cycle or noise.

    A window is silent if its root mean square, or that of 95 % of its blocks of 50 ms, is below
    -60 dBFS: a click does not count. It is a cycle if all of it repeats with a period of up to 4 s
    and a correlation above 0.98, or if its spectral flux is below 0.01, as that of a steady tone.
    It has noise if for half a second or more the spectrum is as flat as that of white noise at a
    level of at least 6 dB below the stream's median. Noise is not a fault of a stream that is
    noise throughout.

    Parameters
    ----------
    samples : array [n_samples], float
        Full scale is 1.
    sample_rate : int, Hz
        Sample rate of the samples.
    window_s : float, s
        Length of a window. The last one ends with the stream and may overlap the one before.

    Returns
    -------
    Life

    Raises
    ------
    ParameterError
        If the samples are not one-dimensional and finite, or shorter than 2 s.

    Examples
    --------
    >>> time_s = np.arange(12 * 8000) / 8000
    >>> alive(np.where(time_s < 1, np.sin(2000 * time_s), 0), 8000, window_s=4).verdict
    'silence from 4 s'
    """
    samples = _checked(samples)
    if window_s < 2 or len(samples) < 2 * sample_rate:
        raise ParameterError(
            f"{len(samples) / sample_rate:g} s of samples and window_s={window_s} must be 2 s or "
            "more each"
        )
    length = min(round(window_s * sample_rate), len(samples))
    starts = [*range(0, len(samples) - length, length), len(samples) - length]
    parts = [samples[start : start + length] for start in starts]
    block = round(_BLOCK_S * sample_rate)
    flatness = [_flatness(_power(part, block, block, sample_rate)) for part in parts]
    levels = [_block_levels(part, block) for part in parts]
    sounding = np.concatenate(levels)[np.concatenate(levels) > SILENCE_DB]
    loud_db = float(np.median(sounding)) - 6 if len(sounding) else 0.0
    is_noise_stream = min(float(np.median(part)) for part in flatness) > TONAL_FLATNESS
    windows = []
    for start, part, flat, level in zip(starts, parts, flatness, levels, strict=True):
        noise_s = _longest_run((flat > NOISE_FLATNESS) & (level >= loud_db)) * _BLOCK_S
        centred = part - part.mean()
        part_db = level_db(centred)
        quiet = _block_levels(centred, block) < SILENCE_DB
        silent = part_db < SILENCE_DB or float(np.mean(quiet)) >= QUIET_SHARE
        flux, cycle = spectral_flux(part, sample_rate), _cycle(part, sample_rate)
        faults = {
            "silence": silent,
            "cycle": not silent and (cycle > MIN_CYCLE_CORRELATION or flux < MIN_FLUX),
            "noise": not is_noise_stream and noise_s >= MIN_NOISE_S,
        }
        names = tuple(name for name, is_fault in faults.items() if is_fault)
        windows.append(Window(start / sample_rate, part_db, flux, cycle, noise_s, names))
    return Life(tuple(windows))


def spectral_flux(samples: np.ndarray, sample_rate: int) -> float:
    """Return the normalised spectral flux, from 0 (a steady spectrum) to 1.

    The sum of |m_t - m_(t-1)| divided by that of m_t + m_(t-1), over all bins and frames of the
    magnitudes m, with Hann windows of 128 ms that overlap by half. A steady sine has 0.00, white
    noise 0.29, frames without common bins 1, silence 0.

    Parameters
    ----------
    samples : array [n_samples], float
        At least two frames.
    sample_rate : int, Hz
        Sample rate of the samples.

    Raises
    ------
    ParameterError
        If the samples are not one-dimensional and finite, or too few.
    """
    n_fft = round(_FRAME_S * sample_rate)
    samples = _checked(samples, 2 * n_fft)
    magnitude = np.sqrt(_power(samples - samples.mean(), n_fft, n_fft // 2))
    total = float(np.sum(magnitude[1:] + magnitude[:-1]))
    return float(np.sum(np.abs(np.diff(magnitude, axis=0)))) / total if total > 0 else 0.0


@dataclass(frozen=True)
class Tonality:
    """Result of `tonality`.

    Parameters
    ----------
    flatness : float
        Spectral flatness: 0 for a sine, 0.56 for white noise.
    peak_share : float
        Share of the power in peaks: 1 for a sine, about 0 for white noise.
    held_share : float
        Share of the power in steady peaks: 1 for a sine, less for a voice that glides.
    """

    flatness: float
    peak_share: float
    held_share: float


def tonality(samples: np.ndarray, sample_rate: int) -> Tonality:
    """Measure the shares of a sound's power in tones and in steady tones.

    Frames have 128 ms (Hann windows that overlap by half) and range from 50 Hz to 0.8 of half the
    sample rate. `flatness` is the geometric divided by the arithmetic mean of the power, as median
    over the frames within 40 dB of the loudest. `peak_share` is the share of the power in peaks:
    local maxima at least 12 dB above the median of the bins within 250 Hz, with the two bins on
    either side over which the window spreads a sine. `held_share` is the share of the power in
    peaks with another peak within a bin (8 Hz) 128 ms before or after.

    Parameters
    ----------
    samples : array [n_samples], float
        At least two frames.
    sample_rate : int, Hz
        Sample rate of the samples.

    Returns
    -------
    Tonality
        All NaN for silence.

    Raises
    ------
    ParameterError
        If the samples are not one-dimensional and finite, or too few.
    MissingPackageError
        If scipy is not installed.

    References
    ----------
    Johnston, "Transform coding of audio signals using perceptual noise criteria", IEEE JSAC 6,
    1988, for the flatness.
    """
    ndimage = require_package("scipy.ndimage", "train", "measuring tonality")
    n_fft = round(_FRAME_S * sample_rate)
    samples = _checked(samples, 2 * n_fft)
    power = _power(samples, n_fft, n_fft // 2, sample_rate)
    total = power.sum(axis=1)
    if total.max() < 1e-20:
        return Tonality(float("nan"), float("nan"), float("nan"))
    audible = total > total.max() * 10 ** (-_AUDIBLE_RANGE_DB / 10)
    around = ndimage.median_filter(power, size=(1, 2 * round(250 * _FRAME_S) + 1), mode="nearest")
    inside = power[:, 1:-1]
    peaks = np.zeros(power.shape, bool)
    peaks[:, 1:-1] = (inside >= power[:, :-2]) & (inside >= power[:, 2:])
    peaks &= power > 10 ** (_PEAK_DB / 10) * around
    near = ndimage.binary_dilation(peaks, np.ones((1, 3), bool))
    held = np.zeros(power.shape, bool)
    held[2:] |= peaks[2:] & near[:-2]  # two frames later, nothing overlaps
    held[:-2] |= peaks[:-2] & near[2:]

    def share(bins: np.ndarray) -> float:
        spread = ndimage.binary_dilation(bins, np.ones((1, 5), bool))
        return float(np.sum(power[spread]) / total.sum())

    return Tonality(float(np.median(_flatness(power[audible]))), share(peaks), share(held))


def speech_share(samples: np.ndarray, sample_rate: int) -> float:
    """Return the share of the time in which a voice activity detector finds speech.

    The detector is Silero VAD with its default settings (probability 0.5, at least 250 ms of
    speech, pauses from 100 ms). Its input is the sound at 16 kHz with its peak at 0.9.

    Parameters
    ----------
    samples : array [n_samples], float
        Full scale is 1.
    sample_rate : int, Hz
        Sample rate of the samples.

    Returns
    -------
    float, 0 to 1
        Share of speech; 0 if the peak is below -60 dBFS.

    Raises
    ------
    ParameterError
        If the samples are not one-dimensional and finite, or there are none.
    MissingPackageError
        If silero-vad is not installed.

    References
    ----------
    Silero team, "Silero VAD: pre-trained enterprise-grade voice activity detector", 2024.
    """
    detector = _detector()
    samples = _checked(samples)
    peak = float(np.max(np.abs(samples)))
    if peak < 10 ** (SILENCE_DB / 20):
        return 0.0
    import silero_vad
    import soxr
    import torch

    waveform = samples * (0.9 / peak)
    if sample_rate != 16000:
        waveform = soxr.resample(waveform, sample_rate, 16000)
    with torch.no_grad():
        spoken = silero_vad.get_speech_timestamps(
            torch.tensor(waveform, dtype=torch.float32), detector, sampling_rate=16000
        )
    return sum(stretch["end"] - stretch["start"] for stretch in spoken) / len(waveform)


@cache
def _detector() -> Any:
    """Load Silero VAD, and restore torch's number of threads, which its import sets to 1."""
    import warnings

    torch = require_package("torch", "train", "measuring the share of speech")
    n_threads = torch.get_num_threads()
    silero_vad = require_package("silero_vad", "eval", "measuring the share of speech")
    torch.set_num_threads(n_threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its model is TorchScript
        return silero_vad.load_silero_vad()


def _checked(samples: np.ndarray, n_min: int = 1) -> np.ndarray:
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1 or len(samples) < n_min or not np.all(np.isfinite(samples)):
        raise ParameterError(
            f"samples of shape {samples.shape} must be finite, in one dimension, and {n_min} or "
            "more"
        )
    return samples


def _power(
    samples: np.ndarray, n_fft: int, hop_length: int, sample_rate: int | None = None
) -> np.ndarray:
    """Return the power [n_frames, n_bins] with Hann windows.

    With a sample rate, the bins are from 50 Hz to 0.8 of half the rate: DC lies below, and the
    band above may be empty after resampling.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[::hop_length]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(n_fft))))
    if sample_rate is None:
        return power
    frequency_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    return power[:, (frequency_hz >= 50) & (frequency_hz <= 0.4 * sample_rate)]


def _flatness(power: np.ndarray) -> np.ndarray:
    """Return the geometric divided by the arithmetic mean of each row; 0 for silence."""
    mean = power.mean(axis=1)
    floor = 1e-12 * mean[:, None] + 1e-30
    geometric = np.exp(np.mean(np.log(power + floor), axis=1))
    return np.where(mean > 1e-20, geometric / np.maximum(mean, 1e-30), 0.0)


def _block_levels(samples: np.ndarray, block: int) -> np.ndarray:
    """Return the root mean square of each whole block in dBFS."""
    n_blocks = len(samples) // block
    power = np.mean(np.square(samples[: n_blocks * block].reshape(n_blocks, block)), axis=1)
    return 10 * np.log10(np.maximum(power, 1e-20))


def _longest_run(flags: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def _cycle(samples: np.ndarray, sample_rate: int) -> float:
    """Return the correlation with the samples a period later, in the part where it is lowest.

    The period is the lag with the highest normalised autocorrelation beyond the first negative
    one. Shorter lags correlate in any sound with low frequencies.
    """
    x = samples - samples.mean()
    n = len(x)
    longest = min(round(_MAX_CYCLE_S * sample_rate), n // 2)
    n_fft = 1 << (n + longest).bit_length()
    spectrum = np.fft.rfft(x, n_fft)
    products = np.fft.irfft(np.square(np.abs(spectrum)), n_fft)[: longest + 1]
    energy = np.concatenate([[0.0], np.cumsum(np.square(x))])
    lags = np.arange(longest + 1)
    norm = np.sqrt(energy[n - lags] * (energy[n] - energy[lags]))
    correlation = products / np.maximum(norm, 1e-12)
    negative = np.flatnonzero(correlation < 0)
    if energy[n] < 1e-12 * n or not len(negative):
        return 0.0
    lag = int(negative[0] + np.argmax(correlation[negative[0] :]))
    # A part shorter than a period might hold only a pause.
    part = min(max(round(_CYCLE_PART_S * sample_rate), lag), n - lag)
    starts = [*range(0, n - lag - part, part), n - lag - part]
    correlations = []
    for start in starts:
        a, b = x[start : start + part], x[start + lag : start + lag + part]
        norm_ab = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
        # Silence does not count as repetition.
        correlations.append(float(np.sum(a * b)) / norm_ab if norm_ab > 1e-6 * part else 0.0)
    return min(correlations)
