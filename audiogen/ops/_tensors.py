"""The ops on torch tensors: the kernels of each device, and the gradients.

A tensor on the CPU shares its memory with an array, which the compiled kernels read. A float32
tensor on a CUDA device is computed by the CUDA library. Anything else (a CUDA device without that
library or in double precision, another device) is computed by torch's own operations, below.

The backward passes are written with differentiable torch operations, so second derivatives
exist. Whole turns are constants: `wrap` and `unwrap` have the derivative 1 almost everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from audiogen.errors import ParameterError
from audiogen.ops import _arrays, _cuda
from audiogen.ops._frames import inverse_transform, window_and_gain

DOUBLE = (torch.float64, torch.complex128)


def argument(name: str, tensor: Tensor, is_complex: bool) -> Tensor:
    """`_arrays.argument` of a tensor."""
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.dtype == torch.bool or (tensor.is_complex() and not is_complex):
        raise _arrays.wrong_dtype(name, tensor.dtype, is_complex)
    if tensor.device.type == "meta":
        raise ParameterError(f"{name} is on device meta, which holds no numbers; pass real data")
    double = tensor.dtype in DOUBLE
    if is_complex:
        dtype = torch.complex128 if double else torch.complex64
    else:
        dtype = torch.float64 if double else torch.float32
    return tensor.to(dtype).contiguous()


def apply(op: str, *arguments: Any, **settings: int) -> Tensor:
    """Run an op with its gradient."""
    tensors = [torch.as_tensor(value) for value in arguments]
    if len({tensor.device for tensor in tensors}) > 1:
        devices = " and ".join(str(tensor.device) for tensor in tensors)
        raise ParameterError(f"the tensors are on {devices}; move them to one device")
    if any(tensor.dtype not in DOUBLE for tensor in tensors):
        tensors = [t.to(torch.complex64 if t.is_complex() else torch.float32) for t in tensors]
    if "axis" in settings and not tensors[0].numel():
        return tensors[0].clone()
    return _FUNCTIONS[op].apply(*tensors, *settings.values())


def _compute(op: str, *tensors: Tensor, **settings: int) -> Tensor:
    """Run an op without its gradient."""
    device = tensors[0].device.type
    if device == "cpu":
        arrays = [tensor.detach().numpy() for tensor in tensors]
        return torch.from_numpy(np.asarray(_arrays.compute(op, *arrays, **settings)))
    if device == "cuda" and tensors[0].dtype not in DOUBLE and _cuda.is_built():
        return getattr(_cuda, op)(*tensors, **settings)
    return COMPOSED[op](*tensors, **settings)


# --- Gradients ----------------------------------------------------------------------------------


class _Wrap(Function):
    @staticmethod
    def forward(ctx: Any, phase: Tensor) -> Tensor:
        return _compute("wrap", phase)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Unwrap(Function):
    @staticmethod
    def forward(ctx: Any, phase: Tensor, axis: int) -> Tensor:
        return _compute("unwrap", phase, axis=axis)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _InstantaneousFrequency(Function):
    @staticmethod
    def forward(ctx: Any, phase: Tensor, axis: int) -> Tensor:
        ctx.axis = axis
        return _compute("instantaneous_frequency", phase, axis=axis)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # y[t] = (x[t] - x[t - 1]) / pi, so x[t] adds to y[t] and subtracts from y[t + 1].
        end = torch.zeros_like(gradient.narrow(ctx.axis, 0, 1))
        return -gradient.diff(dim=ctx.axis, append=end) / math.pi, None


class _Integrate(Function):
    @staticmethod
    def forward(ctx: Any, inst_freq: Tensor, axis: int) -> Tensor:
        ctx.axis = axis
        return _compute("integrate", inst_freq, axis=axis)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # y[t] = pi (x[0] + ... + x[t]), so x[t] adds to y[t] and all later ones.
        return math.pi * gradient.flip(ctx.axis).cumsum(ctx.axis).flip(ctx.axis), None


class _PolarToRectangular(Function):
    @staticmethod
    def forward(ctx: Any, log_magnitude: Tensor, phase: Tensor) -> Tensor:
        spectrum = _compute("polar_to_rectangular", log_magnitude, phase)
        ctx.save_for_backward(spectrum)
        return spectrum

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        # dz / dlog_magnitude = z and dz / dphase = i z; torch's gradient is conjugated.
        (spectrum,) = ctx.saved_tensors
        product = spectrum.conj() * gradient
        return product.real, product.imag


class _Istft(Function):
    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, n_fft: int, hop_length: int) -> Tensor:
        ctx.n_fft, ctx.hop_length, ctx.n_frames = n_fft, hop_length, spectrum.shape[-2]
        return _compute("istft", spectrum, n_fft=n_fft, hop_length=hop_length)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        # The adjoint: gain, frames, window, forward transform. All bins but the first and the last
        # stand for two, theirs and the conjugate one.
        n_fft = ctx.n_fft
        window, gain = window_and_gain(n_fft, ctx.hop_length, ctx.n_frames, gradient)
        frames = (gradient * gain).unfold(-1, n_fft, ctx.hop_length) * window
        weight = torch.full_like(window[: n_fft // 2 + 1], 2.0 / n_fft)
        weight[0] = weight[-1] = 1.0 / n_fft
        return torch.fft.rfft(frames) * weight, None, None


_FUNCTIONS: dict[str, type[Function]] = {
    "wrap": _Wrap,
    "unwrap": _Unwrap,
    "instantaneous_frequency": _InstantaneousFrequency,
    "integrate": _Integrate,
    "polar_to_rectangular": _PolarToRectangular,
    "istft": _Istft,
}


# --- In torch's own operations ------------------------------------------------------------------


def _nearest_turns(phase: Tensor) -> Tensor:
    return (phase / (2.0 * math.pi)).round()


def _subtract_turns(phase: Tensor, turns: Tensor) -> Tensor:
    """``phase - 2 pi turns``, 2 pi as a sum of three floats, as csrc/kernels/spectra/phase.h."""
    for part in (6.28125, 1.9350051879882812e-3, 3.0199160505617330e-7):
        phase = phase - turns * part
    return phase


def _wrap(phase: Tensor) -> Tensor:
    wrapped = _subtract_turns(phase, _nearest_turns(phase))
    pi = math.pi if phase.dtype == torch.float64 else float(np.float32(np.pi))
    wrapped = torch.where(wrapped < -pi, wrapped + 2.0 * math.pi, wrapped)
    return torch.where(wrapped >= pi, wrapped - 2.0 * math.pi, wrapped)


def _unwrap(phase: Tensor, axis: int) -> Tensor:
    turns = _nearest_turns(phase.diff(dim=axis)).cumsum(axis)
    later = _subtract_turns(phase.narrow(axis, 1, phase.shape[axis] - 1), turns)
    return torch.cat((phase.narrow(axis, 0, 1), later), axis)


def _instantaneous_frequency(phase: Tensor, axis: int) -> Tensor:
    steps = phase.diff(dim=axis)
    steps = _subtract_turns(steps, _nearest_turns(steps))
    return torch.cat((_wrap(phase.narrow(axis, 0, 1)), steps), axis) / math.pi


def _integrate(inst_freq: Tensor, axis: int) -> Tensor:
    turns = torch.cumsum(0.5 * inst_freq.double(), axis)
    return (2.0 * math.pi * (turns - turns.round())).to(inst_freq)


def _polar_to_rectangular(log_magnitude: Tensor, phase: Tensor) -> Tensor:
    return torch.polar(log_magnitude.exp(), phase)


def _istft(spectrum: Tensor, n_fft: int, hop_length: int) -> Tensor:
    *batch, n_frames, _ = spectrum.shape
    window, gain = window_and_gain(n_fft, hop_length, n_frames, spectrum.real)
    if not spectrum.numel():
        return gain.new_zeros((*batch, len(gain)))
    frames = (inverse_transform(spectrum, n_fft) * window).reshape(-1, n_frames, n_fft)
    size = (1, len(gain))
    signal = F.fold(frames.transpose(1, 2), size, (1, n_fft), stride=(1, hop_length))
    return signal.reshape(*batch, len(gain)) * gain


COMPOSED: dict[str, Callable[..., Tensor]] = {
    "wrap": _wrap,
    "unwrap": _unwrap,
    "instantaneous_frequency": _instantaneous_frequency,
    "integrate": _integrate,
    "polar_to_rectangular": _polar_to_rectangular,
    "istft": _istft,
}
