"""The folder of a page without a server: complete, closed, and with clear messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen.core.parameters import INDEX
from audiogen.errors import MissingPackageError, ParameterError
from audiogen.presets import load_preset
from audiogen.web import static_site, timbre_map


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's files, with a module, whether or not it was built."""
    import shutil

    files = tmp_path / "files"
    shutil.copytree(static_site.STATIC, files)
    (files / static_site.MODULE).write_bytes(b"\0asm\1\0\0\0")
    monkeypatch.setattr(static_site, "STATIC", files)
    return files


def test_it_has_all_that_the_page_asks_for(
    tmp_path: Path, module: Path, write_tiny: Any, write_murmur: Any
):
    tiny, murmur = write_tiny(tmp_path / "tiny"), write_murmur(tmp_path / "murmur")
    counts: list[tuple[int, int]] = []
    size = static_site.write_site(
        [str(tiny), str(murmur)], tmp_path / "out", lambda *pair: counts.append(pair)
    )
    out = tmp_path / "out"
    assert counts == [(1, 3), (2, 3), (3, 3)]
    assert size == sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    page = (out / "index.html").read_text()
    assert '<meta name="audiogen-engine" content="static/audiogen.wasm">' in page
    assert not (out / "static" / "index.html").exists()
    for address in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert (out / address).is_file(), address
    for script in (out / "static").glob("*.js"):
        for name in re.findall(r'(?:from |import\()"\./([^"]+)"', script.read_text()):
            assert (out / "static" / name).is_file(), (script.name, name)

    listed = json.loads((out / "presets" / "index.json").read_text())
    assert [preset["name"] for preset in listed] == ["tiny", "murmur"]
    for name in ("preset.toml", "weights.safetensors"):
        assert (out / "presets" / "tiny" / name).read_bytes() == (tiny / name).read_bytes()
    described = json.loads((out / "presets" / "tiny" / "preset.json").read_text())
    assert described["latents"] == [timbre.z for timbre in load_preset(tiny).timbres]
    assert described["spread"] is True
    assert described["indices"] == INDEX and described["default_timbre"] == "harp"
    places = json.loads((out / "presets" / "tiny" / "map").read_text())
    assert places == timbre_map.describe_map(load_preset(tiny))
    picture = np.fromfile(out / "presets" / "tiny" / "pictures" / "2", np.uint8)
    assert picture.size == 2 * timbre_map.PICTURE_WIDTH * timbre_map.PICTURE_HEIGHT
    described = json.loads((out / "presets" / "murmur" / "preset.json").read_text())
    assert described["plays_notes"] is False and described["latents"] == []


def test_bad_input(tmp_path: Path, module: Path, write_tiny: Any):
    tiny = str(write_tiny(tmp_path / "tiny"))
    with pytest.raises(ParameterError, match="preset 'tiny' is given twice"):
        static_site.write_site([tiny, tiny], tmp_path / "out")
    with pytest.raises(ParameterError, match="exists and isn't an empty folder"):
        static_site.write_site([tiny], tmp_path / "tiny")
    (module / static_site.MODULE).unlink()
    with pytest.raises(MissingPackageError, match=r"apt-get install clang-22 .* AUDIOGEN_WASM=on"):
        static_site.write_site([tiny], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path: Path, module: Path, write_tiny: Any, capsys: Any):
    from audiogen.cli.main import main

    tiny = str(write_tiny(tmp_path / "tiny"))
    with pytest.raises(SystemExit) as ended:
        main(["web", tiny, "--static", str(tmp_path / "out")])
    assert not ended.value.code
    assert str(tmp_path / "out") in capsys.readouterr().out.replace("\n", "")
    with pytest.raises(SystemExit) as ended:
        main(["web", tiny, "plucked", "--port", "0", "--no-open"])
    assert ended.value.code == 2
    assert "2 presets are for --static FOLDER" in capsys.readouterr().err
