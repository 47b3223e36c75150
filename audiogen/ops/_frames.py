"""Windows, gains and inverse transforms of STFT frames as tensors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from audiogen.ops import reference


def window_and_gain(
    n_fft: int, hop_length: int, n_frames: int, like: Tensor
) -> tuple[Tensor, Tensor]:
    """The window [n_fft] and the gain [span] of `audiogen.ops.istft`."""
    window, gain = _tables(n_fft, hop_length, n_frames)
    return torch.from_numpy(window).to(like), torch.from_numpy(gain).to(like)


@lru_cache(maxsize=16)
def _tables(n_fft: int, hop_length: int, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    return reference.hann_window(n_fft), reference.window_gain(n_fft, hop_length, n_frames)


def inverse_transform(spectrum: Tensor, n_fft: int) -> Tensor:
    """Frames of one-sided spectra; the imaginary parts of the first and last bin are ignored."""
    ends = torch.zeros(n_fft // 2 + 1, dtype=torch.bool, device=spectrum.device)
    ends[0] = ends[-1] = True
    real = torch.complex(spectrum.real, torch.zeros_like(spectrum.real))
    return torch.fft.irfft(torch.where(ends, real, spectrum), n=n_fft)
