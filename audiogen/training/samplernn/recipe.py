"""Recipe of a SampleRNN training: every number that a result depends on, besides the data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from audiogen.errors import ParameterError
from audiogen.training.run.device import has_bfloat16
from audiogen.training.run.recipe import Recipe, Setting, setting

if TYPE_CHECKING:
    from audiogen.models.samplernn import SampleRNNConfig

LARGEST_ONSET_WEIGHT = 100.0

# Sizes of the network (`SampleRNNConfig`) that a training may choose, and their defaults.
NETWORK = {
    "frame_sizes": Setting("Frame sizes of the recurrent tiers, samples, coarse to fine: 16,4"),
    "dim": Setting("Width of the network", low=1),
    "n_rnn": Setting("Recurrent layers of each tier", low=1, option="layers"),
    "rnn": Setting("Recurrent cell", choices=("gru", "lstm")),
    "embedding_size": Setting("Size of the embedding of a level", low=1, option="embedding"),
    "q_levels": Setting("Quantisation levels: 2 to 256, or 65536", low=2, option="levels"),
    "quantisation": Setting("Spacing of the levels", choices=("linear", "mu_law")),
}

NETWORK_DEFAULTS: dict[str, Any] = {
    "frame_sizes": (2,),
    "dim": 256,
    "n_rnn": 1,
    "rnn": "gru",
    "embedding_size": 64,
    "q_levels": 256,
    "quantisation": "mu_law",
}
# Half a second of a held tone has little variety, so a batch of notes has more rows; and their
# pitch is an input, so their tiers may be slower.
NOTES_DEFAULTS: dict[str, Any] = {
    "batch": 64,
    "input_noise": 0.25,
    "state_shuffle": 0.05,
    "frame_sizes": (16, 4),
}


def _network() -> SampleRNNConfig:
    from audiogen.models.samplernn import SampleRNNConfig

    return SampleRNNConfig(**NETWORK_DEFAULTS)


@dataclass(frozen=True)
class SampleRNNRecipe(Recipe):
    """How long and how to train a SampleRNN.

    The description of each field is at the field; `NETWORK` describes those of ``model``.
    """

    kind: ClassVar[str] = "samplernn"

    steps: int = setting(
        4000, "Training steps in all, in place of --minutes", low=1, shown="as --minutes says"
    )
    batch: int = setting(16, "Excerpts of a batch", low=1)
    chunk: int = setting(
        512,
        "Samples between two updates (truncated back-propagation); a multiple of the longest frame",
        low=1,
    )
    excerpt_s: float = setting(
        8.0, "Seconds after which a row of the batch begins another excerpt", low=0.0
    )
    learning_rate: float = setting(0.02, "Learning rate of Muon; may change on --resume", low=0.0)
    average: float = setting(0.998, "Decay of the averaged weights per step", low=0.0, high=1.0)
    held_out: float = setting(
        0.05, "Share of the sound, or of the notes, that is held out", low=0.001, high=0.5
    )
    augmentation: float = setting(
        0.0,
        "Strength of the variation of speed, level and polarity; 1 for a few minutes of sound",
        low=0.0,
        high=1.0,
    )
    input_noise: float = setting(
        0.0,
        "Strength of the noise on the network's input (against exposure bias); up to 1 for long"
        " tones, late in a training",
        low=0.0,
        high=1.0,
        aliases=("astray",),
    )
    onset_weight: float = setting(
        1.0, "Weight of the samples around onsets in the loss", low=1.0, high=LARGEST_ONSET_WEIGHT
    )
    state_shuffle: float = setting(
        0.0,
        "Share of the rows of a batch that take another row's recurrent state at each chunk",
        low=0.0,
        high=1.0,
    )
    bfloat16: bool = setting(
        factory=has_bfloat16,
        description="Multiply in bfloat16, with float32 sums",
        shown="where the device does so itself",
    )
    sample_rate: int = setting(16000, "Sample rate, Hz", low=8000, high=48000)
    model: SampleRNNConfig = field(default_factory=_network)

    def __post_init__(self) -> None:
        super().__post_init__()
        longest = self.model.frame_sizes[0]
        if self.chunk % longest:
            raise ParameterError(
                f"chunk={self.chunk} must be a multiple of the longest frame, {longest} samples"
            )


def default_recipe(of_notes: bool) -> SampleRNNRecipe:
    """The recipe for recordings, or for notes."""
    recipe = SampleRNNRecipe()
    if not of_notes:
        return recipe
    network = {name: value for name, value in NOTES_DEFAULTS.items() if name in NETWORK}
    others = {name: value for name, value in NOTES_DEFAULTS.items() if name not in NETWORK}
    return replace(recipe, model=replace(recipe.model, **network), **others)


def recipe_of(state: dict[str, Any]) -> SampleRNNRecipe:
    """The recipe that a checkpoint was made with."""
    from audiogen.models.samplernn import SampleRNNConfig

    table = state["recipe"]
    return SampleRNNRecipe(**table | {"model": SampleRNNConfig(**table["model"])})
