"""Training data: note sets in NSynth's layout and recordings, made, read and split."""

from audiogen.data.ingest.folder import SampleSet, ingest_samples
from audiogen.data.notes.nsynth import NoteInfo, NoteSet, SetWriter, read_notes
from audiogen.data.notes.splits import Split, draw_split, read_split
from audiogen.data.render.grooves import RenderedGrooves, render_grooves
from audiogen.data.render.scores import RenderedScores, render_scores
from audiogen.data.render.soundfont import render_soundfont

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
