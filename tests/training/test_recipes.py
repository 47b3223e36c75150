"""Recipes of progressive growing: the published schedule, and an error for each wrong field."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


from audiogen.errors import FormatError, ParameterError
from audiogen.training.recipes import progressive_recipe, read_recipe, shipped

# Stage k of the published training begins after 800,000 k images; even ones are stable.
PUBLISHED = [
    (0, 0, 1.0),
    (799_999, 0, 1.0),
    (800_000, 1, 1.0),
    (1_200_000, 1, 1.5),
    (1_600_000, 2, 2.0),
    (3_000_000, 3, 2.75),
    (4_000_000, 5, 3.0),
    (8_000_000, 10, 6.0),
    (9_400_000, 11, 6.75),
    (9_600_000, 12, 7.0),
    (11_000_000, 12, 7.0),
]


@pytest.mark.parametrize(("images", "stage", "growth"), PUBLISHED)
def test_the_published_schedule(images: int, stage: int, growth: float) -> None:
    recipe = read_recipe("gansynth-paper")
    assert recipe.n_stages == 13 and recipe.n_steps == 1_375_000
    assert recipe.stage_at(images) == stage
    assert recipe.growth_at(images) == pytest.approx(growth)
    assert recipe.images_at(images // 8) == pytest.approx(images, abs=8)


def test_fewer_steps_shorten_all_of_it_in_proportion() -> None:
    recipe = replace(read_recipe("gansynth-paper"), steps=1100)
    assert recipe.n_steps == 1100
    stages = [recipe.stage_at(recipe.images_at(step)) for step in range(1100)]
    assert [stages.count(stage) for stage in range(13)] == [80] * 12 + [140]


def test_shipped_recipes_survive_a_checkpoint() -> None:
    assert set(shipped()) == {"gansynth-paper", "gansynth-small"}
    for name in shipped():
        assert progressive_recipe(asdict(read_recipe(name))) == read_recipe(name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch = 8 ", "batch = 0 ", "batch=0 is wrong: input should be greater than or"),
        ("batch = 8 ", "batch = 8.5 ", "batch=8.5 is wrong: input should be a valid integer"),
        ("batch = 8 ", "batch == 8 ", "can't be read as TOML"),
        ("drift = 1e-3", "", "drift is missing; gansynth-paper.toml has it"),
        ("drift", "drfit", "drfit isn't a field of a recipe; did you mean drift?"),
        ("n_fft = 2048", "n_fft = 2000", "spectrogram: n_fft=2000 must be a power of two"),
        ("n_fft", "nfft", "spectrogram.nfft isn't a field of a recipe; did you mean n_fft?"),
        ('"one_hot"', '"harmonic"', "generator.conditioning='harmonic' is not supported"),
        ("images = 11_000_000", "images = 9_600_000", "images=9600000 must be more than 9600000"),
        ('"wasserstein-gp"', '"gan"', "objective='gan' is wrong: input should be"),
        ("0.99]", "nan]", "betas.1="),
        ("batch = 8 ", "batch = 8\nseed = 3 ", "seed isn't a field of a recipe file; give --seed"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = shipped()["gansynth-paper"].read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FormatError, match=re.escape(f"{path}: ")) as raised:
        read_recipe(str(path))
    assert message in str(raised.value)


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="did you mean gansynth-paper"):
        read_recipe("gansyth-paper")
    with pytest.raises(FormatError, match="No such file"):
        read_recipe(str(tmp_path / "none.toml"))
