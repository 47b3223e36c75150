"""Frames of a score's notes on a GPU: all notes in batches, before an engine plays them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from audiogen.core.device import choose_device
from audiogen.errors import DeviceError
from audiogen.ops.random import philox_uniform
from audiogen.presets import GansynthPreset, read_weights

BATCH = 32  # notes; about 3 GB on the device with the paper's generator
STREAMS_PER_NOTE = 32  # Philox streams, one per block (csrc/models/gansynth.cpp)


class DeviceFrames:
    """A preset's generator on a device, in float32.

    The frames differ from the CPU engine's by rounding: sums are in another order.

    Parameters
    ----------
    preset : GansynthPreset
        A preset that was read from a folder.
    device : str
        ``cuda`` or ``cuda:N``.

    Raises
    ------
    DeviceError
        If there is no such device.
    """

    def __init__(self, preset: GansynthPreset, device: str):
        self._device = choose_device(device)
        self._generator = read_generator(preset).to(self._device)

    def fill(self, table: Any) -> None:
        """Compute the frames that a table collected.

        Parameters
        ----------
        table : FrameTable of the backend
            A table that an engine has rendered with (csrc/models/frame_table.h).
        """
        notes = table.notes()
        # Notes of a batch are computed for the frames that any of them needs.
        order = np.lexsort((notes["end"], notes["first"]))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            first, end = int(notes["first"][batch].min()), int(notes["end"][batch].max())
            if end <= first:
                continue
            images = self.images({name: rows[batch] for name, rows in notes.items()}, first, end)
            for i, image in zip(batch, images, strict=True):
                part = slice(int(notes["first"][i]) - first, int(notes["end"][i]) - first)
                table.fill(int(i), np.ascontiguousarray(image[:, part]))

    def images(self, notes: dict[str, Any], first: int, end: int) -> np.ndarray:
        """Compute frames first to end of notes.

        Parameters
        ----------
        notes : dict of str to ndarray [n_notes, ...]
            ``z``, ``pitch``, ``velocity``, ``seed``, ``noise_stream`` and ``partials``.
        first, end : int
            Range of frames.

        Returns
        -------
        ndarray [n_notes, 2, end - first, n_bins], float32
            Frames in the generator's units.
        """
        import torch

        def tensor(name: str) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(notes[name])).to(self._device)

        noise = self._noise(notes, first, end)
        # cuDNN would multiply in TF32, with 10 bits; `flags` switches it off unless told not to.
        in_float32 = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        try:
            with torch.no_grad(), in_float32:
                images = self._generator(
                    *map(tensor, ("z", "pitch", "velocity")),
                    noise=noise,
                    frames=(first, end),
                    partials=notes["partials"],
                )
        except torch.cuda.OutOfMemoryError as error:
            raise DeviceError(
                f"device='{self._device}' ran out of memory for {len(notes['pitch'])} notes;"
                " leave it to one process (batch: --workers 1), or use device cpu"
            ) from error
        return np.asarray(images.cpu().numpy(), np.float32)

    def _noise(self, notes: dict[str, Any], first: int, end: int) -> list[Any] | None:
        """Noise of each block, as the engine draws it, in the rows that the frames depend on."""
        import torch

        config = self._generator.config
        if config.conditioning != "harmonic":
            return None
        noise = []
        for b, ((low, high), _) in enumerate(self._generator.row_ranges((first, end))):
            n_frames, n_bins = config.shape(b)
            block = np.zeros((len(notes["seed"]), n_frames, n_bins), np.float32)
            for i, (seed, stream) in enumerate(
                zip(notes["seed"], notes["noise_stream"], strict=True)
            ):
                for row in range(low, high):
                    block[i, row] = philox_uniform(
                        int(seed), int(stream) * STREAMS_PER_NOTE + b, row, n_bins
                    )
            noise.append(torch.from_numpy((block - 0.5) * np.float32(math.sqrt(12.0))))
        return [block.to(self._device) for block in noise]


def read_generator(preset: GansynthPreset) -> Any:
    """Read a preset's generator as a torch module.

    Parameters
    ----------
    preset : GansynthPreset
        A preset that was read from a folder.

    Returns
    -------
    audiogen.models.gansynth.Generator
        Its weights take no gradients. The image layers of its coarser blocks are random, since no
        preset holds them.
    """
    from audiogen.models.gansynth import Generator, import_weights
    from audiogen.representation.config import SpectrogramConfig

    table = preset.spectrogram.table()
    spectrogram = SpectrogramConfig(
        sample_rate=preset.sample_rate, n_samples=table["n_frames"] * table["hop_length"], **table
    )
    generator = Generator(preset.generator, spectrogram)
    import_weights(generator, read_weights(preset))
    return generator.requires_grad_(False)
