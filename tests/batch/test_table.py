"""Files of jobs become jobs; what is wrong in them is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audiogen.batch import Job, read_jobs
from audiogen.batch.table import jobs_of, require_own_outputs
from audiogen.errors import FormatError, ParameterError


def written(folder: Path, text: str) -> Path:
    path = folder / "jobs.toml"
    path.write_text(text)
    return path


def test_lists_are_multiplied_out(tmp_path: Path) -> None:
    jobs = read_jobs(
        written(
            tmp_path,
            """
            [defaults]
            seed = [1, 2]
            gain_db = -3
            [[jobs]]
            notes = "C4 E4"
            preset = ["plucked:harp", "struck"]
            [[jobs]]
            seconds = 2.5
            preset = "murmur"
            seed = 7
            output = "{preset}-long.flac"
            """,
        )
    )
    assert [(Path(job.output).name, job.preset, job.seed) for job in jobs] == [
        ("notes-plucked_harp-1.wav", "plucked:harp", 1),
        ("notes-struck-1.wav", "struck", 1),
        ("notes-plucked_harp-2.wav", "plucked:harp", 2),
        ("notes-struck-2.wav", "struck", 2),
        ("murmur-long.flac", "murmur", 7),
    ]
    assert {job.gain_db for job in jobs} == {-3} and jobs[-1].seconds == 2.5
    assert all(Path(job.output).parent == tmp_path for job in jobs)
    require_own_outputs(jobs)


def test_wildcards_find_scores(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    for name in ("b.mid", "a.mid", "c.txt"):
        (tmp_path / "songs" / name).touch()
    jobs = jobs_of({"score": "songs/*.mid"}, tmp_path, tmp_path / "out")
    assert [job.score for job in jobs] == [str(tmp_path / "songs" / f"{n}.mid") for n in "ab"]
    assert [job.output for job in jobs] == [str(tmp_path / "out" / f"{n}.wav") for n in "ab"]
    with pytest.raises(ParameterError, match="matches no file"):
        jobs_of({"score": "*.midi"}, tmp_path, tmp_path)
    (tmp_path / "live [1].mid").touch()
    assert jobs_of({"score": "live [1].mid"}, tmp_path, tmp_path)[0].score.endswith("live [1].mid")


def test_paths_are_relative_to_the_file(tmp_path: Path, write_tiny: Callable[..., Path]) -> None:
    write_tiny(tmp_path / "mine")
    (tmp_path / "note.json").touch()
    jobs = read_jobs(
        written(
            tmp_path,
            """
            [[jobs]]
            notes = "C4"
            preset = ["./mine", "mine:harp", "plucked", "plucked:note.json"]
            [[jobs]]
            notes = "C4"
            timbre = ["note.json", "harp", "none.json"]
            """,
        )
    )
    assert [Path(job.output).name for job in jobs[:2]] == [
        "notes-._mine.wav",
        "notes-mine_harp.wav",
    ]
    assert [job.preset for job in jobs[:4]] == [
        f"{tmp_path}/./mine",
        f"{tmp_path}/mine:harp",
        "plucked",
        f"plucked:{tmp_path}/note.json",
    ]
    assert [job.timbre for job in jobs[4:]] == [f"{tmp_path}/note.json", "harp", "none.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[jobs", "can't be read as TOML"),
        ("", r"has no \[\[jobs\]\]"),
        ("jobs = 3", r"has no \[\[jobs\]\]"),
        ("jobs = [1]", r"job 1: is 1; write \[\[jobs\]\]"),
        (
            "[[jobs]]\nnotes = 'C4'\noutput = '{seed.x}.wav'\nseed = 1",
            "which the job does not have",
        ),
        ("[[job]]\nnotes = 'C4'", r"job is unknown; .* did you mean jobs"),
        ("[[jobs]]\nnotes = 'C4'\nsed = 1", "job 1: sed is unknown; .* did you mean seed"),
        ("[[jobs]]\nnotes = 'C4'\nseed = 'x'", "job 1: seed='x' must be int, or a list of them"),
        ("[[jobs]]\nnotes = 'C4'\nseed = true", "seed=True must be int"),
        ("[[jobs]]\nnotes = 'C4'\nstereo = 1", "stereo=1 must be bool"),
        ("[[jobs]]\nnotes = 'C4'\nseed = []", "seed is an empty list"),
        ("[[jobs]]\npreset = 'plucked'", "has none of score, notes and seconds"),
        ("[[jobs]]\nnotes = 'C4'\nseconds = 1", "has notes and seconds of score, notes"),
        ("[[jobs]]\nseconds = 1", "has seconds and no preset"),
        ("[[jobs]]\nnotes = 'C4'\noutput = '{sed}.wav'", "names 'sed', which the job does not"),
        ("[[jobs]]\nnotes = 'C4'\noutput = 'a.mp3'", "must end in .wav, .flac, .ogg"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_jobs(written(tmp_path, text))


def test_two_jobs_of_one_file_are_refused() -> None:
    jobs = [Job("a.wav", notes="C4"), Job("a.wav", notes="C4", seed=1)]
    with pytest.raises(ParameterError, match=r"two jobs write a\.wav"):
        require_own_outputs(jobs)
