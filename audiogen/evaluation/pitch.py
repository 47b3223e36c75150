"""The pitch of a sounding note, by trackers that share no code with the models."""

from __future__ import annotations

from typing import Literal

import numpy as np

from audiogen.errors import MissingPackageError, ParameterError

Tracker = Literal["praat", "pyin"]

LOWEST_HZ, HIGHEST_HZ = 30.0, 2500.0  # B0 to D#7
_ATTACK_S = 0.1  # left out: an attack has no settled pitch yet
_AUDIBLE_DB = 40.0  # frames further below the loudest are left out


def note_pitch(
    waveform: np.ndarray,
    sample_rate: int,
    *,
    note_on_s: float = 3.0,
    tracker: Tracker = "praat",
) -> float:
    """Return the pitch of one note: the median over the voiced frames of its sustained part.

    The sustained part begins 0.1 s after the note does, ends where the key was let go, and
    leaves out what lies more than 40 dB below the loudest moment.

    Parameters
    ----------
    waveform : ndarray[n_samples], float
    sample_rate : int, Hz
    note_on_s : float
        How long the key was down, counted from the first sample.
    tracker : "praat" or "pyin"
        Praat's autocorrelation method with a floor of 30 Hz, or librosa's probabilistic YIN. Both
        follow 30 to 2500 Hz. In noise Praat finds no pitch, pYIN a low one.

    Returns
    -------
    float, MIDI number
        With its fraction: 69.5 is half a semitone above A4. NaN where nothing is voiced.

    Raises
    ------
    ParameterError
        If the waveform isn't one-dimensional and finite, or the tracker is unknown.
    MissingPackageError
        If praat-parselmouth isn't installed and "praat" is asked for.

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
    track = _TRACKERS.get(tracker)
    if track is None:
        raise ParameterError(f"tracker={tracker!r} must be one of {', '.join(_TRACKERS)}")
    sustained = _sustained(waveform, sample_rate, note_on_s)
    if len(sustained) < 4 * sample_rate / LOWEST_HZ:
        return float("nan")
    frequency_hz = track(sustained, sample_rate)
    if not len(frequency_hz):
        return float("nan")
    return float(69 + 12 * np.log2(np.median(frequency_hz) / 440))


def cents_error(
    measured: np.ndarray | float, wanted: np.ndarray | float, *, octave_free: bool = False
) -> np.ndarray:
    """Return how far measured pitches lie from those wanted, in cents (NaN stays NaN).

    Parameters
    ----------
    measured, wanted : ndarray[...] or float, MIDI numbers
    octave_free : bool
        Fold whole octaves away, into [-600, 600): organ stops and bells lead trackers astray by
        octaves.

    Examples
    --------
    >>> float(cents_error(72.25, 60.0, octave_free=True))
    25.0
    """
    cents = 100 * (np.asarray(measured, float) - np.asarray(wanted, float))
    return (cents + 600) % 1200 - 600 if octave_free else cents


def _sustained(waveform: np.ndarray, sample_rate: int, note_on_s: float) -> np.ndarray:
    """Return the longest stretch between attack and release that stays audible."""
    part = waveform[round(_ATTACK_S * sample_rate) : round(note_on_s * sample_rate)]
    block = max(1, round(0.02 * sample_rate))
    n_blocks = len(part) // block
    if n_blocks == 0:
        return part[:0]
    level = np.sqrt(np.mean(part[: n_blocks * block].reshape(n_blocks, block) ** 2, axis=1))
    quiet = np.flatnonzero(level < level.max() * 10 ** (-_AUDIBLE_DB / 20))
    edges = np.concatenate([[-1], quiet, [n_blocks]])
    longest = int(np.argmax(np.diff(edges)))
    return part[(edges[longest] + 1) * block : edges[longest + 1] * block]


def _praat(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    try:
        import parselmouth
    except ImportError as error:
        raise MissingPackageError(
            'tracker="praat" needs praat-parselmouth: pip install "audiogen-synth[eval]"'
        ) from error
    pitch = parselmouth.Sound(waveform, sampling_frequency=sample_rate).to_pitch_ac(
        pitch_floor=LOWEST_HZ, pitch_ceiling=HIGHEST_HZ
    )
    frequency_hz = pitch.selected_array["frequency"]
    return frequency_hz[frequency_hz > 0]


def _pyin(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    import librosa

    # Two periods of the lowest frequency must fit into half a frame.
    frame_length = 1 << int(np.ceil(np.log2(4 * sample_rate / LOWEST_HZ)))
    frequency_hz, voiced, _ = librosa.pyin(
        waveform,
        fmin=LOWEST_HZ,
        fmax=min(HIGHEST_HZ, sample_rate / 2 - 1),
        sr=sample_rate,
        frame_length=frame_length,
        hop_length=frame_length // 4,
    )
    return frequency_hz[voiced]


_TRACKERS = {"praat": _praat, "pyin": _pyin}
