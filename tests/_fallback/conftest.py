"""The compiled module, its twin, and an installation without the compiled module, as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from audiogen import _fallback
from audiogen.core import backend


@pytest.fixture
def native() -> ModuleType:
    """`audiogen._native`."""
    module = backend.find()
    if module is None:
        pytest.skip("audiogen._native is not built, so there is nothing to compare with")
    return module


@pytest.fixture(params=["native", "fallback"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    """Each of the two backends."""
    return _fallback if request.param == "fallback" else request.getfixturevalue("native")


@pytest.fixture
def no_native(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without the compiled module."""
    monkeypatch.setattr(backend, "find", lambda: None)
    backend.load.cache_clear()
    yield
    backend.load.cache_clear()
