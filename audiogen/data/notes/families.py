"""NSynth's instrument families and sources, of General MIDI programs and of instrument names."""

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

# First General MIDI program of each run of one family.
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
    (119, "synth_lead"),  # reverse cymbal and effects
)
_ELECTRONIC = {2, 4, 5, 7, 16, 17, 18, *range(26, 32), *range(33, 38)}
_SYNTHETIC = {38, 39, 50, 51, 54, 62, 63, *range(80, 104), *range(119, 128)}


def family_of(program: int) -> str:
    """Return NSynth's instrument family for a General MIDI program, 0 to 127."""
    _check(program)
    return [family for first, family in _FAMILY_RUNS if first <= program][-1]


def source_of(program: int) -> str:
    """Return NSynth's instrument source for a General MIDI program, 0 to 127."""
    _check(program)
    if program in _SYNTHETIC:
        return "synthetic"
    return "electronic" if program in _ELECTRONIC else "acoustic"


def _check(program: int) -> None:
    if not 0 <= program <= 127:
        raise ParameterError(f"program={program} must be a General MIDI program, 0 to 127")


# Family and source by a word of an instrument's name; longer words take precedence.
_WORDS = {
    "synth bass": ("bass", "synthetic"),
    "electric piano": ("keyboard", "electronic"),
    "e-piano": ("keyboard", "electronic"),
    "rhodes": ("keyboard", "electronic"),
    "wurli": ("keyboard", "electronic"),
    "tine": ("keyboard", "electronic"),
    "bassoon": ("reed", "acoustic"),
    "contrabass": ("string", "acoustic"),
    "double bass": ("bass", "acoustic"),
    "bass clarinet": ("reed", "acoustic"),
    "bass trombone": ("brass", "acoustic"),
    "electric guitar": ("guitar", "electronic"),
    "music box": ("mallet", "acoustic"),
    "pad": ("synth_lead", "synthetic"),
    "synth": ("synth_lead", "synthetic"),
    "lead": ("synth_lead", "synthetic"),
    "bass": ("bass", "electronic"),
    "808": ("bass", "synthetic"),
} | {
    word: (family, "acoustic")
    for family, words in {
        "guitar": "guitar gitarre banjo ukulele mandolin lute oud sitar koto shamisen harp zither",
        "keyboard": "piano klavier harpsichord clavichord clavinet spinet",
        "organ": "organ orgel harmonium accordion",
        "mallet": "marimba vibraphone vibes xylophone glockenspiel celesta bell chime kalimba mbira"
        " steelpan handpan gamelan crotale timpani glass bowl",
        "brass": "trumpet trombone horn tuba cornet brass flugel euphonium",
        "reed": "sax clarinet oboe reed duduk bagpipe melodica",
        "flute": "flute recorder piccolo whistle ocarina shakuhachi",
        "string": "violin viola cello string fiddle erhu",
        "vocal": "voice vocal choir vox sing aah ooh chant",
    }.items()
    for word in words.split()
}


def family_of_name(name: str) -> tuple[str, str]:
    """Guess NSynth's family and source from an instrument's name.

    Examples
    --------
    >>> family_of_name("Bass clarinet, close"), family_of_name("my thing")
    (('reed', 'acoustic'), ('synth_lead', 'acoustic'))
    """
    lower = name.lower().replace("_", " ")
    for word in sorted(_WORDS, key=len, reverse=True):
        if word in lower:
            return _WORDS[word]
    return "synth_lead", "acoustic"
