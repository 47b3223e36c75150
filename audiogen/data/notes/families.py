"""General MIDI programs in NSynth's words: family and source of each of the 128."""

from __future__ import annotations

from audiogen.errors import ParameterError

FAMILIES = (
    "bass",
    "brass",
    "flute",
    "guitar",
    "keyboard",
    "mallet",
    "organ",
    "reed",
    "string",
    "synth_lead",
    "vocal",
)
SOURCES = ("acoustic", "electronic", "synthetic")

# First program of each run, and the family it has until the next run begins.
_FAMILY_RUNS = (
    (0, "keyboard"),
    (8, "mallet"),
    (16, "organ"),
    (24, "guitar"),
    (32, "bass"),
    (40, "string"),
    (47, "mallet"),  # timpani
    (48, "string"),
    (52, "vocal"),
    (55, "string"),  # orchestra hit
    (56, "brass"),
    (64, "reed"),
    (72, "flute"),
    (80, "synth_lead"),
    (104, "guitar"),  # sitar, banjo, shamisen, koto
    (108, "mallet"),  # kalimba
    (109, "reed"),  # bagpipe
    (110, "string"),  # fiddle
    (111, "reed"),  # shanai
    (112, "mallet"),
    (119, "synth_lead"),  # reverse cymbal and the effects
)
# Orchestra hit, agogo, and from woodblock to gunshot all but steel drums: no pitch to learn.
UNPITCHED = frozenset({55, 113, *range(115, 128)})
_ELECTRONIC = {2, 4, 5, 7, 16, 17, 18, *range(26, 32), *range(33, 38)}
_SYNTHETIC = {38, 39, 50, 51, 54, 62, 63, *range(80, 104), *range(119, 128)}


def family_of(program: int) -> str:
    """Return NSynth's instrument family of a General MIDI program (0..127)."""
    _check(program)
    return [family for first, family in _FAMILY_RUNS if first <= program][-1]


def source_of(program: int) -> str:
    """Return NSynth's instrument source of a General MIDI program (0..127)."""
    _check(program)
    if program in _SYNTHETIC:
        return "synthetic"
    return "electronic" if program in _ELECTRONIC else "acoustic"


def _check(program: int) -> None:
    if not 0 <= program <= 127:
        raise ParameterError(f"program={program} isn't a General MIDI program; give 0 to 127")
