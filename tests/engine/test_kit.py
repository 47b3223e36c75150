"""Drum kits: each key plays a timbre of its own, to its end; scores send them channel 10."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen.engine import Synth, render
from audiogen.errors import ParameterError
from audiogen.notes import Note, Score
from audiogen.presets import assign_programs, find_faults, load_preset

pytestmark = pytest.mark.filterwarnings("ignore:audiogen was installed without:RuntimeWarning")
FADE_S = 0.005  # of a sound that ends
KEYS = {"kick": 36, "snare": 38, "hat": 42}


@pytest.fixture
def kit(tmp_path: Path, write_kit: Callable[..., Path]) -> Path:
    return write_kit(tmp_path / "kit")


def hits(*keys: float) -> list[tuple[float, float, float]]:
    return [(0.1 * i, 0.01, key) for i, key in enumerate(keys)]


def test_each_key_plays_its_timbre(kit: Path) -> None:
    synth = Synth(kit)
    sounds = [synth.render(hits(key)) for key in KEYS.values()]
    assert all(sound.any() for sound in sounds)
    assert not any(np.array_equal(a, b) for a, b in itertools.pairwise(sounds))
    for name, sound in zip(KEYS, sounds, strict=True):
        assert np.array_equal(synth.render(hits(36), timbre=name), sound)


def test_a_note_off_changes_nothing(kit: Path) -> None:
    synth = Synth(kit)
    short = synth.render([(0.0, 0.001, 38)])
    assert np.array_equal(short, synth.render([(0.0, 3.0, 38)])[: len(short)])
    assert len(short) > 0.9 * 8 * 32


def test_the_default_rate_is_at_most_48_khz(tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    kits = [
        str(write_kit(tmp_path / f"kit{rate}", sample_rate=rate)) for rate in (16000, 48000, 64000)
    ]
    for kit, rate in zip(kits, (16000, 48000, 48000), strict=True):
        made = render(hits(38), {None: kit})
        assert np.array_equal(made, render(hits(38), {None: kit}, sample_rate=rate)), kit


def test_live_keys_without_a_sound_are_silent(kit: Path) -> None:
    synth = Synth(kit, 16000)
    synth.note_on(37)
    assert not synth.process(512).any()
    synth.note_on(38)
    assert synth.process(512).any()


def test_a_latent_plays_on_any_key(kit: Path) -> None:
    synth = Synth(kit)
    mixed = synth.render(hits(36), timbre="kick+snare")
    assert mixed.any() and np.array_equal(mixed, synth.render(hits(38), timbre="kick+snare"))


@pytest.mark.parametrize("without_native", [False, True])
def test_drums_have_a_pitch_a_pan_and_a_group(
    tmp_path: Path,
    write_kit: Callable[..., Path],
    without_native: bool,
    request: pytest.FixtureRequest,
) -> None:
    if without_native:
        request.getfixturevalue("no_native")
    plain = Synth(write_kit(tmp_path / "plain"))
    drums = {
        "kick": {"pitch": 33.25, "pan": -1.0},
        "snare": {"group": 2},
        "hat": {"group": 2, "pan": 0.5},
    }
    synth = Synth(write_kit(tmp_path / "kit", drums))
    assert synth.preset.timbre("kick").pitch == 33.25
    kick, snare = (synth.render(hits(key), stereo=False) for key in (36, 38))
    assert not np.array_equal(kick, plain.render(hits(36)))
    assert np.array_equal(snare, plain.render(hits(38)))
    left, right = synth.render(hits(36)).T  # in stereo, because a drum has a place
    assert left.any() and not right.any()
    start, fade = 64, round(FADE_S * synth.sample_rate)

    def snare_then_hat(synth: Synth, velocity: float) -> np.ndarray:
        return synth.render(
            [(0.0, 0.001, 38, velocity), (start / synth.sample_rate, 0.001, 42, 1.0)],
            stereo=False,
        )

    loud, soft = (snare_then_hat(synth, velocity) for velocity in (1.0, 0.3))
    assert not np.array_equal(loud[: start + fade], soft[: start + fade])
    assert np.array_equal(loud[start + fade :], soft[start + fade :])  # the hat alone
    loud, soft = (snare_then_hat(plain, velocity) for velocity in (1.0, 0.3))
    assert not np.array_equal(loud[start + fade :], soft[start + fade :])


def test_a_drum_does_not_glide_and_bends_both_ways(
    tmp_path: Path, write_kit: Callable[..., Path]
) -> None:
    drums = {"kick": {"pitch": 30.0}, "hat": {"pitch": 120.0}}  # pitch_range: keys 36 to 42
    kit = write_kit(tmp_path / "kit", drums)
    synth, gliding = Synth(kit), Synth(kit)
    gliding.glide = 1.0
    assert np.array_equal(gliding.render(hits(42, 36)), synth.render(hits(42, 36)))
    bent = {bend: Synth(kit) for bend in (-12.0, 0.0, 12.0)}
    for bend, each in bent.items():
        each.bend = bend
    for key in (36, 42):
        up, middle, down = (each.render(hits(key)) for each in bent.values())
        assert not np.array_equal(up, middle) and not np.array_equal(middle, down)


def test_other_notes_of_a_score_with_drums_are_counted(kit: Path) -> None:
    kick, piano = Note(0.0, 0.1, 36, is_drum=True, channel=9), Note(0.0, 0.1, 38)
    with pytest.warns(UserWarning, match="1 note is left out; drum kit 'kit' plays only the drums"):
        sound = Synth(kit).render(Score([kick, piano]))
    assert np.array_equal(sound, Synth(kit).render(Score([kick])))


def test_missing_keys_are_counted(kit: Path) -> None:
    with pytest.warns(UserWarning, match="1 drum note is left out; kit 'kit' has no key 37"):
        sound = Synth(kit).render(hits(36, 37))
    assert np.array_equal(sound, Synth(kit).render(hits(36)))
    with pytest.raises(
        ParameterError, match="no note has a key of kit 'kit', which are 36, 38, 42"
    ):
        Synth(kit).render(hits(60))


def score() -> Score:
    tune = Note(0.0, 0.2, 60, program=46)
    return Score([tune, Note(0.1, 0.01, 38, channel=9, is_drum=True)])


def test_a_score_sends_its_drums_to_the_kit(
    kit: Path, tmp_path: Path, write_tiny: Callable[..., Path]
) -> None:
    presets = [load_preset(kit), load_preset(write_tiny(tmp_path / "tiny"))]
    voices = assign_programs([46], presets)
    tune, drums = f"{tmp_path / 'tiny'}:harp", str(kit)
    assert voices == {46: tune, None: tune, "drums": drums}
    both = render(score(), voices)
    alone = render([score().notes[0]], voices), render([(0.1, 0.01, 38)], {None: drums})
    together = np.zeros(max(map(len, alone)), np.float32)
    for sound in alone:
        together[: len(sound)] += sound
    assert np.array_equal(both, together)
    with pytest.warns(UserWarning, match="1 drum note is left out; no drum kit plays them"):
        assert np.array_equal(render(score(), {None: tune}), alone[0])


def test_native_and_numba_are_the_same_sound(
    kit: Path, native: Any, request: pytest.FixtureRequest
) -> None:
    wanted = Synth(kit).render(hits(36, 42, 38, 38))
    request.getfixturevalue("no_native")
    got = Synth(kit).render(hits(36, 42, 38, 38))
    np.testing.assert_allclose(got, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([36, 36, 42], "timbres[1].key=36 must differ from the keys of the other timbres"),
        ([36, None, 42], "timbres[1].key is missing; all timbres of a drum kit must have one"),
        ([36, 128, 42], "timbres[1].key=128 must be the MIDI key of a drum, 0 to 127, or left out"),
    ],
)
@pytest.mark.parametrize("without_native", [False, True])
def test_bad_keys_are_named(
    preset_fields: dict[str, Any],
    keys: list[int | None],
    message: str,
    without_native: bool,
    request: pytest.FixtureRequest,
) -> None:
    if without_native:
        request.getfixturevalue("no_native")
    for timbre, key in zip(preset_fields["timbres"], keys, strict=True):
        if key is not None:
            timbre["key"] = key
    assert find_faults(preset_fields) == [message]


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("pitch", 130.5, "a MIDI number from 0 to 127"),
        ("pan", -2, "a number from -1 (left) to 1 (right)"),
        ("group", 0, "a number from 1 to 127, or left out"),
    ],
)
@pytest.mark.parametrize("without_native", [False, True])
def test_bad_fields_of_a_drum_are_named(
    preset_fields: dict[str, Any],
    field: str,
    value: float,
    wanted: str,
    without_native: bool,
    request: pytest.FixtureRequest,
) -> None:
    if without_native:
        request.getfixturevalue("no_native")
    timbres = preset_fields["timbres"]
    timbres[0][field] = 1
    [fault] = find_faults(preset_fields)  # for a drum only
    assert fault.startswith(f"field timbres[0].{field} not found")
    for timbre, key in zip(timbres, KEYS.values(), strict=True):
        timbre["key"] = key
    timbres[1][field] = value
    assert find_faults(preset_fields) == [f"timbres[1].{field}={value} must be {wanted}"]
