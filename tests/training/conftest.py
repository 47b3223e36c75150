"""Fixtures of the tests of training."""

from __future__ import annotations

from typing import Any

import pytest

from audiogen.audio import plots


@pytest.fixture
def curves() -> None:
    """For a test whose reports have curves in spite of `plain_reports`."""


@pytest.fixture
def plain_reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures, and reports without curves: they take longer than a tiny training."""
    dark_figure = plots.dark_figure

    def small(width: float, height: float, **options: Any) -> Any:
        return dark_figure(width, height, **options | {"dpi": 20})

    monkeypatch.setattr(plots, "dark_figure", small)
    if "curves" not in request.fixturenames:
        monkeypatch.setattr("audiogen.training.run.html_report.curves", lambda entries: "")
