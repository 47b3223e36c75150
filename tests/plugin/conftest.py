"""The X server of tests that show a plug-in's window."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plugin.x11 import Screen, x_server


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    with x_server():
        screen = Screen()
        yield screen
        screen.close()
