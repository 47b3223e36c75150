"""`audiogen plugin install`: what it builds, what it leaves out, and its error messages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from audiogen import plugins

PACKAGES = {name: form.package for name, form in plugins.FORMATS.items()}


def test_missing_headers_are_named(call, monkeypatch):
    monkeypatch.setattr(plugins, "_has_header", lambda compiler, names: False)
    result = call("plugin install")
    assert result.status == 2
    for name, package in PACKAGES.items():
        line = next(line for line in result.out.splitlines() if line.startswith(name))
        assert "not built" in line and f"(Debian: {package})" in line


def test_only_what_can_be_built_is_built(call, monkeypatch, tmp_path):
    built = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(plugins, "_has_header", lambda compiler, names: "lv2/core/lv2.h" in names)
    monkeypatch.setattr(plugins, "_build", lambda s, p, names, progress: built.extend(names))
    result = call("plugin install")
    assert result.status == 0 and built == ["lv2"]
    assert (
        f"lv2   {tmp_path}/.lv2/audiogen.lv2 with 14 presets; without its window: "
        "cairo/cairo-xlib.h, X11/Xlib.h not found (Debian: libcairo2-dev libx11-dev)" in result.out
    )
    assert "vst3  not built" in result.out


def test_an_unknown_format(call):
    result = call("plugin install --format au")
    assert result.status == 2
    assert "format='au' must be one of lv2, vst3, pd" in result.err


def test_without_a_compiler(call, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = call("plugin install")
    assert result.status == 2 and "C++ compiler not found" in result.err


def test_without_sources(call, monkeypatch, tmp_path):
    monkeypatch.setattr(plugins, "__file__", str(tmp_path / "audiogen" / "plugins.py"))
    result = call("plugin install")
    assert result.status == 2 and "sources are not installed" in result.err


def test_a_failed_build_shows_its_end(call, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "/bin/false")
    monkeypatch.setattr(plugins, "_has_header", lambda compiler, names: True)
    result = call("plugin install --format lv2")
    assert result.status == 2 and "the build failed" in result.err
    assert not (tmp_path / ".lv2").exists()


def test_a_header_is_found_by_the_compiler():
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("a C++ compiler is not installed (c++)")
    assert plugins._has_header(compiler, ("no/such.h", "vector"))
    assert not plugins._has_header(compiler, ("no/such.h",))


@pytest.mark.slow
def test_it_installs_for_the_user(call, monkeypatch, tmp_path):
    if not shutil.which("c++") or not plugins._has_header("c++", ("lv2/core/lv2.h",)):
        pytest.skip("the headers of LV2 are not installed (Debian: lv2-dev)")
    monkeypatch.setenv("HOME", str(tmp_path))
    result = call("plugin install --format lv2")
    assert result.status == 0, result.err
    bundle = tmp_path / ".lv2" / "audiogen.lv2"
    files = {path.name for path in Path(bundle).iterdir()}
    expected = {"audiogen.so", "audiogen.ttl", "manifest.ttl", "presets.ttl", "presets"}
    if all(plugins._has_header("c++", (header,)) for header in plugins.EDITOR_HEADERS):
        expected.add("audiogen_editor.so")
        assert "without its window" not in result.out
    assert files == expected
    assert (bundle / "presets" / "plucked" / "weights.safetensors").is_file()
    assert not (bundle / "presets" / "plucked" / "preview.flac").exists()
