"""Choice of the device to train on, and of the precision of its products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiogen.core import backend as _native
from audiogen.core.device import DEVICES, choose_device

if TYPE_CHECKING:
    import torch

__all__ = ["DEVICES", "choose_device", "has_bfloat16"]


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
