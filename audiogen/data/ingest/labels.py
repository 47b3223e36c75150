"""Labels of samples: pitch, velocity and round robin from file names, or from a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from audiogen.errors import FormatError, ParameterError
from audiogen.notes import parse_pitch

_DYNAMICS = {"ppp": 20, "pp": 35, "p": 50, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 127}
_SPLIT = r"[\s_\-.,()\[\]]"
# Velocity layer and round robin may follow a note's name at once, as in the Salamander piano's
# F#7v10.
_SUFFIX = r"(?:v|vl|vel|velocity)_?\d|rr_?\d"
_NOTE_END = rf"(?=$|{_SPLIT}|{_SUFFIX})"
_NAME = re.compile(
    rf"(?:^|{_SPLIT})([A-Ga-g])([#sb♯♭]?)(-?[0-9])(?i:{_NOTE_END})", re.ASCII
)  # C#3, Bb2, Fs4 (# is not allowed in every file name), c-1
_CAMEL = re.compile(
    rf"(?<=[a-z])([A-G])([#sb♯♭]?)([0-9])(?i:(?=$|[^0-9A-Za-z]|{_SUFFIX}))"
)  # PianoC4
_NSYNTH = re.compile(r"[_-](\d{3})[_-](\d{3})$")  # pitch and velocity of NSynth's files
_NUMBER = re.compile(rf"(?:^|{_SPLIT})(\d{{2,3}})(?i:{_NOTE_END})")
_WORD_START = rf"(?:^|{_SPLIT}|(?<=\d))"  # a mark may follow a note or a number at once
_VELOCITY = re.compile(
    rf"{_WORD_START}(?:vl|vel|velocity|v(?=\d\d))[_\- ]?(\d{{1,3}})(?=$|{_SPLIT}|rr)", re.I
)
_LAYER = re.compile(rf"[A-G][#sb♯♭]?-?\d{_SPLIT}?v(\d)(?=$|{_SPLIT}|rr)", re.I)  # one digit
_ROUND_ROBIN = re.compile(rf"{_WORD_START}rr[_\- ]?(\d{{1,2}})(?=$|{_SPLIT}|v)", re.I)
_MARK = re.compile(rf"(?:^|{_SPLIT})(p{{1,3}}|m[pf]|f{{1,3}})(?=$|{_SPLIT})", re.I)
_LOWEST, _HIGHEST = 12, 120  # MIDI numbers that a number in a file name may stand for
# Numbers of a folder's velocity marks up to which they count layers: sample libraries have 16
# layers or fewer, some 32, and a velocity of 32 is not the loudest of a folder.
_MAX_LAYERS = 32


@dataclass(frozen=True)
class Label:
    """Statements about the notes of one file.

    Parameters
    ----------
    pitch : float, MIDI number, optional
        Pitch of the note.
    by : str
        Source of the pitch: "name" (a note name in the file's name), "number", "table", or "".
    velocity : int, optional
        1 to 127. In the label of a single name it may be the number of a velocity layer; see
        `labels_from_names`.
    instrument : str, optional
        Name of the instrument.
    round_robin : int, optional
        Number among takes of the same pitch and velocity.
    """

    pitch: float | None = None
    by: str = ""
    velocity: int | None = None
    instrument: str | None = None
    round_robin: int | None = None


def label_from_name(stem: str) -> Label:
    """Read pitch, velocity and round robin from a file's name.

    A note name takes precedence over a number; the last of several is used. A number is a pitch
    if it has two or three digits, is from 12 to 120, and is the only such number.

    Examples
    --------
    >>> label_from_name("Flute C#3 mf").pitch, label_from_name("Flute C#3 mf").velocity
    (49.0, 80)
    >>> label_from_name("F#7v10"), label_from_name("kalimba_060_v90_rr2").round_robin
    (Label(pitch=102.0, by='name', velocity=10, instrument=None, round_robin=None), 2)
    >>> label_from_name("bass_electronic_018-036-075").pitch  # as NSynth names files
    36.0
    """
    velocity = _velocity(stem)
    round_robin = int(match[1]) if (match := _ROUND_ROBIN.search(stem)) else None
    pitches = list(_named_pitches(_NAME.findall(stem) or _CAMEL.findall(stem)))
    if pitches:
        return Label(pitches[-1], "name", velocity, round_robin=round_robin)
    nsynth = _NSYNTH.search(stem)
    if nsynth and int(nsynth[1]) < 128 and 0 < int(nsynth[2]) < 128:
        return Label(float(nsynth[1]), "number", int(nsynth[2]))
    numbers = [int(text) for text in _NUMBER.findall(stem) if _LOWEST <= int(text) <= _HIGHEST]
    if len(numbers) == 1:
        return Label(float(numbers[0]), "number", velocity, round_robin=round_robin)
    return Label(velocity=velocity, round_robin=round_robin)


def _named_pitches(names: Iterable[tuple[str, str, str]]) -> Iterator[float]:
    """Pitches of note names; those outside of MIDI's range, such as A9, aren't pitches."""
    for letter, accidental, octave in names:
        with suppress(ParameterError):
            yield parse_pitch(f"{letter}{accidental.replace('s', '#')}{octave}")


def labels_from_names(names: Iterable[str]) -> dict[str, Label]:
    """Read the labels of all files, and turn velocity layers into velocities.

    The numbers of velocity marks in a folder are layers if none is above 32. Layer n of N, the
    highest in the folder, becomes velocity 127 n / N; a folder of a single layer has no
    velocities.

    Parameters
    ----------
    names : iterable of str
        Names of files relative to the samples' folder, with ``/``.

    Examples
    --------
    >>> labels = labels_from_names(["a/C4v1.wav", "a/C4v4.wav", "b/C4_v90.wav"])
    >>> [label.velocity for label in labels.values()]
    [32, 127, 90]
    """
    labels = {name: label_from_name(Path(name).stem) for name in names}
    marks: dict[str, set[int]] = {}  # numbers of each folder
    for name in labels:
        if (number := _marked_number(Path(name).stem)) is not None:
            marks.setdefault(name.rpartition("/")[0], set()).add(number)
    for name, label in labels.items():
        number, numbers = _marked_number(Path(name).stem), marks.get(name.rpartition("/")[0], set())
        if number is not None and max(numbers) <= _MAX_LAYERS:
            first = int(min(numbers) == 0)  # layers counted from 0
            velocity = round(127 * (number + first) / (max(numbers) + first))
            labels[name] = replace(label, velocity=velocity if len(numbers) > 1 else None)
    return labels


def _marked_number(stem: str) -> int | None:
    """Return the number after v or vel: a velocity or a layer."""
    match = _VELOCITY.search(stem) or _LAYER.search(stem)
    return int(match[1]) if match and int(match[1]) <= 127 else None


def _velocity(stem: str) -> int | None:
    if (number := _marked_number(stem)) is not None:
        return max(1, number)
    dynamic = _MARK.search(stem)
    return _DYNAMICS[dynamic[1].lower()] if dynamic else None


def find_table(folder: Path) -> Path | None:
    """Return the first .csv file of a folder whose first line has ``file`` and ``pitch``."""
    for path in sorted(folder.glob("*.csv")):
        try:
            first = next(_rows(path), [])
        except (OSError, UnicodeDecodeError, csv.Error):
            continue
        if {"file", "pitch"} <= set(_columns(first)):
            return path
    return None


def _rows(path: Path) -> Iterator[list[str]]:
    """Yield rows separated by commas, or by semicolons, as spreadsheets write in many countries."""
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
        number; empty cells are ignored.
    names : list of str
        Names of the files relative to the folder, with ``/``. The table may omit the subfolders of
        unambiguous names.

    Returns
    -------
    dict of str to Label
        Labels by the names of `names`.

    Raises
    ------
    FormatError
        If the table cannot be read, a cell is invalid, or a file is not in the folder; the message
        names the line.
    """
    try:
        rows = list(_rows(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: can't be read as a table ({error}); save it as CSV") from error
    columns = _columns(rows[0]) if rows else []
    if not {"file", "pitch"} <= set(columns):
        raise FormatError(
            f"{path}: its first line is {','.join(columns)!r}; it must be"
            " file,pitch[,velocity][,instrument]"
        )
    known = set(names)
    by_file_name: dict[str, list[str]] = {}
    for name in names:
        by_file_name.setdefault(name.rpartition("/")[2], []).append(name)
    labels: dict[str, Label] = {}
    for number, row in enumerate(rows[1:], 2):
        cells = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        if not any(cells.values()):
            continue
        name = cells.get("file", "").replace("\\", "/").removeprefix("./")
        candidates = [name] if name in known else by_file_name.get(name, [])
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
                f"{path}: line {number}: velocity {cells['velocity']!r} must be a whole number from"
                " 1 to 127"
            )
    return Label(pitch, "table" if pitch is not None else "", velocity, cells.get("instrument"))
