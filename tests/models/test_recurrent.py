"""A scan over time is torch's own recurrent layer, gradients too."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from audiogen.errors import ParameterError  # noqa: E402
from audiogen.models.recurrent import scan  # noqa: E402
from audiogen.ops import _native  # noqa: E402

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


def test_arrays_that_do_not_fit_are_refused():
    loop = _native.require().GruLoop
    x, h = torch.zeros(4, 2, 9).numpy(), torch.zeros(5, 2, 3).numpy()
    loop(x, x, h, h)
    for wrong in ((x[:3], x, h, h), (x, x[:, :1], h, h), (x, x, h, h[1:])):
        with pytest.raises(ParameterError, match=r"fit|shape"):
            loop(*wrong)
    with pytest.raises(ParameterError, match="no step 4"):
        loop(x, x, h, h).forward(4)


def test_a_scan_can_be_cut():
    torch.manual_seed(1)
    x, weight, bias = torch.randn(2, 8, 3 * DIM), torch.randn(3 * DIM, DIM), torch.randn(3 * DIM)
    first = torch.randn(1, 2, DIM)
    whole, end = scan("gru", x, first, weight, bias)
    head, middle = scan("gru", x[:, :5], first, weight, bias)
    tail, last = scan("gru", x[:, 5:], middle, weight, bias)
    assert torch.equal(torch.cat((head, tail), dim=1), whole) and torch.equal(last, end)
