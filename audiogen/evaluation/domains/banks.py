"""Building and reading a set of domains: notes of sound banks by family and pitch."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiogen.core.atomic_write import folder_written_whole, require_new, write_whole
from audiogen.core.counting import counted
from audiogen.data.notes.families import FAMILIES, family_of
from audiogen.data.render.bank_notes import render_bank
from audiogen.data.render.bank_overlap import (
    bank_recordings,
    require_independent,
    shared_recordings,
)
from audiogen.data.source_toml import toml_text
from audiogen.errors import FormatError, ParameterError
from audiogen.evaluation.domains.images import SAMPLE_RATE, note_images

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOMAINS_TOML = "domains.toml"
PITCHES = (36, 84)  # MIDI numbers, lowest and highest; each key is a class
N_PITCHES = PITCHES[1] - PITCHES[0] + 1
NOTE_S = 1.2  # rendered length; the onset is trimmed before the first second is taken
MIN_BANKS = 2


class KnownBank(NamedTuple):
    """A bank that Debian packages.

    Parameters
    ----------
    file : str
        File or folder that the package installs.
    package : str
        Name of the Debian package.
    licence : str
        Licence according to the package's copyright file.
    """

    file: str
    package: str
    licence: str


KNOWN_BANKS = {
    "fluid": KnownBank("/usr/share/sounds/sf2/FluidR3_GM.sf2", "fluid-soundfont-gm", "MIT"),
    "timgm": KnownBank("/usr/share/sounds/sf2/TimGM6mb.sf2", "timgm6mb-soundfont", "GPL-2"),
    "opl3": KnownBank("/usr/share/sounds/sf2/OPL-3_FM_128M.sf2", "opl3-soundfont", "CC-BY-SA-4.0"),
    "freepats": KnownBank(
        "/usr/share/midi/freepats", "freepats", "GPL-2+ with an exception for compositions"
    ),
}


@dataclass(frozen=True)
class Domain:
    """Notes of one bank.

    Parameters
    ----------
    name : str
        Name of the bank.
    images : array [n, 84, 16], uint8
        Images of the notes, as from `note_images`.
    labels : array [n, 2], int
        Index of the family in `audiogen.data.notes.families.FAMILIES`, and of the pitch, counted
        from the lowest of `PITCHES`.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray


def installed_banks() -> dict[str, Path]:
    """Return the banks of `KNOWN_BANKS` that are installed."""
    return {name: Path(b.file) for name, b in KNOWN_BANKS.items() if Path(b.file).exists()}


def build_domains(
    banks: Mapping[str, str | PathLike[str]],
    folder: str | PathLike[str],
    *,
    n_keys: int = 24,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Render notes of independent banks, and write their images, labels and provenance.

    Parameters
    ----------
    banks : mapping of str to path
        A .sf2 file, or a folder of GUS patches, by the domain's name.
    folder : path
        New or empty folder: one NAME.safetensors for each bank, and domains.toml.
    n_keys : int
        Largest number of keys of each program.
    seed : int
        Seed of keys and velocities.
    progress : callable
        Function of (parts done, total).

    Returns
    -------
    dict of str to int
        Number of notes of each domain.

    Raises
    ------
    ParameterError
        If there are fewer than two banks, a name isn't a plain word, or banks overlap; the message
        names the shared recordings.
    FormatError
        If a bank can't be read.
    """
    from safetensors.numpy import save_file

    if len(banks) < MIN_BANKS:
        raise ParameterError(
            f"{counted(len(banks), 'bank')} given ({', '.join(banks) or 'none'}); domains need"
            f" {MIN_BANKS} or more: give --bank NAME=FILE.sf2, or install "
            + ", ".join(b.package for b in KNOWN_BANKS.values())
        )
    for name in banks:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise ParameterError(f"bank {name!r} must be named by letters, digits, - and _")
    require_new(Path(folder))
    recordings = {name: bank_recordings(path) for name, path in banks.items()}
    shared = require_independent(recordings)
    tables: list[dict[str, Any]] = []
    with folder_written_whole(folder) as draft:
        for done, (name, path) in enumerate(banks.items()):
            others = [recordings[other] for other in banks if other != name]
            without = _shared_programs(Path(path), recordings[name], others)
            notes = render_bank(
                path,
                n_keys=n_keys,
                pitches=PITCHES,
                seconds=NOTE_S,
                sample_rate=SAMPLE_RATE,
                without=without,
                seed=seed,
                progress=lambda i, n, done=done: progress(  # type: ignore[misc]
                    round(100 * (done + i / max(n, 1))), 100 * len(banks)
                ),
            )
            families = [FAMILIES.index(family_of(program)) for program in notes.programs]
            tensors = {
                "images": note_images(notes.waveforms),
                "labels": np.stack([families, notes.pitches - PITCHES[0]], axis=1).astype(np.int64),
                "programs": notes.programs.astype(np.int64),
                "velocities": notes.velocities.astype(np.int64),
            }
            save_file(tensors, draft / f"{name}.safetensors")
            known = [b for b in KNOWN_BANKS.values() if Path(b.file).name == Path(path).name]
            tables.append(
                {
                    "name": name,
                    "file": Path(path).name,
                    "sha256": _digest(Path(path)),
                    "licence": known[0].licence if known else notes.licence,
                    "notes": len(families),
                    "programs": len(set(notes.programs.tolist())),
                    "programs_left_out": sorted(without),
                }
            )
        fields = {
            "format": 1,
            "note_s": NOTE_S,
            "sample_rate": SAMPLE_RATE,
            "pitches": list(PITCHES),
            "keys_per_program": n_keys,
            "seed": seed,
            "shared_recordings": [f"{pair}: {n}" for pair, n in shared.items()],
        }
        write_whole(
            draft / DOMAINS_TOML,
            toml_text("Sound banks of these domains.", fields, "banks", tables),
        )
    return {table["name"]: table["notes"] for table in tables}


def read_domains(folder: str | PathLike[str]) -> tuple[Domain, ...]:
    """Read the domains that `build_domains` wrote, in the order of their names.

    Raises
    ------
    FormatError
        If the folder isn't a set of domains, or a file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder, domains = Path(folder), []
    for table in sorted(read_provenance(folder)["banks"], key=lambda table: table["name"]):
        path = folder / f"{table['name']}.safetensors"
        try:
            tensors = load_file(path)
            domains.append(Domain(table["name"], tensors["images"], tensors["labels"]))
        except (OSError, SafetensorError, KeyError) as error:
            raise FormatError(
                f"{path}: can't be read ({error}); build the domains again"
            ) from error
    return tuple(domains)


def read_provenance(folder: str | PathLike[str]) -> dict[str, Any]:
    """Read domains.toml: the banks with their files, hashes and licences, and the settings.

    Raises
    ------
    FormatError
        If it is missing or damaged.
    """
    path = Path(folder) / DOMAINS_TOML
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        if content["format"] != 1 or len(content["banks"]) < MIN_BANKS:
            raise ValueError("unknown format")
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(
            f"{path}: can't be read as domains ({error}); give a folder that audiogen domains build"
            " wrote"
        ) from error
    return content


def _shared_programs(path: Path, own: list[Any], others: list[list[Any]]) -> set[int]:
    """Programs of a folder of patches whose recordings are in another bank."""
    if not path.is_dir():
        return set()
    names = [name for other in others for name, _ in shared_recordings(own, other)]
    return {int(name[:3]) for name in names}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for part in sorted(path.rglob("*.pat")) if path.is_dir() else [path]:
        digest.update(part.read_bytes())
    return digest.hexdigest()
