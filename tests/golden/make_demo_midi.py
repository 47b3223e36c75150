"""Writes presets/demo.mid: the opening of Bach's Prelude in C, BWV 846, for three timbres.

    python tests/golden/make_demo_midi.py presets/demo.mid

The composition (J. S. Bach, The Well-Tempered Clavier I, 1722) is in the public domain. The
arrangement, made here from the score, is CC0-1.0: anyone may use it for anything.

Bars 1 to 11 and, as an ending, 18 and 19. A harp (General MIDI program 46) has Bach's notes. An
oboe (68) sings a line over them from bar 3 on and passes it to a violin (40, a program change in
the middle of the track) at bar 7. A vibraphone (11) doubles the bass and answers with the chord's
top in each bar's second half.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mido

TICKS = 480  # per quarter note
SIXTEENTH, BAR = TICKS // 4, 4 * TICKS
HARP, VIBRAPHONE, OBOE, VIOLIN = 46, 11, 68, 40
PEDAL = 64

# The five pitches of each bar's figure, lowest first, played 1 2 3 4 5 3 4 5 twice.
BARS = (
    (60, 64, 67, 72, 76),  # C
    (60, 62, 69, 74, 77),  # D minor 7 over C
    (59, 62, 67, 74, 77),  # G 7 over B
    (60, 64, 67, 72, 76),  # C
    (60, 64, 69, 76, 81),  # A minor over C
    (60, 62, 66, 69, 74),  # D 7 over C
    (59, 62, 67, 74, 79),  # G over B
    (59, 60, 64, 67, 72),  # C major 7 over B
    (57, 60, 64, 67, 72),  # A minor 7
    (50, 57, 62, 66, 72),  # D 7
    (55, 59, 62, 67, 71),  # G
    (43, 50, 55, 59, 65),  # bar 18: G 7
    (48, 52, 55, 60, 64),  # bar 19: C, held
)
LAST = len(BARS) - 1
# The sung line: (pitch, quarter notes) in each bar.
LINE = (
    (),
    (),
    ((74, 4),),
    ((76, 2), (79, 2)),
    ((81, 3), (79, 1)),
    ((78, 2), (74, 2)),
    ((79, 3), (74, 1)),
    ((76, 2), (79, 2)),
    ((76, 3), (72, 1)),
    ((74, 2), (72, 2)),
    ((71, 4),),
    ((74, 2), (71, 2)),
    ((72, 4),),
)
# How hard each bar is played: up to the high A of bar 5, down, and a quiet end.
SWELL = (62, 66, 70, 66, 84, 76, 80, 68, 64, 68, 62, 58, 54)
# Quarter notes a minute from a bar and beat on.
TEMPI = ((0, 0, 88), (4, 0, 92), (7, 0, 88), (10, 2, 80), (11, 0, 76), (11, 2, 62), (12, 0, 52))

Event = tuple[int, int, mido.Message]  # tick, order at that tick, message


def note(tick: int, length: int, pitch: int, velocity: int, channel: int) -> list[Event]:
    on = mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)
    off = mido.Message("note_off", note=pitch, velocity=64, channel=channel)
    return [(tick, 2, on), (tick + length, 0, off)]


def pedal(tick: int, down: bool, channel: int) -> Event:
    value = 127 if down else 0
    return (
        tick,
        1,
        mido.Message("control_change", control=PEDAL, value=value, channel=channel),
    )


def program(tick: int, number: int, channel: int) -> Event:
    return tick, 1, mido.Message("program_change", program=number, channel=channel)


def harp() -> list[Event]:
    events = [program(0, HARP, 0)]
    for bar, figure in enumerate(BARS):
        start, loud = bar * BAR, SWELL[bar]
        events.append(pedal(start + SIXTEENTH // 4, True, 0))
        if bar == LAST:  # the last chord, spread slowly
            for i, pitch in enumerate(figure):
                events += note(start + i * SIXTEENTH, BAR - i * SIXTEENTH, pitch, loud + i, 0)
        else:
            for i, voice in enumerate((0, 1, 2, 3, 4, 2, 3, 4) * 2):
                stress = 10 if i % 8 == 0 else 4 if voice == 4 else 0
                events += note(start + i * SIXTEENTH, SIXTEENTH, figure[voice], loud + stress, 0)
        events.append(pedal(start + BAR - SIXTEENTH // 4, False, 0))
    return events


def line() -> list[Event]:
    """The sung line, legato."""
    events = [program(0, OBOE, 1), program(6 * BAR, VIOLIN, 1)]
    for bar, sung in enumerate(LINE):
        tick = bar * BAR
        for pitch, quarters in sung:
            events += note(tick, quarters * TICKS - SIXTEENTH // 8, pitch, SWELL[bar] - 2, 1)
            tick += quarters * TICKS
    return events


def bell(pitch: int) -> int:
    """An octave higher, where the preset reaches that far."""
    return pitch + 12 if pitch + 12 <= 84 else pitch


def vibraphone() -> list[Event]:
    events = [program(0, VIBRAPHONE, 2)]
    for bar, figure in enumerate(BARS):
        start, loud = bar * BAR, SWELL[bar]
        bass = figure[0] - 12 if figure[0] > 48 else figure[0]
        events += note(start, BAR - SIXTEENTH, bass, loud - 6, 2)
        if bar < LAST:
            events += note(start + 2 * TICKS, TICKS, bell(figure[4]), loud - 14, 2)
            events += note(start + 3 * TICKS, TICKS, bell(figure[3]), loud - 20, 2)
        else:
            for pitch in figure[1:]:
                events += note(
                    start + 5 * SIXTEENTH, BAR - 5 * SIXTEENTH, bell(pitch), loud - 20, 2
                )
    return events


def track(name: str, events: list[Event]) -> mido.MidiTrack:
    events = sorted(events, key=lambda event: event[:2])
    ticks = [tick for tick, _, _ in events]
    waits = [b - a for a, b in zip([0, *ticks], ticks, strict=False)]
    messages = [
        message.copy(time=wait) for wait, (_, _, message) in zip(waits, events, strict=True)
    ]
    return mido.MidiTrack([mido.MetaMessage("track_name", name=name), *messages])


def demo() -> mido.MidiFile:
    """The piece as a type 1 file."""
    tempi = [
        (bar * BAR + beat * TICKS, 0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))
        for bar, beat, bpm in TEMPI
    ]
    conductor = track("Prelude in C, BWV 846 (J. S. Bach); arrangement CC0-1.0", tempi)
    conductor.insert(1, mido.MetaMessage("time_signature", numerator=4, denominator=4))
    conductor.insert(2, mido.MetaMessage("key_signature", key="C"))
    tracks = [
        conductor,
        track("Harp", harp()),
        track("Oboe, violin", line()),
        track("Vibraphone", vibraphone()),
    ]
    return mido.MidiFile(type=1, ticks_per_beat=TICKS, tracks=tracks)


if __name__ == "__main__":
    demo().save(Path(sys.argv[1]))
