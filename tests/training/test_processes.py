"""Two processes that share a batch take the steps of one that has it whole.

Under torchrun this file is the program of each process: it trains a little and writes what it got.
"""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from audiogen.errors import ParameterError  # noqa: E402
from audiogen.training.processes import Processes  # noqa: E402

N_STEPS = 3  # the first and the third of a critic have the penalty


def gansynth(processes: Processes, adversarial_share: float) -> Any:
    from audiogen.training.gansynth import Trainer
    from tests.training.test_trainer import TINY, make_notes

    recipe = dataclasses.replace(
        TINY, adversarial_share=adversarial_share, adversarial_batch=4, held_out=0.2
    )
    trainer = Trainer(make_notes(), recipe, compiled=False, processes=processes)
    # Adam's first step has the sign of a gradient only, also of one that is nothing but rounding.
    trainer.optimiser = torch.optim.SGD(trainer.parameters(), 0.01)
    trainer.critic_optimiser = torch.optim.SGD(trainer.critic.parameters(), 0.01)
    return trainer, [trainer.optimiser, trainer.critic_optimiser]


def samplernn(processes: Processes) -> Any:
    from audiogen.training.samplernn import Trainer
    from tests.training.test_samplernn_trainer import TINY, excerpts

    recipe = dataclasses.replace(TINY, batch=4)
    trainer = Trainer(excerpts(recipe), excerpts(recipe, 1), recipe, processes)
    trainer.optimiser = torch.optim.SGD(trainer.model.parameters(), 0.01)
    return trainer, [trainer.optimiser]


TRAININGS = {
    "regression": lambda processes: gansynth(processes, 0.0),
    "critic": lambda processes: gansynth(processes, 1.0),
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
    parameters = optimiser.param_groups[0]["params"]
    return [p.grad.clone() for p in parameters if p.grad is not None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two processes got."""
    out = tmp_path_factory.mktemp("shared") / "out.pt"
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    subprocess.run(
        [sys.executable, *launch, "-m", "tests.training.test_processes", str(out)],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=300,
    )
    return torch.load(out)


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_have_the_gradients_of_one(name: str, shared: dict[str, Any]) -> None:
    pytest.importorskip("lightning_fabric")
    alone, together = gradients(name, Processes()), shared[name]
    assert len(alone["updates"]) == N_STEPS * (2 if name == "critic" else 1)
    for mine, theirs in zip(alone["updates"], together["updates"], strict=True):
        # One that is nothing but rounding, as of a bias that cancels, is held to the others.
        least = 1e-2 * max(float(a.abs().max()) for a in mine)
        for a, b in zip(mine, theirs, strict=True):
            assert float((b - a).abs().max()) < 1e-4 * max(float(a.abs().max()), least)
    for a, b in zip(alone["told"], together["told"], strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-6)
    for a, b in zip(alone["carried"], together["carried"], strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-6)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    two = Processes()
    two.size = 2
    assert two.own([1, 2, 3, 4]) == [1, 2]
    with pytest.raises(ParameterError, match="a batch of 3 can't be shared equally by 2"):
        two.own([1, 2, 3])


if __name__ == "__main__":
    launched = Processes.launched()
    got = {name: gradients(name, launched) for name in TRAININGS}
    if launched.first:
        torch.save(got, sys.argv[1])
