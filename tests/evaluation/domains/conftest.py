"""A small set of domains of parametric notes: three recording chains of one synthesiser."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from audiogen.data.source_toml import toml_text
from audiogen.data.toy_notes import draw_notes
from audiogen.evaluation.domains.banks import DOMAINS_TOML, PITCHES
from audiogen.evaluation.domains.images import note_images


@pytest.fixture(scope="session")
def toy_domains(tmp_path_factory):
    """A folder as of `build_domains`: ``bright``, ``dark`` and ``plain``, 100 notes each."""
    from safetensors.numpy import save_file

    folder = tmp_path_factory.mktemp("domains")
    for seed, (name, weight) in enumerate({"bright": -0.8, "dark": 0.8, "plain": 0.0}.items()):
        notes = draw_notes(100, seed)
        sounds = np.repeat(notes.sounds, 4, axis=1)
        sounds[:, 1:] += weight * sounds[:, :-1]
        labels = np.stack([notes.families, notes.pitches - 12 - PITCHES[0]], axis=1)
        tensors = {"images": note_images(sounds), "labels": np.maximum(labels, 0).astype(np.int64)}
        save_file(tensors, folder / f"{name}.safetensors")
    tables = [{"name": name, "licence": "CC0"} for name in ("bright", "dark", "plain")]
    (folder / DOMAINS_TOML).write_text(toml_text("Toys.", {"format": 1}, "banks", tables))
    return folder
