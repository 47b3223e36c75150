"""The screen of `audiogen play`: timbres, level, parameters, and a piano."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from audiogen.cli.keys import PIANO
from audiogen.core.parameters import Parameter
from audiogen.notes import pitch_name

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

WIDTH, NARROWEST = 80, 48  # characters; narrower than WIDTH everything moves together
HEIGHT = 24  # lines
LEAST_ROWS = 4  # of parameters, before the help makes room for them
METER_WIDTH, NARROW_METER_WIDTH, METER_FLOOR_DB = 40, 16, -60.0
_HOT_DB, _WARM_DB = -3.0, -12.0
_KEY_WIDTH = 4  # characters of a white key
_WHITE = (0, 2, 4, 5, 7, 9, 11)  # semitones
_ACCENT, _DARK_ACCENT = "#ff9f43", "#b85c00"
_UNCONDITIONAL = "generates audio freely"
_HELP = """\
z x octave   c v velocity   space pedal   1-9 tab timbre   , . preset
← → choose a parameter   ↑ ↓ change it   backspace silence, reset   q quit"""
_NARROW_HELP = """\
z x octave  c v velocity  space pedal
1-9 tab timbre  , . preset  q quit
← → parameter  ↑ ↓ change  backspace reset"""


@dataclass
class Status:
    """Everything that the screen shows.

    Parameters
    ----------
    preset, timbre, sound, midi : str
        ``sound`` is the sound card, ``midi`` the ports that play.
    timbres : list of str
        Names of the preset's timbres.
    sample_rate : int, Hz
        Rate of the sound card.
    latency_ms : float
        Time from a key to its sound.
    n_sounding, voices, n_late : int
        Notes that sound, notes that can sound at once, and late blocks.
    load, peak : float
        Share of the time that rendering takes; share of full scale.
    parameters : dict of Parameter to float or str
        Rows of the parameter table and their values.
    chosen : str
        The parameter that the arrow keys move.
    base_pitch : int
        Pitch of the piano's first key.
    velocity : float
        Velocity of typed notes, 0 to 1.
    down : set of str
        Keys that hold a note.
    has_keys, reports_releases : bool
        Whether the computer's keyboard plays, and whether the terminal reports released keys.
    ring_s : float
        Length of a typed note where the terminal reports no released keys.
    recording : str
        File that is recorded, if any.
    remark : str
        Message of the last line; empty for none.
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
    reports_releases: bool = False
    ring_s: float = 0.7
    recording: str = ""
    remark: str = ""


def draw(status: Status, width: int = WIDTH, height: int = HEIGHT) -> RenderableType:
    """The screen, up to 80 characters wide; a narrow one keeps the keyboard in sight.

    A screen that is higher than the terminal does without its empty lines, then shows only rows of
    parameters around the chosen one, then does without its help.

    Parameters
    ----------
    status : Status
        Values to show.
    width : int, characters
        Width of the terminal.
    height : int, lines
        Height of the terminal.
    """
    from rich.console import Console

    width = min(WIDTH, max(NARROWEST, width))
    is_wide = width == WIDTH
    measuring = Console(width=width)
    panel = _panel(status, width, is_wide, True)
    n_rows = -(-len(status.parameters) // (3 if is_wide else 2))
    least = min(LEAST_ROWS, n_rows)
    for has_help, least_rows in ((True, least), (False, 1)):
        excess = len(measuring.render_lines(panel)) - height
        if excess <= 0:
            break
        panel = _panel(status, width, False, has_help)
        excess = len(measuring.render_lines(panel)) - height
        if excess > 0:
            panel = _panel(status, width, False, has_help, max(least_rows, n_rows - excess))
    return panel


def _panel(
    status: Status, width: int, is_spaced: bool, has_help: bool, n_knob_rows: int | None = None
) -> RenderableType:
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    is_wide = width == WIDTH
    help_text = _HELP if is_wide else _NARROW_HELP
    keys = [_piano(status, 9 if is_wide else 0)] if status.has_keys else []
    usage = [_help(status, help_text)] if status.has_keys and has_help else []
    level = [_level(status, METER_WIDTH if is_wide else NARROW_METER_WIDTH), _numbers(status)]
    messages = [[Text(line, style=_ACCENT)] for line in (status.recording, status.remark) if line]
    sections: list[Sequence[RenderableType]]
    if is_wide:
        knobs = [_knobs(status, 3, n_knob_rows)]
        sections = [[_timbres(status, width - 6)], level, knobs, keys, usage]
    else:
        sections = [[_timbre(status)], keys, level, [_knobs(status, 2, n_knob_rows)], usage]
    parts: list[RenderableType] = []
    for section in (*filter(None, sections), *messages):
        parts += [Text(), *section] if is_spaced and parts else section
    title = Text.assemble(("audiogen", "bold"), "  ", (status.preset, f"bold {_ACCENT}"))
    return Panel(
        Group(*parts),
        title=title,
        subtitle=Text(f"{status.sound}  ·  {status.midi}", style="dim"),
        padding=(0, 2 if is_wide else 1),
        width=width,
        border_style="dim",
    )


def _timbres(status: Status, inner_width: int) -> Text:
    """All timbres; a mark stands before the chosen one."""
    from rich.text import Text

    names = status.timbres
    if status.timbre is not None and status.timbre not in names:  # a mix or a latent
        names = [*names, status.timbre]
    line, width = Text(), 0
    for number, name in enumerate(names, 1):
        is_chosen = name == status.timbre
        digit = f"{number} " if number <= min(9, len(status.timbres)) and status.has_keys else ""
        label = f"▸{name}" if is_chosen else name
        if width and width + len(digit) + len(label) > inner_width:
            line.append("\n")
            width = 0
        line.append(digit, style="dim")
        line.append(label, style=f"bold {_ACCENT}" if is_chosen else "")
        line.append("   ")
        width += len(digit) + len(label) + 3
    return line or Text(_UNCONDITIONAL, style="dim")


def _timbre(status: Status) -> Text:
    """The chosen timbre alone, and how many there are."""
    from rich.text import Text

    if status.timbre is None:
        return Text(_UNCONDITIONAL, style="dim")
    line = Text(f"▸{status.timbre}", style=f"bold {_ACCENT}", overflow="ellipsis", no_wrap=True)
    if status.timbre in status.timbres:
        number = status.timbres.index(status.timbre) + 1
        line.append(f"   {number} of {len(status.timbres)}", style="dim")
    return line


def _level(status: Status, width: int) -> Text:
    from rich.text import Text

    level_db = 20.0 * math.log10(max(status.peak, 1e-6))
    lit = round(width * (1.0 - level_db / METER_FLOOR_DB))
    line = Text().append("level    ", style="dim")
    for i in range(width):
        at_db = METER_FLOOR_DB * (1.0 - (i + 1) / width)
        colour = "red" if at_db > _HOT_DB else "yellow" if at_db > _WARM_DB else "green"
        line.append("━", style=f"bold {colour}" if i < lit else "grey23")
    if level_db < METER_FLOOR_DB:
        return line.append("   silence", style="dim")
    line.append(f" {level_db:6.1f} dB", style="")
    return line.append("  clips", style="bold red") if level_db > 0.0 else line


def _numbers(status: Status) -> Text:
    from rich.text import Text

    line = Text()
    for name, value, bad in (
        ("voices", f"{status.n_sounding} of {status.voices}", False),
        ("load", f"{100 * status.load:.0f} %", status.load > 0.8),
        ("late blocks", f"{status.n_late}", status.n_late > 0),
        ("latency", f"{status.latency_ms:.1f} ms", False),
        ("", f"{status.sample_rate} Hz", False),
    ):
        if name:
            line.append(f"{name}   " if name == "voices" else f"{name} ", style="dim")
        line.append(value, style="bold red" if bad else "")
        line.append("   ")
    return line


def _knobs(status: Status, n_columns: int, n_rows: int | None = None) -> RenderableType:
    """All parameters, or the rows around the chosen one."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2) if n_columns > 2 else 0)
    cells = []
    for parameter, value in status.parameters.items():
        chosen = parameter.name == status.chosen and status.has_keys
        text = Text().append("▸ " if chosen else "  ", style=_ACCENT)
        text.append(
            f"{parameter.name.replace('_', ' '):{13 if n_columns > 2 else 12}}",
            style=_ACCENT if chosen else "dim",
        )
        text.append(f"{_shown(value, parameter.unit):>8}", style="bold" if chosen else "")
        cells.append(text)
    names = [parameter.name for parameter in status.parameters]
    rows = [cells[i : i + n_columns] for i in range(0, len(cells), n_columns)]
    n_rows = len(rows) if n_rows is None else n_rows
    chosen_row = names.index(status.chosen) // n_columns if status.chosen in names else 0
    first = min(max(0, chosen_row - n_rows // 2), max(0, len(rows) - n_rows))
    for row in rows[first : first + n_rows]:
        grid.add_row(*row)
    return grid


def _shown(value: Any, unit: str) -> str:
    if not isinstance(value, float):
        return str(value or "-")[:8]
    short = {"semitones": " st", "s": " s"}.get(unit, "")
    return f"{value:.2f}{short}"


def _piano(status: Status, indent_width: int) -> Text:
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
    indent = " " * indent_width
    text = Text()
    for line in (upper, below, lower):
        text.append(indent)
        for letter, style in line:
            text.append(letter, style=style)
        text.append("\n")
    text.append(f"{indent}{pitch_name(status.base_pitch)}", style="dim")
    text.append(f"   velocity {status.velocity:.1f}", style="dim")
    return text


def _help(status: Status, text: str) -> Text:
    from rich.text import Text

    if not status.reports_releases:
        lasts = f"a note lasts {status.ring_s:g} s, or while its"
        if text == _HELP:
            text += f"\nThe terminal reports no released keys: {lasts}\n"
            text += "key repeats; with the pedal it goes on."
        else:
            text += f"\n{lasts} key repeats"
    return Text(text, style="dim")
