"""What a batch has done: a line of JSON for each job, so that a stopped batch goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiogen import __version__
from audiogen.batch.job import Job, Rendered
from audiogen.errors import AudiogenError, ParameterError

NAME = "batch.jsonl"


class Ledger:
    """The file ``batch.jsonl`` of a folder of renders.

    Parameters
    ----------
    folder : Path
        The folder; it is made when the first line is written.
    """

    def __init__(self, folder: Path):
        self._path = folder / NAME
        self._done: dict[str, str] = {}
        self._presets: dict[str | None, str] = {}
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        except (OSError, ValueError) as error:
            raise ParameterError(f"{self._path}: can't be read ({error})") from error
        for line in lines:
            try:
                entry = json.loads(line)
                output, digest = entry["output"], entry["digest"]
            except (ValueError, KeyError, TypeError):  # a line that was cut off
                continue
            self._done[output] = "" if entry.get("error") else digest

    def is_done(self, job: Job) -> bool:
        """Whether a job's file is there, from the same notes, options, presets and version."""
        if not Path(job.output).is_file() or job.output not in self._done:
            return False
        try:
            return self._done[job.output] == self.digest(job)
        except AudiogenError:
            return False  # the job says what is wrong

    def digest(self, job: Job) -> str:
        """SHA-256 of everything that a job's samples depend on."""
        parts = (__version__, job.loaded().digest(), self._digest_of_presets(job.preset))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def add(self, result: Rendered) -> None:
        """Write the line of a result."""
        job = result.job
        entry: dict[str, Any] = {"output": job.output, "digest": ""}
        entry |= {"preset": job.preset, "timbre": job.timbre, "seed": job.seed}
        if result.samples is None:
            entry["error"] = result.error
        else:
            peak = float(np.abs(result.samples).max(initial=0.0))
            entry |= {
                "digest": self.digest(job),
                "sample_rate": result.sample_rate,
                "seconds": round(len(result.samples) / result.sample_rate, 6),
                "peak": round(peak, 6),
                "took_s": round(result.took_s, 3),
                "remarks": list(result.remarks),
            }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise ParameterError(
                f"output {self._path} can't be written ({error.strerror or error})"
            ) from error

    def _digest_of_presets(self, name: str | None) -> str:
        """SHA-256 of the presets that a job may play."""
        if name not in self._presets:
            from audiogen.presets import load_preset, presets_to_play, split_spec

            presets = presets_to_play() if name is None else [load_preset(split_spec(name)[0])]
            self._presets[name] = _digest_of_files(
                file
                for preset in presets
                for file in (preset.folder / "preset.toml", preset.folder / "weights.safetensors")
            )
        return self._presets[name]


def _digest_of_files(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def left_to_do(jobs: Sequence[Job], ledger: Ledger) -> list[Job]:
    """The jobs whose files are missing, or were made of something else."""
    return [job for job in jobs if not ledger.is_done(job)]
