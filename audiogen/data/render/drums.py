"""Rendering of a soundfont's drum kit into a note set: each key is an instrument of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike

import numpy as np

from audiogen.audio.pitch import tone_pitch
from audiogen.data.notes.nsynth import NOTE_ON_S, NOTE_S, PEAK, SetWriter
from audiogen.data.notes.qualities import measure_qualities
from audiogen.data.notes.splits import SPLIT, draw_split
from audiogen.data.render.midi_renderer import SILENT_PEAK
from audiogen.data.render.sf2 import PERCUSSION_BANK, read_soundfont
from audiogen.data.render.soundfont import check_settings, render_keys
from audiogen.data.source_toml import NOTES_TOML, toml_text
from audiogen.errors import ParameterError
from audiogen.notes.general_midi import EXCLUSIVE_GROUPS, PERCUSSION_NAMES

NOISE_PITCH = 24  # MIDI number for sounds without a tone: all bins are near a harmonic
SPLIT_FRACTIONS = {"train": 0.95, "valid": 0.05}
FADE_S = 0.25  # at the end of sounds that ring for longer than a note


def render_drums(
    font: str | PathLike[str],
    folder: str | PathLike[str],
    *,
    kit: int = 0,
    velocities: Sequence[int] = (40, 70, 100, 127),
    keys: Sequence[int] = (),
    sample_rate: int = 32000,
    licence: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> int:
    """Render a drum kit of a soundfont into a note set in NSynth's layout.

    All sounds have one gain, so that they are as loud beside each other as in the kit; each is the
    louder of its two channels, of which ``pan`` makes both.

    Parameters
    ----------
    font : str or PathLike
        A `.sf2` file.
    folder : str or PathLike
        New or empty folder for the set: examples.json, audio/*.wav, split.json, and font.toml with
        the source and, for each instrument, its key, its pitch (of its strongest frequency, or
        `NOISE_PITCH`), its pan, and the group of keys that end each other.
    kit : int, 0 to 127
        Program of the percussion bank.
    velocities : sequence of int, 1 to 127
        Velocities at which each key is rendered.
    keys : sequence of int, 35 to 81, optional
        Keys to render; default: all.
    sample_rate : int, Hz
        Sample rate of the notes.
    licence : str, optional
        Licence of the font's sound; the default is the font's own statement.
    progress : callable, optional
        Function of (sounds done, sounds in all, name of the next one).

    Returns
    -------
    int
        Number of notes written.

    Raises
    ------
    ParameterError
        If the font lacks the kit, a number is out of range, or all keys are silent.
    FormatError
        If the font cannot be read.
    MissingPackageError
        If midirenderer is not installed.
    """
    check_settings(velocities, (NOISE_PITCH, NOISE_PITCH), sample_rate)
    if unknown := sorted({*keys} - {*PERCUSSION_NAMES}):
        raise ParameterError(
            f"keys={unknown[0]} must be {min(PERCUSSION_NAMES)} to {max(PERCUSSION_NAMES)}, General"
            " MIDI's drums"
        )
    sound = read_soundfont(font)
    preset = sound.choose([kit], PERCUSSION_BANK)[0]
    chosen = sorted({*keys}) or list(PERCUSSION_NAMES)
    struck = [(key, velocity) for key in chosen for velocity in velocities]
    rendered = render_keys(sound, preset, struck, sample_rate)
    rendered = rendered.reshape(len(chosen), len(velocities), -1, 2)
    stereo = dict(zip(chosen, rendered, strict=True))
    sounds = {key: _mono(notes) for key, notes in stereo.items()}
    peaks = {key: float(np.abs(notes).max()) for key, notes in sounds.items()}
    audible = [key for key, peak in peaks.items() if peak > SILENT_PEAK]
    if not audible:
        raise ParameterError(f"kit={kit} of {sound.path.name} is silent; choose another one")
    gain = PEAK / max(peaks.values())
    fade = np.linspace(1.0, 0.0, round(FADE_S * sample_rate))
    table: list[dict[str, object]] = []
    with SetWriter(folder, sample_rate) as writer:
        for index, key in enumerate(audible):
            if progress:
                progress(index, len(audible), PERCUSSION_NAMES[key])
            instrument = f"mallet_acoustic_{key:03d}"  # NSynth has no family of drums
            loudest = sounds[key][int(np.argmax(velocities))]
            pitch = round(tone_pitch(loudest, sample_rate, NOISE_PITCH, 127.0), 2)
            entry = {"instrument_str": instrument, "name": PERCUSSION_NAMES[key], "key": key}
            entry |= {"pitch": pitch, "pan": _pan(stereo[key])}
            if key in EXCLUSIVE_GROUPS:
                entry["group"] = EXCLUSIVE_GROUPS[key]
            table.append(entry | {"notes": len(velocities)})
            for waveform, velocity in zip(sounds[key], velocities, strict=True):
                waveform[-len(fade) :] *= fade
                writer.add(
                    gain * waveform,
                    instrument=instrument,
                    family="mallet",
                    source="acoustic",
                    pitch=round(pitch),
                    velocity=velocity,
                    qualities=measure_qualities(waveform, sample_rate, NOTE_ON_S),
                )
        fields = {
            "kit": preset.name,
            "note_s": NOTE_S,
            "gain_db": round(float(20 * np.log10(gain)), 2),
            "left_out": [PERCUSSION_NAMES[key] for key in peaks if key not in audible],
        }
        text = toml_text(
            "Source of the sounds of this kit.",
            sound.origin(licence) | fields,
            "instruments",
            table,
        )
        writer.add_text(NOTES_TOML, text)
        if len(velocities) > 1:  # single notes are held out: each sound has to be learned
            split = draw_split(writer.notes(), by="note", fractions=SPLIT_FRACTIONS, seed=0)
            writer.add_text(SPLIT, split.to_json())
    if progress:
        progress(len(audible), len(audible), "")
    return len(writer.examples)


def _pan(stereo: np.ndarray) -> float:
    """Pan of sounds [n, n_samples, 2] of one key by the balance law, -1 (left) to 1."""
    left, right = np.sqrt(np.sum(np.square(stereo, dtype=np.float64), axis=(0, 1)))
    louder = max(left, right, 1e-30)
    return round(float(right - left) / float(louder), 2) + 0.0


def _mono(stereo: np.ndarray) -> np.ndarray:
    """The louder channel of sounds [n, n_samples, 2] of one key."""
    power = np.sum(np.square(stereo, dtype=np.float64), axis=(0, 1))
    return stereo[..., int(np.argmax(power))].astype(np.float32)
