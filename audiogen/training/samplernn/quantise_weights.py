"""Weights on a grid that int8 and bfloat16 represent exactly, with rounding errors compensated.

The native stream multiplies by most matrices of a SampleRNN as they are. Each of their rows is
rounded to multiples, up to 127, of a power of two, so that a preset is the same network in every
precision. Columns are rounded one by one, that of the strongest input first, and the remaining
columns compensate the error, by the second moments of the inputs: Frantar et al., "GPTQ: Accurate
Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023, equations 2 and 3.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from audiogen.models.samplernn import Linear, SampleRNN

LARGEST_MULTIPLE = 127
DAMPING = 1e-3  # of the inputs' mean power, added to each input's, so that the inverse exists


@torch.no_grad()
def quantised(model: SampleRNN, run: Callable[[SampleRNN], object]) -> SampleRNN:
    """Round the matrices of a trained network to the grid.

    Parameters
    ----------
    model : SampleRNN
        The network; it isn't changed.
    run : callable
        Runs the network that it gets over typical sound, to collect the inputs' moments.

    Returns
    -------
    SampleRNN
    """
    model = copy.deepcopy(model)
    pairs = list(_matrices(model))
    moments = _second_moments({source for _, source in pairs}, lambda: run(model))
    for matrix, source in pairs:
        rounded = rounded_rows(matrix.effective().double(), moments[source])
        matrix.weight.copy_(rounded)
        if matrix.gain is not None:
            matrix.gain.copy_(rounded.norm(dim=1))
    return model


def rounded_rows(weight: Tensor, moments: Tensor) -> Tensor:
    """Round rows to multiples of powers of two, changing products with the inputs least.

    Parameters
    ----------
    weight : Tensor [n_out, n_in], float64
        The matrix.
    moments : Tensor [n_in, n_in], float64
        Mean of x x^T over inputs x.

    Returns
    -------
    Tensor [n_out, n_in], float64
    """
    n = len(moments)
    order = moments.diagonal().argsort(descending=True)
    moments = moments[order][:, order]
    left, rounded = weight[:, order], torch.zeros_like(weight)
    largest = weight.abs().amax(dim=1).clamp(min=1e-30)
    unit = torch.exp2(torch.ceil(torch.log2(largest / LARGEST_MULTIPLE)))
    damping = DAMPING * moments.diagonal().mean().clamp(min=1e-30)
    identity = torch.eye(n, dtype=moments.dtype, device=moments.device)
    factor = torch.linalg.cholesky(torch.linalg.inv(moments + damping * identity), upper=True)
    for k in range(n):
        multiple = torch.round(left[:, k] / unit).clamp(-LARGEST_MULTIPLE, LARGEST_MULTIPLE)
        rounded[:, order[k]] = multiple * unit
        error = (left[:, k] - multiple * unit) / factor[k, k]
        left[:, k:] -= error[:, None] * factor[k, k:]
    return rounded


def _matrices(model: SampleRNN) -> Iterator[tuple[Any, Any]]:
    """Matrices that the native stream doesn't fold, each with a layer that has the same input.

    The input of a recurrent matrix is its layer's last output, whose moments are those of the next
    layer's input.
    """
    tiers: list[Any] = [*model.tiers]
    for tier in tiers:
        layers = [*tier.ih, tier.upsample]
        yield from zip(tier.hh, layers[1:], strict=True)
        if tier.top:
            del layers[0]
        if tier is tiers[-1]:
            del layers[-1]
        yield from zip(layers, layers, strict=True)
    sample = model.sample
    outputs = [sample.layer3, sample.output]
    if sample.two_bytes:
        outputs += [sample.layer3_low, sample.output_low]
    yield from zip(outputs, outputs, strict=True)


def _second_moments(layers: set[Linear], run: Callable[[], object]) -> dict[Linear, Tensor]:
    """Mean of x x^T over the inputs of linear layers during a run."""
    sums: dict[Linear, Tensor] = {}
    counts: dict[Linear, int] = {}

    def add(layer: Linear, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].flatten(0, -2)
        sums[layer] = sums.get(layer, 0.0) + (x.T @ x).double()
        counts[layer] = counts.get(layer, 0) + len(x)

    hooks = [layer.register_forward_pre_hook(add) for layer in layers]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: sums[layer] / counts[layer] for layer in layers}
