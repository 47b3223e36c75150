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
from audiogen.bench.engine import frame_operations
from audiogen.bench.limits import compute_limit, memory_limit
from audiogen.core import backend as _native
from audiogen.engine.render import default_rate, parts_of
from audiogen.presets import (
    WEIGHTS_NAME,
    GansynthPreset,
    find_preset,
    load_preset,
    split_spec,
)

PRESET, TIMBRE = "plucked", "harp"
DEMO = "demo.mid"  # beside the presets
ENCODED_S, STEPS = 2.0, 80  # length of the note that is encoded, and steps of the descent
CYCLE = 4  # steps of the built-in recipe after which its kinds of step repeat


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
    rate = default_rate(load_preset(name) for name in _held_seconds(score))
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


def _held_seconds(score: Any) -> dict[str, float]:
    """Seconds that the notes of each preset are held, by name."""
    held: dict[str, float] = defaultdict(float)
    for voice, part in parts_of(score).items():
        name, _ = split_spec(voice)
        held[name] += sum(note.duration_s for note in part.notes)
    return dict(held)


def _score_limit(score: Any) -> Callable[[], Limit] | None:
    """The products of the frames while the keys are held; releases and drums come on top."""
    presets = [(load_preset(name), held_s) for name, held_s in _held_seconds(score).items()]
    n_operations = sum(frame_operations(preset, held_s) for preset, held_s in presets)
    return compute_limit(n_operations, "float32")


def encoding() -> Iterator[Race]:
    """Yield the race of finding the latent of a recorded note."""
    require_torch()
    from audiogen.training.gansynth.encoding.encode import encode
    from audiogen.training.gansynth.encoding.recorded_note import prepare_note

    preset = load_preset(PRESET)
    assert isinstance(preset, GansynthPreset)
    sound = audiogen.load(PRESET).render([(0.0, ENCODED_S, 60, 0.8)], timbre=TIMBRE, stereo=False)
    note = prepare_note(sound, preset.sample_rate, preset, 60.0)
    yield Race(
        f"encoding a note of {ENCODED_S:g} s, {STEPS} steps",
        lambda: encode(note, steps=STEPS),
        ENCODED_S,
        "the note's length",
        rounds=1,
    )


def training() -> Iterator[Race]:
    """Yield the race of a training step of the built-in recipe, without and with the critic."""
    torch = require_torch()
    from audiogen.bench.gansynth import noise_notes
    from audiogen.training.gansynth.note_batches import Notes
    from audiogen.training.gansynth.recipe import BuiltInRecipe
    from audiogen.training.gansynth.trainer import BuiltInTrainer
    from audiogen.training.run.memory import keep_freed_memory

    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        recipe = BuiltInRecipe()
        notes = Notes.read(noise_notes(Path(folder) / "notes"), None)
        trainer = BuiltInTrainer(notes, recipe)
        rows = trainer.batch(np.arange(recipe.batch), (0, recipe.crop_frames)).twice()
        z = torch.randn(len(rows.pitch), recipe.generator.latent_size)

        def passes() -> None:
            with torch.no_grad():
                for _ in range(3 * CYCLE):
                    trainer.average(z, rows.pitch, rows.velocity, frames=rows.frames)

        def steps() -> None:
            for _ in range(CYCLE):
                trainer.train_step()

        for step, what in ((0, "without"), (recipe.steps - 52, "with")):
            trainer.step = step
            yield Race(
                f"{CYCLE} training steps, built-in, batch {recipe.batch}, {what} the critic",
                steps,
                passes,
                "as a yardstick three forward passes of each, torch eager in float32",
                rounds=2,
            )


def user_jobs() -> Iterator[Race]:
    """Yield the races of all these jobs."""
    yield from opening()
    yield from music()
    yield from encoding()
    yield from training()


JOBS = {"user_jobs": Job(user_jobs, "what users wait for", 3.0)}
