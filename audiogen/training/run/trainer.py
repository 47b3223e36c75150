"""Base of the trainers of all recipes: counters, one optimiser step, checkpoints, timing."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from audiogen.errors import AudiogenError, ParameterError
from audiogen.training.run.device import has_bfloat16
from audiogen.training.run.processes import Processes

WARM_UP = 100  # steps in which a learning rate rises; Adam's second moments are poor before
CPU = torch.device("cpu")
_SAVED = ("step", "seconds", "best", "initialised_from", "initial_licence")
_YOUNGER = ("phase_s", "provenance")  # what older checkpoints lack


class Trainer(ABC):
    """A network in training: one step at a time, saved and restored exactly.

    Parameters
    ----------
    recipe : Recipe
        The numbers of the training.
    processes : Processes, optional
        The processes that share each batch; by default this one alone.
    device : torch.device
        The device of the networks.

    Attributes
    ----------
    step : int
        Number of steps taken.
    seconds : float, s
        Time spent in steps, over all runs.
    best : dict
        ``step`` and value of the best evaluation on held-out data.
    warning : str
        Advice while training; empty if there is none.
    phase_s : list of float, s
        Time of a step in each of the `phases`, as `forecast.measure` found it; empty if it wasn't
        measured. Only their ratios count.
    provenance : dict of str
        Code and sounds of the training (`training.run.card`).
    initialised_from, initial_licence : str
        Name and licence of the preset whose weights the training began with; empty if none.
    """

    may_change: ClassVar[frozenset[str]] = frozenset()  # recipe fields that may differ on resume

    def __init__(self, recipe: Any, processes: Processes | None = None, device: Any = CPU):
        self.recipe = recipe
        self.processes = processes or Processes()
        self.device = torch.device(device)
        self.step, self.seconds = 0, 0.0
        self.best: dict[str, Any] = {"step": 0}
        self.warning = ""
        self.phase_s: list[float] = []
        self.provenance: dict[str, str] = {}
        self.initialised_from, self.initial_licence = "", ""

    @property
    def kind(self) -> str:
        """Kind of the training, as checkpoints name it."""
        return self.recipe.kind

    @property
    def n_steps(self) -> int:
        """Number of steps of the whole training."""
        return self.recipe.steps

    @abstractmethod
    def train_step(self) -> dict[str, float]:
        """Take one step; return its losses by name."""

    @abstractmethod
    def checkpoint_bytes(self) -> int:
        """Approximate size of a checkpoint, bytes."""

    # --- Timing ---------------------------------------------------------------------------------

    def phases(self) -> list[tuple[float, int]]:
        """Share of all steps and a representative step of each phase, for `forecast`."""
        return [(1.0, 0)]

    def seconds_left(self) -> float:
        """Time of the steps that remain, judged by those taken and by `phase_s`, s."""
        if not self.step:
            return 0.0
        shares = [share for share, _ in self.phases()]
        costs = self.phase_s or [1.0] * len(shares)
        ends = np.cumsum([0.0, *shares])
        work = np.cumsum([0.0, *(s * cost for s, cost in zip(shares, costs, strict=True))])
        done = np.interp(self.step / self.n_steps, ends, work)
        return self.seconds * float((work[-1] - done) / done)

    @abstractmethod
    def n_evaluations(self, n_steps: int) -> int:
        """Number of evaluations on held-out data in a training of ``n_steps``."""

    @abstractmethod
    def evaluate_held_out(self) -> dict[str, float]:
        """Evaluate as between two steps; return measurements by name."""

    # --- One step -------------------------------------------------------------------------------

    def autocast(self, enabled: bool | None = None) -> torch.autocast:
        """Context in which products run in bfloat16, where the device supports it."""
        if enabled is None:
            enabled = has_bfloat16(self.device)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def descend(
        self,
        loss: Tensor,
        optimiser: Any,
        parameters: Sequence[Tensor],
        max_norm: float = math.inf,
        only: bool = False,
    ) -> None:
        """Update parameters by a loss's gradient, unless either isn't finite.

        Parameters
        ----------
        loss : Tensor []
            The loss of this process's share of the batch.
        optimiser : torch.optim.Optimizer
            The optimiser of the parameters.
        parameters : sequence of Tensor
            The parameters.
        max_norm : float
            Bound of the gradient's norm.
        only : bool
            Whether to compute the gradients of these parameters only.

        Raises
        ------
        AudiogenError
            If the loss or its gradient isn't finite; the weights are unchanged.
        """
        optimiser.zero_grad(set_to_none=True)
        loss.backward(inputs=list(parameters) if only else None)
        self.processes.average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, max_norm)
        if not torch.isfinite(self.processes.mean(loss.detach()) + norm):
            raise AudiogenError(
                f"step {self.step}: the loss is {loss.item():g} and the norm of its gradient"
                f" {norm.item():g}; lower the learning rate"
            )
        optimiser.step()

    # --- Checkpoints ----------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything that `restore` needs; in several processes, all must call it."""
        state = {name: getattr(self, name) for name in ("kind", *_SAVED, *_YOUNGER)}
        state |= {"recipe": asdict(self.recipe)}
        return on_cpu(state | self.own_state())

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`, as if training had never stopped.

        Raises
        ------
        ParameterError
            If the state was made by another recipe or on other data.
        """
        if different := self.differences(state):
            raise ParameterError(
                f"the checkpoint was made with {' and '.join(different)}; give the same arguments"
                " as when the run began, or start a new run in another folder"
            )
        for name in _SAVED:
            setattr(self, name, state[name])
        for name in _YOUNGER:
            setattr(self, name, state.get(name, getattr(self, name)))
        self.restore_own(state)

    def differences(self, state: dict[str, Any]) -> list[str]:
        """Reasons why a state doesn't belong to this training; empty if it does."""
        if state["kind"] != self.kind:
            return [f"recipe {state['kind']}"]
        here, there = _flat(asdict(self.recipe)), _flat(state["recipe"])
        # A field that the state lacks is younger than its run; it was read with its default.
        names = [n for n in here if n not in self.may_change and n in there and there[n] != here[n]]
        return [f"another recipe ({', '.join(names)})"] if names else []

    @abstractmethod
    def own_state(self) -> dict[str, Any]:
        """Return the part of `state` that only this kind of training has."""

    @abstractmethod
    def restore_own(self, state: dict[str, Any]) -> None:
        """Restore what `own_state` returned."""


def warm_up(step: int) -> float:
    """Factor of a learning rate that rises over the first `WARM_UP` steps."""
    return min(1.0, (step + 1) / WARM_UP)


def cosine_fall(done: float, floor: float) -> float:
    """Factor of a learning rate that falls from 1 to ``floor`` along a squared cosine.

    Parameters
    ----------
    done : float, 0 to 1
        Share of the steps that are taken.
    floor : float
        The last factor.
    """
    return floor + (1.0 - floor) * math.cos(0.5 * math.pi * done) ** 2


def average_decay(decay: float, step: int) -> float:
    """Decay of an averaged weight per step, shorter at first so that the initial weights fade."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_average(average: Iterable[Tensor], current: Iterable[Tensor], decay: float) -> None:
    """Move averaged weights towards the current ones by ``1 - decay``, in place."""
    torch._foreach_lerp_(list(average), list(current), 1.0 - decay)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """States of torch's generators that steps on a device draw from."""
    states = {"cpu": torch.get_rng_state()}
    return states | ({} if device.type == "cpu" else {"cuda": torch.cuda.get_rng_state(device)})


def set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    """Inverse of `random_state`; a state of the other device is left out."""
    torch.set_rng_state(states["cpu"])
    if device.type != "cpu" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def on_cpu(value: Any) -> Any:
    """A copy of nested dicts and lists whose tensors are on the CPU, without gradients."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {name: on_cpu(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(on_cpu, value))
    return value


def n_bytes_of(*parts: nn.Module | Tensor) -> int:
    """Bytes of the tensors of modules, and of tensors."""
    tensors: list[Tensor] = []
    for part in parts:
        tensors += [part] if isinstance(part, Tensor) else part.state_dict().values()
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    """Fields of a recipe beside those of its networks."""
    inner = [each for each in table.values() if isinstance(each, dict)]
    flat = {name: value for name, value in table.items() if not isinstance(value, dict)}
    for each in inner:
        flat |= each
    return flat
