"""The variety that is measured of a note, and levels on, beside and between its partials."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.representation.config import SpectrogramConfig
from audiogen.training.gansynth.partial_levels import distance_of_levels, partial_levels
from audiogen.training.gansynth.variety import note_varieties

CONFIG = SpectrogramConfig(phase="harmonic", magnitude_floor=1e-4)
RATE, PITCH = CONFIG.sample_rate, 57.0
TIME_S = np.arange(CONFIG.n_samples) / RATE
NOTE_OFF = 93


def tone(level=1.0, cents=0.0) -> np.ndarray:
    """Eight partials of A3 whose level and pitch may change in time."""
    hz = 220.0 * 2.0 ** (np.broadcast_to(cents, TIME_S.shape) / 1200.0)
    phase = 2.0 * np.pi * np.cumsum(hz) / RATE
    partials = [np.sin(h * phase + h * h) / h for h in range(1, 9)]
    return (0.1 * level * np.sum(partials, axis=0)).astype(np.float32)


def noise(seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(len(TIME_S))).astype(np.float32)


def test_variety_tells_steady_notes_from_noise() -> None:
    notes = {
        "steady": tone(),
        "decaying": tone(np.exp(-TIME_S / 0.4)),
        "noisy": tone() + 0.02 * noise(),
        "noise": noise(),
        "silent soon": tone(TIME_S < 0.2),
    }
    varieties = note_varieties(np.stack(list(notes.values())), CONFIG, NOTE_OFF)
    found = dict(zip(notes, varieties, strict=True))
    assert found["steady"] == found["silent soon"] == 0.0
    assert max(found["decaying"], found["noisy"]) < 0.2
    assert found["noise"] == 1.0


def test_variety_grows_with_the_depth_of_a_tremolo() -> None:
    depths = (0.0, 0.1, 0.2, 0.3)
    notes = [tone(1.0 + depth * np.sin(2 * np.pi * 3.1 * TIME_S)) for depth in depths]
    varieties = note_varieties(np.stack(notes), CONFIG, NOTE_OFF)
    assert varieties[0] == 0.0 and (np.diff(varieties) > 0.1).all()


def test_inharmonic_partials_are_on_the_partials_of_their_timbre() -> None:
    f0, ratios = 440.0 * 2.0 ** ((PITCH - 69.0) / 12.0), np.array([1.0, 2.4, 3.5])
    bell = 0.1 * np.sin(2.0 * np.pi * f0 * np.outer(ratios, TIME_S)).sum(axis=0)
    sound = torch.from_numpy(bell[None, 16000:32000].astype(np.float32))
    band = int(f0 * ratios[1] / 250.0)  # of the second partial
    harmonic, own = (
        partial_levels(sound, np.array([PITCH]), CONFIG, sound, partials)[0][0, :, :, band].mean(1)
        for partials in (None, ratios[None])
    )
    assert own[0] - own[2] > 3.0  # nats: on the partials over between them
    assert harmonic[0] - harmonic[2] < -3.0


def levels(sound: np.ndarray, real: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = (
        torch.from_numpy(x[None, 16000:32000].astype(np.float32)) for x in (sound, real)
    )
    return partial_levels(first, np.array([PITCH]), CONFIG, second)


def test_levels_find_what_lies_where() -> None:
    on, weight = levels(tone(), tone())
    assert weight.shape[:3] == (1, 3, 1) and weight[0, 2].all()
    loud = [float(on[0, c, :, 0].mean()) for c in range(3)]
    assert loud[0] > loud[1] + 3.0 and loud[0] > loud[2] + 5.0  # nats
    beside = tone() + 0.03 * np.sin(2 * np.pi * (220.0 + 18.0) * TIME_S)
    between = tone() + 0.03 * np.sin(2 * np.pi * 330.0 * TIME_S)
    for sound, of_class in ((beside, 1), (between, 2)):
        change = (levels(sound, tone())[0] - on).abs().mean(dim=(0, 2)).amax(dim=1)
        assert int(change.argmax()) == of_class and float(change[of_class]) > 1.0


def test_the_distance_is_of_levels_in_nats() -> None:
    quiet, loud = levels(noise(), noise()), levels(2.0 * noise(), noise())
    assert float(distance_of_levels(quiet, quiet)) == 0.0
    assert float(distance_of_levels(loud, quiet)) == pytest.approx(np.log(2.0), rel=0.01)
    assert float(distance_of_levels(levels(noise(1), noise()), quiet)) < 0.2  # other noise, alike


def test_a_wide_partial_is_far_from_a_narrow_one() -> None:
    narrow, wide = tone(), tone(cents=12.0 * np.sin(2 * np.pi * 18.0 * TIME_S))
    far = float(distance_of_levels(levels(wide, narrow), levels(narrow, narrow)))
    near = float(distance_of_levels(levels(0.9 * narrow, narrow), levels(narrow, narrow)))
    assert far > 3.0 * near


def test_a_note_that_has_faded_to_digital_silence_has_a_finite_distance() -> None:
    silence = np.zeros_like(TIME_S)
    sound = torch.from_numpy(1e-3 * tone()[None, 16000:32000]).requires_grad_()
    real = torch.from_numpy(silence[None, 16000:32000].astype(np.float32))
    heard, wanted = (partial_levels(x, np.array([PITCH]), CONFIG, real) for x in (sound, real))
    far = distance_of_levels(heard, wanted)
    far.backward()
    assert 0.1 < float(far) < 10.0 and torch.isfinite(sound.grad).all()
    assert float(distance_of_levels(wanted, wanted)) == 0.0
