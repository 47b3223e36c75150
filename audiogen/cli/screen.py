"""What `audiogen play` shows on the terminal: sound, knobs, and a piano."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from audiogen.cli.keys import PIANO
from audiogen.core.parameters import Parameter
from audiogen.notes import pitch_name

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

WIDTH, INNER_WIDTH = 80, 74  # characters; inside of the frame
METER_WIDTH, METER_FLOOR_DB = 40, -60.0
_HOT_DB, _WARM_DB = -3.0, -12.0
_KEY_WIDTH = 4  # characters, of a white key
_WHITE = (0, 2, 4, 5, 7, 9, 11)  # semitones
_ACCENT, _DARK_ACCENT = "#ff9f43", "#b85c00"


@dataclass
class Status:
    """All that is shown.

    Parameters
    ----------
    preset, timbre, sound, midi : str
        ``sound`` says where it's heard, ``midi`` which ports are listened to.
    timbres : list of str
    sample_rate : int, Hz
    latency_ms : float
    n_sounding, voices, n_late : int
    load, peak : float
        Part of the time; part of full scale.
    parameters : dict of Parameter to float or str
        Rows of the parameter table and their values.
    chosen : str
        The parameter that the arrow keys move.
    base_pitch : int
        Of the piano's first key.
    velocity : float
    down : set of str
        Keys that hold a note.
    has_keys, tells_releases : bool
        Whether the computer's keyboard plays, and whether it says when a key goes up.
    ring_s : float
    recording : str
        What is recorded, if anything.
    remark : str
    """

    preset: str
    timbre: str | None
    sound: str
    midi: str
    timbres: list[str]
    sample_rate: int
    latency_ms: float
    n_sounding: int = 0
    voices: int = 16
    n_late: int = 0
    load: float = 0.0
    peak: float = 0.0
    parameters: dict[Parameter, Any] = field(default_factory=dict)
    chosen: str = "volume"
    base_pitch: int = 60
    velocity: float = 0.8
    down: set[str] = field(default_factory=set)
    has_keys: bool = True
    tells_releases: bool = False
    ring_s: float = 0.7
    recording: str = ""
    remark: str = ""


def draw(status: Status) -> RenderableType:
    """The screen."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    parts: list[RenderableType] = [
        _timbres(status),
        Text(),
        _level(status),
        _numbers(status),
        Text(),
        _knobs(status),
    ]
    if status.has_keys:
        parts += [Text(), _piano(status), Text(), _help(status)]
    for line in (status.recording, status.remark):
        if line:
            parts += [Text(), Text(line, style=_ACCENT)]
    title = Text.assemble(("audiogen", "bold"), "  ", (status.preset, f"bold {_ACCENT}"))
    subtitle = Text(f"{status.sound}  ·  {status.midi}", style="dim")
    return Panel(
        Group(*parts),
        title=title,
        subtitle=subtitle,
        padding=(0, 2),
        width=WIDTH,
        border_style="dim",
    )


def _timbres(status: Status) -> Text:
    from rich.text import Text

    line, width = Text(), 0
    for number, name in enumerate(status.timbres, 1):
        mark = f"{number} " if number <= 9 and status.has_keys else ""
        if width and width + len(mark) + len(name) > INNER_WIDTH:
            line.append("\n")
            width = 0
        line.append(mark, style="dim")
        chosen = name == status.timbre
        line.append(f"▸{name}" if chosen else name, style=f"bold {_ACCENT}" if chosen else "")
        line.append("   ")
        width += len(mark) + len(name) + 3
    return line or Text("generates audio freely", style="dim")


def _level(status: Status) -> Text:
    from rich.text import Text

    level_db = 20.0 * math.log10(max(status.peak, 1e-6))
    lit = round(METER_WIDTH * (1.0 - level_db / METER_FLOOR_DB))
    line = Text().append("level    ", style="dim")
    for i in range(METER_WIDTH):
        at_db = METER_FLOOR_DB * (1.0 - (i + 1) / METER_WIDTH)
        colour = "red" if at_db > _HOT_DB else "yellow" if at_db > _WARM_DB else "green"
        line.append("━", style=f"bold {colour}" if i < lit else "grey23")
    if level_db < METER_FLOOR_DB:
        return line.append("   silence", style="dim")
    line.append(f" {level_db:6.1f} dB", style="")
    return line.append("  clips", style="bold red") if level_db > 0.0 else line


def _numbers(status: Status) -> Text:
    from rich.text import Text

    line = Text()
    too_much = status.load > 0.8
    for name, value, bad in (
        ("voices", f"{status.n_sounding} of {status.voices}", False),
        ("load", f"{100 * status.load:.0f} %", too_much),
        ("late blocks", f"{status.n_late}", status.n_late > 0),
        ("latency", f"{status.latency_ms:.1f} ms", False),
        ("", f"{status.sample_rate} Hz", False),
    ):
        if name:
            line.append(f"{name}   " if name == "voices" else f"{name} ", style="dim")
        line.append(value, style="bold red" if bad else "")
        line.append("   ")
    return line


def _knobs(status: Status) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    cells = []
    for parameter, value in status.parameters.items():
        chosen = parameter.name == status.chosen and status.has_keys
        text = Text().append("▸ " if chosen else "  ", style=_ACCENT)
        text.append(f"{parameter.name.replace('_', ' '):13}", style=_ACCENT if chosen else "dim")
        text.append(f"{_shown(value, parameter.unit):>8}", style="bold" if chosen else "")
        cells.append(text)
    for row in range(0, len(cells), 3):
        grid.add_row(*cells[row : row + 3])
    return grid


def _shown(value: Any, unit: str) -> str:
    if not isinstance(value, float):
        return str(value or "-")[:8]
    short = {"semitones": " st", "s": " s"}.get(unit, "")
    return f"{value:.2f}{short}"


def _piano(status: Status) -> Text:
    from rich.text import Text

    whites = [(key, n) for key, n in PIANO.items() if n % 12 in _WHITE]
    width = _KEY_WIDTH * len(whites)
    blank = "black on grey89"
    upper = [[" ", blank] for _ in range(width)]
    lower = [[" ", blank] for _ in range(width)]
    for i, (key, semitone) in enumerate(whites):
        left = _KEY_WIDTH * i
        for cell in (*upper[left : left + _KEY_WIDTH], *lower[left : left + _KEY_WIDTH]):
            cell[1] = f"black on {_ACCENT}" if key in status.down else blank
        upper[left][0] = lower[left][0] = "▏"
        lower[left + 2][0] = key
        black = next(
            (k for k, n in PIANO.items() if n == semitone - 1 and n % 12 not in _WHITE), ""
        )
        if black and i:
            style = f"white on {_DARK_ACCENT}" if black in status.down else "white on grey7"
            for cell, letter in zip(upper[left - 1 : left + 2], f" {black} ", strict=True):
                cell[:] = letter, style
    below = [[" " if letter in PIANO else letter, style] for letter, style in upper]
    indent = "         "
    text = Text()
    for line in (upper, below, lower):
        text.append(indent)
        for letter, style in line:
            text.append(letter, style=style)
        text.append("\n")
    text.append(f"{indent}{pitch_name(status.base_pitch)}", style="dim")
    text.append(f"   velocity {status.velocity:.1f}", style="dim")
    return text


def _help(status: Status) -> Text:
    from rich.text import Text

    lines = [
        "z x octave   c v velocity   space pedal   1-9 tab timbre   , . preset",
        "← → choose a knob   ↑ ↓ move it   backspace silence, knobs back   q quit",
    ]
    if not status.tells_releases:
        lines.append(
            "This terminal doesn't tell when a key goes up: a note rings for "
            f"{status.ring_s:g} s, or\nfor as long as the key repeats; with the pedal it rings on."
        )
    return Text("\n".join(lines), style="dim")
