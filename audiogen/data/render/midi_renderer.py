"""Rendering of MIDI files with a soundfont by midirenderer, dry and without clipping."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from audiogen.core.packages import require_package
from audiogen.data.render.sf2 import PERCUSSION_BANK, FontPreset, SoundFont
from audiogen.errors import FormatError

RENDER_RATE = 48000  # Hz; midirenderer supports no other
VOLUMES = (127, 80, 50, 32, 20)  # controller 7; tried in order until nothing clips
SILENT_PEAK = 1e-3  # of full scale; quieter renders are silence

# The renderer acts on events at blocks of 64 samples. A tick is half a block, and events are placed
# one tick before the block at which they act, so rounding never moves an onset.
_TICKS_PER_S = 2 * RENDER_RATE // 64


def midi_file(
    preset: FontPreset,
    events: Iterable[tuple[float, Any]],
    volume: int,
    channels: Sequence[int] = (0,),
) -> bytes:
    """Return a MIDI file that plays a preset without effects.

    Parameters
    ----------
    preset : FontPreset
        Preset that every channel plays.
    events : iterable of (float, mido.Message)
        Seconds from the beginning, above 0, and the message; in order of time.
    volume : int
        Controller 7, 0 to 127.
    channels : sequence of int
        Channels that are set up, 0 to 15; `DRUM_CHANNEL` for a preset of `PERCUSSION_BANK`.
    """
    import mido

    file = mido.MidiFile(ticks_per_beat=_TICKS_PER_S)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=1_000_000))
    # Bank, volume, pan, expression, reverb, chorus.
    setup = {0: preset.bank % PERCUSSION_BANK, 7: volume, 10: 64, 11: 127, 91: 0, 93: 0}
    for channel in channels:
        for control, value in setup.items():
            message = mido.Message("control_change", control=control, value=value, channel=channel)
            track.append(message)
        track.append(mido.Message("program_change", program=preset.program, channel=channel))
    last_tick = 0
    for time_s, message in events:
        tick = round(time_s * _TICKS_PER_S) - 1
        track.append(message.copy(time=tick - last_tick))
        last_tick = tick
    data = io.BytesIO()
    file.save(file=data)
    return data.getvalue()


def render_midi(font: SoundFont, midi: bytes) -> np.ndarray:
    """Render a MIDI file.

    Returns
    -------
    array [n_samples, 2], int16
        Samples at `RENDER_RATE`.

    Raises
    ------
    MissingPackageError
        If midirenderer is not installed.
    FormatError
        If the renderer refuses the font.
    """
    import soundfile

    midirenderer = require_package("midirenderer", "soundfont", "rendering a soundfont")
    try:
        wav = midirenderer.render_wave_from(font.data, midi)
    except (ValueError, RuntimeError) as error:
        raise FormatError(f"soundfont={str(font.path)!r} can't be rendered: {error}") from error
    audio, rate = soundfile.read(io.BytesIO(wav), dtype="int16")
    if rate != RENDER_RATE:
        raise FormatError(
            f"midirenderer rendered at {rate} Hz; it must be {RENDER_RATE} Hz: update it"
        )
    return audio


def is_clipped(audio: np.ndarray) -> bool:
    """Return whether 16-bit samples touch full scale."""
    return bool(np.any((audio == 32767) | (audio == -32768)))


def louder_channel(stereo: np.ndarray) -> np.ndarray:
    """Return the channel with more energy of samples [..., 2].

    The sum of a stereo recording's channels would have the notches of a comb filter.
    """
    channels = np.moveaxis(stereo, -1, 0)
    left, right = (float(np.sum(np.square(channel, dtype=np.float64))) for channel in channels)
    return channels[0] if left >= right else channels[1]
