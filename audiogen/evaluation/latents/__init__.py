"""Latents of a preset: directions with a measured effect, and sounds beside the named timbres."""
