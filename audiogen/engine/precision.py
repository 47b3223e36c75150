"""The precision of a network's arithmetic: what a preset supports, and the fastest on this CPU."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.core import backend
from audiogen.core.atomic_write import cache_folder, write_whole
from audiogen.core.cores import processor_name
from audiogen.core.device import choose_device
from audiogen.errors import ParameterError
from audiogen.presets import GansynthPreset, Preset

AUTO = "auto"
PRECISIONS = {"gansynth": ("float32", "bfloat16"), "samplernn": ("float32", "bfloat16", "int8")}

CACHE_FILE = "precision.json"
MOST_CACHED = 256  # measurements in the file; the oldest are dropped
ROUNDS = 5  # the fastest counts
N_FRAMES, N_SAMPLES = 4, 256  # of a measurement, 1 to 30 ms
# A coarser precision must be faster by this factor, so that measurements that vary by a few percent
# always make the same choice.
GAIN = 1.1


def resolve_precision(preset: Preset, precision: str, device: str = "cpu") -> str:
    """Return the precision that a preset's network computes in.

    Parameters
    ----------
    preset : Preset
        The preset.
    precision : str
        One of `PRECISIONS`, or ``auto``: the fastest on this CPU, measured once for each CPU,
        instruction set, build and size of network, and kept in `cache_folder`.
    device : str
        Device that computes; on a GPU ``auto`` is ``float32``.

    Returns
    -------
    str
        ``float32``, ``bfloat16`` or ``int8``; ``float32`` for ``bfloat16`` where that is slower
        (docs/decisions.md).

    Raises
    ------
    ParameterError
        If the preset's network has no such precision.
    """
    allowed = PRECISIONS[preset.kind]
    if precision not in (*allowed, AUTO):
        raise ParameterError(
            f"precision={precision!r} is not supported by preset {preset.name!r}, a"
            f" {preset.kind}; use {' or '.join(map(repr, (*allowed, AUTO)))}"
        )
    if device != "cpu" and not (device == "auto" and choose_device(device).type == "cpu"):
        return "float32" if precision == AUTO else precision
    if precision == AUTO:
        return fastest_precision(preset)
    if precision == "bfloat16" and preset.kind == "gansynth" and _bfloat16_rows() == "float32":
        return "float32"
    return precision


def fastest_precision(preset: Preset) -> str:
    """Return the precision in which this CPU computes a preset fastest, measured or cached."""
    native = backend.find()
    if native is None:
        return "float32"  # the only precision of the numba engine
    candidates = PRECISIONS[preset.kind]
    if preset.kind == "gansynth" and _bfloat16_rows() not in ("pairs", "tiles"):
        candidates = ("float32",)
    key = _key(preset)
    chosen = _chosen.get(key) or _read().get(key, {}).get("precision")
    if chosen not in candidates:
        seconds = measure(preset, candidates) if len(candidates) > 1 else {"float32": 0.0}
        chosen = _fastest(seconds)
        _remember(key, {"precision": chosen, "seconds": seconds, "preset": preset.name})
    _chosen[key] = chosen
    return chosen


def measure(preset: Preset, candidates: tuple[str, ...]) -> dict[str, float]:
    """Measure how long a few frames or samples of a preset take in each precision.

    Parameters
    ----------
    preset : Preset
        The preset.
    candidates : tuple of str
        Precisions.

    Returns
    -------
    dict of str to float, s
    """
    calls = {precision: _call(preset, precision) for precision in candidates}
    seconds = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for precision, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[precision] = min(seconds[precision], time.perf_counter() - start)
    return seconds


# Choices of this process by key, so that each is made once even if the cache can't be written.
_chosen: dict[str, str] = {}


def _bfloat16_rows() -> str:
    native = backend.find()
    return native.bfloat16_rows() if native else "none"


def _call(preset: Preset, precision: str) -> Callable[[], Any]:
    """A call that computes the first frames of a note, or the next samples of a stream."""
    native = backend.require()
    network = preset.open_network(precision)
    if isinstance(preset, GansynthPreset):
        n_frames = min(N_FRAMES, preset.spectrogram.n_frames)
        z, pitch = np.zeros(preset.generator.latent_size, np.float32), preset.pitch_range[0]
        frames = network.stream(z, pitch)

        def note() -> None:
            frames.start(z, pitch)
            frames.take(n_frames)

        return note
    samples = native.SampleStream(network, 1, 0)
    if preset.plays_notes:
        samples.start_note(0, 60.0, 0.8, 0)
    return lambda: samples.process(N_SAMPLES, 1.0)


def _fastest(seconds: Mapping[str, float]) -> str:
    """The finest precision that no other beats by `GAIN`."""
    best = "float32"
    for precision, took_s in seconds.items():
        if took_s * GAIN < seconds[best]:
            best = precision
    return best


def _key(preset: Preset) -> str:
    native = backend.require()
    parts = {
        "cpu": processor_name(),
        "isa": native.isa(),
        "build": _build(),
        "kind": preset.kind,
        "notes": preset.plays_notes,
        "sizes": asdict(preset.network),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _build() -> str:
    """A hash of the compiled module."""
    return hashlib.sha256(Path(backend.require().__file__).read_bytes()).hexdigest()


def _read() -> dict[str, dict[str, Any]]:
    """The cached measurements; none if the file is missing or damaged."""
    try:
        cached = json.loads((cache_folder() / CACHE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # the last: there is no home folder
        return {}
    entries = cached.items() if isinstance(cached, dict) else ()
    return {key: entry for key, entry in entries if isinstance(entry, dict)}


def _remember(key: str, entry: dict[str, Any]) -> None:
    """Add a measurement to the file; if it can't be written, the next process measures again."""
    cached = _read()
    cached.pop(key, None)
    cached[key] = entry
    kept = dict(list(cached.items())[-MOST_CACHED:])
    with contextlib.suppress(OSError, ParameterError, RuntimeError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        write_whole(cache_folder() / CACHE_FILE, json.dumps(kept, indent=1))
