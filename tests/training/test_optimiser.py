"""Muon has the matrices of a SampleRNN, Adam the rest."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from audiogen.models.samplernn import SampleRNN, SampleRNNConfig
from audiogen.training.samplernn.optimiser import Muon, MuonAndAdam, orthogonal

RATE = 0.01


def moved(model: torch.nn.Module, scale: float) -> dict[str, torch.Tensor]:
    """By what a first step moves each parameter."""
    optimiser = MuonAndAdam(model, bfloat16=False)
    for group in optimiser.param_groups:
        group["lr"] = RATE * group["share"]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        # None is so near 0 that Adam's epsilon counts.
        parameter.grad = scale * drawn.sign() * drawn.abs().clamp(min=0.01)
    optimiser.step()
    optimiser.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_muon_moves_matrices_equally_in_all_directions_and_adam_the_rest(scale: float) -> None:
    torch.manual_seed(0)
    config = SampleRNNConfig((16, 4), 24, embedding_size=8, conditioning="note", n_classes=2)
    by = moved(SampleRNN(config), scale)
    edge = "tiers.0.ih.0", "input", "features"  # read samples or conditioning
    turned = [n for n in by if n.endswith(".weight") and not any(name in n for name in edge)]
    assert len(turned) == 9
    for name in turned:
        tall = max(1.0, by[name].shape[0] / by[name].shape[1]) ** 0.5
        amounts = torch.linalg.svdvals(by[name]) / (RATE * tall)
        assert 0.3 < amounts.min() and amounts.max() < 1.6, name
    for name in set(by) - set(turned):
        assert torch.allclose(by[name].abs(), torch.tensor(0.6 * RATE), rtol=0.02), name


def test_a_network_too_narrow_for_muon_has_adam_alone() -> None:
    by = moved(SampleRNN(SampleRNNConfig((4, 2), dim=4, embedding_size=4, q_levels=4)), 1.0)
    assert all(torch.allclose(d.abs(), torch.tensor(0.6 * RATE), rtol=0.02) for d in by.values())


@pytest.mark.parametrize("shape", [(48, 16), (16, 48), (24, 24)])
def test_muon_is_torchs(shape: tuple[int, int]) -> None:
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("needs torch 2.9 or newer")
    torch.manual_seed(2)
    ours = torch.nn.Parameter(torch.randn(shape))
    theirs = torch.nn.Parameter(ours.detach().clone())
    steps = Muon([ours], torch.bfloat16), torch.optim.Muon([theirs], 0.02, weight_decay=0.0)
    for _ in range(3):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimiser in steps:
            optimiser.step()
    assert torch.equal(ours, theirs)


def test_orthogonal_in_float32_is_that_in_bfloat16_less_its_rounding() -> None:
    matrix = torch.randn(40, 24, generator=torch.Generator().manual_seed(3))
    exact, rounded = (orthogonal(matrix, dtype) for dtype in (torch.float32, torch.bfloat16))
    assert exact.dtype == torch.float32
    assert 1e-4 < (exact - rounded.float()).norm() / exact.norm() < 0.03
