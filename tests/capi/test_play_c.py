"""The C example plays, through the installed library, the samples of Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiogen

ROOT = Path(__file__).parents[2]
PREFIX = os.environ.get("AUDIOGEN_CAPI_PREFIX", "")

pytestmark = [
    pytest.mark.skipif(
        not PREFIX,
        reason="AUDIOGEN_CAPI_PREFIX must name the prefix where libaudiogen is installed:"
        " cmake -S csrc -B build -DAUDIOGEN_CAPI=ON",
    ),
    pytest.mark.skipif(not shutil.which("cc"), reason="a C compiler is not installed (cc)"),
    pytest.mark.skipif(not shutil.which("pkg-config"), reason="pkg-config is not installed"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C example, compiled by the installed header, library and pkg-config file."""
    description = next(Path(PREFIX).rglob("audiogen.pc"))
    environment = os.environ | {"PKG_CONFIG_PATH": str(description.parent)}
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "audiogen"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    program = tmp_path_factory.mktemp("c") / "play"
    source = ROOT / "examples" / "c" / "play.c"
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *warnings, source, "-o", program, *flags], check=True)
    return program


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    library = next(Path(PREFIX).rglob("libaudiogen.so")).parent
    return subprocess.run(
        [program, *map(str, arguments)],
        env=os.environ | {"LD_LIBRARY_PATH": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_chord_is_the_same_in_c_and_in_python(program: Path, tmp_path: Path) -> None:
    done = run(program, ROOT / "presets" / "plucked", tmp_path / "chord.wav")
    assert done.returncode == 0, done.stderr
    by_c, rate = soundfile.read(tmp_path / "chord.wav", dtype="float32")
    synth = audiogen.load("plucked", sample_rate=rate)
    by_python = synth.render("[C4 E4 G4]:1", stereo=True)
    assert by_c.shape == (2 * rate, 2)
    np.testing.assert_array_equal(by_c, by_python[: len(by_c)])


def test_every_preset_has_its_golden_hash() -> None:
    library = next(Path(PREFIX).rglob("libaudiogen.so"))
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("play_hashes.py"), library],
        env=os.environ | {"AUDIOGEN_ISA": "baseline"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    golden = json.loads((ROOT / "tests" / "golden" / "hashes.json").read_text(encoding="utf-8"))
    expected = {
        (name, rate): sound
        for name, rates in golden["hashes"].items()
        for rate, sound in rates.items()
    }
    played = {tuple(line.split()[:2]): line.split()[2] for line in done.stdout.splitlines()}
    assert played == expected


def test_a_free_preset_too(program: Path, tmp_path: Path) -> None:
    done = run(program, ROOT / "presets" / "speech-sketch", tmp_path / "speech.wav")
    assert done.returncode == 0, done.stderr
    by_c, rate = soundfile.read(tmp_path / "speech.wav", dtype="float32")
    assert np.isfinite(by_c).all() and np.abs(by_c[: rate // 2]).max() > 0.01


def test_a_missing_preset_is_named(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path / "nowhere", tmp_path / "out.wav")
    assert done.returncode != 0 and "nowhere" in done.stderr
