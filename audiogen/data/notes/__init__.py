"""Data sets of notes in the layout of NSynth."""
