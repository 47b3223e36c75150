"""Without the compiled module a synth renders, generates and plays the same on numba."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen import _fallback
from audiogen.engine import Synth
from audiogen.errors import MissingPackageError

pytestmark = [
    pytest.mark.filterwarnings("ignore:audiogen was installed without:RuntimeWarning"),
    pytest.mark.skipif(
        not hasattr(_fallback, "open_preset"), reason="audiogen._fallback opens no presets yet"
    ),
]
NOTES = [(0.05, 0.1, 60.0, 0.8), (0.1, 0.05, 67.0, 0.5)]


@pytest.fixture
def presets(
    tmp_path: Path, write_murmur: Callable[..., Path], make_preset: Callable[..., Path]
) -> dict[str, Path]:
    return {
        "small": make_preset("small"),
        "winds": write_murmur(tmp_path / "winds", notes=True),
        "murmur": write_murmur(tmp_path / "murmur"),
    }


def sounds_of(presets: dict[str, Path]) -> dict[str, np.ndarray]:
    """Renders, generated audio and live playing of each kind of preset."""
    small, winds, murmur = (Synth(presets[name], seed=2) for name in ("small", "winds", "murmur"))
    sounds: dict[str, Any] = {
        "small": small.render(NOTES),
        "mix": small.render(NOTES, timbre="harp+guitar", stereo=True),
        "winds": winds.render(NOTES, sample_rate=16000, timbre="flute"),
        "murmur": murmur.generate(0.3, variations=2, temperature=[(0.0, 0.5), (0.2, 1.2)]),
        "continued": murmur.generate(0.2, prompt=np.sin(np.arange(900) / 5.0), stereo=True),
    }
    pieces = list(winds.stream(77, NOTES, sample_rate=16000, timbre="flute"))
    assert np.array_equal(np.concatenate(pieces), sounds["winds"])
    small.pan = -0.5
    small.midi(bytes([0xC0, 24, 0xB0, 1, 64, 0x90, 60, 100]))
    sounds["live"] = np.concatenate([small.process(n) for n in (1, 500, 64)])
    return sounds


@pytest.mark.slow
def test_it_is_the_same_sound(
    presets: dict[str, Path], native: Any, request: pytest.FixtureRequest
) -> None:
    wanted = sounds_of(presets)
    request.getfixturevalue("no_native")
    got = sounds_of(presets)
    for name, sound in wanted.items():
        assert np.abs(sound).max() > 0.001, name
        assert got[name].shape == sound.shape, name
        np.testing.assert_allclose(got[name], sound, rtol=0, atol=1e-4, err_msg=name)


def test_no_thread_works_ahead(presets: dict[str, Path], no_native: None) -> None:
    with pytest.raises(MissingPackageError):
        Synth(presets["winds"], realtime=True)
