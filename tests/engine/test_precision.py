"""precision="auto" is measured once, remembered, written into files, and the same when pinned."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiogen.engine import Synth, precision
from audiogen.errors import ParameterError
from audiogen.presets import load_preset

native = pytest.importorskip("audiogen._native")

Measured = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the measurements, in an empty cache of its own."""
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "_chosen", {})
    return tmp_path / "cache" / precision.CACHE_FILE


@pytest.fixture
def winds(write_murmur: Any, tmp_path: Path) -> Any:
    return load_preset(write_murmur(tmp_path / "winds", notes=True))


@pytest.fixture
def tiny(write_tiny: Any, tmp_path: Path) -> Any:
    return load_preset(write_tiny(tmp_path / "tiny"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """A function that fixes what a measurement finds; returns the names of measured presets."""

    def fix(**seconds: float) -> list[str]:
        names: list[str] = []

        def measure(preset: Any, candidates: tuple[str, ...]) -> dict[str, float]:
            names.append(preset.name)
            return {candidate: seconds[candidate] for candidate in candidates}

        monkeypatch.setattr(precision, "measure", measure)
        return names

    return fix


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new process knows: the file alone."""
    monkeypatch.setattr(precision, "_chosen", {})


@pytest.mark.parametrize(
    ("seconds", "fastest"),
    [
        ((1.0, 0.5, 0.2), "int8"),
        ((1.0, 0.5, 0.6), "bfloat16"),
        ((1.0, 0.95, 0.92), "float32"),  # within what a measurement repeats
        ((1.0, 0.5, 0.48), "bfloat16"),
        ((1.0, 2.0, 3.0), "float32"),
    ],
)
def test_the_fastest_is_chosen_and_close_calls_go_to_the_finer(winds, measured, seconds, fastest):
    measured(**dict(zip(("float32", "bfloat16", "int8"), seconds, strict=True)))
    assert precision.resolve_precision(winds, "auto") == fastest


def test_a_choice_is_measured_once_and_kept_on_disk(winds, measured, cache, monkeypatch):
    names = measured(float32=1.0, bfloat16=0.5, int8=0.2)
    assert [precision.resolve_precision(winds, "auto") for _ in range(2)] == ["int8", "int8"]
    assert names == ["winds"]
    forget(monkeypatch)
    measured(float32=0.1, bfloat16=0.5, int8=0.2)
    assert precision.resolve_precision(winds, "auto") == "int8"
    (entry,) = json.loads(cache.read_text()).values()
    assert entry["precision"] == "int8" and entry["seconds"]["bfloat16"] == 0.5
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]  # no draft is left


def test_another_machine_build_or_size_is_measured(
    winds, measured, monkeypatch, write_murmur, tmp_path
):
    measured(float32=1.0, bfloat16=0.5, int8=0.2)
    assert precision.resolve_precision(winds, "auto") == "int8"
    names = measured(float32=0.1, bfloat16=0.5, int8=0.2)
    for change in ("processor_name", "_build"):
        with monkeypatch.context() as patch:
            patch.setattr(precision, change, lambda: "another")
            assert precision.resolve_precision(winds, "auto") == "float32"
    larger = write_murmur(tmp_path / "larger")
    assert precision.resolve_precision(load_preset(larger), "auto") == "float32"
    assert names == ["winds", "winds", "larger"]


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"%s": 3}', '{"%s": {"precision": "int4"}}'])
def test_a_damaged_cache_is_measured_again(winds, measured, cache, damage):
    cache.parent.mkdir()
    key = precision._key(winds)
    cache.write_text(damage.replace("%s", key))
    measured(float32=1.0, bfloat16=0.5, int8=0.2)
    assert precision.resolve_precision(winds, "auto") == "int8"
    assert json.loads(cache.read_text())[key]["precision"] == "int8"


def test_a_cache_that_cannot_be_written_is_no_error(winds, measured, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "file" / "cache"))
    names = measured(float32=1.0, bfloat16=0.5, int8=0.2)
    assert [precision.resolve_precision(winds, "auto") for _ in range(2)] == ["int8", "int8"]
    assert names == ["winds"]


def test_a_synth_says_what_was_chosen_and_it_can_be_pinned(winds, measured):
    measured(float32=1.0, bfloat16=0.5, int8=0.2)
    synth, pinned = Synth(winds, precision="auto"), Synth(winds, precision="int8")
    assert synth.precision == "int8"
    notes = "C4:0.1 E4:0.1"
    assert np.array_equal(synth.render(notes), pinned.render(notes))
    assert pickle.loads(pickle.dumps(synth)).precision == "int8"


def test_auto_goes_on_with_the_next_preset(winds, tiny, measured, monkeypatch):
    monkeypatch.setattr(precision, "_bfloat16_rows", lambda: "none")
    measured(float32=1.0, bfloat16=0.5, int8=0.2)
    synth = Synth(tiny, precision="auto")
    assert synth.precision == "float32"
    synth.change_preset(winds)
    assert synth.precision == "int8"


def test_bfloat16_is_float32_where_that_is_faster(tiny, monkeypatch):
    monkeypatch.setattr(precision, "_bfloat16_rows", lambda: "float32")
    assert precision.resolve_precision(tiny, "bfloat16") == "float32"
    assert precision.resolve_precision(tiny, "auto") == "float32"
    assert precision.resolve_precision(tiny, "bfloat16", "cuda") == "bfloat16"  # which has none
    monkeypatch.setattr(precision, "_bfloat16_rows", lambda: "tiles")
    assert precision.resolve_precision(tiny, "bfloat16") == "bfloat16"


def test_a_gpu_computes_in_float32(winds):
    assert precision.resolve_precision(winds, "auto", "cuda") == "float32"


def test_presets_of_both_kinds_are_measured(winds, tiny):
    for preset in (winds, tiny):
        candidates = precision.PRECISIONS[preset.kind]
        if preset is tiny and native.bfloat16_rows() == "none":
            candidates = ("float32",)
        seconds = precision.measure(preset, candidates)
        assert list(seconds) == list(candidates) and all(0 < s < 60 for s in seconds.values())


def test_an_unknown_precision_lists_those_of_the_preset(tiny):
    with pytest.raises(
        ParameterError, match=r"'float16' is not supported by preset 'tiny'.*'auto'"
    ):
        Synth(tiny, precision="float16")


def test_a_rendered_file_says_how_it_was_made(winds, measured, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from audiogen.cli import render

    measured(float32=1.0, bfloat16=0.5, int8=0.2)
    output = tmp_path / "note.wav"
    options = ["--notes", "C4:0.1", "--preset", str(winds.folder), "--seed", "7"]
    done = CliRunner().invoke(render.app, [*options, "--precision", "auto", "-o", str(output)])
    assert done.exit_code == 0, done.output
    comment = soundfile.SoundFile(output).comment
    assert "preset winds (int8); seed 7; cpu, " in comment and comment.endswith(native.isa())


def test_a_batch_wants_a_precision_that_is_the_same_everywhere():
    from audiogen.batch import Job

    with pytest.raises(ParameterError, match="precision='auto', which depends on the machine"):
        Job("a.wav", notes="C4", precision="auto")


XCOMP = """
import ctypes, sys
import audiogen
audiogen.load("plucked", precision=sys.argv[1]).render("C4:0.1")
mask = ctypes.c_uint64()
ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(mask))  # arch_prctl, ARCH_GET_XCOMP_PERM
print(mask.value >> 18 & 1)
"""


def test_tile_registers_are_requested_for_bfloat16_only() -> None:
    if native.bfloat16_rows() != "tiles":
        pytest.skip("needs a CPU with AMX, and a system that permits it")
    for name, requested in (("float32", "0"), ("bfloat16", "1")):
        words = [sys.executable, "-c", XCOMP, name]
        environment = {**os.environ, "AUDIOGEN_ISA": ""}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
        assert done.stdout.split() == [requested]
