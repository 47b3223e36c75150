"""The fundamental's phase is found in a detuned, fading note with other partials."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.audio.fundamental import HOP, fundamental_phase

RATE = 16000


@pytest.mark.parametrize("f0", [65.4, 261.6, 1046.5])
def test_a_detuned_note_with_vibrato(f0):
    t = np.arange(2 * RATE) / RATE
    ahead = 0.3 + 0.004 * f0 * t + 0.05 * np.sin(2 * np.pi * 5.0 * t)  # cycles
    turn = 2 * np.pi * (f0 * t + ahead)
    note = 0.2 * np.cos(turn) + 0.4 * np.cos(2 * turn + 1.0) + 0.1 * np.cos(3 * turn)
    found = fundamental_phase(note * np.exp(-t), f0, RATE)
    assert found.shape == (1 + 2 * RATE // HOP,) and found.dtype == np.float32
    inner = slice(20, -20)
    error = found[:-1][inner] - ahead[::HOP][: len(found) - 1][inner]
    error -= np.round(np.median(error))
    assert np.abs(error).max() < 0.04


def test_silence_before_and_after_holds_the_phase():
    t = np.arange(RATE) / RATE
    note = np.where((t > 0.3) & (t < 0.6), np.cos(2 * np.pi * 441.0 * t), 0.0)
    found = fundamental_phase(note, 440.0, RATE)
    middle = found[np.arange(len(found)) * HOP / RATE > 0.62]
    assert np.ptp(found[:70]) < 0.01 and np.ptp(middle) < 1e-6
    assert not fundamental_phase(np.zeros(1000), 440.0, RATE).any()
