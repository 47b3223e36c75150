"""A MIDI file from the page becomes timed MIDI messages, as if a keyboard played it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from audiogen.errors import MidiError, ParameterError
from audiogen.notes import Score, music_of, read_midi

MAX_FILE_BYTES = 1 << 20
MAX_NOTES = 50_000

TimedMessage = tuple[int, bytes]  # sample from the start of the file, one MIDI message


def read_file(data: bytes, for_kit: bool = False) -> tuple[Score, int]:
    """Read a standard MIDI file without its drums, or for a drum kit without all else.

    A drum kit plays all notes of a file that has no drums.

    Parameters
    ----------
    data : bytes
        The whole file, at most `MAX_FILE_BYTES`.
    for_kit : bool
        Whether a drum kit plays it.

    Returns
    -------
    score : Score
        1 to `MAX_NOTES` notes.
    n_drums : int
        Number of drum notes that were left out.

    Raises
    ------
    MidiError
        If the file is damaged or has no notes.
    ParameterError
        If the file is too large, or has only drum notes and no drum kit plays it.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ParameterError(
            f"the MIDI file has {len(data)} bytes; it must have at most {MAX_FILE_BYTES}"
        )
    with tempfile.TemporaryDirectory(prefix="audiogen-") as folder:
        path = Path(folder) / "file.mid"
        path.write_bytes(data)
        try:
            score = read_midi(path)
        except MidiError as error:
            raise MidiError(str(error).replace(f"{path}: ", "the file ")) from None
    if for_kit:
        drums = [note for note in score.notes if note.is_drum] or score.notes
        music, n_drums = Score(drums, score.controls), 0
    else:
        alone = "the MIDI file has only drum notes; choose a drum kit"
        music, n_drums = music_of(score, alone)
    if len(music) > MAX_NOTES:
        raise ParameterError(
            f"the MIDI file has {len(music)} notes; at most {MAX_NOTES} are played"
        )
    return music, n_drums


def timed_messages(score: Score, sample_rate: int) -> list[TimedMessage]:
    """MIDI messages of a score in order: at one sample note-offs, then controls, then note-ons.

    Parameters
    ----------
    score : Score
        Notes of a MIDI file, with whole pitches.
    sample_rate : int, Hz
        Rate of the positions.

    Returns
    -------
    list of (int, bytes)
        Sample from the start of the file, and one message. Program changes are sent where a
        channel's program changes; none if the whole score has program 0, which is also what a file
        without programs has.
    """
    ranked: list[tuple[int, int, int, bytes]] = []
    programs: dict[int, int] = {}
    has_programs = score.programs != (0,)
    for i, note in enumerate(score.notes):
        start = round(note.start_s * sample_rate)
        end = max(start + 1, round(note.end_s * sample_rate))
        key, velocity = round(note.pitch), max(1, round(127 * note.velocity))
        if has_programs and programs.get(note.channel) != note.program:
            programs[note.channel] = note.program
            ranked.append((start, 2, i, bytes((0xC0 | note.channel, note.program))))
        ranked.append((start, 2, i, bytes((0x90 | note.channel, key, velocity))))
        ranked.append((end, 0, i, bytes((0x80 | note.channel, key, 0))))
    for i, control in enumerate(score.controls):
        ranked.append((round(control.time_s * sample_rate), 1, i, control.message))
    ranked.sort(key=lambda entry: entry[:3])
    return [(sample, message) for sample, _, _, message in ranked]
