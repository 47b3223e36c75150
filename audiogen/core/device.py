"""Choice of the device that computes: the CPU, or a GPU that torch sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiogen.errors import DeviceError, MissingPackageError

if TYPE_CHECKING:
    import torch

DEVICES = "cpu, cuda, cuda:N or auto"


def choose_device(name: str, gpu: int = 0) -> torch.device:
    """Find the device of a name.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for a CUDA device if there is one.
    gpu : int
        Number of the device that ``cuda`` and ``auto`` mean.

    Returns
    -------
    torch.device

    Raises
    ------
    DeviceError
        If the name is unknown or there is no such device.
    MissingPackageError
        If PyTorch is not installed.
    """
    kind, _, number = name.partition(":")
    if name not in ("cpu", "auto") and not (
        kind == "cuda" and (number.isdecimal() or name == "cuda")
    ):
        raise DeviceError(f"device={name!r} must be {DEVICES}")
    try:
        import torch
    except ImportError:
        raise MissingPackageError(
            f"device={name!r} needs PyTorch; pip install torch, or use device cpu"
        ) from None
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not n_gpus):
        return torch.device("cpu")
    index = int(number) if number else gpu
    if index >= n_gpus:
        found = "no CUDA device" if not n_gpus else f"{n_gpus} CUDA devices, cuda:0 the first"
        raise DeviceError(
            f"device={name!r} not found: torch {torch.__version__} sees {found}; use device cpu, or"
            " install a torch that matches the GPU's driver"
        )
    return torch.device("cuda", index)
