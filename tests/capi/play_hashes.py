"""Plays tests/golden/hashes.json through libaudiogen and prints the hash of each sound.

AUDIOGEN_ISA=baseline python tests/capi/play_hashes.py LIBRARY
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
BLOCK, FADE_OUT_S = 333, 0.05  # samples; s
NOTE_OFF, NOTE_ON = 0, 1


class Settings(ctypes.Structure):
    """audiogen_settings of csrc/capi/audiogen.h."""

    _fields_ = [
        ("sample_rate", ctypes.c_uint32),
        ("max_block", ctypes.c_uint32),
        ("polyphony", ctypes.c_uint32),
        ("n_channels", ctypes.c_uint32),
        ("n_inputs", ctypes.c_uint32),
        ("seed", ctypes.c_uint64),
        ("precision", ctypes.c_int),
        ("realtime", ctypes.c_int),
        ("margin_ms", ctypes.c_float),
    ]


class Event(ctypes.Structure):
    """audiogen_event of csrc/capi/audiogen.h."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("offset", "kind", "id", "timbre")),
        *((name, ctypes.c_float) for name in ("pitch", "value", "pan")),
    ]


def load(path: str) -> ctypes.CDLL:
    """The library, with the types of the functions that are used here."""
    library = ctypes.CDLL(path)
    library.audiogen_default_settings.restype = Settings
    library.audiogen_error.restype = ctypes.c_char_p
    for name in ("open", "create"):
        getattr(library, f"audiogen_{name}").restype = ctypes.c_void_p
    return library


def play(library: ctypes.CDLL, folder: Path, rate: int, content: dict) -> np.ndarray:
    """The sound of one preset, [n_samples]."""
    preset = ctypes.c_void_p(library.audiogen_open(str(folder).encode()))
    assert preset, library.audiogen_error()
    settings = library.audiogen_default_settings()
    settings.sample_rate, settings.n_channels, settings.seed = rate, 1, content["seed"]
    synth = ctypes.c_void_p(library.audiogen_create(preset, ctypes.byref(settings)))
    assert synth, library.audiogen_error()
    timbre, plays_notes = (
        getattr(library, f"audiogen_preset_{name}")(preset)
        for name in ("default_timbre", "plays_notes")
    )
    events: list[tuple[int, int, Event]] = []  # sample, note-ons after note-offs, event
    if plays_notes:
        for i, (start_s, duration_s, pitch, velocity) in enumerate(content["score"]):
            on = Event(0, NOTE_ON, i, timbre, pitch, velocity, 0.0)
            events.append((round(start_s * rate), 1, on))
            events.append((round((start_s + duration_s) * rate), 0, Event(0, NOTE_OFF, i)))
    else:
        n = round(content["seconds"] * rate)
        events.append((0, 1, Event(0, NOTE_ON, 0, timbre, 60.0, 1.0, 0.0)))
        events.append((math.floor(n - FADE_OUT_S * rate), 0, Event(0, NOTE_OFF, 0)))
    events.sort(key=lambda entry: entry[:2])
    block, blocks, at = np.zeros(BLOCK, np.float32), [], 0
    channels = (ctypes.POINTER(ctypes.c_float) * 1)(
        block.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    )
    while events or library.audiogen_n_sounding(synth) or block.any():
        now = [entry for entry in events if entry[0] < at + BLOCK]
        events = events[len(now) :]
        for sample, _, event in now:
            event.offset = sample - at
        table = (Event * len(now))(*(event for _, _, event in now))
        library.audiogen_process(
            synth, channels, ctypes.c_size_t(BLOCK), table, ctypes.c_size_t(len(now)), None
        )
        blocks.append(block.copy())
        at += BLOCK
    sound = np.concatenate(blocks)[library.audiogen_latency(synth) :]
    library.audiogen_destroy(synth)
    library.audiogen_close(preset)
    return sound[: np.flatnonzero(sound)[-1] + 1] if plays_notes else sound[:n]


def main(path: str) -> None:
    """Print ``PRESET RATE HASH`` for each sound."""
    library = load(path)
    content = json.loads((ROOT / "tests" / "golden" / "hashes.json").read_text(encoding="utf-8"))
    for name, rates in content["hashes"].items():
        for rate in rates:
            sound = play(library, ROOT / "presets" / name, int(rate), content)
            print(name, rate, hashlib.sha256(sound.astype("<f4").tobytes()).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1])
