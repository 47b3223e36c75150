"""Takes the picture of `audiogen play` in docs/images/, with notes playing: run it after a change.

Wants jackd2, chromium and a monospaced font.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text
from soak import jack_server

IMAGE = Path(__file__).parents[1] / "images" / "play.png"
COLUMNS, ROWS = 80, 24
TRIES = 5  # the one with the fewest late blocks is kept
# Keys, and how long to wait after them, s.
PERFORMANCE = (("adg", 0.5), ("\x1b[C" * 7 + "\x1b[A" * 8 + "\x1b[C\x1b[A", 1.0), ("ktol", 0.3))


def last_frame() -> str:
    """What the terminal shows while the last chord sounds."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    shown = b""

    def watch(seconds: float) -> None:
        nonlocal shown
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if select.select([ours], [], [], left_s)[0]:
                shown += os.read(ours, 1 << 16)

    with jack_server(256) as (server, _):
        process = subprocess.Popen(
            [sys.executable, "-m", "audiogen.cli.main", "play", "woodwinds", "--midi", "virtual"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ
            | {"JACK_DEFAULT_SERVER": server, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        )
        while b"q quit" not in shown:
            watch(0.1)
        for keys, seconds in PERFORMANCE:
            os.write(ours, keys.encode())
            watch(seconds)
        os.write(ours, b"q")
        while process.poll() is None:
            watch(0.1)
    frames = shown.decode(errors="ignore").split("\x1b[H")
    frame = next(frame for frame in reversed(frames) if "q quit" in frame)
    return frame[: frame.rindex("╯") + 1]


def n_late(frame: str) -> int:
    """Late blocks, as the screen says."""
    plain = re.sub(r"\x1b\[[0-9;?>]*[A-Za-z]", "", frame)
    return int(re.findall(r"late blocks (\d+)", plain)[0])


def main() -> None:
    frame = min((last_frame() for _ in range(TRIES)), key=n_late)
    shown = re.sub(r"\x1b\[[0-9;?>]*[A-Zhlu]", "", frame).replace("\r", "").rstrip()
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)
    console.print(Text.from_ansi(shown))
    svg = console.export_svg(title="audiogen play woodwinds")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # from the net
    svg = svg.replace("Fira Code", "DejaVu Sans Mono")
    width, height = (
        float(number) for number in re.findall(r"[\d.]+", svg[svg.index("viewBox") :])[2:4]
    )
    with tempfile.TemporaryDirectory() as folder:
        page, picture = Path(folder, "play.html"), Path(folder, "play.png")
        page.write_text(f"<body style='margin:0;background:#111'>{svg}</body>")
        subprocess.run(
            [
                shutil.which("chromium") or "chromium",
                "--headless",
                "--no-sandbox",
                f"--screenshot={picture}",
                f"--window-size={round(width)},{round(height)}",
                str(page),
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        Image.open(picture).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(IMAGE)
    print(f"{IMAGE}: {n_late(frame)} late blocks")


if __name__ == "__main__":
    main()
