"""The pitch of recorded notes, frame by frame, and how sure it is."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np

LOWEST_HZ, HIGHEST_HZ = 30.0, 2500.0  # B0 to D#7
_AUDIBLE_DB = 30.0  # frames further below the note's loudest say nothing
_ATTACK_S = 0.1  # an attack has no settled pitch yet
_LONGEST_S = 2.0  # of a note that is listened to
_SHORTEST_LAG = 64  # samples; short periods are measured several at a time
# Correlation half a period later, from which on that is the period: trackers, pYIN above all, take
# high notes an octave too low.
_OCTAVE = 0.9
_OFF = 0.03  # of a period, by which the tracker's frequency may be wrong


@dataclass(frozen=True)
class PitchTrack:
    """The pitch of each frame of a recording.

    Parameters
    ----------
    hop_length : int, samples
        Frame i is about sample ``i * hop_length``.
    pitch : array [n_frames], MIDI numbers
        NaN where nothing periodic was found.
    clarity : array [n_frames]
        Correlation of the sound with itself one period later: 1 for a tone, about 0 for noise.
    level_db : array [n_frames], dB
    """

    hop_length: int
    pitch: np.ndarray
    clarity: np.ndarray
    level_db: np.ndarray

    def between(self, start: int, end: int, sample_rate: int) -> tuple[float, float]:
        """Return the pitch of one note and how sure it is.

        Parameters
        ----------
        start, end : int, samples
        sample_rate : int, Hz

        Returns
        -------
        pitch : float, MIDI number
            Median of the frames; NaN if none has a pitch.
        confidence : float
            Mean clarity of the audible frames, those counted as 0 whose pitch is further than
            half a semitone from the median.
        """
        length = end - start
        first = start + min(round(_ATTACK_S * sample_rate), length // 4)
        last = min(end, first + round(_LONGEST_S * sample_rate))
        a = -(-first // self.hop_length)
        frames = slice(a, max(a + 1, last // self.hop_length))
        level = self.level_db[frames]
        if not len(level):
            return float("nan"), 0.0
        audible = level > level.max() - _AUDIBLE_DB
        pitch, clarity = self.pitch[frames][audible], self.clarity[frames][audible]
        if np.all(np.isnan(pitch)):
            return float("nan"), 0.0
        median = float(np.nanmedian(pitch))
        agrees = np.abs(pitch - median) < 0.5  # False for NaN
        return median, float(np.mean(np.where(agrees, clarity, 0.0)))


def best_tracker() -> str:
    """Return "praat" where praat-parselmouth is installed, which is faster, or "pyin"."""
    return "praat" if importlib.util.find_spec("parselmouth") else "pyin"


def track_pitch(waveform: np.ndarray, sample_rate: int, tracker: str) -> PitchTrack:
    """Follow the pitch of a recording of one voice.

    The tracker's frequencies are refined by the sound's own correlation, which also says how clear
    they are: pYIN calls noise voiced.

    Parameters
    ----------
    waveform : array [n_samples], float
    sample_rate : int, Hz
    tracker : "praat" or "pyin"

    References
    ----------
    As `evaluation.pitch.note_pitch`.
    """
    frame_length = 1 << int(np.ceil(np.log2(0.12 * sample_rate)))
    hop_length = frame_length // 4
    n_frames = 1 + len(waveform) // hop_length
    follow = {"praat": _praat, "pyin": _pyin}[tracker]
    found_hz = follow(np.asarray(waveform, np.float64), sample_rate, frame_length, n_frames)
    pitch, clarity = np.full(n_frames, np.nan), np.zeros(n_frames)
    padded = np.pad(np.asarray(waveform, np.float64), 2 * frame_length)
    power = np.concatenate(([0.0], np.cumsum(padded**2)))
    starts = hop_length * np.arange(n_frames) + 2 * frame_length - frame_length // 4
    mean = (power[starts + frame_length // 2] - power[starts]) / (frame_length // 2)
    width = frame_length // 2
    for frame in np.flatnonzero(np.isfinite(found_hz)):
        centre, period = frame * hop_length + 2 * frame_length, sample_rate / found_hz[frame]
        found = _likeness(padded, centre, period, width)
        half = _likeness(padded, centre, 0.5 * period, width, odd=True)
        if half[1] > _OCTAVE and 0.5 * period > sample_rate / HIGHEST_HZ:
            found = half
        period, clarity[frame] = found
        pitch[frame] = 69.0 + 12.0 * np.log2(sample_rate / period / 440.0)
    return PitchTrack(hop_length, pitch, clarity, 10.0 * np.log10(mean + 1e-12))


def _likeness(
    padded: np.ndarray, centre: int, period: float, width: int, odd: bool = False
) -> tuple[float, float]:
    """Period near a given one by which the sound resembles itself most, and how much.

    Short periods are measured several at a time; an odd number of them, if wanted.
    """
    n_periods = max(1, int(np.ceil(_SHORTEST_LAG / period)))
    n_periods += int(odd and n_periods % 2 == 0)
    lag = n_periods * period
    lags = np.arange(int(lag * (1 - _OFF)) - 1, int(np.ceil(lag * (1 + _OFF))) + 2)
    start = centre - (width + int(lag)) // 2
    here = padded[start : start + width]
    there = np.lib.stride_tricks.sliding_window_view(
        padded[start + lags[0] : start + lags[-1] + width], width
    )
    scale = np.sqrt(here @ here * np.einsum("ij,ij->i", there, there))
    likeness = there @ here / np.maximum(scale, 1e-12)
    best = int(np.argmax(likeness))
    shift = 0.0
    if 0 < best < len(lags) - 1:
        left, top, right = likeness[best - 1 : best + 2]
        bend = left - 2.0 * top + right
        shift = 0.5 * (left - right) / bend if bend < 0.0 else 0.0
    return float((lags[best] + shift) / n_periods), float(np.clip(likeness[best], 0.0, 1.0))


def _praat(waveform: np.ndarray, sample_rate: int, frame_length: int, n_frames: int) -> np.ndarray:
    import parselmouth

    hop_s = frame_length / 4 / sample_rate
    margin_s = 0.2  # more than its longest window, so that every frame can be read
    margin = round(margin_s * sample_rate)
    sound = parselmouth.Sound(np.pad(waveform, margin), sampling_frequency=sample_rate)
    pitch = sound.to_pitch_ac(time_step=hop_s, pitch_floor=LOWEST_HZ, pitch_ceiling=HIGHEST_HZ)
    hz = np.where(pitch.selected_array["frequency"] > 0, pitch.selected_array["frequency"], np.nan)
    times = np.arange(n_frames) * hop_s + margin / sample_rate
    nearest = np.clip(np.round((times - pitch.xs()[0]) / pitch.dx).astype(int), 0, len(hz) - 1)
    return hz[nearest]


def _pyin(waveform: np.ndarray, sample_rate: int, frame_length: int, n_frames: int) -> np.ndarray:
    import librosa

    hz, voiced, _ = librosa.pyin(
        waveform,
        fmin=LOWEST_HZ,
        fmax=min(HIGHEST_HZ, sample_rate / 2 - 1),
        sr=sample_rate,
        frame_length=frame_length,
        hop_length=frame_length // 4,
        resolution=0.2,  # semitones; the correlation does better, and 0.1 takes four times as long
    )
    hz = np.where(voiced, hz, np.nan)[:n_frames]
    return np.pad(hz, (0, n_frames - len(hz)), constant_values=np.nan)
