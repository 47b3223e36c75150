"""MIDI bytes become the same events in both backends."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiogen import _fallback as fallback
from audiogen.core import backend
from audiogen.core.events import EVENT, NOTE_ON

native = backend.find()
needs_native = pytest.mark.skipif(native is None, reason="audiogen._native is not built")


MPE = [0xB0, 101, 0, 100, 6, 6, 4]  # a zone of channels 1 to 5


def assert_same_events(chunks: list[bytes], offset: int = 0) -> None:
    ours, theirs = fallback.MidiReader(), native.MidiReader()
    for chunk in chunks:
        got, want = ours.read(chunk, offset), theirs.read(chunk, offset)
        assert got.dtype == EVENT
        np.testing.assert_array_equal(got, want)


@needs_native
@pytest.mark.parametrize(
    "message",
    [
        [0x90, 60, 127, 0x93, 60, 1, 0x80, 60, 64, 0x93, 60, 0, 0x85, 1, 1],
        [0x90, 50, 9, 50, 8, 50, 0, 50, 0],
        [0xF8, 0x90, 0xFE, 60, 0xF8, 100, 62, 0xFA, 90, 0xF0, 1, 2, 0xF7, 61, 1, 0x90, 63, 1],
        [0x90, 60, 1, 0xF1, 5, 60, 0, 0xF2, 1, 2, 60, 0, 0xF6, 60, 0, 0xFF],
        [0xC2, 0, 0x92, 60, 1, 0xD0, 127, 0xD0, 3, 0xA0, 60, 1],
        [0xE0, 0, 64, 0xE0, 127, 127, 0xE5, 0, 0, 0xE0, 1, 64, 0xE0, 77, 12],
        [0xB0, 101, 0, 100, 0, 6, 12, 38, 50, 0xE0, 127, 127, 0xB0, 6, 127, 98, 0, 6, 7],
        [0xE0, 0, 0, 0xB0, 101, 0, 100, 0, 6, 3, 38, 9, 121, 0, 6, 5, 101, 0, 100, 0, 6, 7],
        [0x90, 60, 1, 0xB0, 123, 0, 0x80, 60, 0, 0xB0, 120, 0, 124, 0, 127, 0],
        [0x90, 60, 1, 0xA0, 60, 127, 0xA0, 61, 9, 0x80, 60, 0, 0xA0, 60, 3],
        [*MPE, 0x91, 60, 9, 0xE1, 5, 99, 0xD2, 77, 0x92, 62, 9, 0xB1, 74, 3, 0xE0, 3, 9, 0xD0, 7],
        [*MPE, *(b for k in range(9) for b in (0x93, 40 + k, 9)), 0x83, 44, 0, 0xD3, 5, 0xEF, 9, 9],
        [*MPE, 0xB1, 101, 0, 100, 0, 6, 7, 38, 9, 0xE2, 0, 0, 0x92, 60, 9, 0xB0, 6, 0, 0xE2, 1, 1],
        [*MPE, 0xBF, 101, 0, 100, 6, 6, 12, 0x91, 6, 9, 0xE1, 1, 1, 0x94, 9, 9, 0xE4, 1, 1],
        [*MPE, 0x91, 60, 9, 0xE0, 1, 99, 0xBF, 101, 0, 100, 6, 6, 3, 0x81, 60, 0, 0xB0, 6, 2],
        [*MPE, 0x91, 60, 9, 0xB1, 7, 3, 121, 0, 64, 127, 123, 0, 0xE1, 1, 1],
    ],
    ids=[
        *("notes", "same key", "real-time", "system", "pressure", "wheel", "range", "reset", "off"),
        *(
            "key pressure",
            "MPE",
            "crowded",
            "MPE range",
            "zones",
            "reconfigured",
            "member controllers",
        ),
    ],
)
def test_messages_equal_the_native_ones(message: list[int]) -> None:
    assert_same_events([bytes(message)], offset=77)
    assert_same_events([bytes([byte]) for byte in message])


@needs_native
def test_controllers_equal_the_native_ones() -> None:
    assert_same_events([bytes([0xB3, n, value]) for n in range(128) for value in range(128)])


@needs_native
@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(0, 2**32 - 1))
def test_random_bytes_equal_the_native_ones(chunks: list[bytes], offset: int) -> None:
    # Programs are left out: the table of a new reader is the host's.
    chunks = [bytes(b & 0xBF if b >> 4 == 0xC else b for b in chunk) for chunk in chunks]
    assert_same_events(chunks, offset)


@needs_native
def test_long_random_streams_equal_the_native_ones() -> None:
    random = np.random.default_rng(0)
    status = np.array([0x80, 0x90, 0x91, 0x91, 0xA1, 0xB0, 0xB9, 0xD0, 0xD1, 0xE0, 0xE1, 0xF8])
    stream = random.integers(0, 128, 60_000)
    at = random.random(len(stream)) < 0.3
    stream[at] = random.choice(status, at.sum())
    controllers = np.isin(np.roll(stream, 1), [0xB0, 0xB1, 0xB9])
    stream[controllers] = random.choice(
        [1, 6, 7, 38, 64, 74, 98, 100, 101, 121, 123], controllers.sum()
    )
    for at in range(0, len(stream), 1000):
        stream[at : at + len(MPE)] = MPE
    cuts = np.sort(random.integers(0, len(stream), 500))
    assert_same_events([bytes(part.tolist()) for part in np.split(stream, cuts)])


def test_programs_choose_timbres() -> None:
    reader = fallback.MidiReader()
    programs = [program // 16 for program in range(128)]
    transposes = [12 if program == 40 else 0 for program in range(128)]
    steps = [0.5 if program == 40 else 1.0 for program in range(128)]
    reader.set_programs(
        SimpleNamespace(
            programs=programs, transposes=transposes, semitones_per_key=steps, default_timbre=5
        )
    )
    assert reader.timbre == 5
    events = reader.read(bytes([0xC2, 40, 0x92, 60, 1, 0x90, 61, 1, 0xC0, 127, 0x90, 62, 1]))
    assert (events["kind"] == NOTE_ON).all()
    assert events["timbre"].tolist() == [2, 5, 7] and reader.timbre == 7
    assert events["pitch"].tolist() == [72, 61, 62]
    assert reader.read(bytes([0x92, 70, 1]))["pitch"].tolist() == [77]
    reader.choose_timbre(3)
    assert reader.timbre == 3
    assert reader.read(bytes([0x92, 60, 1]))["timbre"].tolist()[-1] == 3
