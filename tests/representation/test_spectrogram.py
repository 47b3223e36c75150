"""Waveforms survive the way to a spectrogram and back, as far as each form can carry them."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.errors import AudiogenError, ParameterError, ShapeError
from audiogen.representation.config import (
    FREQUENCY_AXES,
    PAPER_BASE,
    PAPER_HIGH,
    PHASE_CHANNELS,
    SpectrogramConfig,
)
from audiogen.representation.harmonic import pitch_to_hz
from audiogen.representation.spectrogram import (
    denormalise,
    normalise,
    spectrogram_to_waveform,
    waveform_to_spectrogram,
)

RESOLUTIONS = {"base": PAPER_BASE, "high": PAPER_HIGH}
SMALL = SpectrogramConfig(n_samples=1000, n_fft=128, hop_length=32, n_frames=36)
FORMS = [
    (frequency, phase)
    for frequency, phase in itertools.product(FREQUENCY_AXES, PHASE_CHANNELS)
    if phase != "harmonic" or frequency == "linear"
]

# What a tone keeps at C2, C4 and C6, in dB, over the whole clip. The mel forms lose it by mixing
# the phases of neighbouring bins; the last one doesn't, and is limited by its magnitudes.
LEAST_SNR_DB = {
    ("high", "linear"): (70.0, 100.0, 130.0),
    ("high", "mel"): (8.0, 3.0, -3.0),
    ("high", "mel_released"): (7.0, 4.0, 4.0),
    ("high", "mel_nearest"): (32.0, 30.0, 23.0),
    ("base", "linear"): (55.0, 90.0, 130.0),
    ("base", "mel"): (11.0, 8.0, 4.0),
    ("base", "mel_released"): (7.0, 4.0, 7.0),
    ("base", "mel_nearest"): (34.0, 28.0, 23.0),
}


def tone(
    pitch: float, n_samples: int = 64000, highest_hz: float = 7800.0, dtype: str = "float64"
) -> torch.Tensor:
    """At most 30 partials that fall off as 1 / h, with the ends faded over 50 ms."""
    f0 = pitch_to_hz(pitch)
    t = np.arange(n_samples) / 16000
    starts = np.random.default_rng(round(pitch)).uniform(0.0, 2.0 * np.pi, 30)
    partials = [
        np.sin(2.0 * np.pi * h * f0 * t + start) / h
        for h, start in enumerate(starts, 1)
        if h * f0 < highest_hz
    ]
    fade = np.minimum(1.0, np.minimum(t, t[::-1]) / 0.05)
    wave = 0.2 * np.sum(partials, axis=0) * np.sin(0.5 * np.pi * fade) ** 2
    return torch.from_numpy(wave.astype(dtype))


def snr_db(wanted: torch.Tensor, got: torch.Tensor) -> float:
    return float(10.0 * torch.log10(wanted.square().sum() / (wanted - got).square().sum()))


def there_and_back(waveform: torch.Tensor, config: SpectrogramConfig) -> torch.Tensor:
    return spectrogram_to_waveform(waveform_to_spectrogram(waveform, config), config)


@pytest.mark.parametrize("phase", ["phase", "instantaneous_frequency"])
@pytest.mark.parametrize(("resolution", "frequency"), LEAST_SNR_DB)
def test_tones_come_back(resolution: str, frequency: str, phase: str) -> None:
    config = dataclasses.replace(RESOLUTIONS[resolution], frequency=frequency, phase=phase)
    for pitch, least in zip((36, 60, 84), LEAST_SNR_DB[resolution, frequency], strict=True):
        wave = tone(pitch)
        back = there_and_back(wave, config)
        assert back.shape == wave.shape and snr_db(wave, back) > least
        if frequency == "linear":
            # The very end too, where the original loses samples.
            assert snr_db(wave[-config.n_fft :], back[-config.n_fft :]) > 30.0


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_harmonic_tones_come_back(resolution: str) -> None:
    config = dataclasses.replace(RESOLUTIONS[resolution], phase="harmonic")
    pitches = torch.tensor([36.0, 60.0, 84.0, 61.37])
    waves = torch.stack([tone(float(pitch)) for pitch in pitches])
    spectrogram = waveform_to_spectrogram(waves, config, pitch=pitches)
    back = spectrogram_to_waveform(spectrogram, config, pitch=pitches)
    for wave, other in zip(waves, back, strict=True):
        assert snr_db(wave, other) > (70.0 if resolution == "high" else 55.0)


def test_mel_nearest_is_as_good_as_its_magnitudes() -> None:
    """Above 5 kHz the bands are wider than the bins, and a bin reads a neighbour's phase."""
    config = dataclasses.replace(PAPER_HIGH, frequency="mel_nearest")
    for pitch in (60, 84):
        assert snr_db(tone(pitch), there_and_back(tone(pitch), config)) > (31, 24)[pitch > 60]
        below = tone(pitch, highest_hz=5000.0)
        assert snr_db(below, there_and_back(below, config)) > 36.0


def test_a_loud_end_needs_balanced_padding() -> None:
    """All padding in front, as the original has it, loses the last samples."""
    wave = torch.sin(2.0 * torch.pi * 440.0 * torch.arange(64000, dtype=torch.float64) / 16000)
    end_db = {}
    for padding in ("balanced", "front"):
        config = dataclasses.replace(PAPER_HIGH, padding=padding)
        back = there_and_back(wave, config)
        end_db[padding] = snr_db(wave[-16:], back[-16:])
        assert snr_db(wave[4096:-4096], back[4096:-4096]) > 80.0
    assert end_db["balanced"] > 45.0 and end_db["front"] < 20.0
    assert PAPER_HIGH.pad_front == 1536
    assert dataclasses.replace(PAPER_HIGH, padding="front").pad_front == 3072
    assert dataclasses.replace(PAPER_BASE, padding="front").pad_front == 2304


@pytest.mark.parametrize(("frequency", "phase"), FORMS)
def test_float32_is_enough(frequency: str, phase: str) -> None:
    config = dataclasses.replace(PAPER_HIGH, frequency=frequency, phase=phase)
    pitch = torch.tensor(60.0)
    wave = tone(60, dtype="float32")
    made = waveform_to_spectrogram(wave, config, pitch=pitch)
    back = spectrogram_to_waveform(made, config, pitch=pitch)
    assert made.dtype == back.dtype == torch.float32
    exact = spectrogram_to_waveform(
        waveform_to_spectrogram(wave.double(), config, pitch=pitch), config, pitch=pitch
    )
    lost = snr_db(wave.double(), back.double()) - min(snr_db(wave.double(), exact), 80.0)
    assert lost > -0.5


@pytest.mark.parametrize(("frequency", "phase"), FORMS)
def test_some_frames_are_that_part_of_the_whole(frequency: str, phase: str) -> None:
    config = dataclasses.replace(SMALL, frequency=frequency, phase=phase)
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(2, config.n_samples, generator=generator, dtype=torch.float64)
    pitch = torch.tensor([50.0, 71.5])
    whole = waveform_to_spectrogram(waves, config, pitch=pitch)
    for start, stop in [(0, 1), (0, 36), (1, 5), (2, 3), (17, 29), (30, 36), (35, 36)]:
        part = waveform_to_spectrogram(waves, config, pitch=pitch, frames=(start, stop))
        wanted = whole[..., start:stop, :]
        assert part.shape == wanted.shape
        torch.testing.assert_close(part[:, 0], wanted[:, 0], rtol=0, atol=1e-9)
        turned = part[:, 1] - wanted[:, 1]  # in units of pi: -1 and 1 are the same
        assert (turned - 2.0 * torch.round(turned / 2.0)).abs().max() < 1e-8


@pytest.mark.parametrize(("frequency", "phase"), FORMS)
@pytest.mark.parametrize("lead", [(), (1,), (3, 2)])
def test_leading_dimensions(frequency: str, phase: str, lead: tuple[int, ...]) -> None:
    config = dataclasses.replace(SMALL, frequency=frequency, phase=phase)
    waves = torch.rand(*lead, config.n_samples) - 0.5
    pitch = torch.full(lead, 60.0)
    made = waveform_to_spectrogram(waves, config, pitch=pitch)
    assert made.shape == (*lead, 2, 36, 64)
    back = spectrogram_to_waveform(made, config, pitch=pitch)
    assert back.shape == waves.shape
    if lead == (3, 2):
        alone = waveform_to_spectrogram(waves[2, 1], config, pitch=pitch[2, 1])
        torch.testing.assert_close(made[2, 1, 0], alone[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("frequency", "phase"), FORMS)
def test_silence_stays_silent(frequency: str, phase: str) -> None:
    config = dataclasses.replace(SMALL, frequency=frequency, phase=phase)
    pitch = torch.tensor(60.0)
    for wave in (torch.zeros(config.n_samples), torch.zeros(0)):
        made = waveform_to_spectrogram(wave, config, pitch=pitch)
        back = spectrogram_to_waveform(made, config, pitch=pitch)
        assert made.isfinite().all() and back.isfinite().all()
        # What the floor of the logarithm leaves.
        assert back.abs().max() < (1e-4 if frequency == "linear" else 0.02)
        image = normalise(made, config)
        assert image.isfinite().all() and image.abs().max() <= 1.0


def test_no_sample_is_divided_by_nothing() -> None:
    """Without any padding the first sample lies where the window is 0."""
    config = dataclasses.replace(SMALL, padding="front", n_samples=SMALL.span)
    assert config.pad_front == 0
    wave = torch.rand(config.n_samples) - 0.5
    back = there_and_back(wave, config)
    assert back.isfinite().all() and snr_db(wave[64:-64], back[64:-64]) > 20.0


def test_a_short_clip_is_padded_and_a_long_one_refused() -> None:
    wave = torch.rand(900)
    made = waveform_to_spectrogram(wave, SMALL)
    padded = waveform_to_spectrogram(torch.nn.functional.pad(wave, (0, 100)), SMALL)
    assert torch.equal(made, padded)
    with pytest.raises(ShapeError, match="waveform has 1001 samples; at most 1000 fit"):
        waveform_to_spectrogram(torch.zeros(1001), SMALL)
    with pytest.raises(ShapeError, match=r"\(2, 35, 64\); it must be"):
        spectrogram_to_waveform(torch.zeros(2, 35, 64), SMALL)
    harmonic = dataclasses.replace(SMALL, phase="harmonic")
    with pytest.raises(ParameterError, match="pitch=None is not supported"):
        waveform_to_spectrogram(wave, harmonic)


def test_units_of_the_generator() -> None:
    config = SMALL
    made = waveform_to_spectrogram(torch.rand(3, 1000) - 0.5, config)
    image = normalise(made, config)
    assert image.abs().max() <= 1.0
    torch.testing.assert_close(denormalise(image, config), made, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(normalise(denormalise(image, config), config), image)
    # The published constants put the floor at -0.8 and ten nats about 0.775.
    floor = torch.full((2, 1, 1), float(np.log(1e-6)))
    assert float(normalise(floor, config)[0, 0, 0]) == pytest.approx(-0.8, abs=1e-6)
    loud = torch.full((2, 1, 1), 100.0)
    assert normalise(loud, config).eq(1.0).all()


@pytest.mark.parametrize(("frequency", "phase"), FORMS)
def test_gradients(frequency: str, phase: str) -> None:
    """Both directions, by finite differences; the waveform loses nothing on the way."""
    config = SpectrogramConfig(
        n_samples=40,
        n_fft=16,
        hop_length=4,
        n_frames=12,
        frequency=frequency,
        phase=phase,
        magnitude_floor=1e-3,
    )
    pitch = torch.tensor([81.0])
    wave = torch.rand(1, 40, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 0.5
    made = waveform_to_spectrogram(wave, config, pitch=pitch)
    clear = made[:, 1].abs() < 0.99  # elsewhere a finite difference may cross a whole turn
    assert torch.autograd.gradcheck(
        lambda x: waveform_to_spectrogram(x, config, pitch=pitch)[:, 1][clear],
        wave.requires_grad_(),
        atol=1e-4,
    )
    assert torch.autograd.gradcheck(
        lambda x: spectrogram_to_waveform(x, config, pitch=pitch), made.requires_grad_(), atol=1e-4
    )


def test_single_precision_has_the_same_gradients() -> None:
    config = dataclasses.replace(SMALL, phase="harmonic")
    pitch = torch.tensor(60.0)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        made = waveform_to_spectrogram(tone(60, 1000).to(dtype), config, pitch=pitch)
        made = made.detach().requires_grad_()
        spectrogram_to_waveform(made, config, pitch=pitch).square().sum().backward()
        gradients.append(made.grad.double())
    scale = float(gradients[1].abs().max())
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frequency": "bark"}, "frequency='bark' must be one of 'linear', 'mel'"),
        ({"phase": "none"}, "phase='none' must be one of"),
        ({"padding": "back"}, "padding='back' must be one of"),
        ({"n_fft": 1000}, "n_fft=1000 must be a power of two"),
        ({"n_fft": 0}, "n_fft=0 must be a power of two"),
        ({"hop_length": 0}, "hop_length=0 must divide n_fft=2048"),
        ({"hop_length": 500}, "hop_length=500 must divide n_fft=2048.*use 512"),
        ({"hop_length": 2048}, "hop_length=2048 must divide"),
        ({"n_frames": 100}, "n_samples=64000 needs 65536; use n_frames=125"),
        ({"n_frames": 100, "padding": "front"}, "n_samples=64000 needs 64000; use n_frames=122"),
        (
            {"phase": "harmonic", "frequency": "mel"},
            "frequency='mel' is not supported by phase='harmonic'",
        ),
    ],
)
def test_bad_settings_are_named(changes: dict, message: str) -> None:
    with pytest.raises(AudiogenError, match=message):
        dataclasses.replace(PAPER_HIGH, **changes)


def test_the_settings_that_errors_suggest_are_good() -> None:
    dataclasses.replace(PAPER_HIGH, n_frames=125)
    dataclasses.replace(PAPER_HIGH, n_frames=122, padding="front")
    for config, shape, front in ((PAPER_HIGH, (128, 1024), 67072), (PAPER_BASE, (256, 512), 66304)):
        assert (config.n_frames, config.n_bins) == shape and config.span == front
