"""Recipes of progressive growing: files of constants, each field checked when read."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from audiogen.core.names import suggest
from audiogen.errors import FormatError, ParameterError
from audiogen.models.gansynth import GeneratorConfig
from audiogen.representation.config import SpectrogramConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PUBLISHED = "gansynth-paper"
SUFFIX = ".toml"

_Count = Annotated[int, Field(ge=1)]
_Weight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
_Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


@dataclass(frozen=True)
class GrowingRecipe:
    """How to grow a generator; every number that a result depends on, beside the data.

    Parameters
    ----------
    objective : str
        ``wasserstein-gp`` (Gulrajani et al., NIPS 2017).
    batch : int
    learning_rate : float
    betas : (float, float)
        Of Adam, both networks.
    critic_steps : int
        For each of the generator's.
    penalty_weight : float
        Of the gradient penalty, which is taken in units of the spectrogram, not the generator's.
    drift : float
        See `losses.critic_loss`.
    real_pitch_weight, fake_pitch_weight : float
        Of the cross-entropy of pitches: real notes' for the critic, generated ones' for the
        generator.
    average : float
        Decay of the averaged generator, a step.
    stable_images, fade_images : int
        Notes at each resolution, and from each to the next.
    images : int
        Notes in all.
    held_out : float
        Share of the instruments, or notes.
    generator : GeneratorConfig
        ``one_hot``; the critic has the same widths.
    spectrogram : SpectrogramConfig
    seed, steps : int
        Of the command, not of a file. With ``steps`` the whole schedule is shortened, or
        lengthened, in proportion; 0 for ``images / batch``.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    objective: Literal["wasserstein-gp"]
    batch: _Count
    learning_rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    betas: tuple[_Decay, _Decay]
    critic_steps: _Count
    penalty_weight: _Weight
    drift: _Weight
    real_pitch_weight: _Weight
    fake_pitch_weight: _Weight
    average: _Decay
    stable_images: _Count
    fade_images: _Count
    images: _Count
    held_out: Annotated[float, Field(gt=0.0, lt=1.0)]
    generator: GeneratorConfig
    spectrogram: SpectrogramConfig
    seed: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        if self.generator.conditioning != "one_hot":
            raise ParameterError(
                f"generator.conditioning={self.generator.conditioning!r} can't be grown; use"
                " 'one_hot'"
            )
        grown = self.starts_at(self.n_stages - 1)
        if self.images <= grown:
            raise ParameterError(
                f"images={self.images} are over before the last resolution begins; give more than"
                f" {grown}, or fewer stable_images and fade_images"
            )

    @property
    def n_steps(self) -> int:
        return self.steps or -(-self.images // self.batch)

    @property
    def n_stages(self) -> int:
        """Stable at each resolution, a fade between each two."""
        return 2 * len(self.generator.channels) - 1

    def starts_at(self, stage: int) -> int:
        """Images before a stage: even ones are stable, odd ones a fade."""
        return stage // 2 * (self.stable_images + self.fade_images) + stage % 2 * self.stable_images

    def images_at(self, step: int) -> float:
        """Images of the schedule that a step is at."""
        return step * self.images / self.n_steps

    def stage_at(self, images: float) -> int:
        """The stage, 0 to ``n_stages - 1``."""
        return max(s for s in range(self.n_stages) if self.starts_at(s) <= images)

    def growth_at(self, images: float) -> float:
        """How far the networks have grown, as ``stage`` of `models.gansynth.Generator.forward`.

        Examples
        --------
        >>> recipe = read_recipe("gansynth-paper")
        >>> [recipe.growth_at(images) for images in (0, 800_000, 1_200_000, 1_600_000, 11_000_000)]
        [1.0, 1.0, 1.5, 2.0, 7.0]
        """
        stage = self.stage_at(images)
        faded = (images - self.starts_at(stage)) / self.fade_images if stage % 2 else 0.0
        return 1.0 + stage // 2 + faded


_OF_THE_COMMAND = ("seed", "steps")
_UNKNOWN = "unexpected_keyword_argument"  # pydantic's word


def shipped() -> dict[str, Path]:
    """The recipes that come along, by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob(f"*{SUFFIX}"))}


def read_recipe(name_or_path: str) -> GrowingRecipe:
    """Read a recipe.

    Parameters
    ----------
    name_or_path : str
        One that comes along, or a file that ends in ``.toml``.

    Returns
    -------
    GrowingRecipe

    Raises
    ------
    ParameterError
        If there is none of that name.
    FormatError
        If the file can't be read or a field is wrong; it is named.
    """
    path = Path(name_or_path) if name_or_path.endswith(SUFFIX) else shipped().get(name_or_path)
    if path is None:
        raise ParameterError(
            f"recipe {name_or_path!r} isn't known, nor a file that ends in {SUFFIX}"
            + suggest(name_or_path, list(shipped()))
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FormatError(f"{path}: can't be read as TOML ({reason})") from error
    for name in _OF_THE_COMMAND:
        if name in table:
            raise FormatError(f"{path}: {name} isn't a field of a recipe; give --{name}")
    try:
        # By way of JSON, whose lists are strict enough for tuples.
        return TypeAdapter(GrowingRecipe).validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        found = error.errors(include_url=False)
        found.sort(key=lambda each: each["type"] != _UNKNOWN)  # it may be what seems to be missing
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise FormatError(f"{path}: {_sentence(found[0])}{more}") from error


def growing_recipe(fields: dict[str, Any]) -> GrowingRecipe:
    """The inverse of `dataclasses.asdict`."""
    generator = GeneratorConfig(**fields["generator"])
    spectrogram = SpectrogramConfig(**fields["spectrogram"])
    return GrowingRecipe(**fields | {"generator": generator, "spectrogram": spectrogram})


def _sentence(found: Any) -> str:
    """One of pydantic's findings as field, what came, what was wanted."""
    field = ".".join(map(str, found["loc"]))
    if found["type"] == "value_error":
        return f"{field}: {found['ctx']['error']}" if field else str(found["ctx"]["error"])
    if found["type"] == "missing":
        return f"{field} is missing; {PUBLISHED}{SUFFIX} has it"
    if found["type"] == _UNKNOWN:
        return f"{field} isn't a field of a recipe" + suggest(found["loc"][-1], _beside(field))
    message = found["msg"][0].lower() + found["msg"][1:]
    return f"{field} = {found['input']!r} isn't right; {message}"


def _beside(field: str) -> list[str]:
    """Names of the fields of the table that a field is in."""
    tables = {"generator": GeneratorConfig, "spectrogram": SpectrogramConfig}
    table = tables.get(field.partition(".")[0], GrowingRecipe) if "." in field else GrowingRecipe
    return [each.name for each in fields(table) if each.name not in _OF_THE_COMMAND]
