"""GANSynth presets in both backends: the same images, the same samples, the same errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import audiogen
from audiogen import _fallback as fallback
from audiogen._fallback import frame_instrument
from audiogen._fallback.parameter_table import INDEX
from audiogen.core import backend
from audiogen.core.events import (
    ALL_OFF,
    EVENT,
    NOTE_BEND,
    NOTE_LEVEL,
    NOTE_OFF,
    NOTE_ON,
    NOTE_SLIDE,
    PARAMETER,
)
from audiogen.errors import FormatError, ParameterError
from audiogen.presets import GeneratorConfig, weight_shapes
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.mel import band_map

pytestmark = pytest.mark.filterwarnings("ignore:audiogen was installed without:RuntimeWarning")

MODEL_RATE = 16000
LATENTS = [[1.0, 0.0, 0.3], [-1.0, 0.4, 0.2]]
SUSTAIN = {"loop_start_frame": 5, "loop_end_frame": 22, "release_frame": 24}
TOLERANCE = 1e-4  # of full scale


def fields(conditioning: str, **changes: Any) -> dict[str, Any]:
    harmonic = conditioning == "harmonic"
    return {
        "conditioning": conditioning,
        "latent_size": 3,
        "channels": [12, 11, 10] if harmonic else [13, 9, 10],
        "start_shape": [8, 16],  # in the end 32 frames of 64 bins
        "pitch_min": 36,
        "n_pitches": 49,
        "note_off_frame": 20,
        "sample_rate": float(MODEL_RATE),
        **changes,
    }


def weights_for(config: dict[str, Any]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    table = GeneratorConfig(**{k: v for k, v in config.items() if k != "sample_rate"})
    shapes = weight_shapes(table)
    # Sums of unit variance, as in a trained network, keep rounding errors small.
    weights = {
        name: (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for name, shape in shapes.items()
    }
    weights["to_rgb.bias"][:] = 0.0
    return weights


def instrument(
    module: ModuleType,
    conditioning: str = "harmonic",
    *,
    weights: dict[str, np.ndarray] | None = None,
    sustain: dict[str, int] | None = None,
    latents: list[list[float]] | None = None,
    pitch_range: tuple[float, float] = (40.0, 76.0),
    macros: Sequence[dict[str, Any]] = (),
    **spectrogram: Any,
) -> Any:
    config = fields(conditioning)
    harmonic = conditioning == "harmonic"
    if spectrogram.get("frequency", "linear") != "linear":
        sizes = {"n_samples": 1, "n_fft": 128, "hop_length": 32, "n_frames": 32}
        mel = SpectrogramConfig(**sizes, frequency=spectrogram["frequency"])
        spectrogram["band_map"] = band_map(mel)
    return module.Instrument(
        module.Generator(config, weights or weights_for(config), "float32"),
        {
            "sample_rate": float(MODEL_RATE),
            "n_fft": 128,
            "hop_length": 32,
            "magnitude_scale": 0.25,
            "magnitude_offset": 0.8 if harmonic else 0.0,
            "frequency_scale": 0.8,
            "magnitude_floor": 1e-6,
            "phase": "harmonic" if harmonic else "instantaneous_frequency",
            **spectrogram,
        },
        SUSTAIN if sustain is None else sustain,
        pitch_range,
        LATENTS if latents is None else latents,
        list(macros),
    )


# Seconds, kind, id, timbre, pitch, value, and pan where it is not 0.
TimedEvent = (
    tuple[float, int, int, int, float, float] | tuple[float, int, int, int, float, float, float]
)
OUT_OF_RANGE = 3
SCORE: list[TimedEvent] = [
    (0.000, NOTE_ON, 0, 0, 60.0, 0.9),
    (0.002, NOTE_OFF, 0, 0, 0.0, 0.0),  # in the attack
    (0.050, NOTE_ON, 1, 1, 52.3, 0.5),
    (0.100, NOTE_ON, 2, 0, 20.0, 1.0),
    (0.110, NOTE_OFF, 9, 0, 0.0, 0.0),  # of no note
    (0.140, NOTE_ON, 3, 7, 110.5, 2.0),  # an unknown timbre is the first
    (0.146, NOTE_ON, 4, 0, 76.5, -1.0),
    (0.150, NOTE_ON, 5, 0, float("nan"), 1.0),
    (0.187, NOTE_OFF, 2, 0, 0.0, 0.0),  # while its loop fades
    (0.400, NOTE_OFF, 3, 0, 0.0, 0.0),
    (0.450, NOTE_OFF, 1, 0, 0.0, 0.0),  # after many loops
]


def play(
    engine: Any, sample_rate: int, score: list[TimedEvent], block: int, seconds: float = 0.55
) -> tuple[np.ndarray, list[int]]:
    """Samples, and the voices that sound after each block. Note 4 is held to the end."""
    times = np.array([round(event[0] * sample_rate) for event in score])
    events = np.array([(0, *event[1:6], *(event[6:] or (0.0,))) for event in score], EVENT)
    blocks, sounding = [], []
    total = int(seconds * sample_rate)
    for start in range(0, total, block):
        now = (times >= start) & (times < start + block)
        due = events[now]
        due["offset"] = times[now] - start
        blocks.append(engine.process(min(block, total - start), due))
        sounding.append(engine.n_sounding)
    return np.concatenate(blocks), sounding


def assert_same(got: np.ndarray, want: np.ndarray) -> None:
    n = min(len(got), len(want))
    assert got.dtype == np.float32
    assert 0.02 < np.abs(want).max() < 2.0  # full scale is 1
    np.testing.assert_allclose(got[:n], want[:n], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("conditioning", ["harmonic", "one_hot"])
@pytest.mark.parametrize(
    ("pitch", "velocity", "seed", "stream"),
    [(60.0, 1.0, 0, 0), (71.8, 0.3, 2**64 - 1, 5), (36.4, 0.0, 2**40 + 3, 1000)],
)
def test_images_equal_the_native_ones(native, conditioning, pitch, velocity, seed, stream):
    config = fields(conditioning)
    note = (np.float32(LATENTS[1]), pitch, velocity, seed)
    want = native.Generator(config, weights_for(config)).generate(*note, noise_stream=stream)
    got = fallback.Generator(config, weights_for(config)).generate(*note, noise_stream=stream)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-5)  # sums in another order


@pytest.mark.parametrize("conditioning", ["harmonic", "one_hot"])
@pytest.mark.parametrize("sample_rate", [16000, 48000, 22050, 8000])
def test_samples_equal_the_native_ones(native, conditioning, sample_rate):
    ours = fallback.Engine(instrument(fallback, conditioning), sample_rate, 512, 8, 5)
    theirs = native.Engine(instrument(native, conditioning), sample_rate, 512, 8, 5)
    assert ours.latency == theirs.latency
    # Other blocks for the one than for the other: the result doesn't depend on them.
    got, _ = play(ours, sample_rate, SCORE, 300)
    want, _ = play(theirs, sample_rate, SCORE, 512)
    assert_same(got, want)
    assert ours.n_transposed == theirs.n_transposed == OUT_OF_RANGE
    assert ours.n_stolen == theirs.n_stolen == 0
    assert ours.n_sounding == theirs.n_sounding


@pytest.mark.parametrize(
    "changes",
    [
        {"hop_length": 64, "magnitude_offset": 1.1},
        {"hop_length": 8, "magnitude_offset": 0.8},
        {"phase": "instantaneous_frequency"},
        {"conditioning": "one_hot", "magnitude_offset": 0.5, "frequency": "mel_released"},
        {"conditioning": "one_hot", "magnitude_offset": 0.5, "frequency": "mel"},
        {"pitch_range": (58.0, 62.0)},
    ],
    ids=[
        "two windows meet",
        "sixteen windows meet",
        "phase without harmonics",
        "mel bands of the released checkpoints",
        "mel bands",
        "less than an octave",
    ],
)
def test_samples_of_other_instruments_equal_the_native_ones(native, changes):
    both = [
        module.Engine(instrument(module, **changes), MODEL_RATE, 512, 8, 1)
        for module in (fallback, native)
    ]
    got, want = (play(engine, MODEL_RATE, SCORE, 512)[0] for engine in both)
    assert_same(got, want)


def first_note(module: ModuleType, conditioning: str, offset: float, **changes: Any) -> Any:
    """Samples of the score's first note, its image in nats, and the spectrogram."""
    torch = pytest.importorskip("torch")
    from audiogen.representation.spectrogram import denormalise

    sizes = {"n_samples": 900, "n_fft": 128, "hop_length": 32, "n_frames": 32}
    s = SpectrogramConfig(**sizes, magnitude_scale=0.25, magnitude_offset=offset, **changes)
    opened = instrument(module, conditioning, magnitude_offset=offset, **changes)
    engine = module.Engine(opened, MODEL_RATE, 512, 8, 5)
    assert engine.latency == 0
    got, _ = play(engine, MODEL_RATE, SCORE[:1], 512, 0.032)
    config = fields(conditioning)
    generator = fallback.Generator(config, weights_for(config))
    image = torch.from_numpy(generator.generate(np.float32(LATENTS[0]), 60.0, 0.9, 5))
    return got[:, 0], denormalise(image, s), s


@pytest.mark.parametrize("frequency", ["linear", "mel", "mel_released"])
def test_a_note_is_the_inverse_transform_of_its_image(module, frequency):
    """Before its first loop, also where the engine maps bands to bins frame by frame."""
    pytest.importorskip("torch")
    from audiogen.representation.spectrogram import spectrogram_to_waveform

    got, image, s = first_note(module, "one_hot", 0.5, frequency=frequency)
    want = spectrogram_to_waveform(image, s).numpy()
    # The frames from the loop's fade on reach back to 96 samples before they begin.
    n = (SUSTAIN["loop_end_frame"] - frame_instrument.LOOP_FADE) * 32 - 96
    gain = np.dot(got[:n], want[:n]) / np.dot(want[:n], want[:n])  # of the velocity
    assert 0.1 < gain < 1.0001
    np.testing.assert_allclose(got[:n], gain * want[:n], rtol=0, atol=TOLERANCE)


def test_training_resynthesises_as_the_engine_does(module):
    """From a note's beginning to its first loop, with locked partials."""
    torch = pytest.importorskip("torch")
    from audiogen.representation import resynthesis

    got, image, s = first_note(module, "harmonic", 0.8, phase="harmonic")
    last = SUSTAIN["loop_end_frame"] - frame_instrument.LOOP_FADE
    sound = resynthesis.resynthesise(image[None, :, :last], s, torch.tensor([60.0]), (0, last))
    want = sound[0, s.pad_front : resynthesis.whole_frames(s, (0, last)).stop * 32].numpy()
    gain = np.dot(got[: len(want)], want) / np.dot(want, want)
    np.testing.assert_allclose(got[: len(want)], gain * want, rtol=0, atol=TOLERANCE)


def test_a_band_map_that_does_not_fit_is_refused(native):
    s = SpectrogramConfig(n_samples=1, n_fft=256, hop_length=32, n_frames=32, frequency="mel")
    with pytest.raises(ParameterError, match="map of mel bands does not fit 64 bins"):
        instrument(native, "one_hot", band_map=band_map(s))
    starts, bands, weights = band_map(replace(s, n_fft=128))
    with pytest.raises(ParameterError, match="mel band 64 must be below 64"):
        instrument(native, "one_hot", band_map=(starts, bands + 1, weights))


def parameter(time: float, name: str, value: float) -> TimedEvent:
    return (time, PARAMETER, INDEX[name], 0, 0.0, value)


PARAMETER_SCORE: list[TimedEvent] = [
    (0.000, NOTE_ON, 0, 0, 60.0, 0.9),
    parameter(0.020, "pan", -0.5),
    parameter(0.040, "volume", 0.7),
    parameter(0.060, "bend", 1.5),
    parameter(0.090, "morph_timbre", 1.0),
    parameter(0.090, "morph", 0.6),
    parameter(0.100, "glide", 0.1),
    (0.110, NOTE_ON, 1, 1, 67.0, 0.8, 0.4),
    parameter(0.115, "spread", 0.8),
    (0.120, NOTE_ON, 2, 0, 55.0, 0.8, -7.0),
    parameter(0.130, "sustain", 1.0),
    (0.135, NOTE_OFF, 1, 0, 0.0, 0.0),  # held by the pedal
    parameter(0.200, "vibrato", 0.5),
    parameter(0.205, "expression", 0.6),
    parameter(0.230, "bend", float("nan")),
    parameter(0.235, "pan", 99.0),
    (0.240, PARAMETER, 999, 0, 0.0, 1.0),
    (0.245, 77, 0, 0, 0.0, 1.0),  # of no known kind
    parameter(0.250, "sustain", 0.0),
    parameter(0.300, "morph", 0.0),
    parameter(0.310, "vibrato", 0.0),
    parameter(0.330, "morph", 1.0),
    (0.360, NOTE_OFF, 2, 0, 0.0, 0.0),
    (0.400, ALL_OFF, 0, 0, 0.0, 0.0),
    (0.450, NOTE_ON, 4, 1, 70.0, 1.0, float("nan")),
    (0.500, ALL_OFF, 0, 0, 0.0, 1.0),
]


@pytest.mark.parametrize("conditioning", ["harmonic", "one_hot"])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_parameters_move_as_in_the_native_engine(native, conditioning, n_channels):
    engines = [
        module.Engine(instrument(module, conditioning), 48000, 512, 8, 5, n_channels)
        for module in (fallback, native)
    ]
    got, sounding = play(engines[0], 48000, PARAMETER_SCORE, 300)
    want, _ = play(engines[1], 48000, PARAMETER_SCORE, 512)
    assert got.shape[1] == n_channels
    assert_same(got, want)
    assert max(sounding) == 3 and sounding[-1] == 0
    for omitted in (
        "pan",
        "volume",
        "expression",
        "bend",
        "morph",
        "glide",
        "sustain",
        "vibrato",
    ):
        index = INDEX[omitted]
        others = [e for e in PARAMETER_SCORE if not (e[1] == PARAMETER and e[2] == index)]
        engines[1].reset(5)
        without, _ = play(engines[1], 48000, others, 512)
        audible = np.abs(without - want).max() > 0.003
        # A one-hot pitch cannot move, but a note that starts during a bend is that of another key.
        if conditioning == "harmonic":
            assert audible == (n_channels == 2 or omitted != "pan"), omitted


EXPRESSION_SCORE: list[TimedEvent] = [
    (0.000, NOTE_LEVEL, 0, 0, 0.0, 0.5),
    (0.000, NOTE_BEND, 0, 0, 0.0, -1.3),
    (0.000, NOTE_ON, 0, 0, 60.0, 0.9),
    (0.020, NOTE_ON, 1, 1, 67.0, 0.8),
    (0.050, NOTE_BEND, 1, 0, 0.0, 4.5),
    (0.060, NOTE_LEVEL, 0, 0, 0.0, 99.0),
    (0.080, NOTE_SLIDE, 1, 0, 0.0, -0.8),
    parameter(0.090, "macro_1", -0.5),
    (0.100, NOTE_SLIDE, 0, 0, 0.0, 1.0),
    (0.110, NOTE_BEND, 0, 0, 0.0, float("nan")),
    (0.120, NOTE_BEND, 7, 0, 0.0, 2.0),  # of no note
    (0.130, NOTE_ON, 2, 0, 55.0, 0.8),
    (0.150, NOTE_OFF, 1, 0, 0.0, 0.0),
    (0.160, NOTE_BEND, 1, 0, 0.0, -2.0),  # in its release
    (0.300, NOTE_ON, 1, 0, 50.0, 0.8),
    (0.310, ALL_OFF, 0, 0, 0.0, 0.0),
]


@pytest.mark.parametrize("conditioning", ["harmonic", "one_hot"])
def test_notes_are_expressed_as_in_the_native_engine(native, conditioning):
    macros = [{"direction": [0.0, 1.0, 0.0], "range": [-1.5, 1.0]}]
    ours, theirs = (
        module.Engine(instrument(module, conditioning, macros=macros), 44100, 512, 8, 5, 2)
        for module in (fallback, native)
    )
    got, _ = play(ours, 44100, EXPRESSION_SCORE, 300)
    want, _ = play(theirs, 44100, EXPRESSION_SCORE, 512)
    assert_same(got, want)
    for kind in (NOTE_BEND, NOTE_LEVEL, NOTE_SLIDE):
        theirs.reset(5)
        others = [event for event in EXPRESSION_SCORE if event[1] != kind]
        without, _ = play(theirs, 44100, others, 512)
        assert np.abs(without - want).max() > 0.003, kind


MAP_SCORE: list[TimedEvent] = [
    parameter(0.000, "timbre_map", 1.0),
    parameter(0.000, "timbre_x", 0.3),
    (0.000, NOTE_ON, 0, 0, 60.0, 0.9),  # the nearest timbre is the second
    parameter(0.050, "timbre_y", 0.9),
    parameter(0.100, "timbre_x", 1.0),
    (0.120, NOTE_ON, 1, 1, 67.0, 0.8),
    parameter(0.150, "morph", 0.5),  # without effect on the map
    (0.200, NOTE_ON, 2, 2, 50.0, 0.8),
    parameter(0.250, "timbre_map", 0.0),
    parameter(0.300, "voices", 2.0),
    (0.310, NOTE_ON, 3, 0, 55.0, 0.8),  # steals two
    (0.330, NOTE_OFF, 2, 0, 0.0, 0.0),
    (0.340, NOTE_ON, 4, 0, 72.0, 0.8),  # steals a released one
]


def test_the_timbre_map_and_voices_are_those_of_the_native_engine(native):
    latents = [*LATENTS, [0.2, -0.5, 1.0]]
    engines = []
    for module in (fallback, native):
        made = instrument(module, latents=latents)
        made.set_places([(0.9, 0.2), (0.2, 0.4), (0.7, 0.8)])
        engines.append(module.Engine(made, 44100, 512, 8, 5, 2))
    got, sounding = play(engines[0], 44100, MAP_SCORE, 300)
    want, _ = play(engines[1], 44100, MAP_SCORE, 512)
    assert_same(got, want)
    assert max(sounding) == 3 and sounding[-1] == 2
    assert [engine.n_stolen for engine in engines] == [3, 3]
    for omitted in ("timbre_map", "timbre_x", "timbre_y", "voices"):
        engines[1].reset(5)
        others = [e for e in MAP_SCORE if not (e[1] == PARAMETER and e[2] == INDEX[omitted])]
        without, _ = play(engines[1], 44100, others, 512)
        assert np.abs(without - want).max() > 0.003, omitted
    for module in (fallback, native):
        with pytest.raises(ParameterError, match="places must be 3 pairs of finite numbers"):
            instrument(module, latents=latents).set_places([(0.0, 0.0)])


@pytest.mark.parametrize("by", [-5.0, -0.37, 0.02, 1.0, 5.0])
def test_transposed_partials_keep_their_levels(by):
    n_fft, width = 2048, 7.8125  # Hz

    def level(pitch: float) -> np.ndarray:
        """Log magnitudes of a Hann window's lobe at each harmonic, over a floor."""
        harmonics = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0) * np.arange(1, 24)
        distance = np.arange(1, n_fft // 2 + 1)[:, None] - harmonics / width
        lobes = np.sinc(distance) / (1.0 - distance**2 + 1e-9)
        return np.log(np.abs(lobes).max(axis=1) + 1e-3).astype(np.float32)

    want = level(60.0 + by)
    got, nearest = frame_instrument._transpose(level(60.0), level(60.0), 60.0, 60.0 + by)
    peaks = want > np.log(0.85)
    assert peaks.sum() >= 22  # those below 8 kHz
    # Lobes narrow and widen with the pitch, and fall between bins.
    assert np.abs(got - want)[peaks].max() < 0.05 + 0.03 * abs(by)  # nats; 0.1 is 0.9 dB
    assert set(nearest) <= set(level(60.0))


def test_the_network_runs_again_only_after_a_large_change_of_pitch(monkeypatch):
    pitches: list[float] = []
    generate = fallback.Generator.generate

    def counted(self: Any, z: Any, pitch: float, *others: Any, **options: Any) -> Any:
        pitches.append(pitch)
        return generate(self, z, pitch, *others, **options)

    monkeypatch.setattr(fallback.Generator, "generate", counted)
    sustain = {"loop_start_frame": 8, "loop_end_frame": 30, "release_frame": 24}
    engine = fallback.Engine(instrument(fallback, sustain=sustain), MODEL_RATE, 512, 2)
    score = [
        (0.0, NOTE_ON, 0, 0, 60.0, 0.9),
        parameter(0.0, "vibrato", 2.0),
        parameter(0.0, "bend", 2.0),
    ]
    play(engine, MODEL_RATE, score, 64, seconds=20 * 32 / MODEL_RATE)
    assert pitches == [60.0]
    play(engine, MODEL_RATE, [parameter(0.0, "bend", 9.0)], 64, seconds=0.03)
    assert len(pitches) > 1 and max(pitches) > 65.0


@pytest.mark.parametrize("block", [1, 7, 64, 127, 1000])
def test_parameters_move_equally_in_blocks_of_any_size(native, block):
    engine = native.Engine(instrument(native), 44100, 4096, 8, 5, 2)
    want, _ = play(engine, 44100, PARAMETER_SCORE, 4096)
    engine.reset(5)
    got, _ = play(engine, 44100, PARAMETER_SCORE, block)
    n = min(len(got), len(want))
    np.testing.assert_array_equal(got[:n], want[:n])


def test_voices_are_stolen_as_in_the_native_engine(native):
    score: list[TimedEvent] = [
        (0.00, NOTE_ON, 0, 0, 48.0, 1.0),
        (0.05, NOTE_ON, 1, 0, 55.0, 1.0),
        (0.06, NOTE_ON, 2, 1, 57.0, 1.0),
        (0.10, NOTE_OFF, 1, 0, 0.0, 0.0),
        (0.101, NOTE_ON, 3, 1, 62.0, 1.0),  # takes the place of note 1, which is released
        (0.15, NOTE_ON, 4, 0, 67.0, 1.0),  # takes the place of note 0, the oldest
        (0.16, NOTE_OFF, 0, 0, 0.0, 0.0),  # which has ended
        (0.25, NOTE_OFF, 2, 0, 0.0, 0.0),
        (0.30, NOTE_ON, 5, 0, 69.0, 1.0),  # note 2 has ended by now
        (0.35, NOTE_OFF, 5, 0, 0.0, 0.0),
    ]
    ours, theirs = (
        module.Engine(instrument(module), MODEL_RATE, 128, 3, 9) for module in (fallback, native)
    )
    got, sounding = play(ours, MODEL_RATE, score, 128)
    want, wanted = play(theirs, MODEL_RATE, score, 128)
    assert_same(got, want)
    assert sounding == wanted and max(sounding) == 3
    assert ours.n_stolen == theirs.n_stolen == 2


def test_a_silent_note_ends_as_in_the_native_engine(native):
    weights = weights_for(fields("harmonic"))
    weights["to_rgb.weight"][0] = 0.0
    weights["to_rgb.bias"][0] = np.arctanh(-0.46)
    score: list[TimedEvent] = [(0.0, NOTE_ON, 0, 0, 60.0, 1.0)]
    results = []
    for module in (fallback, native):
        engine = module.Engine(instrument(module, weights=weights), MODEL_RATE, 32, 1, 0)
        results.append(play(engine, MODEL_RATE, score, 32, seconds=0.1))
    (got, sounding), (want, wanted) = results
    assert sounding == wanted and sounding[0] == 1 and sounding[-1] == 0
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE)


def test_a_release_from_the_last_frame_ends(module):
    sustain = {**SUSTAIN, "release_frame": 31}
    engine = module.Engine(instrument(module, sustain=sustain), MODEL_RATE, 1024, 1, 0)
    _, sounding = play(engine, MODEL_RATE, SCORE[:2], 1024, seconds=1.0)
    assert sounding[-1] == 0


def test_a_note_can_be_held_while_some_of_its_bins_fade(module):
    """Each loop takes 4 nats from the high bins, so that soon nothing is left of them."""
    config = {**fields("one_hot"), "channels": [2], "start_shape": [32, 1024], "n_pitches": 1}
    weights = {k: 0.0 * w for k, w in weights_for(config).items()}
    fall = 0.6 * np.linspace(0, 1, 32)[:, None] * (np.arange(1024) > 64)
    ripple = 0.3 + 0.01 * (np.arange(1024) * 7 % 5)
    weights["blocks.0.conv1.weight"][:, 1] = np.cos(ripple - fall), np.sin(ripple - fall)
    weights["blocks.0.conv2.weight"][[0, 1], [0, 1], 1, 1] = 1.0
    weights["to_rgb.weight"][0, 1] = 0.7
    held = module.Instrument(
        module.Generator({**config, "sample_rate": float(MODEL_RATE)}, weights),
        {
            "sample_rate": MODEL_RATE,
            "n_fft": 2048,
            "hop_length": 512,
            "magnitude_scale": 0.066,
            "magnitude_offset": 0.1,
            "frequency_scale": 0.8,
            "phase": "harmonic",
        },
        {"loop_start_frame": 8, "loop_end_frame": 28, "release_frame": 28},
        (36.0, 36.0),
        [[0.0, 1.0, 0.0]],
    )
    engine = module.Engine(held, MODEL_RATE, 16384, 1, 0)
    samples, _ = play(engine, MODEL_RATE, SCORE[:1], 16384, seconds=40.0)
    assert np.isfinite(samples).all()
    second, last = samples[MODEL_RATE : 2 * MODEL_RATE], samples[-MODEL_RATE:]
    assert last.std() > 0.5 * second.std() > 0.0


def test_added_timbres_play_as_in_the_native_engine(native):
    z = [0.3, -0.8, 0.5]
    samples = []
    for module in (fallback, native):
        opened = instrument(module)
        engine = module.Engine(opened, MODEL_RATE, 512, 2, 5)
        before, _ = play(engine, MODEL_RATE, [(0.0, NOTE_ON, 0, 2, 60.0, 0.9)], 512, 0.1)
        assert [opened.add_timbre(LATENTS[1]), opened.add_timbre(z), opened.add_timbre(z)] == [
            1,
            2,
            2,
        ]
        engine.reset(5)
        after, _ = play(engine, MODEL_RATE, [(0.0, NOTE_ON, 0, 2, 60.0, 0.9)], 512, 0.1)
        assert not np.array_equal(before, after)
        samples.append(after)
    assert_same(*samples)


def test_bad_and_too_many_timbres_are_refused(module):
    opened = instrument(module)
    with pytest.raises(ParameterError, match="a timbre has 2 numbers"):
        opened.add_timbre([1.0, 2.0])
    with pytest.raises(ParameterError, match="NaN or infinity"):
        opened.add_timbre([1.0, 2.0, float("inf")])
    for i in range(1024):
        assert opened.add_timbre([float(i), 2.0, 3.0]) == 2 + i
    with pytest.raises(ParameterError, match="no more than 1024"):
        opened.add_timbre([-1.0, 2.0, 3.0])
    assert opened.add_timbre([5.0, 2.0, 3.0]) == 7


def test_events_of_an_empty_block_are_handled(module):
    now = np.array([(0, NOTE_ON, 1, 0, 60.0, 0.8, 0.0)], EVENT)
    first, second = (module.Engine(instrument(module), MODEL_RATE, 512, 2, 3) for _ in range(2))
    assert len(first.process(0, now)) == 0 and first.n_sounding == 1
    assert np.array_equal(first.process(512, now[:0]), second.process(512, now))


def test_reset_gives_a_new_engine(module):
    engine = module.Engine(instrument(module), 22050, 512, 2, 3)
    first = play(engine, 22050, SCORE, 512)
    engine.reset(4)
    other = play(engine, 22050, SCORE, 512)
    engine.reset(3)
    again = play(engine, 22050, SCORE, 512)
    assert np.array_equal(first[0], again[0]) and first[1] == again[1]
    assert not np.array_equal(first[0], other[0])
    assert engine.n_transposed == OUT_OF_RANGE and engine.n_stolen == 2


def test_an_empty_block_has_no_samples(module):
    engine = module.Engine(instrument(module), MODEL_RATE, 512, 2, 3)
    assert engine.process(0, np.zeros(1, EVENT)).shape == (0, 1)


@pytest.fixture
def preset(write_tiny, preset_fields, tmp_path) -> Path:
    """A preset on disk whose sustain is long enough for the engine."""
    sizes = {"start_shape": [8, 16], "note_off_frame": 20}
    scales = {"n_frames": 32, "magnitude_scale": 0.25, "magnitude_offset": -0.4}
    return write_tiny(
        tmp_path / "little",
        generator=preset_fields["generator"] | sizes,
        spectrogram=preset_fields["spectrogram"] | scales,
        sustain=SUSTAIN,
    )


def test_render_without_the_compiled_module_warns_once(no_native, preset):
    backend.load.cache_clear()  # the fixture of the preset has used it
    with pytest.warns(RuntimeWarning, match=r"C\+\+20 compiler.*numba") as warned:
        samples = audiogen.load(preset).render("C3:0.1 [E4 G4]:0.2", seed=3)
        again = audiogen.load(preset).render("C3:0.1 [E4 G4]:0.2", seed=3)
    assert len(warned) == 1
    assert np.array_equal(samples, again)
    assert len(samples) >= 0.3 * MODEL_RATE and np.isfinite(samples).all() and samples.any()


def test_render_equals_the_native_one(native, preset, monkeypatch):
    score = "C3:0.1 [E4 G4]:0.2"
    want = audiogen.load(preset).render(score, sample_rate=44100)
    monkeypatch.setattr(backend, "find", lambda: None)
    monkeypatch.setattr(backend, "load", lambda: fallback)
    got = audiogen.load(preset).render(score, sample_rate=44100)
    assert len(got) == len(want)
    assert_same(got, want)


def test_does_not_load_torch():
    code = "import sys, audiogen._fallback.gansynth; print('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


def test_other_precisions_are_refused():
    config = fields("one_hot")
    with pytest.raises(ParameterError, match=r"precision='bfloat16'.*use 'float32'"):
        fallback.Generator(config, weights_for(config), "bfloat16")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditioning": "harmonics"}, "conditioning"),
        ({"tempo": 3}, "tempo"),
        ({"channels": []}, "channels"),
        ({"latent_size": "many"}, "latent_size"),
    ],
)
def test_a_bad_config_is_refused(module, changes, message):
    config = fields("one_hot")
    with pytest.raises(ParameterError, match=message):
        module.Generator({**config, **changes}, weights_for(config))


@pytest.mark.parametrize(
    ("name", "weight", "error"),
    [
        ("blocks.1.conv1.bias", None, FormatError),
        ("blocks.9.conv1.bias", np.zeros(3, np.float32), FormatError),
        ("to_rgb.bias", np.zeros(3, np.float32), FormatError),
        ("to_rgb.bias", np.float32([0.0, np.inf]), FormatError),
        ("to_rgb.bias", "loud", ParameterError),
    ],
    ids=["missing", "unknown", "shape", "infinite", "text"],
)
def test_bad_weights_are_refused(module, name, weight, error):
    config = fields("one_hot")
    weights: dict[str, Any] = weights_for(config)
    if weight is None:
        del weights[name]
    else:
        weights[name] = weight
    with pytest.raises(error, match=name):
        module.Generator(config, weights)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_fft": 256}, "n_fft=256"),
        ({"n_fft": 100}, "n_fft=100"),
        ({"hop_length": 48}, "hop_length=48"),
        ({"sample_rate": 500.0}, "sample_rate=500"),
        ({"magnitude_scale": 0.0}, "magnitude_scale"),
        ({"magnitude_offset": float("nan")}, "magnitude_offset"),
        ({"frequency_scale": -1.0}, "frequency_scale"),
        ({"sustain": {**SUSTAIN, "loop_end_frame": 6}}, "loop_end=6"),
        ({"sustain": {**SUSTAIN, "loop_end_frame": 33}}, "within the note's 32"),
        ({"sustain": {**SUSTAIN, "release_frame": 32}}, "within the note's 32"),
        ({"pitch_range": (60.0, 59.0)}, "highest_pitch"),
        ({"latents": []}, "no timbre"),
        ({"latents": [[1.0, 2.0]]}, "timbre"),
        ({"latents": [[1.0, 2.0, float("nan")]]}, "timbre"),
    ],
)
def test_a_bad_instrument_is_refused(module, changes, message):
    with pytest.raises(ParameterError, match=message):
        instrument(module, **changes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((999, 512, 1), "sample_rate=999"),
        ((400000, 512, 1), "sample_rate=400000"),
        ((383987, 512, 1), "common divisor"),
        ((16000, 0, 1), "max_block=0"),
        ((16000, 65537, 1), "max_block=65537"),
        ((16000, 512, 0), "max_voices=0"),
        ((16000, 512, 4097), "max_voices=4097"),
    ],
)
def test_bad_engine_arguments_are_refused(module, arguments, message):
    with pytest.raises(ParameterError, match=message):
        module.Engine(instrument(module), *arguments)


def test_a_block_that_is_too_long_is_refused(module):
    engine = module.Engine(instrument(module), MODEL_RATE, 512, 1)
    with pytest.raises(ParameterError, match="n=513"):
        engine.process(513, np.zeros(0, EVENT))
