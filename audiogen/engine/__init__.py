"""The Python face of the streaming engine: a preset becomes something to play."""

from audiogen.engine.synth import Synth, load, render_score

__all__ = ["Synth", "load", "render_score"]
