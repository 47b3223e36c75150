"""Streams: alive or fallen into silence, a cycle or noise; speech and tones told from the rest."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from audiogen.errors import MissingPackageError, ParameterError
from audiogen.evaluation import texture_metrics
from audiogen.evaluation.texture_metrics import alive, spectral_flux, speech_share, tonality

RATE = 16000
needs_detector = pytest.mark.skipif(
    find_spec("silero_vad") is None, reason="needs silero-vad, of the extra eval"
)


def seconds(duration_s: float) -> np.ndarray:
    return np.arange(round(duration_s * RATE)) / RATE


def noise(duration_s: float, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).normal(size=round(duration_s * RATE))


def pink_noise(duration_s: float) -> np.ndarray:
    spectrum = np.fft.rfft(noise(duration_s))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    sound = np.fft.irfft(spectrum)
    return 0.1 * sound / sound.std()


def melody(duration_s: float, seed: int = 0) -> np.ndarray:
    """Two plucked tones every third of a second, with harmonics, never the same for long."""
    rng = np.random.default_rng(seed)
    time_s = seconds(1 / 3)
    notes = []
    for _ in range(1 + int(duration_s * 3)):
        f0_hz = 220 * 2 ** (rng.integers(0, 24, (2, 1, 1)) / 12)
        harmonics = np.arange(1, 6)[:, None]
        tones = np.sin(2 * np.pi * f0_hz * harmonics * time_s) / harmonics
        notes.append(0.15 * np.exp(-3 * time_s) * tones.sum(axis=(0, 1)))
    return np.concatenate(notes)[: round(duration_s * RATE)]


# --- Alive ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [melody, noise, pink_noise])
def test_music_and_noise_go_on(make):
    life = alive(make(35), RATE)
    assert life.alive, life.verdict
    assert life.verdict == "alive"
    assert [window.start_s for window in life.windows] == pytest.approx([0, 10, 20, 25], abs=0.1)


@pytest.mark.parametrize("rest", [0.0, 0.3, 0.0005])
def test_silence_is_detected_with_offset_and_hiss(rest):
    """A dead stream may hang on a level that isn't 0, or hiss below -60 dBFS."""
    still = np.full(20 * RATE, rest) + 1e-4 * np.random.default_rng(0).normal(size=20 * RATE)
    life = alive(np.concatenate([melody(20), still]), RATE)
    assert [window.faults for window in life.windows] == [(), (), ("silence",), ("silence",)]
    assert life.verdict == "silence from 20 s"
    assert not life.alive


def test_rests_within_a_window_are_no_silence():
    sound = melody(30)
    sound[12 * RATE : 18 * RATE] = 0
    assert alive(sound, RATE).alive


def test_rustling_below_the_threshold_is_silence():
    """Its blocks reach -58 dBFS a third of the time; the window as a whole stays below -60."""
    rustle = 1.26e-3 * np.random.default_rng(0).normal(size=10 * RATE)
    rustle[np.arange(len(rustle)) // 4000 % 3 > 0] = 0
    (window,) = alive(rustle, RATE).windows
    assert window.level_db == pytest.approx(-62.5, abs=0.2)
    assert window.faults == ("silence",)


def test_a_click_is_no_life():
    sound = np.zeros(10 * RATE)
    sound[5 * RATE : 5 * RATE + 100] = 0.9
    (window,) = alive(sound, RATE).windows
    assert window.level_db > -40
    assert window.faults == ("silence",)


@pytest.mark.parametrize("period_s", [0.0037, 0.21, 1.5, 3.9])
@pytest.mark.parametrize("hiss", [0.0, 0.01])
def test_a_cycle_is_detected_under_a_little_noise(period_s, hiss):
    one = noise(period_s, seed=1)
    loop = np.tile(one, 1 + 20 * RATE // len(one))[: 20 * RATE]
    loop = loop + hiss * np.random.default_rng(2).normal(size=len(loop))
    life = alive(np.concatenate([melody(10), loop]), RATE)
    assert [window.faults[:1] for window in life.windows] == [(), ("cycle",), ("cycle",)]
    assert life.windows[1].cycle > 0.98
    assert life.windows[0].cycle < 0.8


def test_a_loop_with_a_rest_in_it_is_a_cycle():
    one = np.concatenate([melody(1.5), np.zeros(2 * RATE)])
    life = alive(np.tile(one, 6), RATE)
    assert life.verdict == "cycle from 0 s"


@pytest.mark.parametrize("offset", [0.3, -0.6])
def test_an_offset_neither_makes_nor_hides_a_cycle(offset):
    assert alive(melody(10) + offset, RATE).alive
    assert alive(np.tile(melody(0.5), 20) + offset, RATE).verdict == "cycle from 0 s"


def test_a_cycle_that_ends_within_the_window_is_none():
    loop = np.tile(noise(0.2, seed=1), 40)
    life = alive(np.concatenate([loop, melody(12)]), RATE)
    assert life.windows[0].cycle < 0.5
    assert "cycle" not in life.windows[0].faults


def test_a_chord_that_stands_still_is_a_cycle_by_its_flux():
    """Its partials have no common period."""
    time_s = seconds(10)
    f0_hz = 220 * np.sqrt([1, 2, 3, 5, 7, 11])
    chord = 0.05 * np.sin(2 * np.pi * f0_hz[:, None] * time_s).sum(axis=0)
    (window,) = alive(chord, RATE).windows
    assert window.cycle < 0.98
    assert window.flux < 0.01
    assert window.faults == ("cycle",)


def test_a_burst_of_noise_is_detected():
    sound = melody(30)
    sound[13 * RATE : round(13.8 * RATE)] = noise(0.8)
    life = alive(sound, RATE)
    assert life.verdict == "noise from 10 s"
    assert life.windows[1].noise_s == pytest.approx(0.8, abs=0.11)


def test_music_that_ends_in_noise_isnt_alive():
    life = alive(np.concatenate([melody(10), noise(40)]), RATE)
    assert life.verdict == "noise from 10 s"


def test_hiss_in_a_rest_is_no_burst():
    sound = melody(20) + 1e-3 * np.random.default_rng(0).normal(size=20 * RATE)
    sound[12 * RATE : 14 * RATE] *= 0.01
    assert alive(sound, RATE).alive


def test_verdict_names_each_fault_once():
    sound = np.concatenate([melody(10), np.zeros(10 * RATE), np.tile(melody(1), 10)])
    assert alive(sound, RATE).verdict == "silence from 10 s, cycle from 20 s"


def test_bad_streams_are_refused():
    for sound in (np.zeros((2, 40000)), np.full(40000, np.nan), np.zeros(RATE)):
        with pytest.raises(ParameterError):
            alive(sound, RATE)
    with pytest.raises(ParameterError, match=r"window_s=1\.5"):
        alive(melody(10), RATE, window_s=1.5)
    with pytest.raises(ParameterError, match="4096 or more"):
        spectral_flux(np.zeros(4095), RATE)


def test_flux_has_the_stated_values():
    time_s = seconds(10)
    assert spectral_flux(0.1 * np.sin(2 * np.pi * 443.21 * time_s), RATE) < 0.005
    assert spectral_flux(noise(10), RATE) == pytest.approx(0.29, abs=0.005)
    assert spectral_flux(np.zeros(RATE), RATE) == 0
    frame = 2048
    ends = np.repeat(np.arange(40) % 2, frame)
    clicks = np.where(ends, np.sin(2 * np.pi * 500 * time_s[: 40 * frame]), 0)
    assert spectral_flux(clicks, RATE) > 0.3


# --- Tones ---------------------------------------------------------------------------------------


def test_tonality_has_the_stated_values():
    white, pink = tonality(noise(20), RATE), tonality(pink_noise(20), RATE)
    sine = tonality(0.01 * np.sin(2 * np.pi * 443.21 * seconds(5)), RATE)
    assert white.flatness == pytest.approx(0.56, abs=0.01)
    assert pink.flatness == pytest.approx(0.30, abs=0.02)
    assert white.peak_share < 0.006
    assert pink.peak_share < 0.03
    assert max(white.held_share, pink.held_share) < 0.005
    assert sine.flatness < 1e-6
    assert min(sine.peak_share, sine.held_share) > 0.999


def test_held_notes_are_distinguished_from_glides():
    held = tonality(melody(20), RATE)
    time_s = seconds(20)
    # A voice of 150 Hz whose pitch sways by a third, twice a second.
    phase = 2 * np.pi * (150 * time_s + 30 / (2 * np.pi * 2) * np.sin(2 * np.pi * 2 * time_s))
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    glide = tonality(0.1 * voice, RATE)
    assert held.peak_share > 0.9
    assert held.held_share > 0.9
    assert glide.held_share < 0.6


def test_tonality_doesnt_depend_on_level_or_pauses():
    sound = melody(10)
    soft, paused = 0.003 * sound, np.concatenate([sound, np.zeros(10 * RATE)])
    wanted = tonality(sound, RATE)
    for other in (tonality(soft, RATE), tonality(paused, RATE)):
        assert other.peak_share == pytest.approx(wanted.peak_share, abs=0.01)
        assert other.held_share == pytest.approx(wanted.held_share, abs=0.01)
        assert other.flatness == pytest.approx(wanted.flatness, rel=0.2)


def test_silence_has_no_tonality():
    found = tonality(np.zeros(RATE), RATE)
    assert np.isnan([found.flatness, found.peak_share, found.held_share]).all()
    with pytest.raises(ParameterError, match="4096 or more"):
        tonality(np.zeros(100), RATE)


# --- Speech --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speech() -> tuple[np.ndarray, int]:
    """A sentence from Praat's synthesiser, of 4 s."""
    parselmouth = pytest.importorskip("parselmouth", reason="needs praat-parselmouth")
    voice = parselmouth.praat.call("Create SpeechSynthesizer", "English (Great Britain)", "Female1")
    text = "This is a sentence that somebody speaks, and here is another one."
    (sound,) = parselmouth.praat.call(voice, "To Sound", text, "no")
    return sound.values[0], int(sound.sampling_frequency)


@needs_detector
def test_speech_is_distinguished_from_music_and_noise(speech):
    sound, rate = speech
    assert rate != 16000
    assert speech_share(sound, rate) > 0.8
    assert speech_share(0.003 * sound, rate) > 0.8
    for other in (melody(10), noise(10), np.zeros(RATE)):
        assert speech_share(other, RATE) < 0.05


@needs_detector
def test_speech_is_found_at_any_rate(speech):
    import soxr

    sound, rate = speech
    wanted = speech_share(sound, rate)
    for other in (8000, 96000):
        share = speech_share(soxr.resample(sound, rate, other), other)
        assert share == pytest.approx(wanted, abs=0.05)


@needs_detector
def test_half_speech_has_half_the_share(speech):
    sound, rate = speech
    half = np.concatenate([sound, np.zeros(len(sound))])
    assert speech_share(half, rate) == pytest.approx(speech_share(sound, rate) / 2, abs=0.06)


@needs_detector
def test_detector_leaves_torchs_threads_alone():
    import subprocess

    code = (
        "import torch; torch.set_num_threads(3)\n"
        "import numpy as np\n"
        "from audiogen.evaluation.texture_metrics import speech_share\n"
        "speech_share(np.ones(16000), 16000)\n"
        "print(torch.get_num_threads())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "3"


def test_missing_detector_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    texture_metrics._detector.cache_clear()
    with pytest.raises(MissingPackageError, match=r"audiogen-synth\[eval\]"):
        speech_share(melody(1), RATE)


@needs_detector
def test_bad_sound_is_refused():
    for sound in (np.zeros((2, 100)), np.full(100, np.inf), np.zeros(0)):
        with pytest.raises(ParameterError):
            speech_share(sound, RATE)
