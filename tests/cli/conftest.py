"""A command line to call, a folder to call it in, and an engine that needs no weights."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest


class Result(NamedTuple):
    status: int
    out: str
    err: str


class FakeEngine:
    """Renders a tone for as long as the score lasts, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.peak = 0.5
        self.warning = ""

    def __call__(self, score: Any, voices: Any, **options: Any) -> np.ndarray:
        self.calls.append({"score": score, "voices": voices, **options})
        if self.warning:
            import warnings

            for _ in range(2):
                warnings.warn(self.warning, stacklevel=1)
        options["progress"](0.5)
        n_samples = int((score.duration_s + 0.1) * options["sample_rate"])
        phase = 2 * np.pi * 440 / options["sample_rate"] * np.arange(n_samples)
        tone = (self.peak * np.sin(phase)).astype(np.float32)
        return np.stack([tone, tone], axis=1) if options["stereo"] else tone


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr("audiogen.cli.render._rendered", fake)
    return fake


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny: Any) -> Path:
    """The current folder; two presets and no others can be found."""
    struck = [{"name": "vibes", "z": [1.0, 0.0, 0.0], "family": "mallet", "program": 11}]
    places = tmp_path / "presets"
    write_tiny(places / "plucked")
    write_tiny(places / "struck", timbres=struck, default_timbre="vibes", sample_rate=22050)
    monkeypatch.setattr("audiogen.presets.folders.search_folders", lambda: [places])
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def murmur(folder: Path, write_murmur: Any) -> Path:
    """The folder of an unconditional preset; `winds` beside it plays notes."""
    write_murmur(folder.parent / "presets" / "winds", notes=True)
    return write_murmur(folder.parent / "presets" / "murmur")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[[str], Result]:
    """A function that runs one line of the command line."""

    def run(line: str) -> Result:
        from audiogen.cli.main import main

        with pytest.raises(SystemExit) as exit_:
            main(shlex.split(line))
        captured = capsys.readouterr()
        return Result(int(exit_.value.code or 0), captured.out, captured.err)

    return run
