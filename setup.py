"""Builds `csrc/` with CMake and copies `presets/` and the sources of the plug-ins into the wheel.

Metadata lives in `pyproject.toml`. Environment variables read here:

AUDIOGEN_CUDA
    `off` (default): no CUDA library; `on`: compile it with the CUDA toolkit's `nvcc`, and fail if
    that is not possible; `auto`: compile it if `nvcc` is found. No GPU is needed to compile.
AUDIOGEN_WASM
    `auto` (default): compile the engine to WebAssembly, for pages without a server, if clang-22,
    lld-22, wasi-libc and libc++ for it are installed; `on`: fail if that is not possible; `off`.
CUDAARCHS
    GPU architectures in CMake's notation, such as `90`; default: one per generation.
CMAKE_BUILD_PARALLEL_LEVEL
    Number of compile jobs; default: one per core.
CMAKE_UNITY_BUILD
    `OFF` compiles each file separately, which takes twice the time but makes later builds faster.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist
from setuptools.errors import CompileError

ROOT = Path(__file__).parent.resolve()
CHOICES = ("off", "on", "auto")
# Debian: clang-22 lld-22 wasi-libc libclang-rt-22-dev-wasm32 libc++-22-dev-wasm32
WASM_TOOLS = ("clang++-22", "wasm-ld-22")
WASM_LIBRARIES = ("wasm32-wasi/libc.a", "wasm32-wasi/libc++.a")
WITHOUT_ENGINE = (
    ": audiogen is installed without its native engine. Install a C++20 compiler (g++ 12, clang 14"
    " or newer) and install audiogen again; `pip install 'audiogen-synth[fallback]'` brings a"
    " slower engine"
)

WITHOUT_MODULE = (
    ": `audiogen web --static` needs the engine as WebAssembly: apt-get install clang-22 lld-22"
    " wasi-libc libclang-rt-22-dev-wasm32 libc++-22-dev-wasm32, and install audiogen again"
)


class CMakeBuild(build_ext):
    """Configures and compiles `csrc/`, and installs the results beside the Python files."""

    def build_extension(self, ext: Extension) -> None:
        cuda, wasm = choice("AUDIOGEN_CUDA", "off"), choice("AUDIOGEN_WASM", "auto")
        if self.inplace or getattr(self, "editable_mode", False):
            for old in (ROOT / "audiogen").glob("_native.*"):
                old.unlink()  # otherwise a failed build would leave the old module in use
            for old in (ROOT / "audiogen" / "web" / "static").glob("*.wasm"):
                old.unlink()
        try:
            self.build_all(Path(self.get_ext_fullpath(ext.name)).resolve(), cuda)
        except CompileError as error:
            if cuda == "on":  # requested explicitly, so that its failure is an error
                raise SystemExit(str(error)) from error
            raise
        if wasm == "on" or (wasm == "auto" and has_wasm_tools()):
            try:
                self.build_wasm(Path(self.get_ext_fullpath(ext.name)).resolve().parent)
            except CompileError as error:
                if wasm == "on":
                    raise SystemExit(str(error)) from error
                self.warn(str(error))

    def build_wasm(self, package: Path) -> None:
        """Compile the module of the page and install it into a copy of the package."""
        build = Path(self.build_temp).resolve() / "wasm"
        build.mkdir(parents=True, exist_ok=True)
        cmake = find_program("cmake")
        run(
            cmake,
            *("-S", ROOT / "csrc", "-B", build, "-G", "Ninja"),
            f"-DCMAKE_MAKE_PROGRAM={find_program('ninja')}",
            f"-DCMAKE_TOOLCHAIN_FILE={ROOT / 'csrc' / 'wasm' / 'toolchain.cmake'}",
            "-DCMAKE_UNITY_BUILD=ON",
            "-DAUDIOGEN_WASM=ON",
            without=WITHOUT_MODULE,
        )
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        run(cmake, "--build", build, "--parallel", jobs, without=WITHOUT_MODULE)
        install = ("--install", build, "--prefix", package, "--component", "wasm")
        run(cmake, *install, without=WITHOUT_MODULE)

    def build_all(self, target: Path, cuda: str) -> None:
        """Configure, compile and install.

        A CompileError lets setuptools continue without the extension, which is optional.
        """
        if not has_cpp_compiler():
            raise CompileError(
                f"C++ compiler not found ($CXX, c++, g++ or clang++){WITHOUT_ENGINE}"
            )
        build = Path(self.build_temp).resolve() / "cmake"
        build.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        import pybind11

        cmake = find_program("cmake")
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        run(
            cmake,
            *("-S", ROOT / "csrc", "-B", build, "-G", "Ninja"),
            f"-DCMAKE_MAKE_PROGRAM={find_program('ninja')}",
            f"-DCMAKE_BUILD_TYPE={'Debug' if self.debug else 'Release'}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DAUDIOGEN_CUDA={cuda}",
            f"-DCMAKE_UNITY_BUILD={os.environ.get('CMAKE_UNITY_BUILD', 'ON')}",
            "-DAUDIOGEN_PYTHON=ON",
        )
        run(cmake, "--build", build, "--parallel", jobs)
        run(cmake, "--install", build, "--prefix", target.parent, "--component", "python")

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        package = ROOT / "audiogen"
        for library in Path(self.build_lib).glob("audiogen/libaudiogen_cuda.*"):
            self.copy_file(str(library), str(package / library.name))
        for module in Path(self.build_lib).glob("audiogen/web/static/*.wasm"):
            self.copy_file(str(module), str(package / "web" / "static" / module.name))


class BuildPy(build_py):
    """Adds `presets/` and `csrc/`, for `audiogen plugin install`, as `_presets` and `_csrc`."""

    def run(self) -> None:
        super().run()
        if not getattr(self, "editable_mode", False):
            for name in ("presets", "csrc"):
                copy = Path(self.build_lib) / "audiogen" / f"_{name}"
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(ROOT / name, copy)


class SourceDist(sdist):
    """Adds the files that a build from source needs in addition to the Python package."""

    def add_defaults(self) -> None:
        super().add_defaults()
        for folder in ("csrc", "presets", "tests"):
            files = (p for p in (ROOT / folder).rglob("*") if p.is_file())
            self.filelist.extend(
                str(p.relative_to(ROOT)) for p in files if "__pycache__" not in p.parts
            )


def choice(variable: str, default: str) -> str:
    """Value of an environment variable that is off, on or auto."""
    value = os.environ.get(variable, default).lower()
    if value not in CHOICES:
        raise SystemExit(f"{variable}={value!r} must be one of {', '.join(CHOICES)}")
    return value


def has_wasm_tools() -> bool:
    """Returns whether the toolchain of csrc/wasm/toolchain.cmake is installed."""
    return all(map(shutil.which, WASM_TOOLS)) and all(
        (Path("/usr/lib") / library).exists() for library in WASM_LIBRARIES
    )


def has_cpp_compiler() -> bool:
    """Returns whether one of the C++ compilers that CMake tries exists."""
    named = os.environ.get("CXX", "").split()[:1]
    return any(shutil.which(name) for name in (*named, "c++", "g++", "clang++"))


def find_program(name: str) -> str:
    """Returns the path of a build tool, on PATH or beside the interpreter."""
    beside_python = Path(sys.executable).parent / name
    found = shutil.which(name) or (str(beside_python) if beside_python.exists() else None)
    if found is None:
        raise CompileError(f"{name} not found: `pip install {name}` and build again")
    return found


def run(*command: str | Path, without: str = WITHOUT_ENGINE) -> None:
    """Runs one build step; raises CompileError if it fails."""
    arguments = [str(c) for c in command]
    status = subprocess.run(arguments, check=False).returncode
    if status != 0:
        command_line = " ".join(arguments)
        raise CompileError(f"build step failed with status {status}: {command_line}{without}")


setup(
    ext_modules=[Extension("audiogen._native", sources=[], optional=True)],
    cmdclass={"build_ext": CMakeBuild, "build_py": BuildPy, "sdist": SourceDist},
)
