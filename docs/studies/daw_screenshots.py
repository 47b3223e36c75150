"""Takes the pictures of the plug-in in docs/images/: in Ardour, alone, and its list of presets.

    AUDIOGEN_PLUGIN_PREFIX=prefix python docs/studies/daw_screenshots.py

Plays chords to a track of an Ardour session (tests/plugin/ardour.lua) on a JACK server without
a sound card, opens the session in Ardour on an X server without a screen, and opens the plug-in's
window. Needs Debian's ardour, jackd2, xvfb, xdotool and openbox. The places are those of Ardour 8.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.jack_probe import PERIOD, Probe, await_, load_soak  # noqa: E402
from tests.plugin.hosts import environment  # noqa: E402
from tests.plugin.x11 import Screen, click, x_server, xdotool  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CHORDS = ((57, 64, 69, 72), (53, 60, 65, 69), (55, 62, 67, 71), (52, 59, 64, 67))
ARDOUR = 494, 431  # where its window opens on the screen
EDITOR = 346, 513, 1060, 720  # of the plug-in, after it was moved: left, top, width, height


def record(server: str, folder: Path, env: dict[str, str]) -> None:
    """Makes a session with recorded notes and automation of the parameter morph."""
    ardour = subprocess.Popen(
        ["ardour8-lua", ROOT / "tests" / "plugin" / "ardour.lua", folder, "morph"],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert ardour.stdout is not None
    for line in ardour.stdout:
        if line == "rolling\n":
            break
    probe = Probe(server)
    [track] = probe.client.get_ports("synth/midi_in 1", is_input=True)
    probe.client.connect(probe.client.midi_outports[0], track)
    for chord in CHORDS:
        for key in (*chord, *chord[2:0:-1]):
            probe.send(0x90, key, 90)
            time.sleep(0.2)
            probe.send(0x80, key, 0)
    await_(lambda: "saved\n" in ardour.stdout)
    probe.close()
    ardour.kill()
    ardour.wait()


def in_ardour(x: int, y: int, **options: Any) -> None:
    click((ARDOUR[0] + x, ARDOUR[1] + y), **options)
    time.sleep(1.0)


def in_editor(x: int, y: int, **options: Any) -> None:
    click((EDITOR[0] + x, EDITOR[1] + y), **options)
    time.sleep(0.5)


def window(name: str) -> str:
    found = subprocess.run(
        ["xdotool", "search", "--name", name], capture_output=True, text=True, check=True
    )
    return found.stdout.split()[-1]


def open_session() -> None:
    """Connects Ardour to JACK, and opens the plug-in's window below the track."""
    click((1209, 679))  # audio system
    time.sleep(1.0)
    click((1185, 701))  # JACK
    time.sleep(2.0)
    click((1521, 980))  # connect
    time.sleep(12.0)
    click((1690, 1071))  # a warning about locked memory
    time.sleep(12.0)
    in_ardour(249, 318)  # not armed
    in_ardour(158, 318)  # the track
    in_ardour(1313, 126)  # zoom to the session
    in_ardour(50, 197, repeat=2)  # the plug-in
    time.sleep(4.0)
    session, editor = window("song - Ardour"), window("synth: audiogen")
    xdotool("windowsize", "--sync", session, 1412, 1200)
    xdotool("windowmove", "--sync", session, 0, 24)
    xdotool("windowmove", "--sync", editor, 345, 460)
    time.sleep(2.0)
    click((84, 825))  # monitor the disk


def save(picture: Any, name: str) -> None:
    Image.fromarray(picture).save(IMAGES / f"{name}.png", optimize=True)


def take(screen: Screen) -> None:
    left, top, width, height = EDITOR

    def editor() -> Any:
        return screen.picture(left + width, top + height)[top:, left:]

    in_editor(643, 304, button=4, repeat=13)  # the timbre to morph to
    click((160, 900))
    xdotool("key", "Home")
    time.sleep(0.5)
    xdotool("key", "space")
    time.sleep(2.3)
    save(screen.picture(1414, 1249)[24:], "plugin-ardour")
    xdotool("key", "space")
    time.sleep(1.0)

    in_editor(230, 30)
    save(editor()[:400, :660], "plugin-presets")
    xdotool("key", "Escape")
    in_editor(900, 660)  # closes the list
    in_editor(151, 81)  # the map on
    in_editor(310, 360)
    xdotool("mousemove", left + 459, top + 660, "mousedown", 1)  # a key
    time.sleep(0.4)
    save(editor(), "plugin-editor")
    xdotool("mouseup", 1)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as home,
        load_soak().jack_server(PERIOD) as (server, _),
        x_server() as display,
    ):
        config = Path(home, ".config", "ardour8")
        config.mkdir(parents=True)
        (config / ".a8").touch()  # it was started before
        env = environment(JACK_DEFAULT_SERVER=server, HOME=home, DISPLAY=display)
        record(server, Path(home, "song"), env)
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        manager = subprocess.Popen(["openbox"], env=env, **quiet)
        ardour = subprocess.Popen(
            ["ardour", "--no-announcements", "--no-splash", Path(home, "song")],
            env=env,
            start_new_session=True,
            **quiet,
        )
        try:
            time.sleep(15.0)
            open_session()
            take(Screen())
        finally:
            os.killpg(ardour.pid, 9)
            ardour.wait()
            manager.terminate()
            manager.wait()


if __name__ == "__main__":
    main()
