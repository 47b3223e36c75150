"""MkDocs hooks: a page with previews of the presets, and the page without a server to play them."""

from __future__ import annotations

import html
import logging
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PAGE = "presets/index.md"
INTRODUCTION = """# Listen to the presets

Each preview is made by `audiogen render` with the preset alone. `audiogen info NAME` shows what a
preset holds; [Presets](../presets.md) describes the format and how these were made.
"""


PLAY = """
<a href="../play/">Play them here</a>: the engine runs in the browser, as WebAssembly.
"""
log = logging.getLogger("mkdocs.hooks")


def page_is_built() -> bool:
    """Whether the engine was compiled to WebAssembly."""
    try:
        from audiogen.errors import AudiogenError
        from audiogen.web.static_site import module_path
    except ImportError as error:
        log.info("without the page that plays presets: %s", error)
        return False
    try:
        module_path()
    except AudiogenError as error:
        log.info("without the page that plays presets: %s", error)
        return False
    return True


def on_startup(command: str, dirty: bool) -> None:
    """Remember whether the site is built or served, which builds it after every change."""
    global serving
    serving = command == "serve"


def on_post_build(config: Any) -> None:
    """Write the page without a server into the site, with all presets; not while editing."""
    if serving or not page_is_built():
        return
    from audiogen.web.static_site import write_site

    folders = sorted(toml.parent for toml in (ROOT / "presets").glob("*/preset.toml"))
    names = ["woodwinds", *(f.name for f in folders if f.name != "woodwinds")]
    write_site([str(ROOT / "presets" / name) for name in names], Path(config["site_dir"]) / "play")


serving = False


def on_files(files: Files, config: Any) -> Files:
    """Add the page of presets, and copies of their sounds and pictures, to the site."""
    parts = [INTRODUCTION, *([PLAY] if page_is_built() else [])]
    for toml in sorted((ROOT / "presets").glob("*/preset.toml")):
        folder = toml.parent
        for name in ("preview.flac", "preview.png"):
            target = f"presets/{folder.name}/{name}"
            files.append(File.generated(config, target, abs_src_path=str(folder / name)))
        parts.append(section(folder.name, tomllib.loads(toml.read_text(encoding="utf-8"))))
    files.append(File.generated(config, PAGE, content="\n".join(parts)))
    return files


def section(name: str, preset: dict[str, Any]) -> str:
    """Markdown of one preset: description, player, picture, timbres."""
    names = ", ".join(f"`{timbre['name']}`" for timbre in preset.get("timbres", []))
    sounds = f"Timbres: {names}." if names else "Unconditional: it generates audio freely."
    return f"""
## {name}

{html.escape(preset["description"])} {preset["kind"]}, {preset["sample_rate"]} Hz, licence
{preset["licence"]}.

<audio controls preload="none" src="{name}/preview.flac"></audio>

![Spectrogram of the preview of {name}]({name}/preview.png)

{sounds}
"""
