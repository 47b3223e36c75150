"""Presets with few timbres."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from audiogen.presets import Preset, load_preset, read_fields, write_preset

SHIPPED = Path(__file__).parents[3] / "presets"


@pytest.fixture(scope="session")
def few_drums(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    """Three drums of the shipped kit."""
    names = ("bass-drum", "acoustic-snare", "closed-hi-hat")
    return _with_timbres("drums", names, tmp_path_factory.mktemp("drums"))


@pytest.fixture(scope="session")
def few_leads(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    """Three timbres of the shipped preset `leads`."""
    names = ("square-lead", "saw-wave", "solo-vox")
    return _with_timbres("leads", names, tmp_path_factory.mktemp("leads"))


def _with_timbres(name: str, timbres: tuple[str, ...], folder: Path) -> Preset:
    shipped = SHIPPED / name
    fields = read_fields(shipped / "preset.toml") | {"name": "few", "default_timbre": timbres[0]}
    fields["timbres"] = [timbre for timbre in fields["timbres"] if timbre["name"] in timbres]
    files = {name: shipped / name for name in ("preview.flac", "preview.png")}
    write_preset(folder / "few", fields, load_file(shipped / "weights.safetensors"), files)
    return load_preset(folder / "few")
