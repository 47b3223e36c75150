"""Plots: what they show, and that they need neither librosa nor a warning."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from audiogen.audio.plots import (
    BINS_PER_OCTAVE,
    constant_q,
    plot_rainbowgram,
    plot_timbres,
    rainbow_image,
)
from audiogen.errors import ParameterError, ShapeError

RATE = 16000


def tone(frequency_hz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(int(RATE * seconds)) / RATE)


@pytest.mark.slow
@pytest.mark.parametrize("segment", [1 << 20, 1 << 13])
def test_the_constant_q_transform_is_that_of_librosa(monkeypatch, segment):
    """The windows differ in shape, so levels of a tone are compared at its bin, and phases."""
    librosa = pytest.importorskip("librosa", reason="needs librosa, of the extra train")
    monkeypatch.setattr("audiogen.audio.plots._SEGMENT", segment)
    sound = sum(tone(hz, 4.0) for hz in (110.0, 440.0, 1760.0))
    ours = constant_q(sound.astype(np.float32), RATE, 256)
    theirs = librosa.cqt(
        sound, sr=RATE, fmin=32.703, n_bins=len(ours), bins_per_octave=BINS_PER_OCTAVE,
        filter_scale=0.8, hop_length=256,
    )  # fmt: skip
    assert ours.shape == theirs.shape
    rows = [round(BINS_PER_OCTAVE * np.log2(hz / 32.703)) for hz in (110.0, 440.0, 1760.0)]
    level = [20 * np.log10(np.abs(t[rows, 120])) for t in (ours, theirs)]
    assert np.ptp(level[0] - level[1]) < 1.0
    advance = [np.angle(t[rows, 121] / t[rows, 120]) for t in (ours, theirs)]
    assert advance[0] == pytest.approx(advance[1], abs=0.05)


def test_titles_of_any_text_give_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for title in ("日本語 ƒ", "a $\\x$ b", os.fsdecode(b"caf\xe9.wav")):
            plot_rainbowgram(tone(440), RATE, tmp_path / "a.png", title)


def test_a_plot_is_drawn_without_librosa_and_numba(tmp_path):
    """Their import takes several seconds."""
    code = (
        "import sys, numpy as np\n"
        "sys.modules['librosa'] = sys.modules['numba'] = None\n"
        "from audiogen.audio.plots import plot_rainbowgram\n"
        f"plot_rainbowgram(np.ones(16000), 16000, {str(tmp_path / 'a.png')!r}, 'title')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


@pytest.mark.parametrize("pitch", [45, 69, 93])
def test_tone_is_bright_at_its_row_and_of_one_colour(pitch):
    image, hop_length = rainbow_image(tone(440 * 2 ** ((pitch - 69) / 12), 2), RATE)
    assert hop_length == 256 and image.shape[2] == 3
    middle = image[:, 30:-30]
    row = round((pitch - 24) * BINS_PER_OCTAVE / 12)
    assert abs(int(middle.sum(axis=(1, 2)).argmax()) - row) <= 2
    assert middle[row].max(axis=1).min() > 0.8
    assert np.ptp(middle[row], axis=0).max() < 0.1


def test_silence_is_black():
    image, _ = rainbow_image(np.zeros(RATE), RATE)
    assert image.max() == 0


def test_long_sounds_get_longer_hops():
    image, hop_length = rainbow_image(np.zeros(RATE * 120), RATE)
    assert hop_length == 1024 and image.shape[1] == 1 + RATE * 120 // 1024


@pytest.mark.parametrize("n_samples", [1, 100, 5000])
def test_short_sounds_and_other_rates(tmp_path, n_samples):
    plot_rainbowgram(tone(440)[:n_samples], 44100, tmp_path / "a.png", "a title")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 1


def test_refuses(tmp_path):
    for wrong in (np.zeros((2, 9)), np.zeros(0), np.array([np.nan])):
        with pytest.raises(ShapeError, match="can't be drawn"):
            plot_rainbowgram(wrong, RATE, tmp_path / "a.png")
    with pytest.raises(ParameterError, match=r"ends in \.pdf; use \.png"):
        plot_rainbowgram(tone(440), RATE, tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


def test_a_map_of_timbres_has_a_dot_for_each(tmp_path):
    from matplotlib import image

    places = np.array([[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]])
    plot_timbres(places, ["a", "b", "c"], ["reed", "reed", "organ"], tmp_path / "map.png")
    pixels = image.imread(tmp_path / "map.png")[..., :3]
    colourful = (pixels.max(axis=2) - pixels.min(axis=2)) > 0.15  # dots, not names
    map_width = 0.8 * pixels.shape[1]  # beside it stands the legend
    dots = np.argwhere(colourful[:, : round(map_width)])
    height, width = np.ptp(dots, axis=0) / [pixels.shape[0], map_width]
    assert height == pytest.approx(0.6, abs=0.1) and width == pytest.approx(0.6, abs=0.15)
    lowest = dots[dots[:, 0] > 0.6 * pixels.shape[0]]
    assert len(lowest) == pytest.approx(len(dots) / 3, rel=0.2)
    with pytest.raises(ParameterError, match=r"use \.png"):
        plot_timbres(places, ["a"] * 3, ["b"] * 3, tmp_path / "map.svg")
