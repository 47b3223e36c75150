"""A preset opened for playing: its network, read once, and the engines that play it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from audiogen.core import backend
from audiogen.core.cores import n_threads
from audiogen.core.device import choose_device
from audiogen.engine.precision import resolve_precision
from audiogen.errors import ParameterError
from audiogen.presets import GansynthPreset, Preset, SamplernnPreset

if TYPE_CHECKING:
    from audiogen.engine.device_frames import DeviceFrames
    from audiogen.engine.device_samples import DeviceSamples

BLOCK = 1024  # samples that an offline engine renders at once; the result does not depend on it
RELEASE_RATIO = 8.0  # by which the release 1 lengthens a note's (csrc/engine/voice.h)
# Of a SampleRNN's note (csrc/engine/samples/sample_voice.cpp).
LONGEST_RELEASE_S, END_FADE_S = 2.0, 0.02


class OpenPreset:
    """A preset and its instrument, which any number of engines share.

    Parameters
    ----------
    preset : Preset
        Description and place of the preset.
    precision : str
        Precision of the network's arithmetic: ``float32``, ``bfloat16``, or for a SampleRNN
        ``int8``; or ``auto``, the fastest on this CPU (`audiogen.engine.precision`).
    device : str
        Device that computes what is rendered offline: ``cpu``, or ``cuda`` or ``cuda:N``.

    Raises
    ------
    ParameterError
        If the preset's network has no such precision, or does not run on the device.
    DeviceError
        If there is no such device.
    """

    def __init__(self, preset: Preset, precision: str = "float32", device: str = "cpu"):
        self.preset, self.asked_precision = preset, precision
        self.precision = precision = resolve_precision(preset, precision, device)
        self._backend = backend.load()
        self._on_device = _on_device(preset, precision, device)
        self._instrument = preset.instrument(precision)
        self._added: list[list[float]] = []  # latents that became timbres, in order

    @property
    def instrument(self) -> Any:
        """An instrument of an engine; see csrc/engine/instrument.h."""
        return self._instrument

    def longest_tail_s(self, release: float = 0.0) -> float:
        """How long a note may sound after its note-off, at most, at a value of ``release``."""
        stretch = RELEASE_RATIO ** max(0.0, release)
        if not isinstance(self.preset, GansynthPreset):
            return LONGEST_RELEASE_S * stretch + END_FADE_S
        spectrogram = self.preset.spectrogram
        sustain = self.preset.sustain
        frames = spectrogram.n_frames - (sustain.release_frame if sustain else 0) + 2
        samples = frames * stretch * spectrogram.hop_length + 2 * spectrogram.n_fft
        return samples / self.preset.sample_rate

    def timbre_index(self, z: list[float]) -> int:
        """Index by which notes name a latent, which becomes a timbre of the instrument."""
        index = int(self._instrument.add_timbre(z))
        if index == len(self.preset.timbres) + len(self._added):
            self._added.append(z)
        return index

    @property
    def is_on_device(self) -> bool:
        """Whether another device than the CPU computes what is rendered offline."""
        return self._on_device is not None

    def computed(self, play: Callable[[Any], None]) -> Any:
        """Compute on the device the frames or samples that engines request.

        Parameters
        ----------
        play : callable
            Function that renders with engines of a table, which records their requests, and
            discards the audio.

        Returns
        -------
        FrameTable or SampleTable of the backend, optional
            For `engine`; None if the CPU computes while it plays.
        """
        if self._on_device is None:
            return None
        table = self._backend.SampleTable()
        if self.preset.kind == "gansynth":
            table = self._backend.FrameTable(self.preset.open_network())
        play(table)
        self._on_device.fill(table)
        return table

    def engine(
        self,
        sample_rate: int,
        voices: int,
        seed: int,
        n_channels: int = 1,
        n_inputs: int = 0,
        latent: list[float] | None = None,
        table: Any = None,
        threads: int = 1,
    ) -> Any:
        """An engine that renders offline (csrc/engine/engine.h).

        Parameters
        ----------
        sample_rate : int, Hz
            Rate of the blocks.
        voices : int
            Notes that can sound at once.
        seed : int
            Seed of the notes' random numbers.
        n_channels, n_inputs : int
            Channels of the output and of the input.
        latent : list of float, optional
            Only timbre.
        table : FrameTable or SampleTable of the backend, optional
            Result of `computed`.
        threads : int
            Threads that render voices; 1 with a table. Changes no sample.
        """
        instrument = self._instrument
        if latent is not None or table is not None:
            instrument = self.preset.instrument(self.precision, latent, table)
            for z in self._added if latent is None else ():
                instrument.add_timbre(z)
        return self._backend.Engine(
            instrument, sample_rate, BLOCK, voices, seed, n_channels, n_inputs, threads
        )

    def live_engine(
        self, sample_rate: int, max_block: int, voices: int, seed: int, margin: int | None
    ) -> Any:
        """An engine that plays live (csrc/engine/live_engine.h).

        Parameters
        ----------
        sample_rate : int, Hz
            Rate of the blocks.
        max_block : int, samples
            Longest block.
        voices : int
            Notes that can sound at once.
        seed : int
            Seed of the notes' random numbers.
        margin : int, samples
            How far a worker thread renders ahead of `max_block`; without, blocks are rendered
            when they are asked for.

        Returns
        -------
        LiveEngine of the backend, stereo, with a stereo input
        """
        return self._backend.LiveEngine(
            self._instrument,
            sample_rate,
            max_block,
            voices,
            seed,
            n_channels=2,
            n_inputs=2,
            lookahead=0 if margin is None else max_block + margin,
            synchronous=margin is None,
            n_threads=n_threads(),
        )


def _on_device(preset: Preset, precision: str, device: str) -> DeviceFrames | DeviceSamples | None:
    """The preset's network on a device; None for the CPU, on which the engine computes."""
    if device == "cpu" or (device == "auto" and choose_device(device).type == "cpu"):
        return None
    from audiogen.engine.device_frames import DeviceFrames
    from audiogen.engine.device_samples import DeviceSamples

    if precision != "float32":
        raise ParameterError(
            f"precision={precision!r} is not supported by device={device!r}; use 'float32'"
        )
    backend.require()
    if isinstance(preset, GansynthPreset):
        return DeviceFrames(preset, device)
    if preset.plays_notes or not isinstance(preset, SamplernnPreset):
        raise ParameterError(
            f"device={device!r} is not supported by preset {preset.name!r}, a SampleRNN that is"
            " conditioned on notes; use 'cpu'"
        )
    return DeviceSamples(preset, device)
