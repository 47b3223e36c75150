"""Choice of the model kind, gansynth or samplernn, that suits a folder of sounds."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.audio.files import resample
from audiogen.audio.pitch import best_tracker, track_pitch
from audiogen.core.counting import counted
from audiogen.data.file_search import find_sound_files
from audiogen.data.ingest.extraction import MIN_LENGTH_S, read_mono
from audiogen.data.ingest.folder import MIN_CONFIDENCE
from audiogen.data.ingest.labels import label_from_name
from audiogen.data.ingest.segmentation import find_sounds, split_at_onsets
from audiogen.data.notes.nsynth import is_note_set
from audiogen.data.subset import evenly_spaced
from audiogen.errors import FormatError

MAX_FILES, MAX_LENGTH_S = 24, 8.0  # analysed files, and the part of each
MIN_NOTE_S = 0.25  # median length of notes; syllables and drum hits are shorter
MIN_PITCHED_SHARE = 0.5  # of the sound
_RATE = 16000


def choose_kind(folder: str | PathLike[str]) -> tuple[str, str]:
    """Analyse some of a folder's files and choose a kind of model.

    The kind is gansynth if at least half of the sound is single notes with a pitch, with a median
    length of a quarter of a second. Speech, textures, percussion and music want samplernn.

    Parameters
    ----------
    folder : str or PathLike
        Note set, or folder of sound files.

    Returns
    -------
    kind : str
        "gansynth" or "samplernn".
    why : str
        Reason for the choice.

    Raises
    ------
    FormatError
        If the folder is missing or holds no readable sound.
    """
    folder = Path(folder)
    if is_note_set(folder):
        return "gansynth", f"{folder} is a set of single notes with their pitches"
    paths, _ = find_sound_files(folder)
    tracker = best_tracker()
    total_s = pitched_s = 0.0  # weighted by the length of the file
    lengths: list[float] = []
    n_used = 0
    for path in evenly_spaced(paths, MAX_FILES):
        try:
            mono, rate = read_mono(path)
        except FormatError:
            continue
        max_length = round(MAX_LENGTH_S * rate)
        first = max(0, (len(mono) - max_length) // 3)
        part = resample(mono[first : first + max_length], rate, _RATE)
        sounds = find_sounds(part, _RATE)
        if not sounds:
            continue
        n_used += 1
        weight = max(1.0, len(mono) / max_length)
        track = track_pitch(part, _RATE, tracker)
        notes = [note for a, b in sounds for note in split_at_onsets(part, _RATE, a, b, track)]
        is_named = len(notes) == 1 and label_from_name(path.stem).by == "name"
        for start, end in notes:
            seconds = (end - start) / _RATE
            total_s += weight * seconds
            is_pitched = track.pitch_between(start, end, _RATE)[1] >= MIN_CONFIDENCE
            if seconds >= MIN_LENGTH_S and (is_pitched or is_named):
                pitched_s += weight * seconds
                lengths.append(seconds)
    if not n_used:
        raise FormatError(f"{folder}: none of its {counted(len(paths), 'sound file')} can be used")
    share = pitched_s / total_s
    length_s = float(np.median(lengths)) if lengths else 0.0
    measured = (
        f"{share:.0%} of the sound in {n_used} of its {counted(len(paths), 'file')} is single notes"
    )
    if share >= MIN_PITCHED_SHARE and length_s >= MIN_NOTE_S:
        return "gansynth", f"{measured} with a pitch, which make an instrument"
    if share >= MIN_PITCHED_SHARE:
        return "samplernn", f"{measured}, but they are as short as syllables ({length_s:.2f} s)"
    return (
        "samplernn",
        f"only {measured} with a pitch; the rest is speech, texture, noise or chords",
    )
