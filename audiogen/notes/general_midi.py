"""Names of the programs and percussion keys of General MIDI (MIDI Manufacturers Association)."""

from __future__ import annotations

_NAMES = """
acoustic grand piano|bright acoustic piano|electric grand piano|honky-tonk piano|electric piano 1
electric piano 2|harpsichord|clavinet|celesta|glockenspiel|music box|vibraphone|marimba|xylophone
tubular bells|dulcimer|drawbar organ|percussive organ|rock organ|church organ|reed organ|accordion
harmonica|tango accordion|nylon-string guitar|steel-string guitar|jazz guitar|clean guitar
muted guitar|overdriven guitar|distortion guitar|guitar harmonics|acoustic bass|fingered bass
picked bass|fretless bass|slap bass 1|slap bass 2|synth bass 1|synth bass 2|violin|viola|cello
contrabass|tremolo strings|pizzicato strings|orchestral harp|timpani|string ensemble 1
string ensemble 2|synth strings 1|synth strings 2|choir aahs|voice oohs|synth voice|orchestra hit
trumpet|trombone|tuba|muted trumpet|french horn|brass section|synth brass 1|synth brass 2
soprano sax|alto sax|tenor sax|baritone sax|oboe|english horn|bassoon|clarinet|piccolo|flute
recorder|pan flute|blown bottle|shakuhachi|whistle|ocarina|square lead|saw lead|calliope lead
chiff lead|charang lead|voice lead|fifths lead|bass and lead|new age pad|warm pad|polysynth pad
choir pad|bowed pad|metallic pad|halo pad|sweep pad|rain|soundtrack|crystal|atmosphere|brightness
goblins|echoes|sci-fi|sitar|banjo|shamisen|koto|kalimba|bagpipe|fiddle|shanai|tinkle bell|agogo
steel drums|woodblock|taiko drum|melodic tom|synth drum|reverse cymbal|guitar fret noise
breath noise|seashore|bird tweet|telephone ring|helicopter|applause|gunshot
"""
PROGRAM_NAMES = tuple(_NAMES.strip().replace("\n", "|").split("|"))
assert len(PROGRAM_NAMES) == 128

MIDDLE_KEY = 60  # from which keys are counted where they aren't semitones apart

# Programs whose sounds have no pitch: orchestra hit, agogo, and woodblock to gunshot.
UNPITCHED = frozenset({55, 113, *range(115, 128)})

_PERCUSSION = """
acoustic bass drum|bass drum|side stick|acoustic snare|hand clap|electric snare|low floor tom
closed hi-hat|high floor tom|pedal hi-hat|low tom|open hi-hat|low-mid tom|high-mid tom
crash cymbal 1|high tom|ride cymbal 1|chinese cymbal|ride bell|tambourine|splash cymbal|cowbell
crash cymbal 2|vibraslap|ride cymbal 2|high bongo|low bongo|mute high conga|open high conga
low conga|high timbale|low timbale|high agogo|low agogo|cabasa|maracas|short whistle|long whistle
short guiro|long guiro|claves|high wood block|low wood block|mute cuica|open cuica|mute triangle
open triangle
"""
# Key 35 to 81 of the percussion channel.
PERCUSSION_NAMES = dict(enumerate(_PERCUSSION.strip().replace("\n", "|").split("|"), 35))
assert max(PERCUSSION_NAMES) == 81

# Groups of percussion keys of which one sound ends the other (General MIDI 2).
EXCLUSIVE_GROUPS = {
    key: group
    for group, keys in enumerate(((42, 44, 46), (71, 72), (73, 74), (78, 79), (80, 81)), 1)
    for key in keys
}


def program_name(program: int) -> str:
    """Name of a General MIDI program, counted from 0.

    Examples
    --------
    >>> program_name(0), program_name(56), program_name(127)
    ('acoustic grand piano', 'trumpet', 'gunshot')
    """
    return PROGRAM_NAMES[program]


def sounding_pitch(key: float, transpose: float, semitones_per_key: float) -> float:
    """Return the pitch of a program's key; ``transpose`` is that minus the key at `MIDDLE_KEY`.

    Examples
    --------
    >>> sounding_pitch(72, 0, 0.5), sounding_pitch(61, -14, 0.5)
    (66.0, 46.5)
    """
    return MIDDLE_KEY + semitones_per_key * (key - MIDDLE_KEY) + transpose
