"""What a musician says of samples: pitches in file names, or a table of files and pitches."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audiogen.errors import FormatError, ParameterError
from audiogen.notes import parse_pitch

_DYNAMICS = {"ppp": 20, "pp": 35, "p": 50, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 127}
_SPLIT = r"[\s_\-.,()\[\]]"
_NAME = re.compile(
    rf"(?:^|{_SPLIT})([A-Ga-g])([#sb♯♭]?)(-?[0-9])(?=$|{_SPLIT})", re.ASCII
)  # C#3, Bb2, Fs4 (# can't be in every file name), c-1
_CAMEL = re.compile(r"(?<=[a-z])([A-G])([#sb♯♭]?)([0-9])(?=$|[^0-9A-Za-z])")  # PianoC4
_NSYNTH = re.compile(r"[_-](\d{3})[_-](\d{3})$")  # pitch and velocity, as NSynth names its files
_NUMBER = re.compile(rf"(?:^|{_SPLIT})(\d{{2,3}})(?=$|{_SPLIT})")
_VELOCITY = re.compile(
    rf"(?:^|{_SPLIT})(?:v(?=\d\d)|vel|velocity)[_\- ]?(\d{{1,3}})(?=$|{_SPLIT})", re.I
)
_MARK = re.compile(rf"(?:^|{_SPLIT})(p{{1,3}}|m[pf]|f{{1,3}})(?=$|{_SPLIT})", re.I)
_LOWEST, _HIGHEST = 12, 120  # MIDI numbers that a number in a file name may be


@dataclass(frozen=True)
class Label:
    """What is said of the notes of one file.

    Parameters
    ----------
    pitch : float, MIDI number, optional
    by : str
        What says the pitch: "name" (a note's name in the file's), "number", "table", or "".
    velocity : int, optional
        1..127.
    instrument : str, optional
    """

    pitch: float | None = None
    by: str = ""
    velocity: int | None = None
    instrument: str | None = None


def label_from_name(stem: str) -> Label:
    """Read pitch and velocity from a file's name.

    A note's name counts before a number; of several the last does. A number is a pitch if it has
    two or three digits, is from 12 to 120, and is the only such number.

    Examples
    --------
    >>> label_from_name("Flute C#3 mf")
    Label(pitch=49.0, by='name', velocity=80, instrument=None)
    >>> label_from_name("kalimba_060_v90").pitch
    60.0
    >>> label_from_name("bass_electronic_018-036-075")  # as NSynth names files
    Label(pitch=36.0, by='number', velocity=75, instrument=None)
    """
    velocity = _velocity(stem)
    found = _NAME.findall(stem) or _CAMEL.findall(stem)
    if found:
        letter, accidental, octave = found[-1]
        pitch = parse_pitch(f"{letter}{accidental.replace('s', '#')}{octave}")
        return Label(pitch, "name", velocity)
    whole = _NSYNTH.search(stem)
    if whole and int(whole[1]) < 128 and 0 < int(whole[2]) < 128:
        return Label(float(whole[1]), "number", int(whole[2]))
    numbers = [int(text) for text in _NUMBER.findall(stem) if _LOWEST <= int(text) <= _HIGHEST]
    if len(numbers) == 1:
        return Label(float(numbers[0]), "number", velocity)
    return Label(velocity=velocity)


def _velocity(stem: str) -> int | None:
    found = _VELOCITY.search(stem)
    if found and 1 <= int(found[1]) <= 127:
        return int(found[1])
    mark = _MARK.search(stem)
    return _DYNAMICS[mark[1].lower()] if mark else None


def find_table(folder: Path) -> Path | None:
    """Return the .csv file right in a folder whose first line names ``file`` and ``pitch``."""
    for path in sorted(folder.glob("*.csv")):
        try:
            first = next(_rows(path), [])
        except (OSError, UnicodeDecodeError, csv.Error):
            continue
        if {"file", "pitch"} <= set(_columns(first)):
            return path
    return None


def _rows(path: Path) -> Iterator[list[str]]:
    """Of a table with commas, or with semicolons, as spreadsheets write in many countries."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        yield from csv.reader(file, delimiter=";" if first.count(";") > first.count(",") else ",")


def _columns(first: list[str]) -> list[str]:
    return [cell.strip().lower() for cell in first]


def read_table(path: Path, names: list[str]) -> dict[str, Label]:
    """Read a table ``file,pitch[,velocity][,instrument]``.

    Parameters
    ----------
    path : Path
        Its first line names the columns, in any order. A pitch is a name such as C#3 or a MIDI
        number; an empty cell says nothing.
    names : list of str
        Of the files there are, relative to the folder, with ``/``. The table may leave the
        subfolders out where that is unambiguous.

    Returns
    -------
    dict of str to Label
        By the names of ``names``.

    Raises
    ------
    FormatError
        If the table can't be read, a cell is wrong, or a file isn't there; the line is named.
    """
    try:
        rows = list(_rows(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: can't be read as a table ({error}); save it as CSV") from error
    columns = _columns(rows[0]) if rows else []
    if not {"file", "pitch"} <= set(columns):
        raise FormatError(
            f"{path}: its first line is {','.join(columns)!r}; file,pitch[,velocity][,instrument]"
            " was wanted"
        )
    known = set(names)
    short: dict[str, list[str]] = {}
    for name in names:
        short.setdefault(name.rpartition("/")[2], []).append(name)
    labels: dict[str, Label] = {}
    for number, row in enumerate(rows[1:], 2):
        cells = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        if not any(cells.values()):
            continue
        name = cells.get("file", "").replace("\\", "/").removeprefix("./")
        candidates = [name] if name in known else short.get(name, [])
        if len(candidates) != 1:
            what = "stands for several files" if candidates else "isn't in the folder"
            raise FormatError(
                f"{path}: line {number}: {name!r} {what}; give a file's name, with its subfolders"
            )
        labels[candidates[0]] = _label(path, number, cells)
    return labels


def _label(path: Path, number: int, cells: dict[str, str]) -> Label:
    pitch, velocity = None, None
    if cells.get("pitch"):
        try:
            pitch = parse_pitch(cells["pitch"])
        except ParameterError as error:
            raise FormatError(f"{path}: line {number}: {error}") from error
    if cells.get("velocity"):
        try:
            velocity = int(cells["velocity"])
        except ValueError:
            velocity = 0
        if not 1 <= velocity <= 127:
            raise FormatError(
                f"{path}: line {number}: velocity {cells['velocity']!r} isn't a whole number from"
                " 1 to 127"
            )
    return Label(pitch, "table" if pitch is not None else "", velocity, cells.get("instrument"))
