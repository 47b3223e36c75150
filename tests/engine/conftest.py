"""An installation without the compiled module, as a fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from audiogen.ops import _native


@pytest.fixture
def no_native(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without the compiled module."""
    monkeypatch.setattr(_native, "find", lambda: None)
    _native.kernels.cache_clear()
    yield
    _native.kernels.cache_clear()
