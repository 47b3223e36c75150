"""Builds `csrc/` with one CMake build and carries `presets/` into the wheel.

Metadata lives in `pyproject.toml`. Environment variables read here:

AUDIOGEN_CUDA
    `auto` (default): build the CUDA library where the CUDA toolkit's `nvcc` is found; `on`: fail
    without it; `off`: never. A GPU is not asked for.
CMAKE_BUILD_PARALLEL_LEVEL
    Compile jobs; default is one for each core.
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
CUDA_CHOICES = ("auto", "on", "off")
LEFT = (
    ": audiogen is installed without its native engine, and a slower one on numba serves. Install a"
    " C++20 compiler (g++ 12, clang 14 or newer) and install audiogen again for the fast one"
)


class CMakeBuild(build_ext):
    """Configures and compiles `csrc/`, and puts what it makes beside the Python files."""

    def build_extension(self, ext: Extension) -> None:
        cuda = os.environ.get("AUDIOGEN_CUDA", "auto").lower()
        if cuda not in CUDA_CHOICES:
            raise SystemExit(f"AUDIOGEN_CUDA={cuda!r} is not one of {', '.join(CUDA_CHOICES)}")
        if self.inplace or getattr(self, "editable_mode", False):
            for old in (ROOT / "audiogen").glob("_native.*"):  # else a build that fails leaves it
                old.unlink()
        try:
            self.build_all(Path(self.get_ext_fullpath(ext.name)).resolve(), cuda)
        except CompileError as error:
            if cuda == "on":  # whoever asks for it wants no other
                raise SystemExit(str(error)) from error
            raise

    def build_all(self, target: Path, cuda: str) -> None:
        """Configures, compiles and installs; a CompileError lets setuptools go on without."""
        if not has_cpp_compiler():
            raise CompileError(f"no C++ compiler is there ($CXX, c++, g++ or clang++){LEFT}")
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
            "-DAUDIOGEN_PYTHON=ON",
        )
        run(cmake, "--build", build, "--parallel", jobs)
        run(cmake, "--install", build, "--prefix", target.parent, "--component", "python")

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        package = ROOT / "audiogen"
        for library in Path(self.build_lib).glob("audiogen/libaudiogen_cuda.*"):
            self.copy_file(str(library), str(package / library.name))


class BuildPy(build_py):
    """Adds the top-level `presets/` to the package as `audiogen/_presets`."""

    def run(self) -> None:
        super().run()
        if not getattr(self, "editable_mode", False):
            copy = Path(self.build_lib) / "audiogen" / "_presets"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(ROOT / "presets", copy)


class SourceDist(sdist):
    """Adds what a build from source needs beside the Python package."""

    def add_defaults(self) -> None:
        super().add_defaults()
        for folder in ("csrc", "presets", "tests"):
            files = (p for p in (ROOT / folder).rglob("*") if p.is_file())
            self.filelist.extend(
                str(p.relative_to(ROOT)) for p in files if "__pycache__" not in p.parts
            )


def has_cpp_compiler() -> bool:
    """True if one of the commands that CMake would try as a C++ compiler exists."""
    named = os.environ.get("CXX", "").split()[:1]
    return any(shutil.which(name) for name in (*named, "c++", "g++", "clang++"))


def find_program(name: str) -> str:
    """Path of a build tool: the one of the build requirement, else the one on PATH."""
    beside_python = Path(sys.executable).parent / name
    found = shutil.which(name) or (str(beside_python) if beside_python.exists() else None)
    if found is None:
        raise CompileError(f"{name} was not found: `pip install {name}` and build again")
    return found


def run(*command: str | Path) -> None:
    """Runs one build step; its output is the message when it fails."""
    arguments = [str(c) for c in command]
    status = subprocess.run(arguments, check=False).returncode
    if status != 0:
        command_line = " ".join(arguments)
        raise CompileError(f"build step failed with status {status}: {command_line}{LEFT}")


setup(
    ext_modules=[Extension("audiogen._native", sources=[], optional=True)],
    cmdclass={"build_ext": CMakeBuild, "build_py": BuildPy, "sdist": SourceDist},
)
