"""Sounds of the studies: notes of a Debian sound bank, or parametric notes for the smoke size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr

from audiogen.data.notes.nsynth import NoteSet, SetWriter, read_notes
from audiogen.data.render.soundfont import render_soundfont
from audiogen.data.toy_notes import FAMILIES, SAMPLE_RATE, draw_notes
from audiogen.errors import ParameterError
from audiogen.evaluation.domains.banks import KNOWN_BANKS
from audiogen.representation.harmonic import pitch_to_hz

FEW_PROGRAMS = (11, 19, 56, 73)  # vibraphone, organ, trumpet, flute
FEW_PITCHES = (48, 72)
BRASS, UNTRAINED_VELOCITIES = range(56, 64), (70, 110)
HELD_S = 3.2  # length of a tone
BANK_PITCHES = (24, 84)
NOTE_RATE = 16000  # Hz
N_PARAMETRIC = 24


def bank_file(name: str) -> Path:
    """Return the file of a sound bank of `KNOWN_BANKS`.

    Raises
    ------
    ParameterError
        If it is not installed.
    """
    bank = KNOWN_BANKS[name]
    if not Path(bank.file).exists():
        raise ParameterError(f"{bank.file} not found; apt install {bank.package}")
    return Path(bank.file)


def few_instruments(folder: Path, size: str, seed: int) -> NoteSet:
    """Return notes of four instruments of FluidR3 over two octaves; parametric ones for smoke.

    Parameters
    ----------
    folder : Path
        Folder of the set; it is rendered if it doesn't exist.
    size : "smoke" or "full"
        Size of the study.
    seed : int
        Seed of the parametric notes.
    """
    if size == "smoke":
        return parametric_notes(folder, N_PARAMETRIC, seed)
    return bank_notes(folder, FEW_PROGRAMS, (90,), FEW_PITCHES)


def bank_notes(
    folder: Path, programs: Sequence[int], velocities: Sequence[int], pitches: tuple[int, int]
) -> NoteSet:
    """Render programs of FluidR3 into a folder that doesn't exist yet, and read its notes."""
    if not folder.exists():
        render_soundfont(
            bank_file("fluid"),
            folder,
            programs=programs,
            velocities=velocities,
            pitches=pitches,
            sample_rate=NOTE_RATE,
            licence=KNOWN_BANKS["fluid"].licence,
        )
    return read_notes(folder)


def held_notes(folder: Path, size: str, n: int, seed: int) -> NoteSet:
    """Return FluidR3's brass at velocities 70 and 110; for smoke, n tones of 3 s.

    Parameters
    ----------
    folder : Path
        Folder of the set; it is rendered if it doesn't exist.
    size : "smoke" or "full"
        Size of the study.
    n : int
        Number of tones.
    seed : int
        Seed of the tones: half of them have vibrato.
    """
    if size != "smoke":
        return bank_notes(folder, BRASS, UNTRAINED_VELOCITIES, BANK_PITCHES)
    if not folder.exists():
        random = np.random.default_rng(seed)
        t = np.arange(round(HELD_S * NOTE_RATE)) / NOTE_RATE
        with SetWriter(folder, NOTE_RATE) as writer:
            for i in range(n):
                pitch = 55 + i % 12
                vibrato = 0.004 * (i % 2) * np.sin(2.0 * np.pi * 5.0 * t + random.uniform(0.0, 6.0))
                phase = 2.0 * np.pi * np.cumsum(pitch_to_hz(pitch) * (1.0 + vibrato)) / NOTE_RATE
                sound = sum(np.sin(h * phase + h**2) / h for h in range(1, 9))
                sound = 0.2 * sound * (1.0 - np.exp(-t / 0.02)) * np.exp(-t)
                writer.add(
                    sound + 1e-3 * random.standard_normal(len(t)),
                    instrument="synth_synthetic_tone",
                    family="synth_lead",
                    source="synthetic",
                    pitch=pitch,
                    velocity=100,
                    qualities=[0] * 10,
                )
    return read_notes(folder)


def drawn_notes(
    folder: Path, n: int, seed: int, seconds: float
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Draw notes of a set.

    Parameters
    ----------
    folder : Path
        Folder of the set.
    n : int
        Number of notes, at most.
    seed : int
        Seed of the draw.
    seconds : float, s
        Length of the padded notes.

    Returns
    -------
    notes : list of ndarray [n_samples]
        The notes.
    padded : ndarray [n_notes, n_samples]
        Their beginnings, padded with silence.
    pitches : ndarray [n_notes], MIDI numbers
        Their pitches.
    """
    chosen = read_notes(folder, sample_rate=NOTE_RATE)
    order = np.random.default_rng(seed).permutation(len(chosen))[:n]
    infos = [chosen.notes[index] for index in order]
    notes, end = [chosen.waveform(info) for info in infos], round(seconds * NOTE_RATE)
    padded = np.stack([np.pad(note, (0, end))[:end] for note in notes])
    return notes, padded, np.array([info.pitch for info in infos], float)


def parametric_notes(folder: Path, n: int, seed: int) -> NoteSet:
    """Write n notes of `draw_notes` into a folder that doesn't exist yet, and read them."""
    if not folder.exists():
        notes = draw_notes(n, seed)
        with SetWriter(folder, NOTE_RATE) as writer:
            for sound, pitch, family in zip(
                notes.sounds, notes.pitches, notes.families, strict=True
            ):
                writer.add(
                    soxr.resample(sound, SAMPLE_RATE, NOTE_RATE),
                    instrument=f"synth_synthetic_{FAMILIES[family]}",
                    family="synth_lead",
                    source="synthetic",
                    pitch=int(pitch),
                    velocity=100,
                    qualities=[0] * 10,
                )
    return read_notes(folder)
