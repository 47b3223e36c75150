"""Benchmark jobs: the kernels, and those of the other modules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from audiogen.bench import engine, gansynth, generator, kernel_shares, samplernn, user_jobs
from audiogen.bench.compare import Job, Race, require_torch
from audiogen.bench.limits import memory_limit


def unwrap() -> Iterator[Race]:
    """Yield the races of unwrapping the phase of 8 spectrograms."""
    from audiogen import ops
    from audiogen._fallback import kernels as fallback

    random = np.random.default_rng(0)
    phase = random.uniform(-np.pi, np.pi, (8, 128, 1024)).astype(np.float32)
    what, ours = "unwrap [8, 128, 1024]", partial(ops.unwrap, phase)
    limit = memory_limit(2 * phase.nbytes, 2 * phase.nbytes)  # read and written
    yield Race(what, ours, partial(np.unwrap, phase, axis=-2), "numpy.unwrap", target=100.0)
    yield Race(what, ours, partial(fallback.unwrap, phase), "numba", target=2.0, limit=limit)
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
    **generator.JOBS,
    "unwrap": Job(unwrap, "phase unwrapping", 0.5),
    "istft": Job(istft, "the inverse STFT", 0.1),
    **engine.JOBS,
    **samplernn.JOBS,
    **user_jobs.JOBS,
    **gansynth.JOBS,
    **kernel_shares.JOBS,
}
