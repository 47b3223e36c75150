"""Weights on a grid that int8 and bfloat16 hold exactly, their errors made up for.

The native stream multiplies by most matrices of a SampleRNN as they are. Each of their rows is
brought to multiples, up to 127, of a power of two, so that a preset is the same network in every
precision. One column is rounded after the other, that of the strongest input first, and those that
come after it make up for what that changes, by how their inputs go together: Frantar et al., "GPTQ:
Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023, equations 2
and 3.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from audiogen.models.samplernn import Linear, SampleRNN

LARGEST = 127  # multiple
DAMPING = 1e-3  # of the inputs' mean power, added to each


@torch.no_grad()
def on_grid(model: SampleRNN, listen: Callable[[SampleRNN], object]) -> SampleRNN:
    """Bring the matrices of a trained network to the grid.

    Parameters
    ----------
    model : SampleRNN
    listen : callable
        Lets the model that it gets run over sound such as it was trained on.

    Returns
    -------
    SampleRNN
        Another one.
    """
    model = copy.deepcopy(model)
    pairs = list(_matrices(model))
    moments = _second_moments({heard for _, heard in pairs}, lambda: listen(model))
    for matrix, heard in pairs:
        rounded = rounded_rows(matrix.effective().double(), moments[heard])
        matrix.weight.copy_(rounded)
        if matrix.gain is not None:
            matrix.gain.copy_(rounded.norm(dim=1))
    return model


def rounded_rows(weight: Tensor, moments: Tensor) -> Tensor:
    """Rows of multiples of powers of two, whose products with the inputs stay as they were.

    Parameters
    ----------
    weight : Tensor [n_out, n_in], float64
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
    unit = torch.exp2(torch.ceil(torch.log2(largest / LARGEST)))
    damping = DAMPING * moments.diagonal().mean().clamp(min=1e-30)
    inverse = torch.linalg.inv(moments + damping * torch.eye(n, dtype=moments.dtype))
    spread = torch.linalg.cholesky(inverse, upper=True)
    for k in range(n):
        multiple = torch.round(left[:, k] / unit).clamp(-LARGEST, LARGEST)
        rounded[:, order[k]] = multiple * unit
        error = (left[:, k] - multiple * unit) / spread[k, k]
        left[:, k:] -= error[:, None] * spread[k, k:]
    return rounded


def _matrices(model: SampleRNN) -> Iterator[tuple[Any, Any]]:
    """Those that the native stream doesn't multiply out first, and whose input each hears.

    A recurrent matrix hears what its layer said a step ago: on the mean, what the next one hears.
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
    """Mean of x x^T over the inputs of linear layers while something runs."""
    sums: dict[Linear, Tensor] = {}
    seen: dict[Linear, int] = {}

    def listen(layer: Linear, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].flatten(0, -2)
        sums[layer] = sums.get(layer, torch.zeros(())) + (x.T @ x).double()
        seen[layer] = seen.get(layer, 0) + len(x)

    hooks = [layer.register_forward_pre_hook(listen) for layer in layers]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: sums[layer] / seen[layer] for layer in layers}
