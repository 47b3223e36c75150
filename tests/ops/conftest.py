"""The implementations that the oracle tests compare with the reference, as a fixture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiogen import ops
from audiogen.core import backend as _native


def _native_reason() -> str | None:
    try:
        _native.require()
    except Exception as error:
        return str(error)
    return None


def _cuda_reason() -> str | None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        return "torch sees no CUDA device; tests/cpp runs the kernels' shared formulas on the CPU"
    from audiogen.ops import _cuda

    return None if _cuda.is_built() else "the CUDA library was not built"


class Implementation:
    """`audiogen.ops` on one kind of kernel; NumPy arrays in and out."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, op: str) -> Any:
        def call(*arguments: Any, **options: Any) -> np.ndarray:
            if self.name in ("native", "fallback"):
                return getattr(ops, op)(*arguments, **options)
            import torch

            device = "cuda" if self.name == "cuda" else "cpu"
            moved = [
                torch.from_numpy(np.ascontiguousarray(a)).to(device)
                if isinstance(a, np.ndarray)
                else a
                for a in arguments
            ]
            return getattr(ops, op)(*moved, **options).cpu().numpy()

        return call


@pytest.fixture(
    params=["native", "fallback", "torch", pytest.param("cuda", marks=pytest.mark.cuda)]
)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Implementation:
    """Each implementation in turn; one that cannot run here is skipped with the reason."""
    name = request.param
    reason = {"native": _native_reason, "cuda": _cuda_reason}.get(name, lambda: None)()
    if reason:
        pytest.skip(reason)
    if name == "fallback":
        from audiogen._fallback import kernels as fallback

        monkeypatch.setattr(_native, "kernels", lambda: fallback)
    if name == "torch":
        pytest.importorskip("torch")
        from audiogen.ops import _tensors

        def compute(op: str, *tensors: Any, **settings: int) -> Any:
            return _tensors.COMPOSED[op](*tensors, **settings)

        monkeypatch.setattr(_tensors, "_compute", compute)
    return Implementation(name)
