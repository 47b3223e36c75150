"""Data-parallel training: several processes, each with a share of every batch.

Under torchrun, Lightning Fabric connects the processes, on one machine or many. Every process has
the same weights, draws the random numbers of the whole batch and uses its own rows; quantities of
the whole batch are averaged over the processes, and so are the gradients. So the steps are those of
one process with the whole batch, up to the order of sums. Networks aren't wrapped in
DistributedDataParallel, which averages gradients after one backward pass; a gradient penalty takes
two.
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
    """The processes that share a training; a single one by default, without communication.

    Parameters
    ----------
    fabric : lightning_fabric.Fabric, optional
        A launched Fabric.

    Attributes
    ----------
    rank, size : int
        Number of this process, and of all.
    gpu : int
        Number of this process's GPU on this machine.
    """

    def __init__(self, fabric: Any = None):
        self._fabric = fabric
        self.rank = 0 if fabric is None else int(fabric.global_rank)
        self.size = 1 if fabric is None else int(fabric.world_size)
        self.gpu = 0 if fabric is None else int(fabric.local_rank)

    @classmethod
    def launched(cls) -> Processes:
        """Connect the processes that torchrun started; a single one without it.

        Returns
        -------
        Processes

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
                " install lightning-fabric"
            ) from None
        n_local = int(os.environ["LOCAL_WORLD_SIZE"])
        gpus = torch.cuda.device_count() >= n_local
        fabric = Fabric(
            accelerator="cuda" if gpus else "cpu",
            # With --device cpu, networks are on the CPU also where there are GPUs.
            strategy=DDPStrategy(process_group_backend="cpu:gloo,cuda:nccl" if gpus else "gloo"),
            devices=n_local,
            num_nodes=int(os.environ["WORLD_SIZE"]) // n_local,
        )
        fabric.launch()
        atexit.register(_disconnect)
        return cls(fabric)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def own(self, rows: Rows) -> Rows:
        """Rows of this process.

        Parameters
        ----------
        rows : Tensor or array [n, ...]
            Rows of the whole batch.

        Returns
        -------
        Tensor or array [n / size, ...]

        Raises
        ------
        ParameterError
            If the rows can't be shared equally.
        """
        n, left = divmod(len(rows), self.size)
        if left:
            raise ParameterError(
                f"batch={len(rows)} must be a multiple of the number of processes, {self.size};"
                " change the batch, or start fewer processes"
            )
        return rows[self.rank * n : (self.rank + 1) * n]

    def drawn(self, draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Wrap a function such as torch.rand: it draws the whole batch and returns own rows."""
        if self.size == 1:
            return draw

        def own(shape: Iterable[int], **options: Any) -> Tensor:
            n, *rest = shape
            return self.own(draw((n * self.size, *rest), **options))

        return own

    def mean(self, x: Tensor) -> Tensor:
        """Mean over the processes of a tensor; twice differentiable."""
        return x if self.size == 1 else _Sum.apply(x) / self.size

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        means = (flat / self.size).split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def any(self, *flags: bool) -> list[bool]:
        """Whether each flag is set in any process, so that all act alike."""
        if self.size == 1:
            return list(flags)
        counts = torch.tensor(flags, dtype=torch.int32)
        distributed.all_reduce(counts)
        return (counts > 0).tolist()

    def broadcast(self, value: Any) -> Any:
        """The value of the first process, in all."""
        return value if self.size == 1 else self._fabric.broadcast(value)

    def gathered(self, x: Tensor, dim: int = 0) -> Tensor:
        """The shares of all processes, concatenated along ``dim``; all must call it."""
        if self.size == 1:
            return x
        parts = [torch.empty_like(x) for _ in range(self.size)]
        distributed.all_gather(parts, x.contiguous())
        return torch.cat(parts, dim=dim)


class _Sum(torch.autograd.Function):
    """Sum over the processes; its gradient is the sum of all processes' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


def _disconnect() -> None:
    """End together: Fabric disconnects nccl only, and gloo's threads would abort at the exit."""
    if not distributed.is_initialized():
        return
    if distributed.get_backend() == "gloo":
        with suppress(RuntimeError):  # another process failed, and torchrun ends this one
            distributed.monitored_barrier(timeout=timedelta(seconds=10))
    distributed.destroy_process_group()
