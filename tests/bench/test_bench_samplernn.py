"""What the SampleRNN jobs set up can be run, at a size that takes no time."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from audiogen.bench import samplernn
from audiogen.bench.compare import Race
from audiogen.models.samplernn import SampleRNN, SampleRNNConfig
from audiogen.presets import load_preset
from audiogen.training.samplernn.recipe import SampleRNNRecipe as Recipe
from audiogen.training.samplernn.trainer import SampleRNNTrainer as Trainer

SHIPPED = Path(__file__).parents[2] / "presets"
SAMPLERNN = [
    path.parent
    for path in sorted(SHIPPED.glob("*/preset.toml"))
    if load_preset(path.parent).kind == "samplernn"
]
TINY = SampleRNNConfig((8, 2), 12, embedding_size=4)


def test_both_sides_of_the_training_race_make_steps() -> None:
    noise = samplernn._Noise(TINY, 4 * 64)
    trainer = Trainer(noise, noise, Recipe(steps=10**6, batch=2, chunk=64, model=TINY))
    assert 7.0 < trainer.train_step()["bits"] < 10.0  # of 256 levels that are noise
    samplernn.Plain(TINY, 2, 64)()


def test_eager_peers_draw_in_both_precisions() -> None:
    for precision in ("float32", "bfloat16"):
        levels = samplernn.Eager(SampleRNN(TINY).eval(), 3, precision)(16)
        assert levels.shape == (3, 8) and int(levels.min()) >= 0 and int(levels.max()) < 256


def test_weights_are_those_of_the_folded_matrices() -> None:
    tiers, last, all_tiers = samplernn.weights_per_sample(SampleRNNConfig((8, 2), 10, q_levels=16))
    # Recurrent and 4 upsampled matrices every 8 samples; input, recurrent and 2 every 2 samples.
    assert all_tiers == 700 + 800 and tiers == 700 / 8 + 800 / 2
    assert last == (100 + 160) / 2


def test_two_threads_race_one_over_the_same_samples() -> None:
    pytest.importorskip("audiogen._native")
    network = samplernn._network(TINY, "float32", SampleRNN(TINY))
    race = samplernn._two_threads("tiny", network, "float32")
    assert isinstance(race, Race) and race.n_cores == 2 and race.peer_name == "one thread"
    assert callable(race.ours) and callable(race.peer)
    assert (race.ours() == race.peer()).all() and (race.ours() == race.peer()).all()


@pytest.mark.slow
@pytest.mark.parametrize("folder", SAMPLERNN, ids=lambda folder: folder.name)
@pytest.mark.parametrize(("precision", "most"), [("int8", 5e-3), ("bfloat16", 1e-3)])
def test_shipped_presets_are_nearly_the_same_in_every_precision(folder, precision, most):
    pytest.importorskip("audiogen._native")
    lost = samplernn.lost_bits(load_preset(folder), precision)
    assert 0.0 < lost < most
