"""A soundfont becomes a set of notes in NSynth's layout, rendered dry, one wav a note."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

import numpy as np

from audiogen.audio.files import check_sample_rate, resample
from audiogen.data.notes.families import UNPITCHED, family_of, source_of
from audiogen.data.notes.nsynth import SetWriter
from audiogen.data.notes.qualities import measure_qualities
from audiogen.data.notes.splits import FRACTIONS, SPLIT, draw_split
from audiogen.data.render.sf2 import FontPreset, SoundFont, read_soundfont
from audiogen.data.source_toml import OF_NOTES, toml_text
from audiogen.errors import FormatError, MissingPackageError, ParameterError

NOTE_S = 4.0
NOTE_ON_S = 3.0
MAX_TRANSPOSE_SEMITONES = 7.0  # further away, formants and attacks no longer fit the pitch
SILENT_PEAK = 1e-3  # of full scale, before the instrument's gain
PEAK = 0.9  # of the loudest note of each instrument, after its gain

RENDER_RATE = 48000  # Hz, what midirenderer always gives
VOLUMES = (127, 80, 50, 32, 20)  # controller 7; tried in order until nothing clips

# The renderer acts on events at blocks of 64 samples. Half a block is one tick, and events
# fall one tick before the block that should hear them, so rounding never moves an onset.
_TICKS_PER_S = 2 * RENDER_RATE // 64
_AT_ONCE = 64  # notes in one MIDI file: 54 MB of audio
_SLOT_S = NOTE_S + 0.4  # from one onset to the next: the note, then silence


@dataclass(frozen=True)
class RenderedInstrument:
    """All kept notes of one preset.

    Parameters
    ----------
    waveforms : ndarray[n_notes, n_samples], float32
        Full scale is 1; `gain_db` is applied.
    pitches, velocities : ndarray[n_notes], int
        MIDI numbers.
    gain_db : float
        One gain for the whole instrument, so that its loudest note peaks at `PEAK`.
    n_silent : int
        Notes left out because nothing sounded.
    """

    preset: FontPreset
    waveforms: np.ndarray
    pitches: np.ndarray
    velocities: np.ndarray
    gain_db: float
    n_silent: int


def usable_keys(
    preset: FontPreset,
    pitches: tuple[int, int],
    velocities: Sequence[int],
    max_transpose_semitones: float = MAX_TRANSPOSE_SEMITONES,
) -> list[tuple[int, int]]:
    """Return the (pitch, velocity) pairs that a preset plays near a really recorded key.

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
        if preset.distance_semitones(pitch, velocity) <= max_transpose_semitones
    ]


def render_instrument(
    font: SoundFont,
    preset: FontPreset,
    keys: Sequence[tuple[int, int]],
    sample_rate: int = 16000,
) -> RenderedInstrument:
    """Render the given (pitch, velocity) pairs of one preset.

    Each note is `NOTE_S` long, held for `NOTE_ON_S`, without reverb and chorus. Of the two
    channels the one with more energy is kept for the whole instrument: the halves of a stereo
    recording summed would comb.

    Raises
    ------
    MissingPackageError
        If midirenderer isn't installed.
    FormatError
        If the renderer refuses the font.
    """
    stereo = np.zeros((2, 0, round(NOTE_S * sample_rate)), np.float32)
    batches = [keys[first : first + _AT_ONCE] for first in range(0, len(keys), _AT_ONCE)]
    for volume in VOLUMES if batches else ():
        rendered = [_render(font, preset, batch, volume, sample_rate) for batch in batches]
        stereo = np.concatenate([notes for notes, _ in rendered], axis=1)
        if not any(clipped for _, clipped in rendered):
            break
    left, right = (float(np.sum(np.square(channel, dtype=np.float64))) for channel in stereo)
    notes = stereo[0] if left >= right else stereo[1]
    peaks = np.max(np.abs(notes), axis=1, initial=0.0)
    kept = peaks > SILENT_PEAK
    gain = PEAK / float(np.max(peaks, initial=SILENT_PEAK))
    pitches, velocities = np.array(keys, dtype=int).reshape(-1, 2).T
    return RenderedInstrument(
        preset,
        (notes[kept] * gain).astype(np.float32),
        pitches[kept],
        velocities[kept],
        float(20 * np.log10(gain)),
        int(np.sum(~kept)),
    )


def _render(
    font: SoundFont,
    preset: FontPreset,
    keys: Sequence[tuple[int, int]],
    volume: int,
    sample_rate: int,
) -> tuple[np.ndarray, bool]:
    """Return [2, n_notes, n_samples] float32, and whether the renderer's 16 bits were full."""
    audio = render_midi(font, _midi(preset, keys, volume))
    slot, length = (round(s * RENDER_RATE) for s in (_SLOT_S, NOTE_S))
    notes = np.zeros((2, len(keys), round(NOTE_S * sample_rate)), np.float32)
    for index in range(len(keys)):
        piece = audio[(index + 1) * slot : (index + 1) * slot + length] / np.float32(32768)
        piece = resample(piece, RENDER_RATE, sample_rate)
        n_samples = min(len(piece), notes.shape[2])
        notes[:, index, :n_samples] = piece[:n_samples].T
    return notes, is_clipped(audio)


def _midi(preset: FontPreset, keys: Sequence[tuple[int, int]], volume: int) -> bytes:
    """Return a MIDI file that plays the keys one after the other, a slot each."""
    import mido

    silence = mido.Message("control_change", control=120, value=0)  # all sound off
    events: list[tuple[float, Any]] = []
    for index, (pitch, velocity) in enumerate(keys):
        onset_s = (index + 1) * _SLOT_S
        press = mido.Message("note_on", note=pitch, velocity=velocity)
        release = mido.Message("note_off", note=pitch, velocity=64)
        events += [(onset_s, press), (onset_s + NOTE_ON_S, release)]
        events.append((onset_s + NOTE_S + 0.1, silence))
    events.append(((len(keys) + 1) * _SLOT_S, silence))
    return midi_file(preset, events, volume)


def midi_file(
    preset: FontPreset,
    events: Iterable[tuple[float, Any]],
    volume: int,
    channels: Sequence[int] = (0,),
) -> bytes:
    """Return a MIDI file that plays a preset dry, on each of some channels.

    Parameters
    ----------
    preset : FontPreset
    events : iterable of (float, mido.Message)
        Seconds from the beginning, above 0, and what happens then; in order of time.
    volume : int
        Controller 7, from 0 to 127.
    channels : sequence of int
        0..15.
    """
    import mido

    file = mido.MidiFile(ticks_per_beat=_TICKS_PER_S)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=1_000_000))
    # Bank, volume, pan, expression, reverb, chorus.
    setup = {0: preset.bank, 7: volume, 10: 64, 11: 127, 91: 0, 93: 0}
    for channel in channels:
        for control, value in setup.items():
            message = mido.Message("control_change", control=control, value=value, channel=channel)
            track.append(message)
        track.append(mido.Message("program_change", program=preset.program, channel=channel))
    now = 0
    for time_s, message in events:
        tick = round(time_s * _TICKS_PER_S) - 1
        track.append(message.copy(time=tick - now))
        now = tick
    data = io.BytesIO()
    file.save(file=data)
    return data.getvalue()


def render_midi(font: SoundFont, midi: bytes) -> np.ndarray:
    """Play a MIDI file with a font.

    Returns
    -------
    ndarray[n_samples, 2], int16
        At `RENDER_RATE`.

    Raises
    ------
    MissingPackageError
        If midirenderer isn't installed.
    FormatError
        If the renderer refuses the font.
    """
    import soundfile

    try:
        import midirenderer
    except ImportError as error:
        raise MissingPackageError(
            'rendering a soundfont needs midirenderer: pip install "audiogen[soundfont]"'
        ) from error
    try:
        wav = midirenderer.render_wave_from(font.data, midi)
    except (ValueError, RuntimeError) as error:
        raise FormatError(f"soundfont={str(font.path)!r} can't be rendered: {error}") from error
    audio, rate = soundfile.read(io.BytesIO(wav), dtype="int16")
    if rate != RENDER_RATE:
        raise FormatError(f"midirenderer gave {rate} Hz, {RENDER_RATE} was expected; update it")
    return audio


def is_clipped(audio: np.ndarray) -> bool:
    """Return whether 16-bit samples touch full scale."""
    return bool(np.any((audio == 32767) | (audio == -32768)))


def render_soundfont(
    font: str | PathLike[str],
    folder: str | PathLike[str],
    *,
    programs: Sequence[int] = (),
    velocities: Sequence[int] = (50, 90, 127),
    pitches: tuple[int, int] = (24, 84),
    sample_rate: int = 16000,
    max_transpose_semitones: float = MAX_TRANSPOSE_SEMITONES,
    licence: str | None = None,
    split_by: Literal["note", "instrument"] = "instrument",
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> int:
    """Render presets of a soundfont into a set of notes in NSynth's layout.

    Parameters
    ----------
    font : str or PathLike
        A `.sf2` file.
    folder : str or PathLike
        Where the set goes: examples.json, audio/*.wav, font.toml (where the notes come from) and
        split.json. Must be new or empty.
    programs : sequence of int
        Bank 0 programs, 0..127; empty for all pitched ones that the font has.
    velocities : sequence of int
        1..127.
    pitches : tuple[int, int], MIDI numbers
        Lowest and highest, both included.
    sample_rate : int, Hz
    max_transpose_semitones : float
        Keys further than this from every recorded one are left out. Fonts whose samples were
        squeezed under a false rate need more than the default: their recorded keys are fiction.
    licence : str, optional
        Of the font's sound; None for what the font says of itself.
    split_by : "note" or "instrument"
        How split.json deals the notes out for training, validation and test; it isn't written
        when there are fewer notes (or instruments) than parts.
    seed : int
        Of that split; the sound has nothing random in it.
    progress : callable, optional
        Called with (instruments done, instruments in all, name) before each instrument and
        once at the end.

    Returns
    -------
    int
        Notes written.

    Raises
    ------
    ParameterError
        If a program isn't in the font, a number is out of range, or no note is usable.
    FormatError
        If the font can't be read.
    MissingPackageError
        If midirenderer isn't installed.

    Notes
    -----
    A note is kept when a sample recorded near its key plays it and its peak exceeds `SILENT_PEAK`.
    Its length is `NOTE_S`, with the key down for `NOTE_ON_S`. Presets without a single such note
    are named in font.toml under `left_out`.
    """
    _check(velocities, pitches, sample_rate)
    sound = read_soundfont(font)
    presets = _choose(sound, programs)
    table: list[tuple[str, RenderedInstrument]] = []
    left_out: list[str] = []
    with SetWriter(folder, sample_rate) as writer:
        for index, preset in enumerate(presets):
            if progress:
                progress(index, len(presets), preset.name)
            keys = usable_keys(preset, pitches, velocities, max_transpose_semitones)
            rendered = render_instrument(sound, preset, keys, sample_rate)
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
                f"{len(presets)} programs have no usable note within pitches={pitches} and "
                f"max_transpose_semitones={max_transpose_semitones}; widen one of them"
            )
        limits = {
            "note_s": NOTE_S,
            "note_on_s": NOTE_ON_S,
            "max_transpose_semitones": max_transpose_semitones,
            "silent_peak": SILENT_PEAK,
            "left_out": left_out,
        }
        licence = (sound.licence or "not stated by the font") if licence is None else licence
        writer.add_text(OF_NOTES, _font_toml(sound, licence, limits, table))
        n_groups = len(writer.examples) if split_by == "note" else len(table)
        if n_groups >= len(FRACTIONS):
            split = draw_split(writer.notes(), by=split_by, seed=seed)
            writer.add_text(SPLIT, split.to_json())
    if progress:
        progress(len(presets), len(presets), "")
    return len(writer.examples)


def _check(velocities: Sequence[int], pitches: tuple[int, int], sample_rate: int) -> None:
    if not velocities or not all(1 <= velocity <= 127 for velocity in velocities):
        raise ParameterError(f"velocities={list(velocities)} must be numbers from 1 to 127")
    if not 0 <= pitches[0] <= pitches[1] <= 127:
        raise ParameterError(f"pitches={pitches} must be two MIDI numbers, lowest first, in 0..127")
    check_sample_rate(sample_rate)


def _choose(font: SoundFont, programs: Sequence[int]) -> list[FontPreset]:
    present = sorted(program for bank, program in font.presets if bank == 0)
    absent = sorted(set(programs) - set(present))
    if absent:
        raise ParameterError(
            f"programs={absent} aren't in bank 0 of {font.path.name}, which has {len(present)}: "
            f"{', '.join(map(str, present))}"
        )
    chosen = sorted(set(programs)) or [p for p in present if p not in UNPITCHED]
    return [font.presets[0, program] for program in chosen]


def _font_toml(
    font: SoundFont,
    licence: str,
    limits: dict[str, object],
    table: list[tuple[str, RenderedInstrument]],
) -> str:
    """Return where the notes come from and how they were made, as TOML."""
    origin = {
        "font": font.name,
        "file": font.path.name,
        "licence": licence,
        "author": font.info.get("IENG", ""),
        "comment": font.info.get("ICMT", ""),
    }
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
        for name, rendered in table
    ]
    comment = "Where the notes of this set come from."
    return toml_text(comment, origin | limits, "instruments", instruments)
