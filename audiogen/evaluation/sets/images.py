"""Small log-mel images of notes: the input of the judge's network and of the NND's critic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audiogen.core.packages import require_package

if TYPE_CHECKING:
    import torch

RANGE_DB = 80.0  # levels further below the loudest are cut
_LOWEST_HZ = 30.0


def log_mel_images(
    sounds: np.ndarray, sample_rate: int, n_mels: int = 32, n_frames: int = 32
) -> np.ndarray:
    """Return log-mel images of notes, each relative to its loudest bin, so level plays no part.

    Parameters
    ----------
    sounds : array [n_notes, n_samples], float
        Notes.
    sample_rate : int, Hz
        Sample rate of the notes.
    n_mels, n_frames : int
        Height and width of an image.

    Returns
    -------
    array [n_notes, n_mels, n_frames], float32
        From -1, 80 dB below the loudest bin, to 1.

    Raises
    ------
    MissingPackageError
        If torch is not installed.
    """
    torch = require_package("torch", "train", "images of notes")
    hop = max(1, sounds.shape[1] // n_frames)
    # Windows of four hops, and long enough that the mel bands of low notes are apart.
    n_fft = 1 << int(np.ceil(np.log2(max(4 * hop, 0.064 * sample_rate))))
    window, bank = torch.hann_window(n_fft), _bin_wide_mel_bank(n_fft, sample_rate, n_mels)
    images = np.empty((len(sounds), n_mels, n_frames), np.float32)
    with torch.no_grad():
        for first in range(0, len(sounds), 64):
            wave = torch.from_numpy(np.nan_to_num(sounds[first : first + 64]).astype(np.float32))
            wave = torch.nn.functional.pad(wave, (n_fft // 2, n_fft // 2))
            spectrum = torch.stft(
                wave, n_fft, hop, window=window, center=False, return_complex=True
            )
            power = torch.einsum("nft,fm->nmt", spectrum.abs().square()[..., :n_frames], bank)
            power = power / power.amax(dim=(1, 2), keepdim=True).clamp_min(1e-20)
            level = 10 * torch.log10(power.clamp_min(10 ** (-RANGE_DB / 10)))
            images[first : first + 64] = (level / (RANGE_DB / 2) + 1).numpy()
    return images


def _bin_wide_mel_bank(n_fft: int, sample_rate: int, n_mels: int) -> torch.Tensor:
    """Triangular weights [n_fft / 2 + 1, n_mels]; no band is narrower than a bin."""
    import torch

    def mel(hz: np.ndarray) -> np.ndarray:
        return 2595 * np.log10(1 + hz / 700)

    hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    points = np.linspace(mel(np.array(_LOWEST_HZ)), mel(np.array(sample_rate / 2)), n_mels + 2)
    edges = 700 * (10 ** (points / 2595) - 1)
    spacing = sample_rate / n_fft
    low = np.minimum(edges[:-2], edges[1:-1] - spacing)
    high = np.maximum(edges[2:], edges[1:-1] + spacing)
    rise = (hz[:, None] - low) / (edges[1:-1] - low)
    fall = (high - hz[:, None]) / (high - edges[1:-1])
    return torch.tensor(np.maximum(0, np.minimum(rise, fall)), dtype=torch.float32)
