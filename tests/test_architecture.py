"""Imports and includes go one way: kernels <- representation <- models <- engine <- doors."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each part of `audiogen` may import of the others, beside `errors` and `core`.
ALL_MAY = {"errors", "core"}
PACKAGE = {
    "__init__": {"engine"},
    "errors": set(),
    "core": {"_fallback"},  # the backend is chosen here, when it is first asked for
    "_fallback": {"representation", "ops", "presets"},
    "ops": set(),
    "representation": {"ops"},
    "models": {"representation", "ops"},
    "notes": set(),
    "audio": {"notes"},
    "presets": {"models", "notes"},
    "engine": {"ops", "presets", "notes", "representation"},
    "devices": {"engine"},
    "data": {"representation", "audio", "notes"},
    "objectives": {"representation", "models"},
    "training": {"data", "objectives", "models", "representation", "ops", "presets"}
    | {"evaluation", "engine", "audio"},  # an export measures and previews what it made
    "evaluation": {"data", "objectives", "models", "representation", "ops", "presets", "engine"}
    | {"audio"},
    "bench": {"engine", "training", "evaluation", "objectives", "data", "models"}
    | {"representation", "ops", "presets", "notes", "audio"},
    "web": {"engine", "presets", "notes"},
    "cli": None,  # everything
}

NATIVE_USERS = {"core", "bench"}

# What the files of each folder of `csrc` may include: own folders, then libraries by prefix.
NATIVE: dict[str, tuple[set[str], tuple[str, ...]]] = {
    "core": ({"core"}, ()),
    "kernels": ({"kernels", "core"}, ()),
    "models": ({"models", "kernels", "core"}, ()),
    "engine": ({"engine", "models", "kernels", "core"}, ()),
    "bindings": ({"bindings", "engine", "models", "kernels", "core"}, ("pybind11/",)),
    "cuda": ({"cuda", "kernels", "core"}, ("cuda_runtime.h",)),
    "plugin": ({"plugin", "engine", "models", "kernels", "core"}, ("lv2/", "pluginterfaces/")),
}
SYSTEM_HEADERS = {"immintrin.h", "arm_neon.h", "stdint.h", "sys/mman.h"}
# Launches of kernels stand behind the C interface, so the .cu files know it.
CUDA_SOURCES = ({"kernels", "core", "cuda"}, ("cuda_runtime.h",))

# Packages that only some parts may import when they are loaded; the rest import them inside of
# functions, so that `import audiogen` and `audiogen --help` stay quick.
HEAVY = {"torch", "torchaudio", "numba", "librosa", "scipy", "matplotlib", "soundfile", "pydantic"}
HEAVY_ALLOWED = {
    "data": {"pydantic"},
    "models": {"torch"},
    "representation": {"torch", "torchaudio"},
    "training": {"torch", "torchaudio", "pydantic"},
    "objectives": {"torch", "torchaudio"},
    "_fallback": {"numba", "scipy"},
    "presets": {"pydantic"},
}


def python_files() -> list[Path]:
    return sorted((ROOT / "audiogen").rglob("*.py"))


def native_files() -> list[Path]:
    return sorted(p for p in (ROOT / "csrc").rglob("*") if p.suffix in {".h", ".cpp", ".cu"})


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "audiogen").parts[0].removesuffix(".py")


def imports(text: str, package: tuple[str, ...]) -> Iterator[tuple[str, bool, int]]:
    """Modules that a file of `package` imports: absolute name, whether on loading, line."""
    tree = ast.parse(text)
    inner = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_type_checking(node)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else [])))
            names = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node not in inner, node.lineno


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def python_faults(relative: str, text: str) -> list[str]:
    """What the imports of the file `audiogen/<relative>` break."""
    part = relative.split("/")[0].removesuffix(".py")
    allowed = PACKAGE[part]
    heavy = HEAVY - HEAVY_ALLOWED.get(part, set()) - HEAVY_ALLOWED.get(relative, set())
    faults = []
    for name, on_loading, line in imports(text, ("audiogen", *relative.split("/")[:-1])):
        package, *rest = name.split(".")
        if package in heavy and on_loading:
            faults.append(f"{relative}:{line}: import {package} inside of the function")
        if package != "audiogen" or not rest or allowed is None or rest[0] == "__version__":
            continue
        fine = (
            part in NATIVE_USERS if rest[0] == "_native" else rest[0] in allowed | {part} | ALL_MAY
        )
        if not fine:
            faults.append(f"{relative}:{line}: {part} may not import {name}")
    return faults


def native_faults(relative: str, text: str) -> list[str]:
    """What the includes of the file `csrc/<relative>` break."""
    folder = relative.split("/")[0]
    folders, libraries = CUDA_SOURCES if relative.endswith(".cu") else NATIVE[folder]
    faults = []
    for bracket, name in re.findall(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', text, re.MULTILINE):
        if bracket == '"':
            fine = name.split("/")[0] in folders
        else:
            fine = "." not in name or name in SYSTEM_HEADERS or name.startswith(libraries)
        if not fine:
            faults.append(f"{relative}: {folder} may not include {name}")
    return faults


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_python_imports(path):
    assert part_of(path) in PACKAGE, f"audiogen/{part_of(path)} is not in the table of this test"
    relative = path.relative_to(ROOT / "audiogen").as_posix()
    assert python_faults(relative, path.read_text()) == []


@pytest.mark.parametrize("path", native_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_native_includes(path):
    relative = path.relative_to(ROOT / "csrc").as_posix()
    assert native_faults(relative, path.read_text()) == []


@pytest.mark.parametrize(
    ("relative", "text"),
    [
        ("ops/x.py", "from audiogen.models import gansynth"),
        ("ops/x.py", "from ..engine import Synth"),
        ("engine/x.py", "def f():\n    import audiogen.cli"),
        ("notes/x.py", "import audiogen._native"),
        ("notes/x.py", "import librosa.core"),
        ("cli/x.py", "import torch"),
    ],
)
def test_wrong_imports_are_found(relative, text):
    assert len(python_faults(relative, text)) == 1


@pytest.mark.parametrize(
    ("relative", "text"),
    [
        ("core/x.h", '#include "kernels/vec.h"'),
        ("core/x.h", '#include "math.h"'),
        ("models/x.cpp", '#  include "engine/voice.h"'),
        ("engine/x.cpp", "#include <pybind11/pybind11.h>"),
        ("kernels/x_cpu.cpp", '#include "cuda/launch.h"'),
        ("bindings/x.cpp", "#include <torch/extension.h>"),
    ],
)
def test_wrong_includes_are_found(relative, text):
    assert len(native_faults(relative, text)) == 1


@pytest.mark.parametrize("path", python_files() + native_files(), ids=lambda p: p.name)
def test_every_file_says_what_lives_in_it(path):
    text = path.read_text()
    if path.suffix == ".py":
        said = ast.get_docstring(ast.parse(text))
        assert said, f"{path.relative_to(ROOT)} has no opening docstring"
    else:
        assert text.startswith("// "), f"{path.relative_to(ROOT)} has no opening comment"


def test_import_is_light():
    code = (
        "import sys, audiogen, audiogen.ops;"
        f"print([m for m in {sorted(HEAVY)} if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
