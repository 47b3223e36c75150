"""Preset folders: find them by name, read and write them."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.core import backend
from audiogen.core.atomic_write import exchange, flush_to_disk, written_whole
from audiogen.core.names import suggest
from audiogen.errors import PresetError
from audiogen.presets.description import (
    PREVIEW_PICTURE,
    PREVIEW_SOUND,
    TOML_NAME,
    WEIGHTS_NAME,
    Preset,
    check_fields,
    preset_of,
)
from audiogen.presets.timbre_map import with_places

DEFAULT_PRESET = "plucked"

# Files that `write_preset` may replace; it refuses a folder with others.
_PARTS = {TOML_NAME, WEIGHTS_NAME, PREVIEW_SOUND, PREVIEW_PICTURE, "timbres.png"}
# Temporary name of a replaced preset, on systems that cannot exchange two folders atomically.
_REPLACED = ".{}.replaced"


# --- Finding ------------------------------------------------------------------------------------


def search_folders() -> list[Path]:
    """Return the folders that are searched for presets, in order of precedence.

    They are those of ``$AUDIOGEN_PRESETS``, the user's (``$XDG_DATA_HOME/audiogen/presets``,
    usually ``~/.local/share/audiogen/presets``), the installed package's and the checkout's.
    """
    variable = os.environ.get("AUDIOGEN_PRESETS", "")
    folders = [_expanded(entry) for entry in variable.split(os.pathsep) if entry]
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    folders.append(_expanded(data_home) / "audiogen" / "presets")
    package = Path(__file__).resolve().parents[1]
    folders.append(package / "_presets")
    if (package.parent / "pyproject.toml").is_file():
        folders.append(package.parent / "presets")
    return folders


def _expanded(path: str | os.PathLike[str]) -> Path:
    """Replace ``~`` by the user's home, if that user exists."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def find_presets() -> list[Path]:
    """Return the folders of all presets that can be loaded by name, sorted by name.

    If two presets have the same name, the first one in the order of `search_folders` is returned.
    """
    found: dict[str, Path] = {}
    for folder in search_folders():
        for preset in _presets_in(folder):
            found.setdefault(preset.name, preset)
    return [found[name] for name in sorted(found)]


def _presets_in(folder: Path) -> list[Path]:
    """Return the folders of presets within a folder; none if it cannot be read."""
    try:
        for replaced in folder.glob(_REPLACED.format("*")):
            _recover(folder / replaced.name[1:].rpartition(".")[0])
        return [
            preset
            for preset in folder.iterdir()
            if not preset.name.startswith(".") and os.path.isfile(preset / TOML_NAME)
        ]
    except OSError:
        return []


def _recover(folder: Path) -> None:
    """Restore a preset whose replacement by `write_preset` was interrupted."""
    replaced = folder.with_name(_REPLACED.format(folder.name))
    with suppress(OSError):
        if not folder.exists() and (replaced / TOML_NAME).is_file():
            replaced.rename(folder)


def default_preset() -> str:
    """Return the name of the preset that plays if none is given.

    Raises
    ------
    PresetError
        If no preset can be found.
    """
    names = [folder.name for folder in find_presets()]
    if not names:
        raise PresetError(
            "no presets are installed; give --preset FOLDER or set AUDIOGEN_PRESETS to a folder of "
            "presets"
        )
    return DEFAULT_PRESET if DEFAULT_PRESET in names else names[0]


def find_preset(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder of a preset, given its name, folder or ``preset.toml``.

    Raises
    ------
    PresetError
        If the preset is not found; the message names the nearest ones.
    """
    path = _expanded(name_or_path)
    _recover(path)
    if path.name == TOML_NAME and path.is_file():
        return path.parent
    if (path / TOML_NAME).is_file():
        return path
    presets = {folder.name: folder for folder in find_presets()}
    name = os.fspath(name_or_path)
    if name in presets:
        return presets[name]
    if path.is_dir():
        raise PresetError(f"preset {name!r} is a folder without {TOML_NAME}; choose another")
    raise PresetError(f"preset {name!r} not found" + suggest(name, list(presets)))


# --- Reading ------------------------------------------------------------------------------------


def load_preset(name_or_path: str | os.PathLike[str]) -> Preset:
    """Find, read and check a preset, its weights included.

    Parameters
    ----------
    name_or_path : str or path
        A name (`find_presets`), a preset's folder, or its ``preset.toml``.

    Returns
    -------
    Preset

    Raises
    ------
    PresetError
        If the preset isn't found (the message names the nearest ones), or is invalid (the message
        names the file and the field or tensor).
    """
    folder = find_preset(name_or_path)
    opened = backend.load().open_preset(folder)
    return preset_of(opened.description, folder, opened)


def preset_faults(folder: str | os.PathLike[str]) -> list[str]:
    """Return a message for each fault of a preset's description and weights; none if it loads.

    A message begins with the name of the file.
    """
    faults: list[str] = backend.load().preset_faults(folder)
    return faults


def read_toml(path: str | os.PathLike[str]) -> Preset:
    """Read and check a ``preset.toml`` alone, without the weights beside it.

    Raises
    ------
    PresetError
        If it can't be read or a field is wrong.
    """
    return check_fields(read_fields(path), path)


def read_fields(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a ``preset.toml`` without checking its fields.

    Raises
    ------
    PresetError
        If it can't be read or is not TOML.
    """
    fields: dict[str, Any] = backend.load().read_preset_fields(path)
    return fields


# --- Writing ------------------------------------------------------------------------------------


def write_preset(
    folder: str | os.PathLike[str],
    preset: Preset | Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    files: Mapping[str, bytes | os.PathLike[str]] | None = None,
) -> Preset:
    """Check a preset and write it as a folder, atomically.

    Parameters
    ----------
    folder : path
        Destination; an existing preset is replaced.
    preset : Preset or mapping
        The fields of ``preset.toml``.
    weights : mapping of str to array, float32
        Tensors of the network by name.
    files : mapping of str to bytes or path, optional
        Other files by name, such as ``preview.flac``: their content, or the path to copy from.

    Returns
    -------
    Preset
        The written preset, read by `load_preset`.

    Raises
    ------
    PresetError
        If the preset is invalid, or the folder can't be written or holds other files.
    """
    from safetensors.numpy import save_file

    folder = Path(folder)
    require_replaceable(folder, also=files or ())
    fields = preset.to_fields() if isinstance(preset, Preset) else preset
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            new = temporary / "new"
            new.mkdir()
            (new / TOML_NAME).write_text(_to_toml(with_places(fields)), encoding="utf-8")
            save_file({k: np.ascontiguousarray(v) for k, v in weights.items()}, new / WEIGHTS_NAME)
            (new / WEIGHTS_NAME).chmod(0o644)  # safetensors makes it private
            for name, content in (files or {}).items():
                if isinstance(content, bytes):
                    (new / name).write_bytes(content)
                else:
                    shutil.copyfile(content, new / name)
            load_preset(new)
            _put_in_place(new, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise PresetError(f"{folder}: can't be written ({error.strerror or error})") from error
    return load_preset(folder)


def _put_in_place(new: Path, folder: Path) -> None:
    """Give a folder its final name, so that a crash at any time leaves a complete preset.

    An existing preset of that name is exchanged with the new one atomically, and deleted with the
    temporary folder. On systems that cannot exchange folders, the old preset is renamed first, to a
    name from which `find_preset` restores it.
    """
    flush_to_disk(new)
    replaced = folder.with_name(_REPLACED.format(folder.name))
    if not folder.exists():
        os.rename(new, folder)
    elif not exchange(new, folder):
        shutil.rmtree(replaced, ignore_errors=True)
        os.rename(folder, replaced)
        os.rename(new, folder)
    flush_to_disk(folder.parent, within=False)
    shutil.rmtree(replaced, ignore_errors=True)


def require_replaceable(folder: Path, also: Iterable[str] = ()) -> None:
    """Check that writing a preset to a folder replaces nothing but a preset.

    Parameters
    ----------
    folder : Path
        Destination of the preset.
    also : iterable of str
        Names of the preset's additional files.

    Raises
    ------
    PresetError
        If the folder is a file, or holds files that are not part of a preset.
    """
    _recover(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise PresetError(f"{folder}: is a file; choose another folder")
    names = {path.name for path in folder.iterdir()}
    if names and TOML_NAME not in names:
        raise PresetError(f"{folder}: isn't empty and isn't a preset; choose another folder")
    litter = {name for name in names if name in (".DS_Store", ".directory") or name[:2] == "._"}
    if others := sorted(names - _PARTS - litter - set(also)):
        raise PresetError(
            f"{folder}: holds {others[0]}, which is not part of a preset and would be lost; move"
            " it, or choose another folder"
        )


# Prefixes of the entries of ``[measured]`` that training and `explore` write; the others are from
# an evaluation.
TRAINING_PREFIXES = ("held_out_", "best_step")
LATENT_PREFIXES = ("half_way_", "random_")


def add_measured(
    folder: str | os.PathLike[str],
    numbers: Mapping[str, float],
    prefixes: tuple[str, ...] = (),
) -> None:
    """Write results to ``[measured]`` of a preset, in place of earlier ones of the same kind.

    Parameters
    ----------
    folder : str or path
        Folder of a preset.
    numbers : mapping of str to float
        The results.
    prefixes : tuple of str
        Prefixes of the entries that they replace; if empty, an evaluation's entries are replaced.

    Raises
    ------
    PresetError
        If the folder isn't a preset.
    ParameterError
        If the file can't be written.
    """
    measured = read_fields(Path(folder) / TOML_NAME).get("measured", {})
    others = TRAINING_PREFIXES + LATENT_PREFIXES
    kept = {
        name: value
        for name, value in measured.items()
        if (not name.startswith(prefixes) if prefixes else name.startswith(others))
    }
    change_fields(folder, {"measured": {**kept, **numbers}})


def change_fields(folder: str | os.PathLike[str], changes: Mapping[str, Any]) -> None:
    """Replace fields of a preset's ``preset.toml``; all others stay as they are.

    Parameters
    ----------
    folder : str or path
        Folder of a preset.
    changes : mapping
        New values of fields; a field with an empty list is left out.

    Raises
    ------
    PresetError
        If the folder isn't a preset, or a field would be wrong.
    ParameterError
        If the file can't be written.
    """
    path = Path(folder) / TOML_NAME
    fields = {k: v for k, v in {**read_fields(path), **changes}.items() if v != []}
    check_fields(fields, path)
    with written_whole(path) as draft:
        draft.write_text(_to_toml(with_places(fields)), encoding="utf-8")
        flush_to_disk(draft)


def _to_toml(fields: Mapping[str, Any]) -> str:
    """Write fields as TOML: plain values first, then tables, then lists of tables."""
    lines = ["# A preset of audiogen: data only. `audiogen info` shows it."]
    tables = {k: v for k, v in fields.items() if isinstance(v, Mapping)}
    lists = {k: v for k, v in fields.items() if _is_list_of_tables(v)}
    for key, value in fields.items():
        if key not in tables and key not in lists and value is not None:
            lines.append(f"{_toml_key(key)} = {_toml_value(value)}")
    for key, table in tables.items():
        lines += ["", f"[{_toml_key(key)}]", *_toml_lines(table)]
    for key, entries in lists.items():
        for table in entries:
            lines += ["", f"[[{_toml_key(key)}]]", *_toml_lines(table)]
    return "\n".join(lines) + "\n"


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], Mapping)


def _toml_lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_toml_key(k)} = {_toml_value(v)}" for k, v in table.items() if v is not None]


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_value(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, (list, tuple, np.ndarray)):
        items = [_toml_value(item) for item in value]
        if sum(len(item) + 2 for item in items) <= 80:
            return f"[{', '.join(items)}]"
        rows = [items[i : i + 8] for i in range(0, len(items), 8)]
        return "[\n" + "".join(f"  {', '.join(row)},\n" for row in rows) + "]"
    raise PresetError(f"{value!r} of type {type(value).__name__} can't be written to {TOML_NAME}")
