"""One sound file of a musician's: decoded, cut at silences and onsets, each note measured."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.files import read_channels, resample
from audiogen.audio.pitch import track_pitch
from audiogen.data.ingest.labels import Label, label_from_name
from audiogen.data.ingest.segmentation import attack_of, level_db, sounding, split_at_onsets
from audiogen.errors import FormatError

SHORTEST_S = 0.1  # of a note; four periods of the lowest pitch
LONGEST_S = 10.0  # of a note that is kept; four seconds of it are heard
_LOUDNESS_S = 0.2  # of the loudest stretch, which is what a note's loudness is taken from
_SURE = 0.5  # confidence from which on a measured pitch may tune a note


@dataclass(frozen=True)
class LeftOut:
    """A file, or a stretch of one, that made no note.

    Parameters
    ----------
    file : str
    at_s : float or None, s
        Where in the file; None for the whole.
    kind : str
        "unreadable", "silent", "too short", "duplicate", "unpitched", "out of range" or
        "not read".
    why : str
    """

    file: str
    at_s: float | None
    kind: str
    why: str


@dataclass
class Found:
    """A note that was found in a file.

    Parameters
    ----------
    file : str
    at_s : float or None, s
        Where in the file, if it isn't the only note of it.
    waveform : array [n_samples], float32
        From the attack to silence, as loud as in the file.
    measured : float, MIDI number
        What the tracker hears, or NaN.
    confidence : float, 0 to 1
    loudness_db : float, dB
    instrument : str
        The subfolder, or what a table says; empty right in the folder.
    pitch : float, MIDI number, optional
        What the name or a table says.
    pitch_by : str
        "sound", "name", "number" or "table".
    velocity : int, optional
        What the name or a table says.
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

    @property
    def key(self) -> int:
        """The MIDI number that it is learned as."""
        return int(np.floor((self.measured if self.pitch is None else self.pitch) + 0.5))

    @property
    def cents(self) -> float | None:
        """How far it sounds from its key, if that is sure and less than 70 cents."""
        if self.confidence >= _SURE and abs(self.measured - self.key) < 0.7:
            return 100.0 * (self.measured - self.key)
        return None

    @property
    def hz(self) -> float:
        return float(440.0 * 2.0 ** ((self.key - 69) / 12.0))

    def tuned(self, sample_rate: int, tune: bool) -> np.ndarray:
        """The note as it is, or brought to its key by resampling."""
        import soxr

        cents = self.cents
        if not tune or cents is None or abs(cents) < 3.0:  # less is hardly heard
            return self.waveform
        factor = 2.0 ** (-cents / 1200.0)  # higher pitches are shorter
        return soxr.resample(self.waveform, sample_rate * factor, sample_rate)

    def left_out(self, kind: str, why: str) -> LeftOut:
        return LeftOut(self.file, self.at_s, kind, why)

    def row(self, velocity: int, how: str, sample_rate: int) -> dict[str, Any]:
        """What the report says of it."""
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
            "loudness_db": round(self.loudness_db, 1),
            "shape": how,
        }


def read_mono(path: Path) -> tuple[np.ndarray, int]:
    """Read a file as one channel, at its own rate, without its constant part.

    Channels are averaged; where they would cancel each other (by more than 6 dB), the loudest is
    taken alone.

    Raises
    ------
    FormatError
        If it can't be read.
    """
    channels, rate = read_channels(path)
    mono = channels.mean(axis=1)
    power = np.mean(np.square(channels, dtype=np.float64), axis=0)
    if np.mean(np.square(mono, dtype=np.float64)) < 0.25 * power.mean():
        mono = channels[:, int(np.argmax(power))]
    return mono - mono.mean(dtype=np.float64).astype(np.float32), rate


def find_in_file(
    path: Path,
    name: str,
    sample_rate: int,
    tracker: str,
    label: Label | None,
    seen: dict[bytes, str],
) -> tuple[list[Found], list[LeftOut]]:
    """Find the notes of one file.

    Parameters
    ----------
    path : Path
    name : str
        Relative to the samples' folder.
    sample_rate : int, Hz
        Of the notes.
    tracker : str
        See `pitch_track.track_pitch`.
    label : Label or None
        What a table says; the file's name tells what that leaves open.
    seen : dict of bytes to str
        The sounds so far and their files; this one is added.

    Returns
    -------
    found : list of Found
    left_out : list of LeftOut
    """
    try:
        mono, rate = read_mono(path)
    except FormatError as error:
        # What libsndfile says in brackets misleads: a broken MP3 "does not exist".
        why = str(error).removeprefix(f"{path}: ").split(" (")[0]
        return [], [LeftOut(name, None, "unreadable", why)]
    runs = sounding(mono, rate)
    if not runs:
        return [], [LeftOut(name, None, "silent", "is silent")]
    kept = np.round(mono[runs[0][0] : runs[-1][1]] * 32767.0).astype(np.int32)
    digest = hashlib.sha256(b"%d:" % rate + kept.tobytes()).digest()
    first = seen.setdefault(digest, name)
    if first != name:
        return [], [LeftOut(name, None, "duplicate", f"has the same samples as {first}")]
    parent = name.rpartition("/")[0]
    waveform = resample(mono, rate, sample_rate)
    track = track_pitch(waveform, sample_rate, tracker)
    pieces = [
        piece
        for start, end in sounding(waveform, sample_rate)
        for piece in split_at_onsets(waveform, sample_rate, start, end, track)
    ]
    named = label_from_name(path.stem)
    table = label or Label()
    several = len(pieces) > 1
    found: list[Found] = []
    left_out: list[LeftOut] = []
    for start, end in pieces:
        at_s = round(start / sample_rate, 3) if several else None
        if end - start < SHORTEST_S * sample_rate:
            seconds = (end - start) / sample_rate
            why = f"lasts {seconds:.2f} s; {SHORTEST_S} s or more are wanted"
            left_out.append(LeftOut(name, at_s, "too short", why))
            continue
        measured, confidence = track.pitch_between(start, end, sample_rate)
        sound = waveform[start : min(end, start + round(LONGEST_S * sample_rate))]
        sound = sound[attack_of(sound, sample_rate) :]
        stated = table if table.pitch is not None else Label() if several else named
        velocity = table.velocity if table.velocity is not None else named.velocity
        found.append(
            Found(
                file=name,
                at_s=at_s,
                waveform=sound.astype(np.float32),
                measured=measured,
                confidence=confidence,
                loudness_db=float(level_db(sound, sample_rate, _LOUDNESS_S).max()),
                instrument=table.instrument or parent,
                pitch=stated.pitch,
                pitch_by=stated.by or "sound",
                velocity=velocity,
            )
        )
    return found, left_out
