"""A neural synthesiser: load a preset, render notes or generate audio, play it live.

>>> import audiogen
>>> synth = audiogen.load("plucked")
>>> audio = synth.render("C4:0.5 E4 G4", seed=1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiogen.engine import Synth, load, render

__version__ = "0.1.0"
__all__ = ["Synth", "__version__", "load", "render"]


def __getattr__(name: str) -> Any:
    """Import the engine when it is first asked for."""
    if name in ("Synth", "load", "render"):
        from audiogen import engine

        return getattr(engine, name)
    raise AttributeError(f"module 'audiogen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *(n for n in globals() if not n.startswith("_"))])
