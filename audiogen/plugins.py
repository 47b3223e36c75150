"""Builds the plug-ins from the C++ sources and installs them for the user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from audiogen.errors import AudiogenError, MissingPackageError, ParameterError, PresetError


@dataclass(frozen=True)
class Format:
    """A plug-in format: what its build needs, and where hosts look for it."""

    option: str  # of csrc/CMakeLists.txt
    headers: tuple[str, ...]  # one of these must be there
    package: str  # of Debian, which brings them
    folder: str  # the user's plug-ins
    bundle: str
    note: str = ""
    has_editor: bool = True  # a window of its own


# Headers of the editor, each with Debian's package; without them the plug-ins have no window.
EDITOR_HEADERS = {"cairo/cairo-xlib.h": "libcairo2-dev", "X11/Xlib.h": "libx11-dev"}

FORMATS = {
    "lv2": Format("AUDIOGEN_LV2", ("lv2/core/lv2.h",), "lv2-dev", "~/.lv2", "audiogen.lv2"),
    "vst3": Format(
        "AUDIOGEN_VST3",
        (
            "vst3sdk/pluginterfaces/vst/ivstaudioprocessor.h",
            "pluginterfaces/vst/ivstaudioprocessor.h",
        ),
        "libvst3sdk-dev",
        "~/.vst3",
        "audiogen.vst3",
        "under the GPL 3, as the SDK's headers are",
    ),
    "pd": Format(
        "AUDIOGEN_PD",
        ("m_pd.h", "pd/m_pd.h"),
        "puredata-dev",
        "~/.local/lib/pd/extra",
        "audiogen~",
        has_editor=False,
    ),
}


@dataclass(frozen=True)
class Installed:
    """What became of one format: its folder, or the reason why it was not built."""

    format: str
    folder: Path | None
    message: str


def install(
    formats: Iterable[str] = tuple(FORMATS), progress: Callable[[str], None] = lambda line: None
) -> list[Installed]:
    """Build plug-ins and install each into the user's folder for its format.

    A format whose headers are missing is left out. The compiler, CMake and the formats' headers
    must be installed; Python is not needed to run a plug-in.

    Parameters
    ----------
    formats : iterable of str
        Some of ``lv2``, ``vst3`` and ``pd``.
    progress : callable
        Receives a line before each step.

    Returns
    -------
    list of Installed
        One for each format.

    Raises
    ------
    ParameterError
        If a format is unknown.
    MissingPackageError
        If the compiler, CMake or the sources are missing.
    PresetError
        If there are no presets to install with the plug-ins.
    AudiogenError
        If the build fails; the message has the end of its output.
    """
    names = list(dict.fromkeys(formats))
    for name in names:
        if name not in FORMATS:
            raise ParameterError(f"format={name!r} must be one of {', '.join(FORMATS)}")
    sources, presets = _sources(), _presets()
    compiler = next(
        (found for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++")
         if name and (found := shutil.which(name))), None
    )  # fmt: skip
    if compiler is None:
        raise MissingPackageError(
            "C++ compiler not found; install one with C++20, g++ 12 or clang 14 (Debian: g++)"
        )
    buildable = [name for name in names if _has_header(compiler, FORMATS[name].headers)]
    if buildable:
        _build(sources, presets, buildable, progress)
    missing = [h for h in EDITOR_HEADERS if not _has_header(compiler, (h,))]
    packages = " ".join(EDITOR_HEADERS[header] for header in missing)
    no_editor = f"; without its window: {', '.join(missing)} not found (Debian: {packages})"
    n_presets = sum(1 for _ in presets.glob("*/preset.toml"))
    results = []
    for name in names:
        form = FORMATS[name]
        if name in buildable:
            folder = Path(form.folder).expanduser() / form.bundle
            note = f", {form.note}" if form.note else ""
            if missing and form.has_editor:
                note += no_editor
            results.append(Installed(name, folder, f"{folder} with {n_presets} presets{note}"))
        else:
            message = f"not built: {form.headers[0]} not found (Debian: {form.package})"
            results.append(Installed(name, None, message))
    return results


def _sources() -> Path:
    """The C++ sources: of the checkout, or those that the wheel brings."""
    package = Path(__file__).resolve().parent
    for folder in (package.parent / "csrc", package / "_csrc"):
        if (folder / "plugin" / "CMakeLists.txt").is_file():
            return folder
    raise MissingPackageError(
        "the C++ sources are not installed with this audiogen; install it from a checkout"
    )


def _presets() -> Path:
    """The shipped presets, which are installed beside each plug-in."""
    package = Path(__file__).resolve().parent
    for folder in (package.parent / "presets", package / "_presets"):
        if any(folder.glob("*/preset.toml")):
            return folder
    raise PresetError("the shipped presets are not installed; install audiogen again")


def _has_header(compiler: str, names: Iterable[str]) -> bool:
    """Whether the compiler finds one of the headers."""
    test = " || ".join(f"__has_include(<{name}>)" for name in names)
    source = f"#if !({test})\n#error\n#endif\n"
    command = [compiler, "-x", "c++", "-E", "-"]
    done = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
    return done.returncode == 0


def _tool(name: str) -> str:
    beside_python = Path(sys.executable).parent / name
    found = shutil.which(name) or (str(beside_python) if beside_python.exists() else None)
    if found is None:
        raise MissingPackageError(f"{name} not found; install it: pip install {name}")
    return found


def _build(sources: Path, presets: Path, names: list[str], progress: Callable[[str], None]) -> None:
    """Configure, compile and install; the former plug-ins stay if that fails."""
    cmake, ninja = _tool("cmake"), _tool("ninja")
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    with tempfile.TemporaryDirectory(prefix="audiogen-plugins-") as build:
        options = [f"-DAUDIOGEN_PLUGIN_PRESETS={presets}", "-DCMAKE_UNITY_BUILD=ON"]
        options += [f"-DCMAKE_MAKE_PROGRAM={ninja}"]
        for name in names:
            form = FORMATS[name]
            options += [f"-D{form.option}=ON"]
            options += [f"-D{form.option}_FOLDER={Path(form.folder).expanduser()}"]
        progress(f"compiling {', '.join(names)}: this takes some minutes")
        _run(cmake, "-S", str(sources), "-B", build, "-G", "Ninja", *options)
        targets = [f"audiogen_{name}" for name in names]
        _run(cmake, "--build", build, "--parallel", jobs, "--target", *targets)
        for name in names:  # so that no preset of a former version stays
            form = FORMATS[name]
            shutil.rmtree(Path(form.folder).expanduser() / form.bundle, ignore_errors=True)
        _run(cmake, "--install", build, "--component", "plugin")


def _run(*command: str) -> None:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        output = (done.stdout + done.stderr).strip().splitlines()
        raise AudiogenError(
            "\n".join([f"the build failed at `{' '.join(command[:4])} ...`:", *output[-15:]])
        )
