"""The streaming engine in Python: a preset becomes a `Synth`, a score becomes audio."""

from __future__ import annotations

from os import PathLike

from audiogen.engine.render import render
from audiogen.engine.synth import Synth
from audiogen.presets import Preset

__all__ = ["Synth", "load", "render"]


def load(
    preset: str | PathLike[str] | Preset,
    sample_rate: int | None = None,
    seed: int = 0,
    precision: str = "float32",
    temperature: float | None = None,
    top_p: float | None = None,
    *,
    device: str = "cpu",
) -> Synth:
    """Load a preset.

    Parameters
    ----------
    preset : str, path or Preset
        Name (`audiogen presets` lists them), folder or description of the preset.
    sample_rate, seed, precision, temperature, top_p, device
        Arguments of `Synth`.

    Returns
    -------
    Synth

    Raises
    ------
    PresetError, ParameterError, DeviceError
    """
    return Synth(preset, sample_rate, seed, precision, temperature, top_p, device=device)
