"""The optimiser of a SampleRNN: Muon turns its matrices, Adam moves everything else."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from audiogen.training.checkpoints import n_bytes_of

NARROWEST = 8  # side of a matrix that Muon takes
ADAM_SHARE = 0.6  # Adam's rate, of Muon's


class MuonAndAdam:
    """An update moves each matrix by the same amount in all its directions.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; as
    `torch.optim.Muon`, without weight decay. Adam has what isn't a matrix, embeddings and what is
    narrower than 8: frames of a few samples.

    Parameters
    ----------
    model : Module
    learning_rate : float
        Of Muon; Adam's is 0.6 of it.
    """

    def __init__(self, model: nn.Module, learning_rate: float):
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            wide = parameter.ndim == 2 and min(parameter.shape) >= NARROWEST
            (matrices if wide and name.endswith("weight") else others).append(parameter)
        # Kept of each number: one with Muon, two with Adam.
        self.n_bytes = n_bytes_of(*matrices, *others, *others)
        self._parts: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.Adam(others, ADAM_SHARE * learning_rate), ADAM_SHARE)
        ]
        if matrices:
            self._parts.append((torch.optim.Muon(matrices, learning_rate, weight_decay=0.0), 1.0))

    def step(self, learning_rate: float) -> None:
        """Update the parameters by their gradients, and forget these."""
        for part, share in self._parts:
            for group in part.param_groups:
                group["lr"] = share * learning_rate
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """As of torch's optimisers."""
        return {type(part).__name__: part.state_dict() for part, _ in self._parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As of torch's optimisers."""
        for part, _ in self._parts:
            part.load_state_dict(state[type(part).__name__])
