"""An X server without a screen for tests: its pictures, and a pointer that clicks and drags."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

SIZE = 2400, 1600  # of the screen, for a window of twice the usual size


class _Image(ctypes.Structure):
    """The first fields of XImage."""

    _fields_ = (
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("xoffset", ctypes.c_int),
        ("format", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("byte_order", ctypes.c_int),
        ("bitmap_unit", ctypes.c_int),
        ("bitmap_bit_order", ctypes.c_int),
        ("bitmap_pad", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("bytes_per_line", ctypes.c_int),
    )


class Screen:
    """A connection to the server: windows for a plug-in's editor, and what they show."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("X11")
        assert name is not None
        self.x11 = ctypes.CDLL(name)
        pointer, window = ctypes.c_void_p, ctypes.c_ulong
        for function, result in (
            ("XOpenDisplay", pointer),
            ("XDefaultRootWindow", window),
            ("XCreateSimpleWindow", window),
            ("XGetImage", ctypes.POINTER(_Image)),
        ):
            getattr(self.x11, function).restype = result
        self.display = pointer(self.x11.XOpenDisplay(None))
        assert self.display
        self.root = window(self.x11.XDefaultRootWindow(self.display))

    def open_window(self, width: int, height: int) -> int:
        """A window of a host at the upper left corner."""
        window = self.x11.XCreateSimpleWindow(self.display, self.root, 0, 0, width, height, 0, 0, 0)
        self.x11.XMapWindow(self.display, ctypes.c_ulong(window))
        self.x11.XSync(self.display, 0)
        return int(window)

    def destroy_window(self, window: int) -> None:
        self.x11.XDestroyWindow(self.display, ctypes.c_ulong(window))
        self.x11.XSync(self.display, 0)

    def picture(self, width: int, height: int) -> np.ndarray:
        """The screen's upper left part, [height, width, 3], uint8."""
        all_planes, z_pixmap = ctypes.c_ulong(0xFFFFFFFF), 2
        image = self.x11.XGetImage(
            self.display, self.root, 0, 0, width, height, all_planes, z_pixmap
        )
        fields = image.contents
        size = fields.bytes_per_line * height
        pixels = np.frombuffer(ctypes.string_at(fields.data, size), np.uint8)
        pixels = pixels.reshape(height, fields.bytes_per_line)[:, : 4 * width]
        self.x11.XDestroyImage(image)
        return pixels.reshape(height, width, 4)[:, :, 2::-1].copy()

    def close(self) -> None:
        self.x11.XCloseDisplay(self.display)


def xdotool(*words: object) -> None:
    """Moves and clicks the pointer by XTest."""
    subprocess.run(["xdotool", *map(str, words)], check=True)


def click(place: tuple[float, float], button: int = 1, repeat: int = 1) -> None:
    xdotool("mousemove", *place, "click", "--repeat", repeat, "--delay", 60, button)


def n_colours(picture: np.ndarray) -> int:
    return len(np.unique(picture.reshape(-1, 3), axis=0))


@contextmanager
def x_server() -> Iterator[str]:
    """Start a server; its name is in $DISPLAY meanwhile."""
    for program, package in (("Xvfb", "xvfb"), ("xdotool", "xdotool")):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (Debian: {package})")
    read, write = os.pipe()
    server = subprocess.Popen(
        [
            "Xvfb",
            "-displayfd",
            str(write),
            "-screen",
            "0",
            "{}x{}x24".format(*SIZE),
            "-nolisten",
            "tcp",
        ],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    before = os.environ.get("DISPLAY")
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            pytest.skip("Xvfb does not start")
        os.environ["DISPLAY"] = f":{number}"
        yield os.environ["DISPLAY"]
    finally:
        if before is None:
            os.environ.pop("DISPLAY", None)
        else:
            os.environ["DISPLAY"] = before
        server.terminate()
        server.wait()
