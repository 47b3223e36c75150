"""The presets that a page can choose from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audiogen.errors import PresetError
from audiogen.presets import PREVIEW_PICTURE, PREVIEW_SOUND, find_presets, load_preset

PREVIEWS = (PREVIEW_SOUND, PREVIEW_PICTURE)


class Shelf:
    """Presets by the names of their folders; no other places can be named from outside.

    Parameters
    ----------
    first : str
        Name or folder of the one that is played first, wherever it lies.

    Raises
    ------
    PresetError
        If it can't be read.
    """

    def __init__(self, first: str):
        folder = load_preset(first).folder.resolve()
        self.first = folder.name
        self._first_folder = folder

    def folders(self) -> dict[str, Path]:
        """Folder of each name; the first preset's is the one that was given."""
        found = {folder.name: folder for folder in find_presets()}
        return found | {self.first: self._first_folder}

    def find(self, name: str) -> Path:
        """Folder of a preset.

        Raises
        ------
        PresetError
            If it isn't on the shelf.
        """
        folders = self.folders()
        if name not in folders:
            raise PresetError(f"preset {name!r} isn't there; give one of {', '.join(folders)}")
        return folders[name]

    def preview(self, name: str, file: str) -> Path:
        """One of the `PREVIEWS` of a preset.

        Raises
        ------
        PresetError
            If there is none.
        """
        path = self.find(name) / file
        if file not in PREVIEWS or not path.is_file():
            raise PresetError(f"preset {name!r} has no {file!r}")
        return path

    def describe(self) -> list[dict[str, Any]]:
        """What is to be said of each preset that can be read."""
        out = []
        for name, folder in self.folders().items():
            try:
                preset = load_preset(folder)
            except PresetError:
                continue  # `audiogen presets` says what is wrong with it
            has_sound, has_picture = ((folder / file).is_file() for file in PREVIEWS)
            out.append(
                {
                    "name": name,
                    "description": preset.description,
                    "licence": preset.licence,
                    "plays_notes": preset.plays_notes,
                    "n_timbres": len(preset.timbres),
                    "has_sound": has_sound,
                    "has_picture": has_picture,
                }
            )
        return out
