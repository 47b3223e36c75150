"""What a SampleRNN is told about a note."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.representation.harmonic import pitch_to_hz
from audiogen.representation.note_features import N_HARMONICS, N_NOTE_FEATURES, note_features


def test_a_held_note_in_numbers():
    features = note_features(0.25, 72.0, 0.75, 0.1, -1.0, 16000)
    assert features.shape == (N_NOTE_FEATURES,) and features.dtype == np.float32
    np.testing.assert_allclose(features[:3], [0.5, 0.5, 1.0])
    decays = np.exp(-0.1 / np.array([0.01, 0.1, 0.5, 2.0]))
    np.testing.assert_allclose(features[3:7], decays, rtol=1e-6)
    np.testing.assert_allclose(features[7:9], 0.0)
    # A quarter turn: sin k pi/2, cos k pi/2.
    np.testing.assert_allclose(features[9:15], [1, 0, 0, -1, -1, 0], atol=1e-6)


def test_a_released_note():
    features = note_features(0.0, 60.0, 1.0, 3.0, 0.3, 16000)
    assert features[2] == 0.0
    np.testing.assert_allclose(features[7:9], np.exp([-6.0, -1.0]), rtol=1e-5)


@pytest.mark.parametrize("pitch", [30.0, 84.0, 96.0, 110.0])
def test_no_harmonic_is_above_the_nyquist_frequency(pitch):
    features = note_features(0.1, pitch, 1.0, 0.0, -1.0, 16000)
    size = np.hypot(features[9::2], features[10::2])
    hz = pitch_to_hz(pitch) * np.arange(1, N_HARMONICS + 1)
    assert (size[hz >= 8000.0] == 0.0).all()
    np.testing.assert_allclose(size[hz <= 7200.0], 1.0, rtol=1e-6)
    assert ((size > 0) & (size < 1))[(hz > 7200.0) & (hz < 8000.0)].all()


def test_arrays_broadcast_and_whole_turns_do_not_matter():
    phase = np.linspace(0.0, 3.0, 7)
    one = note_features(phase, 60.0, 0.5, phase, -1.0, 16000)
    many = note_features(phase + 5.0, np.full(7, 60.0), 0.5, phase, -1.0, 16000)
    assert one.shape == (7, N_NOTE_FEATURES)
    np.testing.assert_allclose(one, many, atol=1e-5)
