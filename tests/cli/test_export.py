"""`audiogen export`: what it writes and prints, and its messages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

HINT = 'pip install "audiogen-synth[export]"'


def test_sfz_is_written_and_named(call: Any, folder: Path):
    result = call(
        "export plucked --format sfz --timbre guitar --timbre harp --step 12 --velocities 1"
        " --audio wav"
    )
    assert result.status == 0, result.err
    assert result.out.split() == ["plucked-sfz/guitar.sfz", "plucked-sfz/harp.sfz"]
    assert len(list(Path("plucked-sfz/harp").glob("*.wav"))) == 5
    again = call("export plucked --format sfz --timbre harp")
    assert again.status == 2 and "exists and isn't an empty folder" in again.err


def test_onnx_and_nn_tilde_are_written_and_named(call: Any, folder: Path):
    pytest.importorskip(
        "torch", reason='torch isn\'t installed; pip install "audiogen-synth[export]"'
    )
    result = call("export plucked --format nn~")
    assert result.status == 0, result.err
    assert result.out.startswith("plucked.ts  inlets: pitch") and Path("plucked.ts").is_file()
    pytest.importorskip(
        "onnx", reason='onnx isn\'t installed; pip install "audiogen-synth[export]"'
    )
    result = call("export plucked --format onnx -o out/p.onnx")
    assert result.status == 2 and "out" in result.err  # no such folder
    result = call("export plucked --format onnx -o p.onnx")
    assert result.status == 0, result.err
    assert result.out.startswith("p.onnx  inputs z, pitch, velocity, noise_0")
    assert Path("p.onnx").stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nothing --format sfz", "'nothing'"),
        ("plucked --format mp3", "mp3"),
        ("plucked", "--format"),
        ("plucked --format sfz --step 0", "step=0 must be"),
        ("plucked --format sfz --velocities 9", "velocities=9 must be"),
        ("plucked --format sfz --audio mp3", "file_format='mp3' must be one of flac, wav"),
        ("plucked --format sfz --timbre hrap", "timbre 'hrap' not found"),
        ("plucked --format onnx --velocities 2", "--velocities is for --format sfz"),
        ("plucked --format onnx --timbre harp", "--timbre is for --format sfz, sf2 or nn~"),
        ("plucked --format onnx -o x.ts", "--output x.ts must end in .onnx"),
        ("plucked --format nn~ -o x.onnx", "--output x.onnx must end in .ts"),
        ("plucked --format nn~ --sample-rate 10", "sample_rate=10 must be"),
        ("plucked --format nn~ --timbre harp --timbre guitar", "--timbre can be given once"),
        ("plucked --format sf2 --audio wav", "--audio is for --format sfz"),
        ("plucked --format sf2 -o here.sfz", "--output here.sfz must end in .sf2"),
        ("murmur --format sf2", "sf2 is not supported by preset 'murmur'"),
        ("murmur --format sfz", "sfz is not supported by preset 'murmur'"),
        ("murmur --format onnx", "onnx is not supported by preset 'murmur'"),
        ("winds --format nn~", "nn~ is not supported by preset 'winds', a samplernn"),
    ],
)
def test_bad_input_is_named(call: Any, folder: Path, murmur: Path, line: str, said: str):
    pytest.importorskip(
        "torch", reason='torch isn\'t installed; pip install "audiogen-synth[export]"'
    )
    result = call(f"export {line}")
    assert result.status == 2
    assert said in " ".join(result.err.split()) and "Traceback" not in result.err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("package", "format_"), [("onnx", "onnx"), ("torch", "nn~")])
def test_a_missing_package_is_named(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, package: str, format_: str
):
    pytest.importorskip("torch", reason=f"torch isn't installed; {HINT}")
    monkeypatch.setitem(sys.modules, package, None)
    result = call(f"export plucked --format {format_}")
    assert result.status == 2
    assert f"exporting to {format_} needs {package}" in result.err
    assert HINT in result.err
