"""Pitch trackers that share no code with the models: Praat's autocorrelation and pYIN."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from audiogen.core.packages import require_package
from audiogen.errors import ParameterError

Tracker = Literal["praat", "pyin"]

LOWEST_HZ, HIGHEST_HZ = 30.0, 2500.0  # B0 to D#7
_ATTACK_S = 0.1  # no settled pitch during an attack
# Quieter frames, relative to the note's loudest, are ignored. `note_pitch` sees whole notes, whose
# decay is part of the note; `track_pitch` sees takes, whose quiet frames are room noise.
_NOTE_RANGE_DB, _TRACK_RANGE_DB = 40.0, 30.0
_MAX_NOTE_S = 2.0  # longest stretch that decides a note's pitch in a track
_MIN_LAG = 64  # samples; shorter periods are measured over several periods
# Autocorrelation at half the period above which the half is taken for the period: trackers, pYIN
# above all, report high notes an octave too low.
_HALF_PERIOD_CORRELATION = 0.9
_PERIOD_TOLERANCE = 0.03  # relative error of the tracker's period that refinement can correct
# A struck sound has a tone if its strongest frequency and those around it have this share of the
# power.
_LEAST_TONE, _TONE_WIDTH_HZ = 0.2, 25.0


@dataclass(frozen=True)
class PitchTrack:
    """Pitch of each frame of a recording.

    Parameters
    ----------
    hop_length : int, samples
        Frame i is centred on sample ``i * hop_length``.
    pitch : array [n_frames], MIDI numbers
        NaN for unvoiced frames.
    clarity : array [n_frames]
        Normalised autocorrelation at one period: 1 for a tone, about 0 for noise.
    level_db : array [n_frames], dB
        Root mean square of each frame.
    """

    hop_length: int
    pitch: np.ndarray
    clarity: np.ndarray
    level_db: np.ndarray

    def pitch_between(self, start: int, end: int, sample_rate: int) -> tuple[float, float]:
        """Return the pitch of one note of the recording, and the confidence in it.

        Parameters
        ----------
        start, end : int, samples
            First sample, and the sample after the last.
        sample_rate : int, Hz
            Sample rate of the samples.

        Returns
        -------
        pitch : float, MIDI number
            Median over the frames; NaN if all are unvoiced.
        confidence : float, 0 to 1
            Mean clarity of the audible frames, where a frame more than half a semitone from the
            median counts as 0.
        """
        length = end - start
        first = start + min(round(_ATTACK_S * sample_rate), length // 4)
        last = min(end, first + round(_MAX_NOTE_S * sample_rate))
        first_frame = -(-first // self.hop_length)
        frames = slice(first_frame, max(first_frame + 1, last // self.hop_length))
        level = self.level_db[frames]
        if not len(level):
            return float("nan"), 0.0
        audible = level > level.max() - _TRACK_RANGE_DB
        pitch, clarity = self.pitch[frames][audible], self.clarity[frames][audible]
        if np.all(np.isnan(pitch)):
            return float("nan"), 0.0
        median = float(np.nanmedian(pitch))
        agrees = np.abs(pitch - median) < 0.5  # False for NaN
        return median, float(np.mean(np.where(agrees, clarity, 0.0)))


def best_tracker() -> Tracker:
    """Return "praat" if praat-parselmouth, which is faster, is installed, else "pyin"."""
    return "praat" if importlib.util.find_spec("parselmouth") else "pyin"


def track_pitch(waveform: np.ndarray, sample_rate: int, tracker: Tracker) -> PitchTrack:
    """Track the pitch of a monophonic recording.

    The tracker's frequencies are refined by the autocorrelation of the waveform, which also gives
    the clarity: pYIN reports noise as voiced.

    Parameters
    ----------
    waveform : array [n_samples], float
        Recording of one channel.
    sample_rate : int, Hz
        Sample rate of the samples.
    tracker : "praat" or "pyin"
        Pitch tracker.

    Returns
    -------
    PitchTrack

    Raises
    ------
    MissingPackageError
        If the tracker's package is not installed.

    References
    ----------
    See `note_pitch`.
    """
    frame_length = 1 << int(np.ceil(np.log2(0.12 * sample_rate)))
    hop_length = frame_length // 4
    n_frames = 1 + len(waveform) // hop_length
    waveform = np.asarray(waveform, np.float64)
    if tracker == "praat":
        frequency_hz = _praat_frames(waveform, sample_rate, hop_length, n_frames)
    else:  # refinement does better than pYIN's usual 0.1 semitones, which take four times as long
        frequency_hz = _pyin(waveform, sample_rate, frame_length, resolution=0.2)[:n_frames]
        missing = n_frames - len(frequency_hz)
        frequency_hz = np.pad(frequency_hz, (0, missing), constant_values=np.nan)
    pitch, clarity = np.full(n_frames, np.nan), np.zeros(n_frames)
    padded = np.pad(waveform, 2 * frame_length)
    energy = np.concatenate(([0.0], np.cumsum(padded**2)))
    width = frame_length // 2
    starts = hop_length * np.arange(n_frames) + 2 * frame_length - width // 2
    power = (energy[starts + width] - energy[starts]) / width
    for frame in np.flatnonzero(np.isfinite(frequency_hz)):
        centre, period = frame * hop_length + 2 * frame_length, sample_rate / frequency_hz[frame]
        refined = _refine_period(padded, centre, period, width)
        half = _refine_period(padded, centre, 0.5 * period, width, odd=True)
        if half[1] > _HALF_PERIOD_CORRELATION and 0.5 * period > sample_rate / HIGHEST_HZ:
            refined = half
        period, clarity[frame] = refined
        pitch[frame] = 69.0 + 12.0 * np.log2(sample_rate / period / 440.0)
    return PitchTrack(hop_length, pitch, clarity, 10.0 * np.log10(power + 1e-12))


def note_pitch(
    waveform: np.ndarray,
    sample_rate: int,
    *,
    note_on_s: float = 3.0,
    tracker: Tracker = "praat",
) -> float:
    """Return the pitch of one note: the median over the voiced frames of its sustained part.

    The sustained part begins 0.1 s after the note, ends at the release of the key, and excludes
    stretches more than 40 dB below the loudest.

    Parameters
    ----------
    waveform : array [n_samples], float
        Note from its attack on, in one channel.
    sample_rate : int, Hz
        Sample rate of the samples.
    note_on_s : float, s
        Time from the first sample to the release of the key.
    tracker : "praat" or "pyin"
        Praat's autocorrelation method or librosa's probabilistic YIN, both from 30 to 2500 Hz.
        In noise Praat finds no pitch, pYIN a low one.

    Returns
    -------
    float, MIDI number
        With its fraction: 69.5 is half a semitone above A4. NaN if no frame is voiced.

    Raises
    ------
    ParameterError
        If the waveform is not one-dimensional and finite, or the tracker is unknown.
    MissingPackageError
        If the tracker's package is not installed.

    References
    ----------
    Boersma, "Accurate short-term analysis of the fundamental frequency and the
    harmonics-to-noise ratio of a sampled sound", 1993. Mauch and Dixon, "pYIN: a fundamental
    frequency estimator using probabilistic threshold distributions", ICASSP 2014.

    Examples
    --------
    >>> time_s = np.arange(16000) / 16000
    >>> round(note_pitch(np.sin(2 * np.pi * 440 * time_s), 16000, note_on_s=1.0, tracker="pyin"), 1)
    69.0
    """
    waveform = np.asarray(waveform, dtype=np.float64)
    if waveform.ndim != 1 or not np.all(np.isfinite(waveform)):
        raise ParameterError(
            f"waveform of shape {waveform.shape} must have one dimension and finite samples"
        )
    if tracker not in get_args(Tracker):
        raise ParameterError(f"tracker={tracker!r} must be one of {', '.join(get_args(Tracker))}")
    sustained = _sustained_part(waveform, sample_rate, note_on_s)
    if len(sustained) < 4 * sample_rate / LOWEST_HZ:
        return float("nan")
    if tracker == "praat":
        frequency_hz = _praat(sustained, sample_rate).selected_array["frequency"]
        frequency_hz = frequency_hz[frequency_hz > 0]
    else:
        # Two periods of the lowest frequency must fit into half a frame.
        frame_length = 1 << int(np.ceil(np.log2(4 * sample_rate / LOWEST_HZ)))
        frequency_hz = _pyin(sustained, sample_rate, frame_length, resolution=0.1)
        frequency_hz = frequency_hz[np.isfinite(frequency_hz)]
    if not len(frequency_hz):
        return float("nan")
    return float(69 + 12 * np.log2(np.median(frequency_hz) / 440))


def tone_pitch(sound: np.ndarray, sample_rate: int, lowest: float, highest: float) -> float:
    """Pitch of the strongest frequency of a struck sound, to 1/8 Hz, within a range.

    Parameters
    ----------
    sound : array [n_samples], float
        The sound, of up to 4 s.
    sample_rate : int, Hz
        Its sample rate.
    lowest, highest : float, MIDI numbers
        The range.

    Returns
    -------
    float, MIDI number
        ``lowest`` if there is no tone.

    Examples
    --------
    >>> n = np.arange(16000)
    >>> tone = np.exp(-n / 4000) * np.sin(2 * np.pi * 220.0 / 16000 * n)
    >>> round(tone_pitch(tone, 16000, 24, 127), 3)
    57.0
    """
    size = 4 * sample_rate  # bins of 1/4 Hz
    power = np.square(np.abs(np.fft.rfft(sound, size)))
    hz = np.fft.rfftfreq(size, 1.0 / sample_rate)
    power[hz < LOWEST_HZ] = 0.0
    strongest = hz[int(np.argmax(power))]
    near = power[np.abs(hz - strongest) <= _TONE_WIDTH_HZ].sum()
    if near < _LEAST_TONE * power.sum() or not near:
        return float(lowest)
    return float(np.clip(69.0 + 12.0 * np.log2(strongest / 440.0), lowest, highest))


def cents_error(
    measured: np.ndarray | float, wanted: np.ndarray | float, *, octave_free: bool = False
) -> np.ndarray:
    """Return the distance of measured pitches from wanted ones, in cents (NaN stays NaN).

    Parameters
    ----------
    measured, wanted : array [...] or float, MIDI numbers
        Measured pitches and the pitches asked for.
    octave_free : bool
        Fold the error into [-600, 600): trackers take organ stops and bells for another octave.

    Examples
    --------
    >>> float(cents_error(72.25, 60.0, octave_free=True))
    25.0
    """
    cents = 100 * (np.asarray(measured, float) - np.asarray(wanted, float))
    return (cents + 600) % 1200 - 600 if octave_free else cents


def _sustained_part(waveform: np.ndarray, sample_rate: int, note_on_s: float) -> np.ndarray:
    """Return the longest audible stretch between attack and release."""
    part = waveform[round(_ATTACK_S * sample_rate) : round(note_on_s * sample_rate)]
    block = max(1, round(0.02 * sample_rate))
    n_blocks = len(part) // block
    if n_blocks == 0:
        return part[:0]
    level = np.sqrt(np.mean(part[: n_blocks * block].reshape(n_blocks, block) ** 2, axis=1))
    quiet = np.flatnonzero(level < level.max() * 10 ** (-_NOTE_RANGE_DB / 20))
    edges = np.concatenate([[-1], quiet, [n_blocks]])
    longest = int(np.argmax(np.diff(edges)))
    return part[(edges[longest] + 1) * block : edges[longest + 1] * block]


def _refine_period(
    padded: np.ndarray, centre: int, period: float, width: int, odd: bool = False
) -> tuple[float, float]:
    """Return the period near a given one with the highest autocorrelation, and that correlation.

    Short periods are measured over several periods, an odd number of them if `odd` is true.
    """
    n_periods = max(1, int(np.ceil(_MIN_LAG / period)))
    n_periods += int(odd and n_periods % 2 == 0)
    lag = n_periods * period
    lags = np.arange(
        int(lag * (1 - _PERIOD_TOLERANCE)) - 1, int(np.ceil(lag * (1 + _PERIOD_TOLERANCE))) + 2
    )
    start = centre - (width + int(lag)) // 2
    frame = padded[start : start + width]
    delayed = np.lib.stride_tricks.sliding_window_view(
        padded[start + lags[0] : start + lags[-1] + width], width
    )
    scale = np.sqrt(frame @ frame * np.einsum("ij,ij->i", delayed, delayed))
    correlation = delayed @ frame / np.maximum(scale, 1e-12)
    best = int(np.argmax(correlation))
    shift = 0.0  # offset of the vertex of the parabola through the three highest values
    if 0 < best < len(lags) - 1:
        left, top, right = correlation[best - 1 : best + 2]
        curvature = left - 2.0 * top + right
        shift = 0.5 * (left - right) / curvature if curvature < 0.0 else 0.0
    return float((lags[best] + shift) / n_periods), float(np.clip(correlation[best], 0.0, 1.0))


def _praat(waveform: np.ndarray, sample_rate: int, hop_s: float | None = None):
    parselmouth = require_package("parselmouth", "eval", 'tracker="praat"')
    sound = parselmouth.Sound(waveform, sampling_frequency=sample_rate)
    return sound.to_pitch_ac(time_step=hop_s, pitch_floor=LOWEST_HZ, pitch_ceiling=HIGHEST_HZ)


def _praat_frames(
    waveform: np.ndarray, sample_rate: int, hop_length: int, n_frames: int
) -> np.ndarray:
    """Frequency of each frame, NaN if unvoiced."""
    margin = round(0.2 * sample_rate)  # longer than Praat's window, so that every frame is covered
    pitch = _praat(np.pad(waveform, margin), sample_rate, hop_length / sample_rate)
    frequency_hz = pitch.selected_array["frequency"]
    frequency_hz = np.where(frequency_hz > 0, frequency_hz, np.nan)
    times_s = (np.arange(n_frames) * hop_length + margin) / sample_rate
    nearest = np.round((times_s - pitch.xs()[0]) / pitch.dx).astype(int)
    return frequency_hz[np.clip(nearest, 0, len(frequency_hz) - 1)]


def _pyin(
    waveform: np.ndarray, sample_rate: int, frame_length: int, resolution: float
) -> np.ndarray:
    """Frequency of each frame, NaN if unvoiced; the resolution is in semitones."""
    librosa = require_package("librosa", "plot", 'tracker="pyin"')
    frequency_hz, voiced, _ = librosa.pyin(
        waveform,
        fmin=LOWEST_HZ,
        fmax=min(HIGHEST_HZ, sample_rate / 2 - 1),
        sr=sample_rate,
        frame_length=frame_length,
        hop_length=frame_length // 4,
        resolution=resolution,
    )
    return np.where(voiced, frequency_hz, np.nan)
