"""Studies: experiments behind the documented claims, each run again by one command.

A study is a module with a function ``run`` of the type `Run`. It joins by a line in `STUDIES`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from audiogen.core.atomic_write import write_whole
from audiogen.errors import ParameterError

SIZES = ("smoke", "full")
SETTINGS, REPORT, TEXT = "settings.json", "report.json", "report.md"


class Table(NamedTuple):
    """A table of a study.

    Parameters
    ----------
    title : str
        Title of the table.
    rows : list of sequence of str
        Texts, the header first.
    """

    title: str
    rows: list[Sequence[str]]


@dataclass
class StudyResult:
    """Result of a study.

    Parameters
    ----------
    tables : list of Table
        Tables for people.
    numbers : dict
        All numbers, for report.json.
    checks : dict of str to bool
        Each claim, and whether the numbers support it.
    missing : str
        Description of what has not run yet; empty for a complete run.
    """

    tables: list[Table]
    numbers: dict[str, Any]
    checks: dict[str, bool] = field(default_factory=dict)
    missing: str = ""

    def text(self) -> str:
        """Return tables and checks as Markdown."""
        parts = []
        for title, rows in self.tables:
            header, *body = ["| " + " | ".join(row) + " |" for row in rows]
            rule = "|" + "---|" * len(rows[0])
            parts.append("\n".join([f"**{title}**", "", header, rule, *body]))
        parts += [
            f"* {'yes' if holds else '**no**'}: {claim}" for claim, holds in self.checks.items()
        ]
        if self.missing:
            parts.append(f"Not run: {self.missing}. The same command resumes.")
        return (
            "\n\n".join(parts[: len(self.tables)]) + "\n\n" + "\n".join(parts[len(self.tables) :])
        )


class Run(Protocol):
    """Function that runs a study and returns its result, also of a run that was stopped before."""

    def __call__(
        self,
        size: str,
        folder: Path,
        *,
        seed: int,
        jobs: int,
        minutes: float | None,
        progress: Callable[[int, int], None],
    ) -> StudyResult: ...


class Study(NamedTuple):
    """A study.

    Parameters
    ----------
    question : str
        Question that it answers.
    module : str
        Module of `audiogen.studies` with the function ``run``.
    takes_data : bool
        Whether ``run`` has a parameter ``data``, a folder of sounds.
    """

    question: str
    module: str
    takes_data: bool = False


STUDIES = {
    "nnd-memoriser": Study(
        "Does a memorised set win FID and lose the neural network divergence?", "nnd_memoriser"
    ),
    "wgan-gp": Study(
        "Does a gradient penalty find modes, and keep gradients, that clipping loses?", "wgan_gp"
    ),
    "wgan-gp-spectra": Study(
        "Does the gradient penalty train shapes of generators that clipping does not?",
        "wgan_gp_spectra",
    ),
    "coloured-notes": Study(
        "Does invariant risk minimisation ignore a recording chain, and what selects its settings?",
        "coloured_notes",
    ),
    "domains": Study(
        "Which algorithm is most accurate on a sound bank that it was not trained on?",
        "domains",
    ),
    "representations": Study(
        "Does instantaneous frequency train better than phase, mel or waveforms?",
        "representations",
    ),
    "samplernn-tiers": Study(
        "How many tiers are best for a given time of training?",
        "samplernn_tiers",
        takes_data=True,
    ),
    "oracle": Study(
        "What do representation and engine lose, and can other phases keep it?", "oracle"
    ),
    "spoiled-notes": Study(
        "How does the two-sample test respond to notes spoiled in known ways?", "spoiled_notes"
    ),
    "own-sounds": Study(
        "What does `audiogen train FOLDER` make of a folder of mixed files?", "own_sounds"
    ),
    "soak": Study("How often is sound late in minutes of live playing?", "soak"),
}


def run_study(
    name: str,
    size: str,
    folder: str | PathLike[str],
    *,
    data: str | PathLike[str] | None = None,
    seed: int = 0,
    jobs: int = 1,
    minutes: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> StudyResult:
    """Run a study, or resume it, and write report.json and report.md.

    Parameters
    ----------
    name : str
        Name of `STUDIES`.
    size : "smoke" or "full"
        Smoke takes less than a minute and tests the code; full gives the numbers.
    folder : path
        Folder of the results. One that holds a stopped run of the same study, size and seed is
        resumed.
    data : path, optional
        Folder of sounds, for the studies that take one.
    seed : int
        Seed of the data.
    jobs : int
        Number of processes.
    minutes : float, optional
        Time after which nothing more is begun; no limit by default.
    progress : callable
        Function of (parts done, parts in all).

    Returns
    -------
    StudyResult

    Raises
    ------
    ParameterError
        If the name or size is unknown, the study takes no ``data``, or the folder holds another
        run.
    """
    if name not in STUDIES:
        raise ParameterError(f"study {name!r} not found; there are {', '.join(STUDIES)}")
    if size not in SIZES:
        raise ParameterError(f"size={size!r} must be one of {', '.join(SIZES)}")
    folder = Path(folder)
    settings: dict[str, Any] = {"study": name, "size": size, "seed": seed}
    options: dict[str, Any] = {}
    if data is not None:
        if not STUDIES[name].takes_data:
            takers = ", ".join(other for other, study in STUDIES.items() if study.takes_data)
            raise ParameterError(f"data is not supported by {name}, only by {takers}; leave it out")
        options["data"] = Path(data)
        settings["data"] = str(Path(data).absolute())
    _claim_folder(folder, settings)
    run: Run = importlib.import_module(f"audiogen.studies.{STUDIES[name].module}").run
    result = run(size, folder, seed=seed, jobs=jobs, minutes=minutes, progress=progress, **options)
    content = {
        **settings,
        "numbers": result.numbers,
        "checks": result.checks,
        "missing": result.missing,
    }
    write_whole(folder / REPORT, json.dumps(_plain(content), indent=1))
    write_whole(folder / TEXT, result.text() + "\n")
    return result


def _claim_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Make a new folder of results, or accept one with the same settings."""
    path = folder / SETTINGS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = json.loads(path.read_text()) if path.exists() else None
    except (OSError, ValueError) as error:
        raise ParameterError(f"output={str(folder)!r} can't be used ({error})") from error
    if present is None and any(folder.iterdir()):
        raise ParameterError(f"output={str(folder)!r} isn't empty; name a new folder")
    if present is not None and present != settings:
        raise ParameterError(
            f"output={str(folder)!r} holds a run with {present}, this one has {settings}; name"
            " another folder"
        )
    write_whole(path, json.dumps(settings))


def _plain(value: Any) -> Any:
    """Return a value with strings as keys and null instead of NaN."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
