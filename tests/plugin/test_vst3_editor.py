"""The editor of the VST3 plug-in in a host's window, while the host plays the plug-in."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.plugin.hosts import (
    OWN_LIBRARIES,
    VST3,
    environment,
    exported,
    libraries,
    needs,
    run_python,
    vst3_host,
)
from tests.plugin.x11 import Screen, click, n_colours, xdotool

EDITOR = next(VST3.glob("Contents/*-linux/audiogen_editor.so"), VST3 / "audiogen_editor.so")
pytestmark = [
    needs(VST3, "AUDIOGEN_VST3", "libvst3sdk-dev"),
    pytest.mark.skipif(
        not EDITOR.exists(),
        reason="the plug-in was built without its editor (Debian: libcairo2-dev libx11-dev)",
    ),
]

WIDTH, HEIGHT = 1060, 720  # as in csrc/plugin/editor/layout.h
MORPH, MORPH_VALUE, C4 = (557, 304), (557, 353), (459, 668)
C4_LOW = 452, 675  # beside the key's name
PRESET, TIMBRE, MISSING, LEVEL = 100, 101, 102, 103  # as in csrc/plugin/vst3/parameters.h


def id_of(name: str) -> int:
    """Number of a parameter: FNV-1a of its name."""
    number = 2166136261
    for byte in name.encode():
        number = (number ^ byte) * 16777619 % 2**32
    return 1000 + number % 10**9


class Host:
    """The host of vst3_window_host.cpp and the lines that it printed."""

    def __init__(self, scale: float = 0.0) -> None:
        library = EDITOR.parent / "audiogen.so"
        self.process = subprocess.Popen(
            [vst3_host("vst3_window_host.cpp", "-lX11"), library, str(scale)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def send(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def await_(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None and time.monotonic() < end, self.lines[-30:]
            time.sleep(0.02)

    def await_line(self, pattern: str) -> None:
        self.await_(lambda: any(re.fullmatch(pattern, line) for line in self.lines))

    def edits(self) -> list[str]:
        """Gestures so far, and forgets all lines."""
        kept, self.lines[:] = list(self.lines), []
        return [line for line in kept if line.split()[0] in ("begin", "perform", "end")]

    def close(self) -> None:
        self.send("quit")
        assert self.process.wait(30) == 0
        self.reader.join()
        assert self.lines[-1] == "ended"


@pytest.fixture
def host(screen: Screen) -> Iterator[Host]:
    host = Host()
    host.await_(lambda: n_colours(screen.picture(WIDTH, HEIGHT)) > 1000)
    yield host
    host.close()


def test_only_its_function_is_exported() -> None:
    assert exported(EDITOR) == {"audiogen_open_editor"}
    assert libraries(EDITOR) <= OWN_LIBRARIES | {"libcairo", "libX11"}
    assert libraries(EDITOR.parent / "audiogen.so") <= OWN_LIBRARIES


def test_a_key_is_heard_and_metered(host: Host) -> None:
    xdotool("mousemove", *C4, "mousedown", 1)
    host.await_line("sound")
    host.await_line(rf"output {LEVEL} 0\.\d*[1-9]\d*")
    xdotool("mouseup", 1)
    host.await_line("silence")


def test_a_knob_is_a_gesture(host: Host) -> None:
    xdotool("mousemove", *MORPH, "mousedown", 1)
    for step in range(1, 5):
        xdotool("mousemove", MORPH[0], MORPH[1] - 10 * step)
        time.sleep(0.1)
    xdotool("mouseup", 1)
    morph = id_of("morph")
    host.await_line(f"end {morph}")
    first, *values, last = host.edits()
    assert (first, last) == (f"begin {morph}", f"end {morph}")
    assert values[-1] == f"perform {morph} 0.250000" and sorted(values) == values


def test_a_preset_is_chosen(host: Host, screen: Screen) -> None:
    before = screen.picture(WIDTH, HEIGHT)
    click((341, 30))  # the next one
    host.await_line(f"end {TIMBRE}")
    edits = host.edits()
    assert edits[0] == f"begin {PRESET}" and f"perform {TIMBRE} 0.000000" in edits
    host.await_(lambda: (screen.picture(WIDTH, HEIGHT) != before).any())


def test_it_follows_the_host(host: Host, screen: Screen) -> None:
    before = screen.picture(WIDTH, HEIGHT)
    host.send(f"set {id_of('morph')} 0.5")
    x, y = MORPH_VALUE
    host.await_(lambda: (screen.picture(WIDTH, HEIGHT) != before)[y - 12 : y + 4, x - 20 :].any())
    host.send(f"set {MISSING} 1")
    host.await_(lambda: (screen.picture(WIDTH, HEIGHT) != before)[HEIGHT - 30 :].any())
    assert not host.edits()


def test_keys_of_the_host_are_shown(host: Host, screen: Screen) -> None:
    x, y = C4_LOW

    def colour() -> tuple[int, ...]:
        return tuple(screen.picture(WIDTH, HEIGHT)[y, x])

    released = colour()
    host.send("on 60")
    host.await_(lambda: colour() != released)
    host.send("off 60")
    host.await_(lambda: colour() == released)


def test_a_note_that_the_mouse_holds_ends_with_the_view(host: Host) -> None:
    xdotool("mousemove", *C4, "mousedown", 1)
    host.await_line("sound")
    host.send("reopen")
    host.await_line("silence")
    xdotool("mouseup", 1)


def test_a_view_may_be_released_while_it_is_attached(host: Host, screen: Screen) -> None:
    host.send("drop")
    host.await_(lambda: host.lines.count(f"size {WIDTH} {HEIGHT}") == 2)
    host.send(f"set {id_of('morph')} 0.5")  # is shown by the views
    host.send("reopen")
    host.await_(lambda: host.lines.count(f"size {WIDTH} {HEIGHT}") == 3)
    host.await_(lambda: n_colours(screen.picture(WIDTH, HEIGHT)) > 1000)


def test_views_are_opened_again_and_resized(host: Host, screen: Screen) -> None:
    for _ in range(3):
        host.send("reopen")
    host.await_(lambda: host.lines.count(f"size {WIDTH} {HEIGHT}") == 4)
    host.send(f"resize {2 * WIDTH} {2 * HEIGHT}")
    host.await_line(f"constrained {2 * WIDTH} {2 * HEIGHT}")
    host.await_(lambda: n_colours(screen.picture(2 * WIDTH, 2 * HEIGHT)[HEIGHT:, WIDTH:]) > 20)
    xdotool("mousemove", 2 * C4[0], 2 * C4[1], "mousedown", 1)
    host.await_line("sound")
    xdotool("mouseup", 1)
    host.send("resize 10 10")
    host.await_line(f"constrained {WIDTH // 2} {HEIGHT // 2}")


def test_content_scale(screen: Screen) -> None:
    host = Host(1.5)
    host.await_line(f"size {WIDTH * 3 // 2} {HEIGHT * 3 // 2}")
    host.await_(lambda: n_colours(screen.picture(WIDTH * 3 // 2, HEIGHT * 3 // 2)) > 1000)
    assert not any(line.startswith("resize") for line in host.lines)
    host.close()


@pytest.mark.usefixtures("screen")
def test_without_its_library_hosts_show_their_own(tmp_path: Path) -> None:
    bundle = tmp_path / "audiogen.vst3"
    shutil.copytree(VST3, bundle, ignore=shutil.ignore_patterns("audiogen_editor.so"))
    library = next(bundle.glob("Contents/*-linux/audiogen.so"))
    done = subprocess.run(
        [vst3_host("vst3_window_host.cpp", "-lX11"), library, "0"],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 1 and "createView failed" in done.stderr


PEDALBOARD = """
import subprocess, sys, threading, time, pedalboard
plugin = pedalboard.load_plugin(sys.argv[1])
def xdotool(*words):
    return subprocess.run(["xdotool", *map(str, words)], capture_output=True, text=True).stdout
def drag(close):
    window = ""
    while not window:
        window = xdotool("search", "--onlyvisible", "--name", "^audiogen$").strip()
        time.sleep(0.1)
    time.sleep(1.0)
    x, y = sys.argv[2:4]
    xdotool("mousemove", "--window", window, x, y, "mousedown", 1, "sleep", 0.3,
            "mousemove_relative", "--", 0, -40, "sleep", 0.3, "mouseup", 1, "sleep", 0.5)
    close.set()
for _ in range(2):  # a window can be opened again
    close = threading.Event()
    threading.Thread(target=drag, args=[close]).start()
    plugin.show_editor(close)
    print("morph", plugin.morph)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("screen")
def test_a_knob_in_pedalboard() -> None:
    """Pedalboard's host is JUCE's, as that of several DAWs is."""
    if not importlib.util.find_spec("pedalboard"):
        pytest.skip("pedalboard is not installed (pip install pedalboard mido)")
    started = []
    try:
        # JUCE's windows want a window manager and a provider of settings.
        for command in (["openbox"], ["xsettingsd", "-c", "/dev/null"]):
            if not shutil.which(command[0]):
                pytest.skip(f"{command[0]} is not installed (Debian: {command[0]})")
            quiet = subprocess.DEVNULL
            started.append(subprocess.Popen(command, stdout=quiet, stderr=quiet))
        time.sleep(1.0)
        printed = run_python(PEDALBOARD, VST3, *MORPH)
    finally:
        for process in started:
            process.kill()
            process.wait()
    values = [float(value) for value in re.findall(r"morph (\S+)", printed)]
    assert values == pytest.approx([0.25, 0.5], abs=0.01)
