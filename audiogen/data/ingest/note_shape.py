"""A recorded note of any length becomes one that is held for three seconds and let go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiogen.data.ingest.segmentation import SILENT_DB, level_db
from audiogen.data.render.soundfont import NOTE_ON_S, NOTE_S

FADE_S = 0.4  # of a note that is still sounding when the key goes up
_BLOCK_S = 0.02
_SHORTEST_HELD_S = 0.2  # of a sound that can be held on
_LONGEST_LOOP_S = 0.8
_CROSSFADE_S = 0.04


@dataclass(frozen=True)
class Course:
    """How the level of a note goes.

    Parameters
    ----------
    held_s : float, s
        When its own end begins.
    slope_db_s : float, dB per second
        Before that; 0 or less.
    dies_away : bool
        Whether it fell silent at that rate by itself; else it was let go, or cut.
    """

    held_s: float
    slope_db_s: float
    dies_away: bool


def course_of(waveform: np.ndarray, sample_rate: int) -> Course:
    """Tell a note that died away from one that was let go.

    A line is laid through the level of the middle of the note. Where the level falls 3 dB below it
    for good, the note's end begins. If what follows lasts less than half as long as the line would
    take to fall to silence, somebody (or an editor) ended the note.

    Parameters
    ----------
    waveform : array [n_samples]
        From the attack to silence.
    sample_rate : int, Hz
    """
    level = level_db(waveform, sample_rate, _BLOCK_S)
    level = level - level.max(initial=-120.0)
    loud = np.flatnonzero(level > -25.0)
    n = int(loud[-1]) + 1 if len(loud) else 0
    first, last = int(0.3 * n), max(int(0.7 * n), int(0.3 * n) + 3)
    if last > n:
        return Course(len(waveform) / sample_rate, 0.0, True)
    time = np.arange(len(level))
    slope, offset = np.polyfit(time[first:last], level[first:last], 1)
    slope = min(float(slope), 0.0)
    offset = float(np.mean(level[first:last] - slope * time[first:last]))
    line = slope * time + offset
    held = int(np.flatnonzero(level[:n] > line[:n] - 3.0)[-1]) + 1
    silent = np.flatnonzero(level > SILENT_DB)[-1] + 1
    expected = (line[held - 1] - SILENT_DB) / max(-slope, 1e-9)
    dies = (silent - held) >= 0.5 * expected
    return Course(held * _BLOCK_S, slope / _BLOCK_S, bool(dies))


def shape_note(waveform: np.ndarray, sample_rate: int, pitch_hz: float) -> tuple[np.ndarray, str]:
    """Make a note fit the four seconds, with the key up at three, that networks are told of.

    A note that dies away earlier is followed by silence. One that was let go or cut earlier is
    held on: its last stretch is repeated, crossfaded where it resembles itself, falling on at its
    own rate, and its own end follows when the key goes up. What sounds longer is faded out from
    then on.

    Parameters
    ----------
    waveform : array [n_samples]
        From the attack to silence.
    sample_rate : int, Hz
    pitch_hz : float, Hz

    Returns
    -------
    waveform : array [NOTE_S * sample_rate], float32
    how : str
        "whole", "held on" or "let go".
    """
    n_note, n_on = round(NOTE_S * sample_rate), round(NOTE_ON_S * sample_rate)
    course = course_of(waveform, sample_rate)
    how = "whole"
    sound = np.asarray(waveform, np.float64)
    if course.held_s < NOTE_ON_S and not course.dies_away and course.held_s >= _SHORTEST_HELD_S:
        sound, how = _held_on(sound, sample_rate, pitch_hz, course), "held on"
    elif len(sound) > n_on + round(0.05 * sample_rate):
        loud = np.abs(sound[n_on:]).max() > 0.003 * np.abs(sound).max()
        fade = np.zeros(max(0, len(sound) - n_on))
        n_fade = min(len(fade), round(FADE_S * sample_rate))
        fade[:n_fade] = 0.5 + 0.5 * np.cos(np.pi * np.arange(n_fade) / n_fade)
        sound = np.concatenate((sound[:n_on], sound[n_on:] * fade))
        how = "let go" if loud else how
    sound = np.pad(sound[:n_note], (0, max(0, n_note - len(sound))))
    _soften(sound, min(len(waveform), n_note) if how == "whole" else n_note, sample_rate)
    return sound.astype(np.float32), how


def _soften(sound: np.ndarray, end: int, sample_rate: int) -> None:
    """Take the clicks from both ends, in place."""
    up, down = round(0.001 * sample_rate), min(end, round(0.01 * sample_rate))
    sound[:up] *= np.linspace(0.0, 1.0, up)
    sound[end - down : end] *= np.linspace(1.0, 0.0, down)


def _held_on(sound: np.ndarray, sample_rate: int, pitch_hz: float, course: Course) -> np.ndarray:
    """Repeat the last stretch of what is held until the key goes up."""
    from scipy.signal import correlate

    end = min(round((course.held_s - _BLOCK_S) * sample_rate), len(sound))
    missing = round(NOTE_ON_S * sample_rate) - end
    period = max(2, round(sample_rate / pitch_hz))
    fade = max(period, min(round(_CROSSFADE_S * sample_rate), end // 6))
    longest = min(round(_LONGEST_LOOP_S * sample_rate), round(0.6 * end), end - 2 * fade)
    if missing <= 0 or longest < 2 * period:
        return sound
    n_loops = int(np.ceil(missing / longest))
    # The start that resembles the end most, a period about where the loops would just fill up.
    middle = end - min(longest, max(missing // n_loops, 2 * period))
    first = max(fade, middle - period)
    last = min(middle + period, end - period)
    if last <= first:
        return sound
    model = sound[end - fade : end]
    stretch = sound[first - fade : last]
    likeness = correlate(stretch, model, "valid")
    power = np.concatenate(([0.0], np.cumsum(stretch**2)))
    likeness = likeness / np.sqrt(power[fade:] - power[:-fade] + 1e-12)
    start = first + int(np.argmax(likeness))
    length = end - start
    n_loops = max(1, round(missing / length))
    fall = 10.0 ** (course.slope_db_s * length / sample_rate / 20.0)
    rising = np.linspace(0.0, 1.0, fade)
    pieces = [sound[: end - fade]]
    for k in range(1, n_loops + 1):
        last_gain, gain = fall ** (k - 1), fall**k
        joint = sound[end - fade : end] * last_gain * (1.0 - rising)
        joint += sound[start - fade : start] * gain * rising
        pieces.append(joint)
        pieces.append(gain * (sound[start : end - fade] if k < n_loops else sound[start:]))
    return np.concatenate(pieces)
