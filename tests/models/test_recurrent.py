"""A scan over time is torch's own recurrent layer, gradients too."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.core import backend as _native
from audiogen.errors import ParameterError
from audiogen.models.recurrent import scan

BATCH, STEPS, SIZE, DIM = 3, 11, 5, 7


def run(kind: str, through_scan: bool, autocast: bool = False):
    """Outputs and gradients of one layer, by `scan` or by torch."""
    torch.manual_seed(0)
    layer = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind](SIZE, DIM, batch_first=True)
    x = torch.randn(BATCH, STEPS, SIZE, requires_grad=True)
    first = torch.randn(2 if kind == "lstm" else 1, BATCH, DIM, requires_grad=True)
    if through_scan:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            projected = torch.nn.functional.linear(x, layer.weight_ih_l0, layer.bias_ih_l0)
            out, last = scan(kind, projected, first, layer.weight_hh_l0, layer.bias_hh_l0)
    elif kind == "lstm":
        out, (h, c) = layer(x, (first[:1].contiguous(), first[1:].contiguous()))
        last = torch.cat((h, c))
    else:
        out, last = layer(x, first)
    weigh_out, weigh_last = torch.randn(out.shape), torch.randn(last.shape)
    total = (out * weigh_out).sum() + (last * weigh_last).sum()
    wanted = [x, first, layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_hh_l0]
    return [out, last, *torch.autograd.grad(total, wanted)]


@pytest.fixture(params=["native", "torch"])
def loop(request, monkeypatch):
    """With the compiled module and without it."""
    if request.param == "torch":
        monkeypatch.setattr(_native, "find", lambda: None)
    elif _native.find() is None:
        pytest.skip("needs the compiled module audiogen._native")


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_scan_is_torchs_layer(kind):
    for ours, theirs in zip(run(kind, True), run(kind, False), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-6)


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_under_autocast_products_are_rounded_and_sums_are_not(kind):
    for low, full in zip(run(kind, True, autocast=True), run(kind, True), strict=True):
        assert low.dtype == torch.float32
        error = (low - full).abs().max() / full.abs().max()
        assert 0 < error < 0.02


needs_module = pytest.mark.skipif(
    _native.find() is None, reason="needs the compiled module audiogen._native"
)


@needs_module
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("batch", "steps", "dim"), [(1, 5, 7), (3, 1, 16), (0, 4, 8), (2, 9, 33)])
def test_the_native_loop_is_torchs_to_the_rounding(monkeypatch, dtype, batch, steps, dim):
    """What isn't a number stays none, and bfloat16 is rounded to the nearest."""
    torch.manual_seed(2)
    x = torch.randn(batch, 2 * steps, 3 * dim)[:, ::2].to(dtype)  # not contiguous
    if batch == 3:
        x[1, 0, 0] = torch.nan
    weight = torch.randn(3 * dim, dim) / dim**0.5
    wanted = [x, torch.randn(1, batch, dim), weight, torch.randn(3 * dim)]
    weigh = torch.randn(batch, steps, dim)

    def run():
        leaves = [tensor.detach().requires_grad_() for tensor in wanted]
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            out, last = scan("gru", *leaves)
        gradients = torch.autograd.grad((out * weigh).sum() + last.sum(), leaves)
        return [out, last, *gradients]

    native = run()
    monkeypatch.setattr(_native, "find", lambda: None)
    tolerance = 1e-5 if dtype == torch.float32 else 4e-3
    for ours, theirs in zip(native, run(), strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)


@needs_module
def test_what_the_gradient_reads_may_not_be_changed_meanwhile():
    x = torch.randn(2, 4, 9, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = scan("gru", x, torch.zeros(1, 2, 3), torch.randn(9, 3), torch.zeros(9))
    total = out.sum()
    out.detach().zero_()
    with pytest.raises(RuntimeError, match="inplace"):
        total.backward()


@needs_module
def test_arrays_that_do_not_fit_are_refused():
    x, h = np.zeros((4, 2, 9), np.float32), np.zeros((5, 2, 3), np.float32)
    make = _native.require().GruLoop
    low = x.astype(np.int16), x.astype(np.int16), h, h.astype(np.int16)
    make(*low)
    loop = make(x, x, h, h)
    for wrong in (
        (x[:3], x, h, h),
        (x, x[:, :1], h, h),
        (x, x, h, h[1:]),
        (x, x.reshape(12, 6), h, h),
        (x, x.astype(np.int32), h, h),
        (low[0].astype(np.float16), *low[1:]),
        (*low[:3], low[3].astype(np.uint16)),
    ):
        with pytest.raises(ParameterError, match=r"must be \[n_steps|shape|dtype"):
            make(*wrong)
    with pytest.raises(ParameterError, match="t=4 must be below"):
        loop.forward(4)
    fine = {"dh": h[1:], "passed": h[0], "dstate": h[0], "dx": x, "drecurrent": x}
    for name, wrong in (("dh", h[0]), ("dstate", h[1:]), ("passed", h), ("dx", x[1:])):
        with pytest.raises(ParameterError, match="shape"):
            loop.backward(0, **fine | {name: wrong})


@pytest.mark.parametrize("dim", [DIM, 16])
def test_a_scan_can_be_cut(dim: int) -> None:
    torch.manual_seed(1)
    x, weight, bias = torch.randn(2, 8, 3 * dim), torch.randn(3 * dim, dim), torch.randn(3 * dim)
    first = torch.randn(1, 2, dim)
    whole, end = scan("gru", x, first, weight, bias)
    head, middle = scan("gru", x[:, :5], first, weight, bias)
    tail, last = scan("gru", x[:, 5:], middle, weight, bias)
    parts = torch.cat((head, tail), dim=1)
    torch.testing.assert_close((parts, last), (whole, end), rtol=0.0, atol=1e-6)
    # To the bit where rows are aligned alike: some BLAS take their sums' order from the address.
    if dim == 16:
        assert torch.equal(parts, whole) and torch.equal(last, end)
