"""The small pictures of the pad show how timbres sound."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.presets import load_preset
from audiogen.web import pad


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_tone_is_one_line_of_one_hue(rate):
    hz = 880.0
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(2 * rate) / rate)
    image = pad.picture(tone, rate)
    assert image.shape == (pad.PICTURE_HEIGHT, pad.PICTURE_WIDTH, 2)
    inner = image[:, 8:-8]
    row = int(inner[..., 0].sum(axis=1).argmax())
    octaves = np.log2(hz / pad.LOWEST_HZ)
    wanted = pad.PICTURE_HEIGHT - 1 - octaves / pad.N_OCTAVES * pad.PICTURE_HEIGHT
    assert abs(row - wanted) <= 1
    assert inner[row, :, 0].min() > 240
    turns = np.exp(2j * np.pi * inner[row, :, 1] / 256)
    assert abs(turns.mean()) > 0.99
    assert np.median(inner[..., 0]) < 10


def test_silence_is_dark():
    assert not pad.picture(np.zeros(100), 16000)[..., 0].any()


def test_the_same_preset_is_measured_once(monkeypatch):
    preset = load_preset("plucked")
    first = pad.describe(preset)
    assert first["pictures"].shape[0] == len(first["places"]) == 15
    assert len({picture.tobytes() for picture in first["pictures"]}) == 15
    monkeypatch.setattr(pad, "Synth", None)
    assert pad.describe(preset) is first


def test_timbres_without_latents_are_laid_out_by_their_pictures(tmp_path, write_murmur):
    described = pad.describe(load_preset(write_murmur(tmp_path / "winds", notes=True)))
    assert described["places"].shape == (2, 2)
    assert np.abs(np.diff(described["places"], axis=0)).max() > 0.1
