"""Options of `audiogen train`: those of every recipe, and those made of a recipe's fields."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from audiogen.errors import ParameterError

if TYPE_CHECKING:
    from audiogen.training.run.recipe import Setting

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the new preset.")]
Run = Annotated[
    Path | None,
    typer.Option(
        help="Folder of checkpoints, previews and report.html.", show_default="OUTPUT.run"
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the run from its newest checkpoint.")
]
Minutes = Annotated[
    float | None,
    typer.Option(min=0.01, help="Length of the training, measured and turned into steps."),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:N, or auto: a CUDA device if there is one."),
]
PreviewMinutes = Annotated[
    float, typer.Option(min=0.0, help="Minutes between previews; 0 for none.")
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]
Description = Annotated[str, typer.Option(help="Description of the preset.", show_default=False)]
Author = Annotated[
    list[str] | None, typer.Option(help="Author of the preset. Repeatable.", show_default=False)
]
Licence = Annotated[
    str,
    typer.Option(
        help="Licence of the sounds, as an SPDX name.", show_default="as stated in their folder"
    ),
]
_LONGEST_SHOWN = 10**6  # help doesn't show larger bounds
# Earlier names of options that no recipe has; they still work.
ALIASES = {"--from": "--init-from"}


class TrainCommand(TyperCommand):
    """A command whose options also have earlier names, which help doesn't show."""

    aliases: Mapping[str, str] = ALIASES

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Replace earlier names by the present ones."""
        words = []
        for word in args:
            name, equals, value = word.partition("=")
            words.append(self.aliases.get(name, name) + equals + value)
        return super().parse_args(ctx, words)


def recipe_command(
    function: Callable[..., None],
    options: Mapping[str, tuple[Setting, str, type]],
    panels: Mapping[str, Iterable[str]],
) -> tuple[Callable[..., None], type[TyperCommand]]:
    """Give a command an option for each field of its recipe.

    Parameters
    ----------
    function : callable
        The command; it takes the settings that were given as ``**settings``.
    options : mapping of str to (Setting, shown default, type)
        Fields of the recipe, as of `recipe_options`.
    panels : mapping of str to iterable of str
        Fields of each further panel of the help, by its title.

    Returns
    -------
    function : callable
        The command with a signature that typer understands.
    command_class : type
        A class for ``typer.Typer.command``.
    """
    panel_of = {name: title for title, names in panels.items() for name in names}
    own = inspect.signature(function, eval_str=True).parameters.values()
    parameters = [each for each in own if each.kind is not each.VAR_KEYWORD]
    aliases = dict(ALIASES)
    for field, (setting, default, kind) in options.items():
        option = option_of(field, setting.option)
        aliases |= {f"--{alias}": option for alias in setting.aliases}
        parameters.append(
            inspect.Parameter(
                field,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=_annotation(option, setting, default, kind, panel_of.get(field)),
            )
        )
    parameters.sort(key=lambda each: each.name in panel_of)

    def command(**arguments: Any) -> None:
        given = {field: arguments.pop(field) for field in options}
        values = {f: v.value if isinstance(v, Enum) else v for f, v in given.items()}
        function(**arguments, **{f: v for f, v in values.items() if v is not None})

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=each.KEYWORD_ONLY) for each in parameters]
    )
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command, type("RecipeCommand", (TrainCommand,), {"aliases": aliases})


def recipe_options(
    recipe: type, notes: Mapping[str, Any] | None = None
) -> dict[str, tuple[Setting, str, type]]:
    """Options of a recipe's fields, for `recipe_command`.

    Parameters
    ----------
    recipe : type
        The class of the recipe.
    notes : mapping of str to value, optional
        Defaults that are others for notes; help shows both.

    Returns
    -------
    dict of str to (Setting, shown default, type)
    """
    from audiogen.training.run.recipe import settings_of

    settings, notes = settings_of(recipe), notes or {}
    return {
        field.name: (
            settings[field.name],
            shown(field.default, notes.get(field.name, field.default)),
            {"int": int, "float": float, "bool": bool}[str(field.type).removesuffix(" | None")],
        )
        for field in dataclasses.fields(recipe)
        if field.name in settings
    }


def shown(default: Any, notes: Any) -> str:
    """Help text of a default, and of the one for notes where that differs."""

    def text(value: Any) -> str:
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        return f"{value:g}" if isinstance(value, float) else str(value)

    return text(default) if notes == default else f"{text(default)}; {text(notes)} for notes"


def option_of(field: str, option: str = "") -> str:
    """Name of a field's option on the command line."""
    return "--" + (option or field).replace("_", "-")


def with_settings(recipe: Any, chosen: Mapping[str, Any], name: str) -> Any:
    """A recipe with the settings that were given.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    chosen : mapping of str to value
        Settings by field.
    name : str
        Name of the recipe, for an error message.

    Raises
    ------
    ParameterError
        If the recipe has no such field.
    """
    known = {field.name for field in dataclasses.fields(recipe)}
    if foreign := [option_of(f) for f in chosen if f not in known]:
        raise ParameterError(
            f"{' and '.join(foreign)} not supported by recipe {name}; leave it out, or give another"
            " --recipe"
        )
    return dataclasses.replace(recipe, **chosen)


def _annotation(option: str, setting: Setting, default: str, kind: type, panel: str | None) -> Any:
    more: dict[str, Any] = {"help": f"{setting.description}.", "rich_help_panel": panel}
    more["show_default"] = setting.shown or default
    if setting.choices:
        words = Enum(option[2:], {word: word for word in setting.choices}, type=str)  # type: ignore[misc]
        return Annotated[words | None, typer.Option(option, **more)]
    if kind is bool:
        return Annotated[bool | None, typer.Option(f"{option}/--no-{option[2:]}", **more)]
    if kind is tuple:
        more |= {"parser": _numbers, "metavar": "N,N"}
        return Annotated[Any, typer.Option(option, **more)]
    more["metavar"] = {int: "N", float: "X"}[kind]
    if setting.low is not None:
        more["min"] = kind(setting.low)
    if setting.high is not None and setting.high < _LONGEST_SHOWN:
        more["max"] = kind(setting.high)  # else the recipe checks it
    return Annotated[kind | None, typer.Option(option, **more)]


def _numbers(text: str) -> tuple[int, ...]:
    """Parse integers separated by commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} must be integers such as 16,4") from None
