"""The device is chosen by name, and products are in bfloat16 only where it has them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from audiogen.core import backend as _native
from audiogen.errors import DeviceError
from audiogen.training.run import device as devices
from audiogen.training.run import trainer as base
from audiogen.training.run.device import choose_device, has_bfloat16
from audiogen.training.samplernn.recipe import SampleRNNRecipe
from tests.training.test_trainer import make_trainer


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n)


@pytest.mark.parametrize(
    ("name", "gpu", "n_gpus", "chosen"),
    [
        ("cpu", 0, 2, "cpu"),
        ("auto", 0, 0, "cpu"),
        ("auto", 1, 2, "cuda:1"),
        ("cuda", 1, 2, "cuda:1"),
        ("cuda:0", 1, 2, "cuda:0"),
    ],
)
def test_a_device_has_a_name(monkeypatch, name, gpu, n_gpus, chosen) -> None:
    pretend_gpus(monkeypatch, n_gpus)
    assert choose_device(name, gpu) == torch.device(chosen)


@pytest.mark.parametrize(
    ("name", "n_gpus", "message"),
    [
        ("cuda", 0, "device='cuda' not found: torch .* sees no CUDA device; use device cpu"),
        ("cuda:2", 2, "device='cuda:2' not found: torch .* sees 2 CUDA devices"),
        ("gpu", 1, "device='gpu' must be cpu, cuda, cuda:N or auto"),
        ("cuda:", 1, "must be cpu"),
        ("cpu:0", 1, "must be cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, name, n_gpus, message) -> None:
    pretend_gpus(monkeypatch, n_gpus)
    with pytest.raises(DeviceError, match=message):
        choose_device(name)


@pytest.mark.parametrize(
    ("isas", "has"),
    [
        (["baseline", "avx2"], False),
        (["baseline", "avx2", "avx512"], False),
        (["baseline", "avx2", "avx512", "avx512_bf16"], True),
        (["baseline", "avx2", "avx512", "avx512_bf16", "amx"], True),
        (None, False),
    ],
)
def test_bfloat16_is_for_cpus_that_multiply_in_it(monkeypatch, isas, has) -> None:
    module = None if isas is None else SimpleNamespace(available_isas=lambda: isas)
    monkeypatch.setattr(_native, "find", lambda: module)
    assert has_bfloat16() == has
    assert SampleRNNRecipe().bfloat16 == has


@pytest.mark.parametrize("has", [False, True])
def test_generators_run_in_bfloat16_where_the_device_has_it(monkeypatch, has) -> None:
    monkeypatch.setattr(base, "has_bfloat16", lambda device: has)
    trainer = make_trainer()
    enabled = []
    trainer.generator.register_forward_pre_hook(
        lambda *_: enabled.append(torch.is_autocast_enabled("cpu"))
    )
    trainer.train_step()
    assert enabled and set(enabled) == {has}


def test_a_gpu_answers_for_itself(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(devices._native, "find", lambda: None)
    assert has_bfloat16(torch.device("cuda", 0)) and not has_bfloat16("cpu")
