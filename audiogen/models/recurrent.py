"""GRU and LSTM layers over a whole sequence, for training.

Input projections and weight gradients are single products over all steps, so the loop over time
holds only the recurrent product and the gates. The equations are those of `torch.nn.GRU` and
`torch.nn.LSTM`. Sums and states are float32; products are bfloat16 under autocast. On the CPU the
gates of a GRU are computed by the compiled module (`csrc/kernels/networks/gru_batch.h`), from
inputs rounded like those of the products. LSTMs, and GRUs without that module, run in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogen.core import backend as _native


def gru_step(x: Tensor, recurrent: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    """Compute a GRU step: the new h, then reset, update, new and recurrent part of new."""
    xr, xz, xn = x.float().chunk(3, dim=-1)
    hr, hz, hn = recurrent.float().chunk(3, dim=-1)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    n = torch.tanh(xn + r * hn)
    return n + z * (h - n), r, z, n, hn


def gru_step_gradient(dh: Tensor, h: Tensor, *kept: Tensor) -> tuple[Tensor, ...]:
    """Compute the gradients of a GRU step's x, recurrent product and state.

    The state's gradient leaves out the part that flows through the recurrent product.
    """
    r, z, n, hn = kept
    dn = dh * (1.0 - z) * (1.0 - n * n)
    dz = dh * (h - n) * z * (1.0 - z)
    dr = dn * hn * r * (1.0 - r)
    return torch.cat((dr, dz, dn), -1), torch.cat((dr, dz, dn * r), -1), dh * z


def lstm_step(x: Tensor, recurrent: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    """Compute an LSTM step: new h and c, then input, forget, output gate, candidate, tanh(c)."""
    i, f, g, o = (x.float() + recurrent.float()).chunk(4, dim=-1)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    c = f * c + i * g
    t = torch.tanh(c)
    return o * t, c, i, f, o, g, t


def lstm_step_gradient(dh: Tensor, dc: Tensor, c: Tensor, *kept: Tensor) -> tuple[Tensor, ...]:
    """Compute the gradients of an LSTM step, as `gru_step_gradient`; ``c`` is the previous c."""
    i, f, o, g, t = kept
    dc = dc + dh * o * (1.0 - t * t)
    gates = torch.cat(
        (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)),
        -1,
    )
    return gates, gates, torch.zeros_like(dh), dc * f


STEPS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "gru": (gru_step, gru_step_gradient),
    "lstm": (lstm_step, lstm_step_gradient),
}


def scan(
    kind: str, x: Tensor, first: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Run a recurrent layer over a sequence.

    Parameters
    ----------
    kind : str
        ``gru`` or ``lstm``.
    x : Tensor [batch, n_steps, n_gates * dim]
        Input projections with their bias; gates in torch's order.
    first : Tensor [1 or 2, batch, dim]
        Initial h; for an LSTM also the initial c.
    weight : Tensor [n_gates * dim, dim]
        Weight of the recurrent product.
    bias : Tensor [n_gates * dim]
        Bias of the recurrent product.

    Returns
    -------
    h : Tensor [batch, n_steps, dim]
        Hidden state after each step.
    last : Tensor [1 or 2, batch, dim]
        Final h; for an LSTM also the final c.
    """
    if kind == "gru" and x.device.type == "cpu" and _native.find() is not None:
        out = _NativeGru.apply(x, first[0], weight, bias)
        return out, out[None, :, -1]
    out, *last = _Scan.apply(kind, x, weight, bias, *first)
    return out, torch.stack(last)


class _NativeGru(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        dtype = _product_dtype()
        steps = x.to(dtype).transpose(0, 1).contiguous()
        h = torch.empty((len(steps) + 1, *first.shape))
        factors = h if dtype == h.dtype else torch.empty_like(h, dtype=dtype)  # h, rounded
        h[0] = factors[0] = first
        recurrent = torch.empty_like(steps)
        loop = _native.require().GruLoop(*map(_array, (steps, recurrent, h, factors)))
        turned, offset = weight.to(dtype).t(), bias.to(dtype)
        with torch.autocast("cpu", enabled=False):
            for t, (factor, product) in enumerate(zip(factors[:-1], recurrent, strict=True)):
                torch.addmm(offset, factor, turned, out=product)
                loop.forward(t)
        ctx.loop, ctx.x_dtype = loop, x.dtype
        # The loop reads all of them in backward; saving them lets torch detect in-place changes.
        ctx.save_for_backward(weight, recurrent, factors, h, steps)
        return h[1:].transpose(0, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dh: Tensor):
        weight, recurrent, factors, _, _ = ctx.saved_tensors
        dh = dh.float().transpose(0, 1).contiguous()
        dstate, passed = torch.zeros_like(dh[0]), torch.zeros_like(factors[0])
        dx, drecurrent = torch.empty_like(recurrent), torch.empty_like(recurrent)
        low = weight.to(recurrent.dtype)
        arrays = [_array(tensor) for tensor in (dh, passed, dstate, dx, drecurrent)]
        for t in reversed(range(len(dh))):
            ctx.loop.backward(t, *arrays)
            torch.mm(drecurrent[t], low, out=passed)
        flat = drecurrent.flatten(0, 1)
        dweight = (flat.t() @ factors[:-1].flatten(0, 1)).float()
        dx = dx.transpose(0, 1).to(ctx.x_dtype)
        return dx, dstate + passed.float(), dweight, flat.float().sum(0)


def _product_dtype() -> torch.dtype:
    return torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32


def _array(tensor: Tensor) -> np.ndarray:
    """View a tensor as an array; bfloat16 as int16, because numpy has no bfloat16."""
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kind: str, x: Tensor, weight: Tensor, bias: Tensor, *first: Tensor):
        step = STEPS[kind][0]
        dtype = _product_dtype()
        turned, offset = weight.to(dtype).t(), bias.to(dtype)
        states, kept, before = first, [], []
        steps = x.transpose(0, 1).contiguous()
        with torch.autocast("cpu", enabled=False):
            for t in range(len(steps)):
                before.append(states)
                recurrent = torch.addmm(offset, states[0].to(dtype), turned)
                result = step(steps[t], recurrent, *states)
                states, rest = result[: len(first)], result[len(first) :]
                kept.append(rest)
        h = torch.stack([*(states[0] for states in before[1:]), states[0]], dim=1)
        ctx.kind, ctx.dtype, ctx.x_dtype = kind, dtype, x.dtype
        ctx.kept, ctx.before = kept, before
        ctx.save_for_backward(weight)
        return h, *states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dout: Tensor, *dlast: Tensor):
        gradient = STEPS[ctx.kind][1]
        (weight,) = ctx.saved_tensors
        low = weight.to(ctx.dtype)
        dstates = [d.float() for d in dlast]
        douts = dout.transpose(0, 1).contiguous().float()
        dx, drecurrent = [], []
        for t in reversed(range(len(douts))):
            dstates[0] = dstates[0] + douts[t]
            # A GRU's step needs h before it, an LSTM's c.
            dx_t, drecurrent_t, *dstates = gradient(*dstates, ctx.before[t][-1], *ctx.kept[t])
            drecurrent_t = drecurrent_t.to(ctx.dtype)
            dstates[0] = dstates[0] + (drecurrent_t @ low).float()
            dx.append(dx_t.to(ctx.x_dtype))
            drecurrent.append(drecurrent_t)
        all_recurrent = torch.cat(drecurrent[::-1])
        hidden = torch.cat([states[0] for states in ctx.before]).to(ctx.dtype)
        dweight = (all_recurrent.t() @ hidden).float()
        dbias = all_recurrent.float().sum(0)
        return None, torch.stack(dx[::-1], dim=1), dweight, dbias, *dstates
