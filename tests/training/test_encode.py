"""The generator is inverted, notes are cut, and what can't be encoded is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.numpy import load_file

from audiogen.engine import Synth
from audiogen.engine.device_frames import read_generator
from audiogen.errors import ParameterError, PresetError
from audiogen.models.gansynth import Generator, GeneratorConfig, export_weights
from audiogen.presets import (
    GansynthPreset,
    load_preset,
    read_latent,
    write_latent,
    write_preset,
)
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.spectrogram import denormalise
from audiogen.training.gansynth.encoding.encode import Encoding
from audiogen.training.gansynth.encoding.encode import encode as find_latent
from audiogen.training.gansynth.encoding.inversion import invert
from audiogen.training.gansynth.encoding.recorded_note import cut_note, prepare_note, unit_latent
from audiogen.training.gansynth.encoding.timbre_copy import add_timbre as add_latent

RATE = 16000
SPECTROGRAM = SpectrogramConfig(
    n_samples=4096,
    n_fft=256,
    hop_length=64,
    n_frames=64,
    phase="harmonic",
    magnitude_floor=1e-4,
    magnitude_scale=0.1,
    magnitude_offset=0.121034,
)
FOUND = Encoding(
    z=[0.1, -0.2, 1.7],
    pitch=60.123456,
    velocity=0.5,
    compared_s=1.0,
    error_db=1.25,
    nearest="guitar",
    nearest_db=3.0,
    random_db=9.0,
    seconds=2.0,
)


def encode(samples: np.ndarray, rate: int, preset: Any, pitch: Any = None, **more: Any) -> Encoding:
    return find_latent(prepare_note(samples, rate, preset, pitch), **more)


def add_timbre(preset: Any, encoding: Encoding, name: str, folder: Path, **more: Any) -> Any:
    return add_latent(preset, encoding.z, "guitar", name, folder, **more)


def smooth_generator(conditioning: str) -> Generator:
    """Random, without grain, and with the dynamics of notes."""
    torch.manual_seed(4)
    config = GeneratorConfig(
        conditioning, 4, (12, 12, 10, 8, 8), (4, 8), pitch_min=60, n_pitches=13, note_off_frame=50
    )
    generator = Generator(config, SPECTROGRAM)
    with torch.no_grad():
        generator.to_rgb[-1].weight.mul_(0.2)
        for block in generator.blocks:
            if block.conditioning is not None:
                block.conditioning.noise.bias.zero_()
    return generator.requires_grad_(False)


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", ["harmonic", "one_hot"])
def test_a_latent_is_recovered_from_far_away(conditioning: str) -> None:
    generator = smooth_generator(conditioning)
    true = unit_latent([1.0, -0.6, 0.3, 1.1])

    def power(z: list[float], velocity: float) -> torch.Tensor:
        with torch.no_grad():
            image = generator(torch.tensor([z]), torch.tensor([64.0]), torch.tensor([velocity]))
        return torch.exp(2.0 * denormalise(image, SPECTROGRAM)[0, 0])

    def off(a: torch.Tensor, b: torch.Tensor) -> float:
        difference = (a.log() - b.log()).flatten()
        return float((difference - difference.median()).abs().mean())

    starts = [[-1.0, 0.5, 0.2, 1.0], [1.0, 0.3, 0.8, 0.6]]
    seen: list[tuple[int, int]] = []
    wanted = power(true, 0.6)
    z, velocity = invert(
        generator,
        0.1 * wanted,  # the gain is free
        64.0,
        starts,
        [0.9, 0.9],
        steps=150,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert np.mean(np.square(z)) == pytest.approx(1.0, abs=1e-4)
    assert 0.0 < velocity < 1.0
    before = min(off(power(unit_latent(start), 0.9), wanted) for start in starts)
    assert off(power(z, velocity), wanted) < 0.1 * before
    assert np.dot(z, true) / 4 > 0.97
    assert seen[-1] == (150, 150) and len(seen) == 150


def test_the_same_seed_gives_the_same_latent(tmp_path: Path, write_tiny: Any) -> None:
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    note = Synth(preset).render([(0.0, 0.3, 60, 0.8)], timbre="harp", seed=1)
    note = np.tile(note[:200], 40)  # long enough to be one
    first, second = (encode(note, RATE, preset, pitch=60.0, steps=3) for _ in range(2))
    assert first.z == second.z and first.velocity == second.velocity
    assert first.nearest in preset.timbre_names
    assert first.error_db <= first.nearest_db + 1e-3  # never worse than the nearest timbre


def test_a_presets_generator_has_its_weights(tmp_path: Path, write_tiny: Any) -> None:
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    weights, again = load_file(preset.weights_path), export_weights(read_generator(preset))
    assert weights.keys() == again.keys()
    for name, array in weights.items():
        np.testing.assert_allclose(again[name], array, rtol=1e-6, err_msg=name)


def test_a_note_is_cut_to_where_it_sounds() -> None:
    random = np.random.default_rng(0)
    tone = np.sin(0.2 * np.arange(8000)) * np.exp(-np.arange(8000) / 4000)
    sound = np.concatenate((np.zeros(3210), tone, np.zeros(5000)))
    cut = cut_note(sound, RATE)
    assert np.abs(cut[:80]).max() < np.abs(cut).max()  # a little before it, no more
    assert 8000 <= len(cut) <= 8000 + 240
    noisy = sound + 0.01 * random.standard_normal(len(sound))
    assert abs(len(cut_note(noisy, RATE)) - len(cut)) < 1600
    # A note that fills its file is all of it.
    assert len(cut_note(np.sin(0.2 * np.arange(4000)), RATE)) == 4000


@pytest.mark.parametrize(
    ("sound", "options", "sentence"),
    [
        (np.zeros(16000), {}, "the recording is silent"),
        (np.full(16000, np.nan), {}, "must have one dimension and be finite"),
        (np.zeros((10, 2)), {}, "must have one dimension"),
        (
            np.sin(np.arange(20.0)),
            {"pitch": 60.0},
            r"is 0\.00125 s long; it must be at least 0\.002 s$",
        ),
        (
            np.sin(np.arange(2000.0)),
            {},
            r"is 0\.125 s long; it must be at least 0\.15 s for pitch tracking; give a",
        ),
        (np.sin(np.arange(9000.0)), {"pitch": 90.0}, r"pitch=90\.00 must be 36 to 84"),
        (
            np.random.default_rng(0).standard_normal(9000),
            {},
            "no pitch that can be tracked; give it with --pitch",
        ),
    ],
)
def test_sounds_without_a_note_are_refused(
    tmp_path: Path, write_tiny: Any, sound: np.ndarray, options: dict[str, float], sentence: str
) -> None:
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    with pytest.raises(ParameterError, match=sentence):
        encode(sound, RATE, preset, **options)


def test_presets_without_latents_are_refused(
    tmp_path: Path, write_murmur: Any, write_tiny: Any
) -> None:
    murmur = load_preset(write_murmur(tmp_path / "murmur"))
    with pytest.raises(ParameterError, match="'murmur' has no latents; name a GANSynth"):
        encode(np.ones(8000), 8000, murmur)
    tiny = load_preset(write_tiny(tmp_path / "tiny"))
    with pytest.raises(ParameterError, match="sample_rate=8000 must be that of preset 'tiny'"):
        encode(np.ones(8000), 8000, tiny)


class TestSaved:
    def test_a_file_is_played_as_its_latent(self, tmp_path: Path, write_tiny: Any) -> None:
        preset = load_preset(write_tiny(tmp_path / "tiny"))
        path = tmp_path / "note.json"
        write_latent(path, FOUND.latent(preset))
        latent = read_latent(path)
        assert latent.preset == "tiny" and latent.z == FOUND.z
        assert (latent.pitch, latent.velocity) == (60.123, 0.5)
        synth = Synth(preset)
        note = [(0.0, 0.2, 60, 0.8)]
        np.testing.assert_array_equal(
            synth.render(note, timbre=str(path)), synth.render(note, timbre=FOUND.z)
        )
        # Morphed with a timbre, from either end.
        np.testing.assert_allclose(
            synth.mix(str(path), "harp", 0.0), unit_latent(FOUND.z), atol=1e-4
        )
        np.testing.assert_allclose(
            synth.mix("harp", FOUND.z, 0.3), synth.mix(str(path), "harp", 0.7)
        )

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            ("", "can't be read as a latent"),
            ("[1, 2]", "holds no latent"),
            ('{"z": [1.0, 2.0, 3.0]}', "holds no latent"),
            ('{"preset": "tiny", "z": []}', "z isn't a list of numbers"),
            ('{"preset": "tiny", "z": [1.0, NaN, 3.0]}', "z isn't a list of numbers"),
            ('{"preset": "tiny", "z": [1.0], "pitch": "C4"}', "pitch = 'C4' isn't a number"),
            ("1" * (1 << 21), "holds no latent"),
        ],
    )
    def test_another_file_is_refused(self, tmp_path: Path, content: str, sentence: str) -> None:
        path = tmp_path / "note.json"
        path.write_text(content)
        with pytest.raises(PresetError, match=sentence):
            read_latent(path)

    def test_a_latent_of_another_size_is_refused(self, tmp_path: Path, write_tiny: Any) -> None:
        synth = Synth(load_preset(write_tiny(tmp_path / "tiny")))
        for z, sentence in (
            ([1.0, 2.0], "isn't a latent of preset 'tiny': it has 2 numbers and must have 3"),
            ([0.0, 0.0, 0.0], "is all 0"),
            ([1.0, float("nan"), 1.0], "holds NaN"),
        ):
            with pytest.raises(ParameterError, match=sentence):
                synth.render("C4", timbre=z)

    def test_a_timbre_of_a_copy(self, tmp_path: Path, write_tiny: Any) -> None:
        preset = load_preset(write_tiny(tmp_path / "tiny"))
        copy = add_timbre(preset, FOUND, "my-harp", tmp_path / "mine")
        assert copy.name == "mine" and copy.timbre_names == [*preset.timbre_names, "my-harp"]
        added = copy.timbre("my-harp")
        assert added.z == FOUND.z and added.family == "guitar" and added.program is None
        assert {"preview.flac", "preview.png"} <= {p.name for p in (tmp_path / "mine").iterdir()}
        note = [(0.0, 0.2, 60, 0.8)]
        np.testing.assert_array_equal(
            Synth(copy).render(note, timbre="my-harp"), Synth(preset).render(note, timbre=FOUND.z)
        )
        # Another joins it; the preset itself stays as it was.
        again = add_timbre(preset, FOUND, "another", tmp_path / "mine")
        assert again.timbre_names[-2:] == ["my-harp", "another"]
        assert load_preset(tmp_path / "tiny").timbre_names == preset.timbre_names

    def test_a_timbre_of_a_copy_has_nothing_of_the_first_ones_recordings(
        self, tmp_path: Path, write_tiny: Any, preset_fields: dict[str, Any]
    ) -> None:
        first, *others = preset_fields["timbres"]
        recorded = {"vibrato": [10.0, 5.0, 0.0], "partials": [1.0, 2.4], "level_db": -3.0}
        preset = load_preset(write_tiny(tmp_path / "tiny", timbres=[first | recorded, *others]))
        added = add_timbre(preset, FOUND, "my-harp", tmp_path / "mine").timbre("my-harp")
        assert [getattr(added, name) for name in recorded] == [None] * 3

    def test_timbres_of_a_copy_have_places_of_their_own(
        self, tmp_path: Path, write_tiny: Any
    ) -> None:
        preset = load_preset(write_tiny(tmp_path / "tiny"))
        assert all(timbre.place is not None for timbre in preset.timbres)
        copy = add_timbre(preset, FOUND, "my-harp", tmp_path / "mine")
        assert len({tuple(timbre.place) for timbre in copy.timbres}) == len(copy.timbres)

    def test_a_drum_is_replaced_in_a_copy_of_its_kit(self, tmp_path: Path, write_kit: Any) -> None:
        drums = {"snare": {"pitch": 66.0, "pan": -0.5, "group": 2, "level_db": -3.0}}
        kit = load_preset(write_kit(tmp_path / "kit", drums))
        copy = add_timbre(kit, FOUND, "my-snare", tmp_path / "mine", key=38, pitch=60.123)
        assert copy.timbre_names == ["kick", "my-snare", "hat"]
        assert copy.default_timbre == "my-snare"
        snare = copy.timbre("my-snare")
        assert (snare.z, snare.key, snare.pitch) == (FOUND.z, 38, 60.12)
        assert (snare.pan, snare.group, snare.level_db) == (-0.5, 2, None)
        again = add_timbre(kit, FOUND, "my-snare", tmp_path / "mine", key=38)  # tried once more
        assert again.timbre_names == copy.timbre_names
        added = add_timbre(kit, FOUND, "cymbal", tmp_path / "mine", key=49, pitch=24.0)
        assert added.timbre_names[-1] == "cymbal" and added.pitch_range == [36, 49]
        assert added.timbre("cymbal").pan is None
        with pytest.raises(PresetError, match="has a timbre 'my-snare' already"):
            add_timbre(kit, FOUND, "my-snare", tmp_path / "mine", key=42)
        with pytest.raises(ParameterError, match="'kit' is a drum kit; give the --key"):
            add_timbre(kit, FOUND, "drum", tmp_path / "mine")
        plain = kit.without_keys()
        fields = plain.to_fields() | {"name": "plain"}
        write_preset(tmp_path / "plain", fields, load_file(kit.weights_path))
        with pytest.raises(ParameterError, match="--key is for drum kits, and preset 'plain'"):
            add_timbre(kit, FOUND, "drum", tmp_path / "plain", key=38)

    def test_a_bad_copy_is_refused(self, tmp_path: Path, write_tiny: Any) -> None:
        preset = load_preset(write_tiny(tmp_path / "tiny"))
        other = write_tiny(tmp_path / "other")
        weights = load_file(other / "weights.safetensors")
        from safetensors.numpy import save_file

        weights["to_rgb.bias"] = weights["to_rgb.bias"] + 1.0
        save_file(weights, other / "weights.safetensors")
        full = tmp_path / "full"
        full.mkdir()
        (full / "thesis.txt").write_text("years of work")
        for name, folder, sentence in (
            ("new", other, "isn't a copy of preset 'tiny'"),
            ("harp", tmp_path / "mine", "has a timbre 'harp' already"),
            ("My Harp", tmp_path / "mine", "must be a name of 1 to 64 small letters"),
            ("new", full, "isn't empty and isn't a preset"),
        ):
            with pytest.raises(PresetError, match=sentence):
                add_timbre(preset, FOUND, name, folder)
        assert not (tmp_path / "mine").exists()


def test_a_drum_is_encoded_at_its_strongest_frequency(tmp_path: Path, write_kit: Any) -> None:
    kit = load_preset(write_kit(tmp_path / "kit"))
    n = np.arange(4000)
    tone = np.exp(-n / 800) * np.sin(2 * np.pi * 220.0 / RATE * n)
    found = encode(tone, RATE, kit, steps=3)
    assert found.pitch == pytest.approx(57.0, abs=0.1)
    assert found.nearest in ("kick", "snare", "hat")
    noise = np.random.default_rng(0).standard_normal(4000) * np.exp(-n / 800)
    assert prepare_note(noise, RATE, kit).pitch == kit.generator.pitch_min
    played = Synth(kit.without_keys()).render([(0.0, 0.2, 57.0, 0.8)], timbre="kick", seed=1)
    assert np.abs(played).max() > 0.0


@pytest.mark.slow
def test_a_timbre_that_a_preset_lacks_is_approximated() -> None:
    """The harp among some plucked strings without it; then a timbre that is there, again."""
    whole = load_preset("plucked")
    assert isinstance(whole, GansynthPreset)
    few = ("koto", "kalimba", "nylon-string-guitar", "banjo")
    preset = dataclasses.replace(
        whole, timbres=[timbre for timbre in whole.timbres if timbre.name in few]
    )
    note = Synth(whole).render([(0.0, 1.0, 57.0, 0.7)], timbre="harp", seed=5)
    found = encode(note, whole.sample_rate, preset, steps=24)
    assert found.pitch == pytest.approx(57.0, abs=0.2)
    assert found.error_db < 0.7 * found.nearest_db < found.random_db
