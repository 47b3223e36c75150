"""Base of all training recipes: fields with a description and a range.

A field's description and range are written once, at the field, by `setting`. The recipe checks its
ranges when it is made, and `audiogen.cli.train.options` makes the command line's options of the
same fields.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

from audiogen.errors import ParameterError


@dataclass(frozen=True)
class Setting:
    """Description and range of one number or choice of a recipe.

    Parameters
    ----------
    description : str
        A noun phrase or a sentence, as the command line's help prints it.
    low, high : float, optional
        Smallest and largest value that are allowed.
    choices : tuple of str
        Allowed words; empty if any value of the type is allowed.
    option : str
        Name of the option on the command line; by default the field's.
    aliases : tuple of str
        Earlier names of the option, which still work.
    shown : str
        Default that help texts show where it is not a constant.
    """

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    option: str = ""
    aliases: tuple[str, ...] = ()
    shown: str = ""

    def check(self, name: str, value: Any) -> None:
        """Refuse a value out of range.

        Raises
        ------
        ParameterError
            If it is below `low`, above `high`, or none of `choices`.
        """
        if value is None:
            return
        if self.choices and value not in self.choices:
            raise ParameterError(f"{name}={value!r} must be one of {', '.join(self.choices)}")
        below = self.low is not None and not value >= self.low
        above = self.high is not None and not value <= self.high
        if below or above:
            bounds = f"{self.low:g} to {self.high:g}" if self.high is not None else ""
            raise ParameterError(f"{name}={value:g} must be {bounds or f'{self.low:g} or more'}")


def setting(
    default: Any = MISSING, description: str = "", *, factory: Any = MISSING, **more: Any
) -> Any:
    """Declare a field of a recipe.

    Parameters
    ----------
    default
        The field's default.
    description : str
        See `Setting`.
    factory : callable, optional
        Makes the default, in place of ``default``.
    **more
        Further arguments of `Setting`.

    Returns
    -------
    dataclasses.Field
    """
    metadata = {"setting": Setting(description, **more)}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def settings_of(recipe: Any) -> dict[str, Setting]:
    """The settings of a recipe or of its class, by field name."""
    return {f.name: f.metadata["setting"] for f in fields(recipe) if "setting" in f.metadata}


@dataclass(frozen=True)
class Recipe:
    """How long and how to train: every number that a result depends on, besides the data.

    The description of each field is at the field.
    """

    kind: ClassVar[str]  # name in checkpoints: the family, a hyphen, the recipe
    default_device: ClassVar[str] = "cpu"

    seed: int = setting(
        0, "Seed of everything random; same seed, same preset", low=0, high=2**63 - 1
    )

    def __post_init__(self) -> None:
        for name, each in settings_of(self).items():
            each.check(name, getattr(self, name))
