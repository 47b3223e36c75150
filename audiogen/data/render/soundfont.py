"""Rendering of a soundfont into a note set in NSynth's layout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

import numpy as np

from audiogen.audio.files import check_sample_rate, resample
from audiogen.data.notes.families import family_of, source_of
from audiogen.data.notes.nsynth import NOTE_ON_S, NOTE_S, PEAK, SetWriter
from audiogen.data.notes.qualities import measure_qualities
from audiogen.data.notes.splits import FRACTIONS, SPLIT, draw_split
from audiogen.data.render.midi_renderer import (
    RENDER_RATE,
    SILENT_PEAK,
    VOLUMES,
    is_clipped,
    louder_channel,
    midi_file,
    render_midi,
)
from audiogen.data.render.sf2 import PERCUSSION_BANK, FontPreset, SoundFont, read_soundfont
from audiogen.data.source_toml import NOTES_TOML, toml_text
from audiogen.errors import ParameterError
from audiogen.notes import DRUM_CHANNEL
from audiogen.notes.general_midi import UNPITCHED, sounding_pitch

MAX_TRANSPOSE_SEMITONES = 7.0  # beyond, formants and attacks no longer fit the pitch
MAX_SHIFT = 48  # largest distance of a sounding pitch from its key, semitones
LARGEST_FRACTION = 0.1  # of a pitch that counts as a whole number

_AT_ONCE = 64  # notes in one MIDI file: 54 MB of audio
_SLOT_S = NOTE_S + 0.4  # from one onset to the next: the note, then silence


@dataclass(frozen=True)
class RenderedInstrument:
    """Notes of one preset of a font.

    Parameters
    ----------
    preset : FontPreset
        Preset that was rendered.
    waveforms : array [n_notes, n_samples], float32
        Full scale is 1; the gain is applied.
    pitches, velocities : array [n_notes], int, MIDI numbers
        Sounding pitch and velocity of each note.
    gain_db : float, dB
        Gain of the whole instrument, by which its loudest note peaks at `PEAK`.
    n_silent : int
        Number of notes that were left out because they are silent.
    transpose : int, semitones
        Sounding pitch minus key, at `MIDDLE_KEY`.
    """

    preset: FontPreset
    waveforms: np.ndarray
    pitches: np.ndarray
    velocities: np.ndarray
    gain_db: float
    n_silent: int
    transpose: int = 0


def usable_keys(
    preset: FontPreset,
    pitches: tuple[int, int],
    velocities: Sequence[int],
    max_transpose_semitones: float = MAX_TRANSPOSE_SEMITONES,
) -> list[tuple[int, int]]:
    """Return the (pitch, velocity) pairs that a preset plays near a recorded key.

    Examples
    --------
    >>> from audiogen.data.render.sf2 import FontPreset, Zone
    >>> preset = FontPreset(0, 0, "One key", (Zone((0, 127), (0, 127), 60.0),))
    >>> usable_keys(preset, (24, 55), [100])
    [(53, 100), (54, 100), (55, 100)]
    """
    return [
        (pitch, velocity)
        for pitch in range(pitches[0], pitches[1] + 1)
        for velocity in velocities
        if math.isfinite(distance := preset.distance_semitones(pitch, velocity))
        and distance <= max_transpose_semitones
    ]


def render_instrument(
    font: SoundFont,
    preset: FontPreset,
    keys: Sequence[tuple[int, int]],
    sample_rate: int = 32000,
    transpose: int = 0,
) -> RenderedInstrument:
    """Render the given (key, velocity) pairs of one preset.

    ``transpose`` is that of `sounding_pitch`; keys are as far apart as the font says, where its
    zones differ as in the widest one. Each note lasts `NOTE_S` with its release at `NOTE_ON_S`,
    without reverb and chorus. All notes use the channel with more energy over the whole instrument.

    Raises
    ------
    MissingPackageError
        If midirenderer is not installed.
    FormatError
        If the renderer refuses the font.
    """
    notes = louder_channel(render_keys(font, preset, keys, sample_rate))
    peaks = np.max(np.abs(notes), axis=1, initial=0.0)
    kept = peaks > SILENT_PEAK
    gain = PEAK / float(np.max(peaks, initial=SILENT_PEAK))
    velocities = np.array([velocity for _, velocity in keys], int)
    pitches = np.array(
        [sounding_pitch(key, transpose, preset.semitones_per_key) for key, _ in keys]
    )
    return RenderedInstrument(
        preset,
        (notes[kept] * gain).astype(np.float32),
        pitches[kept].round().astype(int),
        velocities[kept],
        float(20 * np.log10(gain)),
        int(np.sum(~kept)),
        transpose,
    )


def render_keys(
    font: SoundFont, preset: FontPreset, keys: Sequence[tuple[int, int]], sample_rate: int
) -> np.ndarray:
    """Render (pitch, velocity) pairs at the highest volume at which none clips.

    Returns
    -------
    array [n_keys, n_samples, 2], float32
    """
    stereo = np.zeros((0, round(NOTE_S * sample_rate), 2), np.float32)
    batches = [keys[first : first + _AT_ONCE] for first in range(0, len(keys), _AT_ONCE)]
    for volume in VOLUMES if batches else ():
        rendered = [_render(font, preset, batch, volume, sample_rate) for batch in batches]
        stereo = np.concatenate([notes for notes, _ in rendered])
        if not any(clipped for _, clipped in rendered):
            break
    return stereo


def _render(
    font: SoundFont,
    preset: FontPreset,
    keys: Sequence[tuple[int, int]],
    volume: int,
    sample_rate: int,
) -> tuple[np.ndarray, bool]:
    """Return samples [n_notes, n_samples, 2], float32, and whether any of them is clipped."""
    audio = render_midi(font, _midi(preset, keys, volume))
    slot, length = (round(s * RENDER_RATE) for s in (_SLOT_S, NOTE_S))
    notes = np.zeros((len(keys), round(NOTE_S * sample_rate), 2), np.float32)
    for index in range(len(keys)):
        note = audio[(index + 1) * slot : (index + 1) * slot + length] / np.float32(32768)
        note = resample(note, RENDER_RATE, sample_rate)[: notes.shape[1]]
        notes[index, : len(note)] = note
    return notes, is_clipped(audio)


def _midi(preset: FontPreset, keys: Sequence[tuple[int, int]], volume: int) -> bytes:
    """Return a MIDI file that plays the keys one after the other, in slots of `_SLOT_S`."""
    import mido

    channel = DRUM_CHANNEL if preset.bank == PERCUSSION_BANK else 0
    silence = mido.Message("control_change", control=120, value=0, channel=channel)  # at once
    events: list[tuple[float, Any]] = []
    for index, (pitch, velocity) in enumerate(keys):
        onset_s = (index + 1) * _SLOT_S
        press = mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)
        release = mido.Message("note_off", note=pitch, velocity=64, channel=channel)
        events += [(onset_s, press), (onset_s + NOTE_ON_S, release)]
        events.append((onset_s + NOTE_S + 0.1, silence))
    events.append(((len(keys) + 1) * _SLOT_S, silence))
    return midi_file(preset, events, volume, (channel,))


def render_soundfont(
    font: str | PathLike[str],
    folder: str | PathLike[str],
    *,
    programs: Sequence[int] = (),
    velocities: Sequence[int] = (50, 90, 127),
    pitches: tuple[int, int] = (24, 84),
    sample_rate: int = 32000,
    max_transpose_semitones: float = MAX_TRANSPOSE_SEMITONES,
    all_keys: Sequence[int] = (),
    transpose: Mapping[int, int] | None = None,
    licence: str | None = None,
    split_by: Literal["note", "instrument"] = "instrument",
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> int:
    """Render presets of a soundfont into a note set in NSynth's layout.

    Parameters
    ----------
    font : str or PathLike
        A `.sf2` file.
    folder : str or PathLike
        New or empty folder for the set: examples.json, audio/*.wav, font.toml (source and settings)
        and split.json.
    programs : sequence of int, 0 to 127
        Programs of bank 0; the default is all pitched ones of the font.
    velocities : sequence of int, 1 to 127
        Velocities at which each key is rendered.
    pitches : tuple[int, int], MIDI numbers
        Lowest and highest sounding pitch, both included.
    sample_rate : int, Hz
        Sample rate of the notes.
    max_transpose_semitones : float
        Largest distance of a key from a recorded one. Fonts whose samples declare a wrong sample
        rate need more than the default, because their recorded keys are wrong, too.
    all_keys : sequence of int
        Programs that are used at all keys, however far from a recorded one, as players of the font
        play them; for programs with a single sample.
    transpose : dict of int to int, semitones, optional
        Sounding pitch minus key, at key 60, of the programs that don't sound at their key, such as
        guitar harmonics. The notes are stored under their sounding pitch. Where keys are less than
        a semitone apart, as in some percussion, those between whole pitches are left out.
    licence : str, optional
        Licence of the font's sound; the default is the font's own statement.
    split_by : "note" or "instrument"
        Unit of split.json, which is not written if there are fewer notes (or instruments) than
        parts.
    seed : int
        Seed of the split; rendering is deterministic.
    progress : callable, optional
        Function of (instruments done, instruments in all, name of the next one).

    Returns
    -------
    int
        Number of notes written.

    Raises
    ------
    ParameterError
        If the font lacks a program, a number is out of range, or no note is usable.
    FormatError
        If the font cannot be read.
    MissingPackageError
        If midirenderer is not installed.

    Notes
    -----
    A note is used if a sample recorded near its key plays it and its peak exceeds `SILENT_PEAK`.
    Presets without such a note are listed in font.toml under `left_out`.
    """
    check_settings(velocities, pitches, sample_rate)
    sound = read_soundfont(font)
    pitched = sorted(p for bank, p in sound.presets if bank == 0 and p not in UNPITCHED)
    presets = sound.choose(sorted(set(programs)) or pitched)
    rendered_programs = {preset.program for preset in presets}
    transpose = _checked_transpose(transpose or {}, rendered_programs)
    if others := sorted(set(all_keys) - rendered_programs):
        raise ParameterError(
            f"all_keys={list(all_keys)}: program {others[0]} is not among those that are rendered;"
            " add it to programs"
        )
    table: list[tuple[str, RenderedInstrument]] = []
    left_out: list[str] = []
    with SetWriter(folder, sample_rate) as writer:
        for index, preset in enumerate(presets):
            if progress:
                progress(index, len(presets), preset.name)
            shift = transpose.get(preset.program, 0)
            farthest = math.inf if preset.program in all_keys else max_transpose_semitones
            sounding = {
                key: sounding_pitch(key, shift, preset.semitones_per_key) for key in range(128)
            }
            keys = [
                (key, velocity)
                for key, velocity in usable_keys(preset, (0, 127), velocities, farthest)
                if pitches[0] <= sounding[key] <= pitches[1]
                and abs(sounding[key] - round(sounding[key])) < LARGEST_FRACTION
            ]
            rendered = render_instrument(sound, preset, keys, sample_rate, shift)
            if not len(rendered.pitches):
                left_out.append(f"{preset.program} {preset.name}")
                continue
            family, source = family_of(preset.program), source_of(preset.program)
            name = f"{family}_{source}_{preset.program:03d}"
            for waveform, pitch, velocity in zip(
                rendered.waveforms, rendered.pitches, rendered.velocities, strict=True
            ):
                writer.add(
                    waveform,
                    instrument=name,
                    family=family,
                    source=source,
                    pitch=int(pitch),
                    velocity=int(velocity),
                    qualities=measure_qualities(waveform, sample_rate, NOTE_ON_S),
                )
            table.append((name, rendered))
        if not table:
            raise ParameterError(
                f"no usable note within pitches={pitches} and "
                f"max_transpose_semitones={max_transpose_semitones}; widen one of them"
            )
        limits = {
            "note_s": NOTE_S,
            "note_on_s": NOTE_ON_S,
            "max_transpose_semitones": max_transpose_semitones,
            "all_keys": list(all_keys),
            "silent_peak": SILENT_PEAK,
            "left_out": left_out,
        }
        writer.add_text(NOTES_TOML, _font_toml(sound.origin(licence) | limits, table))
        n_groups = len(writer.examples) if split_by == "note" else len(table)
        if n_groups >= len(FRACTIONS):
            split = draw_split(writer.notes(), by=split_by, seed=seed)
            writer.add_text(SPLIT, split.to_json())
    if progress:
        progress(len(presets), len(presets), "")
    return len(writer.examples)


def check_settings(velocities: Sequence[int], pitches: tuple[int, int], sample_rate: int) -> None:
    """Raise ParameterError for velocities, pitches or a sample rate out of range."""
    if not velocities or not all(1 <= velocity <= 127 for velocity in velocities):
        raise ParameterError(f"velocities={list(velocities)} must be whole numbers from 1 to 127")
    if not 0 <= pitches[0] <= pitches[1] <= 127:
        raise ParameterError(
            f"pitches={pitches} must be two MIDI numbers from 0 to 127, lowest first"
        )
    check_sample_rate(sample_rate)


def _checked_transpose(transpose: Mapping[int, int], programs: set[int]) -> Mapping[int, int]:
    for program, semitones in transpose.items():
        if program not in programs:
            raise ParameterError(
                f"transpose={{{program}: {semitones}}}: program {program} is not among those that"
                " are rendered; add it to programs"
            )
        if semitones != int(semitones) or not -MAX_SHIFT <= semitones <= MAX_SHIFT:
            raise ParameterError(
                f"transpose={{{program}: {semitones}}} must be whole semitones from {-MAX_SHIFT} to"
                f" {MAX_SHIFT}"
            )
    return transpose


def _step(preset: FontPreset) -> dict[str, float]:
    """``semitones_per_key`` where it isn't 1."""
    step = preset.semitones_per_key
    return {} if step == 1.0 else {"semitones_per_key": step}


def _font_toml(fields: dict[str, object], table: list[tuple[str, RenderedInstrument]]) -> str:
    """Return the source of the notes and the settings, as TOML."""
    instruments = [
        {
            "instrument_str": name,
            "name": rendered.preset.name,
            "bank": rendered.preset.bank,
            "program": rendered.preset.program,
            "pitches": [int(rendered.pitches.min()), int(rendered.pitches.max())],
            "notes": len(rendered.pitches),
            "silent_notes": rendered.n_silent,
            "gain_db": round(rendered.gain_db, 2),
        }
        | ({"transpose": rendered.transpose} if rendered.transpose else {})
        | _step(rendered.preset)
        for name, rendered in table
    ]
    return toml_text("Source of the notes of this set.", fields, "instruments", instruments)
