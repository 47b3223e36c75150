"""Two processes that share a batch take the steps of one that has it whole.

Under torchrun this file is the program of each process: it trains a little and writes what it got.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

torch = pytest.importorskip("torch")

from audiogen.cli.main import main
from audiogen.errors import ParameterError
from audiogen.training.run.checkpoints import Checkpoints
from audiogen.training.run.processes import Processes

N_STEPS = 3  # the first of the critic's has the penalty


def gansynth(processes: Processes, adversarial_share: float, unseen: bool = False) -> Any:
    from audiogen.training.gansynth.trainer import BuiltInTrainer
    from tests.training.test_trainer import TINY, make_notes, without

    recipe = dataclasses.replace(
        TINY, adversarial_share=adversarial_share, adversarial_batch=4, held_out=0.2
    )
    notes = without(1) if unseen else make_notes()
    trainer = BuiltInTrainer(notes, recipe, compiled=False, processes=processes)
    # Adam's first step has the sign of a gradient only, also of one that is nothing but rounding.
    trainer.optimiser = torch.optim.SGD(trainer.parameter_groups(), 0.01)
    critic = trainer.adversary
    critic.optimiser = torch.optim.SGD(critic.critic.parameters(), 0.01)
    trainer.fit_optimiser = torch.optim.SGD([trainer.latents], 0.01)
    if adversarial_share:
        trainer.step = recipe.penalty_every  # the generator receives the critic's gradient, too
        assert trainer.step >= trainer._n_alone
    return trainer, [trainer.optimiser, critic.optimiser, trainer.fit_optimiser]


def samplernn(processes: Processes) -> Any:
    from audiogen.training.samplernn.trainer import SampleRNNTrainer
    from tests.training.test_samplernn_trainer import TINY, excerpts

    recipe = dataclasses.replace(TINY, batch=4, state_shuffle=0.5)
    trainer = SampleRNNTrainer(excerpts(recipe), excerpts(recipe, 1), recipe, processes)
    trainer.optimiser = torch.optim.SGD(trainer.model.parameters(), 0.01)
    return trainer, [trainer.optimiser]


def growing(processes: Processes) -> Any:
    """At full size, where all of both networks are at work."""
    from audiogen.training.gansynth.progressive import ProgressiveTrainer
    from tests.training.test_progressive import TINY, write_notes

    with tempfile.TemporaryDirectory() as folder:
        notes = write_notes(Path(folder) / "notes")
        trainer = ProgressiveTrainer(notes, TINY, "cpu", processes)
        waveforms = trainer.notes.waveforms(np.arange(len(trainer.notes.pitches)))
    trainer.notes.waveforms = lambda indices: waveforms[indices]  # type: ignore[method-assign]
    trainer.step = 9
    trainer._begin_stage(4)
    trainer.optimiser = torch.optim.SGD(trainer.generator.parameters(), 1e-4)
    trainer.critic_optimiser = torch.optim.SGD(trainer.critic.parameters(), 1e-4)
    return trainer, [trainer.optimiser, trainer.critic_optimiser]


TRAININGS = {
    "regression": lambda processes: gansynth(processes, 0.0),
    "critic": lambda processes: gansynth(processes, 1.0),
    "held-out instrument": lambda processes: gansynth(processes, 0.0, unseen=True),
    "growing": growing,
    "samplernn": samplernn,
}


def gradients(name: str, processes: Processes) -> dict[str, Any]:
    """Of each update, and what the losses were; without bfloat16, which would hide mistakes."""
    torch.set_num_threads(1)
    whole, torch.autocast = torch.autocast, lambda *_, **__: contextlib.nullcontext()
    try:
        trainer, optimisers = TRAININGS[name](processes)
        updates: list[Any] = []
        for optimiser in optimisers:
            optimiser.register_step_pre_hook(lambda used, *_: updates.append(copies(used)))
        told = [trainer.train_step() for _ in range(N_STEPS)]
    finally:
        torch.autocast = whole
    return {"updates": updates, "told": told, "carried": trainer.state().get("carried", [])}


def copies(optimiser: Any) -> list[Any]:
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    return [p.grad.clone() for p in parameters if p.grad is not None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two processes got."""
    out = tmp_path_factory.mktemp("shared") / "out.pt"
    run_in_two("tests.training.test_processes", out)
    return torch.load(out)


def run_in_two(module: str, *words: object) -> str:
    """What two processes of a program say."""
    pytest.importorskip("lightning_fabric")
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = subprocess.run(
        [sys.executable, *launch, "-m", module, *map(str, words)],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=300,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_have_the_gradients_of_one(name: str, shared: dict[str, Any]) -> None:
    alone, together = gradients(name, Processes()), shared[name]
    n_updates = N_STEPS * (2 if name in ("critic", "growing") else 1)
    n_updates += name == "held-out instrument"  # of its latent, after the first step
    assert len(alone["updates"]) == n_updates
    assert ("fooled" in alone["told"][0]) == (name in ("critic", "growing"))
    n_first = len(alone["updates"]) // N_STEPS
    for i, (mine, theirs) in enumerate(zip(alone["updates"], together["updates"], strict=True)):
        # Of all weights at once: a difference of nothing but rounding has either sign. It grows
        # from step to step, where it takes an activation past its kink.
        one, two = (torch.cat([g.flatten() for g in each]) for each in (mine, theirs))
        bound = 1e-4 if i < n_first else 1e-2 if name == "growing" else 1e-3
        assert float((one - two).norm() / one.norm()) < bound
    for a, b in zip(alone["told"], together["told"], strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-6)
    for a, b in zip(alone["carried"], together["carried"], strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_reports")
def test_one_command_trains_in_two_processes_and_goes_on(tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for i in range(4):
        t = np.arange(8000) / 8000
        soundfile.write(recordings / f"{i}.wav", 0.5 * np.sin(2000 * (1 + i) * t), 8000)
    sizes = ("--dim", 8, "--embedding", 4, "--frame-sizes", "8,2", "--batch", 4, "--chunk", 64)
    train = ("train", "samplernn", recordings, "--sample-rate", 8000, "--held-out", 0.3, *sizes)
    one, two = tmp_path / "one", tmp_path / "two"
    with pytest.raises(SystemExit):
        main([str(word) for word in (*train, "-o", one, "--steps", 6)])
    said = run_in_two("audiogen.cli.main", *train, "-o", two, "--steps", 6)
    assert said.count("play it: ") == 1  # one of the two speaks
    # Before they are brought to the grid, where a little becomes a step.
    a, b = (Checkpoints(tmp_path / f"{name}.run", print).newest() for name in ("one", "two"))
    for name, weights in a["average"].items():
        torch.testing.assert_close(b["average"][name], weights, rtol=1e-7, atol=2e-3)
    made = load_file(two / "weights.safetensors")
    # The last checkpoint holds the states of both shares: one process goes on from it alone.
    shutil.rmtree(two)
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in (*train, "-o", two, "--steps", 6, "--resume")])
    assert stopped.value.code in (0, None)
    again = load_file(two / "weights.safetensors")
    assert all(np.array_equal(again[name], made[name]) for name in made)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    two = Processes()
    two.size = 2
    assert two.own([1, 2, 3, 4]) == [1, 2]
    with pytest.raises(ParameterError, match="batch=3 must be a multiple"):
        two.own([1, 2, 3])


if __name__ == "__main__":
    launched = Processes.launched()
    got = {name: gradients(name, launched) for name in TRAININGS}
    if launched.first:
        torch.save(got, sys.argv[1])
