"""The generator and the critic are the paper's, in parts as in whole, and they can learn."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.errors import ParameterError
from audiogen.models.config import weight_shapes
from audiogen.models.gansynth import (
    Critic,
    CriticConfig,
    EqualisedWeight,
    Generator,
    GeneratorConfig,
    export_weights,
    import_weights,
    minibatch_deviation,
    pixel_norm,
    upsample,
)
from audiogen.objectives.adversarial import gradient_penalty
from audiogen.representation.config import PAPER_BASE, PAPER_HIGH, SpectrogramConfig

SMALL = {
    "one_hot": GeneratorConfig("one_hot", 5, (9, 8, 7, 6), (2, 4)),
    "harmonic": GeneratorConfig("harmonic", 5, (9, 8, 7, 6), (2, 4), note_off_frame=11),
    "odd": GeneratorConfig("harmonic", 3, (6, 5, 4), (3, 4), note_off_frame=5, n_maps=12),
}
SMALL_CRITIC = CriticConfig((9, 8, 7, 6), (2, 4), n_pitches=61)


def spectrogram_of(config: GeneratorConfig) -> SpectrogramConfig:
    n_frames, n_bins = config.shape(len(config.channels) - 1)
    return SpectrogramConfig(
        n_samples=1, n_fft=2 * n_bins, hop_length=n_bins // 2, n_frames=n_frames
    )


def make(name: str) -> tuple[Generator, dict]:
    """A generator without zeros, and what to give it."""
    torch.manual_seed(3)
    config = SMALL[name]
    generator = Generator(config, spectrogram_of(config))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    given = {
        "z": torch.randn(2, config.latent_size),
        "pitch": torch.tensor([40.0, 71.0]),
        "velocity": torch.tensor([0.3, 1.0]),
        "noise": [torch.randn(2, *config.shape(b)) for b in range(len(config.channels))],
    }
    return generator, given


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_paper_sizes() -> None:
    generator, critic = Generator(GeneratorConfig(), PAPER_HIGH), Critic(CriticConfig())
    assert count(generator) == 7_311_246 and count(critic) == 6_831_230
    # The engine's last image layer only: six of 2 C + 2 are left out.
    widths = GeneratorConfig().channels
    exported = sum(w.size for w in export_weights(generator).values())
    assert exported == 7_311_246 - sum(2 * w + 2 for w in widths[:-1])
    assert GeneratorConfig().shape(6) == (128, 1024)
    base = GeneratorConfig(start_shape=(4, 8))
    assert Generator(base, PAPER_BASE).config.shape(6) == (256, 512)


def test_a_paper_size_note() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(), PAPER_HIGH).eval()
    z, pitch = torch.randn(1, 256), torch.tensor([60.0])
    with torch.no_grad():
        part = generator(z, pitch, frames=(100, 104))
        critic = Critic(CriticConfig())
        score, logits = critic(torch.zeros(2, 2, 128, 1024))
    assert part.shape == (1, 2, 4, 1024) and part.abs().max() <= 1.0
    assert score.shape == (2,) and logits.shape == (2, 61)


@pytest.mark.parametrize("name", SMALL)
def test_some_frames_are_that_part_of_the_whole(name: str) -> None:
    generator, given = make(name)
    with torch.no_grad():
        whole = generator(**given)
        n_frames = whole.shape[2]
        assert whole.shape == (2, 2, *SMALL[name].shape(len(SMALL[name].channels) - 1))
        for start, stop in itertools.combinations(range(n_frames + 1), 2):
            part = generator(**given, frames=(start, stop))
            assert part.shape[2] == stop - start
            torch.testing.assert_close(part, whole[:, :, start:stop], rtol=0, atol=1e-5)
        for stage, (start, stop) in itertools.product((2, 2.3, 3), ((0, 2), (1, 4), (3, 4))):
            whole_stage = generator(**given, stage=stage)
            part = generator(**given, stage=stage, frames=(start, stop))
            wanted = whole_stage[:, :, start:stop]
            torch.testing.assert_close(part, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_growing_generator(name: str) -> None:
    generator, given = make(name)
    config = generator.config
    n_blocks = len(config.channels)
    with torch.no_grad():
        images = [generator(**given, stage=stage) for stage in range(1, n_blocks + 1)]
        for b, image in enumerate(images):
            assert image.shape == (2, 2, *config.shape(b))
        torch.testing.assert_close(images[-1], generator(**given))
        # A whole stage is its block's image alone: the other image layers have no say.
        for b in range(n_blocks):
            altered = Generator(config, generator.spectrogram)
            altered.load_state_dict(generator.state_dict())
            for other in range(n_blocks):
                if other != b:
                    altered.to_rgb[other].weight.fill_(7.0)
            assert torch.equal(altered(**given, stage=b + 1), images[b])
        # A fade begins with the coarse image and ends with the fine one.
        for b in range(1, n_blocks):
            begin, end = generator(**given, stage=b + 1e-6), generator(**given, stage=b + 1 - 1e-6)
            torch.testing.assert_close(begin, upsample(images[b - 1]), rtol=0, atol=1e-5)
            torch.testing.assert_close(end, images[b], rtol=0, atol=1e-5)
            middle = generator(**given, stage=b + 0.25)
            wanted = 0.75 * upsample(images[b - 1]) + 0.25 * images[b]
            torch.testing.assert_close(middle, wanted, rtol=0, atol=1e-5)


def test_growing_critic() -> None:
    torch.manual_seed(0)
    critic = Critic(SMALL_CRITIC)
    with torch.no_grad():
        for b in range(1, 4):
            image = torch.rand(3, 2, 2 << b, 4 << b) - 0.5
            coarse = torch.nn.functional.avg_pool2d(image, 2)
            for at, wanted in ((1e-6, critic(coarse, stage=b)), (1.0, critic(image, stage=b + 1))):
                got = critic(image, stage=b + at)
                assert got[0].shape == (3,) and got[1].shape == (3, 61)
                torch.testing.assert_close(got[0], wanted[0], rtol=0, atol=1e-5)
                torch.testing.assert_close(got[1], wanted[1], rtol=0, atol=1e-5)
            half = critic(image, stage=b + 0.5)[0]
            assert not torch.allclose(half, critic(coarse, stage=b)[0])
            # Whole: neither the finer layers nor the coarser image layers have a say.
            altered = Critic(SMALL_CRITIC)
            altered.load_state_dict(critic.state_dict())
            for other in (c for c in range(4) if c != b):
                altered.from_rgb[other].weight.fill_(7.0)
            assert torch.equal(altered(image, stage=b + 1)[0], critic(image, stage=b + 1)[0])
        torch.testing.assert_close(critic(image), critic(image, stage=4))
        assert Critic(dataclasses.replace(SMALL_CRITIC, n_pitches=0))(image)[1] is None


def test_one_hot_input_has_one_radius() -> None:
    generator, _ = make("one_hot")
    z = torch.randn(2, 5)
    u = generator.input_vector(z, torch.tensor([24.0, 84.0]), None)
    assert u.shape == (2, 66)
    torch.testing.assert_close(u.square().mean(dim=1), torch.ones(2))
    # Latent and pitch are scaled together, and the pitch is where it belongs.
    scale = torch.sqrt(66.0 / (z.square().sum(dim=1) + 1.0))
    torch.testing.assert_close(u[:, :5], z * scale[:, None], rtol=1e-5, atol=1e-6)
    assert u[:, 5:].argmax(dim=1).tolist() == [0, 60]
    assert u[:, 5:].count_nonzero() == 2


def test_harmonic_input() -> None:
    generator, _ = make("harmonic")
    z, pitch = torch.randn(3, 5), torch.tensor([30.5, 60.0, 61.0])
    u = generator.input_vector(z, pitch, torch.tensor([0.0, 0.5, 1.0]))
    assert u[:, 5].tolist() == [-1.0, 0.0, 1.0]
    torch.testing.assert_close(u[:, :5].square().mean(dim=1), torch.ones(3))
    loud = generator.input_vector(7.0 * z, pitch, None)
    torch.testing.assert_close(loud[:, :5], u[:, :5], rtol=1e-4, atol=1e-5)
    assert loud[:, 5].tolist() == [1.0] * 3


def test_noise_is_drawn_with_unit_variance() -> None:
    generator, given = make("harmonic")
    config = generator.config
    seen: list[torch.Tensor] = []

    def spy(x, told, style):
        if told is not None:
            seen.append(told[3])
        return torch.zeros_like(x)

    generator.activate = spy
    del given["noise"]
    with torch.no_grad():
        for _ in range(30):
            generator(**given)
    grains = torch.cat([grain.flatten() for grain in seen])
    assert seen[0].shape == (2, *config.shape(0))
    assert abs(float(grains.std()) - 1.0) < 0.02 and abs(float(grains.mean())) < 0.02
    assert grains.abs().max() < math.sqrt(3.0)


def test_pixel_norm_and_deviation() -> None:
    x = torch.randn(4, 6, 3, 5, dtype=torch.float64)
    made = pixel_norm(x).square().mean(dim=1)
    torch.testing.assert_close(made, torch.ones_like(made), rtol=1e-6, atol=1e-6)
    assert torch.isfinite(pixel_norm(torch.zeros(1, 2, 3, 3))).all()
    wanted = float(np.sqrt(x.numpy().var(axis=0) + 1e-6).mean())
    deviation = minibatch_deviation(x)
    assert deviation.shape == (4, 1, 3, 5)
    torch.testing.assert_close(deviation, torch.full_like(deviation, wanted))
    same = minibatch_deviation(x[:1].repeat(4, 1, 1, 1))
    torch.testing.assert_close(same, torch.full_like(same, 1e-3))


@torch.no_grad()
def test_equalised_weights() -> None:
    torch.manual_seed(0)
    layer = EqualisedWeight(64, 32, 3, 3)
    assert layer.scale == pytest.approx(math.sqrt(2.0 / (32 * 9)))
    assert float(layer.weight.std()) == pytest.approx(1.0, abs=0.02)
    assert not layer.bias.any()
    # Unit variance goes in, the variance that a ReLU halves comes out.
    out = layer.conv(torch.randn(4, 32, 16, 16))
    assert float(out.std()) == pytest.approx(math.sqrt(2.0), rel=0.05)
    head = EqualisedWeight(500, 256, gain=1.0)
    assert float(head.linear(torch.randn(500, 256)).std()) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("name", SMALL)
def test_exported_names_are_the_presets(name: str) -> None:
    generator, _ = make(name)
    table = GeneratorConfig(**json.loads(json.dumps(SMALL[name].table())))
    weights = export_weights(generator)
    assert {key: w.shape for key, w in weights.items()} == weight_shapes(table)
    assert all(w.dtype == np.float32 and w.flags.c_contiguous for w in weights.values())
    # Scales are folded in, and the arrays are copies.
    layer = generator.blocks[1].conv2
    folded = weights["blocks.1.conv2.weight"]
    np.testing.assert_allclose(folded, (layer.weight * layer.scale).detach().numpy(), rtol=1e-6)
    for array in weights.values():
        array[:] = 7.0
    assert not any((parameter == 7.0).any() for parameter in generator.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_exported_weights_come_back(name: str) -> None:
    generator, given = make(name)
    torch.manual_seed(5)
    other = Generator(SMALL[name], spectrogram_of(SMALL[name]))
    import_weights(other, export_weights(generator))
    with torch.no_grad():
        torch.testing.assert_close(other(**given), generator(**given), rtol=1e-4, atol=1e-5)


def test_the_noises_gain_is_exported_as_one_layer() -> None:
    generator, given = make("harmonic")
    torch.manual_seed(6)
    gain = generator.blocks[1].conditioning.noise
    with torch.no_grad():
        gain.by_input.normal_()
        u = torch.randn(1, len(gain.by_input))
        wanted = gain.scale * u @ gain.weight.T
        wanted = wanted + gain.bias * (1.0 + gain.scale * u @ gain.by_input)
        torch.testing.assert_close(gain.linear(u), wanted)
    other = Generator(SMALL["harmonic"], generator.spectrogram)
    with torch.no_grad():
        other.blocks[1].conditioning.noise.by_input.fill_(3.0)  # is of other weights
    import_weights(other, export_weights(generator))
    with torch.no_grad():
        torch.testing.assert_close(other(**given), generator(**given), rtol=1e-4, atol=1e-5)
    # Runs of earlier versions lack it.
    with torch.no_grad():
        other.blocks[1].conditioning.noise.by_input.fill_(3.0)
    state = {k: v for k, v in generator.state_dict().items() if not k.endswith("by_input")}
    other.load_state_dict(state)
    assert not other.blocks[1].conditioning.noise.by_input.any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one_hot", "harmonic"])
def test_a_generator_learns_two_notes(name: str) -> None:
    generator, given = make(name)
    torch.manual_seed(1)
    n_frames, n_bins = SMALL[name].shape(3)
    wanted = upsample(upsample(1.2 * torch.rand(2, 2, n_frames // 4, n_bins // 4) - 0.6))
    optimiser = torch.optim.Adam(generator.parameters(), 0.02, (0.5, 0.99))
    losses = []
    for _ in range(250):
        loss = (generator(**given) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    reached = min(losses[-20:])  # losses of single steps vary by a factor of two at this rate
    assert reached < 0.25 * wanted.var() and reached < 0.1 * losses[0]


def test_a_critic_learns_a_batch() -> None:
    torch.manual_seed(0)
    critic = Critic(CriticConfig((12, 8), (2, 4), n_pitches=61))
    real, fake = torch.randn(2, 4, 2, 4, 8)
    pitch = torch.tensor([0, 9, 30, 60])
    optimiser = torch.optim.Adam(critic.parameters(), 0.005, (0.0, 0.99))
    for _ in range(150):
        score, logits = critic(real)
        loss = torch.nn.functional.cross_entropy(logits, pitch)
        loss = loss + (critic(fake)[0] + 1.0).square().mean() + (score - 1.0).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    score, logits = critic(real)
    assert logits.argmax(dim=1).tolist() == pitch.tolist()
    assert score.min() > 0.5 and critic(fake)[0].max() < -0.5


@pytest.mark.parametrize("same", [False, True], ids=["different", "identical"])
def test_the_penalty_has_finite_gradients(same: bool) -> None:
    """Of every weight, also where the batch has no deviation at all."""
    torch.manual_seed(0)
    critic = Critic(dataclasses.replace(SMALL_CRITIC, n_pitches=0))
    real, fake = torch.randn(2, 3, 2, 16, 32)
    if same:
        real = fake = torch.zeros(3, 2, 16, 32)
    penalty = gradient_penalty(lambda image: critic(image)[0], real, fake)
    penalty.backward()
    assert torch.isfinite(penalty) and penalty > 0.0
    for name, parameter in critic.named_parameters():
        if "from_rgb" in name and "from_rgb.3" not in name:
            continue  # images of other stages
        if name.endswith("weight"):
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.any() or same, name


def test_the_penaltys_gradient_is_its_slope() -> None:
    """Second derivatives against finite differences, in float64."""
    torch.manual_seed(0)
    critic = Critic(CriticConfig((4, 3), (2, 4), n_pitches=0)).double()
    real, fake = torch.randn(2, 3, 2, 4, 8, dtype=torch.float64)

    def penalty() -> torch.Tensor:
        torch.manual_seed(5)
        return gradient_penalty(lambda image: critic(image)[0], real, fake)

    penalty().backward()
    for parameter in (critic.from_rgb[1].weight, critic.last[0].weight, critic.score.weight):
        direction = torch.randn_like(parameter)
        slope = float((parameter.grad * direction).sum())
        ends = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter += step * direction
            ends.append(penalty().item())
            with torch.no_grad():
                parameter -= step * direction
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope, rel=1e-4)


def test_bad_settings_are_named() -> None:
    with pytest.raises(ParameterError, match="'label' must be 'one_hot' or 'harmonic'"):
        GeneratorConfig(conditioning="label")
    for channels in ((), (3, 0)):
        with pytest.raises(ParameterError, match=r"channels.* must be"):
            GeneratorConfig(channels=channels)
    with pytest.raises(ParameterError, match=r"make 128 x 1024; they must make .*256 x 512"):
        Generator(GeneratorConfig(), PAPER_BASE)
