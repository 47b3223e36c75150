"""Where the notes of a recording begin and end."""

from __future__ import annotations

import numpy as np

from audiogen.audio.pitch import PitchTrack

SILENT_DB = -50.0  # below the recording's loudest moment
LOWEST_DB = -80.0  # of full scale; a recording that is nowhere louder is silent
_HEARD_DB = -40.0  # below the recording's loudest moment; what is nowhere louder isn't a note
_GAP_S = 0.06  # of silence that parts two notes
_BLOCK_S = 0.01  # of the level's readings
_LONG_S = 10.0  # from here on, the quietest tenth of a recording is its noise, if it is quiet
_APART_S = 0.1  # between two attacks
# Of a new attack over what sounds on, at least. In a short recording, which more likely is one note
# with tremolo than several, more.
_RISE_DB, _RISE_IN_SHORT_DB, _SHORT_S = 6.0, 12.0, 5.0
_STRENGTH = 0.12  # of an attack, relative to the recording's strongest
_PITCH_STEP = 0.7  # semitones between two notes without a new attack


def level_db(waveform: np.ndarray, sample_rate: int, block_s: float = _BLOCK_S) -> np.ndarray:
    """Return the level of each block in dB; -120 for silence."""
    block = max(1, round(block_s * sample_rate))
    n_blocks = -(-len(waveform) // block)
    padded = np.pad(np.asarray(waveform, np.float64), (0, n_blocks * block - len(waveform)))
    return 10.0 * np.log10(np.mean(padded.reshape(n_blocks, block) ** 2, axis=1) + 1e-12)


def sounding(waveform: np.ndarray, sample_rate: int) -> list[tuple[int, int]]:
    """Return the stretches between silences, in samples.

    Silence is 50 dB below the loudest moment, or the noise of a long recording. Gaps shorter than
    60 ms belong to the sound, and what never comes within 40 dB of the loudest doesn't count.
    """
    level = level_db(waveform, sample_rate)
    top = float(level.max(initial=-120.0))
    if top < LOWEST_DB:
        return []
    faint = top + SILENT_DB
    if len(waveform) > _LONG_S * sample_rate:
        noise = float(np.percentile(level, 10)) + 6.0
        faint = max(faint, noise) if noise < top - 25.0 else faint
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (level > faint).astype(int), [0]))))
    runs: list[list[int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if runs and first - runs[-1][1] < _GAP_S / _BLOCK_S:
            runs[-1][1] = last
        else:
            runs.append([first, last])
    block = max(1, round(_BLOCK_S * sample_rate))
    return [
        (first * block, min(last * block, len(waveform)))
        for first, last in runs
        if level[first:last].max() > top + _HEARD_DB
    ]


def split_at_onsets(
    waveform: np.ndarray, sample_rate: int, start: int, end: int, track: PitchTrack
) -> list[tuple[int, int]]:
    """Part a stretch of sound where new notes begin.

    Onsets of spectral flux (librosa), moved back to where they rise from, count if the level
    rises by 6 dB there (12 dB in less than 5 s) at an attack an eighth as strong as the strongest,
    or if the pitch is another afterwards. So tremolo and vibrato don't part a note.

    Parameters
    ----------
    waveform : array [n_samples]
        The whole recording.
    sample_rate : int, Hz
    start, end : int, samples
    track : PitchTrack
        Of the whole recording.

    Returns
    -------
    list of (int, int), samples
    """
    import librosa

    apart = round(_APART_S * sample_rate)
    if end - start < 2 * apart:
        return [(start, end)]
    hop = max(1, round(0.016 * sample_rate))
    # Some silence before, so that the first attack is one, too.
    lead = 4 * hop
    sound = np.pad(waveform[start:end], (lead, 0))
    strength = librosa.onset.onset_strength(y=sound, sr=sample_rate, hop_length=hop)
    frames = librosa.onset.onset_detect(
        onset_envelope=strength, sr=sample_rate, hop_length=hop, units="frames"
    )
    begins = librosa.onset.onset_backtrack(frames, strength) if len(frames) else frames
    strongest = float(strength.max(initial=0.0))
    block = max(1, round(_BLOCK_S * sample_rate))
    level = level_db(waveform[start:end], sample_rate)
    least_rise = _RISE_DB if end - start > _SHORT_S * sample_rate else _RISE_IN_SHORT_DB
    cuts = [start]
    for frame, begin in zip(frames, begins, strict=True):
        at = start + _lowest(sound, int(begin) * hop, int(frame) * hop, hop) - lead
        if at - cuts[-1] < apart or end - at < apart:
            continue
        i = (at - start) // block
        before = float(level[max(0, i - 6) : i + 3].min())
        rises = float(level[i : i + 12].max()) - before > least_rise
        if (rises and strength[frame] > _STRENGTH * strongest) or _changes(
            track, cuts[-1], at, end, sample_rate
        ):
            cuts.append(at)
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def _lowest(sound: np.ndarray, begin: int, peak: int, hop: int) -> int:
    """Where one note ends and the next begins, near an onset: the faintest moment, if there is one.

    Parameters
    ----------
    sound : array [n_samples]
    begin, peak : int, samples
        Where the onset's spectral flux rises from, and where it is largest.
    hop : int, samples
    """
    first = max(0, min(begin, peak - 3 * hop) - hop)
    block = max(1, hop // 3)  # 5 ms
    level = level_db(sound[first : peak + 2 * hop], 1, block)
    faintest = len(level) - 1 - int(np.argmin(level[::-1]))
    around = min(level[: faintest + 1].max(), level[faintest:].max())
    return first + faintest * block if around - level[faintest] > 3.0 else max(begin, peak - hop)


def _changes(track: PitchTrack, last: int, at: int, end: int, sample_rate: int) -> bool:
    """Whether the pitch is another after a moment than it was since the last cut."""
    near = round(0.3 * sample_rate)
    before, sure_before = track.pitch_between(max(last, at - near), at, sample_rate)
    after, sure_after = track.pitch_between(at, min(end, at + near), sample_rate)
    return min(sure_before, sure_after) > 0.6 and abs(after - before) > _PITCH_STEP


def attack_of(waveform: np.ndarray, sample_rate: int) -> int:
    """Return where a note is first heard: 40 dB below its loudest millisecond, 2 ms before."""
    level = level_db(waveform, sample_rate, 0.001)
    block = max(1, round(0.001 * sample_rate))
    return max(0, (int(np.argmax(level > level.max() - 40.0)) - 2) * block)
