"""Products are in bfloat16 where the CPU has them, and nowhere else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from audiogen.core import backend as _native
from audiogen.training.gansynth import progressive as growing
from audiogen.training.gansynth import trainer as gansynth
from audiogen.training.run import precision
from audiogen.training.samplernn.trainer import Recipe
from tests.training.test_trainer import make_trainer


@pytest.mark.parametrize(
    ("isas", "has"),
    [
        (["baseline", "avx2"], False),
        (["baseline", "avx2", "avx512"], False),
        (["baseline", "avx2", "avx512", "avx512_bf16"], True),
        (None, False),
    ],
)
def test_bfloat16_is_for_cpus_that_multiply_in_it(monkeypatch, isas, has) -> None:
    module = None if isas is None else SimpleNamespace(available_isas=lambda: isas)
    monkeypatch.setattr(_native, "find", lambda: module)
    assert precision.has_bfloat16() == has
    assert Recipe().bfloat16 == has


@pytest.mark.parametrize("has", [False, True])
def test_gansynth_follows(monkeypatch, has) -> None:
    for trainer_of in (gansynth, growing):
        monkeypatch.setattr(trainer_of, "has_bfloat16", lambda: has)
    trainer = make_trainer()
    seen = []
    trainer.generator.register_forward_pre_hook(
        lambda *_: seen.append(torch.is_autocast_enabled("cpu"))
    )
    trainer.train_step()
    assert seen and set(seen) == {has}
    fake = SimpleNamespace(device=torch.device("cpu"))
    with growing.ProgressiveTrainer._bfloat16(fake):
        assert torch.is_autocast_enabled("cpu") == has
