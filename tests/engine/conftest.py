"""The compiled module, and an installation without it, as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from audiogen.core import backend as _native


@pytest.fixture
def native() -> ModuleType:
    module = _native.find()
    if module is None:
        pytest.skip("audiogen._native is not built, so there is nothing to compare with")
    return module


@pytest.fixture
def no_native(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without the compiled module."""
    monkeypatch.setattr(_native, "find", lambda: None)
    _native.kernels.cache_clear()
    yield
    _native.kernels.cache_clear()
