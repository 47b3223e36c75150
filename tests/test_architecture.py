"""Holds imports, includes, folders and opening comments to the tables of the design."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

# --- The tables ---------------------------------------------------------------------------------

# The parts of `audiogen` that each part may import. It may also import `errors`, `core`, and
# whatever those parts may import in their turn. None: everything.
PACKAGE: dict[str, set[str] | None] = {
    "__init__": {"engine"},
    "errors": set(),
    "core": set(),
    "_fallback": {"ops", "models", "representation"},
    "ops": set(),
    "representation": {"ops"},
    "models": {"representation", "ops"},
    "notes": set(),
    "audio": set(),
    "presets": {"models", "notes"},
    "engine": {"presets", "notes"},
    "devices": set(),
    "plugins": set(),
    "data": {"representation", "audio", "notes"},
    "objectives": {"representation", "models"},
    "training": {"data", "objectives", "models", "engine"},
    "evaluation": {"data", "objectives", "models", "engine"},
    "export": {"models", "engine"},
    "batch": {"engine", "evaluation"},
    "bench": {"training", "evaluation", "devices"},
    "studies": {"training", "evaluation", "batch", "devices"},
    "cli": None,
    "web": None,
}
# Imports beside the table, each with its reason.
PACKAGE_EXCEPTIONS = {
    ("audio", "notes"): "plots name the pitches of their axis",
    ("bench", "_fallback"): "the numba kernels are a peer of the native ones",
    ("core", "_fallback"): "the backend is chosen in core, inside of a function",
    ("engine", "devices"): "Synth.play opens the sound card, inside of a function",
    ("training", "evaluation"): "an export measures the preset that it wrote",
}
NATIVE_USERS = {"core", "bench"}  # parts that import `audiogen._native` itself

# Packages that take long to import. The parts named here import them when they are loaded, all
# others inside of functions, so that `import audiogen` and `audiogen --help` stay quick.
HEAVY = {"torch", "torchaudio", "numba", "librosa", "scipy", "matplotlib", "soundfile", "pydantic"}
HEAVY_ALLOWED = {
    "data": {"pydantic"},
    "models": {"torch"},
    "representation": {"torch", "torchaudio"},
    "training": {"torch", "torchaudio", "pydantic"},
    "evaluation/domains/algorithms.py": {"torch"},
    "evaluation/domains/network.py": {"torch"},
    "export/frame_network.py": {"torch"},
    "export/onnx_graph.py": {"torch"},
    "export/torchscript.py": {"torch"},
    "objectives": {"torch", "torchaudio"},
    "studies/representations.py": {"torch"},
    "studies/oracle.py": {"torch"},
    "studies/samplernn_tiers.py": {"torch"},
    "studies/spoiled_notes.py": {"torch"},
    "studies/wgan_gp.py": {"torch"},
    "studies/wgan_gp_spectra.py": {"torch"},
    "_fallback": {"numba", "scipy"},
    "ops/_tensors.py": {"torch"},  # imported for tensors only
    "ops/_frames.py": {"torch"},
}

# The folders whose headers each folder of `csrc` may include beside its own, and libraries.
ENGINE_AND_BELOW = {"engine", "presets", "models", "kernels", "core"}
NATIVE: dict[str, tuple[set[str], tuple[str, ...]]] = {
    "core": (set(), ()),
    "kernels": ({"core"}, ()),
    "models": ({"kernels", "core"}, ()),
    "presets": ({"models", "core"}, ()),
    "engine": ({"presets", "models", "kernels", "core"}, ()),
    "capi": (ENGINE_AND_BELOW, ()),
    "plugin": ({"capi"}, ("lv2/", "pluginterfaces/", "public.sdk/", "m_pd.h", "cairo/", "X11/")),
    "wasm": ({"capi"}, ()),
    "bindings": (ENGINE_AND_BELOW | {"capi"}, ("pybind11/",)),
    "cuda": ({"models", "kernels", "core"}, ("cuda_runtime.h",)),
}
SYSTEM_HEADERS = {
    "immintrin.h",
    "arm_neon.h",
    "stdint.h",
    "stddef.h",
    "sys/mman.h",
    "dlfcn.h",
    "cpuid.h",
    "pthread.h",
    "sched.h",
    "sys/syscall.h",
    "unistd.h",
}
# Launches of kernels implement the C interface in cuda/, so the .cu files include it.
CUDA_SOURCES = ({"kernels", "core", "models", "cuda"}, ("cuda_runtime.h",))

# Folders with more files than a reader takes in at once, `__init__.py` not counted; a header and
# its source count once. Only remove from this list.
MOST_FILES = 13
LARGE_FOLDERS = {"audiogen/cli"}  # a file for each command

# --- Reading imports and includes ---------------------------------------------------------------


def python_files() -> list[Path]:
    return sorted((ROOT / "audiogen").rglob("*.py"))


def native_files() -> list[Path]:
    return sorted(p for p in (ROOT / "csrc").rglob("*") if p.suffix in {".h", ".cpp", ".cu"})


def allowed_parts(part: str) -> set[str] | None:
    """All parts that a part may import, directly or through the parts that it may import."""
    found, pending = {part, "errors", "core"}, [part]
    while pending:
        direct = PACKAGE[pending.pop()]
        if direct is None:
            return None
        pending += direct - found
        found |= direct
    return found


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


def includes(text: str) -> list[tuple[str, str]]:
    """Opening bracket and name of each included file."""
    return re.findall(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', text, re.MULTILINE)


def package_of(relative: str) -> tuple[str, ...]:
    return ("audiogen", *relative.split("/")[:-1])


def python_faults(relative: str, text: str) -> list[str]:
    """Imports of the file `audiogen/<relative>` that the tables forbid."""
    part = relative.split("/")[0].removesuffix(".py")
    if part not in PACKAGE:
        return [f"audiogen/{part} is not in the table PACKAGE"]
    allowed = allowed_parts(part)
    heavy = HEAVY - HEAVY_ALLOWED.get(part, set()) - HEAVY_ALLOWED.get(relative, set())
    faults = []
    for name, on_loading, line in imports(text, package_of(relative)):
        package, *rest = name.split(".")
        if package in heavy and on_loading:
            faults.append(f"{relative}:{line}: import {package} inside of the function")
        if package != "audiogen" or not rest or allowed is None or rest[0] == "__version__":
            continue
        if rest[0] == "_native":
            fine = part in NATIVE_USERS
        else:
            fine = rest[0] in allowed or (part, rest[0]) in PACKAGE_EXCEPTIONS
        if not fine:
            faults.append(f"{relative}:{line}: {part} may not import {name}")
    return faults


def native_faults(relative: str, text: str) -> list[str]:
    """Includes of the file `csrc/<relative>` that the table forbids."""
    folder = relative.split("/")[0]
    if folder not in NATIVE:
        return [f"csrc/{folder} is not in the table NATIVE"]
    folders, libraries = CUDA_SOURCES if relative.endswith(".cu") else NATIVE[folder]
    faults = []
    for bracket, name in includes(text):
        if bracket == '"':
            fine = name.split("/")[0] in folders | {folder}
        else:
            fine = "." not in name or name in SYSTEM_HEADERS or name.startswith(libraries)
        if not fine:
            faults.append(f"{relative}: {folder} may not include {name}")
    return faults


def python_graph() -> dict[str, set[str]]:
    """For each module the modules of the package that it imports when it is loaded."""
    files = {}
    for path in python_files():
        parts = ("audiogen", *path.relative_to(ROOT / "audiogen").with_suffix("").parts)
        files[".".join(parts).removesuffix(".__init__")] = path
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        graph[module] = set()
        package = package_of(path.relative_to(ROOT / "audiogen").as_posix())
        for name, on_loading, _ in imports(path.read_text(), package):
            wanted = name if name in files else name.rpartition(".")[0]
            if on_loading and wanted in files and wanted != "audiogen":
                graph[module].add(wanted)
    return graph


def native_graph() -> dict[str, set[str]]:
    """For each file of `csrc` the files of `csrc` that it includes."""
    return {
        path.relative_to(ROOT / "csrc").as_posix(): {
            name for bracket, name in includes(path.read_text()) if bracket == '"'
        }
        for path in native_files()
    }


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Nodes of one circle of a graph, the first one repeated at the end; empty without one."""
    done: set[str] = set()
    path: list[str] = []

    def visit(node: str) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        path.append(node)
        for follower in sorted(graph.get(node, ())):
            if found := visit(follower):
                return found
        path.pop()
        done.add(node)
        return []

    for node in sorted(graph):
        if found := visit(node):
            return found
    return []


# --- The checks ---------------------------------------------------------------------------------


def test_imports_and_includes_follow_the_tables():
    faults = []
    for path in python_files():
        relative = path.relative_to(ROOT / "audiogen").as_posix()
        faults += python_faults(relative, path.read_text())
    for path in native_files():
        faults += native_faults(path.relative_to(ROOT / "csrc").as_posix(), path.read_text())
    assert not faults, "\n".join(faults)


def test_files_form_no_circle():
    assert circle(python_graph()) == []
    assert circle(native_graph()) == []


def test_every_file_opens_with_its_purpose():
    missing = []
    for path in python_files():
        if not ast.get_docstring(ast.parse(path.read_text())):
            missing.append(f"{path.relative_to(ROOT)} has no opening docstring")
    for path in native_files():
        if not path.read_text().startswith(("// ", "/* ")):
            missing.append(f"{path.relative_to(ROOT)} has no opening comment")
    assert not missing, "\n".join(missing)


def test_large_folders_have_chapters():
    names: dict[str, set[str]] = {}
    for path in [*python_files(), *native_files()]:
        if path.name != "__init__.py":
            names.setdefault(path.parent.relative_to(ROOT).as_posix(), set()).add(path.stem)
    large = {folder for folder, files in names.items() if len(files) > MOST_FILES}
    assert large <= LARGE_FOLDERS, f"part into sub-folders: {sorted(large - LARGE_FOLDERS)}"
    assert large >= LARGE_FOLDERS, f"no longer large: {sorted(LARGE_FOLDERS - large)}"


def test_import_is_light():
    code = (
        "import sys, audiogen, audiogen.ops;"
        f"print([m for m in {sorted(HEAVY)} if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_the_checks_find_faults():
    for relative, text in [
        ("ops/x.py", "from audiogen.models import gansynth"),
        ("ops/x.py", "from ..engine import Synth"),
        ("engine/x.py", "def f():\n    import audiogen.cli"),
        ("engine/x.py", "from audiogen.training import run"),
        ("notes/x.py", "import audiogen._native"),
        ("notes/x.py", "import librosa.core"),
        ("cli/x.py", "import torch"),
        ("unheard_of/x.py", ""),
    ]:
        assert len(python_faults(relative, text)) == 1, text
    for relative, text in [
        ("core/x.h", '#include "kernels/vec.h"'),
        ("core/x.h", '#include "math.h"'),
        ("models/x.cpp", '#  include "engine/voice.h"'),
        ("presets/x.cpp", '#include "engine/voice.h"'),
        ("plugin/x.cpp", '#include "engine/voice.h"'),
        ("engine/x.cpp", "#include <pybind11/pybind11.h>"),
        ("kernels/x_cpu.cpp", '#include "cuda/launch.h"'),
        ("bindings/x.cpp", "#include <torch/extension.h>"),
        ("unheard_of/x.cpp", ""),
    ]:
        assert len(native_faults(relative, text)) == 1, text
    assert circle({"a": ["b"], "b": ["c", "d"], "c": [], "d": ["b"]}) == ["b", "d", "b"]
    assert circle({"a": ["b", "c"], "b": ["c"], "c": []}) == []
