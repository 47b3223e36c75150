"""Recipes of progressive growing: TOML files of constants, each field checked when read."""

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
from audiogen.training.run.recipe import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PUBLISHED = "gansynth-paper"
SUFFIX = ".toml"

_Count = Annotated[int, Field(ge=1)]
_Weight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
_Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


@dataclass(frozen=True, kw_only=True)
class ProgressiveRecipe(Recipe):
    """How to grow a generator: every number that a result depends on, besides the data.

    Parameters
    ----------
    objective : str
        ``wasserstein-gp`` (Gulrajani et al., NIPS 2017).
    batch : int
        Notes of a step of either network.
    learning_rate : float
        Learning rate of Adam.
    betas : (float, float)
        Decays of Adam's moments, for both networks.
    critic_steps : int
        Critic steps for each step of the generator.
    penalty_weight : float
        Weight of the gradient penalty, which is in units of the spectrogram, not the generator's.
    drift : float
        Weight of the drift term (`adversarial.critic_loss`).
    real_pitch_weight, fake_pitch_weight : float
        Weight of the cross-entropy of pitches: of real notes in the critic's loss, of generated
        ones in the generator's.
    average : float
        Decay of the averaged generator per step.
    stable_images, fade_images : int
        Notes at each resolution, and from each to the next.
    images : int
        Notes in all.
    held_out : float
        Share of the instruments, or notes, that is held out.
    generator : GeneratorConfig
        Sizes of the generator, with ``one_hot`` conditioning; the critic has the same widths.
    spectrogram : SpectrogramConfig
        The representation.
    seed, steps : int
        Given on the command line, not in a file. With ``steps`` the whole schedule is shortened or
        lengthened in proportion; 0 for ``images / batch``.
    """

    kind: ClassVar[str] = "gansynth-progressive"
    default_device: ClassVar[str] = "auto"
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
    steps: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.generator.conditioning != "one_hot":
            raise ParameterError(
                f"generator.conditioning={self.generator.conditioning!r} is not supported by"
                " progressive growing; use 'one_hot'"
            )
        growing = self.starts_at(self.n_stages - 1)
        if self.images <= growing:
            raise ParameterError(
                f"images={self.images} must be more than {growing}, where the last resolution"
                " begins; give more, or fewer stable_images and fade_images"
            )

    @property
    def n_steps(self) -> int:
        """Number of steps of the whole schedule."""
        return self.steps or -(-self.images // self.batch)

    @property
    def n_stages(self) -> int:
        """Number of stages: one stable at each resolution, and a fade between each two."""
        return 2 * len(self.generator.channels) - 1

    def starts_at(self, stage: int) -> int:
        """Images before a stage; even stages are stable, odd ones a fade."""
        return stage // 2 * (self.stable_images + self.fade_images) + stage % 2 * self.stable_images

    def images_at(self, step: int) -> float:
        """Position of a step in the schedule, in images."""
        return step * self.images / self.n_steps

    def stage_at(self, images: float) -> int:
        """Stage at a position of the schedule, 0 to ``n_stages - 1``."""
        return max(s for s in range(self.n_stages) if self.starts_at(s) <= images)

    def growth_at(self, images: float) -> float:
        """Growth of the networks, as ``stage`` of `models.gansynth.Generator.forward`.

        Examples
        --------
        >>> recipe = read_recipe("gansynth-paper")
        >>> [recipe.growth_at(images) for images in (0, 800_000, 1_200_000, 1_600_000, 11_000_000)]
        [1.0, 1.0, 1.5, 2.0, 7.0]
        """
        stage = self.stage_at(images)
        faded = (images - self.starts_at(stage)) / self.fade_images if stage % 2 else 0.0
        return 1.0 + stage // 2 + faded


_COMMAND_LINE = ("seed", "steps")
_UNKNOWN = "unexpected_keyword_argument"  # type of pydantic's error


def shipped() -> dict[str, Path]:
    """Files of the recipes that come with the package, by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob(f"*{SUFFIX}"))}


def read_recipe(name_or_path: str) -> ProgressiveRecipe:
    """Read a recipe.

    Parameters
    ----------
    name_or_path : str
        A recipe of the package, or a file that ends in ``.toml``.

    Returns
    -------
    ProgressiveRecipe

    Raises
    ------
    ParameterError
        If there is no recipe of that name.
    FormatError
        If the file can't be read or a field is wrong.
    """
    path = Path(name_or_path) if name_or_path.endswith(SUFFIX) else shipped().get(name_or_path)
    if path is None:
        raise ParameterError(
            f"recipe={name_or_path!r} not found; give built-in, {', '.join(shipped())} or a file"
            f" that ends in {SUFFIX}" + suggest(name_or_path, list(shipped()))
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FormatError(f"{path}: can't be read as TOML ({reason})") from error
    for name in _COMMAND_LINE:
        if name in table:
            raise FormatError(f"{path}: {name} isn't a field of a recipe file; give --{name}")
    try:
        # As JSON, since pydantic's strict mode takes a list for a tuple there only.
        return TypeAdapter(ProgressiveRecipe).validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        found = error.errors(include_url=False)
        found.sort(
            key=lambda each: each["type"] != _UNKNOWN
        )  # a misspelt field is also reported as missing
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise FormatError(f"{path}: {_message(found[0])}{more}") from error


def progressive_recipe(fields: dict[str, Any]) -> ProgressiveRecipe:
    """Inverse of `dataclasses.asdict`."""
    generator = GeneratorConfig(**fields["generator"])
    spectrogram = SpectrogramConfig(**fields["spectrogram"])
    return ProgressiveRecipe(**fields | {"generator": generator, "spectrogram": spectrogram})


def _message(found: Any) -> str:
    """Error message of one of pydantic's errors: field, value, what is allowed."""
    field = ".".join(map(str, found["loc"]))
    if found["type"] == "value_error":
        return f"{field}: {found['ctx']['error']}" if field else str(found["ctx"]["error"])
    if found["type"] == "missing":
        return f"{field} is missing; {PUBLISHED}{SUFFIX} has it"
    if found["type"] == _UNKNOWN:
        return f"{field} isn't a field of a recipe" + suggest(found["loc"][-1], _field_names(field))
    message = found["msg"][0].lower() + found["msg"][1:]
    return f"{field}={found['input']!r} is wrong: {message}"


def _field_names(field: str) -> list[str]:
    """Names of the fields of the table that a field belongs to."""
    tables = {"generator": GeneratorConfig, "spectrogram": SpectrogramConfig}
    table = (
        tables.get(field.partition(".")[0], ProgressiveRecipe)
        if "." in field
        else ProgressiveRecipe
    )
    return [each.name for each in fields(table) if each.name not in _COMMAND_LINE]
