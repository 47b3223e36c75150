"""Notes to learn from: sets in NSynth's layout, rendered from soundfonts, read, and split."""

from audiogen.data.nsynth import NoteInfo, NoteSet, SetWriter, read_notes
from audiogen.data.soundfont import render_soundfont
from audiogen.data.splits import Split, draw_split, read_split

__all__ = [
    "NoteInfo",
    "NoteSet",
    "SetWriter",
    "Split",
    "draw_split",
    "read_notes",
    "read_split",
    "render_soundfont",
]
