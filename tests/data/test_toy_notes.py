"""Parametric notes: their pitch, their variety, their independence of each other."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.data.toy_notes import PITCHES, SAMPLE_RATE, draw_notes
from audiogen.errors import ParameterError


def test_notes_have_the_pitch_that_they_name():
    notes = draw_notes(24, 0)
    for sound, pitch in zip(notes.sounds, notes.pitches, strict=True):
        f0_hz = 440 * 2 ** ((pitch - 69) / 12)
        level = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
        strongest = level.argmax() * SAMPLE_RATE / (8 * len(sound))
        partial = round(strongest / f0_hz)
        # Stiffness stretches the partials upwards, by less than 0.5 % in the lowest ones.
        assert 1 <= partial <= 4 and abs(strongest / (partial * f0_hz) - 1) < 0.006
    assert set(draw_notes(200, 1).pitches) == set(PITCHES)


def test_draws_repeat_by_seed_and_differ_between_seeds():
    first, again, other = draw_notes(3, 0), draw_notes(3, 0), draw_notes(3, 1)
    assert np.array_equal(first.sounds, again.sounds)
    assert not np.array_equal(first.sounds, other.sounds)
    assert np.abs(first.sounds).max(axis=1) == pytest.approx(0.9)
    with pytest.raises(ParameterError, match="n=0 must be 1 or more"):
        draw_notes(0, 0)
