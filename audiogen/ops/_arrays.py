"""Arguments of the ops as NumPy arrays, and the kernels that compute on them."""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from audiogen.core import backend as _native
from audiogen.errors import ParameterError, ShapeError
from audiogen.ops import reference

DOUBLE = (np.float64, np.complex128)


def argument(name: str, value: Any, *, is_complex: bool = False) -> Any:
    """Return an op's argument as a contiguous array in single or double precision.

    Raises
    ------
    ShapeError
        If it is not an array.
    ParameterError
        If its dtype is not supported.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{name} must be an array: {error}") from None
    kinds, largest = ("iufc", 16) if is_complex else ("iuf", 8)
    if array.dtype.kind not in kinds or array.dtype.itemsize > largest:
        raise wrong_dtype(name, array.dtype, is_complex)
    double, single = ("c16", "c8") if is_complex else ("f8", "f4")
    dtype = double if array.dtype in DOUBLE else single
    return np.ascontiguousarray(array, dtype).reshape(array.shape)


def compute(op: str, *arrays: np.ndarray, **settings: int) -> np.ndarray:
    """Run an op: by the reference if all arrays are in double precision, else by the kernels."""
    if all(array.dtype in DOUBLE for array in arrays):
        return getattr(reference, op)(*arrays, **settings)
    kernels, (first, *others) = _native.kernels(), map(_single, arrays)
    if op == "istft":
        *batch, n_frames, n_bins = first.shape
        plan = _istft_plan(kernels, settings["n_fft"], settings["hop_length"], n_frames)
        signal = kernels.istft(plan, first.reshape(math.prod(batch), n_frames, n_bins))
        return signal.reshape(*batch, signal.shape[-1])
    if "axis" in settings:
        columns = first.reshape(column_shape(first.shape, settings["axis"]))
        return getattr(kernels, op)(columns).reshape(first.shape)
    return getattr(kernels, op)(first, *others)


def column_shape(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """The shape [n_outer, n_frames, n_inner] that has time, ``axis``, in the middle."""
    axis %= len(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def wrong_dtype(name: str, dtype: Any, is_complex: bool) -> ParameterError:
    kind = "complex" if is_complex else "real"
    return ParameterError(
        f"{name} has dtype {dtype}; it must be {kind}, in double precision or less"
    )


def check_axis(name: str, value: Any, axis: int) -> None:
    """Raise ShapeError unless an array or tensor has an axis."""
    if not -value.ndim <= axis < value.ndim:
        raise ShapeError(
            f"{name} has shape {tuple(value.shape)} and no axis={axis}; pass the time axis"
        )


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int, or raise ParameterError if it is not in ``low`` to ``high``."""
    try:
        number = int(value)
        fits = number == value and number >= low and (high is None or number <= high)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        wanted = f"of {low} or more" if high is None else f"from {low} to {high}"
        raise ParameterError(f"{name}={value!r} must be an integer {wanted}")
    return number


def _single(array: np.ndarray) -> np.ndarray:
    dtype = np.complex64 if array.dtype.kind == "c" else np.float32
    return array.astype(dtype, copy=False)


@lru_cache(maxsize=16)
def _istft_plan(kernels: ModuleType, n_fft: int, hop_length: int, n_frames: int) -> Any:
    return kernels.IstftPlan(n_fft, hop_length, n_frames)
