"""The page's timbre map: the place of each timbre, and a small picture of its sound."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen.engine import Synth
from audiogen.errors import PresetError
from audiogen.presets import TOML_NAME, Preset, places

PICTURE_WIDTH, PICTURE_HEIGHT = 96, 72
PICTURE_S = 1.2  # length of the note that is shown
PICTURE_PITCH = 60
LOWEST_HZ, N_OCTAVES = 220.0, 5.0  # A3, just below the note, to 7 kHz
RANGE_DB = 60.0
MAX_PRESETS = 32  # presets whose pictures are cached


def picture(samples: ArrayLike, sample_rate: int) -> NDArray[np.uint8]:
    """Draw a small rainbowgram, as levels and hues that the page colours.

    Parameters
    ----------
    samples : array [n_samples]
        Sound of a note; `PICTURE_S` of it is drawn.
    sample_rate : int, Hz
        Rate of the samples.

    Returns
    -------
    ndarray [PICTURE_HEIGHT, PICTURE_WIDTH, 2], uint8
        Level and hue, the highest pitch in the first row. Level: 0 is 60 dB below the loudest or
        less, 255 the loudest. Hue: the phase's advance from column to column; 0 to 255 is one turn,
        so a steady partial keeps its hue.
    """
    n_fft = 1 << round(np.log2(0.128 * sample_rate))  # 8 Hz resolve semitones from C3 on
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
        # The strongest bin of the row is drawn.
        k = first + magnitude[:-1, first : max(last, first + 1)].argmax(axis=1)
        turn = np.angle(spectrum[column + 1, k] * spectrum[column, k].conj()) / (2 * np.pi)
        level_db = 20 * np.log10(np.maximum(magnitude[column, k] / loudest, 1e-9))
        out[row, :, 0] = 255 * np.clip(1 + level_db / RANGE_DB, 0, 1)
        out[row, :, 1] = 255 * (turn % 1.0)
    return out


def describe_map(preset: Preset) -> dict[str, Any]:
    """Places of a preset's timbres, and the size of their pictures, as the page reads them.

    Parameters
    ----------
    preset : Preset
        A preset with timbres.

    Returns
    -------
    dict
        ``places`` [n_timbres, 2], ``width`` and ``height``.
    """
    return {
        "places": places(preset).tolist(),
        "width": PICTURE_WIDTH,
        "height": PICTURE_HEIGHT,
    }


class TimbrePictures:
    """Pictures of timbres, each made when it is first asked for and kept in memory.

    The caller asks for one picture at a time: the preset that is being drawn stays loaded until
    all its pictures are made. A preset is drawn again when its files change.
    """

    def __init__(self) -> None:
        self._pictures: dict[tuple[str, int, int], dict[int, NDArray[np.uint8]]] = {}
        self._synth: Synth | None = None
        self._synth_key: tuple[str, int, int] | None = None

    def picture(self, preset: Preset, index: int) -> NDArray[np.uint8]:
        """Return the picture of a timbre.

        Parameters
        ----------
        preset : Preset
            A preset with timbres.
        index : int
            Index of the timbre.

        Returns
        -------
        ndarray [PICTURE_HEIGHT, PICTURE_WIDTH, 2], uint8
            Level and hue, as `picture` draws them.

        Raises
        ------
        PresetError
            If the preset has no such timbre, or its weights cannot be read.
        """
        if not 0 <= index < len(preset.timbres):
            raise PresetError(f"timbre {index} not found in preset {preset.name!r}")
        files = preset.weights_path, preset.folder / TOML_NAME
        changed_ns = [file.stat().st_mtime_ns for file in files]
        key = (str(preset.folder), changed_ns[0], changed_ns[1])
        pictures = self._pictures.setdefault(key, {})
        if index not in pictures:
            if self._synth is None or self._synth_key != key:
                self._synth, self._synth_key = Synth(preset), key
            pictures[index] = self._draw(self._synth, index)
        if len(pictures) == len(preset.timbres) and self._synth_key == key:
            self._synth = self._synth_key = None
        if len(self._pictures) > MAX_PRESETS:
            del self._pictures[next(iter(self._pictures))]
        return pictures[index]

    @staticmethod
    def _draw(synth: Synth, index: int) -> NDArray[np.uint8]:
        low, high = synth.preset.pitch_range or (PICTURE_PITCH, PICTURE_PITCH)
        note = [(0.0, PICTURE_S, min(max(PICTURE_PITCH, low), high))]
        rate = synth.preset.sample_rate
        return picture(synth.render(note, timbre=synth.timbres[index], stereo=False), rate)
