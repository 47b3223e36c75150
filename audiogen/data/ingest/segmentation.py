"""Segmentation of a recording into notes, by silences, onsets and changes of pitch."""

from __future__ import annotations

import numpy as np

from audiogen.audio.pitch import PitchTrack
from audiogen.core.packages import require_package

SILENCE_DB = -50.0  # relative to the recording's loudest block
MIN_LEVEL_DB = -80.0  # dBFS; a recording that is nowhere louder is silent
# A stretch between silences is a sound if its peak is within 40 dB of the recording's and 10 dB
# above the silence. The second keeps tails, which cross the threshold several times while they
# fade, from becoming sounds of their own.
_SOUND_DB, _ABOVE_SILENCE_DB = -40.0, 10.0
_MIN_GAP_S = 0.06  # of silence between two sounds
_BLOCK_S = 0.01
# In recordings longer than this, the level of the quietest tenth is taken for noise if it is
# 25 dB below the loudest block.
_MIN_NOISE_LENGTH_S, _MIN_NOISE_DISTANCE_DB = 10.0, 25.0
_MIN_NOTE_S = 0.1  # between two onsets
# Rise of the level at an onset. It is higher in short recordings, which are more likely one note
# with tremolo than several notes.
_MIN_RISE_DB, _MIN_RISE_SHORT_DB, _SHORT_S = 6.0, 12.0, 5.0
_MIN_STRENGTH = 0.12  # of an onset, relative to the recording's strongest
_PITCH_STEP = 0.7  # semitones between two legato notes
_LEGATO_DB = -20.0  # relative to the note's loudest block; below, a change of pitch is decay


def level_db(waveform: np.ndarray, sample_rate: int, block_s: float = _BLOCK_S) -> np.ndarray:
    """Return the root mean square of each block in dB, -120 for silence."""
    block = max(1, round(block_s * sample_rate))
    n_blocks = -(-len(waveform) // block)
    padded = np.pad(np.asarray(waveform, np.float64), (0, n_blocks * block - len(waveform)))
    return 10.0 * np.log10(np.mean(padded.reshape(n_blocks, block) ** 2, axis=1) + 1e-12)


def find_sounds(waveform: np.ndarray, sample_rate: int) -> list[tuple[int, int]]:
    """Return the first and last sample of each sound between silences.

    Silence is 50 dB below the loudest block, or the noise of a long recording. Gaps shorter than
    60 ms belong to the sound.
    """
    level = level_db(waveform, sample_rate)
    top = float(level.max(initial=-120.0))
    if top < MIN_LEVEL_DB:
        return []
    silence = top + SILENCE_DB
    if len(waveform) > _MIN_NOISE_LENGTH_S * sample_rate:
        noise = float(np.percentile(level, 10)) + 6.0
        silence = max(silence, noise) if noise < top - _MIN_NOISE_DISTANCE_DB else silence
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (level > silence).astype(int), [0]))))
    runs: list[list[int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if runs and first - runs[-1][1] < _MIN_GAP_S / _BLOCK_S:
            runs[-1][1] = last
        else:
            runs.append([first, last])
    block = max(1, round(_BLOCK_S * sample_rate))
    min_peak = max(top + _SOUND_DB, silence + _ABOVE_SILENCE_DB)
    return [
        (first * block, min(last * block, len(waveform)))
        for first, last in runs
        if level[first:last].max() > min_peak
    ]


def _onset_frames(strength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the peaks of an onset strength and the minimum before each, as frame indices.

    A frame of 16 ms is a peak if it is not below the frame before and exceeds the mean of the
    200 ms around it by 0.07 of the envelope's range: `librosa.onset.onset_detect` and
    `onset_backtrack` in NumPy. Theirs are compiled by numba, whose cached code can crash the
    process when it is loaded again (seen with numba 0.68 beside torch).
    """
    envelope = strength - strength.min(initial=np.inf)
    top = envelope.max(initial=0.0)
    if top <= 0.0:
        return np.zeros(0, int), np.zeros(0, int)
    envelope = envelope / top
    frames: list[int] = []
    for n in range(len(envelope)):
        mean = envelope[max(0, n - 6) : n + 7].mean()
        is_peak = (n == 0 or envelope[n] >= envelope[n - 1]) and envelope[n] >= mean + 0.07
        if is_peak and (not frames or n > frames[-1] + 1):
            frames.append(n)
    inner = strength[1:-1]
    is_minimum = (inner <= strength[:-2]) & (inner < strength[2:])
    minima = np.concatenate(([0], 1 + np.flatnonzero(is_minimum)))
    peaks = np.array(frames, int)
    return peaks, minima[np.searchsorted(minima, peaks, side="right") - 1]


def split_at_onsets(
    waveform: np.ndarray, sample_rate: int, start: int, end: int, track: PitchTrack
) -> list[tuple[int, int]]:
    """Split a sound where new notes begin.

    Candidates are onsets of spectral flux, moved back to where they rise from. One
    counts if the level rises by 6 dB (12 dB in less than 5 s) at an onset an eighth as strong as
    the strongest, or if the pitch changes without decay. Tremolo and vibrato do not split a note.

    Parameters
    ----------
    waveform : array [n_samples]
        Whole recording.
    sample_rate : int, Hz
        Sample rate of the samples.
    start, end : int, samples
        First sample of the sound, and the sample after its last.
    track : PitchTrack
        Pitch of the whole recording.

    Returns
    -------
    list of (int, int), samples

    Raises
    ------
    MissingPackageError
        If librosa is not installed.
    """
    min_length = round(_MIN_NOTE_S * sample_rate)
    if end - start < 2 * min_length:
        return [(start, end)]
    detector = require_package("librosa", "train", "finding the notes of a recording").onset
    hop = max(1, round(0.016 * sample_rate))
    lead = 4 * hop  # silence before the sound, so that its first attack is an onset, too
    sound = np.pad(waveform[start:end], (lead, 0))
    strength = detector.onset_strength(y=sound, sr=sample_rate, hop_length=hop)
    frames, begins = _onset_frames(strength)
    strongest = float(strength.max(initial=0.0))
    block = max(1, round(_BLOCK_S * sample_rate))
    level = level_db(waveform[start:end], sample_rate)
    min_rise = _MIN_RISE_DB if end - start > _SHORT_S * sample_rate else _MIN_RISE_SHORT_DB
    cuts = [start]
    for frame, begin in zip(frames, begins, strict=True):
        cut = start + _quietest(sound, int(begin) * hop, int(frame) * hop, hop) - lead
        if cut - cuts[-1] < min_length or end - cut < min_length:
            continue
        i = (cut - start) // block
        before = float(level[max(0, i - 6) : i + 3].min())
        after = float(level[i : i + 12].max())
        rises = after - before > min_rise and strength[frame] > _MIN_STRENGTH * strongest
        loudest = float(level[(cuts[-1] - start) // block : i + 12].max())
        if rises or (
            after > loudest + _LEGATO_DB and _pitch_changes(track, cuts[-1], cut, end, sample_rate)
        ):
            cuts.append(cut)
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def _quietest(sound: np.ndarray, begin: int, peak: int, hop: int) -> int:
    """Return the quietest sample near an onset, or the onset if no sample there is quiet.

    Parameters
    ----------
    sound : array [n_samples]
        Sound with a lead of silence.
    begin, peak : int, samples
        Where the onset's spectral flux begins to rise, and where it is largest.
    hop : int, samples
        Distance between two frames of the spectral flux.
    """
    first = max(0, min(begin, peak - 3 * hop) - hop)
    block = max(1, hop // 3)  # 5 ms
    level = level_db(sound[first : peak + 2 * hop], 1, block)
    quietest = len(level) - 1 - int(np.argmin(level[::-1]))
    around = min(level[: quietest + 1].max(), level[quietest:].max())
    return first + quietest * block if around - level[quietest] > 3.0 else max(begin, peak - hop)


def _pitch_changes(track: PitchTrack, last: int, cut: int, end: int, sample_rate: int) -> bool:
    """Return whether the pitch after a sample differs from that between the last cut and it."""
    near = round(0.3 * sample_rate)
    before, confidence_before = track.pitch_between(max(last, cut - near), cut, sample_rate)
    after, confidence_after = track.pitch_between(cut, min(end, cut + near), sample_rate)
    return min(confidence_before, confidence_after) > 0.6 and abs(after - before) > _PITCH_STEP


def attack_start(waveform: np.ndarray, sample_rate: int) -> int:
    """Return the sample 2 ms before a note comes within 40 dB of its loudest millisecond."""
    level = level_db(waveform, sample_rate, 0.001)
    block = max(1, round(0.001 * sample_rate))
    return max(0, (int(np.argmax(level > level.max() - 40.0)) - 2) * block)
