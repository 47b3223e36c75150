"""Pictures as PNG files: of a sound, its waveform and rainbowgram; of timbres, a map."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.audio.files import check_output
from audiogen.core.atomic_write import written_whole
from audiogen.errors import ShapeError
from audiogen.notes import pitch_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOWEST_PITCH = 24  # MIDI number of the lowest row, C1
BINS_PER_OCTAVE = 40  # as in the NSynth paper
RANGE_DB = 70.0  # what lies this far under the loudest is black

_DARK, _FRAME, _TEXT, _WAVE = "#0b0c10", "#3a3d4a", "#d8dae3", "#8fb8ff"
_MOST_FRAMES = 3000  # columns; more than the picture has pixels


def rainbow_image(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, int]:
    """Colour a constant-Q transform by instantaneous frequency.

    Brightness is the level, from the loudest down to -70 dB. The hue is the phase's advance from
    one frame to the next: a steady partial keeps one colour along its line, whatever the colour
    is; vibrato and beating change it, noise is confetti.

    Parameters
    ----------
    samples : array [n_samples]
    sample_rate : int, Hz

    Returns
    -------
    image : array [n_bins, n_frames, 3], 0 to 1
        The lowest bin, C1, first; 40 bins an octave.
    hop_length : int
        Samples between two frames.

    Raises
    ------
    ShapeError
        If `samples` isn't one row of finite numbers.

    References
    ----------
    Engel et al., "Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders", ICML 2017,
    section 4.1.
    """
    import librosa
    from matplotlib import colormaps

    samples = _check(samples)
    lowest_hz = 440.0 * 2 ** ((LOWEST_PITCH - 69) / 12)
    octaves = min(8.0, float(np.log2(0.45 * sample_rate / lowest_hz)))
    n_bins = int(BINS_PER_OCTAVE * octaves)
    hop_length = 256
    while len(samples) > hop_length * _MOST_FRAMES:
        hop_length *= 2
    n_frames = 1 + len(samples) // hop_length
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a clip shorter than the lowest filter
        transform = librosa.cqt(
            np.pad(samples, (0, max(0, 2 * sample_rate - len(samples)))),
            sr=sample_rate,
            hop_length=hop_length,
            fmin=lowest_hz,
            n_bins=n_bins,
            bins_per_octave=BINS_PER_OCTAVE,
            filter_scale=0.8,
        )[:, :n_frames]
    advance = np.diff(np.angle(transform), axis=1, prepend=0.0)
    advance = np.mod(advance + np.pi, 2 * np.pi) - np.pi
    hue = colormaps["rainbow"]((advance + np.pi) / (2 * np.pi))[..., :3]
    return hue * _brightness(np.abs(transform))[..., None], hop_length


def plot_rainbowgram(
    samples: np.ndarray, sample_rate: int, path: str | os.PathLike[str], title: str = ""
) -> None:
    """Draw a waveform and its rainbowgram (`rainbow_image`) into a PNG file.

    Parameters
    ----------
    samples : array [n_samples]
    sample_rate : int, Hz
    path : path
        Ends in ``.png``.
    title : str

    Raises
    ------
    ShapeError
        If `samples` isn't one row of finite numbers.
    ParameterError
        If the file can't be written.
    """
    check_output(path, (".png",))
    samples = _check(samples)
    image, hop_length = rainbow_image(samples, sample_rate)
    figure, wave_axes, axes = _figure(title)
    _draw_waveform(wave_axes, samples, sample_rate)

    top = LOWEST_PITCH + 12 * len(image) / BINS_PER_OCTAVE
    length_s = max(image.shape[1] * hop_length, len(samples)) / sample_rate
    axes.imshow(
        image,
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        extent=(0.0, length_s, LOWEST_PITCH - 0.15, top - 0.15),
    )
    octaves = np.arange(LOWEST_PITCH, top, 12)
    axes.set_yticks(octaves, [pitch_name(pitch) for pitch in octaves.astype(int)])
    axes.set_ylabel("pitch")
    axes.set_xlabel("seconds")
    axes.set_xlim(0, len(samples) / sample_rate)
    _draw_key(figure, axes)
    _save(figure, path)


def _check(samples: np.ndarray) -> np.ndarray:
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise ShapeError(
            f"samples of shape {samples.shape} can't be drawn; [n_samples] finite numbers can"
        )
    return samples


def _brightness(magnitude: np.ndarray) -> np.ndarray:
    """Level from 0 (70 dB under the loudest, or silence) to 1."""
    loudest = max(float(magnitude.max()), 1e-7)
    level_db = 20 * np.log10(np.maximum(magnitude / loudest, 1e-9))
    return np.clip(1 + level_db / RANGE_DB, 0, 1)


def _figure(title: str) -> tuple[Figure, Axes, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), dpi=130, facecolor=_DARK, layout="constrained")
    wave_axes, axes = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": (1, 4), "hspace": 0.02}
    )
    for each in (wave_axes, axes):
        each.set_facecolor("black" if each is axes else _DARK)
        each.tick_params(colors=_TEXT, labelsize=9)
        each.xaxis.label.set_color(_TEXT)
        each.yaxis.label.set_color(_TEXT)
        for spine in each.spines.values():
            spine.set_color(_FRAME)
    wave_axes.tick_params(labelbottom=False)
    if title:
        figure.suptitle(title, color=_TEXT, fontsize=12, x=0.01, ha="left")
    return figure, wave_axes, axes


def _draw_waveform(axes: Axes, samples: np.ndarray, sample_rate: int) -> None:
    """Lowest and highest sample of each column."""
    per_column = -(-len(samples) // 2000)
    edges = np.arange(0, len(samples), per_column)
    time_s = edges / sample_rate
    lowest, highest = np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
    axes.fill_between(time_s, lowest, highest, color=_WAVE, linewidth=0.6)
    limit = max(float(np.abs(samples).max()) * 1.08, 1e-3)
    axes.set_ylim(-limit, limit)
    axes.set_yticks([])
    axes.set_ylabel("waveform")


def _draw_key(figure: Figure, axes: Axes) -> None:
    """A bar that says what the hue means."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    scale: Any = ScalarMappable(Normalize(-1, 1), "rainbow")
    bar = figure.colorbar(scale, ax=axes, pad=0.01, aspect=40, fraction=0.03)
    bar.set_ticks([-1, 0, 1], labels=["−π", "0", "π"])
    bar.set_label("phase advance per frame, rad", color=_TEXT, fontsize=9)
    bar.ax.tick_params(colors=_TEXT, labelsize=9)
    bar.outline.set_edgecolor(_FRAME)


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", facecolor=figure.get_facecolor())


def plot_timbres(
    places: np.ndarray, names: list[str], families: list[str], path: str | os.PathLike[str]
) -> None:
    """Draw a map of timbres, each a dot in the colour of its family over its name.

    Parameters
    ----------
    places : array [n, 2]
        Across and down, 0 to 1.
    names, families : list of str
    path : path
        A ``.png`` file.

    Raises
    ------
    ParameterError
        If the file can't be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    check_output(path, (".png",))
    known = sorted(set(families))
    figure = Figure(figsize=(9, 6), facecolor=_DARK, layout="constrained")
    axes = figure.add_subplot(facecolor=_DARK)
    colours = [colormaps["tab20"](known.index(family) % 20) for family in families]
    axes.scatter(places[:, 0], places[:, 1], s=90, c=colours)
    for (x, y), name in zip(places, names, strict=True):
        axes.annotate(
            name, (x, y), (0, -9), textcoords="offset points", ha="center", va="top", color=_TEXT
        )
    for family in known:
        axes.scatter([], [], s=60, color=colormaps["tab20"](known.index(family) % 20), label=family)
    figure.legend(loc="outside right upper", frameon=False, labelcolor=_TEXT)
    axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(_FRAME)
    _save(figure, path)
