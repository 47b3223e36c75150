"""Fixtures that several folders share: a preset small enough to write in a test."""

from __future__ import annotations

import copy
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Networks in tests are small: torch's threads would only wait for each other. Set before torch is.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The engine's threads, too: pytest has a process for each core already.
os.environ.setdefault("AUDIOGEN_THREADS", "1")
# Memory that a training step frees is kept for the next one, as `keep_freed_memory` of `audiogen
# train` does, but not without a limit: glibc reads these when a worker starts.
for _name, _value in (("MMAP_MAX", 0), ("TOP_PAD", 1 << 26), ("TRIM_THRESHOLD", 1 << 30)):
    os.environ.setdefault(f"MALLOC_{_name}_", str(_value))
# Code that numba has cached can crash the process that loads it again, the more so where two
# workers write one cache: each process has an empty cache of its own. Assigned, not defaulted,
# because a worker inherits the environment of the process that started it.
_NUMBA_CACHE = tempfile.TemporaryDirectory(prefix="audiogen-numba-")
os.environ["NUMBA_CACHE_DIR"] = _NUMBA_CACHE.name

# Tests that talk to a program or device with a clock of its own: a browser, a server, a sound card,
# a plug-in host. On a busy machine any of them may be late, so each is tried a second time; the
# summary counts these ("rerun").
HAS_A_CLOCK = re.compile(
    r"tests/(web|plugin)/|test_(play|play_jack|live|synth_live|soak|threads|processes|stream)\.py"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The longest file comes first, so that the other processes don't wait for its end.
    items.sort(key=lambda item: item.path.name != "test_browser.py")
    for item in items:
        if HAS_A_CLOCK.search(item.path.as_posix()):
            item.add_marker(pytest.mark.flaky(reruns=1))


TINY_PRESET: dict[str, Any] = {
    "format": 1,
    "name": "tiny",
    "kind": "gansynth",
    "description": "A preset for tests.",
    "authors": ["The audiogen authors"],
    "licence": "CC0-1.0",
    "default_timbre": "harp",
    "sample_rate": 16000,
    "pitch_range": [36, 84],
    "spectrogram": {
        "n_fft": 128,
        "hop_length": 32,
        "n_frames": 8,
        "magnitude_floor": 1e-6,
        "magnitude_scale": 0.0661371661726,
        "magnitude_offset": 0.113718730221,
        "frequency_scale": 0.8,
        "frequency": "linear",
        "phase": "harmonic",
    },
    "generator": {
        "conditioning": "harmonic",
        "latent_size": 3,
        "channels": [6, 5, 4],
        "start_shape": [2, 16],
        "pitch_min": 24,
        "n_pitches": 61,
        "note_off_frame": 5,
    },
    "sustain": {"loop_start_frame": 2, "loop_end_frame": 4, "release_frame": 5},
    "timbres": [
        {"name": "harp", "z": [1.0, 0.0, 0.5], "family": "string", "program": 46},
        {"name": "guitar", "z": [0.0, 1.0, -0.5], "family": "guitar", "program": 24},
        {"name": "dream", "z": [0.5, 0.5, 0.0], "family": "synth_lead"},
    ],
    "data": {"source": "noise", "licence": "CC0-1.0", "instruments": ["harp"], "notes": 4},
    "training": {
        "command": "audiogen train tiny",
        "seed": 0,
        "seconds": 1.5,
        "steps": 10,
        "machine": "one core",
        "torch": "2.4",
    },
    "measured": {"within_half_a_semitone": 0.95},
}

TINY_SAMPLERNN: dict[str, Any] = {
    "format": 1,
    "name": "murmur",
    "kind": "samplernn",
    "description": "A texture for tests.",
    "authors": ["The audiogen authors"],
    "licence": "CC0-1.0",
    "sample_rate": 8000,
    "samplernn": {
        "frame_sizes": [8, 2],
        "dim": 12,
        "n_rnn": 1,
        "rnn": "gru",
        "embedding_size": 5,
        "q_levels": 256,
        "quantisation": "linear",
        "conditioning": "none",
        "n_classes": 0,
    },
    "sampling": {"temperature": 0.9, "top_p": 1.0},
    "data": {"source": "noise", "licence": "CC0-1.0", "files": 3, "seconds": 12.5},
    "training": TINY_PRESET["training"],
    "measured": {"held_out_bits": 3.5},
}
# What makes of it a preset that plays notes.
NOTE_FIELDS: dict[str, Any] = {
    "samplernn": {**TINY_SAMPLERNN["samplernn"], "conditioning": "note", "n_classes": 2},
    "pitch_range": [36, 84],
    "default_timbre": "oboe",
    "timbres": [
        {"name": "flute", "family": "flute", "program": 73},
        {"name": "oboe", "family": "reed"},
    ],
}


@pytest.fixture
def preset_fields() -> dict[str, Any]:
    """The fields of a small preset's ``preset.toml``, to be changed at will."""
    return copy.deepcopy(TINY_PRESET)


@pytest.fixture
def write_tiny() -> Callable[..., Path]:
    """A function that writes a small preset with random weights, some fields changed."""

    def write(folder: Path, **changes: Any) -> Path:
        from audiogen.presets import check_fields, weight_shapes, write_preset

        fields = {**copy.deepcopy(TINY_PRESET), "name": folder.name, **changes}
        if "sustain" in changes and changes["sustain"] is None:
            del fields["sustain"]
        random = np.random.default_rng(0)
        shapes = weight_shapes(check_fields(fields).generator)
        # Sums of unit variance, as in a trained network, keep rounding errors small.
        weights = {
            name: (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
            for name, shape in shapes.items()
        }
        write_preset(folder, fields, weights)
        return folder

    return write


@pytest.fixture
def write_kit(write_tiny: Callable[..., Path]) -> Callable[..., Path]:
    """A function that writes a small drum kit with random weights: keys 36, 38 and 42.

    Its ``drums`` are further fields of the timbres kick, snare and hat.
    """

    def write(folder: Path, drums: Any = None, **changes: Any) -> Path:
        timbres = copy.deepcopy(TINY_PRESET["timbres"])
        for timbre, name, key in zip(timbres, ("kick", "snare", "hat"), (36, 38, 42), strict=True):
            timbre |= {"name": name, "key": key, "family": "percussion"} | (drums or {}).get(
                name, {}
            )
            timbre.pop("program", None)
        kit = {"timbres": timbres, "default_timbre": "snare", "sustain": None}
        return write_tiny(folder, **{**kit, "pitch_range": [36, 42], **changes})

    return write


@pytest.fixture
def samplernn_fields() -> dict[str, Any]:
    """The fields of a small SampleRNN preset's ``preset.toml``, to be changed at will."""
    return copy.deepcopy(TINY_SAMPLERNN)


@pytest.fixture
def note_fields() -> dict[str, Any]:
    """The same of one that plays notes."""
    return copy.deepcopy({**TINY_SAMPLERNN, **NOTE_FIELDS})


@pytest.fixture
def write_murmur() -> Callable[..., Path]:
    """A function that writes a small SampleRNN preset with random weights, some fields changed."""

    def write(folder: Path, notes: bool = False, **changes: Any) -> Path:
        from audiogen.presets import check_fields, write_preset

        fields = copy.deepcopy({**TINY_SAMPLERNN, **(NOTE_FIELDS if notes else {})})
        fields |= {"name": folder.name, **changes}
        write_preset(folder, fields, samplernn_weights(check_fields(fields).network))
        return folder

    return write


def samplernn_weights(table: Any) -> dict[str, np.ndarray]:
    """Random weights for a SampleRNN; sums keep unit variance, as in a trained one."""
    from audiogen.presets import weight_shapes

    random = np.random.default_rng(0)
    weights = {
        name: (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in weight_shapes(table).items()
    }
    bias = weights["sample.output.bias"]  # for levels about silence, so that nothing clips
    bias -= np.square(np.linspace(-6, 6, len(bias), dtype=np.float32))
    return weights
