"""The small pictures of the timbre map show how timbres sound."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.errors import PresetError
from audiogen.presets import load_preset, places
from audiogen.web import timbre_map


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_tone_is_one_line_of_one_hue(rate):
    hz = 880.0
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(2 * rate) / rate)
    image = timbre_map.picture(tone, rate)
    assert image.shape == (timbre_map.PICTURE_HEIGHT, timbre_map.PICTURE_WIDTH, 2)
    inner = image[:, 8:-8]
    row = int(inner[..., 0].sum(axis=1).argmax())
    octaves = np.log2(hz / timbre_map.LOWEST_HZ)
    height = timbre_map.PICTURE_HEIGHT
    assert abs(row - (height - 1 - octaves / timbre_map.N_OCTAVES * height)) <= 1
    assert inner[row, :, 0].min() > 240
    turns = np.exp(2j * np.pi * inner[row, :, 1] / 256)
    assert abs(turns.mean()) > 0.99
    assert np.median(inner[..., 0]) < 10


def test_silence_is_dark():
    assert not timbre_map.picture(np.zeros(100), 16000)[..., 0].any()


def test_a_picture_is_drawn_once_and_the_synth_is_released(monkeypatch):
    preset = load_preset("plucked")
    pictures = timbre_map.TimbrePictures()
    first = [pictures.picture(preset, index) for index in range(14)]
    assert pictures._synth is not None
    first.append(pictures.picture(preset, 14))
    assert pictures._synth is None  # all are drawn
    assert len({picture.tobytes() for picture in first}) == 15
    monkeypatch.setattr(timbre_map, "Synth", None)
    assert pictures.picture(preset, 3) is first[3]
    with pytest.raises(PresetError, match="timbre 15 not found"):
        pictures.picture(preset, 15)


def test_timbres_without_latents_are_laid_out_evenly(tmp_path, write_murmur):
    preset = load_preset(write_murmur(tmp_path / "winds", notes=True))
    laid_out = places(preset)
    assert laid_out.shape == (2, 2)
    assert np.abs(np.diff(laid_out, axis=0)).max() > 0.1
    assert timbre_map.TimbrePictures().picture(preset, 1).any()
