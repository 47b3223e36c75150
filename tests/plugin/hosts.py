"""Installed plug-ins, the programs that play them, and the samples that they should give."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import audiogen
from audiogen.notes import Control, Note, Score

ROOT = Path(__file__).parents[2]
PREFIX = os.environ.get("AUDIOGEN_PLUGIN_PREFIX", "")
LV2 = Path(PREFIX) / "lib" / "lv2" / "audiogen.lv2"
VST3 = Path(PREFIX) / "lib" / "vst3" / "audiogen.vst3"
PD = Path(PREFIX) / "lib" / "pd-externals" / "audiogen~"
RATE = 48000
RESAMPLING = 54  # samples that the resampler delays plucked by, from its 32 kHz to RATE
# Notes of the tests: start and duration (s), pitch, velocity, which MIDI can express.
NOTES = [(0.0, 0.25, 60.0, 1.0), (0.125, 0.25, 67.0, 1.0), (0.3125, 0.0625, 48.0, 1.0)]


def needs(path: Path, option: str, package: str) -> pytest.MarkDecorator:
    """Skips a file of tests without its plug-in."""
    return pytest.mark.skipif(
        not PREFIX or not path.exists(),
        reason=f"AUDIOGEN_PLUGIN_PREFIX must name a prefix with {path.name}: cmake -S csrc -B build"
        f" -D{option}=ON (Debian: {package})",
    )


def environment(**more: str) -> dict[str, str]:
    """The variables of a host: only the plug-in's own presets are found."""
    empty = tempfile.gettempdir() + "/audiogen-no-presets"
    kept = {k: v for k, v in os.environ.items() if k != "AUDIOGEN_PRESETS"}
    return kept | {"LV2_PATH": str(LV2.parent), "XDG_DATA_HOME": empty} | more


class Played(NamedTuple):
    """What a host wrote."""

    samples: np.ndarray  # [n_samples, 2], from the first sample after the latency
    raw: np.ndarray  # [n_samples, 2], all of them
    messages: str

    def numbers(self, word: str) -> list[float]:
        """Numbers that the host printed after a word."""
        return [float(n) for n in re.findall(rf"^{word} (\S+)$", self.messages, re.MULTILINE)]


@functools.cache
def lilv_host(compiler: str = "cc", *options: str) -> Path:
    """The host of lilv_host.c, compiled."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    packages = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "lilv-0"], capture_output=True, text=True, check=False
    )
    if packages.returncode != 0:
        pytest.skip("lilv is not installed (Debian: liblilv-dev pkg-config)")
    program = Path(tempfile.mkdtemp(prefix="audiogen-host-")) / "lilv_host"
    source = ROOT / "tests" / "plugin" / "lilv_host.c"
    flags = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *options]
    subprocess.run(
        [compiler, *flags, source, "-o", program, *packages.stdout.split(), "-lm"], check=True
    )
    return program


@functools.cache
def vst3_host(source: str, *more_libraries: str) -> Path:
    """A host of VST3 plug-ins in this folder, compiled."""
    headers = Path("/usr/include/vst3sdk")
    if not headers.exists() or not shutil.which("c++"):
        pytest.skip("the VST3 SDK or a compiler is not installed (Debian: libvst3sdk-dev g++)")
    [folder] = {path.parent for path in Path("/usr/lib").glob("**/vst3sdk/libsdk_hosting.a")}
    program = Path(tempfile.mkdtemp(prefix="audiogen-host-")) / "vst3_host"
    names = ("sdk_hosting", "sdk_common", "sdk", "base", "pluginterfaces")
    libraries = [folder / f"lib{name}.a" for name in names]
    flags = ["-std=c++17", "-O1", "-DDEVELOPMENT=1", "-isystem", headers]
    path = ROOT / "tests" / "plugin" / source
    more = ["-ldl", "-lpthread", *more_libraries]
    subprocess.run(["c++", *flags, path, "-o", program, *libraries, *more], check=True)
    return program


def play_lv2(
    script: str, *arguments: object, host: Path | None = None, check: bool = True, **variables: str
) -> Played:
    """Plays a script through the LV2 plug-in."""
    done = subprocess.run(
        [host or lilv_host(), *map(str, arguments)],
        input=script.encode(),
        capture_output=True,
        env=environment(**variables),
        check=False,
    )
    messages = done.stderr.decode()
    assert not check or done.returncode == 0, messages
    raw = np.frombuffer(done.stdout, "<f4").reshape(-1, 2)
    latency = re.search(r"^latency (\d+)$", messages, re.MULTILINE)
    return Played(raw[int(latency[1]) if latency else 0 :], raw, messages)


def script_of(
    notes: list[tuple[float, float, float, float]] = NOTES, rate: int = RATE, start: int = 0
) -> str:
    """Notes as a script of MIDI events that begins at a sample."""
    lines = []
    for at, duration, pitch, velocity in notes:
        on, off = (start + round(t * rate) for t in (at, at + duration))
        lines.append((on, 1, f"{on} midi 90 {round(pitch):x} {round(127 * velocity):x}"))
        lines.append((off, 0, f"{off} midi 80 {round(pitch):x} 0"))
    return "\n".join(line for _, _, line in sorted(lines))


@functools.cache
def rendered(preset: str = "plucked", rate: int = RATE, timbre: str | None = None) -> np.ndarray:
    """NOTES as `audiogen render` makes them, [n_samples, 2]."""
    folder = ROOT / "presets" / preset
    return audiogen.load(folder, sample_rate=rate).render(NOTES, timbre=timbre, stereo=True)


# MIDI messages of a zone of MPE with two notes, in hexadecimal, and the sample of each at RATE.
MPE = [
    *[(0, message) for message in ("b0 65 0", "b0 64 6", "b0 6 2")],
    *[(0, message) for message in ("e1 0 50", "91 3c 66", "92 43 66")],
    *[(4801, "d2 7f"), (7203, "b1 4a 0"), (9600, "e0 7f 7f"), (12001, "e2 0 30")],
]


@functools.cache
def rendered_mpe() -> np.ndarray:
    """MPE as `audiogen render` makes it of a file, [n_samples, 2]."""
    controls, notes = [], []
    for at, text in MPE:
        message = bytes(int(byte, 16) for byte in text.split())
        if message[0] >> 4 == 0x9:
            notes.append(Note(at / RATE, 0.6, message[1], message[2] / 127, 0, message[0] & 15))
        else:
            controls.append(Control(at / RATE, message[0] & 15, message))
    synth = audiogen.load(ROOT / "presets" / "plucked", sample_rate=RATE)
    return synth.render(Score(notes, controls), stereo=True)


def assert_same(samples: np.ndarray, expected: np.ndarray) -> None:
    """Holds the shorter one to the start of the other."""
    n = min(len(samples), len(expected))
    assert n > 4000 and np.abs(expected[:n]).max() > 0.01
    np.testing.assert_array_equal(samples[:n], expected[:n])


def fundamental(samples: np.ndarray, rate: int = RATE) -> float:
    """Frequency (Hz, from 50 to 1000) at which a sound repeats, by autocorrelation."""
    spectrum = np.abs(np.fft.rfft(samples - samples.mean(), 2 * len(samples))) ** 2
    lags = np.fft.irfft(spectrum)[: len(samples)]
    shortest = rate // 1000
    return rate / (shortest + int(np.argmax(lags[shortest : rate // 50])))


def run_python(program: str, *arguments: object, **variables: str) -> str:
    """Runs a host's program in its own process, and returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(**variables),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def exported(library: Path) -> set[str]:
    """Symbols that a library exports."""
    lines = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return {line.split()[-1] for line in lines}


def libraries(library: Path) -> set[str]:
    """Libraries that a library asks for itself."""
    lines = subprocess.run(
        ["readelf", "-d", library], capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"NEEDED.*\[(.*?)\.so", lines))


OWN_LIBRARIES = {"libstdc++", "libm", "libgcc_s", "libc", "ld-linux-x86-64", "libdl", "libpthread"}
