"""Each op's way to its implementation: NumPy arrays, or tensors if one of them is a tensor."""

from __future__ import annotations

import sys
from typing import Any

from audiogen.ops import _arrays


def argument(name: str, value: Any, *, is_complex: bool = False) -> Any:
    """Return an op's argument as a contiguous array or tensor in single or double precision.

    Raises
    ------
    ShapeError
        If it is not an array.
    ParameterError
        If its dtype or device is not supported.
    """
    if _is_tensor(value):
        from audiogen.ops import _tensors

        return _tensors.argument(name, value, is_complex)
    return _arrays.argument(name, value, is_complex=is_complex)


def run(op: str, *arguments: Any, **settings: int) -> Any:
    """Run an op of `audiogen.ops.reference` on arrays, or on tensors if one of them is a tensor.

    ``settings`` are the op's keyword arguments: ``axis``, or ``n_fft`` and ``hop_length``.
    """
    if any(map(_is_tensor, arguments)):
        from audiogen.ops import _tensors

        return _tensors.apply(op, *arguments, **settings)
    return _arrays.compute(op, *arguments, **settings)


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
