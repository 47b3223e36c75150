"""Frequencies and phases of the partials of a pitch, in closed form.

A generator that is conditioned on both only has to learn the timbre, and its pitch is continuous.
Everything here is float64 NumPy, so that the native engine can compute the same numbers.
"""

from __future__ import annotations

import numpy as np

from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.partials import position_among, ratio_of

# Maps of `harmonic_maps`, without and with those that distinguish even harmonics and multiples of
# three.
N_MAPS, MOST_MAPS = 8, 12
N_TIME_FEATURES = 7
GOLDEN = 0.6180339887498949  # (sqrt(5) - 1) / 2
LOBE_REACH = 4  # bins on each side of a peak whose phases the engine locks to the peak's
_ATTACK_FRAMES = (1.0, 4.0, 16.0, 64.0)  # time constants
_RELEASE_FRAMES = (2.0, 8.0)


def pitch_to_hz(pitch):
    """Convert a MIDI pitch to Hz: equal temperament, A4 (69) = 440 Hz; fractions are allowed."""
    return 440.0 * np.exp2((np.asarray(pitch, np.float64) - 69.0) / 12.0)


def nearest_partial(frequency_hz, f0_hz, partials: np.ndarray | None = None):
    """Return the partial nearest to each frequency; ties go up.

    Parameters
    ----------
    frequency_hz, f0_hz : array [..., n_bins] and [..., 1], Hz
        Frequencies, and those of the pitches.
    partials : array [..., n_partials], optional
        The notes' partials (`audiogen.representation.partials`); harmonic ones by default.

    Returns
    -------
    number, partial_hz : array [..., n_bins]
        The partials' numbers, 1 or more, and their frequencies.
    """
    position, _ = position_among(frequency_hz / f0_hz, partials)
    number = _nearest_number(position)
    return number, ratio_of(number, partials) * f0_hz


def _nearest_number(position):
    """Number of the partial nearest to a position among partials; ties go up."""
    return np.maximum(1.0, np.floor(position + 0.5))


def bin_centres_hz(config: SpectrogramConfig, n_bins: int):
    """Return the centres of ``n_bins`` equal bands: the mean of the bins that each band covers."""
    covered = config.n_bins // n_bins
    return (np.arange(n_bins) * covered + (covered + 1) / 2.0) * config.bin_width_hz


def harmonic_maps(
    pitch,
    config: SpectrogramConfig,
    n_bins: int,
    n_maps: int = N_MAPS,
    partials: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the pitch conditioning of one block of the generator.

    Parameters
    ----------
    pitch : array [...], MIDI number
        Pitches; fractions are allowed.
    config : SpectrogramConfig
        The spectrogram at full resolution.
    n_bins : int
        Bins of the block; divides ``config.n_bins``.
    n_maps : int
        8, or 12 with those that distinguish even partials and multiples of three.
    partials : array [..., n_partials], optional
        The notes' partials (`audiogen.representation.partials`); harmonic ones by default.

    Returns
    -------
    array [..., n_maps, n_bins], float32
        Channels, for each bin: number of the nearest partial; a narrow and a wide bump at that
        partial; cosine and sine of the position between two partials, averaged over the bin
        (close to 0 where the block cannot resolve partials); frequency relative to the pitch and
        to 1 kHz, in octaves / 4; the pitch; and cosine and sine of the position between two even
        partials, and between two multiples of three, averaged likewise.

    Examples
    --------
    >>> harmonic_maps(69, SpectrogramConfig(), 1024).shape
    (8, 1024)
    """
    pitch = np.asarray(pitch, np.float64)[..., None]
    f0 = pitch_to_hz(pitch)
    f = bin_centres_hz(config, n_bins)
    width = config.sample_rate / 2 / n_bins
    position, slope = position_among(f / f0, partials)
    h = _nearest_number(position)
    distance = (f - ratio_of(h, partials) * f0) / width
    turn = 2.0 * np.pi * position
    covered = width / f0 * slope  # by a bin, of the distance between two partials
    resolved = np.sinc(covered)
    maps = [
        np.tanh(h / 16.0),
        np.exp(-0.5 * distance**2),
        np.exp(-(distance**2) / 18.0),
        resolved * np.cos(turn),
        resolved * np.sin(turn),
        np.log2(f / f0) / 4.0,
        np.log2(f / 1000.0) / 4.0 + 0.0 * f0,
        (pitch - 54.0) / 30.0 + 0.0 * f,
    ]
    if n_maps == MOST_MAPS:
        for n in (2, 3):
            resolved = np.sinc(covered / n)
            maps += [resolved * np.cos(turn / n), resolved * np.sin(turn / n)]
    return np.stack(maps, axis=-2).astype(np.float32)


def time_features(n_frames: int, note_off_frame: int, n_rows: int) -> np.ndarray:
    """Compute the time conditioning of one block of the generator.

    Parameters
    ----------
    n_frames : int
        Frames of the whole note.
    note_off_frame : int
        First frame after the note-off.
    n_rows : int
        Frames of the block; divides ``n_frames``.

    Returns
    -------
    array [n_rows, 7], float32
        Decays of 1, 4, 16 and 64 frames from the note-on, a step at the note-off and decays of 2
        and 8 frames from it, each averaged over the note's frames that a row covers.
    """
    frame = np.arange(n_frames, dtype=np.float64)
    since_release = frame - note_off_frame
    released = (since_release >= 0).astype(np.float64)
    features = [np.exp(-frame / tau) for tau in _ATTACK_FRAMES]
    features.append(released)
    features += [released * np.exp(-np.maximum(since_release, 0) / t) for t in _RELEASE_FRAMES]
    rows = np.stack(features, axis=-1).reshape(n_rows, n_frames // n_rows, N_TIME_FEATURES)
    return rows.mean(axis=1).astype(np.float32)


def onset_centroids(config: SpectrogramConfig) -> np.ndarray:
    """Return the centre of gravity of the window's part after the onset, in samples, per frame.

    The last entry, ``n_fft / 2``, holds for all later frames.
    """
    n = np.arange(config.n_fft)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * n / config.n_fft)
    starts = range(config.pad_front, -1, -config.hop_length)
    return np.array([(n[s:] * window[s:]).sum() / window[s:].sum() for s in starts])


def reference_turns(
    pitch, config: SpectrogramConfig, frames=None, partials: np.ndarray | None = None
) -> np.ndarray:
    """Phase of each bin for steady partials that start with the note, in turns.

    Partial ``h`` of frequency ``f`` starts at sample ``config.pad_front`` of the first frame. Bin
    ``k`` of frame ``i`` sees it with the phase
    ``2 pi f (i hop - pad) / rate + pi g h^2 + 2 pi (f - f_k) c_i / rate``, where ``c_i`` is the
    centre of gravity of the window's part after the onset and ``f`` is the partial nearest to
    ``f_k``. The square spreads the phases of the partials, with the golden ratio's ``g`` for any
    number of them: partials in phase would add up to pulses far over full scale (Schroeder,
    "Synthesis of Low-Peak-Factor Signals", IEEE Trans. Information Theory 16(1), 1970). A generator
    receives only differences along time: they turn neighbouring bins of one partial together and
    give the attack its shape.

    Parameters
    ----------
    pitch : array [...], MIDI number
        Pitches; fractions are allowed.
    config : SpectrogramConfig
        Bins, hop and padding.
    frames : array [n_frames], int, optional
        Frame numbers; all frames of the clip by default.
    partials : array [..., n_partials], optional
        The notes' partials (`audiogen.representation.partials`); harmonic ones by default.

    Returns
    -------
    array [..., n_frames, n_bins], float64, turns
        Not wrapped.
    """
    frames = np.arange(config.n_frames) if frames is None else np.asarray(frames)
    f_k = bin_centres_hz(config, config.n_bins)
    f0 = pitch_to_hz(pitch)[..., None]
    h, f = (each[..., None, :] for each in nearest_partial(f_k, f0, partials))
    centroids = onset_centroids(config)
    centroid = centroids[np.minimum(frames, len(centroids) - 1)][:, None]
    start = (frames * config.hop_length - config.pad_front)[:, None]
    return (f * start + (f - f_k) * centroid) / config.sample_rate + 0.5 * GOLDEN * h**2


def reference_phase(
    pitch, config: SpectrogramConfig, frames=None, partials: np.ndarray | None = None
) -> np.ndarray:
    """`reference_turns` in rad."""
    return 2.0 * np.pi * reference_turns(pitch, config, frames, partials)
