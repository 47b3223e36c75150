"""Several processes that train one network: each has a share of every batch.

Under torchrun, Lightning Fabric finds the others, on one machine or many. Every process has the
same weights, draws the chance of the whole batch and takes its own rows of it; what depends on
the whole batch is averaged over them, and so are the gradients. So the steps are those of one
process with the whole batch, up to the order of sums. Networks aren't wrapped
(DistributedDataParallel): it meets gradients at the end of one backward pass, and a gradient
penalty takes two.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from audiogen.errors import MissingPackageError, ParameterError

Rows = TypeVar("Rows", Tensor, Any)


class Processes:
    """What a trainer knows of the others; alone by default, when all of this does nothing.

    Parameters
    ----------
    fabric : lightning_fabric.Fabric, optional
        Launched.

    Attributes
    ----------
    rank, size : int
        Which this one is, and of how many.
    gpu : int
        The one of this machine that is for this process.
    """

    def __init__(self, fabric: Any = None):
        self._fabric = fabric
        self.rank = 0 if fabric is None else int(fabric.global_rank)
        self.size = 1 if fabric is None else int(fabric.world_size)
        self.gpu = 0 if fabric is None else int(fabric.local_rank)

    @classmethod
    def launched(cls) -> Processes:
        """Those that torchrun started; alone without it.

        Raises
        ------
        MissingPackageError
            If there are several and Lightning Fabric isn't installed.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        try:
            from lightning_fabric import Fabric
            from lightning_fabric.strategies import DDPStrategy
        except ImportError:
            raise MissingPackageError(
                "training in several processes needs lightning-fabric, which isn't installed; pip"
                " install 'audiogen-synth[train]'"
            ) from None
        of_this_machine = int(os.environ["LOCAL_WORLD_SIZE"])
        gpus = torch.cuda.device_count() >= of_this_machine
        fabric = Fabric(
            accelerator="cuda" if gpus else "cpu",
            # Networks of the built-in recipe are on the CPU also where there are GPUs.
            strategy=DDPStrategy(process_group_backend="cpu:gloo,cuda:nccl" if gpus else "gloo"),
            devices=of_this_machine,
            num_nodes=int(os.environ["WORLD_SIZE"]) // of_this_machine,
        )
        fabric.launch()
        atexit.register(_part)
        return cls(fabric)

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def own(self, rows: Rows) -> Rows:
        """This process's share [n / size, ...] of what all have drawn, [n, ...].

        Raises
        ------
        ParameterError
            If the rows can't be shared equally.
        """
        n, left = divmod(len(rows), self.size)
        if left:
            raise ParameterError(
                f"a batch of {len(rows)} can't be shared equally by {self.size} processes; take"
                f" one that is a multiple of {self.size}, or start fewer of them"
            )
        return rows[self.rank * n : (self.rank + 1) * n]

    def drawn(self, draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """A function such as torch.rand that draws for all, from one seed; it gives own rows."""
        if self.size == 1:
            return draw

        def own(shape: Iterable[int], **options: Any) -> Tensor:
            n, *rest = shape
            return self.own(draw((n * self.size, *rest), **options))

        return own

    def mean(self, x: Tensor) -> Tensor:
        """The mean over the processes of a tensor that each has; can be differentiated twice."""
        return x if self.size == 1 else _Sum.apply(x) / self.size

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Set each gradient to its mean over the processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        means = (flat / self.size).split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def any(self, *said: bool) -> list[bool]:
        """Which of some things any process says, so that all do the same."""
        if self.size == 1:
            return list(said)
        heard = torch.tensor(said, dtype=torch.int32)
        distributed.all_reduce(heard)
        return (heard > 0).tolist()

    def told(self, value: Any) -> Any:
        """What the first process says, to all."""
        return value if self.size == 1 else self._fabric.broadcast(value)

    def gathered(self, x: Tensor, dim: int = 0) -> Tensor:
        """The shares of all, put together along ``dim``; all must call it."""
        if self.size == 1:
            return x
        parts = [torch.empty_like(x) for _ in range(self.size)]
        distributed.all_gather(parts, x.contiguous())
        return torch.cat(parts, dim=dim)


class _Sum(torch.autograd.Function):
    """Over the processes. What each one's loss owes to a sum that all have, all owe to each."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


def _part() -> None:
    """End together: Fabric parts from nccl alone, and gloo's threads would abort at the exit."""
    if not distributed.is_initialized():
        return
    if distributed.get_backend() == "gloo":
        with suppress(RuntimeError):  # another one has failed, and torchrun ends this one
            distributed.monitored_barrier(timeout=timedelta(seconds=10))
    distributed.destroy_process_group()
