"""Images of notes with one band per semitone: the input of the networks and judges."""

from __future__ import annotations

import numpy as np

from audiogen.core.packages import require_package

SAMPLE_RATE, SECONDS = 16000, 1.0  # of a note's excerpt
LOWEST_KEY, N_BANDS, N_FRAMES = 33, 84, 16  # bands from 55 Hz to 6.6 kHz
RANGE_DB = 60.0  # below the loudest bin; removes most noise floors
ONSET_DB = -40.0  # level at which a note begins, relative to its peak
_N_FFT, _HOP = 2048, 1000


def from_onset(sound: np.ndarray) -> np.ndarray:
    """Return the first second [16000] from the onset, at 16 kHz, padded with silence.

    Parameters
    ----------
    sound : array [n_samples], float
        A note at 16 kHz.
    """
    level = np.abs(sound)
    loud = np.flatnonzero(level > 10 ** (ONSET_DB / 20) * level.max(initial=0.0))
    excerpt = np.zeros(round(SECONDS * SAMPLE_RATE), np.float32)
    part = sound[loud[0] if len(loud) else 0 :][: len(excerpt)]
    excerpt[: len(part)] = part
    return excerpt


def note_images(sounds: np.ndarray) -> np.ndarray:
    """Return images of notes: level of each semitone and frame, relative to the loudest.

    The onset is trimmed and the level normalised, because both identify a sound bank.

    Parameters
    ----------
    sounds : array [n_notes, n_samples], float
        Notes at 16 kHz.

    Returns
    -------
    array [n_notes, 84, 16], uint8
        0 is 60 dB below the loudest bin, 255 the loudest bin.

    Raises
    ------
    MissingPackageError
        If torch is not installed.
    """
    torch = require_package("torch", "train", "images of notes")
    window, bank = torch.hann_window(_N_FFT), torch.from_numpy(semitone_bank())
    images = np.empty((len(sounds), N_BANDS, N_FRAMES), np.uint8)
    with torch.no_grad():
        for first in range(0, len(sounds), 64):
            part = np.stack([from_onset(sound) for sound in sounds[first : first + 64]])
            wave = torch.nn.functional.pad(torch.from_numpy(part), (_N_FFT // 2, _N_FFT // 2))
            spectrum = torch.stft(
                wave, _N_FFT, _HOP, window=window, center=False, return_complex=True
            )
            power = torch.einsum("nft,fm->nmt", spectrum.abs().square()[..., :N_FRAMES], bank)
            power = power / power.amax(dim=(1, 2), keepdim=True).clamp_min(1e-20)
            level = 10 * torch.log10(power.clamp_min(10 ** (-RANGE_DB / 10)))
            scaled = (level / RANGE_DB + 1) * 255
            images[first : first + 64] = scaled.round().to(torch.uint8).numpy()
    return images


def semitone_bank() -> np.ndarray:
    """Triangular weights [n_fft / 2 + 1, n_bands], float32; no band is narrower than a bin."""
    hz = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)[:, None]
    keys = LOWEST_KEY + np.arange(-1, N_BANDS + 1)
    edges = 440 * 2 ** ((keys - 69) / 12)
    spacing = SAMPLE_RATE / _N_FFT
    middle = edges[1:-1]
    low, high = np.minimum(edges[:-2], middle - spacing), np.maximum(edges[2:], middle + spacing)
    rise, fall = (hz - low) / (middle - low), (high - hz) / (high - middle)
    return np.maximum(0, np.minimum(rise, fall)).astype(np.float32)


def inputs(images: np.ndarray) -> np.ndarray:
    """Return images as the networks' input [n_notes, 84, 16], float32, from -1 to 1."""
    return images.astype(np.float32) / np.float32(127.5) - 1
