"""Every field of a recipe is an option, once and with help; earlier names go on working."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from collections import Counter
from typing import Any

import click
import pytest
import typer

from audiogen.cli import train as train_module
from audiogen.cli.main import main
from audiogen.cli.train.options import option_of, with_settings
from audiogen.errors import ParameterError
from audiogen.training.gansynth.recipe import BuiltInRecipe
from audiogen.training.run.recipe import settings_of
from audiogen.training.samplernn.recipe import (
    NETWORK,
    NETWORK_DEFAULTS,
    NOTES_DEFAULTS,
    SampleRNNRecipe,
    default_recipe,
)

GROUP: Any = typer.main.get_command(train_module.app)
RECIPES = {"gansynth": BuiltInRecipe, "samplernn": SampleRNNRecipe}


def options(family: str) -> dict[str, Any]:
    """Options of a command by field name."""
    parameters = GROUP.commands[family].params
    assert max(Counter(each.name for each in parameters).values()) == 1
    return {each.name: each for each in parameters if each.param_type_name == "option"}


def fields(family: str) -> list[str]:
    """Every field that a user may choose: all but the configurations of networks."""
    names = [field.name for field in dataclasses.fields(RECIPES[family])]
    nested = {"gansynth": ("generator", "spectrogram"), "samplernn": ("model",)}[family]
    return [name for name in names if name not in nested] + (
        list(NETWORK) if family == "samplernn" else []
    )


@pytest.mark.parametrize("family", RECIPES)
def test_every_field_is_an_option_once_with_its_help(family: str) -> None:
    shown, settings = options(family), {**settings_of(RECIPES[family]), **NETWORK}
    spellings = Counter(name for each in shown.values() for name in each.opts)
    for name in fields(family):
        option = option_of(name, settings[name].option)
        assert option in shown[name].opts and spellings[option] == 1, name
        assert shown[name].help and settings[name].description in shown[name].help
        assert shown[name].default is None  # a value that isn't given is the recipe's


@pytest.mark.parametrize("family", RECIPES)
def test_help_shows_the_recipes_defaults(family: str) -> None:
    settings = {**settings_of(RECIPES[family]), **NETWORK}
    defaults = {f.name: f.default for f in dataclasses.fields(RECIPES[family])} | NETWORK_DEFAULTS
    for name in fields(family):
        if settings[name].shown:
            continue
        text = str(options(family)[name].show_default)
        notes = NOTES_DEFAULTS if family == "samplernn" else {}
        for value in {repr(defaults[name]), repr(notes.get(name, defaults[name]))}:
            for part in re.findall(r"[a-z_]+|[\d.e-]+", value):
                assert part.removesuffix(".0") in text, name


def test_the_default_recipes_are_those_of_the_tables() -> None:
    pytest.importorskip("torch")
    recordings, notes = default_recipe(False), default_recipe(True)
    for name, value in NETWORK_DEFAULTS.items():
        assert getattr(recordings.model, name) == value
        assert getattr(notes.model, name) == NOTES_DEFAULTS.get(name, value)
    assert (notes.batch, notes.input_noise, notes.state_shuffle) == (64, 0.25, 0.05)


@pytest.mark.parametrize(
    ("family", "earlier", "present"),
    [
        ("gansynth", "--from", "--init-from"),
        ("samplernn", "--from", "--init-from"),
        ("samplernn", "--astray", "--input-noise"),
    ],
)
@pytest.mark.parametrize("equals", [False, True])
def test_earlier_names_work_and_are_hidden(
    family: str, earlier: str, present: str, equals: bool
) -> None:
    command = GROUP.commands[family]
    words = [f"{earlier}=0.5"] if equals else [earlier, "0.5"]
    context = command.make_context(family, ["sounds", "-o", "out", *words])
    name = present.removeprefix("--").replace("-", "_")
    assert context.params[name] in (0.5, "0.5")
    assert earlier not in command.get_help(click.Context(command))


def test_commands_of_the_shipped_presets_can_be_given_again() -> None:
    from audiogen.presets import find_presets, load_preset

    n = 0
    for folder in find_presets():
        for part in load_preset(folder).training.command.split("&&"):
            words = shlex.split(part.replace("(stopped after step 2962)", ""))
            if words[:2] == ["audiogen", "train"]:
                family, *rest = words[2:]
                GROUP.commands[family].make_context(family, rest)
                n += 1
    assert n > 20


def test_a_setting_that_the_recipe_lacks_is_refused() -> None:
    pytest.importorskip("torch")
    from audiogen.training.recipes import read_recipe

    small = read_recipe("gansynth-small")
    assert with_settings(small, {"batch": 4}, "gansynth-small").batch == 4
    with pytest.raises(ParameterError, match="--crop-frames and --variety not supported by recipe"):
        with_settings(small, {"crop_frames": 32, "variety": 1.0}, "gansynth-small")


@pytest.mark.parametrize(
    ("recipe", "name", "value", "message"),
    [
        (SampleRNNRecipe, "input_noise", 1.5, "input_noise=1.5 must be 0 to 1"),
        (SampleRNNRecipe, "batch", 0, "batch=0 must be 1 or more"),
        (BuiltInRecipe, "variety", float("nan"), "variety=nan must be 0 to 1"),
        (BuiltInRecipe, "seed", 2**63, "seed=9.22337e[+]18 must be 0 to"),
    ],
)
def test_ranges_are_checked_by_the_recipe(recipe: Any, name: str, value: Any, message: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(ParameterError, match=message):
        recipe(**{name: value})


def test_help_of_train_lists_families_and_recipes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    for word in ("gansynth ", "samplernn ", "built-in", "gansynth-paper", "gansynth-small"):
        assert word in text


def test_help_needs_no_torch() -> None:
    code = "import sys, audiogen.cli.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
