"""What the SampleRNN jobs set up can be run, at a size that takes no time."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from audiogen.bench import samplernn
from audiogen.bench.race import Race
from audiogen.models.samplernn import SampleRNN, SampleRNNConfig
from audiogen.training.samplernn import Recipe, Trainer

TINY = SampleRNNConfig((8, 2), 12, embedding_size=4)


def test_both_sides_of_the_training_race_make_steps() -> None:
    noise = samplernn._Noise(TINY, 4 * 64)
    trainer = Trainer(noise, noise, Recipe(steps=10**6, batch=2, chunk=64, model=TINY))
    assert 7.0 < trainer.train_step()["bits"] < 10.0  # of 256 levels that are noise
    samplernn.Plain(TINY, 2, 64)()


def test_two_threads_race_one_over_the_same_samples() -> None:
    pytest.importorskip("audiogen._native")
    network = samplernn._network(TINY, "float32", SampleRNN(TINY))
    race = samplernn._two_threads("tiny", network, "float32")
    assert isinstance(race, Race) and race.n_cores == 2 and race.peer_name == "one thread"
    assert callable(race.ours) and callable(race.peer)
    assert (race.ours() == race.peer()).all() and (race.ours() == race.peer()).all()
