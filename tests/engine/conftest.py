"""Fixtures of the engine's tests: the compiled module, its absence, and presets of random notes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from audiogen.core import backend as _native

# A quarter of a second of sound at the size of a test, and a note of the size that presets have.
SMALL = {"n_fft": 256, "hop_length": 64, "n_frames": 64}
FULL = {"n_fft": 2048, "hop_length": 512, "n_frames": 128}


@pytest.fixture
def native() -> ModuleType:
    module = _native.find()
    if module is None:
        pytest.skip("audiogen._native is not built, so there is nothing to compare with")
    return module


@pytest.fixture
def no_native(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without the compiled module."""
    monkeypatch.setattr(_native, "find", lambda: None)
    _native.kernels.cache_clear()
    yield
    _native.kernels.cache_clear()


@pytest.fixture
def make_preset(tmp_path: Path, write_tiny: Callable[..., Path]) -> Callable[..., Path]:
    """A function that writes a preset whose random notes sustain, each a tone and some noise."""

    def make(name: str = "small", sizes: dict[str, int] = SMALL, **changes: Any) -> Path:
        from safetensors.numpy import load_file, save_file

        from audiogen.presets import load_preset

        n_frames, n_blocks = sizes["n_frames"], 6 if sizes is SMALL else 7
        tiny = load_preset(write_tiny(tmp_path / "tiny"))
        generator = tiny.generator.table() | {
            "channels": [8, 8, 6, 6, 5, 4, 4][:n_blocks],
            "start_shape": [n_frames >> (n_blocks - 1), sizes["n_fft"] >> n_blocks],
            "note_off_frame": n_frames * 3 // 4,
        }
        sustain = {
            "loop_start_frame": n_frames // 4,
            "loop_end_frame": n_frames * 5 // 8,
            "release_frame": n_frames * 3 // 4,
        }
        fields = {
            "spectrogram": dataclasses.asdict(tiny.spectrogram) | sizes | {"magnitude_scale": 0.1},
            "generator": generator,
            "sustain": sustain,
        } | changes
        folder = write_tiny(tmp_path / name, **fields)
        weights = load_file(folder / "weights.safetensors")
        for key, value in weights.items():
            if "conv" in key and key.endswith("weight"):
                value *= np.sqrt(2.0 / np.prod(value.shape[1:]))
            elif "style" in key or "time" in key:
                value *= 0.1
        # The last block receives the frequency and little else, with opposite signs, ...
        last = f"blocks.{n_blocks - 1}"
        weights[f"{last}.conv1.weight"] *= 0.2
        for part in ("weight", "bias"):
            weights[f"{last}.conditioning.noise.{part}"] *= 0.2
        weights[f"{last}.conditioning.maps.weight"] *= 0.1
        weights[f"{last}.conditioning.maps.weight"][:2, 6] = (-3.0, 3.0)
        weights[f"{last}.conv1.bias"][:2] = (-1.5, 1.5)  # equal at 250 Hz
        weights[f"{last}.conditioning.time.weight"][:2, 4] = (-4.0, 4.0)  # soft once released
        weights[f"{last}.conv2.weight"] *= 0.1
        weights[f"{last}.conv2.weight"][[0, 1], [0, 1], 1, 1] = 1.0
        # ... so that the sound is dull, as notes are, its frequencies near the harmonic series.
        weights["to_rgb.weight"] *= np.array([[0.02], [0.01]], np.float32)
        weights["to_rgb.weight"][0, :2] = (0.25, -0.25)
        weights["to_rgb.bias"][:] = 0.0
        save_file(weights, folder / "weights.safetensors")
        return folder

    return make
