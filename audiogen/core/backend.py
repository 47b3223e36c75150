"""The choice of backend: the compiled module, or its twin on numba."""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from typing import Any

from audiogen.errors import MissingPackageError

MISSING = (
    "audiogen was installed without its compiled module (audiogen._native): install a C++20 "
    "compiler (g++ 12, clang 14 or newer) and install audiogen again"
)


@cache
def find() -> Any:
    """Return `audiogen._native`, or None if it was not built."""
    try:
        return importlib.import_module("audiogen._native")
    except ImportError:
        return None


@cache
def load() -> Any:
    """Return `audiogen._native`, or its twin `audiogen._fallback` with one warning."""
    module = find()
    if module is not None:
        return module
    try:
        importlib.import_module("audiogen._fallback.kernels")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{MISSING}, or `pip install 'audiogen-synth[fallback]'` for a slower engine on numba"
        ) from error
    warnings.warn(f"{MISSING}; until then a slower engine in numba is used", RuntimeWarning, 2)
    return importlib.import_module("audiogen._fallback")


kernels = load  # former name


def require() -> Any:
    """Return `audiogen._native`.

    Raises
    ------
    MissingPackageError
        If it was not built; the message says what to do.
    """
    module = find()
    if module is None:
        raise MissingPackageError(MISSING)
    return module
