"""Latents as timbres: named, mixed, random, from a file, or an array; offline and live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("audiogen._native")

import audiogen
from audiogen.engine import Synth
from audiogen.engine.latents import check_timbre, mix_latents, read_timbre
from audiogen.errors import ParameterError, PresetError
from audiogen.presets import assign_programs
from audiogen.presets.latents import Latent, write_latent

from .sounds import played

NOTE = [(0.0, 0.2, 60.0, 0.8)]


@pytest.fixture
def synth(make_preset: Callable[..., Path]) -> Synth:
    return Synth(make_preset())


def live_note(synth: Synth, n: int = 2000, **options: Any) -> np.ndarray:
    """The left channel of a live note of middle C."""
    live = Synth(synth.preset)
    live.note_on(60, 0.8, **options)
    return played(live, n)[:, 0]


def test_names_and_vectors_are_the_same_timbre(synth: Synth) -> None:
    guitar = synth.render(NOTE, timbre="guitar")
    z = synth.preset.timbre("guitar").z
    assert np.array_equal(synth.latent("guitar"), z) and synth.latent("guitar").shape == (3,)
    for same in (z, tuple(z), np.array(z), np.array(z, np.float32)):
        assert np.array_equal(synth.render(NOTE, timbre=same), guitar)
    assert np.array_equal(synth.latent(), synth.latent("harp"))
    synth.timbre = "guitar"
    assert np.array_equal(synth.latent(), z)


def test_mix(synth: Synth, make_preset: Callable[..., Path]) -> None:
    for amount, end in ((0.0, "harp"), (1.0, "guitar")):
        mixed = synth.render(NOTE, timbre=synth.mix("harp", "guitar", amount))
        wanted = synth.render(NOTE, timbre=end)  # the generator sees directions only
        n = min(len(mixed), len(wanted))
        assert abs(len(mixed) - len(wanted)) < 64
        np.testing.assert_allclose(mixed[:n], wanted[:n], atol=1e-3 * np.abs(wanted).max())
    middle = synth.mix("harp", "guitar", 0.5)
    assert isinstance(middle, np.ndarray) and middle.dtype == np.float64
    ends = [synth.latent(name) for name in ("harp", "guitar")]
    assert np.linalg.norm(middle) == pytest.approx(np.sqrt(3.0))
    cosines = [middle @ z / np.linalg.norm(middle) / np.linalg.norm(z) for z in ends]
    assert cosines[0] == pytest.approx(cosines[1]) and cosines[0] > 0.5
    np.testing.assert_allclose(synth.mix(*ends, 0.5), middle)
    pure = [{"name": "pure", "z": [2.0, 0.0, 0.0], "family": "synth_lead"}]
    other = Synth(make_preset("other", timbres=pure, default_timbre="pure"))
    np.testing.assert_allclose(other.mix("pure", "pure", 0.7), [np.sqrt(3.0), 0.0, 0.0])


@pytest.mark.parametrize("amount", [-0.01, 1.01, 2.0, float("nan"), "half", None])
def test_an_amount_outside_of_0_to_1_is_refused(synth: Synth, amount: Any) -> None:
    with pytest.raises(ParameterError, match=f"amount={amount!r} must be from 0 to 1"):
        synth.mix("harp", "guitar", amount)


def test_mixes_by_name(synth: Synth) -> None:
    harp, guitar, dream = map(synth.latent, synth.timbres)
    np.testing.assert_array_equal(synth.latent("harp+guitar"), mix_latents(harp, guitar, 0.5))
    weighted = mix_latents(harp, guitar, 0.2)
    np.testing.assert_allclose(synth.latent("harp:0.8+guitar:0.2"), weighted)
    np.testing.assert_allclose(synth.latent("harp:4 + guitar"), weighted)
    third = mix_latents(mix_latents(harp, guitar, 0.5), dream, 1 / 3)
    np.testing.assert_allclose(synth.latent("harp+guitar+dream"), third)
    with_random = mix_latents(harp, synth.random_latent(), 0.5)
    np.testing.assert_allclose(synth.latent("harp+random"), with_random)
    assert np.array_equal(
        synth.render(NOTE, timbre="harp+guitar"),
        synth.render(NOTE, timbre=synth.mix("harp", "guitar", 0.5)),
    )


def test_random_timbres(synth: Synth) -> None:
    seven = synth.random_latent(7)
    assert seven.shape == (3,) and np.linalg.norm(seven) == pytest.approx(np.sqrt(3.0))
    assert not np.allclose(seven, synth.random_latent(8))
    np.testing.assert_array_equal(synth.latent("random:7"), seven)
    np.testing.assert_array_equal(synth.latent("random"), synth.random_latent(0))
    assert np.array_equal(synth.render(NOTE, timbre="random:7"), synth.render(NOTE, timbre=seven))
    with pytest.raises(ParameterError, match="seed=-1 must be a whole number"):
        synth.random_latent(-1)


def test_random_timbres_are_spread_as_the_named_ones(make_preset: Callable[..., Path]) -> None:
    """With two timbres they lie in their plane, with one timbre anywhere."""
    timbres = [
        {"name": name, "z": z, "family": "guitar"}
        for name, z in (("a", [3.0, 0.0, 0.0]), ("b", [0.0, 0.5, 0.0]))
    ]
    pair = Synth(make_preset("pair", timbres=timbres, default_timbre="a"))
    drawn = np.array([pair.random_latent(seed) for seed in range(400)])
    assert np.allclose(drawn[:, 2], 0.0) and np.allclose(np.linalg.norm(drawn, axis=1), 3.0**0.5)
    # The mean is half-way, and the timbres are at 0.7 standard deviations from it.
    assert drawn.mean(axis=0)[:2] == pytest.approx([0.88, 0.88], abs=0.15)
    assert np.mean((drawn[:, :2] < 0.0).any(axis=1)) == pytest.approx(0.48, abs=0.06)
    whole = [timbre | {"z": [round(x) for x in timbre["z"]]} for timbre in timbres]
    whole[1]["z"] = [0, 1, 0]
    integers = Synth(make_preset("integers", timbres=whole, default_timbre="a"))
    assert integers.random_latent(1) == pytest.approx(pair.random_latent(1))
    alone = Synth(make_preset("alone", timbres=timbres[:1], default_timbre="a"))
    drawn = np.array([alone.random_latent(seed) for seed in range(400)])
    assert np.abs(drawn.mean(axis=0)).max() < 0.2 and drawn.std(axis=0).min() > 0.9


@pytest.fixture
def latent_file(tmp_path: Path, synth: Synth) -> str:
    path = tmp_path / "found.json"
    write_latent(path, Latent("small", [0.5, -1.0, 1.25]))
    return str(path)


class TestLive:
    def test_a_note_plays_any_timbre(self, synth: Synth, latent_file: str) -> None:
        plain = live_note(synth)
        for timbre in ("guitar", synth.random_latent(3), "harp+guitar", "random:7", latent_file):
            wanted = synth.render(NOTE, timbre=timbre)[:2000]
            assert np.array_equal(live_note(synth, timbre=timbre), wanted)
            assert not np.array_equal(wanted, plain)
            live = Synth(synth.preset)
            live.timbre = timbre
            assert live.timbre is timbre
            live.note_on(60, 0.8)
            assert np.array_equal(played(live, 2000)[:, 0], wanted)
            assert np.array_equal(live.render(NOTE)[:2000], wanted)

    def test_midi_notes_play_the_timbre_of_the_synth(self, synth: Synth) -> None:
        live, by_hand = Synth(synth.preset), Synth(synth.preset)
        live.timbre = by_hand.timbre = "harp+dream"
        live.midi(bytes([0x90, 60, 64]))
        by_hand.note_on(60, 64 / 127)
        assert np.array_equal(played(live, 1000), played(by_hand, 1000))
        live.midi(bytes([0xC0, 24]))  # a program change chooses a named one again
        assert live.timbre == "guitar"

    def test_a_morph_leads_to_any_timbre(self, synth: Synth, latent_file: str) -> None:
        plain = live_note(synth)
        for target in ("guitar", synth.random_latent(3), "harp+guitar", "random:7", latent_file):
            live = Synth(synth.preset)
            live.morph_timbre, live.morph = target, 1.0
            assert live.get("morph_timbre") is target
            live.note_on(60, 0.8)
            got = played(live, 2000)[:, 0]
            assert got.any() and not np.array_equal(got, plain)
            other = Synth(synth.preset)  # the same offline
            other.morph_timbre, other.morph = target, 1.0
            assert np.array_equal(other.render(NOTE)[:2000], got)

    def test_while_it_sounds_a_timbre_is_learned(self, synth: Synth) -> None:
        with Synth(synth.preset, realtime=True, max_block=64) as live:
            for seed in range(20):
                live.note_on(40 + seed, timbre=f"random:{seed}")
                live.morph_timbre = synth.random_latent(100 + seed)
                assert np.isfinite(played(live, 640, 64)).all()

    def test_another_preset_forgets_it(
        self, synth: Synth, make_preset: Callable[..., Path]
    ) -> None:
        live = Synth(synth.preset)
        live.timbre, live.morph_timbre = "random:7", "guitar"
        live.note_on(60)
        live.change_preset(make_preset("other"))
        assert (live.timbre, live.morph_timbre) == ("harp", "harp")
        assert np.isfinite(played(live, 1000)).all()


class TestBadTimbres:
    @pytest.mark.parametrize(
        ("timbre", "error", "message"),
        [
            ("violin", PresetError, "violin"),
            ("harp+violin", PresetError, "violin"),
            ("harp+", PresetError, "timbre ''"),
            ("harp:x+guitar", ParameterError, "the weight of 'harp:x' must be a number above 0"),
            ("harp:0+guitar", ParameterError, "the weight of 'harp:0' must be a number above 0"),
            ("harp:-1+guitar", ParameterError, "the weight of 'harp:-1' must be a number above 0"),
            ("harp:nan+guitar", ParameterError, "the weight of 'harp:nan' must be"),
            ("nowhere.json", PresetError, "nowhere.json"),
            ([1.0, 2.0], ParameterError, "preset 'small'"),
            ([1.0, 2.0, float("nan")], ParameterError, "NaN or infinity"),
            ([0.0, 0.0, 0.0], ParameterError, "all 0"),
        ],
    )
    def test_they_are_named(
        self, synth: Synth, timbre: Any, error: type[Exception], message: str
    ) -> None:
        for use in (
            lambda: synth.render("C4", timbre=timbre),
            lambda: synth.note_on("C4", timbre=timbre),
            lambda: synth.set("morph_timbre", timbre),
            lambda: setattr(synth, "timbre", timbre),
            lambda: synth.latent(timbre),
            lambda: check_timbre(synth.preset, timbre),
        ):
            with pytest.raises(error, match=message):
                use()
        assert (synth.timbre, synth.morph_timbre) == ("harp", "harp")
        assert not synth.process(100).any()

    def test_a_samplernn_has_none(self, tmp_path: Path, write_murmur: Callable[..., Path]) -> None:
        winds = Synth(write_murmur(tmp_path / "winds", notes=True))
        for use in (
            lambda: winds.render("C4", timbre=[1.0, 2.0]),
            lambda: winds.latent("flute"),
            lambda: winds.mix("flute", "oboe", 0.5),
            lambda: winds.random_latent(),
            lambda: winds.render("C4", timbre="flute+oboe"),
            lambda: winds.render("C4", timbre="random:7"),
        ):
            with pytest.raises(ParameterError, match="preset 'winds'"):
                use()
        murmur = Synth(write_murmur(tmp_path / "murmur"))
        for use in (murmur.latent, murmur.random_latent):
            with pytest.raises(ParameterError, match="preset 'murmur'"):
                use()


def test_expressions_belong_to_the_first_preset_that_can_play_them(
    make_preset: Callable[..., Path],
    tmp_path: Path,
    write_murmur: Callable[..., Path],
) -> None:
    from audiogen.presets import load_preset

    pure = [{"name": "pure", "z": [2.0, 0.0, 0.0], "family": "synth_lead"}]
    paths = (
        write_murmur(tmp_path / "winds", notes=True),
        make_preset("other", timbres=pure, default_timbre="pure"),
        make_preset("small"),
    )
    winds, other, small = presets = [load_preset(path) for path in paths]
    for timbre, owner in (
        ("harp+guitar", small),
        ("harp:0.6+guitar:0.4", small),
        ("pure+random", other),
        ("random:7", other),
        ("random", other),
        ("flute", winds),
    ):
        spec = assign_programs([3], presets, timbre)
        assert spec == {3: f"{owner.folder}:{timbre}", None: f"{owner.folder}:{timbre}"}
        assert audiogen.render("C4:0.05", spec).any()
    for timbre, missing in (
        ("harp+kazoo", "kazoo"),
        ("harp+pure", "harp+pure"),
        ("flute+oboe", "flute"),
        ("kazoo", "kazoo"),
    ):
        with pytest.raises(PresetError, match=missing.replace("+", r"\+")):
            assign_programs([3], presets, timbre)
    assert read_timbre(small, "harp+guitar").shape == (3,)
