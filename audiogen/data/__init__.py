"""Sound to learn from: sets of notes in NSynth's layout and recordings, made, read and split."""

from audiogen.data.grooves import RenderedGrooves, render_grooves
from audiogen.data.nsynth import NoteInfo, NoteSet, SetWriter, read_notes
from audiogen.data.samples import SampleSet, ingest_samples
from audiogen.data.scores import RenderedScores, render_scores
from audiogen.data.soundfont import render_soundfont
from audiogen.data.splits import Split, draw_split, read_split

__all__ = [
    "NoteInfo",
    "NoteSet",
    "RenderedGrooves",
    "RenderedScores",
    "SampleSet",
    "SetWriter",
    "Split",
    "draw_split",
    "ingest_samples",
    "read_notes",
    "read_split",
    "render_grooves",
    "render_scores",
    "render_soundfont",
]
