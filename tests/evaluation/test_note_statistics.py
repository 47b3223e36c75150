"""Statistics of notes, on synthetic notes whose statistics are known."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.errors import ParameterError
from audiogen.evaluation import note_statistics as ns

RATE, SECONDS = 16000, 3.0
TIME_S = np.arange(round(RATE * SECONDS)) / RATE
RANDOM = np.random.default_rng(0)


def note(pitch=60.0, gain_db=0.0, cents=0.0, n_partials=12):
    """Harmonics, 6 dB an octave, with a gain and a detuning over time."""
    f0 = 440 * 2 ** ((pitch - 69) / 12)
    phase = 2 * np.pi * np.cumsum(f0 * 2 ** (cents / 1200) * np.ones_like(TIME_S)) / RATE
    sound = sum(np.sin(h * phase + h * h) / h for h in range(1, n_partials + 1) if h * f0 < 7800)
    return 0.1 * 10 ** (gain_db / 20) * sound


def sine(rms, hz):
    return np.sqrt(2) * rms * np.sin(2 * np.pi * hz * TIME_S)


def measure(sound, pitch=60.0, rate=RATE):
    return ns.note_statistics(sound, pitch, rate)


@pytest.mark.parametrize(
    ("name", "hz", "others"),
    [
        ("wander_db", 1.0, ("flutter_db", "roughness_db")),
        ("flutter_db", 5.0, ("wander_db", "roughness_db")),
        ("roughness_db", 25.0, ("wander_db", "flutter_db")),
    ],
)
def test_level_changes_have_their_depth_and_rate(name, hz, others):
    steady, varying = measure(note()), measure(note(gain_db=sine(1.5, hz)))
    # Without their linear trend, two periods of 1 Hz have 12 % more; frames of 32 ms average 25 Hz.
    assert varying[name] == pytest.approx(1.5, rel=0.3 if hz > 8 else 0.15)
    for key in (name, *others):
        assert steady[key] < 0.05
    for key in others:
        assert varying[key] < 0.15
    assert ns.is_varying(varying) == (hz < 8) and not ns.is_varying(steady)


def test_a_steady_decay_is_no_wander():
    assert measure(note(gain_db=-20 * TIME_S))["wander_db"] < 0.02


def test_vibrato_has_its_depth():
    assert measure(note(cents=sine(10.0, 5.0)))["vibrato_cents"] == pytest.approx(10.0, rel=0.1)
    assert measure(note(cents=sine(10.0, 1.0)))["vibrato_cents"] < 1.5
    assert measure(note())["vibrato_cents"] < 0.05


@pytest.mark.parametrize("rise_ms", [10, 60, 200])
def test_attack_is_the_rise_from_10_to_90_percent(rise_ms):
    rise_db = 20 * np.log10(np.clip(TIME_S / (rise_ms / 1000), 1e-6, 1))
    assert measure(note(72, gain_db=rise_db))["attack_ms"] == pytest.approx(0.8 * rise_ms, abs=5)


def test_noise_between_partials_has_its_level():
    """White noise of a known density, beside partials of a known mean density."""
    pitch = 69.0
    noise = 1e-3 * RANDOM.standard_normal(len(TIME_S))
    density = 1e-6 / (RATE / 2)  # power per Hz
    n_partials = {(30.0, 2000.0): (1, 4), (2000.0, 4000.0): (5, 9)}
    measured = measure(note(pitch, n_partials=9) + noise, pitch)
    for (low, high), (first, last) in n_partials.items():
        numbers = range(first, last + 1)
        tones = sum(0.5 * (0.1 / h) ** 2 for h in numbers)
        wanted = 10 * np.log10(density / (tones / (len(numbers) * 2 * ns.PARTIAL_HZ)))
        band = f"{low / 1000:.0f}-{high / 1000:.0f}"
        for name in ("off_partials_db", "near_partials_db"):
            assert measured[f"{name} {band}"] == pytest.approx(wanted, abs=1.0)
    assert measure(note(pitch, n_partials=9), pitch)["off_partials_db 0-2"] < -65


def test_inharmonic_partials_are_not_beside_themselves():
    pitch, ratios = 69.0, np.array([1.0, 2.43, 3.55])
    vibrato = 2 ** (sine(10.0, 5.0) / 1200)
    hz = 440.0 * np.outer(ratios, vibrato)
    sound = 0.1 * np.sin(2 * np.pi * np.cumsum(hz, axis=1) / RATE)
    own, harmonic = (
        ns.note_statistics(sound.sum(axis=0), pitch, RATE, partials) for partials in (ratios, None)
    )
    assert own["off_partials_db 0-2"] < -20 < -12 < harmonic["off_partials_db 0-2"]
    assert own["vibrato_cents"] == pytest.approx(10.0, rel=0.1)


def test_bands_without_partials_have_no_contrast():
    measured = measure(note(n_partials=3))
    assert np.isnan(measured["off_partials_db 2-4"]) and np.isnan(measured["near_partials_db 2-4"])


def test_sidebands_are_near_partials_and_not_far_from_them():
    am = note(81, gain_db=0.0) * (1 + 0.2 * np.sin(2 * np.pi * 18 * TIME_S))
    steady, modulated = measure(note(81), 81), measure(am, 81)
    assert modulated["near_partials_db 0-2"] > steady["near_partials_db 0-2"] + 30
    gain = [modulated[f"{n}_partials_db 0-2"] for n in ("near", "off")]
    assert gain[0] > gain[1] + 5  # `off` is a mean over many more bins


def test_shares_of_power_and_level():
    sound = np.sin(2 * np.pi * 1000 * TIME_S) + 0.1 * np.sin(2 * np.pi * 6000 * TIME_S)
    measured = measure(0.5 * sound)
    for khz in (2, 5):
        assert measured[f"above_db {khz}"] == pytest.approx(10 * np.log10(0.01 / 1.01), abs=0.1)
    assert measured["level_dbfs"] == pytest.approx(10 * np.log10(0.125 * 1.01), abs=0.05)


def test_bands_fit_the_sample_rate():
    assert [high for _, high in ns.partial_bands_hz(16000)] == [2000, 4000, 7840]
    assert [high for _, high in ns.partial_bands_hz(32000)] == [2000, 4000, 8000, 15680]
    names = measure(RANDOM.standard_normal(96000), rate=32000)
    assert "above_db 10" in names and "above_db 10" not in measure(note())
    with pytest.raises(ParameterError, match="sample_rate=4000"):
        measure(note(), rate=4000)


def test_silence_and_bad_samples_have_no_statistics():
    for sound in (np.zeros(0), np.zeros(RATE), np.full(RATE, np.nan)):
        measured = measure(sound)
        assert measured["level_dbfs"] == -200
        assert all(np.isnan(v) for key, v in measured.items() if key != "level_dbfs"), measured
        assert not ns.is_varying(measured)
    low = measure(note(24), 24)
    assert np.isnan(low["off_partials_db 0-2"]) and np.isfinite(low["wander_db"])
