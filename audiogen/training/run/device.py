"""Choice of the device to train on, and of the precision of its products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiogen.core import backend as _native
from audiogen.errors import DeviceError

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
    """
    import torch

    kind, _, number = name.partition(":")
    if name not in ("cpu", "auto") and not (
        kind == "cuda" and (number.isdecimal() or name == "cuda")
    ):
        raise DeviceError(f"device={name!r} must be {DEVICES}")
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not n_gpus):
        return torch.device("cpu")
    index = int(number) if number else gpu
    if index >= n_gpus:
        found = "no CUDA device" if not n_gpus else f"{n_gpus} CUDA devices, cuda:0 the first"
        raise DeviceError(
            f"device={name!r} not found: torch {torch.__version__} sees {found}; use --device cpu,"
            " or install a torch that matches the GPU's driver"
        )
    return torch.device("cuda", index)


def has_bfloat16(device: str | torch.device = "cpu") -> bool:
    """Whether a device multiplies in bfloat16 itself.

    Where a CPU can't (no AVX-512 BF16 or AMX), torch's bfloat16 products take 5 to 40 times as long
    as float32 ones. Only the compiled module knows the CPU; without it the answer is no.

    Parameters
    ----------
    device : str or torch.device
        Device that will compute.
    """
    if str(device) != "cpu":
        import torch

        return torch.cuda.is_bf16_supported()
    module = _native.find()
    return module is not None and "avx512_bf16" in module.available_isas()
