"""The limiter keeps peaks below the ceiling and everything else as it was."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.audio.dynamics import limit

RATE = 16000
CEILING = 10.0 ** (-0.1 / 20.0)


def tone(level: np.ndarray | float, n: int = RATE) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 220.0 * np.arange(n) / RATE)).astype(np.float32)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_no_peak_exceeds_the_ceiling(n_channels: int) -> None:
    random = np.random.default_rng(0)
    sound = (0.4 * random.standard_normal((RATE, n_channels))).astype(np.float32)
    sound[random.integers(0, RATE, 40)] *= 6.0
    limited, reduction_db = limit(sound if n_channels > 1 else sound[:, 0], RATE)
    assert np.abs(limited).max() <= CEILING * (1 + 1e-6)
    assert reduction_db == pytest.approx(20 * np.log10(np.abs(sound).max() / CEILING), abs=0.01)


def test_far_from_peaks_nothing_changes() -> None:
    sound = tone(0.5)
    sound[8000:8100] *= 4.0
    limited, _ = limit(sound, RATE)
    np.testing.assert_array_equal(limited[:7000], sound[:7000])
    np.testing.assert_array_equal(limited[9200:], sound[9200:])


def test_quiet_sound_is_returned_as_it_is() -> None:
    sound = tone(0.9)
    limited, reduction_db = limit(sound, RATE)
    assert limited is sound and reduction_db == 0.0
    assert limit(np.zeros(0, np.float32), RATE)[1] == 0.0


def test_the_gain_moves_without_a_step() -> None:
    swell = np.linspace(0.2, 3.0, RATE)
    limited, _ = limit(tone(swell), RATE)
    clean = tone(np.minimum(swell, CEILING))
    assert np.abs(np.diff(limited, 2)).max() < 1.5 * np.abs(np.diff(clean, 2)).max()


def test_channels_have_the_same_gain() -> None:
    sound = np.stack([tone(2.0), tone(0.5)], axis=1)
    limited, _ = limit(sound, RATE)
    loud = np.abs(sound[:, 0]) > 0.1
    ratio = limited[loud] / sound[loud]
    np.testing.assert_allclose(ratio[:, 0], ratio[:, 1], rtol=1e-5)
