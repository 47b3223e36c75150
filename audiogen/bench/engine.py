"""How many notes the engine plays at once, and how soon one is heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from audiogen.bench.compare import Race
from audiogen.core import backend as _native
from audiogen.engine import Player
from audiogen.presets import Preset, find_presets, load_preset

RATE, BLOCK, SHORT_BLOCK = 48000, 256, 64
WANTED_VOICES = {"gansynth": 16, "samplernn": 8}
PRECISIONS = {"gansynth": ("float32",), "samplernn": ("float32", "int8")}
HANDS_ON = {"morph": 0.5, "vibrato": 0.5}
SOON_S = 0.010
PLAYED_S = 4.0
TRIES = 3  # of which the quickest counts: nothing of a note is kept between them


def engine() -> Iterator[Race]:
    """Each preset that plays notes, in stereo, as `Player` plays it."""
    _native.require()
    for folder in find_presets():
        preset = load_preset(folder)
        if preset.plays_notes:
            for precision in PRECISIONS[preset.kind]:
                yield _many(preset, precision)
            if preset.kind == "gansynth":
                yield _many(preset, "float32", HANDS_ON)
            yield _first(preset)


def _many(preset: Preset, precision: str, moved: Mapping[str, float] | None = None) -> Race:
    """A block of as many voices as the preset is to have, with some parameters moved."""
    assert preset.pitch_range is not None
    voices = WANTED_VOICES[preset.kind]
    player = Player(preset, RATE, BLOCK, voices=voices, precision=precision)
    player.morph_timbre = preset.timbres[-1].name
    for name, value in (moved or {}).items():
        setattr(player, name, value)
    for pitch in np.linspace(*preset.pitch_range, voices).astype(int):
        player.note_on(int(pitch))
        player.process(BLOCK)
    times = np.array([_time(player, BLOCK) for _ in range(int(PLAYED_S * RATE / BLOCK))])
    return Race(
        f"{preset.name}, {precision}: {voices} voices{' that morph, in vibrato' if moved else ''},"
        f" a block of {BLOCK} at 48 kHz",
        float(times.mean()),
        BLOCK / RATE,
        "real time",
        target=1.0,
        remark=_voices(player.n_sounding, float(times.mean()), float(times.max())),
    )


def _first(preset: Preset) -> Race:
    """The way of the slowest note from its key to the ear."""
    assert preset.pitch_range is not None
    lowest, highest = preset.pitch_range
    player = Player(preset, RATE, SHORT_BLOCK, voices=1)
    waits = [
        min(_time_note_on(player, pitch) for _ in range(TRIES))
        for pitch in range(lowest, highest + 1)
    ]
    return Race(
        f"{preset.name}: note-on to first sample, blocks of {SHORT_BLOCK}, worst of"
        f" {len(waits)} pitches",
        max(waits) + player.latency / RATE,
        SOON_S,
        f"{SOON_S * 1e3:.0f} ms",
        target=1.0,
        remark=_work(waits),
    )


def _time_note_on(player: Player, pitch: int) -> float:
    player.all_off(silence=True)
    for _ in range(RATE // 50 // SHORT_BLOCK):
        player.process(SHORT_BLOCK)
    player.note_on(pitch)
    return _time(player, SHORT_BLOCK)


def _time(player: Player, n: int) -> float:
    start = time.perf_counter()
    player.process(n)
    return time.perf_counter() - start


def _work(waits: list[float]) -> Callable[[float], str]:
    return lambda _: f"median {np.median(waits) * 1e3:.2f} ms of work"


def _voices(held: int, mean: float, worst: float) -> Callable[[float], str]:
    a_core = held * BLOCK / RATE / mean
    return lambda _: f"{a_core:.0f} voices a core, worst block {worst * 1e3:.2f} ms"
