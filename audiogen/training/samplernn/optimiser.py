"""The optimiser of a SampleRNN: Muon for inner matrices, Adam for all other parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from audiogen.training.run.trainer import n_bytes_of

NARROWEST = 8  # smallest side of a matrix that Muon updates
# Adam updates the matrices that read frames and conditioning. Muon's steps are equally long in
# every direction, which amplifies weak inputs there: some held-out notes became unstable.
INPUT_MATRICES = ("tiers.0.ih.0.weight", "input.weight", "features.weight")
ADAM_SHARE = 0.6  # Adam's learning rate over Muon's
MOMENTUM = 0.95
# Coefficients of the quintic whose fifth iterate brings all singular values near 1 (Jordan et al.).
QUINTIC, N_ITERATIONS = (3.4445, -4.7750, 2.0315), 5


def orthogonal(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Approximate the nearest orthogonal matrix: singular values become 0.7 to 1.2.

    Newton-Schulz iteration with the coefficients of Jordan et al. (2024).

    Parameters
    ----------
    matrix : Tensor [m, n]
        The matrix.
    dtype : torch.dtype
        Type of the products.

    Returns
    -------
    Tensor [m, n]
    """
    a, b, c = QUINTIC
    x = matrix.to(dtype)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(N_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Steps along the momentum, made orthogonal.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. Like
    `torch.optim.Muon` without weight decay; that one multiplies in bfloat16 only, which is slow on
    most CPUs (`device.has_bfloat16`).

    Parameters
    ----------
    parameters : list of Parameter [m, n]
        The matrices.
    dtype : torch.dtype
        Type of the products.
    """

    def __init__(self, parameters: list[nn.Parameter], dtype: torch.dtype):
        super().__init__(parameters, {"lr": 0.02, "share": 1.0})
        self._dtype = dtype

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update the parameters by their gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient, state = parameter.grad, self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(gradient)
                momentum = state["momentum_buffer"].lerp_(gradient, 1.0 - MOMENTUM)
                direction = orthogonal(gradient.lerp(momentum, MOMENTUM), self._dtype)
                m, n = parameter.shape
                parameter.add_(direction, alpha=-group["lr"] * max(1.0, m / n) ** 0.5)


class MuonAndAdam:
    """Muon for a SampleRNN's inner matrices of 8 rows and columns or more; Adam for the rest.

    Parameters
    ----------
    model : Module
        The network.
    bfloat16 : bool
        Whether Muon multiplies in bfloat16.

    Attributes
    ----------
    n_bytes : int
        Size of the optimiser's state.
    """

    def __init__(self, model: nn.Module, *, bfloat16: bool):
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            wide = parameter.ndim == 2 and min(parameter.shape) >= NARROWEST
            inner = name.endswith("weight") and not name.endswith(INPUT_MATRICES)
            (matrices if wide and inner else others).append(parameter)
        # Muon keeps one number for each parameter, Adam two.
        self.n_bytes = n_bytes_of(*matrices, *others, *others)
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.Adam([{"params": others, "share": ADAM_SHARE}])
        ]
        if matrices:
            self._parts.append(Muon(matrices, torch.bfloat16 if bfloat16 else torch.float32))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Parameter groups; the factor ``share`` of the learning rate is the group's own."""
        return [group for part in self._parts for group in part.param_groups]

    def step(self) -> None:
        """Update the parameters by their gradients."""
        for part in self._parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """States of both optimisers, by class name."""
        return {type(part).__name__: part.state_dict() for part in self._parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        for part in self._parts:
            part.load_state_dict(state[type(part).__name__])
