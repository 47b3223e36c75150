"""Recipe of the built-in GANSynth training: every number that a result depends on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from audiogen.errors import ParameterError
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import MOST_MAPS, N_MAPS
from audiogen.training.run.recipe import Recipe, setting

if TYPE_CHECKING:
    from audiogen.models.gansynth import GeneratorConfig

RATES = (16000, 32000, 64000)  # Hz
DEFAULT_RATE = 32000  # Hz, of a folder of samples

# 1e-4 is about the quantisation noise of a 16-bit file; the scale maps it to -0.8 and the loudest
# bins to 0.8.
PRESET_SPECTROGRAM = SpectrogramConfig(
    phase="harmonic", magnitude_floor=1e-4, magnitude_scale=0.1, magnitude_offset=0.121034
)


def _generator() -> GeneratorConfig:
    from audiogen.models.gansynth import GeneratorConfig

    return GeneratorConfig(
        conditioning="harmonic",
        latent_size=16,
        channels=(64, 64, 64, 64, 48, 32, 16),
        n_maps=MOST_MAPS,
    )


@dataclass(frozen=True)
class BuiltInRecipe(Recipe):
    """How long and how to train on notes with learned latents; a critic joins at the end.

    The description of each field is at the field.
    """

    kind: ClassVar[str] = "gansynth-builtin"

    steps: int = setting(
        3600,
        "Training steps in all",
        low=1,
        shown="3600; 1200 with --init-from; of gansynth-paper and -small the recipe's images",
    )
    adversarial_share: float = setting(
        0.125, "Share of the steps, at the end, with the critic", low=0.0, high=1.0
    )
    variety: float | None = setting(
        None,
        "How much partials may vary at random: 0 for steady ones, 1 for bowed strings or choirs",
        low=0.0,
        high=1.0,
        shown="measured for each note",
    )
    batch: int = setting(4, "Notes of a step; the generator makes each twice", low=1)
    adversarial_batch: int = setting(4, "Notes of a step with the critic", low=1)
    crop_frames: int = setting(32, "Spectrogram frames of a crop; a multiple of 16", low=16)
    learning_rate: float = setting(4e-3, "Learning rate of Adam", low=0.0)
    adversarial_learning_rate: float = setting(
        7e-4, "Learning rate of both networks once the critic takes part", low=0.0
    )
    latent_rate: float = setting(
        0.02,
        "Learning rate of latents, and of how noise depends on latent and velocity",
        low=0.0,
    )
    magnitude_weight: float = setting(
        2.0, "Weight of the distance of log magnitudes, all bins alike", low=0.0
    )
    loud_weight: float = setting(
        4.0, "Weight of the distance of log magnitudes, weighted by loudness", low=0.0
    )
    peak_weight: float = setting(
        4.0, "Weight of the distance of log magnitudes at each frame's strongest bins", low=0.0
    )
    frequency_weight: float = setting(
        0.2, "Weight of the distance of instantaneous frequencies", low=0.0
    )
    resynthesis_weight: float = setting(
        1.0, "Weight of the log-mel distance of resynthesised audio", low=0.0
    )
    level_weight: float = setting(
        4.0,
        "Weight of the distance of levels of resynthesised audio, whole and by octaves",
        low=0.0,
    )
    drift_weight: float = setting(
        8.0,
        "Weight of the distance of slow changes of the levels of resynthesised audio, over 8 and 16"
        " frames",
        low=0.0,
    )
    sideband_weight: float = setting(
        2.0, "Weight of the distance of levels on, beside and between partials", low=0.0
    )
    random_weight: float = setting(
        1.0, "Weight of the energy distance of random latents' levels to real notes'", low=0.0
    )
    adversarial_weight: float = setting(
        0.5,
        "Size of the critic's gradient at the generator's output, over that of all distances; 0 for"
        " none, with the same rates",
        low=0.0,
    )
    penalty_weight: float = setting(0.5, "Weight of the penalty of the critic's slope", low=0.0)
    penalty_every: int = setting(4, "Steps from one such penalty to the next", low=1)
    latent_noise: float = setting(
        0.2, "Deviation of the noise on learned latents, whose own deviation is 1", low=0.0
    )
    average: float = setting(0.998, "Decay of the averaged weights per step", low=0.0, high=1.0)
    held_out: float = setting(
        0.05, "Share of the instruments, or of the keys, that is held out", low=0.0, high=0.5
    )
    generator: GeneratorConfig = field(default_factory=_generator)
    spectrogram: SpectrogramConfig = PRESET_SPECTROGRAM

    @property
    def is_one_shot(self) -> bool:
        """Whether sounds play to their end, since no frame follows the note-off."""
        return self.generator.note_off_frame >= self.spectrogram.n_frames - 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_frames % 16 or self.crop_frames > self.spectrogram.n_frames:
            raise ParameterError(
                f"crop_frames={self.crop_frames} must be a multiple of 16 and at most"
                f" {self.spectrogram.n_frames}"
            )
        if (self.generator.conditioning, self.spectrogram.phase) != ("harmonic", "harmonic"):
            raise ParameterError(
                f"conditioning={self.generator.conditioning!r} and phase={self.spectrogram.phase!r}"
                " are not supported by the built-in recipe; both must be 'harmonic'"
            )


def default_recipe() -> BuiltInRecipe:
    """The recipe with its defaults."""
    return BuiltInRecipe()


# Attacks of drums are short: frames of 8 ms by windows of 32 ms. With half of that, kicks and toms
# lose bass, which lies in the lowest bins.
ONE_SHOT_SPECTROGRAM = SpectrogramConfig(
    sample_rate=32000,
    n_samples=128000,
    n_fft=1024,
    hop_length=256,
    n_frames=512,
    phase="harmonic",
    magnitude_floor=5e-5,
    magnitude_scale=0.1,
    magnitude_offset=0.190349,
)


def one_shot_recipe() -> BuiltInRecipe:
    """The recipe for drum kits and other percussion, whose sounds play to their end.

    A drum's pitch is that of its strongest frequency, and other partials are anywhere: frequencies
    have a larger weight, and the first block has more bins.
    """
    generator = replace(
        _generator(),
        latent_size=32,
        channels=(64, 64, 64, 48, 32, 16),
        start_shape=(16, 16),
        n_pitches=104,  # up to MIDI number 127
        n_maps=N_MAPS,  # most partials of drums aren't harmonics
        note_off_frame=ONE_SHOT_SPECTROGRAM.n_frames - 1,
    )
    return BuiltInRecipe(
        # These two were only measured on held notes, with frames of 32 ms.
        adversarial_share=0.0,
        drift_weight=0.0,
        batch=8,
        crop_frames=32,
        frequency_weight=1.0,
        sideband_weight=0.0,
        generator=generator,
        spectrogram=ONE_SHOT_SPECTROGRAM,
    )


def rates_of(recipe: BuiltInRecipe) -> list[int]:
    """Sample rates that `at_rate` can give a recipe, Hz."""
    return [rate for rate in RATES if rate >= recipe.spectrogram.sample_rate]


def at_rate(recipe: BuiltInRecipe, sample_rate: int) -> BuiltInRecipe:
    """The recipe at another sample rate, with bins of the same width and frames of the same time.

    At twice the rate the spectrogram has twice the bins, and its lower half equals the spectrogram
    at the original rate (`scaled_sizes`).

    Parameters
    ----------
    recipe : BuiltInRecipe
        The recipe.
    sample_rate : int, Hz
        One of `rates_of` the recipe.

    Raises
    ------
    ParameterError
        If the rate is another.
    """
    base = recipe.spectrogram
    rates = rates_of(recipe)
    if sample_rate not in rates:
        raise ParameterError(
            f"sample_rate={sample_rate} must be one of {', '.join(map(str, rates))}"
        )
    factor = sample_rate // base.sample_rate
    sizes = scaled_sizes(asdict(base) | {"start_shape": recipe.generator.start_shape}, factor)
    generator = replace(recipe.generator, start_shape=sizes.pop("start_shape"))
    sizes["n_samples"] *= factor
    return replace(recipe, generator=generator, spectrogram=SpectrogramConfig(**sizes))


def scaled_sizes(sizes: dict[str, Any], factor: int) -> dict[str, Any]:
    """Sizes of a spectrogram and its generator at ``factor`` times the sample rate.

    The magnitudes of a tone grow with the length of the window, so the floor and the offset do: in
    the generator's units a tone keeps its value.

    Parameters
    ----------
    sizes : dict
        ``sample_rate``, ``n_fft``, ``hop_length``, ``start_shape``, ``magnitude_floor``,
        ``magnitude_scale`` and ``magnitude_offset``.
    factor : int
        The factor.
    """
    frames, bins = sizes["start_shape"]
    return sizes | {
        "sample_rate": factor * sizes["sample_rate"],
        "n_fft": factor * sizes["n_fft"],
        "hop_length": factor * sizes["hop_length"],
        "start_shape": (frames, factor * bins),
        "magnitude_floor": factor * sizes["magnitude_floor"],
        "magnitude_offset": sizes["magnitude_offset"] - sizes["magnitude_scale"] * math.log(factor),
    }


def builtin_recipe(table: dict[str, Any]) -> BuiltInRecipe:
    """Inverse of `dataclasses.asdict`; weights that older tables lack are 0."""
    from audiogen.models.gansynth import GeneratorConfig

    generator = GeneratorConfig(**table["generator"])
    spectrogram = SpectrogramConfig(**table["spectrogram"])
    table = {"level_weight": 0.0, "drift_weight": 0.0} | table
    return BuiltInRecipe(**table | {"generator": generator, "spectrogram": spectrogram})
