"""Benchmark of what users wait for: opening a preset, rendering, encoding, a training step."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import audiogen
from audiogen.bench.compare import Job, Limit, Race, require_torch
from audiogen.bench.engine import frames_limit
from audiogen.bench.generator import operations
from audiogen.bench.limits import compute_limit, memory_limit
from audiogen.core import backend as _native
from audiogen.presets import (
    WEIGHTS_NAME,
    GansynthPreset,
    assign_programs,
    find_preset,
    load_preset,
    presets_to_play,
    split_spec,
)

PRESET, TIMBRE = "plucked", "harp"
DEMO = "demo.mid"  # beside the presets
ENCODED_S, STEPS = 2.0, 80  # length of the note that is encoded, and steps of the descent
BACKWARD = 2.0  # operations of a backward pass, in forward passes


def opening() -> Iterator[Race]:
    """Yield the race of opening a preset: reading, checking and preparing its weights."""
    from safetensors.numpy import load_file

    _native.require()
    weights = find_preset(PRESET) / WEIGHTS_NAME
    size = weights.stat().st_size
    yield Race(
        f"opening {PRESET}",
        lambda: audiogen.load(PRESET).sample_rate,
        lambda: load_file(weights),
        "reading its weights by safetensors",
        limit=memory_limit(size, size),
    )


def music() -> Iterator[Race]:
    """Yield the race of rendering the demo on one core."""
    _native.require()
    path = find_preset(PRESET).parent / DEMO
    score = audiogen.notes.as_score(path)
    rendered = audiogen.render(score)
    rate = max(load_preset(name).sample_rate for name in _presets(score))
    seconds = len(rendered) / rate
    yield Race(
        f"rendering {DEMO}, {len(score.notes)} notes",
        lambda: audiogen.render(score),
        seconds,
        "real time",
        target=1.0,
        limit=_score_limit(score),
        rounds=3,
    )


def _presets(score: Any) -> dict[str, float]:
    """Seconds that the notes of each preset are held, by name."""
    voices = assign_programs(score.programs, presets_to_play())
    held: dict[str, float] = defaultdict(float)
    for note in score.notes:
        name, _ = split_spec(voices["drums" if note.is_drum else note.program])
        held[name] += note.duration_s
    return dict(held)


def _score_limit(score: Any) -> Callable[[], Limit] | None:
    """The products of the frames while the keys are held; releases come on top."""
    limits = [frames_limit(load_preset(name), held) for name, held in _presets(score).items()]
    if not all(limits):
        return None

    def limit() -> Limit:
        each = [one() for one in limits if one is not None]
        return Limit(sum(one.seconds for one in each), f"{len(each)} presets: {each[0].what} ...")

    return limit


def encoding() -> Iterator[Race]:
    """Yield the race of finding the latent of a recorded note."""
    require_torch()
    from audiogen.training.gansynth.encoding.encode import encode
    from audiogen.training.gansynth.encoding.recorded_note import prepare_note

    preset = load_preset(PRESET)
    assert isinstance(preset, GansynthPreset)
    sound = audiogen.load(PRESET).render([(0.0, ENCODED_S, 60, 0.8)], timbre=TIMBRE, stereo=False)
    note = prepare_note(sound, preset.sample_rate, preset, 60.0)
    share = ENCODED_S * preset.sample_rate / preset.spectrogram.hop_length
    share /= preset.spectrogram.n_frames
    per_note, _ = operations(preset.network)
    yield Race(
        f"encoding a note of {ENCODED_S:g} s, {STEPS} steps",
        lambda: encode(note, steps=STEPS),
        ENCODED_S,
        "the note's length",
        limit=compute_limit(STEPS * (1.0 + BACKWARD) * share * per_note, "float32"),
        rounds=1,
    )


def training() -> Iterator[Race]:
    """Yield the race of a training step of the built-in recipe, without and with the critic."""
    torch = require_torch()
    from audiogen.bench.gansynth import noise_notes
    from audiogen.training.gansynth.note_batches import Notes
    from audiogen.training.gansynth.recipe import BuiltInRecipe
    from audiogen.training.gansynth.trainer import BuiltInTrainer

    with tempfile.TemporaryDirectory() as folder:
        recipe = BuiltInRecipe()
        notes = Notes.read(noise_notes(Path(folder) / "notes"), None)
        trainer = BuiltInTrainer(notes, recipe)
        rows = trainer.batch(np.arange(recipe.batch), (0, recipe.crop_frames))
        z = torch.randn(recipe.batch, recipe.generator.latent_size)

        def passes() -> None:
            with torch.no_grad():
                for _ in range(3):
                    trainer.average(z, rows.pitch, rows.velocity, frames=rows.frames)

        for step, what in ((0, "without"), (recipe.steps - 50, "with")):
            trainer.step = step
            yield Race(
                f"training step, built-in, batch {recipe.batch}, {what} the critic",
                trainer.train_step,
                passes,
                "three forward passes of its generator, torch eager",
                rounds=3,
            )


def user_jobs() -> Iterator[Race]:
    """Yield all of them."""
    yield from opening()
    yield from music()
    yield from encoding()
    yield from training()


JOBS = {"user_jobs": Job(user_jobs, "what users wait for", 3.0)}
