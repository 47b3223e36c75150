"""Samples of unconditional notes on a GPU: all streams at once, before an engine plays them."""

from __future__ import annotations

from typing import Any

import numpy as np

from audiogen.engine.cuda_samplernn import CudaSampleStream
from audiogen.errors import ParameterError
from audiogen.presets import SamplernnPreset

MOST_STREAMS = 256  # of one launch; more have no weights left to share


class DeviceSamples:
    """A preset's SampleRNN on a device, in float32.

    Parameters
    ----------
    preset : SamplernnPreset
        An unconditional preset that was read from a folder.
    device : str
        ``cuda`` or ``cuda:N``.

    Raises
    ------
    ParameterError
        If its network is conditioned on notes.
    DeviceError
        If there is no such device, or audiogen was built without CUDA.
    """

    def __init__(self, preset: SamplernnPreset, device: str):
        self._preset, self._device = preset, device
        self._streams(1)  # whatever is wrong is said before the work begins

    def _streams(self, n_streams: int) -> CudaSampleStream:
        return CudaSampleStream.of_preset(self._preset, n_streams=n_streams, device=self._device)

    def fill(self, table: Any) -> None:
        """Generate the samples that a table collected.

        Parameters
        ----------
        table : SampleTable of the backend
            A table that engines have played with (csrc/models/sample_table.h).
        """
        groups: dict[tuple[bytes, float], list[int]] = {}
        streams = table.streams()
        for i, stream in enumerate(streams):
            top_p = stream["top_p"]
            if not len(top_p):
                table.fill(i, np.zeros(0, np.float32))
                continue
            if (top_p != top_p[0]).any():
                raise ParameterError("top_p must not change during a sound that a GPU generates")
            # Streams of a launch share their temperatures.
            groups.setdefault((stream["temperature"].tobytes(), float(top_p[0])), []).append(i)
        for (_, top_p), members in groups.items():
            for start in range(0, len(members), MOST_STREAMS):
                part = members[start : start + MOST_STREAMS]
                chosen = self._streams(len(part))
                chosen.seed_streams([streams[i]["seed"] for i in part])
                for row, i in enumerate(part):
                    if self._preset.samplernn.n_classes:
                        chosen.set_class(row, int(streams[i]["index"]))
                temperature = streams[part[0]]["temperature"]
                sounds = chosen.process(len(temperature), temperature, top_p)
                for i, sound in zip(part, sounds, strict=True):
                    table.fill(i, sound)
