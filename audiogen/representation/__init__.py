"""Conversions between waveforms and what a generator sees, each with its inverse."""
