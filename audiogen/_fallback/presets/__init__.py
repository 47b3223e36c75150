"""Presets: twin of csrc/presets/."""
