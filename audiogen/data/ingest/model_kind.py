"""Which family of networks suits a folder of sounds, and why."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.audio.files import resample
from audiogen.audio.pitch import best_tracker, track_pitch
from audiogen.data.file_search import sounds_in
from audiogen.data.ingest.extraction import SHORTEST_S, read_mono
from audiogen.data.ingest.folder import MIN_CONFIDENCE, is_set
from audiogen.data.ingest.labels import label_from_name
from audiogen.data.ingest.segmentation import sounding, split_at_onsets
from audiogen.data.subset import evenly
from audiogen.errors import FormatError

MOST_FILES, LONGEST_S = 24, 8.0  # that are listened to, and of each
SHORTEST_NOTE_S = 0.25  # half of a folder's notes last as long; syllables and hits don't
LEAST_PITCHED = 0.5  # of what sounds
_RATE = 16000


def choose_family(folder: str | PathLike[str]) -> tuple[str, str]:
    """Listen to some of a folder's files and choose a family of networks.

    Where at least half of what sounds is single notes with a pitch, and half of these last a
    quarter of a second, a GANSynth makes an instrument of them; else (speech, texture, percussion,
    music) a SampleRNN learns how the sound goes on.

    Parameters
    ----------
    folder : str or PathLike
        A set of notes, or a folder of sound files.

    Returns
    -------
    family : str
        "gansynth" or "samplernn".
    why : str
        One sentence.

    Raises
    ------
    FormatError
        If the folder is missing or holds no sound that can be read.
    """
    folder = Path(folder)
    if is_set(folder):
        return "gansynth", f"{folder} is a set of single notes with their pitches"
    paths, _ = sounds_in(folder)
    chosen = evenly(paths, MOST_FILES)
    tracker = best_tracker()
    whole = pitched = 0.0  # seconds of sound; long files count for all their length
    lengths: list[float] = []
    n_heard = 0
    for path in chosen:
        try:
            mono, rate = read_mono(path)
        except FormatError:
            continue
        longest = round(LONGEST_S * rate)
        first = max(0, (len(mono) - longest) // 3)
        part = resample(mono[first : first + longest], rate, _RATE)
        runs = sounding(part, _RATE)
        if not runs:
            continue
        n_heard += 1
        weight = max(1.0, len(mono) / longest)
        track = track_pitch(part, _RATE, tracker)
        pieces = [p for a, b in runs for p in split_at_onsets(part, _RATE, a, b, track)]
        named = len(pieces) == 1 and label_from_name(path.stem).by == "name"
        for start, end in pieces:
            seconds = (end - start) / _RATE
            whole += weight * seconds
            sure = track.pitch_between(start, end, _RATE)[1] >= MIN_CONFIDENCE
            if seconds >= SHORTEST_S and (sure or named):
                pitched += weight * seconds
                lengths.append(seconds)
    if not n_heard:
        raise FormatError(f"{folder}: none of its {len(paths)} sound files can be used")
    share = pitched / whole
    length = float(np.median(lengths)) if lengths else 0.0
    heard = f"{share:.0%} of what sounds in {n_heard} of its {len(paths)} files is single notes"
    if share >= LEAST_PITCHED and length >= SHORTEST_NOTE_S:
        return "gansynth", f"{heard} with a pitch, which make an instrument"
    if share >= LEAST_PITCHED:
        return "samplernn", f"{heard}, but they are as short as syllables ({length:.2f} s)"
    return "samplernn", f"only {heard} with a pitch; the rest is speech, texture, noise or chords"
