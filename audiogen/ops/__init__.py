"""Public kernels, as functions on NumPy arrays and torch tensors, with gradients.

An op returns an array for arrays and lists, and a tensor on the same device for tensors. Single
precision and less (half precision, integers) is computed in float32 by the compiled module, on
CUDA devices by the CUDA library, and without either by numba or torch. `float64` on the CPU is
computed by `audiogen.ops.reference`. The time axis is the last but one, [..., n_frames, n_bins],
unless stated otherwise. All ops on tensors can be differentiated twice.

`audiogen.representation` is built on these ops, and the engine on the same formulas (csrc/kernels).
"""

from audiogen.ops.phase import instantaneous_frequency, integrate, unwrap, wrap
from audiogen.ops.random import philox_uniform
from audiogen.ops.stft import istft, polar_to_rectangular

__all__ = [
    "instantaneous_frequency",
    "integrate",
    "istft",
    "philox_uniform",
    "polar_to_rectangular",
    "unwrap",
    "wrap",
]
