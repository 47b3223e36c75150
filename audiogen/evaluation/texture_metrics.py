"""Numbers for long streams of sound: whether they stay alive, how much is speech, how tonal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from audiogen.errors import MissingPackageError, ParameterError
from audiogen.evaluation.metrics import SILENCE_DB, level_db

WINDOW_S = 10.0
QUIET_SHARE = 0.95  # of a window's blocks
CYCLE = 0.98  # autocorrelation; a cycle under noise 17 dB weaker has it
LEAST_FLUX = 0.01  # less is a tone that stands still
NOISE_S = 0.5  # of flat spectrum in a row
FLAT, NOT_FLAT = 0.4, 0.2  # spectral flatness; white noise has 0.56

_BLOCK_S = 0.05  # for flatness and level over time
_FRAME_S = 0.128  # for flux and peaks; a Hann window resolves harmonics 32 Hz apart
_CYCLE_PART_S = 1.0
_LONGEST_CYCLE_S = 4.0
_PEAK_DB = 12.0  # above the median of the bins within 250 Hz; in noise one bin in 5000 is
_AUDIBLE_DB = 40.0  # below the loudest frame


@dataclass(frozen=True)
class Window:
    """A stretch of a stream.

    Parameters
    ----------
    start_s : float
    level_db : float, dBFS
        Root mean square, the mean taken off.
    flux : float
        Spectral flux, 0 (stands still) to 1; see `spectral_flux`.
    cycle : float
        How well the stretch repeats itself with its best period, in the second (or the period,
        if that is longer) where it does so least: a normalised autocorrelation, -1 to 1.
    noise_s : float, s
        Longest run of flat spectrum that isn't quieter than the stream as a whole.
    faults : tuple of str
        Of "silence", "cycle" and "noise".
    """

    start_s: float
    level_db: float
    flux: float
    cycle: float
    noise_s: float
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Life:
    """What `alive` found.

    Parameters
    ----------
    windows : tuple of Window
    """

    windows: tuple[Window, ...]

    @property
    def alive(self) -> bool:
        """Whether no window has a fault."""
        return not any(window.faults for window in self.windows)

    @property
    def verdict(self) -> str:
        """One line: "alive", or the faults and when each first appears."""
        first: dict[str, float] = {}
        for window in self.windows:
            for fault in window.faults:
                first.setdefault(fault, window.start_s)
        return ", ".join(f"{fault} from {start_s:g} s" for fault, start_s in first.items()) or (
            "alive"
        )


def alive(samples: np.ndarray, sample_rate: int, *, window_s: float = WINDOW_S) -> Life:
    """Find out whether a long stream goes on, or fell into silence, a fixed cycle or noise.

    A window is silent when its root mean square lies below -60 dBFS, or that of 95 of 100 blocks
    of 50 ms does: a click in it is no life. It is in a cycle when there
    is a period of up to 4 s with which all of it repeats itself with a correlation above 0.98, or
    when its spectral flux is below 0.01; so is a tone held all the while. It has
    noise when for half a second or more the spectrum is as flat as that of white noise and the
    level within 6 dB of the stream's median or above it. In streams that are noise all along,
    noise isn't a fault.

    Parameters
    ----------
    samples : ndarray[n_samples], float
        Full scale is 1.
    sample_rate : int, Hz
    window_s : float, s
        The last window ends with the stream and may overlap the one before.

    Returns
    -------
    Life

    Raises
    ------
    ParameterError
        If the samples aren't one-dimensional and finite, or don't fill 2 seconds.

    Examples
    --------
    >>> time_s = np.arange(12 * 8000) / 8000
    >>> alive(np.where(time_s < 1, np.sin(2000 * time_s), 0), 8000, window_s=4).verdict
    'silence from 4 s'
    """
    samples = _checked(samples)
    if window_s < 2 or len(samples) < 2 * sample_rate:
        raise ParameterError(
            f"{len(samples) / sample_rate:g} s of samples and window_s={window_s}: 2 s or more of "
            "each are wanted"
        )
    length = min(round(window_s * sample_rate), len(samples))
    starts = [*range(0, len(samples) - length, length), len(samples) - length]
    parts = [samples[start : start + length] for start in starts]
    block = round(_BLOCK_S * sample_rate)
    flatness = [_flatness(_power(part, block, block, sample_rate)) for part in parts]
    levels = [_block_levels(part, block) for part in parts]
    sounding = np.concatenate(levels)[np.concatenate(levels) > SILENCE_DB]
    loud_db = float(np.median(sounding)) - 6 if len(sounding) else 0.0
    noise_all_along = min(float(np.median(part)) for part in flatness) > NOT_FLAT
    windows = []
    for start, part, flat, level in zip(starts, parts, flatness, levels, strict=True):
        noise_s = _longest_run((flat > FLAT) & (level >= loud_db)) * _BLOCK_S
        centred = part - part.mean()
        part_db = level_db(centred)
        quiet = _block_levels(centred, block) < SILENCE_DB
        silent = part_db < SILENCE_DB or float(np.mean(quiet)) >= QUIET_SHARE
        flux, cycle = spectral_flux(part, sample_rate), _cycle(part, sample_rate)
        faults = {
            "silence": silent,
            "cycle": not silent and (cycle > CYCLE or flux < LEAST_FLUX),
            "noise": not noise_all_along and noise_s >= NOISE_S,
        }
        found = tuple(name for name, fault in faults.items() if fault)
        windows.append(Window(start / sample_rate, part_db, flux, cycle, noise_s, found))
    return Life(tuple(windows))


def spectral_flux(samples: np.ndarray, sample_rate: int) -> float:
    """Return how much the spectrum changes from one frame to the next, from 0 to 1.

    The sum of |m_t - m_(t-1)| over that of m_t + m_(t-1), over all bins and frames of the
    magnitudes m: Hann windows of 128 ms, overlapping by half. A steady sine has 0.00, white noise
    0.29, sounds that share no bins with what went before 1; silence has 0.

    Parameters
    ----------
    samples : ndarray[n_samples], float
        At least two frames.
    sample_rate : int, Hz

    Raises
    ------
    ParameterError
        If the samples aren't one-dimensional and finite, or are too few.
    """
    n_fft = round(_FRAME_S * sample_rate)
    samples = _checked(samples, 2 * n_fft)
    magnitude = np.sqrt(_power(samples - samples.mean(), n_fft, n_fft // 2))
    total = float(np.sum(magnitude[1:] + magnitude[:-1]))
    return float(np.sum(np.abs(np.diff(magnitude, axis=0)))) / total if total > 0 else 0.0


@dataclass(frozen=True)
class Tonality:
    """What `tonality` found.

    Parameters
    ----------
    flatness : float
        0 for a sine, 0.56 for white noise.
    peak_share : float
        1 for a sine, about 0 for white noise.
    held_share : float
        1 for a sine, less for a voice that glides.
    """

    flatness: float
    peak_share: float
    held_share: float


def tonality(samples: np.ndarray, sample_rate: int) -> Tonality:
    """Measure how much of a sound is tones, and how much of it tones that are held.

    Frames of 128 ms (Hann, overlapping by half), from 50 Hz to 0.8 of half the sample rate.
    `flatness` is the geometric over the arithmetic mean of the power, the median over all frames
    within 40 dB of the loudest. `peak_share` is the share of all power that lies in peaks: local
    maxima 12 dB or more above the median of the bins within 250 Hz, with the two bins on either
    side of them that the window spreads a sine over. `held_share` is the share of all power in
    those peaks that stand still: 128 ms before or after, there is one within a bin (8 Hz).

    Parameters
    ----------
    samples : ndarray[n_samples], float
        At least two frames.
    sample_rate : int, Hz

    Returns
    -------
    Tonality
        Both NaN for silence.

    Raises
    ------
    ParameterError
        If the samples aren't one-dimensional and finite, or are too few.

    References
    ----------
    Johnston, "Transform coding of audio signals using perceptual noise criteria", IEEE JSAC 6,
    1988, for the flatness.
    """
    from scipy.ndimage import binary_dilation, median_filter

    n_fft = round(_FRAME_S * sample_rate)
    samples = _checked(samples, 2 * n_fft)
    power = _power(samples, n_fft, n_fft // 2, sample_rate)
    total = power.sum(axis=1)
    if total.max() < 1e-20:
        return Tonality(float("nan"), float("nan"), float("nan"))
    audible = total > total.max() * 10 ** (-_AUDIBLE_DB / 10)
    around = median_filter(power, size=(1, 2 * round(250 * _FRAME_S) + 1), mode="nearest")
    inside = power[:, 1:-1]
    peaks = np.zeros(power.shape, bool)
    peaks[:, 1:-1] = (inside >= power[:, :-2]) & (inside >= power[:, 2:])
    peaks &= power > 10 ** (_PEAK_DB / 10) * around
    near = binary_dilation(peaks, np.ones((1, 3), bool))
    held = np.zeros(power.shape, bool)
    held[2:] |= peaks[2:] & near[:-2]  # two frames on, nothing overlaps
    held[:-2] |= peaks[:-2] & near[2:]

    def share(of: np.ndarray) -> float:
        return float(np.sum(power[binary_dilation(of, np.ones((1, 5), bool))]) / total.sum())

    return Tonality(float(np.median(_flatness(power[audible]))), share(peaks), share(held))


def speech_share(samples: np.ndarray, sample_rate: int) -> float:
    """Return the share of the time that a voice activity detector takes for speech.

    The detector is Silero VAD with its own settings (probability 0.5, at least 250 ms of speech,
    pauses from 100 ms on). It hears the samples at 16 kHz with their peak at 0.9.

    Parameters
    ----------
    samples : ndarray[n_samples], float
        Full scale is 1.
    sample_rate : int, Hz

    Returns
    -------
    float
        0 to 1; 0 if the peak lies below -60 dBFS.

    Raises
    ------
    ParameterError
        If the samples aren't one-dimensional and finite, or there are none.
    MissingPackageError
        If silero-vad isn't installed.

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
    """Load Silero VAD, and leave torch's number of threads as it was: its import sets 1."""
    import warnings

    try:
        import torch

        n_threads = torch.get_num_threads()
        import silero_vad
    except ImportError as error:
        raise MissingPackageError(
            'the share of speech needs silero-vad: pip install "audiogen[eval]"'
        ) from error
    torch.set_num_threads(n_threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript, which its model is
        return silero_vad.load_silero_vad()


def _checked(samples: np.ndarray, n_min: int = 1) -> np.ndarray:
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1 or len(samples) < n_min or not np.all(np.isfinite(samples)):
        raise ParameterError(
            f"samples of shape {samples.shape} must have one dimension, {n_min} or more of them, "
            "all finite"
        )
    return samples


def _power(
    samples: np.ndarray, n_fft: int, hop_length: int, sample_rate: int | None = None
) -> np.ndarray:
    """Return the power [n_frames, n_bins] under Hann windows; with a rate, of the middle bins.

    Those are from 50 Hz to 0.8 of half the rate: below lies DC, above what resampling cuts off.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[::hop_length]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(n_fft))))
    if sample_rate is None:
        return power
    frequency_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    return power[:, (frequency_hz >= 50) & (frequency_hz <= 0.4 * sample_rate)]


def _flatness(power: np.ndarray) -> np.ndarray:
    """Return the geometric over the arithmetic mean of each row; 0 where there is nothing."""
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
    """Return the correlation with the samples a period later, in the part where it is least.

    The period is the one with the highest normalised autocorrelation, of all behind the first
    that correlates negatively: nearer ones only say that the sound has low frequencies.
    """
    x = samples - samples.mean()
    n = len(x)
    longest = min(round(_LONGEST_CYCLE_S * sample_rate), n // 2)
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
    # A shorter part than a period might hear only the rest in it.
    part = min(max(round(_CYCLE_PART_S * sample_rate), lag), n - lag)
    starts = [*range(0, n - lag - part, part), n - lag - part]
    found = []
    for start in starts:
        a, b = x[start : start + part], x[start + lag : start + lag + part]
        norm_ab = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
        # Silence repeats nothing.
        found.append(float(np.sum(a * b)) / norm_ab if norm_ab > 1e-6 * part else 0.0)
    return min(found)
