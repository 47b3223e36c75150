"""The share of each kernel in real jobs: preparing data, a training step, a render."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import audiogen
from audiogen import ops
from audiogen.bench.compare import Job, Race, quickest, require_torch
from audiogen.core import backend as _native
from audiogen.ops import _arrays

N_NOTES, BATCH = 256, 8  # notes of a data set, and of one call
RENDERED = "C4:3.5"
HOP, N_FFT = 512, 2048  # of the presets
ROUNDS = 5


def kernel_shares() -> Iterator[Race]:
    """Each kernel's time in a job beside the whole job; the ratio is the job over the kernel."""
    _native.require()
    yield from _data_preparation()
    yield from _training_steps()
    yield from _render()


def _data_preparation() -> Iterator[Race]:
    torch = require_torch()
    from audiogen.representation.config import SpectrogramConfig
    from audiogen.representation.spectrogram import (
        spectrogram_to_waveform,
        waveform_to_spectrogram,
    )

    random = np.random.default_rng(0)
    notes = torch.from_numpy(0.1 * random.standard_normal((BATCH, 64000), np.float32))
    pitch = torch.full((BATCH,), 60.0)
    for name, config in (
        ("linear", SpectrogramConfig()),
        ("mel, released", SpectrogramConfig(frequency="mel_released")),
        ("harmonic", SpectrogramConfig(phase="harmonic")),
    ):
        image = waveform_to_spectrogram(notes, config, pitch=pitch)

        def analyse(config: Any = config) -> None:
            for _ in range(N_NOTES // BATCH):
                waveform_to_spectrogram(notes, config, pitch=pitch)

        def synthesise(config: Any = config, image: Any = image) -> None:
            for _ in range(N_NOTES // BATCH):
                spectrogram_to_waveform(image, config, pitch=pitch)

        yield from _shares(f"analysis of {N_NOTES} notes, {name}", analyse)
        yield from _shares(f"synthesis of {N_NOTES} notes, {name}", synthesise)


def _training_steps() -> Iterator[Race]:
    from audiogen.bench.gansynth import STEPS_LEFT, noise_notes
    from audiogen.training.gansynth.progressive import ProgressiveTrainer
    from audiogen.training.recipes import read_recipe

    with tempfile.TemporaryDirectory() as folder:
        notes = noise_notes(Path(folder) / "notes")
        trainer = ProgressiveTrainer(notes, read_recipe("gansynth-small"), "cpu")
        trainer.step = trainer.n_steps - STEPS_LEFT
        yield from _shares("training step, gansynth-small, full-grown", trainer.train_step)


def _render() -> Iterator[Race]:
    """One note of a preset; its kernels are timed alone, on as many frames as the note has."""
    from audiogen.bench.generator import Twins
    from audiogen.models.config import GeneratorConfig

    synth = audiogen.load("plucked")
    twins = Twins(GeneratorConfig("harmonic", 32, (64, 64, 64, 64, 48, 32, 24)))  # its size
    n_frames = len(synth.render(RENDERED)) // HOP
    random = np.random.default_rng(0)
    shape = (n_frames, N_FFT // 2)
    level, phase = (random.standard_normal(shape, np.float32) for _ in range(2))
    spectrum = np.pad(ops.polar_to_rectangular(level, phase), ((0, 0), (1, 0)))
    seconds = quickest(lambda: synth.render(RENDERED), ROUNDS)
    for kernel, call in (
        ("conv_row, linear_row, image_row", twins.native(n_frames=min(n_frames, 128))),
        ("polar_to_rectangular", lambda: ops.polar_to_rectangular(level, phase)),
        ("istft", lambda: ops.istft(spectrum, N_FFT, HOP)),
    ):
        yield _race(f"a note of {n_frames} frames", kernel, quickest(call, ROUNDS), seconds)


def _shares(job: str, call: Callable[[], Any], rounds: int = ROUNDS) -> Iterator[Race]:
    """Time a call and the ops in it; the quickest of some rounds counts."""
    compute, call_s, kernel_s = _arrays.compute, np.inf, {}
    call()
    for _ in range(rounds):
        spent: dict[str, float] = defaultdict(float)

        def timed(op: str, *arrays: Any, spent: Any = spent, **settings: int) -> Any:
            start = time.perf_counter()
            result = compute(op, *arrays, **settings)
            spent[op] += time.perf_counter() - start
            return result

        _arrays.compute = timed
        try:
            start = time.perf_counter()
            call()
            seconds = time.perf_counter() - start
        finally:
            _arrays.compute = compute
        if seconds < call_s:
            call_s, kernel_s = seconds, spent
    for op, seconds in sorted(kernel_s.items()):
        yield _race(job, op, seconds, call_s)


def _race(job: str, kernel: str, kernel_s: float, job_s: float) -> Race:
    share = f"{kernel_s / job_s:.1%} of {job_s:.3g} s"
    return Race(f"{job}: {kernel}", kernel_s, job_s, "the whole job", remark=lambda _: share)


JOBS = {"kernel_shares": Job(kernel_shares, "the share of each kernel in real jobs", 3.0)}
