"""Finds the compiled kernels, or their numba fallback with one warning."""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from types import ModuleType

from audiogen.errors import MissingPackageError

__all__ = ["MISSING", "kernels", "require"]

MISSING = (
    "audiogen was installed without its compiled module (audiogen._native): install a C++20 "
    "compiler (g++ 12, clang 14 or newer) and install audiogen again"
)


@cache
def find() -> ModuleType | None:
    """`audiogen._native`, or None without it."""
    try:
        return importlib.import_module("audiogen._native")
    except ImportError:
        return None


@cache
def kernels() -> ModuleType:
    """`audiogen._native`, or `audiogen._fallback.kernels` with a warning, said once."""
    module = find()
    if module is not None:
        return module
    try:
        module = importlib.import_module("audiogen._fallback.kernels")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{MISSING}, or `pip install 'audiogen-synth[fallback]'` for slower kernels on numba"
        ) from error
    warnings.warn(f"{MISSING}; until then slower numba kernels serve", RuntimeWarning, stacklevel=3)
    return module


def require() -> ModuleType:
    """`audiogen._native`.

    Raises
    ------
    MissingPackageError
        If it is not there; its message says what to do.
    """
    module = find()
    if module is None:
        raise MissingPackageError(MISSING)
    return module
