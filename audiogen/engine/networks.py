"""A preset's network, read once, on the native engine or on its fallback."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen.errors import ParameterError
from audiogen.presets import GansynthPreset, Preset, SamplernnPreset, read_weights
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.mel import band_map

BLOCK = 1024  # samples a call; the result doesn't depend on it
DC_BLOCK_HZ = 10.0  # where what a SampleRNN draws loses its direct current
ANY_PITCH = (-128, 256)  # of a preset that plays no notes
LONGEST_RELEASE_S, END_FADE_S = 2.0, 0.02  # of a SampleRNN's note


def open_network(preset: Preset, precision: str = "float32") -> FrameNetwork | SampleNetwork:
    """Read the network of a preset.

    Raises
    ------
    ParameterError
        If it can't be had in that precision, on this CPU or at all.
    """
    if isinstance(preset, SamplernnPreset):
        return SampleNetwork(preset, precision)
    assert isinstance(preset, GansynthPreset)
    if precision == "int8":
        raise ParameterError(
            f"precision='int8' is for SampleRNN presets, and {preset.name!r} is a GANSynth; use"
            " 'float32' or 'bfloat16'"
        )
    return FrameNetwork(preset, precision)


class Sampling(NamedTuple):
    """How presets that draw samples are to draw them, in place of what they say themselves."""

    temperature: float | None = None
    top_p: float | None = None

    def of(self, preset: Preset) -> Preset:
        """The preset with these; a GANSynth as it is.

        Raises
        ------
        ParameterError
            If a number can't be used.
        """
        given = self._given()
        for name, value in given.items():
            if not isinstance(value, Real):
                raise ParameterError(f"{name}={value!r} isn't a number")
        if not (given and isinstance(preset, SamplernnPreset)):
            return preset
        sampling = preset.sampling.model_copy(update=given)
        check_sampling(sampling.temperature, sampling.top_p, 1)
        return preset.model_copy(update={"sampling": sampling})

    def require_drawn(self, presets: Collection[Preset]) -> None:
        """Find out whether there is something to draw.

        Raises
        ------
        ParameterError
            If a number is given, and all presets are GANSynths.
        """
        if self._given() and not any(isinstance(preset, SamplernnPreset) for preset in presets):
            name = next(iter(presets)).name
            raise ParameterError(
                f"{' and '.join(self._given())} can't be used with preset {name!r}, a GANSynth,"
                " which draws no samples; leave it out"
            )

    def _given(self) -> dict[str, float]:
        return {name: value for name, value in self._asdict().items() if value is not None}


def check_rate(sample_rate: int) -> None:
    """Raise `ParameterError` if an engine can't play at a rate."""
    if not isinstance(sample_rate, (int, np.integer)) or sample_rate < 1:
        raise ParameterError(
            f"sample_rate={sample_rate} can't be used; give a whole number of Hz, such as 48000"
        )


class _Network:
    """What both families have."""

    _module: Any  # `audiogen._native`, or its fallback

    def instrument(self, latent: Sequence[float] | None = None) -> Any:
        """What an engine plays."""
        raise NotImplementedError

    def engine(
        self,
        rate: int,
        voices: int,
        seed: int,
        latent: Sequence[float] | None = None,
    ) -> Any:
        """An engine that plays the instrument, in mono."""
        return self._module.Engine(self.instrument(latent), rate, BLOCK, voices, seed)


class FrameNetwork(_Network):
    """A GANSynth's generator."""

    def __init__(self, preset: GansynthPreset, precision: str):
        self.preset = preset
        self._module = _native_or("gansynth")
        config = preset.generator.model_dump() | {"sample_rate": float(preset.sample_rate)}
        self._generator = self._module.Generator(config, read_weights(preset), precision)

    @property
    def longest_tail_s(self) -> float:
        """How long a note may sound after its end."""
        spectrogram = self.preset.spectrogram
        frames = spectrogram.n_frames - self.preset.sustain.release_frame + 2
        samples = frames * spectrogram.hop_length + 2 * spectrogram.n_fft
        return samples / self.preset.sample_rate

    def instrument(self, latent: Sequence[float] | None = None) -> Any:
        """What an engine plays: the preset's timbres, or a latent as the only one."""
        preset = self.preset
        spectrogram = preset.spectrogram.model_dump() | {"sample_rate": float(preset.sample_rate)}
        if preset.spectrogram.frequency != "linear":
            spectrogram["band_map"] = band_map(SpectrogramConfig(n_samples=1, **spectrogram))
        return self._module.Instrument(
            self._generator,
            spectrogram,
            preset.sustain.model_dump(),
            tuple(map(float, preset.pitch_range)),
            [timbre.z for timbre in preset.timbres] if latent is None else [list(latent)],
        )


class SampleNetwork(_Network):
    """A SampleRNN."""

    longest_tail_s = LONGEST_RELEASE_S + END_FADE_S

    def __init__(self, preset: SamplernnPreset, precision: str):
        self.preset = preset
        self._module = _native_or("samplernn")
        config = preset.samplernn.model_dump() | {"sample_rate": float(preset.sample_rate)}
        self._network = self._module.SampleRNN(config, read_weights(preset), precision)

    def streams(self, n_streams: int, seed: int) -> Any:
        """Independent streams of samples; see csrc/models/samplernn.h."""
        return self._module.SampleStream(self._network, n_streams, seed)

    def instrument(self, latent: Sequence[float] | None = None) -> Any:
        """What an engine plays: the preset's timbres; or sound without pitch, at any pitch."""
        preset = self.preset
        if latent is not None:
            raise ParameterError(
                f"timbre={latent} isn't a name, and preset {preset.name!r} has no latents; give "
                f"one of {', '.join(preset.timbre_names)}"
            )
        return self._module.SampleInstrument(
            self._network,
            preset.sampling.temperature,
            preset.sampling.top_p,
            tuple(map(float, preset.pitch_range or ANY_PITCH)),
            max(1, len(preset.timbres)),
        )


def check_sampling(temperature: ArrayLike, top_p: float, n: int) -> NDArray[np.float32]:
    """The temperature of each of ``n`` samples.

    Raises
    ------
    ParameterError
        If it isn't one number or ``n`` of them, 0 or more, or top_p isn't above 0, up to 1.
    """
    try:
        temperatures = np.asarray(temperature, np.float32)
    except (TypeError, ValueError):  # no numbers
        temperatures = np.full((), np.nan, np.float32)
    if temperatures.shape not in ((), (1,), (n,)) or not np.all(
        np.isfinite(temperatures) & (temperatures >= 0)
    ):
        wanted = "a number" if n == 1 else f"one number or {n} of them"
        raise ParameterError(f"temperature={temperature!r} isn't {wanted}, 0 or more")
    if not (isinstance(top_p, Real) and 0.0 < top_p <= 1.0):
        raise ParameterError(f"top_p={top_p!r} isn't above 0, up to 1")
    return np.broadcast_to(temperatures, n)


def is_whole(value: object, highest: int) -> bool:
    """Whether it's a whole number from 1 on, up to the highest."""
    return isinstance(value, (int, np.integer)) and bool(1 <= value <= highest)


def check_seed(seed: int) -> int:
    """Return a seed that can be used.

    Raises
    ------
    ParameterError
        If it isn't a whole number from 0 to 2^64 - 1.
    """
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 1 << 64:
        raise ParameterError(f"seed={seed} can't be used; give a whole number from 0 to 2^64 - 1")
    return int(seed)


def _native_or(fallback: str) -> Any:
    """`audiogen._native`, or without it a module of this package."""
    from importlib import import_module

    from audiogen.core import backend as _native

    native = _native.find()
    return import_module(f"audiogen._fallback.{fallback}") if native is None else native
