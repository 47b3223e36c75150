"""Filters of the engine: the resampler, and the reverberation of a room."""
