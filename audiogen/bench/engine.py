"""Benchmark of the engine: polyphony, and latency from note-on to sound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from audiogen.bench.compare import Job, Race
from audiogen.bench.generator import operations
from audiogen.bench.limits import compute_limit
from audiogen.core import backend as _native
from audiogen.engine import Synth
from audiogen.presets import GansynthPreset, Preset, find_presets, load_preset

RATE, BLOCK, SHORT_BLOCK = 48000, 256, 64
POLYPHONY = {"gansynth": 16, "samplernn": 8}
PRECISIONS = {"gansynth": ("float32",), "samplernn": ("float32", "int8")}
MODULATION = {"morph": 0.5, "vibrato": 0.5}
MAX_LATENCY_S = 0.010
DURATION_S = 4.0
TRIES = 3  # the quickest counts; no try profits from the one before


def engine() -> Iterator[Race]:
    """Yield the races of each preset that plays notes, played live in stereo."""
    _native.require()
    for folder in find_presets():
        preset = load_preset(folder)
        if preset.plays_notes:
            for precision in PRECISIONS[preset.kind]:
                yield _polyphony(preset, precision)
            if preset.kind == "gansynth":
                yield _polyphony(preset, "float32", MODULATION)
            yield _latency(preset)


def _polyphony(
    preset: Preset, precision: str, modulation: Mapping[str, float] | None = None
) -> Race:
    """Return the race of one block with full polyphony, optionally modulated."""
    assert preset.pitch_range is not None
    voices = POLYPHONY[preset.kind]
    synth = Synth(preset, RATE, precision=precision, polyphony=voices, max_block=BLOCK)
    if preset.kind == "gansynth":
        synth.morph_timbre = preset.timbres[-1].name
    for name, value in (modulation or {}).items():
        setattr(synth, name, value)
    for pitch in np.linspace(*preset.pitch_range, voices).astype(int):
        synth.note_on(int(pitch))
        synth.process(BLOCK)
    rounds = [
        (_time(synth, BLOCK), synth.n_sounding) for _ in range(int(DURATION_S * RATE / BLOCK))
    ]
    times, n_sounding = np.array(rounds).T  # sounds of a drum kit end
    n_operations = frame_operations(preset, float(n_sounding[-1]) * BLOCK / RATE)
    n_operations *= 2 if modulation else 1  # two timbres
    return Race(
        f"{preset.name}, {precision}: {voices} voices{', morph and vibrato' if modulation else ''},"
        f" block of {BLOCK} at 48 kHz",
        float(times.mean()),
        BLOCK / RATE,
        "real time",
        target=1.0,
        remark=_polyphony_remark(float(n_sounding.mean()), float(times.mean()), float(times.max())),
        limit=compute_limit(n_operations, "float32") if n_operations else None,
    )


def frame_operations(preset: Preset, sounding_s: float) -> float:
    """Operations of the frames of notes that sound for so many seconds in all, in float32.

    0 for a SampleRNN, and for a drum kit, whose sounds last as long as they do.
    """
    if not isinstance(preset, GansynthPreset) or preset.is_kit:
        return 0.0
    per_note, _ = operations(preset.network)
    n_frames = sounding_s * preset.sample_rate / preset.spectrogram.hop_length
    return n_frames * per_note / preset.spectrogram.n_frames


def _latency(preset: Preset) -> Race:
    """Return the race of the slowest pitch from note-on to its first sample."""
    assert preset.pitch_range is not None
    lowest, highest = preset.pitch_range
    synth = Synth(preset, RATE, polyphony=1, max_block=SHORT_BLOCK)
    times = [
        min(_time_note_on(synth, pitch) for _ in range(TRIES))
        for pitch in range(lowest, highest + 1)
    ]
    return Race(
        f"{preset.name}: note-on to first sample, blocks of {SHORT_BLOCK}, worst of"
        f" {len(times)} pitches",
        max(times) + synth.latency / RATE,
        MAX_LATENCY_S,
        f"{MAX_LATENCY_S * 1e3:.0f} ms",
        target=1.0,
        remark=lambda _: f"median computation {np.median(times) * 1e3:.2f} ms",
    )


def _time_note_on(synth: Synth, pitch: int) -> float:
    synth.all_off(silence=True)
    for _ in range(RATE // 50 // SHORT_BLOCK):
        synth.process(SHORT_BLOCK)
    synth.note_on(pitch)
    return _time(synth, SHORT_BLOCK)


def _time(synth: Synth, n: int) -> float:
    start = time.perf_counter()
    synth.process(n)
    return time.perf_counter() - start


def _polyphony_remark(n_sounding: float, mean_s: float, worst_s: float) -> Callable[[float], str]:
    per_core = n_sounding * BLOCK / RATE / mean_s
    return lambda _: f"{per_core:.0f} voices per core, worst block {worst_s * 1e3:.2f} ms"


JOBS = {"engine": Job(engine, "the engine on each preset that plays notes", 2.0)}
