"""The TorchScript for nn~: its interface, and its samples beside the engine's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason='torch isn\'t installed; pip install "audiogen-synth[export]"'
)

from audiogen import Synth
from audiogen.audio.pitch import note_pitch
from audiogen.core import backend
from audiogen.errors import ParameterError, PresetError
from audiogen.export.torchscript import INLETS, NnTilde, export_nn_tilde
from audiogen.ops.random import philox_uniform
from audiogen.presets import GansynthPreset, Preset, load_preset

needs_native = pytest.mark.skipif(backend.find() is None, reason="audiogen._native is not built")


def controls(n: int, pitch: float, velocity: float, on: int, off: int) -> Any:
    x = torch.zeros(1, 4, n)
    x[0, 0] = pitch
    x[0, 1, on:off] = velocity
    return x


def play(module: Any, x: Any, *sizes: int) -> np.ndarray:
    """Audio of all channels, [batch, n], made in blocks of the sizes in turn."""
    parts, at = [], 0
    with torch.no_grad():
        for size in cycle(sizes):
            if at >= x.shape[2]:
                return torch.cat(parts, dim=2)[:, 0].numpy()
            parts.append(module(x[:, :, at : at + size]))
            at += size
    raise AssertionError


def engine_noise(preset: GansynthPreset, seed: int) -> Iterator[list[Any]]:
    """The noise of the engine's first note: another stream after each loop and release."""
    stream = 0
    while True:
        noise = []
        for block in range(len(preset.generator.channels)):
            n_frames, n_bins = preset.generator.shape(block)
            rows = [
                philox_uniform(seed, 32 * stream + block, row, n_bins) for row in range(n_frames)
            ]
            noise.append(
                torch.from_numpy((np.stack(rows)[None] - 0.5) * np.float32(np.sqrt(12.0))).float()
            )
        yield noise
        stream += 1


@needs_native
@pytest.mark.slow
@pytest.mark.parametrize(("name", "pitch"), [("woodwinds", 57.0), ("plucked", 64.3)])
def test_with_the_engines_noise_it_makes_the_engines_samples(name: str, pitch: float):
    preset = load_preset(name)
    assert isinstance(preset, GansynthPreset)
    rate, on_s = preset.sample_rate, 4.0  # longer than the frames before the loop
    synth = Synth(preset)
    z = synth.latent(preset.default_timbre)  # without its vibrato, which the module doesn't play
    want = synth.render([(0.0, on_s, pitch, 0.8)], timbre=z)
    want *= 10.0 ** ((preset.timbre().gain_db or 0.0) / 20.0)  # which no latent has
    module = NnTilde(preset, rate).eval()
    noise = engine_noise(preset, seed=0)
    module.network.draw_noise = lambda batch: next(noise)
    n = len(want)
    got = play(module, controls(n, pitch, 0.8, 0, round(on_s * rate)), 4096)[0]
    assert np.abs(want).max() > 0.05
    # A bin halfway between two harmonics may be counted to either, by the last bit of a product.
    assert np.sqrt(np.mean((got - want) ** 2)) < 2e-3 * np.sqrt(np.mean(want**2))


@needs_native
@pytest.mark.parametrize(
    ("conditioning", "phase"), [("harmonic", "harmonic"), ("one_hot", "instantaneous_frequency")]
)
def test_a_small_network_makes_the_engines_samples(
    tmp_path: Path, write_tiny: Any, conditioning: str, phase: str
):
    fields = load_preset(write_tiny(tmp_path / "base")).to_fields()
    preset = load_preset(
        write_tiny(
            tmp_path / "tiny",
            generator={**fields["generator"], "conditioning": conditioning},
            spectrogram={**fields["spectrogram"], "phase": phase},
        )
    )
    assert isinstance(preset, GansynthPreset)
    want = Synth(preset).render([(0.0, 0.05, 60.0, 0.8)])
    module = NnTilde(preset, preset.sample_rate).eval()
    noise = engine_noise(preset, seed=0)
    module.network.draw_noise = lambda batch: next(noise)
    got = play(module, controls(len(want), 60.0, 0.8, 0, 800), 100)[0]
    assert np.abs(want).max() > 1e-4
    assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()


@needs_native
@pytest.mark.parametrize("own", ["partials", "inharmonicity"])
def test_it_has_the_partials_of_its_timbres(
    tmp_path: Path, write_tiny: Any, preset_fields: dict[str, Any], own: str
):
    n = preset_fields["generator"]["n_pitches"]
    values = {"partials": [0.62, 1.2, 2.43], "inharmonicity": np.geomspace(1e-4, 0.05, n).tolist()}
    timbres = [timbre | {own: values[own]} for timbre in preset_fields["timbres"]]
    harmonic = load_preset(write_tiny(tmp_path / "harmonic"))
    preset = load_preset(write_tiny(tmp_path / "tiny", timbres=timbres))
    assert isinstance(preset, GansynthPreset)
    score = [(0.0, 0.05, 60.0, 0.8)]
    want, other = (Synth(one).render(score) for one in (preset, harmonic))
    module = torch.jit.script(NnTilde(preset, preset.sample_rate).eval())
    eager = NnTilde(preset, preset.sample_rate).eval()
    noise = engine_noise(preset, seed=0)
    eager.network.draw_noise = lambda batch: next(noise)
    got = play(eager, controls(len(want), 60.0, 0.8, 0, 800), 100)[0]
    assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()
    assert np.abs(got - other).max() > 0.1 * np.abs(want).max()
    assert np.abs(play(module, controls(len(want), 60.0, 0.8, 0, 800), 100)).max() > 0.0


@pytest.fixture
def tiny(tmp_path: Path, write_tiny: Any) -> Preset:
    return load_preset(write_tiny(tmp_path / "tiny"))


@pytest.mark.slow
def test_blocks_do_not_change_the_sound(tiny: Any, tmp_path: Path):
    export_nn_tilde(tiny, tmp_path / "tiny.ts", sample_rate=48000)
    x = controls(6000, 60.0, 0.8, 37, 3000)
    x[0, 1, 3500:4100] = 0.5  # a second note while the first rings
    sounds = []
    for sizes in ((6000,), (64,), (1, 777, 4096)):
        module = torch.jit.load(str(tmp_path / "tiny.ts"))
        torch.manual_seed(3)
        sounds.append(play(module, x, *sizes)[0])
    assert not sounds[0][:37].any() and np.abs(sounds[0][37:]).max() > 1e-4
    for other in sounds[1:]:
        assert np.abs(other - sounds[0]).max() < 1e-6


def test_channels_are_voices(tiny: Any):
    module = NnTilde(tiny, 16000).eval()
    x = torch.cat([controls(2000, 60.0, 0.8, 0, 2000), controls(2000, 67.0, 0.0, 0, 2000)])
    first, silent = play(module, x, 512)
    assert np.abs(first).max() > 1e-4 and not silent.any()


def test_inlets_and_attribute_change_the_timbre(tiny: Any):
    def spectrum(place: float, timbre: int) -> np.ndarray:
        module = NnTilde(tiny, 16000).eval()
        assert module.set_timbre(timbre) == 0 and module.get_timbre() == (timbre,)
        torch.manual_seed(0)
        x = controls(2048, 60.0, 0.8, 0, 2048)
        x[0, 2] = place
        return np.abs(np.fft.rfft(play(module, x, 2048)[0]))

    base = spectrum(0.0, 0)
    assert np.array_equal(base, spectrum(0.0, 0))
    for other in (spectrum(1.0, 0), spectrum(0.0, 1)):
        assert np.abs(other - base).max() > 0.01 * base.max()
    module = NnTilde(tiny, 16000)
    assert module.set_timbre(3) == -1 and module.set_timbre(-1) == -1
    assert module.get_timbre() == (0,)


def test_it_has_the_interface_of_nn_tilde(tiny: Any, tmp_path: Path):
    """The same methods and parameters as a module that nn~'s own Python package exports."""
    nn_tilde = pytest.importorskip(
        "nn_tilde", reason="nn-tilde isn't installed; pip install --no-deps nn-tilde cached-conv"
    )

    class Reference(nn_tilde.Module):
        def __init__(self) -> None:
            super().__init__(48000)
            self.register_attribute("timbre", 0)
            labels = [f"(signal) {label}" for label in INLETS]
            self.register_method("forward", 4, 1, 1, 1, labels, ["(signal) audio"])
            self.finish()

        @torch.jit.export
        def forward(self, x: torch.Tensor):
            return x[:, :1]

    Reference().export_to_ts(str(tmp_path / "reference.ts"))
    reference = torch.jit.load(str(tmp_path / "reference.ts"))
    export_nn_tilde(tiny, tmp_path / "tiny.ts")
    module = torch.jit.load(str(tmp_path / "tiny.ts"))
    assert set(reference._c._method_names()) <= set(module._c._method_names())
    for call in ("get_methods", "get_attributes", "get_buffer_attributes", "get_sample_rate"):
        assert getattr(module, call)() == getattr(reference, call)(), call
    assert module.get_timbre() == reference.get_timbre()
    assert module.set_timbre(1) == reference.set_timbre(1)
    assert module.get_timbre() == reference.get_timbre()
    for name in ("forward_params", "timbre_params"):
        assert torch.equal(getattr(module, name), getattr(reference, name)), name
    for name in ("forward_input_labels", "forward_output_labels"):
        assert list(getattr(module, name)) == list(getattr(reference, name)), name
    x = torch.zeros(4, 4, 2048)
    assert module.forward(x).shape == reference.forward(x).shape


@pytest.mark.slow
def test_the_exported_module_makes_the_samples_of_the_class(tmp_path: Path):
    """TorchScript and Python differ in some assignments to slices."""
    preset = load_preset("woodwinds")
    rate = preset.sample_rate
    export_nn_tilde(preset, tmp_path / "out.ts", sample_rate=rate, timbre="clarinet")
    own = NnTilde(preset, rate).eval()
    own.timbre = (preset.timbre_names.index("clarinet"),)
    sounds = []
    for module in (own, torch.jit.load(str(tmp_path / "out.ts"))):
        torch.manual_seed(0)
        sounds.append(play(module, controls(rate // 2, 57.0, 0.8, 0, rate // 4), 2048)[0])
    assert np.abs(sounds[0]).max() > 0.05
    error = sounds[1] - sounds[0]
    assert np.sqrt(np.mean(error**2)) < 2e-3 * np.sqrt(np.mean(sounds[0] ** 2))


@needs_native
@pytest.mark.slow
def test_it_plays_at_the_rate_of_the_host(tmp_path: Path):
    """Pitch and spectrum beside the engine's render, at 44.1 kHz, which 32 kHz doesn't divide."""
    rate, pitch = 44100, 57.0
    preset = load_preset("woodwinds")
    export_nn_tilde(preset, tmp_path / "out.ts", sample_rate=rate, timbre="flute")
    module = torch.jit.load(str(tmp_path / "out.ts"))
    got = play(module, controls(3 * rate, pitch, 0.8, 0, 2 * rate), 2048)[0]
    want = Synth(preset, rate).render([(0.0, 2.0, pitch, 0.8)], timbre="flute")
    assert abs(100 * (note_pitch(got[:rate], rate) - note_pitch(want[:rate], rate))) < 5.0
    held = slice(rate // 2, 2 * rate)
    bands = [
        np.add.reduceat(
            np.abs(np.fft.rfft(sound[held] * np.hanning(3 * rate // 2))) ** 2,
            (np.array([200, 400, 800, 1600, 3200]) * 1.5).astype(int),
        )[:-1]
        for sound in (got, want)
    ]
    assert np.abs(10 * np.log10(bands[0] / bands[1])).max() < 3.0
    assert np.abs(got[-rate // 4 :]).max() < 1e-3 * np.abs(got).max()  # released


def test_bad_input(tiny: Any, tmp_path: Path, write_tiny: Any, write_murmur: Any):
    with pytest.raises(PresetError, match="timbre 'hrap' not found"):
        export_nn_tilde(tiny, tmp_path / "out.ts", timbre="hrap")
    with pytest.raises(ParameterError, match="sample_rate=100"):
        export_nn_tilde(tiny, tmp_path / "out.ts", sample_rate=100)
    with pytest.raises(ParameterError, match=r"nn~ is not supported by preset"):
        export_nn_tilde(load_preset(write_murmur(tmp_path / "m")), tmp_path / "out.ts")
    assert not (tmp_path / "out.ts").exists()
