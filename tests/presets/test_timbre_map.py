"""The timbre map keeps timbres apart and on the square."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audiogen.errors import PresetError
from audiogen.presets import TOML_NAME, check_fields, load_preset, timbre_map
from audiogen.presets.folders import read_fields

SHIPPED = sorted(path.parent for path in Path(__file__).parents[2].glob("presets/*/preset.toml"))


def crowding(places: np.ndarray) -> float:
    """Distance of the two nearest points; from 1 on their names do not overlap."""
    offset = (places[:, None] - places) / [timbre_map.DOT_WIDTH, timbre_map.DOT_HEIGHT]
    distance = np.hypot(*np.moveaxis(offset, 2, 0))
    return float(distance[~np.eye(len(places), dtype=bool)].min())


@pytest.mark.parametrize("n", [2, 3, 12, 20])
def test_points_are_on_the_square_and_apart(n):
    places = timbre_map.place_vectors(np.random.default_rng(n).standard_normal((n, 16)))
    assert places.shape == (n, 2)
    assert (places >= 0.05).all() and (places <= 0.95).all()
    assert crowding(places) > 0.9


def test_equal_vectors_get_different_points():
    places = timbre_map.place_vectors(np.ones((4, 3)))
    assert np.isfinite(places).all()
    assert crowding(places) > 0.9


def test_vectors_of_one_number():
    places = timbre_map.place_vectors([[0.0], [1.0], [5.0]])
    assert places[0, 0] < places[1, 0] < places[2, 0]


def test_many_points_stay_on_the_square():
    places = timbre_map.place_vectors(np.random.default_rng(0).standard_normal((200, 8)))
    assert (places >= 0.0).all() and (places <= 1.0).all()


def test_the_first_principal_component_runs_from_left_to_right():
    along = np.linspace(-1, 1, 9)[:, None] * np.array([[0.0, 5.0, 0.0]])
    places = timbre_map.place_vectors(
        along + 0.01 * np.random.default_rng(0).standard_normal(along.shape)
    )
    assert np.corrcoef(places[:, 0], along[:, 1])[0, 1] > 0.9


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_presets_have_the_places_of_their_latents(folder):
    preset = load_preset(folder)
    if not preset.timbres:
        return
    assert preset.timbres[0].place is not None
    stored = timbre_map.places(preset)
    without = [replace(timbre, place=None) for timbre in preset.timbres]
    np.testing.assert_allclose(
        stored, timbre_map.places(replace(preset, timbres=without)), atol=2e-4
    )


def test_writing_a_preset_adds_places(tmp_path, write_tiny):
    fields = read_fields(write_tiny(tmp_path / "tiny") / TOML_NAME)
    assert all("place" in timbre for timbre in fields["timbres"])
    bare = {
        **fields,
        "timbres": [{k: v for k, v in t.items() if k != "place"} for t in fields["timbres"]],
    }
    assert timbre_map.with_places(bare) == fields
    assert timbre_map.with_places({**bare, "sample_rate": -1})["timbres"] == bare["timbres"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ([0.5], r"timbres\[1\].place must be two numbers from 0 to 1"),
        ([0.5, 1.5], r"timbres\[1\].place must be two numbers from 0 to 1"),
        ([0.5, "left"], r"timbres\[1\].place\[1\]='left' must be a number"),
        (None, r"timbres\[1\].place is missing; all timbres must have one, or none"),
    ],
)
def test_wrong_places_are_named(tmp_path, write_tiny, place, message):
    fields = read_fields(write_tiny(tmp_path / "tiny") / TOML_NAME)
    fields["timbres"][1].pop("place")
    if place is not None:
        fields["timbres"][1]["place"] = place
    with pytest.raises(PresetError, match=message):
        check_fields(fields)
