"""MkDocs hooks: a page that plays the presets, made from their descriptions and previews."""

from __future__ import annotations

import html
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


def on_files(files: Files, config: Any) -> Files:
    """Add the page of presets, and copies of their sounds and pictures, to the site."""
    parts = [INTRODUCTION]
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
