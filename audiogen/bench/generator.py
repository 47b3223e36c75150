"""Benchmark of the GANSynth generator: the engine beside its peers at the same precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.bench.compare import Job, Race, require_torch
from audiogen.bench.limits import compute_limit
from audiogen.core import backend as _native

if TYPE_CHECKING:
    from audiogen.models.gansynth import GeneratorConfig

NOTE_S = 4.0  # 128 frames of 512 samples at 16 kHz
ROUNDS = 25  # calls are long, and other programs disturb each
FIRST_BLOCK = 4  # frames within one window
# Products per output and input channel, of a plain layer and of one after an upsampling; direct
# convolution has 9. See csrc/kernels/networks/conv_rows.h and tiles/tile_rows.h.
PRODUCTS = {"float32": (3.0, 2.25), "pairs": (4.0, 2.25), "tiles": (9.0, 4.0)}


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

    def peers(self, precision: str) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
        """Return the peers' calls that compute one note, and the peers that can't run."""
        from audiogen.bench.generator_peers import peers_of

        return peers_of(self._generator, self._z, precision)

    def native(self, precision: str = "float32", n_frames: int = 128) -> Callable[[], Any]:
        """Return the call that computes the first frames of a note, on a stream already open."""
        z = self._z[0].numpy()
        stream = self._compiled[precision].stream(z, 60.0)

        def call() -> Any:
            stream.start(z, 60.0)
            return stream.take(n_frames)

        return call

    def operations(self, precision: str) -> tuple[float, str]:
        """Return the number of operations per note in our algorithm, and the kind of product."""
        return operations(self._generator.config, precision)

    def bfloat16_error(self) -> float:
        """Return the relative root mean square error of the bfloat16 generator."""
        exact, rough = (self.native(precision)() for precision in ("float32", "bfloat16"))
        return float(np.sqrt(np.mean((rough - exact) ** 2) / np.mean(exact**2)))


def operations(config: GeneratorConfig, precision: str = "float32") -> tuple[float, str]:
    """Return the operations of a note of all frames in our algorithm, and the kind of product."""
    rows = _native.require().bfloat16_rows() if precision == "bfloat16" else "float32"
    per_plain, per_upsampled = PRODUCTS[rows]
    products = 0.0
    for b, width in enumerate(config.channels):
        n_frames, n_bins = config.shape(b)
        below = config.channels[b - 1] if b else 0
        products += n_frames * n_bins * width * (per_plain * width + per_upsampled * below)
    kinds = {"float32": "float32", "pairs": "bfloat16", "tiles": "bfloat16 tiles"}
    return 2.0 * products, kinds[rows]


def generator() -> Iterator[Race]:
    """Yield the races of the paper's generator."""
    require_torch()
    from audiogen.models.gansynth import GeneratorConfig

    twins = Twins(GeneratorConfig())
    name = "paper-size generator"
    yield from _notes(twins, name, {"float32": 2.0, "bfloat16": 2.0})
    yield _first_block(twins, name)


def preset_generator() -> Iterator[Race]:
    """Yield the races of a generator of the shipped presets' size."""
    require_torch()
    from audiogen.models.gansynth import GeneratorConfig

    twins = Twins(GeneratorConfig("harmonic", 32, (64, 64, 64, 64, 48, 32, 24)))
    name = "preset-size generator"
    yield from _notes(
        twins, name, {}, lambda seconds: f"{NOTE_S / seconds:.0f} voices in real time"
    )
    yield _first_block(twins, name)


def _notes(
    twins: Twins,
    name: str,
    targets: dict[str, float],
    remark: Callable[[float], str] = lambda _: "",
) -> Iterator[Race]:
    """Yield the race for a whole note at each precision, against peers at the same precision."""
    for precision in ("float32", "bfloat16") if twins.has_bfloat16 else ("float32",):
        calls, absent = twins.peers(precision)
        error = f"{twins.bfloat16_error():.1%} RMS error" if precision == "bfloat16" else ""
        operations, product = twins.operations(precision)
        (first, call), *others = calls.items()
        yield Race(
            f"{name}, a 4 s note, {precision}",
            twins.native(precision),
            call,
            first,
            others=dict(others),
            absent=absent,
            target=targets.get(precision),
            remark=lambda s, error=error: ", ".join(filter(None, (remark(s), error))),  # type: ignore[misc]
            limit=compute_limit(operations, product),
            rounds=ROUNDS,
        )


def _first_block(twins: Twins, name: str) -> Race:
    return Race(
        f"{name}, first {FIRST_BLOCK} frames",
        twins.native(n_frames=FIRST_BLOCK),
        twins.native(),
        "the whole note",
        target=1 / 0.08,
    )


JOBS = {
    "generator": Job(generator, "a note of the paper's generator", 2.0),
    "preset": Job(preset_generator, "a note of a generator of the presets' size", 2.0),
}
