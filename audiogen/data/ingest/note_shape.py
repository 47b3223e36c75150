"""Lengthening and shortening of recorded notes to four seconds, with the release at three."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiogen.core.packages import require_package
from audiogen.data.ingest.segmentation import SILENCE_DB, level_db
from audiogen.data.notes.nsynth import NOTE_ON_S, NOTE_S

FADE_S = 0.4  # release of a note that still sounds at `NOTE_ON_S`
_BLOCK_S = 0.02
_MIN_HELD_S = 0.2  # sustain of a note that can be lengthened
_MAX_LOOP_S = 0.8
_CROSSFADE_S = 0.04


@dataclass(frozen=True)
class Envelope:
    """Level of a note over time.

    Parameters
    ----------
    held_s : float, s
        Start of the release.
    slope_db_s : float, dB per second
        Slope of the sustain; 0 or negative.
    decays : bool
        Whether the note fell silent by its own decay; otherwise it was released or cut.
    """

    held_s: float
    slope_db_s: float
    decays: bool


def measure_envelope(waveform: np.ndarray, sample_rate: int) -> Envelope:
    """Measure a note's sustain and release.

    A line is fitted to the level in the middle of the note. The release begins where the level
    falls 3 dB below the line for good. If the rest is shorter than half the time in which the line
    reaches silence, the note was released or cut.

    Parameters
    ----------
    waveform : array [n_samples]
        Samples from the attack to silence.
    sample_rate : int, Hz
        Sample rate of the samples.
    """
    level = level_db(waveform, sample_rate, _BLOCK_S)
    level = level - level.max(initial=-120.0)
    loud = np.flatnonzero(level > -25.0)
    n = int(loud[-1]) + 1 if len(loud) else 0
    first, last = int(0.3 * n), max(int(0.7 * n), int(0.3 * n) + 3)
    if last > n:
        return Envelope(len(waveform) / sample_rate, 0.0, True)
    time = np.arange(len(level))
    slope, offset = np.polyfit(time[first:last], level[first:last], 1)
    slope = min(float(slope), 0.0)
    offset = float(np.mean(level[first:last] - slope * time[first:last]))
    line = slope * time + offset
    held = int(np.flatnonzero(level[:n] > line[:n] - 3.0)[-1]) + 1
    silent = np.flatnonzero(level > SILENCE_DB)[-1] + 1
    expected = (line[held - 1] - SILENCE_DB) / max(-slope, 1e-9)
    decays = (silent - held) >= 0.5 * expected
    return Envelope(held * _BLOCK_S, slope / _BLOCK_S, bool(decays))


def shape_note(waveform: np.ndarray, sample_rate: int, pitch_hz: float) -> tuple[np.ndarray, str]:
    """Give a note the length of a training example: four seconds, with the release at three.

    A note that decays earlier is padded with silence. A note that was released or cut earlier is
    lengthened: the end of its sustain is looped with crossfades, continuing its own decay, and its
    own release follows at three seconds. A longer note is faded out from three seconds on.

    Parameters
    ----------
    waveform : array [n_samples]
        Samples from the attack to silence.
    sample_rate : int, Hz
        Sample rate of the samples.
    pitch_hz : float, Hz
        Fundamental frequency, which sets the length of the loop.

    Returns
    -------
    waveform : array [NOTE_S * sample_rate], float32
    shape : str
        "whole", "lengthened" or "faded out".

    Raises
    ------
    MissingPackageError
        If a note must be lengthened and scipy is not installed.
    """
    n_note, n_on = round(NOTE_S * sample_rate), round(NOTE_ON_S * sample_rate)
    envelope = measure_envelope(waveform, sample_rate)
    shape = "whole"
    sound = np.asarray(waveform, np.float64)
    if _MIN_HELD_S <= envelope.held_s < NOTE_ON_S and not envelope.decays:
        sound, shape = _lengthen(sound, sample_rate, pitch_hz, envelope), "lengthened"
    elif len(sound) > n_on + round(0.05 * sample_rate):
        loud = np.abs(sound[n_on:]).max() > 0.003 * np.abs(sound).max()
        fade = np.zeros(max(0, len(sound) - n_on))
        n_fade = min(len(fade), round(FADE_S * sample_rate))
        fade[:n_fade] = 0.5 + 0.5 * np.cos(np.pi * np.arange(n_fade) / n_fade)
        sound = np.concatenate((sound[:n_on], sound[n_on:] * fade))
        shape = "faded out" if loud else shape
    sound = np.pad(sound[:n_note], (0, max(0, n_note - len(sound))))
    _fade_ends(sound, min(len(waveform), n_note) if shape == "whole" else n_note, sample_rate)
    return sound.astype(np.float32), shape


def _fade_ends(sound: np.ndarray, end: int, sample_rate: int) -> None:
    """Remove clicks at both ends, in place."""
    up, down = round(0.001 * sample_rate), min(end, round(0.01 * sample_rate))
    sound[:up] *= np.linspace(0.0, 1.0, up)
    sound[end - down : end] *= np.linspace(1.0, 0.0, down)


def _lengthen(
    sound: np.ndarray, sample_rate: int, pitch_hz: float, envelope: Envelope
) -> np.ndarray:
    """Loop the end of the sustain up to `NOTE_ON_S`."""
    signal = require_package("scipy.signal", "train", "lengthening a note")
    end = min(round((envelope.held_s - _BLOCK_S) * sample_rate), len(sound))
    missing = round(NOTE_ON_S * sample_rate) - end
    period = max(2, round(sample_rate / pitch_hz))
    fade = max(period, min(round(_CROSSFADE_S * sample_rate), end // 6))
    longest = min(round(_MAX_LOOP_S * sample_rate), round(0.6 * end), end - 2 * fade)
    if missing <= 0 or longest < 2 * period:
        return sound
    n_loops = int(np.ceil(missing / longest))
    # The loop starts where the sound correlates best with its end, within a period of the place
    # from which whole loops fill the missing time.
    middle = end - min(longest, max(missing // n_loops, 2 * period))
    first = max(fade, middle - period)
    last = min(middle + period, end - period)
    if last <= first:
        return sound
    searched = sound[first - fade : last]
    correlation = signal.correlate(searched, sound[end - fade : end], "valid")
    energy = np.concatenate(([0.0], np.cumsum(searched**2)))
    correlation = correlation / np.sqrt(energy[fade:] - energy[:-fade] + 1e-12)
    start = first + int(np.argmax(correlation))
    length = end - start
    n_loops = max(1, round(missing / length))
    decay = 10.0 ** (envelope.slope_db_s * length / sample_rate / 20.0)  # per loop
    rising = np.linspace(0.0, 1.0, fade)
    pieces = [sound[: end - fade]]
    for k in range(1, n_loops + 1):
        last_gain, gain = decay ** (k - 1), decay**k
        joint = sound[end - fade : end] * last_gain * (1.0 - rising)
        joint += sound[start - fade : start] * gain * rising
        pieces.append(joint)
        pieces.append(gain * (sound[start : end - fade] if k < n_loops else sound[start:]))
    return np.concatenate(pieces)
