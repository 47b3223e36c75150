"""Both backends have the same names, parameters and signatures, and the package runs on either."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from audiogen import _fallback as fallback
from audiogen.core import backend
from audiogen.core.events import EVENT
from audiogen.errors import MissingPackageError

native = backend.find()
ROOT = Path(__file__).parents[2]

# Names that product code never asks `backend.load` for: `FrameStream` and instruction sets are for
# benchmarks, `GruLoop` is for training, tables are for GPUs, all of which need the compiled module;
# the others are for tests.
NATIVE_ONLY = {
    *("FrameStream", "GruLoop", "available_isas", "band_map", "event_dtype", "isa"),
    *("read_safetensors", "FrameTable", "SampleTable", "bfloat16_rows"),
    *("peak", "read_floats", "CardOutput"),
}
NATIVE_ONLY_METHODS = {("Generator", "stream")}


def public(owner: Any) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


def native_signature(function: Any) -> dict[str, bool]:
    """Names of the arguments of a bound function, and whether each has a default."""
    line = function.__doc__.splitlines()[0]
    inner = line[line.index("(") + 1 : line.rindex(") ->")]
    inner = re.sub(r"\[[^\[\]]*\]", "", re.sub(r"\[[^\[\]]*\]", "", inner))  # types
    inner = re.sub(r"= \([^)]*\)", "= x", inner)  # tuples
    arguments = [part.strip() for part in inner.split(",") if ":" in part]
    names = {part.split(":")[0]: "=" in part for part in arguments}
    names.pop("self", None)
    return names


def signature(function: Any) -> dict[str, bool]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default is not p.empty for p in parameters if p.name != "self"}


@pytest.mark.skipif(native is None, reason="audiogen._native is not built")
class TestNames:
    def test_parameters(self) -> None:
        assert fallback.parameters == native.parameters

    def test_events(self) -> None:
        assert native.event_dtype == EVENT

    @pytest.mark.parametrize(
        "name", [name for name in public(native) if name not in NATIVE_ONLY] if native else []
    )
    def test_every_name_has_the_native_signature(self, name: str) -> None:
        ours, theirs = getattr(fallback, name), getattr(native, name)
        if not inspect.isclass(theirs):
            assert not callable(theirs) or signature(ours) == native_signature(theirs)
            return
        if name not in ("AnyInstrument", "Preset"):  # which have no constructor in Python
            assert signature(ours) == native_signature(theirs.__init__)
        for method in public(theirs):
            if (name, method) in NATIVE_ONLY_METHODS:
                continue
            if callable(getattr(theirs, method)):
                mine = signature(getattr(ours, method))
                assert mine == native_signature(getattr(theirs, method)), method

    def test_every_property_exists(self, write_tiny, tmp_path) -> None:
        from audiogen.engine.instrument import OpenPreset
        from audiogen.presets import load_preset

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backend, "load", lambda: fallback)
            opened = OpenPreset(load_preset(write_tiny(tmp_path / "tiny")))
            engines = {
                "Engine": opened.engine(8000, 2, 0),
                "LiveEngine": opened.live_engine(8000, 64, 2, 0, None),
                "MidiReader": fallback.MidiReader(),
            }
        for name, engine in engines.items():
            missing = set(public(getattr(native, name))) - set(public(engine))
            assert not missing, name


def test_unknown_names_are_refused() -> None:
    for name in ("nothing", "_private", "__wrapped__"):
        with pytest.raises(AttributeError, match=name):
            getattr(fallback, name)


def test_the_twin_does_not_import_the_engine() -> None:
    code = (
        "import sys\n"
        "from audiogen._fallback import engine, frame_instrument, live_engine, midi\n"
        "from audiogen._fallback import sample_instrument\n"
        "print('torch' in sys.modules)"
    )
    assert run(code) == "False"
    for path in (ROOT / "audiogen" / "_fallback").glob("*.py"):
        assert "audiogen.engine" not in path.read_text(), path


def run(code: str, *arguments: str) -> str:
    """What a program prints in an interpreter of its own."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_package_works_without_the_compiled_module(
    write_tiny: Any, write_murmur: Any, tmp_path: Path
) -> None:
    tiny, murmur = write_tiny(tmp_path / "tiny"), write_murmur(tmp_path / "murmur")
    code = """
import sys

sys.modules["audiogen._native"] = None  # before anything else is imported
import numpy as np

import audiogen
from audiogen.presets import find_presets

tiny, murmur = sys.argv[1:]
note = audiogen.load(tiny).render("C4:0.05")
assert len(note) > 800 and note.any()

audio = audiogen.load(murmur).generate(0.1)
assert audio.shape == (800,) and audio.any()
more = audiogen.load(murmur).generate(0.1, prompt=audio)
assert more.shape == (800,) and more.any()

synth = audiogen.load(tiny)
synth.note_on(60)
synth.bend = 0.5
played = synth.process(512)
assert played.shape == (512, 2) and synth.n_sounding == 1
synth.change_preset(murmur)
synth.note_on()
assert np.concatenate([synth.process(256) for _ in range(4)]).any()

try:
    audiogen.Synth(tiny, realtime=True)
except audiogen.errors.MissingPackageError as error:
    assert "C++20 compiler" in str(error)
else:
    raise AssertionError("a thread needs the compiled module")
print(len(find_presets()) > 0)
"""
    assert run(code, str(tiny), str(murmur)) == "True"


@pytest.fixture
def fresh_find() -> Any:
    """The search for the compiled module, as if nothing had been found yet."""
    backend.find.cache_clear()
    backend.load.cache_clear()
    yield
    backend.find.cache_clear()
    backend.load.cache_clear()


def test_the_backend_is_chosen_once(monkeypatch: pytest.MonkeyPatch, fresh_find: None) -> None:
    monkeypatch.setitem(sys.modules, "audiogen._native", None)  # importing it fails
    with pytest.warns(RuntimeWarning, match=r"C\+\+20 compiler") as warned:
        modules: list[ModuleType] = [backend.load() for _ in range(2)]
    assert modules == [fallback, fallback] and len(warned) == 1
    with pytest.raises(MissingPackageError, match=r"C\+\+20 compiler"):
        backend.require()
