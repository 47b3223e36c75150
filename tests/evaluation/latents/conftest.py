"""A drum kit with few drums."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from audiogen.presets import Preset, load_preset, read_fields, write_preset

SHIPPED = Path(__file__).parents[3] / "presets" / "drums"
FEW = ("bass-drum", "acoustic-snare", "closed-hi-hat")


@pytest.fixture
def few_drums(tmp_path: Path) -> Preset:
    """Three drums of the shipped kit."""
    fields = read_fields(SHIPPED / "preset.toml") | {"name": "few", "default_timbre": FEW[0]}
    fields["timbres"] = [timbre for timbre in fields["timbres"] if timbre["name"] in FEW]
    files = {name: SHIPPED / name for name in ("preview.flac", "preview.png")}
    write_preset(tmp_path / "few", fields, load_file(SHIPPED / "weights.safetensors"), files)
    return load_preset(tmp_path / "few")
