"""The computer keyboard as a piano: reads keys from the terminal and holds their notes."""

from __future__ import annotations

import math
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from audiogen.engine import Synth

# Semitones above the octave's C, in the usual layout: a row of white keys, black keys above.
PIANO = {key: semitone for semitone, key in enumerate("awsedftgyhujkolp;'")}
RING_S = 0.7  # duration of a note if the terminal reports no releases
REPEAT_S = 0.1  # a key that repeats sooner than this is held, not pressed again
DELAY_S, DELAY_ERROR_S = 0.2, 0.03  # shortest delay before a key repeats, and how much it varies

_ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left", "Z": "backtab"}
_NAMED = {" ": "space", "\t": "tab", "\x7f": "backspace", "\x08": "backspace", "\x03": "q"}
# ECMA-48, 5.4: parameters, intermediate bytes, a final byte.
_SEQUENCE = re.compile(
    r"\x1b\[(?P<numbers>[0-?]{0,64})(?P<between>[ -/]{0,8})(?P<end>[@-Z\\-~])|\x1b\[\[."
    r"|\x1bO(?P<arrow>[A-Z])|(?s:.)"
)
_INCOMPLETE = re.compile(r"\x1b(\[[0-?]{0,64}[ -/]{0,8}|\[\[|O)?\Z")  # start of a sequence
# Sequences that switch kitty's keyboard protocol on and query it, and switch it off.
_REPORT_RELEASES, _END_RELEASES = "\x1b[>11u\x1b[?u", "\x1b[<u"
_PRESS, _REPEAT, _RELEASE = 1, 2, 3


class Key(NamedTuple):
    """A key event; the key is a character, or a name such as ``up``."""

    name: str
    pressed: bool = True  # False for a release
    repeated: bool = False  # only if the terminal reports releases


class Keyboard:
    """Keys of the terminal that the program was started in."""

    def __init__(self, fd: int):
        self.reports_releases = False
        self._fd = fd
        self._incomplete = ""  # start of a sequence

    def read(self, timeout_s: float) -> list[Key]:
        """Return the keys since the last call; wait for the first one up to a timeout."""
        if not select.select([self._fd], [], [], max(0.0, timeout_s))[0]:
            self._incomplete = ""  # Escape was pressed alone
            return []
        try:
            data = os.read(self._fd, 4096)
        except OSError:  # the terminal is closed
            data = b""
        return self.parse(data.decode(errors="replace")) if data else [Key("q")]

    def parse(self, text: str) -> list[Key]:
        """Parse a terminal's characters, which may be split anywhere, and return the keys."""
        keys, text = [], self._incomplete + text
        incomplete = _INCOMPLETE.search(text)
        self._incomplete = incomplete[0] if incomplete else ""
        for match in _SEQUENCE.finditer(text.removesuffix(self._incomplete)):
            end, numbers = match["end"], match["numbers"] or ""
            if match["arrow"]:
                keys.append(Key(_ARROWS.get(match["arrow"], "")))
            elif match[0].startswith("\x1b[[") or match[0] == "\x1b":  # F1 of Linux; Escape, Alt
                continue
            elif end is None:
                keys.append(Key(_NAMED.get(match[0], match[0].lower())))
            elif match["between"] or numbers[:1] in ("<", "=", ">", "?"):  # a terminal's answer
                if end == "u" and numbers[1:].isdecimal():
                    self.reports_releases = int(numbers[1:]) & 2 > 0
            else:
                keys.append(_read_sequence(numbers, end))
        return [key for key in keys if key.name]


def _read_sequence(numbers: str, end: str) -> Key:
    fields = [field.split(":") for field in numbers.split(";")]

    def number(field: int, part: int) -> int:  # 1 by default
        text = fields[field][part] if field < len(fields) and part < len(fields[field]) else ""
        return int(text) if text.isdecimal() else 1

    code, modifiers, event = number(0, 0), number(1, 0), number(1, 1)
    if end == "u":
        character = chr(code) if 0 < code < 0x110000 else ""
        name = _NAMED.get(character, character.lower())
        if modifiers - 1 & 4:  # control
            name = "q" if name == "c" else ""
        elif name == "tab" and modifiers - 1 & 1:  # shift
            name = "backtab"
    else:
        name = _ARROWS.get(end, "")
    return Key(name, event != _RELEASE, event == _REPEAT)


@contextmanager
def open_keyboard() -> Iterator[Keyboard | None]:
    """Read the terminal's keys without echo and Enter; None if there is no terminal."""
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield None
        return
    if not (sys.stdin and sys.stdin.isatty()):
        yield None
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    has_screen = bool(sys.stdout) and sys.stdout.isatty()
    try:
        tty.setcbreak(fd)
        if has_screen:
            print(_REPORT_RELEASES, end="", flush=True)
        yield Keyboard(fd)
    finally:
        if has_screen:
            print(_END_RELEASES, end="", flush=True)
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


class HeldKeys:
    """Notes that keys hold; if the terminal reports no releases, a note lasts `ring_s` seconds."""

    def __init__(
        self,
        synth: Synth,
        ring_s: float = RING_S,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.ring_s = ring_s
        self._synth, self._clock = synth, clock
        self._pitches: dict[str, int] = {}  # pitch of each held key
        self._ends_s: dict[str, float] = {}  # time at which a key counts as released
        self._pressed_s: dict[str, float] = {}  # time of the last press or repeat
        self._gaps_s: dict[str, float] = {}  # time between the last two
        self._delay_s = math.inf  # before a held key repeats, once it is known

    @property
    def down(self) -> set[str]:
        """Keys that hold a note."""
        return set(self._pitches)

    def press(self, name: str, pitch: int, velocity: float, releases: bool = False) -> None:
        """Start the note of a key, unless the terminal repeats a held key.

        Its first repeat comes after a delay of the system, which is learned from the repeats that
        follow; until then that repeat restarts the note.
        """
        now_s = self._clock()
        gap_s = now_s - self._pressed_s.get(name, -math.inf)
        repeated = name in self._pitches and gap_s < REPEAT_S
        if repeated and self._gaps_s[name] >= DELAY_S:
            self._delay_s = self._gaps_s[name]
        elif name in self._pitches and abs(gap_s - self._delay_s) < DELAY_ERROR_S:
            repeated = True
        self._pressed_s[name], self._gaps_s[name] = now_s, gap_s
        if releases:
            self._ends_s.pop(name, None)
        else:
            self._ends_s[name] = now_s + self.ring_s
        if repeated and not releases:
            return
        self.release(name)
        self._pitches[name] = pitch
        self._synth.note_on(pitch, velocity)

    def release(self, name: str) -> None:
        """Release the note of a key."""
        pitch = self._pitches.pop(name, None)
        if pitch is not None and pitch not in self._pitches.values():
            self._synth.note_off(pitch)

    def release_expired(self) -> None:
        """Release the notes whose duration has passed."""
        now_s = self._clock()
        for name in [name for name, end_s in self._ends_s.items() if end_s <= now_s]:
            del self._ends_s[name]
            self.release(name)

    def release_all(self) -> None:
        """Release all notes."""
        for name in list(self._pitches):
            self.release(name)
        self._ends_s.clear()
