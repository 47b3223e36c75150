"""Data sets rendered from soundfonts, scores and grooves."""
