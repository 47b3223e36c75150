"""The table of parameters: the rows of csrc/engine/parameters.h."""

from __future__ import annotations

from typing import Any

import numpy as np

NO_CONTROLLER, WHEEL_MESSAGES = -1, -2
MOST_VOICES = 16.0  # highest value of `voices`, which sets no limit of its own


def _row(
    name: str,
    help: str,
    *,
    unit: str = "",
    range: tuple[float, float] = (0.0, 1.0),
    initial: float = 0.0,
    smoothing_s: float = 0.0,
    controller: int = NO_CONTROLLER,
) -> dict[str, Any]:
    lowest, highest, initial = map(float, np.array([*range, initial], np.float32))
    return {
        "name": name,
        "unit": unit,
        "lowest": lowest,
        "highest": highest,
        "initial": initial,
        "smoothing_s": smoothing_s,
        "controller": controller,
        "help": help,
    }


# Ordinal and MIDI controller of each macro.
_MACROS = (
    ("first", 74),
    ("second", 71),
    ("third", 17),
    ("fourth", 18),
    ("fifth", 19),
    ("sixth", NO_CONTROLLER),
    ("seventh", NO_CONTROLLER),
    ("eighth", NO_CONTROLLER),
)
N_MACROS = len(_MACROS)

parameters: tuple[dict[str, Any], ...] = (
    _row(
        "volume",
        "Loudness; the gain is its square.",
        initial=1.0,
        smoothing_s=0.02,
        controller=7,
    ),
    _row(
        "pan",
        "Position from left (-1) to right (1).",
        range=(-1.0, 1.0),
        smoothing_s=0.02,
        controller=10,
    ),
    _row("spread", "Stereo width over which notes are distributed.", smoothing_s=0.02),
    _row(
        "bend",
        "Offset of all pitches.",
        unit="semitones",
        range=(-48.0, 48.0),
        smoothing_s=0.01,
    ),
    _row(
        "glide",
        "Duration of the glide from the pitch of the last note.",
        unit="s",
        range=(0.0, 10.0),
        controller=5,
    ),
    _row("sustain", "Sustain pedal: from 0.5, released notes keep sounding.", controller=64),
    _row(
        "vibrato",
        "Vibrato depth, at 5.5 Hz or the timbre's own rate; channel pressure moves it, too.",
        unit="semitones",
        range=(0.0, 2.0),
        smoothing_s=0.05,
        controller=1,
    ),
    _row(
        "expression",
        "Expression; the gain is the square of volume times expression.",
        initial=1.0,
        smoothing_s=0.02,
        controller=11,
    ),
    _row(
        "morph",
        "Morph from the timbre of a note (0) to morph_timbre (1).",
        smoothing_s=0.03,
        controller=16,
    ),
    _row("morph_timbre", "Index of the target timbre of morph.", range=(0.0, 4095.0)),
    _row(
        "temperature",
        "Sampling temperature of a SampleRNN; 0 is greedy.",
        range=(0.0, 2.0),
        initial=1.0,
        smoothing_s=0.02,
    ),
    _row(
        "top_p",
        "Probability mass of the nucleus that a SampleRNN samples from.",
        range=(0.01, 1.0),
        initial=1.0,
    ),
    _row("listen", "From 0.5, notes of an unconditional SampleRNN continue the audio input."),
    _row("monitor", "Level of the audio input in the output.", smoothing_s=0.0),
    _row(
        "attack",
        "Attack: 8 times as fast (-1), the preset's own (0), to a fade-in of 4 s (1).",
        range=(-1.0, 1.0),
        controller=73,
    ),
    _row(
        "release",
        "Duration of the release: an eighth (-1), the preset's own (0), to 8 times (1).",
        range=(-1.0, 1.0),
        controller=72,
    ),
    *(
        _row(
            f"macro_{i}",
            f"Amount of the preset's {ordinal} macro.",
            range=(-1.0, 1.0),
            smoothing_s=0.03,
            controller=controller,
        )
        for i, (ordinal, controller) in enumerate(_MACROS, 1)
    ),
    _row(
        "reverb",
        "Level of the sound in a small room; 0 is dry.",
        smoothing_s=0.05,
        controller=91,
    ),
    _row(
        "timbre_map",
        "From 0.5, timbre_x and timbre_y choose the timbres of notes and the morph between them.",
    ),
    _row(
        "timbre_x",
        "Position on the timbre map from left to right.",
        initial=0.5,
        smoothing_s=0.03,
    ),
    _row(
        "timbre_y",
        "Position on the timbre map from top to bottom.",
        initial=0.5,
        smoothing_s=0.03,
    ),
    _row(
        "voices",
        "Maximum number of sounding notes; 16 is no limit below the engine's polyphony.",
        range=(1.0, MOST_VOICES),
        initial=MOST_VOICES,
    ),
    _row(
        "pitch_wheel",
        "Position of the pitch wheel, which bends all notes by up to bend_range.",
        range=(-1.0, 1.0),
        smoothing_s=0.01,
        controller=WHEEL_MESSAGES,
    ),
    _row(
        "bend_range",
        "Bend at the ends of the pitch wheel; RPN 0 (pitch bend sensitivity) sets it, too.",
        unit="semitones",
        range=(0.0, 48.0),
        initial=2.0,
        smoothing_s=0.01,
    ),
    _row(
        "variation",
        "Added to the random seed of later notes.",
        range=(0.0, 127.0),
    ),
    _row(
        "tilt",
        "Brightness: slope added to a note's spectrum from its pitch up, at equal power.",
        unit="dB/octave",
        range=(-6.0, 6.0),
        smoothing_s=0.03,
    ),
    _row(
        "noise",
        "Gain of the noise between a note's partials, at equal power.",
        unit="dB",
        range=(-24.0, 24.0),
        smoothing_s=0.03,
    ),
    _row(
        "vibrato_rate",
        "Vibrato rate: half (-1), the timbre's own or 5.5 Hz (0), to twice (1).",
        range=(-1.0, 1.0),
        smoothing_s=0.05,
        controller=76,
    ),
)
ROWS = {row["name"]: row for row in parameters}
INDEX = {name: i for i, name in enumerate(ROWS)}
