"""Optional packages: a missing one is reported with the command that installs it."""

from __future__ import annotations

import sys

import pytest

from audiogen.core.packages import require_package
from audiogen.errors import MissingPackageError


def test_an_installed_module_is_returned():
    assert require_package("json.decoder", "plot", "reading") is sys.modules["json.decoder"]


def test_a_missing_package_and_a_broken_one_are_told_apart(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("raise ImportError('libmissing.so')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        MissingPackageError, match=r"drawing needs absent, which isn't installed: .*\[plot\]"
    ):
        require_package("absent.part", "plot", "drawing")
    with pytest.raises(MissingPackageError, match=r"can.t be imported \(libmissing.so\)"):
        require_package("broken_package", "plot", "drawing")
