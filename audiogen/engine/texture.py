"""A preset that makes sound on its own: samples for as long as they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from audiogen.engine.networks import BLOCK, DC_BLOCK_HZ, SampleNetwork, check_seed
from audiogen.errors import ParameterError, PresetError, ShapeError
from audiogen.presets import Preset, SamplernnPreset, load_preset
from audiogen.representation.levels import dequantise, quantise

LONGEST_PRIME_S = 30.0  # what lies further back isn't heard; networks remember less
FADE_IN_S, FADE_OUT_S = 0.005, 0.05
MOST_CHANNELS = 64

# One number, or the moments between which it moves in straight lines: (seconds, temperature).
Temperature = float | Sequence[tuple[float, float]]


class Texture:
    """One preset, ready to be heard.

    Parameters
    ----------
    preset : str, path or Preset
    seed : int
        Same seed, same samples.
    precision : str
        ``float32``; or ``bfloat16`` or ``int8``, which are faster, and draw other samples.

    Raises
    ------
    PresetError
        If the preset isn't found, something in it is wrong, or it plays notes.
    """

    def __init__(
        self,
        preset: str | PathLike[str] | Preset,
        seed: int = 0,
        precision: str = "float32",
    ):
        loaded = preset if isinstance(preset, Preset) else load_preset(preset)
        if loaded.plays_notes or not isinstance(loaded, SamplernnPreset):
            raise PresetError(f"preset {loaded.name!r} plays notes; use audiogen.Synth")
        self.preset = loaded
        self.seed = seed
        self._network = SampleNetwork(loaded, precision)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.preset.sample_rate

    @property
    def timbres(self) -> list[str]:
        """Names of the preset's timbres, if it has any."""
        return self.preset.timbre_names

    def generate(
        self,
        seconds: float = 5.0,
        prime: ArrayLike | None = None,
        temperature: Temperature | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        variations: int = 1,
        stereo: bool = False,
        timbre: str | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """Make sound of a given length.

        It fades out over 50 ms, and in over 5 ms unless it's a continuation.

        Parameters
        ----------
        seconds : float, s
        prime : array [n_samples] or [n_samples, n_channels], optional
            Sound at the preset's rate that is to be continued, each channel for itself. Its last
            30 s are heard. The result begins where it ends, without a step.
        temperature : float, or list of (float, float), optional
            Below 1 the likely becomes likelier, above 1 the unlikely; 0 always takes the likeliest.
            As (seconds, temperature), counted from the beginning of the result, it moves in
            straight lines. The preset's own by default.
        top_p : float, optional
            Draws only from the likeliest levels that together have this probability.
        seed : int, optional
        variations : int
            As many sounds at once; the first is that of ``variations=1``.
        stereo : bool
            Two channels that are drawn independently.
        timbre : str, optional
            One of `timbres`; the default timbre without.
        progress : callable, optional
            Gets the part that is done, 0 to 1.

        Returns
        -------
        ndarray [n_samples] or [n_samples, n_channels], float32
            With ``variations`` above 1 an array of them, [variations, ...].

        Raises
        ------
        ParameterError, ShapeError, PresetError
        """
        n = self._n_samples(seconds)
        if not isinstance(variations, (int, np.integer)) or variations < 1:
            raise ParameterError(f"variations={variations}; give a whole number, 1 or more")
        blocks = self._blocks(BLOCK, prime, temperature, top_p, seed, variations, stereo, timbre)
        made, done = [], 0
        while done < n:
            made.append(next(blocks))
            done += BLOCK
            if progress:
                progress(min(1.0, done / n))
        sound = np.concatenate(made, axis=1)[:, :n]
        fade = _fade(self.sample_rate, FADE_OUT_S, n)
        sound[:, n - len(fade) :] *= fade[::-1, None]
        if prime is None:
            fade = _fade(self.sample_rate, FADE_IN_S, n)
            sound[:, : len(fade)] *= fade[:, None]
        if not stereo and (prime is None or np.ndim(prime) == 1):
            sound = sound[..., 0]
        return sound if variations > 1 else sound[0]

    def stream(
        self,
        block: int = BLOCK,
        prime: ArrayLike | None = None,
        temperature: Temperature | Callable[[], float] | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stereo: bool = False,
        timbre: str | None = None,
    ) -> Iterator[np.ndarray]:
        """Make sound without end, the samples of `generate` without its fades.

        Parameters
        ----------
        block : int, samples
            The sound doesn't depend on it.
        temperature : as `generate` takes it, or callable
            A function is asked for the temperature of each block.
        prime, top_p, seed, stereo, timbre
            As `generate` takes them.

        Returns
        -------
        iterator of ndarray [block] or [block, n_channels], float32

        Raises
        ------
        ParameterError, ShapeError, PresetError
        """
        if not isinstance(block, (int, np.integer)) or block < 1:
            raise ParameterError(f"block={block}; give a whole number of samples, 1 or more")
        blocks = self._blocks(block, prime, temperature, top_p, seed, 1, stereo, timbre)
        one_row = not stereo and (prime is None or np.ndim(prime) == 1)
        return (sound[0, :, 0] if one_row else sound[0] for sound in blocks)

    def _n_samples(self, seconds: float) -> int:
        usable = isinstance(seconds, Real) and math.isfinite(seconds)
        if not usable or round(seconds * self.sample_rate) < 1:
            raise ParameterError(f"seconds={seconds!r}; give a number above 0")
        return round(seconds * self.sample_rate)

    def _blocks(
        self,
        block: int,
        prime: ArrayLike | None,
        temperature: Temperature | Callable[[], float] | None,
        top_p: float | None,
        seed: int | None,
        variations: int,
        stereo: bool,
        timbre: str | None,
    ) -> Iterator[np.ndarray]:
        """Checks everything, then gives blocks without end, [variations, block, n_channels]."""
        heard = None if prime is None else self._heard(prime, stereo)
        n_channels = heard.shape[1] if heard is not None else 2 if stereo else 1
        sampling = self.preset.sampling
        asked = temperature if callable(temperature) else None
        fixed = None if callable(temperature) else temperature
        curve = _curve(sampling.temperature if fixed is None else fixed)
        share = sampling.top_p if top_p is None else top_p
        if not 0.0 < share <= 1.0:
            raise ParameterError(f"top_p={share}; give a number above 0, up to 1, which is off")
        seed = check_seed(self.seed if seed is None else seed)
        # Stream v * n_channels + c is channel c of variation v.
        streams = self._network.streams(variations * n_channels, seed)
        if self.timbres or timbre is not None:
            index = self.timbres.index(self.preset.timbre(timbre).name)
            for s in range(variations * n_channels):
                streams.set_class(s, index)
        step = None if heard is None else self._feed(streams, heard, variations)

        def blocks() -> Iterator[np.ndarray]:
            pole = _dc_pole(self.sample_rate)
            done = 0
            while True:
                at = np.arange(done, done + block)
                here = _curve(asked()) if asked else curve
                temperatures = np.interp(at / self.sample_rate, *here).astype(np.float32)
                drawn = streams.process(block, temperatures, share)
                sound = drawn.reshape(variations, n_channels, block).swapaxes(1, 2)
                if step is not None:  # dies away as the direct current would
                    sound = sound + (step * pole ** (at[:, None] + 1.0)).astype(np.float32)
                yield sound
                done += block

        return blocks()

    def _heard(self, prime: ArrayLike, stereo: bool) -> np.ndarray:
        """What is heard of a sound to be continued, [n_samples, n_channels]."""
        samples = np.asarray(prime)
        if samples.ndim not in (1, 2) or samples.dtype.kind != "f" or 0 in samples.shape[1:]:
            raise ShapeError(
                f"prime has shape {samples.shape} and type {samples.dtype}; floats [n_samples] or "
                "[n_samples, n_channels] are wanted"
            )
        if samples.ndim == 2 and samples.shape[1] > min(len(samples), MOST_CHANNELS):
            raise ShapeError(
                f"prime has shape {samples.shape}; [n_samples, n_channels] is wanted, of up to"
                f" {MOST_CHANNELS} channels: transpose it"
            )
        least = self.preset.samplernn.frame_sizes[0]
        if len(samples) < least:
            raise ShapeError(
                f"prime has {len(samples)} samples; give {least} or more, about a second is good"
            )
        samples = samples[-round(LONGEST_PRIME_S * self.sample_rate) :]
        if not np.isfinite(samples).all():
            raise ShapeError("prime holds NaN or infinity; give finite samples")
        if samples.ndim == 1:
            samples = samples[:, None]
        return np.repeat(samples, 2, axis=1) if stereo and samples.shape[1] == 1 else samples

    def _feed(self, streams: Any, heard: np.ndarray, variations: int) -> np.ndarray:
        """Let all streams hear a sound; what each channel's next sample would be too low by.

        The sound may have direct current, and what is drawn has none.
        """
        from scipy.signal import lfilter

        network = self.preset.samplernn
        levels = quantise(heard.T, network.q_levels, network.quantisation)
        streams.feed(np.tile(levels, (variations, 1)))
        known = dequantise(levels, network.q_levels, network.quantisation).astype(np.float64)
        drawn = lfilter([1.0, -1.0], [1.0, -_dc_pole(self.sample_rate)], known)
        return heard[-1] - drawn[:, -1]


def _dc_pole(sample_rate: int) -> float:
    return 1.0 - 2.0 * math.pi * DC_BLOCK_HZ / sample_rate


def _curve(temperature: Temperature) -> tuple[np.ndarray, np.ndarray]:
    """Moments (s) and the temperatures at them."""
    try:
        points = np.array(temperature, np.float64)
        if points.ndim == 0:
            points = np.array([(0.0, points)])
        seconds, temperatures = points.reshape(len(points), 2).T
    except (TypeError, ValueError):
        raise ParameterError(
            f"temperature={temperature!r}; give a number, or a list of (seconds, temperature)"
        ) from None
    if not len(points) or not (np.diff(seconds) > 0).all() or not np.isfinite(seconds).all():
        raise ParameterError(
            f"temperature={temperature!r}; its seconds must rise from point to point"
        )
    if not (np.isfinite(temperatures) & (temperatures >= 0.0)).all():
        raise ParameterError(f"temperature={temperature!r}; give 0 or more, 1 is as trained")
    return seconds, temperatures


def _fade(sample_rate: int, seconds: float, n: int) -> np.ndarray:
    """The rising half of a Hann window, no longer than half of n samples."""
    length = min(round(seconds * sample_rate), n // 2)
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(1, length + 1) / (length + 1))).astype(np.float32)
