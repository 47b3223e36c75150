"""What file and folder names are worth: pitches checked by ear, and the family of an instrument."""

from __future__ import annotations

from collections import Counter

import numpy as np

from audiogen.data.ingest.extraction import Found

_SURE = 0.6  # confidence of a measured pitch that may contradict a name
_FEWEST = 3  # such notes that a decision about names needs
_SHARE = 0.8  # of them, which must agree on an octave
_LEAST_AGREEING = 0.5  # of them, without which names don't mean pitches

# The first word that is found counts; NSynth's families and sources.
_FAMILIES = {
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
    for word in sorted(_FAMILIES, key=len, reverse=True):
        if word in lower:
            return _FAMILIES[word]
    return "synth_lead", "acoustic"


def settle_pitches(found: list[Found]) -> list[str]:
    """Hold what names say against what is heard, for all notes at once.

    Half the world calls middle C C3: where the named notes sound a whole number of octaves away,
    they are shifted. Where names don't agree with the sound at all (a number that counts takes),
    they aren't pitches, and the sound decides. A table is always believed.

    Parameters
    ----------
    found : list of Found
        Their `pitch` and `pitch_by` are changed.

    Returns
    -------
    list of str
        What was decided, in sentences.
    """
    remarks: list[str] = []
    for by, what in (("name", "note names"), ("number", "numbers")):
        named = [note for note in found if note.pitch_by == by]
        sure = [note for note in named if note.confidence >= _SURE]
        away = np.array([note.measured - (note.pitch or 0.0) for note in sure])
        if len(sure) < _FEWEST:
            if by == "number" and len(sure):
                _unname([note for note in sure if abs(note.measured - (note.pitch or 0)) > 0.7])
            continue
        octaves = np.round(away / 12.0)
        agrees = np.abs(away - 12.0 * octaves) < 0.7
        usual, n_usual = Counter(octaves[agrees]).most_common(1)[0] if agrees.any() else (0.0, 0)
        right = n_usual if by == "name" else int(np.sum(np.abs(away) < 0.7))
        if right < _LEAST_AGREEING * len(sure) and agrees.mean() < _LEAST_AGREEING:
            _unname(named)
            remarks.append(
                f"the {what} in {len(named)} file names don't agree with what is heard, so they"
                " weren't taken for pitches"
            )
        elif by == "number" and right < _LEAST_AGREEING * len(sure):
            _unname(named)
            remarks.append(f"the {what} in {len(named)} file names weren't taken for pitches")
        elif by == "name" and usual and n_usual >= _SHARE * len(sure):
            for note in named:
                note.pitch = (note.pitch or 0.0) + 12.0 * float(usual)
            count = abs(int(usual))
            remarks.append(
                f"the notes sound {'an octave' if count == 1 else f'{count} octaves'}"
                f" {'higher' if usual > 0 else 'lower'} than their names say with middle C as C4;"
                " they are learned as they sound"
            )
    return remarks


def _unname(notes: list[Found]) -> None:
    for note in notes:
        note.pitch, note.pitch_by = None, "sound"
