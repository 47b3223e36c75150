"""Comparison of two sets of sounds, as folders of WAV files: metrics with errors, and a report."""
