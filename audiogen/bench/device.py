"""Speed of both models on a GPU; `audiogen bench --device` and examples/gpu_check.py print it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.bench.compare import quickest
from audiogen.core.counting import counted
from audiogen.core.device import choose_device
from audiogen.presets import load_preset
from audiogen.representation.partials import MOST_PARTIALS

if TYPE_CHECKING:
    from audiogen.presets import GansynthPreset, SamplernnPreset

NOTES, STREAMS = "plucked", "speech-sketch"  # presets that both come with audiogen
PAPER_S = 0.02  # a note of 4 s on a GPU of 2018; Engel et al., "GANSynth", ICLR 2019, section 5
PITCHES = 48.0, 72.0


@dataclass(frozen=True)
class DeviceRate:
    """One measurement on a device.

    Attributes
    ----------
    what : str
        The work, such as ``32 notes of plucked``.
    seconds : float
        Shortest time of all of it, to the result in the host's memory.
    n : int
        Notes, or samples of all streams together, in that time.
    unit : str
        ``note`` or ``sample``.
    per_real_time : float
        Duration of the sound over the time: of all notes together, or of one stream.
    remark : str
        Comparison with a published number; may be empty.
    """

    what: str
    seconds: float
    n: int
    unit: str
    per_real_time: float
    remark: str = ""


def measure_device(
    device: str,
    n_notes: tuple[int, ...] = (1, 32),
    n_streams: tuple[int, ...] = (1, 16, 64, 256),
    n_samples: int = 4000,
    n_paper: int = 32,
) -> Iterator[DeviceRate]:
    """Measure a note of a preset, one of the paper's generator, and streams of a SampleRNN.

    Parameters
    ----------
    device : str
        ``cuda`` or ``cuda:N``.
    n_notes, n_streams : tuple of int
        Numbers of notes and of streams that are computed at once.
    n_samples : int
        Samples of each stream.
    n_paper : int
        Notes of the paper's generator, which has random weights, at once.

    Yields
    ------
    DeviceRate

    Raises
    ------
    DeviceError
        If there is no such device, or the CUDA library is missing.
    MissingPackageError
        If PyTorch is not installed.
    """
    device = str(choose_device(device))
    notes: Any = load_preset(NOTES)
    for n in dict.fromkeys(n_notes):
        yield _notes(notes, device, n)
    yield _paper(device, n_paper)
    streams: Any = load_preset(STREAMS)
    for n in n_streams:
        yield _streams(streams, device, n, n_samples)


def text_of_rate(rate: DeviceRate) -> str:
    """Return a measurement as one line."""
    each = rate.seconds / rate.n
    per_second = f"{1.0 / each:.0f} samples/s together"
    speed = f"{1e3 * each:.2f} ms a note" if rate.unit == "note" else per_second
    text = f"{rate.what}: {speed}, {rate.per_real_time:.3g} x real time"
    return f"{text} ({rate.remark})" if rate.remark else text


def _notes(preset: GansynthPreset, device: str, n: int) -> DeviceRate:
    from audiogen.engine.device_frames import DeviceFrames

    frames = DeviceFrames(preset, device)
    n_frames = preset.generator.full_shape[0]
    rng = np.random.default_rng(0)
    inputs = {
        "z": rng.standard_normal((n, preset.generator.latent_size)).astype(np.float32),
        "pitch": np.linspace(*PITCHES, n, dtype=np.float32),
        "velocity": np.full(n, 0.8, np.float32),
        "seed": np.arange(n, dtype=np.uint64),
        "noise_stream": np.zeros(n, np.uint32),
        "partials": np.tile(np.arange(1.0, MOST_PARTIALS + 1.0), (n, 1)),
    }
    seconds = quickest(lambda: frames.images(inputs, 0, n_frames), 3)
    note_s = n_frames * preset.spectrogram.hop_length / preset.sample_rate
    what = f"frames of {counted(n, 'note')} of {note_s:.1f} s, preset {NOTES}"
    return DeviceRate(what, seconds, n, "note", note_s * n / seconds)


def _paper(device: str, n: int) -> DeviceRate:
    import torch

    from audiogen.models.config import GeneratorConfig
    from audiogen.models.gansynth import Generator
    from audiogen.representation.config import SpectrogramConfig

    generator = Generator(GeneratorConfig(), SpectrogramConfig()).to(device)
    z = torch.randn(n, generator.config.latent_size, device=device)
    pitch = torch.full((n,), 60.0, device=device)
    with torch.no_grad():
        seconds = quickest(lambda: generator(z, pitch).cpu(), 3)
    remark = f"the paper's: {1e3 * PAPER_S:.0f} ms a note; {PAPER_S * n / seconds:.1f}x"
    what = f"frames of {counted(n, 'note')} of 4 s, the paper's generator"
    return DeviceRate(what, seconds, n, "note", 4.0 * n / seconds, remark)


def _streams(preset: SamplernnPreset, device: str, n: int, n_samples: int) -> DeviceRate:
    from audiogen.engine.cuda_samplernn import CudaSampleStream

    stream = CudaSampleStream.of_preset(preset, n_streams=n, device=device)
    seconds = quickest(lambda: stream.process(n_samples), 2)
    what = f"{counted(n, 'stream')} of {n_samples} samples, preset {STREAMS}"
    real_time = n_samples / preset.sample_rate / seconds
    return DeviceRate(what, seconds, n * n_samples, "sample", real_time)
