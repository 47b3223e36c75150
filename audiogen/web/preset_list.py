"""The presets that a page can choose from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audiogen.errors import PresetError
from audiogen.presets import PREVIEW_PICTURE, PREVIEW_SOUND, Preset, find_presets, load_preset

PREVIEWS = (PREVIEW_SOUND, PREVIEW_PICTURE)


class PresetList:
    """Presets by the names of their folders; a page cannot name any other place.

    Parameters
    ----------
    first : str
        Name or folder of the preset that is played first. It may lie anywhere.

    Raises
    ------
    PresetError
        If the first preset cannot be read.
    """

    def __init__(self, first: str):
        folder = load_preset(first).folder.resolve()
        self.first = folder.name
        self._first_folder = folder

    def folders(self) -> dict[str, Path]:
        """Folder of each name; the first preset's is the one that was given."""
        by_name = {folder.name: folder for folder in find_presets()}
        return by_name | {self.first: self._first_folder}

    def find(self, name: str) -> Path:
        """Return the folder of a preset.

        Parameters
        ----------
        name : str
            Name of the folder.

        Returns
        -------
        Path

        Raises
        ------
        PresetError
            If the preset is not in the list.
        """
        folders = self.folders()
        if name not in folders:
            raise PresetError(f"preset {name!r} not found; choose one of {', '.join(folders)}")
        return folders[name]

    def preview(self, name: str, file: str) -> Path:
        """Return one of the `PREVIEWS` of a preset.

        Parameters
        ----------
        name : str
            Name of the preset's folder.
        file : str
            Name of the file.

        Returns
        -------
        Path

        Raises
        ------
        PresetError
            If there is no such preset or file.
        """
        path = self.find(name) / file
        if file not in PREVIEWS or not path.is_file():
            raise PresetError(f"{file!r} not found in preset {name!r}")
        return path

    def describe(self) -> list[dict[str, Any]]:
        """Name, description, licence, timbres and previews of each preset that can be read."""
        descriptions = []
        for name, folder in self.folders().items():
            try:
                preset = load_preset(folder)
            except PresetError:
                continue  # `audiogen presets` reports what is wrong with it
            descriptions.append(describe_preset(name, preset))
        return descriptions


def describe_preset(name: str, preset: Preset) -> dict[str, Any]:
    """Entry of the list of presets.

    Parameters
    ----------
    name : str
        Name by which the page chooses the preset.
    preset : Preset
        The preset, read from a folder.

    Returns
    -------
    dict
        Name, description, licence, timbres and previews.
    """
    has_sound, has_picture = ((preset.folder / file).is_file() for file in PREVIEWS)
    return {
        "name": name,
        "description": preset.description,
        "licence": preset.licence,
        "plays_notes": preset.plays_notes,
        "timbres": preset.timbre_names,
        "has_sound": has_sound,
        "has_picture": has_picture,
    }
