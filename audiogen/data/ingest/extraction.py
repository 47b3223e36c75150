"""Extraction of notes from one sound file: decoding, segmentation, pitch and loudness."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.files import read_channels, resample
from audiogen.audio.pitch import Tracker, track_pitch
from audiogen.data.ingest.labels import Label
from audiogen.data.ingest.segmentation import attack_start, find_sounds, level_db, split_at_onsets
from audiogen.errors import FormatError

MIN_LENGTH_S = 0.1  # of a note; three periods of the lowest pitch
MAX_LENGTH_S = 10.0  # of a note's waveform; training uses its first four seconds
_LOUDNESS_S = 0.2  # the loudest stretch of this length gives a note's loudness
_MIN_TUNING_CONFIDENCE = 0.5  # of a measured pitch by which a note is tuned


@dataclass(frozen=True)
class LeftOut:
    """A file, or a part of one, from which no note was made.

    Parameters
    ----------
    file : str
        Path relative to the samples' folder.
    at_s : float or None, s
        Start of the part; None for the whole file.
    kind : str
        "unreadable", "silent", "too short", "duplicate", "unpitched", "out of range" or
        "not read".
    why : str
        Reason, as the end of a message about the file.
    """

    file: str
    at_s: float | None
    kind: str
    why: str


@dataclass
class ExtractedNote:
    """A note of a file.

    Parameters
    ----------
    file : str
        Path relative to the samples' folder.
    at_s : float or None, s
        Start of the note, if it is not the only one of its file.
    waveform : array [n_samples], float32
        Samples from the attack to silence, at the level of the file.
    measured : float, MIDI number
        Pitch that the tracker measured, or NaN.
    confidence : float, 0 to 1
        Confidence in the measured pitch; see `PitchTrack.pitch_between`.
    loudness_db : float, dB
        Level of the loudest 0.2 s.
    instrument : str
        Name from the subfolder or the table; empty for files outside subfolders.
    pitch : float, MIDI number, optional
        Pitch that the name or a table states.
    pitch_by : str
        "sound", "name", "number" or "table".
    velocity : int, optional
        Velocity that the name or a table states.
    round_robin : int, optional
        Number that the name states.
    """

    file: str
    at_s: float | None
    waveform: np.ndarray
    measured: float
    confidence: float
    loudness_db: float
    instrument: str
    pitch: float | None
    pitch_by: str
    velocity: int | None
    round_robin: int | None = None

    @property
    def key(self) -> int:
        """MIDI number of the nearest key."""
        return int(np.floor((self.measured if self.pitch is None else self.pitch) + 0.5))

    @property
    def cents(self) -> float | None:
        """Distance of the measured pitch from the key; None if uncertain or above 70 cents."""
        if self.confidence >= _MIN_TUNING_CONFIDENCE and abs(self.measured - self.key) < 0.7:
            return 100.0 * (self.measured - self.key)
        return None

    @property
    def key_hz(self) -> float:
        """Frequency of the key in equal temperament."""
        return float(440.0 * 2.0 ** ((self.key - 69) / 12.0))

    def tuned(self, sample_rate: int, tune: bool) -> np.ndarray:
        """Return the waveform, resampled so that its pitch is the key's if `tune` is true."""
        import soxr

        cents = self.cents
        if not tune or cents is None or abs(cents) < 3.0:  # below the just noticeable difference
            return self.waveform
        factor = 2.0 ** (-cents / 1200.0)  # a higher pitch makes it shorter
        return soxr.resample(self.waveform, sample_rate * factor, sample_rate)

    def left_out(self, kind: str, why: str) -> LeftOut:
        return LeftOut(self.file, self.at_s, kind, why)

    def row(self, velocity: int, shape: str, sample_rate: int) -> dict[str, Any]:
        """Return the note's entry in the report."""
        cents = self.cents
        return {
            "file": self.file,
            "at_s": self.at_s,
            "seconds": round(len(self.waveform) / sample_rate, 2),
            "instrument": self.instrument,
            "pitch": self.key,
            "pitch_by": self.pitch_by,
            "cents": None if cents is None else round(cents, 1),
            "confidence": round(self.confidence, 3),
            "velocity": velocity,
            "velocity_by": "loudness" if self.velocity is None else "name or table",
            "round_robin": self.round_robin,
            "loudness_db": round(self.loudness_db, 1),
            "shape": shape,
        }


def read_mono(path: Path) -> tuple[np.ndarray, int]:
    """Read a file as one channel at its own sample rate, without DC.

    Channels are averaged. If that cancels them by more than 6 dB, the loudest is taken.

    Raises
    ------
    FormatError
        If the file cannot be read.
    """
    channels, rate = read_channels(path)
    mono = channels.mean(axis=1)
    power = np.mean(np.square(channels, dtype=np.float64), axis=0)
    if np.mean(np.square(mono, dtype=np.float64)) < 0.25 * power.mean():
        mono = channels[:, int(np.argmax(power))]
    return mono - mono.mean(dtype=np.float64).astype(np.float32), rate


def extract_notes(
    path: Path,
    name: str,
    sample_rate: int,
    tracker: Tracker,
    named: Label,
    table: Label,
    files_by_content: dict[bytes, str],
) -> tuple[list[ExtractedNote], list[LeftOut]]:
    """Extract the notes of one file.

    Parameters
    ----------
    path : Path
        Sound file.
    name : str
        Path relative to the samples' folder.
    sample_rate : int, Hz
        Sample rate of the notes.
    tracker : "praat" or "pyin"
        Pitch tracker.
    named, table : Label
        Labels from the file's name and from a table, which takes precedence. The pitch of a name
        applies only to files of a single note.
    files_by_content : dict of bytes to str
        First file of each content so far; this file is added.

    Returns
    -------
    notes : list of ExtractedNote
    left_out : list of LeftOut
    """
    try:
        mono, rate = read_mono(path)
    except FormatError as error:
        # libsndfile's reason in brackets misleads: a damaged MP3 "does not exist".
        why = str(error).removeprefix(f"{path}: ").split(" (")[0]
        return [], [LeftOut(name, None, "unreadable", why)]
    sounds = find_sounds(mono, rate)
    if not sounds:
        return [], [LeftOut(name, None, "silent", "is silent")]
    trimmed = np.round(mono[sounds[0][0] : sounds[-1][1]] * 32767.0).astype(np.int32)
    digest = hashlib.sha256(b"%d:" % rate + trimmed.tobytes()).digest()
    first = files_by_content.setdefault(digest, name)
    if first != name:
        return [], [LeftOut(name, None, "duplicate", f"has the same samples as {first}")]
    waveform = resample(mono, rate, sample_rate)
    track = track_pitch(waveform, sample_rate, tracker)
    parts = [
        part
        for start, end in find_sounds(waveform, sample_rate)
        for part in split_at_onsets(waveform, sample_rate, start, end, track)
    ]
    stated = table if table.pitch is not None else named if len(parts) == 1 else Label()
    notes: list[ExtractedNote] = []
    left_out: list[LeftOut] = []
    for start, end in parts:
        at_s = round(start / sample_rate, 3) if len(parts) > 1 else None
        if end - start < MIN_LENGTH_S * sample_rate:
            seconds = (end - start) / sample_rate
            why = f"lasts {seconds:.2f} s; notes must last {MIN_LENGTH_S} s or more"
            left_out.append(LeftOut(name, at_s, "too short", why))
            continue
        measured, confidence = track.pitch_between(start, end, sample_rate)
        sound = waveform[start : min(end, start + round(MAX_LENGTH_S * sample_rate))]
        sound = sound[attack_start(sound, sample_rate) :]
        notes.append(
            ExtractedNote(
                file=name,
                at_s=at_s,
                waveform=sound.astype(np.float32),
                measured=measured,
                confidence=confidence,
                loudness_db=float(level_db(sound, sample_rate, _LOUDNESS_S).max()),
                instrument=table.instrument or name.rpartition("/")[0],
                pitch=stated.pitch,
                pitch_by=stated.by or "sound",
                velocity=table.velocity if table.velocity is not None else named.velocity,
                round_robin=named.round_robin,
            )
        )
    return notes, left_out
