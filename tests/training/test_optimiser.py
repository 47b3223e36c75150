"""Muon has the matrices of a SampleRNN, Adam the rest."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from audiogen.models.samplernn import SampleRNN, SampleRNNConfig  # noqa: E402
from audiogen.training.optimiser import MuonAndAdam  # noqa: E402

RATE = 0.01


def moved(model: torch.nn.Module, scale: float) -> dict[str, torch.Tensor]:
    """By what a first step moves each parameter."""
    optimiser = MuonAndAdam(model, RATE)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
    optimiser.step(RATE)
    assert all(p.grad is None for p in model.parameters())
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_matrix_moves_alike_in_all_directions_and_the_rest_by_a_step(scale: float) -> None:
    torch.manual_seed(0)
    model = SampleRNN(SampleRNNConfig((16, 4), dim=24, embedding_size=8))
    by = moved(model, scale)
    turned = [name for name in by if name.endswith(".weight") and "input" not in name]
    assert len(turned) == 10
    for name in turned:
        tall = max(1.0, by[name].shape[0] / by[name].shape[1]) ** 0.5
        amounts = torch.linalg.svdvals(by[name]) / (RATE * tall)
        assert 0.3 < amounts.min() and amounts.max() < 1.6, name
    for name in set(by) - set(turned):
        assert torch.allclose(by[name].abs(), torch.tensor(0.6 * RATE), rtol=0.02), name


def test_a_network_too_narrow_for_muon_has_adam_alone() -> None:
    by = moved(SampleRNN(SampleRNNConfig((4, 2), dim=4, embedding_size=4, q_levels=4)), 1.0)
    assert all(torch.allclose(d.abs(), torch.tensor(0.6 * RATE), rtol=0.02) for d in by.values())
