"""Brings what a caller passes (array, list, tensor) into the form kernels take, and back."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from audiogen.core import backend as _native
from audiogen.errors import ParameterError, ShapeError

__all__ = ["Source", "check_axis", "check_integer"]


class Source:
    """One argument: `array` for the kernels, and how to give a result back in the same kind.

    `array` is a NumPy array, or a tensor if it lies on a CUDA device; its type is single precision
    (`float32` or `complex64`), or double if that came, on the CPU.
    """

    def __init__(self, name: str, value: Any, *, is_complex: bool = False) -> None:
        self.name = name
        self.is_complex = is_complex
        torch = sys.modules.get("torch")
        self._torch = torch if torch is not None and isinstance(value, torch.Tensor) else None
        self.on_cuda = False
        if self._torch is None:
            self.array = self._from_numpy(value)
        else:
            self.array = self._from_tensor(value)

    def _from_numpy(self, value: Any) -> np.ndarray:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise ShapeError(f"{self.name} is not an array: {error}") from None
        wanted = "iufc" if self.is_complex else "iuf"
        if array.dtype.kind not in wanted or array.dtype.itemsize > (16 if self.is_complex else 8):
            kind = "complex" if self.is_complex else "real floating point"
            raise ParameterError(
                f"{self.name} has dtype {array.dtype}; {kind} numbers of up to double precision "
                "are wanted"
            )
        double = array.dtype in (np.float64, np.complex128)
        return np.ascontiguousarray(array, self._dtype(double)).reshape(array.shape)

    def _dtype(self, double: bool) -> np.dtype:
        if self.is_complex:
            return np.dtype(np.complex128 if double else np.complex64)
        return np.dtype(np.float64 if double else np.float32)

    def _from_tensor(self, tensor: Any) -> Any:
        torch = self._torch
        assert torch is not None
        if tensor.requires_grad and torch.is_grad_enabled():
            raise ParameterError(
                f"{self.name} requires a gradient, which audiogen.ops does not compute; pass "
                f"{self.name}.detach()"
            )
        tensor = tensor.detach().resolve_conj().resolve_neg()
        if tensor.device.type == "cpu":
            half = tensor.dtype in (torch.float16, torch.bfloat16)
            return self._from_numpy((tensor.float() if half else tensor).numpy())
        if tensor.device.type != "cuda":
            raise ParameterError(
                f"{self.name} is on device {tensor.device}; move it to cpu or cuda first"
            )
        if tensor.dtype in (torch.float64, torch.complex128):
            raise ParameterError(
                f"{self.name} is {tensor.dtype} on {tensor.device}, where kernels are in single "
                f"precision; use {self.name}.float() or {self.name}.cpu()"
            )
        self.on_cuda = True
        return tensor.to(torch.complex64 if self.is_complex else torch.float32).contiguous()

    @property
    def is_double(self) -> bool:
        """True if the float64 reference has to serve."""
        return not self.on_cuda and self.array.dtype in (np.float64, np.complex128)

    @property
    def kernels(self) -> ModuleType:
        """The fastest kernels for where the array lies."""
        if self.on_cuda:
            from audiogen.ops import _cuda

            return _cuda
        return _native.kernels()

    def restore(self, result: Any) -> Any:
        """`result` as a tensor if a tensor came."""
        if self._torch is None or isinstance(result, self._torch.Tensor):
            return result
        return self._torch.from_numpy(np.ascontiguousarray(result))


def check_axis(source: Source, axis: int) -> int:
    """`axis` counted from the front."""
    n_dimensions = source.array.ndim
    if not -n_dimensions <= axis < n_dimensions:
        raise ShapeError(
            f"{source.name} has shape {tuple(source.array.shape)}, which has no axis={axis}; "
            "pass the axis that is time"
        )
    return axis % n_dimensions


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as an int between `low` and `high`, ends included."""
    try:
        number = int(value)
        fits = number == value and number >= low and (high is None or number <= high)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        wanted = (
            f"an integer of {low} or more" if high is None else f"an integer in {low} .. {high}"
        )
        raise ParameterError(f"{name}={value!r} is not {wanted}")
    return number
