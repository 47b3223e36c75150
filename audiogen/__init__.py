"""A neural synthesiser: load a preset, play notes or let it run, get samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiogen.engine import Player, Synth, Texture, load

__version__ = "0.1.0"
__all__ = ["Player", "Synth", "Texture", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import the engine when it's first asked for."""
    if name in ("Player", "Synth", "Texture", "load"):
        from audiogen import engine

        return getattr(engine, name)
    raise AttributeError(f"module 'audiogen' has no attribute {name!r}")
