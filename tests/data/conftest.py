"""Fonts to render from: one built here sample by sample, and one from the package pretty_midi."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest

PERIOD = 168  # samples; at 43953 Hz that is middle C
RATE = 43953


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _bags(zones: list[list[tuple[int, int]]]) -> tuple[bytes, bytes]:
    """Return bag and generator lists of zones, terminal records included."""
    bags, generators = b"", b""
    for zone in [*zones, []]:
        bags += struct.pack("<HH", len(generators) // 4, 0)
        for generator, amount in zone:
            generators += struct.pack("<Hh", generator, amount)
    return bags, generators + struct.pack("<Hh", 0, 0)


def build_font(*, reverb: int = 0, licence: str = "CC0-1.0", cents_per_key: int = 100) -> bytes:
    """Return a SoundFont of a looped sine recorded at middle C, and of silence.

    Program 0 has the sine on all keys, ``cents_per_key`` apart; program 1 is silent; program 73 has
    it up to key 71, an octave higher from 72 on, and a fine tuning of +50 cents on all.
    """
    sine = np.sin(2 * np.pi * np.arange(10 * PERIOD) / PERIOD)
    samples = np.concatenate([sine, np.zeros(46), np.zeros(10 * PERIOD), np.zeros(46)])
    smpl = (samples * 20000).astype("<i2").tobytes()
    n = len(sine)

    def header(name: bytes, start: int) -> bytes:
        ends = (start, start + n, start + PERIOD, start + n - PERIOD)
        return struct.pack("<20sIIIIIBbHH", name, *ends, RATE, 60, 0, 0, 1)

    loop, sends = (54, 1), [(16, reverb), (15, reverb)]
    low, high = (0 | 71 << 8), (72 | 127 << 8)
    inner = [
        [*sends, loop, (56, cents_per_key), (53, 0)],
        [loop, (53, 1)],
        [(43, low), (52, 50), loop, (53, 0)],
        [(43, high), (51, -12), (52, 50), loop, (53, 0)],
    ]
    ibag, igen = _bags(inner)
    pbag, pgen = _bags([[(41, 0)], [(41, 1)], [(41, 2)]])
    presets = [(b"Sine", 0), (b"Silence", 1), (b"Two zones", 73), (b"EOP", 0)]
    phdr = b"".join(
        struct.pack("<20sHHHIII", name, program, 0, bag, 0, 0, 0)
        for bag, (name, program) in enumerate(presets)
    )
    instruments = [(b"Sine", 0), (b"Silence", 1), (b"Two zones", 2), (b"EOI", 4)]
    inst = b"".join(struct.pack("<20sH", *instrument) for instrument in instruments)
    shdr = header(b"Sine", 0) + header(b"Silence", n + 46) + b"EOS".ljust(46, b"\0")
    info = _chunk(b"ifil", struct.pack("<HH", 2, 1)) + _chunk(b"isng", b"EMU8000\0")
    info += _chunk(b"INAM", b"Tiny\0\0") + _chunk(b"ICOP", licence.encode() + b"\0")
    hydra = {"phdr": phdr, "pbag": pbag, "pmod": bytes(10), "pgen": pgen, "inst": inst}
    hydra |= {"ibag": ibag, "imod": bytes(10), "igen": igen, "shdr": shdr}
    pdta = b"".join(_chunk(name.encode(), data) for name, data in hydra.items())
    body = b"sfbk" + _chunk(b"LIST", b"INFO" + info)
    body += _chunk(b"LIST", b"sdta" + _chunk(b"smpl", smpl)) + _chunk(b"LIST", b"pdta" + pdta)
    return _chunk(b"RIFF", body)


@pytest.fixture
def tiny_font(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.sf2"
    path.write_bytes(build_font())
    return path


@pytest.fixture
def wet_font(tmp_path: Path) -> Path:
    """The same with its effect sends wide open."""
    path = tmp_path / "wet.sf2"
    path.write_bytes(build_font(reverb=1000))
    return path


@pytest.fixture
def half_step_font(tmp_path: Path) -> Path:
    """The same with the keys of program 0 half a semitone apart."""
    path = tmp_path / "half.sf2"
    path.write_bytes(build_font(cents_per_key=50))
    return path


@pytest.fixture(scope="session")
def general_midi_font() -> Path:
    """TimGM6mb.sf2, a General MIDI font of 6 MB that comes inside the package pretty_midi."""
    package = importlib.util.find_spec("pretty_midi")
    if package is None or package.origin is None:
        pytest.skip("needs a General MIDI font; pip install pretty_midi brings one")
    path = Path(package.origin).with_name("TimGM6mb.sf2")
    if not path.is_file():
        pytest.skip("this pretty_midi doesn't bring TimGM6mb.sf2")
    return path
