"""Short notes of a sound bank, a .sf2 file or a folder of GUS patches: some keys per program."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.files import resample
from audiogen.data.render.gus_patch import nearest_sample, play_patch, read_patch, read_patch_bank
from audiogen.data.render.midi_renderer import (
    RENDER_RATE,
    SILENT_PEAK,
    VOLUMES,
    is_clipped,
    louder_channel,
    midi_file,
    render_midi,
)
from audiogen.data.render.sf2 import SoundFont, read_soundfont
from audiogen.data.render.soundfont import MAX_TRANSPOSE_SEMITONES, usable_keys
from audiogen.errors import FormatError
from audiogen.notes.general_midi import UNPITCHED

VELOCITIES = (60, 90, 120)
HIGHEST_PROGRAM = 111  # programs above are percussion and effects
_AT_ONCE = 128  # notes in one MIDI file; the font is read for each file
_GAP_S = 0.6  # silence between notes, in which their releases end
_PROGRAM_CHANGE_S = 0.1  # before the note


@dataclass(frozen=True)
class _Request:
    """Notes to render; the fields are parameters of `render_bank`."""

    n_keys: int
    pitches: tuple[int, int]
    seconds: float
    sample_rate: int
    without: frozenset[int]
    seed: int
    progress: Callable[[int, int], None]


@dataclass(frozen=True)
class BankNotes:
    """Notes of a bank.

    Parameters
    ----------
    waveforms : array [n_notes, n_samples], float32
        Waveforms, with the key held to the end.
    programs, pitches, velocities : array [n_notes], int
        General MIDI program, key and velocity; the velocity of patches, which have no layers, is 0.
    licence : str
        The bank's statement on its licence.
    """

    waveforms: np.ndarray
    programs: np.ndarray
    pitches: np.ndarray
    velocities: np.ndarray
    licence: str


def render_bank(
    path: str | PathLike[str],
    *,
    n_keys: int,
    pitches: tuple[int, int],
    seconds: float,
    sample_rate: int = 16000,
    without: Collection[int] = (),
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BankNotes:
    """Render keys drawn at random of each pitched program of a bank.

    Parameters
    ----------
    path : path
        A .sf2 file, or a folder of GUS patches.
    n_keys : int
        Largest number of keys of each program; those far from a recorded key are never drawn.
    pitches : tuple[int, int], MIDI numbers
        Lowest and highest key, both included.
    seconds : float, s
        Length of a note.
    sample_rate : int, Hz
        Sample rate of the notes.
    without : collection of int
        Programs that are left out.
    seed : int
        Seed of keys and velocities.
    progress : callable
        Function of (notes done, total).

    Raises
    ------
    FormatError
        If the bank can't be read, or has no pitched program.
    MissingPackageError
        If midirenderer is not installed, which renders .sf2 files.
    """
    path = Path(path)
    render = _render_patches if path.is_dir() else _render_font
    request = _Request(n_keys, pitches, seconds, sample_rate, frozenset(without), seed, progress)
    notes = render(path, request)
    if not len(notes.waveforms):
        raise FormatError(f"{path}: has no audible note of a pitched program within {pitches}")
    return notes


def _draw_keys(
    keys: list[tuple[int, int]], n_keys: int, random: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw (pitch, velocity) pairs with different pitches."""
    chosen = random.permutation(sorted({pitch for pitch, _ in keys}))[:n_keys]
    pairs = []
    for pitch in sorted(chosen):
        velocities = [velocity for key, velocity in keys if key == pitch]
        pairs.append((int(pitch), int(random.choice(velocities))))
    return pairs


def _render_font(path: Path, request: _Request) -> BankNotes:
    font = read_soundfont(path)
    random = np.random.default_rng(request.seed)
    left_out = UNPITCHED | request.without
    keys: list[tuple[int, int, int]] = []
    for bank, program in sorted(font.presets):
        if bank == 0 and program <= HIGHEST_PROGRAM and program not in left_out:
            usable = usable_keys(font.presets[0, program], request.pitches, VELOCITIES)
            keys += [(program, *pair) for pair in _draw_keys(usable, request.n_keys, random)]
    parts = []
    for first in range(0, len(keys), _AT_ONCE):
        request.progress(first, len(keys))
        some = keys[first : first + _AT_ONCE]
        parts.append(_render_keys(font, some, request.seconds, request.sample_rate))
    request.progress(len(keys), len(keys))
    return _audible(np.concatenate(parts) if parts else np.zeros((0, 1)), keys, font.licence)


def _render_keys(
    font: SoundFont, keys: list[tuple[int, int, int]], seconds: float, sample_rate: int
) -> np.ndarray:
    """Return waveforms [n_keys, n_samples] of (program, pitch, velocity), from one MIDI file."""
    import mido

    slot_s = seconds + _GAP_S
    events: list[tuple[float, Any]] = []
    for index, (program, pitch, velocity) in enumerate(keys):
        onset_s = (index + 1) * slot_s
        events += [
            (onset_s - _PROGRAM_CHANGE_S, mido.Message("control_change", control=120, value=0)),
            (onset_s - _PROGRAM_CHANGE_S, mido.Message("program_change", program=program)),
            (onset_s, mido.Message("note_on", note=pitch, velocity=velocity)),
            (onset_s + seconds, mido.Message("note_off", note=pitch, velocity=64)),
        ]
    events.append(((len(keys) + 1) * slot_s, mido.Message("control_change", control=120, value=0)))
    for volume in VOLUMES:
        audio = render_midi(font, midi_file(font.presets[0, keys[0][0]], events, volume))
        if not is_clipped(audio):
            break
    slot, length = (round(s * RENDER_RATE) for s in (slot_s, seconds))
    notes = np.zeros((len(keys), round(seconds * sample_rate)), np.float32)
    for index in range(len(keys)):
        stereo = audio[(index + 1) * slot : (index + 1) * slot + length] / np.float32(32768)
        note = resample(louder_channel(stereo), RENDER_RATE, sample_rate)[: notes.shape[1]]
        notes[index, : len(note)] = note
    return notes


def _render_patches(folder: Path, request: _Request) -> BankNotes:
    random = np.random.default_rng(request.seed)
    patches = read_patch_bank(folder)
    programs = sorted(set(patches) - UNPITCHED - request.without)
    programs = [program for program in programs if program <= HIGHEST_PROGRAM]
    waveforms, keys = [], []
    for done, program in enumerate(programs):
        request.progress(done, len(programs))
        samples = read_patch(patches[program])
        usable = [
            (pitch, 0)
            for pitch in range(request.pitches[0], request.pitches[1] + 1)
            if abs(nearest_sample(samples, pitch).recorded_key - pitch) <= MAX_TRANSPOSE_SEMITONES
        ]
        for pitch, velocity in _draw_keys(usable, request.n_keys, random):
            waveforms.append(play_patch(samples, pitch, request.seconds, request.sample_rate))
            keys.append((program, pitch, velocity))
    request.progress(len(programs), len(programs))
    return _audible(np.stack(waveforms) if waveforms else np.zeros((0, 1)), keys, "not stated")


def _audible(waveforms: np.ndarray, keys: list[tuple[int, int, int]], licence: str) -> BankNotes:
    kept = np.abs(waveforms).max(axis=1, initial=0.0) > SILENT_PEAK
    programs, pitches, velocities = np.array(keys, dtype=int).reshape(-1, 3)[kept].T
    return BankNotes(waveforms[kept].astype(np.float32), programs, pitches, velocities, licence)
