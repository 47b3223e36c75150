"""The surface of `audiogen._native` in NumPy and numba, for machines without a C++ compiler.

The same arguments give the same samples, slowly. Tests use it as the oracle of the native engine,
so it is written to be read.
"""

from __future__ import annotations

import importlib
from typing import Any

# The module of each name of `audiogen._native`; names that are missing here are kernels. A module
# is imported when it is first needed.
_MODULES = {
    "AnyInstrument": "instrument",
    "Engine": "engine",
    "Generator": "gansynth",
    "Instrument": "frame_instrument",
    "LiveEngine": "live_engine",
    "MidiReader": "midi",
    "SampleInstrument": "sample_instrument",
    "SampleRNN": "samplernn",
    "SampleStream": "samplernn",
    "parameters": "parameter_table",
    "Preset": "presets.preset",
    "open_preset": "presets.preset",
    "preset_faults": "presets.preset",
    "read_preset_fields": "presets.preset",
    "check_preset_fields": "presets.description",
}


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        module = importlib.import_module(f"audiogen._fallback.{_MODULES.get(name, 'kernels')}")
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"audiogen._fallback has no {name!r}")
