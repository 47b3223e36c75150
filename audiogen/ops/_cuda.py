"""Kernels on CUDA tensors: finds the CUDA library and calls it on torch's memory and stream.

The functions are called as those of `audiogen._native`, on contiguous float32 tensors. The library
is loaded on the first call, so only where torch has made a tensor on a GPU. Without it the CPU's
kernels serve, by way of a copy, and a warning says so once.
"""

from __future__ import annotations

import ctypes
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.core import backend as _native
from audiogen.errors import DeviceError
from audiogen.ops import reference

INTERFACE = 1  # AUDIOGEN_CUDA_INTERFACE of csrc/cuda/audiogen_cuda.h

_POINTER, _SIZE, _INT = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int
_COLUMNS = (_POINTER, _POINTER, _SIZE, _SIZE, _SIZE)
SIGNATURES = {
    "wrap": (_POINTER, _POINTER, _SIZE),
    "unwrap": _COLUMNS,
    "instantaneous_frequency": _COLUMNS,
    "integrate": _COLUMNS,
    "polar_to_rectangular": (_POINTER, _POINTER, _POINTER, _SIZE),
    "overlap_add": (*([_POINTER] * 4), *([_SIZE] * 4)),
    "conv_rows": (*([_POINTER] * 4), *([_SIZE] * 4), ctypes.c_float, _INT, _INT),
    "philox_uniform": (_SIZE, ctypes.c_uint32, ctypes.c_uint32, _POINTER, ctypes.c_uint32),
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


def load(path: Path) -> ctypes.CDLL:
    """The library with its functions' types declared.

    Raises
    ------
    DeviceError
        If it cannot be loaded, or belongs to another version of audiogen.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise DeviceError(f"the CUDA library {path} cannot be loaded: {error}") from None
    found = library.audiogen_cuda_interface()
    if found != INTERFACE:
        raise DeviceError(
            f"the CUDA library {path} has interface {found}, and {INTERFACE} is wanted; install "
            "audiogen again"
        )
    library.audiogen_cuda_error.restype = ctypes.c_char_p
    for name, arguments in SIGNATURES.items():
        getattr(library, f"audiogen_cuda_{name}").argtypes = (*arguments, _POINTER)
    return library


@cache
def _library() -> ctypes.CDLL | None:
    path = library_path()
    if path.exists():
        return load(path)
    warnings.warn(
        "audiogen was installed without its CUDA library, so CUDA tensors are computed on the "
        "CPU; install again with the CUDA toolkit's nvcc on PATH and AUDIOGEN_CUDA=on",
        RuntimeWarning,
        stacklevel=3,
    )
    return None


def _call(name: str, device: Any, *arguments: Any) -> None:
    library = _library()
    assert library is not None
    torch = sys.modules["torch"]
    with torch.cuda.device(device):
        stream = torch.cuda.current_stream(device).cuda_stream
        values = [a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments]
        status = getattr(library, f"audiogen_cuda_{name}")(*values, stream)
    if status != 0:
        text = library.audiogen_cuda_error(status).decode()
        raise DeviceError(f"{name} failed on {device}: {text} (CUDA status {status})")


def _on_cpu(name: str, device: Any, *arguments: Any) -> Any:
    torch = sys.modules["torch"]
    values = [a.cpu().numpy() if isinstance(a, torch.Tensor) else a for a in arguments]
    result = getattr(_native.kernels(), name)(*values)
    return torch.from_numpy(result).to(device)


def _elementwise(name: str) -> Callable[[Any], Any]:
    def op(x: Any) -> Any:
        if _library() is None:
            return _on_cpu(name, x.device, x)
        out = x.new_empty(x.shape)
        sizes = (x.numel(),) if name == "wrap" else tuple(x.shape)
        _call(name, x.device, x, out, *sizes)
        return out

    return op


wrap = _elementwise("wrap")
unwrap = _elementwise("unwrap")
instantaneous_frequency = _elementwise("instantaneous_frequency")
integrate = _elementwise("integrate")


def polar_to_rectangular(log_magnitude: Any, phase: Any) -> Any:
    torch = sys.modules["torch"]
    if _library() is None:
        return _on_cpu("polar_to_rectangular", phase.device, log_magnitude, phase)
    out = phase.new_empty(phase.shape, dtype=torch.complex64)
    _call("polar_to_rectangular", phase.device, log_magnitude, phase, out, phase.numel())
    return out


def overlap_add(frames: Any, hop_length: int, window: Any = None, gain: Any = None) -> Any:
    """As `audiogen.ops.overlap_add`; frames times `window` first and the signal times `gain`."""
    if _library() is None:
        windowed = frames if window is None else frames * window
        signal = _on_cpu("overlap_add", frames.device, windowed.contiguous(), hop_length)
        return signal if gain is None else signal * gain
    n_batch, n_frames, n_fft = frames.shape
    span = hop_length * (n_frames - 1) + n_fft if n_frames else 0
    out = frames.new_empty((n_batch, span))
    _call(
        "overlap_add",
        frames.device,
        frames,
        window,
        gain,
        out,
        n_batch,
        n_frames,
        n_fft,
        hop_length,
    )
    return out


@dataclass(frozen=True)
class IstftPlan:
    """Window and gain for one `n_fft`, `hop_length` and `n_frames`, on the CPU."""

    n_fft: int
    hop_length: int
    n_frames: int

    def tables(self, device: Any) -> tuple[Any, Any]:
        window = reference.hann_window(self.n_fft).astype(np.float32)
        gain = reference.window_gain(self.n_fft, self.hop_length, self.n_frames).astype(np.float32)
        torch = sys.modules["torch"]
        return torch.from_numpy(window).to(device), torch.from_numpy(gain).to(device)


def istft(plan: IstftPlan, spectrum: Any) -> Any:
    """torch's inverse transform, then our windowed overlap-add."""
    torch = sys.modules["torch"]
    spectrum = spectrum.clone()
    torch.view_as_real(spectrum)[..., [0, -1], 1] = 0  # cuFFT wants what the definition ignores
    frames = torch.fft.irfft(spectrum, n=plan.n_fft, dim=-1).contiguous()
    window, gain = plan.tables(spectrum.device)
    return overlap_add(frames, plan.hop_length, window, gain)


def conv_rows(x: Any, weight: Any, bias: Any, slope: float, normalise: bool, upsample: bool) -> Any:
    if _library() is None:
        return _on_cpu("conv_rows", x.device, x, weight, bias, slope, normalise, upsample)
    in_channels, n_frames, n_bins = x.shape
    out_channels = weight.shape[0]
    scale = 2 if upsample else 1
    out = x.new_empty((out_channels, n_frames * scale, n_bins * scale))
    sizes = (in_channels, out_channels, n_frames, n_bins)
    _call("conv_rows", x.device, x, weight, bias, out, *sizes, slope, normalise, upsample)
    return out


def philox_uniform(seed: int, stream: int, row: int, n: int, device: Any = "cuda") -> Any:
    """As `audiogen.ops.philox_uniform`, made on the device."""
    torch = sys.modules["torch"]
    if _library() is None:
        return torch.from_numpy(_native.kernels().philox_uniform(seed, stream, row, n)).to(device)
    out = torch.empty(n, dtype=torch.float32, device=device)
    _call("philox_uniform", out.device, seed, stream, row, out, n)
    return out


def samplernn_state_bytes(network: Samplernn, n_streams: int) -> int:
    """How many bytes of device memory the states of streams need.

    Raises
    ------
    DeviceError
        If the library wasn't built, or the network is larger than it can serve.
    """
    path = library_path()
    if not path.exists():
        raise DeviceError(
            f"the CUDA library {path} is missing; install audiogen again with the CUDA toolkit's "
            "nvcc on PATH and AUDIOGEN_CUDA=on"
        )
    library, n_bytes = _library(), ctypes.c_uint64()
    assert library is not None
    status = library.audiogen_cuda_samplernn_state_bytes(
        ctypes.byref(network), n_streams, ctypes.byref(n_bytes)
    )
    if status != 0:
        raise DeviceError(f"n_streams={n_streams} of this network are more than CUDA can index")
    return n_bytes.value


def samplernn_draw(network: Samplernn, run: SamplernnRun, state: Any, n_streams: int) -> None:
    """Queue a run; the structs hold pointers to tensors on the device of ``state``."""
    _call(
        "samplernn_draw",
        state.device,
        ctypes.byref(network),
        ctypes.byref(run),
        state,
        n_streams,
    )
