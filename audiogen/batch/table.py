"""Files of jobs: TOML tables whose lists are multiplied out, one job for each combination."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

from audiogen.batch.job import Job
from audiogen.core.names import suggest
from audiogen.errors import FormatError, ParameterError
from audiogen.presets import TOML_NAME, is_latent_file, split_spec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULTS, JOBS = "defaults", "jobs"
SUFFIXES = (".wav", ".flac", ".ogg")
_TYPES: dict[str, tuple[type, ...]] = {
    "output": (str,),
    "score": (str,),
    "notes": (str,),
    "seconds": (int, float),
    "preset": (str,),
    "timbre": (str,),
    "seed": (int,),
    "sample_rate": (int,),
    "stereo": (bool,),
    "temperature": (int, float),
    "top_p": (int, float),
    "precision": (str,),
    "device": (str,),
    "gain_db": (int, float),
    "normalize": (bool,),
}


def read_jobs(path: Path, output: Path | None = None) -> list[Job]:
    """Read the jobs of a TOML file.

    The table ``[defaults]`` holds fields of all jobs, each of ``[[jobs]]`` those of its own. A
    field may be a list: there is a job for each combination. ``score`` may have wildcards
    (``songs/*.mid``). ``output`` may name fields, ``{score}-{preset}-{seed}.wav``; without it a
    file is named after its score and the fields that are lists.

    Parameters
    ----------
    path : Path
        The file; paths in it are relative to its folder.
    output : Path, optional
        Folder of the sound files; that of ``path`` without.

    Returns
    -------
    list of Job

    Raises
    ------
    FormatError
        If the file cannot be read, or something in it is wrong.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FormatError(f"{path}: can't be read as TOML ({reason})") from error
    for name in table:
        if name not in (DEFAULTS, JOBS):
            raise FormatError(
                f"{path}: {name} is unknown; there are [{DEFAULTS}] and [[{JOBS}]]"
                + suggest(name, [DEFAULTS, JOBS])
            )
    jobs, defaults = table.get(JOBS), table.get(DEFAULTS, {})
    if not isinstance(jobs, list) or not jobs or not isinstance(defaults, dict):
        raise FormatError(f"{path}: has no [[{JOBS}]]; write one with a score or notes")
    found: list[Job] = []
    for number, own in enumerate(jobs, 1):
        where = f"{path}: job {number}"
        if not isinstance(own, dict):
            raise FormatError(f"{where}: is {own!r}; write [[{JOBS}]] and its fields below")
        try:
            found += jobs_of(defaults | own, path.parent, output or path.parent)
        except ParameterError as error:
            raise FormatError(f"{where}: {error}") from error
    return found


def jobs_of(table: Mapping[str, Any], folder: Path, output: Path) -> list[Job]:
    """The jobs of one table: one for each combination of its lists.

    Parameters
    ----------
    table : mapping of str to value or list of values
        Fields of `Job`.
    folder : Path
        Folder that paths of scores, presets and latents are relative to.
    output : Path
        Folder of the sound files.

    Returns
    -------
    list of Job

    Raises
    ------
    ParameterError
        If a field is unknown or of another type, or a score is not found.
    """
    _check_fields(table)
    lists = {name: value if isinstance(value, list) else [value] for name, value in table.items()}
    varied = {name for name, values in lists.items() if len(values) > 1}
    if "score" in lists:
        lists["score"] = [found for text in lists["score"] for found in _files(text, folder)]
    pattern = lists.pop("output", [_pattern(varied)])[0]
    jobs = []
    for values in product(*lists.values()):
        one = dict(zip(lists, values, strict=True))
        name = _named(pattern, one)
        if "preset" in one:
            one["preset"] = _preset_in(folder, one["preset"])
        if "timbre" in one:
            one["timbre"] = _latent_in(folder, one["timbre"])
        jobs.append(Job(output=str(output / name), **one))
    return jobs


def require_own_outputs(jobs: Iterable[Job]) -> None:
    """Refuse two jobs that write the same file.

    Raises
    ------
    ParameterError
        The file, and what to do.
    """
    seen: set[str] = set()
    for job in jobs:
        if job.output in seen:
            raise ParameterError(
                f"two jobs write {job.output}; name what differs in output, for instance"
                " {score}-{preset}-{seed}.wav"
            )
        seen.add(job.output)


def _check_fields(table: Mapping[str, Any]) -> None:
    known = [f.name for f in fields(Job) if f.name in _TYPES]
    for name, value in table.items():
        if name not in _TYPES:
            raise ParameterError(
                f"{name} is unknown; fields are {', '.join(known)}" + suggest(name, known)
            )
        for each in value if isinstance(value, list) else [value]:
            is_bool = isinstance(each, bool)
            if not isinstance(each, _TYPES[name]) or is_bool != (bool in _TYPES[name]):
                wanted = " or ".join(t.__name__ for t in _TYPES[name])
                raise ParameterError(f"{name}={each!r} must be {wanted}, or a list of them")
        if value == []:
            raise ParameterError(f"{name} is an empty list; give one value or more")


def _files(text: str, folder: Path) -> list[str]:
    """Files of a path that may have wildcards, unless there is a file of that very name."""
    if not any(mark in text for mark in "*?[") or (folder / text).is_file():
        return [str(folder / text)]
    path = Path(text)
    root = Path(path.anchor) if path.is_absolute() else folder
    found = sorted(map(str, root.glob(str(path.relative_to(path.anchor)))))
    if not found:
        raise ParameterError(f"score={text!r} matches no file in {folder}")
    return found


def _preset_in(folder: Path, spec: str) -> str:
    """``PRESET[:TIMBRE]``, with the path of a preset or latent that is in the folder."""
    preset, timbre = split_spec(spec)
    if (folder / preset / TOML_NAME).is_file():
        preset = os.path.join(folder, preset)  # which keeps ./
    return preset if timbre is None else f"{preset}:{_latent_in(folder, timbre)}"


def _latent_in(folder: Path, timbre: str) -> str:
    """A timbre, with the path of a latent that is in the folder."""
    is_there = is_latent_file(timbre) and (folder / timbre).is_file()
    return os.path.join(folder, timbre) if is_there else timbre


def _pattern(varied: set[str]) -> str:
    """Name of the files of a table without ``output``."""
    names = [name for name in _TYPES if name in varied and name not in ("output", "score", "notes")]
    return "-".join(["{score}", *(f"{{{name}}}" for name in names)]) + ".wav"


def _named(pattern: str, values: Mapping[str, Any]) -> str:
    """Fill the fields of a file name, without characters that names of files cannot have."""
    words = {name: str(value).replace(":", "_").replace("/", "_") for name, value in values.items()}
    score = values.get("score")
    words["score"] = Path(score).stem if score else "notes" if "notes" in values else "audio"
    try:
        name = pattern.format(**words)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ParameterError(
            f"output={pattern!r} names {error}, which the job does not have; it has"
            f" {', '.join(words)}"
        ) from error
    if Path(name).suffix.lower() not in SUFFIXES:
        raise ParameterError(f"output={name!r} must end in {', '.join(SUFFIXES)}")
    return name
