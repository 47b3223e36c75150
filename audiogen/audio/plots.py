"""Plots as PNG files: waveform and rainbowgram of a sound, and a map of timbres."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.audio.files import check_output
from audiogen.core.atomic_write import written_whole
from audiogen.core.packages import require_package
from audiogen.errors import ShapeError
from audiogen.notes import pitch_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOWEST_PITCH = 24  # MIDI number of the lowest row, C1
BINS_PER_OCTAVE = 40  # as in the NSynth paper
RANGE_DB = 70.0  # from the loudest bin down to black

TEXT_COLOUR = "#d8dae3"
_DARK, _FRAME, _WAVE = "#0b0c10", "#3a3d4a", "#8fb8ff"
_MAX_FRAMES = 3000  # more than the picture has columns
_MAX_OCTAVES = 8.0
# Standard deviation of a bin's filter, in distances to the next bin. A smaller one gives thinner
# lines and slower attacks; this is about a Hann window of 0.8 of the periods that resolve two bins.
_SIGMA_BINS = 0.9
_SEGMENT = 1 << 20  # samples transformed at once


def rainbow_image(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, int]:
    """Colour a constant-Q transform by instantaneous frequency.

    Brightness is the level, from the loudest bin down to -70 dB. The hue is the advance of the
    phase from one frame to the next: a steady partial keeps one colour, vibrato and beating
    change it, and noise gives random colours.

    Parameters
    ----------
    samples : array [n_samples]
        Samples of one channel.
    sample_rate : int, Hz
        Sample rate of the samples.

    Returns
    -------
    image : array [n_bins, n_frames, 3], 0 to 1
        The lowest bin, C1, first; 40 bins per octave.
    hop_length : int, samples

    Raises
    ------
    ShapeError
        If `samples` is not one row of finite numbers.
    MissingPackageError
        If matplotlib is not installed.

    References
    ----------
    Engel et al., "Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders", ICML 2017,
    section 4.1.
    """
    rainbow = _matplotlib("").colormaps["rainbow"]
    samples = _check(samples)
    hop_length = 256
    while len(samples) > hop_length * _MAX_FRAMES:
        hop_length *= 2
    transform = constant_q(samples, sample_rate, hop_length)
    advance = np.diff(np.angle(transform), axis=1, prepend=0.0)
    hue = rainbow(np.mod(advance / (2 * np.pi) + 0.5, 1.0))[..., :3]
    return hue * _brightness(np.abs(transform))[..., None], hop_length


def constant_q(samples: np.ndarray, sample_rate: int, hop_length: int) -> np.ndarray:
    """Return a constant-Q transform from C1 up, with Gaussian windows.

    A bin's filter is applied to the spectrum of the whole sound. Sampling its output every
    `hop_length` samples adds up the spectrum's copies, which is done before the inverse transform,
    so each bin costs one short FFT.

    Parameters
    ----------
    samples : array [n_samples]
        Samples of one channel.
    sample_rate : int, Hz
        Sample rate of the samples.
    hop_length : int, samples
        Distance between two frames.

    Returns
    -------
    array [n_bins, 1 + n_samples // hop_length], complex64
        The magnitude of a sine grows with the square root of its bin's window length, so that
        white noise is equally loud in all bins.

    References
    ----------
    Velasco et al., "Constructing an invertible constant-Q transform with nonstationary Gabor
    frames", DAFx 2011.
    """
    lowest_hz = 440.0 * 2 ** ((LOWEST_PITCH - 69) / 12)
    n_octaves = min(_MAX_OCTAVES, float(np.log2(0.45 * sample_rate / lowest_hz)))
    n_bins = int(BINS_PER_OCTAVE * n_octaves)
    frequency_hz = lowest_hz * 2 ** (np.arange(n_bins) / BINS_PER_OCTAVE)
    sigma_hz = _SIGMA_BINS * frequency_hz * (2 ** (1 / BINS_PER_OCTAVE) - 1)
    margin = round(sample_rate / (2 * np.pi * sigma_hz[0]) * 5 / hop_length)  # frames; 5 sigma
    n_frames = 1 + len(samples) // hop_length
    at_once = max(1, _SEGMENT // hop_length)
    transform = np.empty((n_bins, n_frames), np.complex64)
    for first in range(0, n_frames, at_once):
        last = min(first + at_once, n_frames)
        length = last - first + 2 * margin  # frames
        start = (first - margin) * hop_length
        segment = np.zeros(length * hop_length, np.float32)
        inside = samples[max(0, start) : start + len(segment)]
        segment[max(0, -start) : max(0, -start) + len(inside)] = inside
        spectrum = np.fft.rfft(segment)
        step_hz = sample_rate / len(segment)
        for i in range(n_bins):
            low, high = (
                round((frequency_hz[i] + side * 4 * sigma_hz[i]) / step_hz) for side in (-1, 1)
            )
            high = min(high, len(spectrum))
            deviation = (np.arange(low, high) * step_hz - frequency_hz[i]) / sigma_hz[i]
            band = spectrum[low:high] * np.exp(-0.5 * deviation**2)
            folded = np.zeros(-(-(low % length + len(band)) // length) * length, complex)
            folded[low % length : low % length + len(band)] = band
            frames = np.fft.ifft(folded.reshape(-1, length).sum(axis=0))
            frames *= 1 / hop_length / np.sqrt(sigma_hz[i])
            transform[i, first:last] = frames[margin : margin + last - first]
    return transform


def plot_rainbowgram(
    samples: np.ndarray, sample_rate: int, path: str | os.PathLike[str], title: str = ""
) -> None:
    """Draw a waveform and its rainbowgram (`rainbow_image`) into a PNG file.

    Parameters
    ----------
    samples : array [n_samples]
        Samples of one channel.
    sample_rate : int, Hz
        Sample rate of the samples.
    path : path
        Name that ends in ``.png``.
    title : str
        Plain text; characters that the font lacks are drawn as boxes.

    Raises
    ------
    ShapeError
        If `samples` is not one row of finite numbers.
    ParameterError
        If the file cannot be written.
    MissingPackageError
        If matplotlib is not installed.
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
    _draw_colour_bar(figure, axes)
    save(figure, path)


def plot_timbres(
    places: np.ndarray, names: list[str], families: list[str], path: str | os.PathLike[str]
) -> None:
    """Draw a map of timbres, each a dot in the colour of its family, with its name.

    Parameters
    ----------
    places : array [n, 2], 0 to 1
        Horizontal and vertical position, from the upper left corner.
    names, families : list of str
        Name and instrument family of each timbre.
    path : path
        Name that ends in ``.png``.

    Raises
    ------
    ParameterError
        If the file cannot be written.
    MissingPackageError
        If matplotlib is not installed.
    """
    check_output(path, (".png",))
    known = sorted(set(families))
    palette = _matplotlib("").colormaps["tab20"]
    figure = dark_figure(9, 6, layout="constrained")
    axes = figure.add_subplot()
    colours = [palette(known.index(family) % 20) for family in families]
    axes.scatter(places[:, 0], places[:, 1], s=90, c=colours)
    for (x, y), name in zip(places, names, strict=True):
        axes.annotate(
            name,
            (x, y),
            (0, -9),
            textcoords="offset points",
            ha="center",
            va="top",
            color=TEXT_COLOUR,
        )
    for family in known:
        axes.scatter([], [], s=60, color=palette(known.index(family) % 20), label=family)
    figure.legend(loc="outside right upper", frameon=False, labelcolor=TEXT_COLOUR)
    axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
    style_axes(axes)
    save(figure, path)


def dark_figure(width: float, height: float, **options: Any) -> Figure:
    """Return an empty dark figure; the size is in inches."""
    figure = _matplotlib(".figure").Figure(figsize=(width, height), facecolor=_DARK, **options)
    _matplotlib(".backends.backend_agg").FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes) -> None:
    """Give axes the colours of a dark figure."""
    axes.set_facecolor(_DARK)
    axes.tick_params(colors=TEXT_COLOUR, labelsize=9)
    axes.xaxis.label.set_color(TEXT_COLOUR)
    axes.yaxis.label.set_color(TEXT_COLOUR)
    for spine in axes.spines.values():
        spine.set_color(_FRAME)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a PNG file, complete or not at all.

    Raises
    ------
    ParameterError
        If the file cannot be written.
    """
    with written_whole(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(temporary, format="png", facecolor=figure.get_facecolor())


def _matplotlib(module: str) -> Any:
    return require_package(f"matplotlib{module}", "plot", "drawing a picture")


def _check(samples: np.ndarray) -> np.ndarray:
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise ShapeError(
            f"samples of shape {samples.shape} can't be drawn; give finite numbers [n_samples]"
        )
    return samples


def _brightness(magnitude: np.ndarray) -> np.ndarray:
    """Return the level from 0 (70 dB below the loudest, or silence) to 1."""
    loudest = max(float(magnitude.max()), 1e-7)
    level_db = 20 * np.log10(np.maximum(magnitude / loudest, 1e-9))
    return np.clip(1 + level_db / RANGE_DB, 0, 1)


def _figure(title: str) -> tuple[Figure, Axes, Axes]:
    # Margins in fractions of the picture. matplotlib's own layout would draw everything twice.
    figure = dark_figure(11, 6, dpi=130)
    wave_axes, axes = figure.subplots(
        2,
        1,
        sharex=True,
        gridspec_kw={
            "height_ratios": (1, 4),
            "hspace": 0.03,
            "left": 0.06,
            "right": 0.91,
            "bottom": 0.08,
            "top": 0.93 if title else 0.98,
        },
    )
    for each in (wave_axes, axes):
        style_axes(each)
    axes.set_facecolor("black")
    wave_axes.tick_params(labelbottom=False)
    if title:
        text = os.fsencode(title).decode("utf-8", "replace")  # file names need not be UTF-8
        figure.suptitle(text, color=TEXT_COLOUR, fontsize=12, x=0.01, ha="left", parse_math=False)
    return figure, wave_axes, axes


def _draw_waveform(axes: Axes, samples: np.ndarray, sample_rate: int) -> None:
    """Draw the range of the samples in each of 2000 columns."""
    per_column = -(-len(samples) // 2000)
    edges = np.arange(0, len(samples), per_column)
    time_s = edges / sample_rate
    lowest, highest = np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
    axes.fill_between(time_s, lowest, highest, color=_WAVE, linewidth=0.6)
    limit = max(float(np.abs(samples).max()) * 1.08, 1e-3)
    axes.set_ylim(-limit, limit)
    axes.set_yticks([])
    axes.set_ylabel("waveform")


def _draw_colour_bar(figure: Figure, axes: Axes) -> None:
    place = axes.get_position()
    scale: Any = _matplotlib(".cm").ScalarMappable(
        _matplotlib(".colors").Normalize(-1, 1), "rainbow"
    )
    bar_axes = figure.add_axes((place.x1 + 0.012, place.y0, 0.012, place.height))
    bar = figure.colorbar(scale, cax=bar_axes)
    bar.set_ticks([-1, 0, 1], labels=["−π", "0", "π"])
    bar.set_label("phase advance per frame, rad", color=TEXT_COLOUR, fontsize=9)
    bar.ax.tick_params(colors=TEXT_COLOUR, labelsize=9)
    bar.outline.set_edgecolor(_FRAME)
