"""The surface of `audiogen._native` in Python and numba, for machines without a C++ compiler."""

from __future__ import annotations

import importlib
from typing import Any

# Where each name of `audiogen._native` lives here. Modules are imported when they are needed.
_HOME = {
    "Engine": "engine",
    "LiveEngine": "live_engine",
    "MidiReader": "midi",
    "parameters": "parameters",
    "Generator": "gansynth",
    "Instrument": "gansynth",
    "SampleRNN": "samplernn",
    "SampleStream": "samplernn",
    "SampleInstrument": "samplernn",
}


def __getattr__(name: str) -> Any:
    module = importlib.import_module(f"audiogen._fallback.{_HOME.get(name, 'kernels')}")
    try:
        return getattr(module, name)
    except AttributeError:
        raise AttributeError(f"audiogen._fallback has no {name!r}") from None
