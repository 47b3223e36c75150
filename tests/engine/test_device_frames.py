"""GANSynth notes from a GPU: torch computes the frames, here on the CPU, and the engine plays
them."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("audiogen._native")

import audiogen
from audiogen.core import backend
from audiogen.engine import device_frames
from audiogen.engine.device_frames import DeviceFrames
from audiogen.engine.synth import Synth
from audiogen.errors import DeviceError, ParameterError
from audiogen.presets import DEFAULT_PRESET, load_preset
from audiogen.representation.partials import stack, string_partials

NOTES = "C4:0.3 E4:0.2@0.5 [C3 G4]:0.6 C4:2"  # the last one is sustained beyond its frames
TOLERANCE = 2e-4  # of full scale


@pytest.fixture
def any_device(monkeypatch):
    """All devices are the CPU; returns the sizes of the batches that were computed."""
    monkeypatch.setattr(device_frames, "choose_device", lambda name: torch.device("cpu"))
    batches: list[tuple[int, int]] = []
    images = DeviceFrames.images

    def counted(self, notes, first, end):
        batches.append((len(notes["seed"]), end - first))
        return images(self, notes, first, end)

    monkeypatch.setattr(DeviceFrames, "images", counted)
    return batches


def difference(first: np.ndarray, second: np.ndarray) -> float:
    n = max(len(first), len(second))
    padded = [np.pad(x, [(0, n - len(x))] + [(0, 0)] * (x.ndim - 1)) for x in (first, second)]
    return float(np.abs(padded[0] - padded[1]).max())


def test_frames_are_the_engines():
    preset = load_preset(DEFAULT_PRESET)
    z = np.array([timbre.z for timbre in preset.timbres[:3]], np.float32)
    notes = {
        "z": z,
        "pitch": np.array([60.0, 71.25, 48.0], np.float32),
        "velocity": np.array([1.0, 0.3, 0.6], np.float32),
        "seed": np.array([7, 2**64 - 1, 0], np.uint64),
        "noise_stream": np.array([0, 3, 1], np.uint32),
        "partials": stack([None, np.array([0.62, 1.2, 2.43]), string_partials(1e-3)]),
    }
    images = DeviceFrames(preset, "cpu").images(notes, 5, 21)
    generator = preset.open_network()
    for i, image in enumerate(images):
        wanted = generator.generate(
            z[i],
            float(notes["pitch"][i]),
            float(notes["velocity"][i]),
            int(notes["seed"][i]),
            (5, 21),
            int(notes["noise_stream"][i]),
            notes["partials"][i],
        )
        np.testing.assert_allclose(image, wanted, rtol=0, atol=2e-4)


@pytest.mark.parametrize("options", [{}, {"stereo": True, "sample_rate": 44100}])
def test_render_is_the_cpus_within_rounding(any_device, options):
    wanted = audiogen.load(DEFAULT_PRESET).render(NOTES, seed=5, **options)
    got = audiogen.load(DEFAULT_PRESET, device="cuda").render(NOTES, seed=5, **options)
    assert np.abs(wanted).max() > 0.05
    assert difference(got, wanted) < TOLERANCE * np.abs(wanted).max()
    # All notes, and the parts that they jump to, are one batch.
    assert len(any_device) == 1 and any_device[0][0] > 5


def test_blocks_are_the_render(any_device):
    synth = Synth(DEFAULT_PRESET, device="cuda")
    whole = synth.render("C4:0.2 E4:0.2", seed=1)
    parts = np.concatenate(list(synth.stream(100, "C4:0.2 E4:0.2", seed=1)))
    assert np.array_equal(parts, whole)


def test_the_engine_plays_the_frames_that_it_is_given(any_device, monkeypatch):
    def silent(self, notes, first, end):
        n_bins = load_preset(DEFAULT_PRESET).spectrogram.n_fft // 2
        images = np.zeros((len(notes["seed"]), 2, end - first, n_bins), np.float32)
        images[:, 0] = -1.0
        return images

    monkeypatch.setattr(DeviceFrames, "images", silent)
    sound = Synth(DEFAULT_PRESET, device="cuda").render("C4:0.5")
    assert np.abs(sound).max(initial=0.0) < 1e-3


@pytest.mark.parametrize("change", [{"brightness": 0.7}, {"bend": 0.9}, {"morph": 0.5}])
def test_moved_parameters(any_device, change):
    def rendered(device: str) -> np.ndarray:
        synth = Synth(DEFAULT_PRESET, device=device)
        if "morph" in change:
            synth.set("morph_timbre", synth.random_latent(3))
        for name, value in change.items():
            if name == "brightness" and name not in {row.name for row in synth.parameters}:
                pytest.skip("the preset has no macro of that name")
            synth.set(name, value)
        return synth.render("C4:0.4 G4:0.3")

    wanted = rendered("cpu")
    assert difference(rendered("cuda"), wanted) < TOLERANCE * np.abs(wanted).max()


def test_a_latent_and_a_one_hot_preset(any_device, write_tiny, preset_fields, tmp_path):
    synth = audiogen.load(DEFAULT_PRESET)
    z = synth.random_latent(2)
    wanted = synth.render("C4:0.3", timbre=z)
    got = audiogen.load(DEFAULT_PRESET, device="cuda").render("C4:0.3", timbre=z)
    assert difference(got, wanted) < TOLERANCE * np.abs(wanted).max()
    generator = preset_fields["generator"] | {"conditioning": "one_hot"}
    folder = write_tiny(tmp_path / "published", generator=generator)
    wanted = audiogen.load(folder).render("C4:0.3 E4")
    got = audiogen.load(folder, device="cuda").render("C4:0.3 E4")
    assert difference(got, wanted) < TOLERANCE * np.abs(wanted).max()


def test_inharmonic_timbres(any_device, write_tiny, preset_fields, tmp_path):
    own = [{"partials": [0.62, 1.2, 2.43]}, {"inharmonicity": [2e-3] * 61}]
    own[1]["inharmonicity"] = [2e-3] * preset_fields["generator"]["n_pitches"]
    timbres = [t | o for t, o in zip(preset_fields["timbres"], [*own, {}], strict=False)]
    folder = write_tiny(tmp_path / "bells", timbres=timbres)
    for timbre in timbres:
        wanted = audiogen.load(folder).render("C4:0.3 E4", timbre=timbre["name"])
        got = audiogen.load(folder, device="cuda").render("C4:0.3 E4", timbre=timbre["name"])
        assert difference(got, wanted) < TOLERANCE * np.abs(wanted).max()


def test_render_with_several_presets(any_device):
    notes = [(0.0, 0.3, 60, 0.8), (0.2, 0.3, 64, 0.8)]
    wanted = audiogen.render(notes, {None: "plucked"})
    got = audiogen.render(notes, {None: "plucked"}, device="cuda")
    assert difference(got, wanted) < TOLERANCE * np.abs(wanted).max()


def test_wrong_tables():
    table = backend.require().FrameTable(load_preset(DEFAULT_PRESET).open_network())
    assert len(table.notes()["seed"]) == 0
    with pytest.raises(ParameterError, match=re.escape("note=0 must be below 0")):
        table.fill(0, np.zeros((2, 1, 4), np.float32))


def test_what_does_not_run_on_a_device(any_device):
    with pytest.raises(ParameterError, match="precision='bfloat16' is not supported by device="):
        Synth(DEFAULT_PRESET, precision="bfloat16", device="cuda")


def test_the_next_preset_is_on_the_device_too(any_device):
    synth = Synth("plucked", device="cuda")
    synth.change_preset("struck")
    synth.render("C4:0.1")
    assert any_device
    with pytest.raises(ParameterError, match="device='cuda' is not supported by preset 'winds-"):
        synth.change_preset("winds-sketch")
    assert synth.name == "struck"


def test_devices_that_are_not_there():
    with pytest.raises(DeviceError, match="device='gpu' must be cpu, cuda"):
        Synth(DEFAULT_PRESET, device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="sees no CUDA device; use device cpu"):
            Synth(DEFAULT_PRESET, device="cuda")
