"""The page without a server: a folder for any static host, with the engine as WebAssembly."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from audiogen.core.atomic_write import folder_written_whole
from audiogen.core.parameters import INDEX
from audiogen.engine import Synth
from audiogen.errors import MissingPackageError, ParameterError
from audiogen.presets import TOML_NAME, GansynthPreset, load_preset
from audiogen.presets.description import WEIGHTS_NAME
from audiogen.web import timbre_map
from audiogen.web.preset_list import PREVIEWS, describe_preset
from audiogen.web.session import describe

STATIC = Path(__file__).parent / "static"
MODULE = "audiogen.wasm"
PACKAGES = "clang-22 lld-22 wasi-libc libclang-rt-22-dev-wasm32 libc++-22-dev-wasm32"
# As the server's headers: the page loads nothing from elsewhere and sends nothing elsewhere.
HEAD = (
    f'  <meta name="audiogen-engine" content="static/{MODULE}">\n'
    '  <meta http-equiv="Content-Security-Policy" content="default-src \'self\';'
    " script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data: blob:; media-src 'self' blob:;"
    " object-src 'none'; base-uri 'none'; form-action 'none'\">\n"
)


def module_path() -> Path:
    """Path of the engine as a WebAssembly module.

    Raises
    ------
    MissingPackageError
        If it was not built.
    """
    path = STATIC / MODULE
    if path.is_file():
        return path
    raise MissingPackageError(
        "the page without a server needs the engine as a WebAssembly module, which was not built"
        f" when audiogen was installed: apt-get install {PACKAGES}, then install audiogen again"
        " with AUDIOGEN_WASM=on"
    )


def write_site(
    presets: Sequence[str],
    folder: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the page, the module and presets into a folder.

    Parameters
    ----------
    presets : sequence of str
        Names or folders of presets; the page plays the first one first.
    folder : path
        Folder to write; it must be new or empty.
    progress : callable, optional
        Receives the number of timbre pictures that are drawn, and of all.

    Returns
    -------
    int
        Size of the folder in bytes.

    Raises
    ------
    MissingPackageError
        If the module was not built.
    PresetError
        If a preset is not found or cannot be read.
    ParameterError
        If two presets have the same name, or the folder is not empty.
    """
    module_path()
    loaded = [load_preset(preset) for preset in presets]
    names = [preset.folder.resolve().name for preset in loaded]
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"preset {name!r} is given twice; give it once")
    total = sum(len(preset.timbres) for preset in loaded if preset.plays_notes)
    done = 0
    with folder_written_whole(folder) as draft:
        shutil.copytree(STATIC, draft / "static")
        (draft / "static" / "index.html").unlink()
        page = (STATIC / "index.html").read_text(encoding="utf-8")
        (draft / "index.html").write_text(
            page.replace("</head>", f"{HEAD}</head>", 1), encoding="utf-8"
        )
        for name, preset in zip(names, loaded, strict=True):
            target = draft / "presets" / name
            target.mkdir(parents=True)
            for file in (TOML_NAME, WEIGHTS_NAME, *PREVIEWS):
                if (preset.folder / file).is_file():
                    shutil.copyfile(preset.folder / file, target / file)
            synth = Synth(preset)
            latents = [timbre.z for timbre in preset.timbres]
            description = describe(synth) | {
                "preset": name,
                "latents": latents if isinstance(preset, GansynthPreset) else [],
                "spread": isinstance(preset, GansynthPreset)
                and preset.generator.conditioning == "harmonic",
                "indices": INDEX,
            }
            _write_json(target / "preset.json", description)
            if not preset.plays_notes or not preset.timbres:
                continue
            # Without suffixes, as the server's addresses.
            _write_json(target / "map", timbre_map.describe_map(preset))
            (target / "pictures").mkdir()
            pictures = timbre_map.TimbrePictures()
            for i in range(len(preset.timbres)):
                picture = pictures.picture(preset, i)
                (target / "pictures" / str(i)).write_bytes(picture.tobytes())
                done += 1
                if progress is not None:
                    progress(done, total)
        listed = [describe_preset(name, preset) for name, preset in zip(names, loaded, strict=True)]
        _write_json(draft / "presets" / "index.json", listed)
        return sum(file.stat().st_size for file in draft.rglob("*") if file.is_file())


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")
