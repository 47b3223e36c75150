"""Gradients of the ops on tensors, against finite differences and against torch's own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from audiogen import ops
from audiogen.ops import _tensors


def phases(*shape: int) -> torch.Tensor:
    """Values whose differences stay clear of +-pi, where the derivatives jump."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5


def spectra(*shape: int) -> torch.Tensor:
    return torch.complex(phases(*shape), phases(*shape).flip(-1))


CASES = {
    "wrap": (lambda x: ops.wrap(x), phases(3, 4) + 7.0),
    "unwrap": (lambda x: ops.unwrap(x), phases(2, 5, 3)),
    "instantaneous_frequency": (lambda x: ops.instantaneous_frequency(x), phases(2, 5, 3)),
    "frequency of one frame": (lambda x: ops.instantaneous_frequency(x), phases(2, 1, 3)),
    "frequency along the last axis": (lambda x: ops.instantaneous_frequency(x, -1), phases(2, 5)),
    "integrate": (lambda x: ops.integrate(x), 0.1 * phases(2, 5, 3)),
    "integrate along the first axis": (lambda x: ops.integrate(x, 0), 0.1 * phases(4, 3)),
    "magnitude": (lambda x: ops.polar_to_rectangular(x, 3.0 * phases(2, 5)), phases(2, 5)),
    "phase": (lambda x: ops.polar_to_rectangular(phases(2, 5), x), phases(2, 5)),
    "istft": (lambda x: ops.istft(x, 16, 4), spectra(2, 5, 9)),
    "istft of one frame": (lambda x: ops.istft(x, 16, 16), spectra(1, 9)),
    "istft with a hop that does not divide": (lambda x: ops.istft(x, 16, 5), spectra(3, 9)),
}


@pytest.mark.parametrize("case", CASES)
def test_finite_differences(case):
    op, x = CASES[case]
    assert torch.autograd.gradcheck(op, x.requires_grad_())
    assert torch.autograd.gradgradcheck(op, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", CASES)
def test_single_precision(case, dtype):
    """The kernels' gradients are those of the same op in double precision."""
    op, x = CASES[case]
    if x.is_complex():
        dtype = torch.complex64
    gradients = []
    for typed in (x.detach().to(dtype), x.detach().to(dtype).to(x.dtype)):
        y = op(typed.requires_grad_())
        y.abs().square().sum().backward()
        assert typed.grad.dtype == typed.dtype
        gradients.append(typed.grad.to(x.dtype))
    torch.testing.assert_close(
        *gradients, rtol=1e-2 if dtype == torch.bfloat16 else 1e-4, atol=1e-4
    )


@pytest.mark.parametrize("op", ["unwrap", "instantaneous_frequency", "integrate"])
def test_gradient_of_nothing(op):
    for shape in ((2, 0, 3), (2, 3, 0), (0, 3, 2)):
        x = torch.zeros(shape, requires_grad=True)
        getattr(ops, op)(x).sum().backward()
        assert x.grad.shape == shape
    spectrum = torch.zeros(2, 0, 9, dtype=torch.complex64, requires_grad=True)
    signal = ops.istft(spectrum, 16, 4)
    assert signal.shape == (2, 0)


def test_composed_ops_have_the_same_gradients():
    """torch's own operations, which serve other devices, differentiate to the same numbers."""
    for op, x, settings in (
        ("unwrap", phases(2, 5, 3), {"axis": 1}),
        ("instantaneous_frequency", phases(2, 5, 3), {"axis": 1}),
        ("integrate", 0.1 * phases(2, 5, 3), {"axis": 1}),
        ("istft", spectra(2, 5, 9), {"n_fft": 16, "hop_length": 4}),
    ):
        gradients = []
        for function in (getattr(ops, op), _tensors.COMPOSED[op]):
            typed = x.clone().requires_grad_()
            function(typed, **settings).pow(3).sum().backward()
            gradients.append(typed.grad)
        torch.testing.assert_close(*gradients)


def test_no_graph_without_gradients():
    x = torch.zeros(3, 4, requires_grad=True)
    with torch.no_grad():
        assert not ops.unwrap(x).requires_grad
    assert not ops.unwrap(x.detach()).requires_grad
