"""Benchmark of the GANSynth generator: the engine's beside PyTorch's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.bench.compare import Job, Race, require_torch
from audiogen.core import backend as _native

if TYPE_CHECKING:
    from audiogen.models.gansynth import GeneratorConfig

NOTE_S = 4.0  # 128 frames of 512 samples at 16 kHz
FIRST_BLOCK = 4  # frames within one window


class Twins:
    """Generator with random weights, in PyTorch and in the engine."""

    def __init__(self, config: GeneratorConfig) -> None:
        torch, native = require_torch(), _native.require()
        from audiogen.models.gansynth import Generator, export_weights
        from audiogen.representation.config import SpectrogramConfig

        torch.manual_seed(0)
        spectrogram = SpectrogramConfig()
        self._generator = Generator(config, spectrogram).eval()
        fields = {**asdict(config), "sample_rate": spectrogram.sample_rate}
        weights = export_weights(self._generator)
        self._compiled = {"float32": native.Generator(fields, weights)}
        self.has_bfloat16 = native.bfloat16_rows() != "none"
        if self.has_bfloat16:
            self._compiled["bfloat16"] = native.Generator(fields, weights, "bfloat16")
        self._z = torch.randn(1, config.latent_size)

    def eager(self, channels_last: bool = False) -> Callable[[], Any]:
        """Return the call that computes one note in PyTorch."""
        torch = require_torch()
        pitch = torch.tensor([60.0])
        generator = self._generator
        if channels_last:
            generator = copy.deepcopy(generator).to(memory_format=torch.channels_last)

        def call() -> Any:
            with torch.inference_mode():
                return generator(self._z, pitch)

        return call

    def native(self, precision: str = "float32", n_frames: int = 128) -> Callable[[], Any]:
        """Return the call that computes the first frames of a note, on a stream already open."""
        z = self._z[0].numpy()
        stream = self._compiled[precision].stream(z, 60.0)

        def call() -> Any:
            stream.start(z, 60.0)
            return stream.take(n_frames)

        return call

    def bfloat16_error(self) -> float:
        """Return the relative root mean square error of the bfloat16 generator."""
        exact, rough = (self.native(precision)() for precision in ("float32", "bfloat16"))
        return float(np.sqrt(np.mean((rough - exact) ** 2) / np.mean(exact**2)))


def generator() -> Iterator[Race]:
    """Yield the races of the paper's generator."""
    require_torch()
    from audiogen.models.gansynth import GeneratorConfig

    twins = Twins(GeneratorConfig())
    note = "paper-size generator, a 4 s note"
    yield Race(note, twins.native(), twins.eager(), "PyTorch eager", target=2.0)
    yield Race(note, twins.native(), twins.eager(channels_last=True), "PyTorch channels_last")
    if twins.has_bfloat16:
        error = f"{twins.bfloat16_error():.1%} RMS error"
        yield Race(
            f"{note}, bfloat16",
            twins.native("bfloat16"),
            twins.eager(),
            "PyTorch eager float32",
            target=3.0,
            remark=lambda _: error,
        )
    yield _first_block(twins, "paper-size generator")


def preset_generator() -> Iterator[Race]:
    """Yield the races of a generator of the shipped presets' size."""
    require_torch()
    from audiogen.models.gansynth import GeneratorConfig

    twins = Twins(GeneratorConfig("harmonic", 32, (64, 64, 64, 64, 48, 32, 24)))
    note = "preset-size generator, a 4 s note"

    def voices(seconds: float) -> str:
        return f"{NOTE_S / seconds:.0f} voices in real time"

    yield Race(note, twins.native(), twins.eager(), "PyTorch eager", remark=voices)
    if twins.has_bfloat16:
        error = f"{twins.bfloat16_error():.1%} RMS error"
        yield Race(
            f"{note}, bfloat16",
            twins.native("bfloat16"),
            twins.eager(),
            "PyTorch eager float32",
            remark=lambda seconds: f"{voices(seconds)}, {error}",
        )
    yield _first_block(twins, "preset-size generator")


def _first_block(twins: Twins, name: str) -> Race:
    return Race(
        f"{name}, first {FIRST_BLOCK} frames",
        twins.native(n_frames=FIRST_BLOCK),
        twins.native(),
        "the whole note",
        target=1 / 0.08,
    )


JOBS = {
    "generator": Job(generator, "a note of the paper's generator", 1.0),
    "preset": Job(preset_generator, "a note of a generator of the presets' size", 0.5),
}
