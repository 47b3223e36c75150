"""A GANSynth training begins with a preset's weights and its nearest timbres."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soxr
import torch

from audiogen.errors import ParameterError
from audiogen.models.gansynth import Generator, GeneratorConfig, export_weights, import_weights
from audiogen.presets import load_preset, read_weights, write_preset
from audiogen.training.gansynth import warm_start as start
from audiogen.training.gansynth.note_batches import Notes
from audiogen.training.gansynth.recipe import BuiltInRecipe, at_rate, one_shot_recipe
from audiogen.training.gansynth.trainer import BuiltInTrainer

BASE = BuiltInRecipe(steps=4, crop_frames=16, seed=3)
RATE = 32000  # of the preset
RECIPE = at_rate(BASE, RATE)
N_SAMPLES = RECIPE.spectrogram.n_samples


@pytest.fixture(scope="module")
def fewer(tmp_path_factory):
    """Gives presets with some of their timbres: a comparison runs the network for each."""
    folder = tmp_path_factory.mktemp("presets")

    def copied(name: str, *timbres: str):
        preset = load_preset(name)
        fields = preset.to_fields() | {"default_timbre": timbres[0]}
        fields["timbres"] = [each for each in fields["timbres"] if each["name"] in timbres]
        return write_preset(folder / name, fields, read_weights(preset))

    return copied


@pytest.fixture(scope="module")
def woodwinds(fewer):
    """At the recipe's sample rate."""
    return fewer("woodwinds", "flute", "clarinet", "oboe")


@pytest.fixture(scope="module")
def bowed(fewer):
    return fewer("bowed", "violin", "cello", "strings")


def notes_of(preset, timbres: list[str]) -> Notes:
    """Notes that a preset plays, of some of its timbres."""
    from audiogen.engine import Synth

    synth = Synth(preset.folder)
    keys = [(i, pitch) for i in range(len(timbres)) for pitch in (55, 67)]
    waveforms = []
    for i, pitch in keys:
        sound = synth.render([(0.0, 3.0, pitch, 1.0)], timbre=timbres[i])
        waveforms.append(np.pad(sound, (0, N_SAMPLES))[:N_SAMPLES])
    return Notes(
        waveforms=np.stack(waveforms).astype(np.float32),
        pitches=np.array([pitch for _, pitch in keys], np.float64),
        velocities=np.ones(len(keys)),
        instruments=np.array([i for i, _ in keys]),
        names=[f"instrument {i}" for i in range(len(timbres))],
    )


def test_instruments_begin_as_the_timbres_that_they_sound_like(woodwinds):
    wanted = ["flute", "clarinet"]
    trainer = BuiltInTrainer(notes_of(woodwinds, wanted), RECIPE, compiled=False)
    before = trainer.evaluate(1)["magnitude"]
    nearest = start.initialise(trainer, woodwinds)
    assert list(nearest.values()) == wanted
    assert trainer.evaluate(1)["magnitude"] < 0.5 * before
    wanted_z = torch.tensor([woodwinds.timbre(name).z for name in wanted])
    assert torch.equal(trainer.latents.detach(), wanted_z)
    for name, weight in export_weights(trainer.average).items():
        assert np.array_equal(weight, export_weights(trainer.generator)[name])
    again = BuiltInTrainer(trainer.notes, RECIPE, compiled=False)
    again.restore(trainer.state())
    assert again.initialised_from == "woodwinds"


def test_maps_that_the_preset_lacks_begin_without_an_effect(woodwinds, tmp_path):
    fields = woodwinds.to_fields() | {"name": "fewer"}
    fields["generator"] = fields["generator"] | {"n_maps": 8}
    weights = {
        name: np.ascontiguousarray(tensor[:, :8]) if name.endswith("maps.weight") else tensor
        for name, tensor in read_weights(woodwinds).items()
    }
    fewer = write_preset(tmp_path / "fewer", fields, weights)
    trainer = BuiltInTrainer(notes_of(woodwinds, ["flute"]), RECIPE, compiled=False)
    start.initialise(trainer, fewer)
    added = export_weights(trainer.generator)["blocks.1.conditioning.maps.weight"]
    assert fewer.generator.n_maps == 8 and added.shape[1] == 12
    assert not added[:, 8:].any() and added[:, :8].any()


def test_an_instrument_with_a_timbres_name_begins_as_that(woodwinds, monkeypatch):
    notes = notes_of(woodwinds, ["flute", "clarinet"])
    named = dataclasses.replace(notes, timbres=["flute-2", "flute"])
    trainer = BuiltInTrainer(named, RECIPE, compiled=False)
    assert list(start.initialise(trainer, woodwinds).values()) == ["flute", "clarinet"]  # too far
    monkeypatch.setattr(start, "MOST_FAR", 100.0)
    assert list(start.initialise(trainer, woodwinds).values()) == ["flute", "flute"]
    z = torch.tensor(woodwinds.timbre("flute").z)
    assert torch.equal(trainer.latents[1].detach(), z)  # the first one, by sound only, moves
    assert not torch.equal(trainer.latents[0].detach(), z)


def test_instruments_that_begin_as_one_timbre_have_latents_of_their_own(woodwinds):
    notes = notes_of(woodwinds, ["flute", "flute", "flute"])
    trainer = BuiltInTrainer(notes, RECIPE, compiled=False)
    assert set(start.initialise(trainer, woodwinds).values()) == {"flute"}
    z = torch.nn.functional.normalize(trainer.latents.detach(), dim=1)
    first = torch.nn.functional.normalize(torch.tensor(woodwinds.timbre("flute").z), dim=0)
    degrees = torch.rad2deg(torch.arccos((z @ z.T).clamp(-1.0, 1.0)))
    degrees.fill_diagonal_(90.0)
    stayed = int((z @ first).argmax())
    assert float(z[stayed] @ first) == pytest.approx(1.0, abs=1e-6)
    moved = [i for i in range(3) if i != stayed]
    assert degrees[stayed, moved].tolist() == pytest.approx([45.0, 45.0], abs=0.1)
    assert float(degrees.min()) > 44.0


def test_latents_that_differ_stay():
    torch.manual_seed(0)
    z = torch.randn(2, 16)
    near = torch.lerp(z[0], z[1], 0.25)[None]  # more than 15 degrees away
    latents = torch.cat((z, near, z[1:]))
    moved = start.separate_latents(latents, [3, 0, 1, 2], 0)
    assert torch.equal(moved[[0, 2, 3]], latents[[0, 2, 3]])
    assert not torch.equal(moved[1], latents[1])


def test_the_nearest_preset_is_found(woodwinds, bowed, monkeypatch):
    trainer = BuiltInTrainer(notes_of(woodwinds, ["oboe"]), RECIPE, compiled=False)
    monkeypatch.setattr(start, "find_presets", lambda: [woodwinds.folder, bowed.folder])
    found = start.nearest_preset(trainer)
    assert found is not None and found.name == "woodwinds"
    monkeypatch.setattr(start, "find_presets", lambda: [load_preset("speech-sketch").folder])
    assert start.nearest_preset(trainer) is None


def test_presets_that_do_not_fit_are_refused_with_what_differs(woodwinds):
    narrow = GeneratorConfig("harmonic", 8, (8,) * 7, RECIPE.generator.start_shape)
    recipe = dataclasses.replace(RECIPE, generator=narrow)
    trainer = BuiltInTrainer(notes_of(woodwinds, ["flute"]), recipe, compiled=False)
    with pytest.raises(ParameterError, match="'woodwinds' has latent_size = 16, this training 8"):
        start.initialise(trainer, woodwinds)
    with pytest.raises(ParameterError, match="'speech-sketch' isn't a GANSynth"):
        start.initialise(trainer, load_preset("speech-sketch"))


def flutes(preset, trainer) -> list[torch.Tensor]:
    """A flute's C4 by a preset's own network and by a trainer's, without noise."""
    own = Generator(preset.generator, RECIPE.spectrogram)
    import_weights(own, read_weights(preset))
    given = torch.tensor([preset.timbre("flute").z]), torch.tensor([60.0]), torch.tensor([0.8])
    images = []
    for generator in (own, trainer.average):
        blocks = range(len(RECIPE.generator.channels))
        noise = [torch.zeros(1, *generator.config.shape(b)) for b in blocks]
        with torch.no_grad():
            images.append(generator(*given, noise=noise))
    return images


def test_a_preset_of_half_the_rate_is_the_lower_half(woodwinds):
    recipe = at_rate(BASE, 2 * RATE)
    notes = notes_of(woodwinds, ["flute"])
    waveforms = np.stack([soxr.resample(sound, RATE, 2 * RATE) for sound in notes.waveforms])
    wide = dataclasses.replace(notes, waveforms=waveforms[:, : 2 * N_SAMPLES])
    trainer = BuiltInTrainer(wide, recipe, compiled=False)
    assert not start.difference(trainer, woodwinds)
    assert list(start.initialise(trainer, woodwinds).values()) == ["flute"]
    images = flutes(woodwinds, trainer)
    assert images[1].shape[-1] == 2 * images[0].shape[-1]
    n = 1400  # the rest is near enough to the border for the narrow network's padding to matter
    assert torch.allclose(images[0][..., :n], images[1][..., :n], atol=1e-4)
    # In the generator's units a real note has the same lower half, too.
    real = [
        trainer_.batch(np.array([0]), (0, 32)).image
        for trainer_ in (BuiltInTrainer(notes, RECIPE, compiled=False), trainer)
    ]
    levels = [image[:, 0, 4:, :n] for image in real]
    assert float((levels[0] - levels[1]).abs().mean()) < 0.01


def test_a_preset_of_twice_the_rate_gives_its_lower_half(woodwinds, bowed, monkeypatch):
    notes = notes_of(woodwinds, ["flute"])
    halves = np.stack([soxr.resample(sound, RATE, RATE // 2) for sound in notes.waveforms])
    low = dataclasses.replace(notes, waveforms=halves.astype(np.float32))
    trainer = BuiltInTrainer(low, BASE, compiled=False)
    assert not start.difference(trainer, woodwinds)
    same_rates = dataclasses.replace(bowed, sample_rate=3 * RATE // 4)
    assert "has sample_rate = 24000, this training 16000" in start.difference(trainer, same_rates)
    monkeypatch.setattr(start, "find_presets", lambda: [bowed.folder, woodwinds.folder])
    assert start.nearest_preset(trainer).name == "woodwinds"
    assert list(start.initialise(trainer, woodwinds).values()) == ["flute"]
    images = flutes(woodwinds, trainer)
    n = 500  # as above
    assert images[0].shape[-1] == 2 * images[1].shape[-1] > 2 * n
    assert torch.allclose(images[0][..., :n], images[1][..., :n], atol=1e-4)


def test_a_kit_has_no_rate_below_its_recipes():
    with pytest.raises(ParameterError, match="sample_rate=16000 must be one of 32000, 64000"):
        at_rate(one_shot_recipe(), 16000)


@pytest.mark.parametrize("sample_rate", [8000, 44100, 48000, 128000])
def test_other_rates_are_refused(sample_rate):
    with pytest.raises(ParameterError, match="must be one of 16000, 32000, 64000"):
        at_rate(BASE, sample_rate)
