"""Note sets in the layout of NSynth, and their splits."""
