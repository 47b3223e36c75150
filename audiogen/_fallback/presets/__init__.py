"""Checks and opens presets; Python twin of csrc/presets/."""
