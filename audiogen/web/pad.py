"""Where each timbre of a preset lies on the page's pad, and a small picture of its sound."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen.engine import Synth
from audiogen.presets import GansynthPreset, Preset, latent_map, load_preset, place

PICTURE_WIDTH, PICTURE_HEIGHT = 96, 72
PICTURE_S = 1.2  # the beginning of a held note
PICTURE_PITCH = 60
LOWEST_HZ, N_OCTAVES = 220.0, 5.0  # A3, just below the note, to 7 kHz
RANGE_DB = 60.0

_lock = threading.Lock()  # one preset is measured at a time


def picture(samples: ArrayLike, sample_rate: int) -> NDArray[np.uint8]:
    """A small rainbowgram, as levels and hues that the page colours.

    Parameters
    ----------
    samples : array [n_samples]
    sample_rate : int, Hz

    Returns
    -------
    ndarray [PICTURE_HEIGHT, PICTURE_WIDTH, 2], uint8
        The highest pitch first. Level: 0 is 60 dB below the loudest or less, 255 the loudest. Hue:
        the phase's advance from column to column; 0 to 255 is one turn. A steady partial keeps
        its hue.
    """
    n_fft = 1 << round(np.log2(0.128 * sample_rate))  # 8 Hz: tells semitones apart from C3 on
    hop = max(1, round(PICTURE_S * sample_rate / PICTURE_WIDTH))
    padded = np.zeros(n_fft + hop * (PICTURE_WIDTH + 1), np.float64)
    sound = np.asarray(samples, np.float64)[: len(padded) - n_fft // 2]
    padded[n_fft // 2 : n_fft // 2 + len(sound)] = sound
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop][: PICTURE_WIDTH + 1]
    spectrum = np.fft.rfft(frames * np.hanning(n_fft), axis=1)
    octaves = N_OCTAVES * np.arange(PICTURE_HEIGHT)[::-1] / PICTURE_HEIGHT
    edges = LOWEST_HZ * 2.0 ** (octaves[:, None] + [0.0, N_OCTAVES / PICTURE_HEIGHT])
    bins = np.clip(np.round(edges * n_fft / sample_rate).astype(int), 1, spectrum.shape[1] - 1)
    out = np.zeros((PICTURE_HEIGHT, PICTURE_WIDTH, 2), np.uint8)
    magnitude = np.abs(spectrum)
    loudest = max(float(magnitude.max()), 1e-9)
    column = np.arange(PICTURE_WIDTH)
    for row, (first, last) in enumerate(bins):
        if edges[row, 0] >= sample_rate / 2:
            continue
        # The strongest bin of the row speaks for it.
        k = first + magnitude[:-1, first : max(last, first + 1)].argmax(axis=1)
        turn = np.angle(spectrum[column + 1, k] * spectrum[column, k].conj()) / (2 * np.pi)
        level_db = 20 * np.log10(np.maximum(magnitude[column, k] / loudest, 1e-9))
        out[row, :, 0] = 255 * np.clip(1 + level_db / RANGE_DB, 0, 1)
        out[row, :, 1] = 255 * (turn % 1.0)
    return out


def describe(preset: Preset) -> dict[str, Any]:
    """Where the timbres of a preset that plays notes lie, and their pictures.

    Parameters
    ----------
    preset : Preset

    Returns
    -------
    dict
        ``places``: ndarray [n_timbres, 2]; ``pictures``: ndarray [n_timbres, PICTURE_HEIGHT,
        PICTURE_WIDTH, 2], uint8. A GANSynth's timbres are laid out by their latents, a SampleRNN's
        by their pictures.
    """
    with _lock:
        return _described(str(preset.folder), preset.weights_path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _described(folder: str, _changed_ns: int) -> dict[str, Any]:
    preset = load_preset(folder)
    synth = Synth(preset)
    assert preset.pitch_range is not None  # it plays notes
    low, high = preset.pitch_range
    pitch = min(max(PICTURE_PITCH, low), high)
    note = [(0.0, PICTURE_S, pitch)]
    rate = preset.sample_rate
    pictures = np.stack([picture(synth.render(note, timbre=t), rate) for t in synth.timbres])
    if isinstance(preset, GansynthPreset):
        return {"places": latent_map(preset), "pictures": pictures}
    heard = pictures[..., 0].mean(axis=2).astype(np.float64)
    return {"places": place(heard), "pictures": pictures}
