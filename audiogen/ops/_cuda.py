"""Kernels on CUDA tensors: loads the CUDA library and calls it on torch's memory and stream.

The functions take contiguous float32 and complex64 tensors and the settings of the ops. The
library is loaded on the first call, that is, once there is a tensor on a GPU. Where it was not
built, `audiogen.ops._tensors` computes with torch's own operations.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from audiogen.errors import DeviceError
from audiogen.ops._arrays import column_shape

INTERFACE = 3  # AUDIOGEN_CUDA_INTERFACE of csrc/cuda/audiogen_cuda.h

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_uint64
_COLUMNS = (_POINTER, _POINTER, _SIZE, _SIZE, _SIZE)
SIGNATURES = {
    "wrap": (_POINTER, _POINTER, _SIZE),
    "unwrap": _COLUMNS,
    "instantaneous_frequency": _COLUMNS,
    "integrate": _COLUMNS,
    "polar_to_rectangular": (_POINTER, _POINTER, _POINTER, _SIZE),
    "overlap_add": (*([_POINTER] * 4), *([_SIZE] * 4)),
    "samplernn_state_bytes": (_POINTER, _SIZE),  # the last argument isn't a stream
    "samplernn_draw": (_POINTER, _POINTER, _POINTER, _SIZE),
}

MOST_TIERS = 16  # AUDIOGEN_CUDA_MOST_TIERS


class SamplernnTier(ctypes.Structure):
    """`audiogen_cuda_samplernn_tier`."""

    _fields_ = (
        ("frame_size", _SIZE),
        ("direct", _POINTER),
        ("classes", _POINTER),
        ("above", _POINTER),
        ("input", _POINTER),
        ("input_bias", _POINTER),
        ("recurrent", _POINTER),
        ("recurrent_bias", _POINTER),
        ("h0", _POINTER),
        ("upsample", _POINTER),
        ("upsample_bias", _POINTER),
    )


class Samplernn(ctypes.Structure):
    """`audiogen_cuda_samplernn`."""

    _fields_ = (
        ("n_tiers", _SIZE),
        ("dim", _SIZE),
        ("n_rnn", _SIZE),
        ("n_gates", _SIZE),
        ("q_levels", _SIZE),
        ("tiers", SamplernnTier * MOST_TIERS),
        ("tables", _POINTER),
        ("classes", _POINTER),
        ("hidden", _POINTER),
        ("hidden_bias", _POINTER),
        ("output", _POINTER),
        ("output_bias", _POINTER),
        ("output_low", _POINTER),
        ("output_low_bias", _POINTER),
        ("upper", _POINTER),
        ("samples", _POINTER),
        ("dc_pole", ctypes.c_double),
    )


class SamplernnRun(ctypes.Structure):
    """`audiogen_cuda_samplernn_run`."""

    _fields_ = (
        ("seed", _SIZE),
        ("position", _SIZE),
        ("n", _SIZE),
        ("first_stream", ctypes.c_uint32),
        ("top_p", ctypes.c_float),
        ("seeds", _POINTER),
        ("temperature", _POINTER),
        ("classes", _POINTER),
        ("given", _POINTER),
        ("levels", _POINTER),
        ("samples", _POINTER),
        ("logits", _POINTER),
    )


def library_path() -> Path:
    """Where the build puts the library."""
    return Path(__file__).resolve().parent.parent / "libaudiogen_cuda.so"


def is_built() -> bool:
    """Whether audiogen was installed with its CUDA library."""
    return library_path().exists()


def load(path: Path) -> ctypes.CDLL:
    """Load the library and declare its functions.

    Raises
    ------
    DeviceError
        If it cannot be loaded, or belongs to another version of audiogen.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise DeviceError(f"the CUDA library {path} cannot be loaded: {error}") from None
    interface = library.audiogen_cuda_interface()
    if interface != INTERFACE:
        raise DeviceError(
            f"the CUDA library {path} has interface {interface}; it must be {INTERFACE}: install "
            "audiogen again"
        )
    library.audiogen_cuda_error.restype = ctypes.c_char_p
    for name, arguments in SIGNATURES.items():
        getattr(library, f"audiogen_cuda_{name}").argtypes = (*arguments, _POINTER)
    return library


@cache
def _library() -> ctypes.CDLL:
    return load(library_path())


def _call(name: str, device: Any, *arguments: Any) -> None:
    """Queue a kernel on torch's current stream of a device."""
    library, torch = _library(), sys.modules["torch"]
    with torch.cuda.device(device):
        stream = torch.cuda.current_stream(device).cuda_stream
        values = [a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments]
        status = getattr(library, f"audiogen_cuda_{name}")(*values, stream)
    if status != 0:
        text = library.audiogen_cuda_error(status).decode()
        raise DeviceError(f"{name} failed on {device}: {text} (CUDA status {status})")


def wrap(phase: Any) -> Any:
    out = phase.new_empty(phase.shape)
    _call("wrap", phase.device, phase, out, phase.numel())
    return out


def _along_time(name: str) -> Callable[..., Any]:
    def op(x: Any, axis: int) -> Any:
        out = x.new_empty(x.shape)
        _call(name, x.device, x, out, *column_shape(x.shape, axis))
        return out

    return op


unwrap = _along_time("unwrap")
instantaneous_frequency = _along_time("instantaneous_frequency")
integrate = _along_time("integrate")


def polar_to_rectangular(log_magnitude: Any, phase: Any) -> Any:
    out = phase.new_empty(phase.shape, dtype=sys.modules["torch"].complex64)
    _call("polar_to_rectangular", phase.device, log_magnitude, phase, out, phase.numel())
    return out


def istft(spectrum: Any, n_fft: int, hop_length: int) -> Any:
    """torch's inverse transform, then the windowed overlap-add."""
    from audiogen.ops import _frames

    *batch, n_frames, _ = spectrum.shape
    window, gain = _frames.window_and_gain(n_fft, hop_length, n_frames, spectrum.real)
    frames = _frames.inverse_transform(spectrum, n_fft).contiguous()
    out = frames.new_empty((*batch, len(gain)))
    sizes = (math.prod(batch), n_frames, n_fft, hop_length)
    _call("overlap_add", frames.device, frames, window, gain, out, *sizes)
    return out


def samplernn_state_bytes(network: Samplernn, n_streams: int) -> int:
    """Return the bytes of device memory that the states of streams need.

    Raises
    ------
    DeviceError
        If the library was not built, or the network is too large for it.
    """
    if not is_built():
        raise DeviceError(
            f"the CUDA library {library_path()} is missing; install audiogen again with the CUDA "
            "toolkit's nvcc on PATH and AUDIOGEN_CUDA=on"
        )
    n_bytes = ctypes.c_uint64()
    status = _library().audiogen_cuda_samplernn_state_bytes(
        ctypes.byref(network), n_streams, ctypes.byref(n_bytes)
    )
    if status != 0:
        raise DeviceError(f"n_streams={n_streams} is more than CUDA can index for this network")
    return n_bytes.value


def samplernn_draw(network: Samplernn, run: SamplernnRun, state: Any, n_streams: int) -> None:
    """Queue a run. The structs hold pointers to tensors on the device of ``state``."""
    _call(
        "samplernn_draw",
        state.device,
        ctypes.byref(network),
        ctypes.byref(run),
        state,
        n_streams,
    )
