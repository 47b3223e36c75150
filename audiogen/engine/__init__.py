"""The Python face of the streaming engine: a preset becomes something to play."""

from __future__ import annotations

from os import PathLike

from audiogen.engine.networks import Sampling
from audiogen.engine.player import Player
from audiogen.engine.synth import Synth, render_score
from audiogen.engine.texture import Texture
from audiogen.errors import ParameterError
from audiogen.presets import load_preset

__all__ = ["Player", "Synth", "Texture", "load", "render_score"]


def load(
    name: str | PathLike[str],
    sample_rate: int | None = None,
    seed: int = 0,
    precision: str = "float32",
    temperature: float | None = None,
    top_p: float | None = None,
) -> Synth | Texture:
    """Load a preset by name or path.

    Parameters
    ----------
    name : str or path
    sample_rate : int, Hz, optional
        Of a `Synth`; a `Texture` has the preset's.
    seed : int
        Same seed, same samples.
    precision : str
        As `Synth` and `Texture`.
    temperature, top_p : float, optional
        Of a preset that draws samples: how freely, and from the likeliest that have this
        probability together. The preset's, if they aren't given.

    Returns
    -------
    Synth or Texture
        A `Synth` if the preset plays notes, else a `Texture`.

    Raises
    ------
    PresetError, ParameterError
    """
    preset = load_preset(name)
    if preset.plays_notes:
        return Synth(preset, sample_rate, seed, precision, temperature, top_p)
    if sample_rate not in (None, preset.sample_rate):
        raise ParameterError(
            f"sample_rate={sample_rate}; preset {preset.name!r} makes sound at "
            f"{preset.sample_rate} Hz, resample what it gives"
        )
    return Texture(Sampling(temperature, top_p).of(preset), seed, precision)
