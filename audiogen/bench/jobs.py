"""Benchmark jobs: the generator, the kernels, and those of the other modules."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.bench import engine, gansynth, kernel_shares, samplernn
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
        self.has_bfloat16 = native.isa() == "avx512_bf16"
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


def unwrap() -> Iterator[Race]:
    """Yield the races of unwrapping the phase of 8 spectrograms."""
    from audiogen import ops
    from audiogen._fallback import kernels as fallback

    random = np.random.default_rng(0)
    phase = random.uniform(-np.pi, np.pi, (8, 128, 1024)).astype(np.float32)
    what, ours = "unwrap [8, 128, 1024]", partial(ops.unwrap, phase)
    yield Race(what, ours, partial(np.unwrap, phase, axis=-2), "numpy.unwrap", target=100.0)
    yield Race(what, ours, partial(fallback.unwrap, phase), "numba", target=2.0)
    torch = require_torch()
    tensor = torch.from_numpy(phase)

    def composed() -> Any:
        step = torch.remainder(torch.diff(tensor, dim=-2) + math.pi, 2 * math.pi) - math.pi
        first = tensor[:, :1]
        return torch.cat((first, first + torch.cumsum(step, dim=-2)), dim=-2)

    yield Race(what, ours, composed, "torch diff, remainder, cumsum", target=40.0)


def istft() -> Iterator[Race]:
    """Yield the race of the inverse STFT of 8 spectrograms."""
    torch = require_torch()
    from audiogen import ops

    n_fft, hop_length = 2048, 512
    random = np.random.default_rng(0)
    shape = (8, 128, n_fft // 2 + 1)
    spectrum = (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(
        np.complex64
    )
    tensor = torch.from_numpy(spectrum).transpose(1, 2).contiguous()  # torch has bins first
    window = torch.hann_window(n_fft)
    yield Race(
        "inverse STFT [8, 128, 1025]",
        partial(ops.istft, spectrum, n_fft, hop_length),
        lambda: torch.istft(tensor, n_fft, hop_length, window=window),
        "torch.istft",
        target=1.0,
    )


JOBS: dict[str, Job] = {
    "generator": Job(generator, "a note of the paper's generator", 1.0),
    "preset": Job(preset_generator, "a note of a generator of the presets' size", 0.5),
    "unwrap": Job(unwrap, "phase unwrapping", 0.5),
    "istft": Job(istft, "the inverse STFT", 0.1),
    **engine.JOBS,
    **samplernn.JOBS,
    **gansynth.JOBS,
    **kernel_shares.JOBS,
}
