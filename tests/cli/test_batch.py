"""`audiogen batch`: files as `audiogen render` writes them, and a batch that goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

TABLE = """
[defaults]
preset = "plucked"
seed = [0, 1]
[[jobs]]
notes = "C4:0.2 E4:0.1"
"""


@pytest.fixture
def jobs(folder: Path) -> Path:
    path = folder / "jobs.toml"
    path.write_text(TABLE)
    return path


def test_files_are_those_of_render(jobs: Path, call: Any, folder: Path) -> None:
    result = call("batch jobs.toml -o out --workers 1")
    assert result.status == 0 and "2 files in " in result.out and "in out" in result.out
    for seed in (0, 1):
        line = f"render --notes 'C4:0.2 E4:0.1' --preset plucked --seed {seed} -o a.wav"
        assert call(line).status == 0
        one, two = (soundfile.read(p)[0] for p in ("a.wav", f"out/notes-{seed}.wav"))
        assert np.array_equal(one, two)
    lines = [json.loads(line) for line in Path("out/batch.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines] == [0, 1]
    assert all(line["seconds"] > 0.3 and line["peak"] > 0.0 for line in lines)


def test_a_batch_goes_on(jobs: Path, call: Any, folder: Path) -> None:
    assert call("batch jobs.toml -o out --workers 1").status == 0
    Path("out/notes-1.wav").unlink()
    result = call("batch jobs.toml -o out --workers 1")
    assert "1 file already there" in result.out and "1 file in " in result.out
    assert call("batch jobs.toml -o out").out == "2 files already there\n"
    assert "2 files in " in call("batch jobs.toml -o out --workers 1 --again").out
    jobs.write_text(TABLE + "gain_db = -6.0\n")
    assert "2 files in " in call("batch jobs.toml -o out --workers 1").out
    toml = folder.parent / "presets" / "plucked" / "preset.toml"
    toml.write_text(toml.read_text() + "\n")  # another preset
    assert "2 files in " in call("batch jobs.toml -o out --workers 1").out


def test_what_failed_is_named(jobs: Path, call: Any) -> None:
    jobs.write_text(TABLE + "[[jobs]]\nnotes = 'H4'\noutput = 'bad.wav'\nseed = 0\n")
    result = call("batch jobs.toml -o out --workers 1")
    assert result.status == 2 and "2 files in " in result.out
    assert "1 job failed" in result.err and "out/bad.wav: " in result.err and "H4" in result.err
    assert "1 job failed" in call("batch jobs.toml -o out --workers 1").err  # tried again


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("batch no.toml", "no.toml: can't be read as TOML"),
        ("batch no.mid", "no.mid"),
        ("batch jobs.toml a.mid", "give one file of jobs, or MIDI files, not both"),
        ("batch jobs.toml --seed 1", "--seed is for MIDI files; write seed into [defaults]"),
        ("batch jobs.toml --workers 0", "workers=0 must be a whole number"),
    ],
)
def test_bad_input(jobs: Path, call: Any, line: str, message: str) -> None:
    result = call(line)
    assert result.status == 2 and message in result.err and "Traceback" not in result.err
