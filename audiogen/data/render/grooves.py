"""Rendering of drum hits into recordings of grooves, in Euclidean rhythms.

A network that is trained on single hits learns little but their decay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.audio.files import check_sample_rate
from audiogen.core.atomic_write import folder_written_whole
from audiogen.data.notes.nsynth import PEAK
from audiogen.data.recordings import read_recordings
from audiogen.data.source_toml import RECORDINGS_TOML, folder_name, toml_text
from audiogen.errors import ParameterError

N_STEPS = 16  # per bar
N_BARS = 8
TEMPO = 84.0, 132.0  # range in beats per minute, with four steps per beat
KIT_SIZE = 3, 5  # range of the number of hits in a groove
MAX_HIT_S = 0.6
# Ranges of the strokes per bar, of the darkest hit of a kit and of the brightest.
STROKES = (2.0, 6.0), (5.0, 12.0)
ACCENT, GHOST = (0.5, 1.0), (0.1, 0.3)  # ranges of a stroke's level, and of a ghost note's
MISS_PROBABILITY, GHOST_PROBABILITY = 0.1, 0.06  # of a stroke, and on any other step
SWING = 0.25  # largest delay of every second step, in steps
JITTER = 0.05  # largest delay of any stroke, in steps
MIN_LEVEL_DB = -9.0  # quietest hit of a groove

_THRESHOLD = 0.01  # of the peak; quieter ends of a hit are cut
_FADE_S = 0.2  # at the end of a hit that is cut


@dataclass(frozen=True)
class RenderedGrooves:
    """Result of `render_grooves`.

    Parameters
    ----------
    n_hits : int
        Number of hits that were played.
    minutes : float
        Total length of the grooves.
    left_out : tuple of (str, str)
        Name of a file that was not used, and the reason.
    """

    n_hits: int
    minutes: float
    left_out: tuple[tuple[str, str], ...]


def render_grooves(
    hits: str | PathLike[str],
    folder: str | PathLike[str],
    *,
    n: int = 200,
    seed: int = 0,
    sample_rate: int = 16000,
    licence: str = "not stated",
    progress: Callable[[int, int, str], None] | None = None,
) -> RenderedGrooves:
    """Render grooves from a folder of drum hits.

    A groove has `N_BARS` bars of three to five hits, a random tempo and swing, and peaks at
    `PEAK`.

    Parameters
    ----------
    hits : path
        Folder of sound files, subfolders included. A file is played up to `MAX_HIT_S`.
    folder : path
        New or empty folder for the wav files (mono, 16 bits) and source.toml.
    n : int
        Number of grooves.
    seed : int
        Seed of the random numbers.
    sample_rate : int, Hz
        Sample rate of the grooves.
    licence : str
        Licence of the hits.
    progress : callable, optional
        Function of (grooves done, grooves in all, name of the next one).

    Returns
    -------
    RenderedGrooves

    Raises
    ------
    ParameterError
        If a number is out of range, or `folder` cannot be written.
    FormatError
        If `hits` is not a folder, or has no usable sound.
    """
    import soundfile

    sample_rate = check_sample_rate(sample_rate)
    if not 1 <= n <= 9999:
        raise ParameterError(f"n={n} must be from 1 to 9999 grooves")
    if seed < 0:
        raise ParameterError(f"seed={seed} must be 0 or more")
    recordings = read_recordings(hits, sample_rate)
    sounds = [_trim(file.samples, sample_rate) for file in recordings.files]
    seconds = 0.0
    with folder_written_whole(folder) as draft:
        for i in range(n):
            name = f"groove{i:04}.wav"
            if progress:
                progress(i, n, name)
            waveform = groove(sounds, sample_rate, np.random.default_rng((seed, i)))
            soundfile.write(draft / name, waveform, sample_rate, "PCM_16")
            seconds += len(waveform) / sample_rate
        done = RenderedGrooves(len(sounds), seconds / 60, recordings.skipped)
        fields = {
            "source": f"{n} grooves of {len(sounds)} hits in {folder_name(Path(hits))}",
            "licence": licence,
            "seed": seed,
            "sample_rate": sample_rate,
            "peak": PEAK,
            "minutes": round(done.minutes, 2),
            "hits": [file.name for file in recordings.files],
            "left_out": [f"{file}: {why}" for file, why in recordings.skipped],
        }
        text = toml_text("Source of these grooves.", fields)
        (draft / RECORDINGS_TOML).write_text(text, encoding="utf-8")
    if progress:
        progress(n, n, "")
    return done


def groove(hits: Sequence[np.ndarray], sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Render one groove with some of the hits; darker ones have fewer strokes.

    Parameters
    ----------
    hits : sequence of array [n_samples]
        Hits with a peak of 1.
    sample_rate : int, Hz
        Sample rate of the samples.
    rng : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    array [n_samples], float32
    """
    step = int(15 / rng.uniform(*TEMPO) * sample_rate)  # a quarter of a beat
    swing = rng.uniform(0, SWING) * step
    n_steps = N_BARS * N_STEPS
    chosen = rng.permutation(len(hits))[: rng.integers(KIT_SIZE[0], KIT_SIZE[1] + 1)]
    kit = sorted((hits[i] for i in chosen), key=_brightness)
    mix = np.zeros(n_steps * step + 2 * step + max(map(len, kit)))
    for rank, hit in enumerate(kit):
        fewest, most = np.add(STROKES[0], np.subtract(STROKES[1], STROKES[0]) * rank / len(kit))
        pattern = euclidean(int(rng.uniform(fewest, most)), int(rng.integers(N_STEPS)))
        level = 10 ** (rng.uniform(MIN_LEVEL_DB, 0) / 20)
        for i in range(n_steps):
            is_onset = pattern[i % N_STEPS]
            if rng.random() > (1 - MISS_PROBABILITY if is_onset else GHOST_PROBABILITY):
                continue
            begin = int(i * step + i % 2 * swing + rng.uniform(0, JITTER) * step)
            mix[begin : begin + len(hit)] += (
                level * rng.uniform(*(ACCENT if is_onset else GHOST)) * hit
            )
    mix = mix[: n_steps * step]
    return (mix * (PEAK / max(np.abs(mix).max(), 1e-9))).astype(np.float32)


def euclidean(n_strokes: int, rotation: int) -> np.ndarray:
    """Return a Euclidean rhythm: the steps of a bar with a stroke.

    Parameters
    ----------
    n_strokes : int, 0 to `N_STEPS`
        Number of strokes in the bar.
    rotation : int
        Number of steps by which the pattern is earlier.

    Returns
    -------
    array [N_STEPS], bool

    References
    ----------
    Toussaint, "The Euclidean algorithm generates traditional musical rhythms", BRIDGES 2005.

    Examples
    --------
    >>> "".join(".x"[is_onset] for is_onset in euclidean(6, 0).astype(int))
    'x..x..x.x..x..x.'
    """
    return (np.arange(N_STEPS) + rotation) * n_strokes % N_STEPS < n_strokes


def _trim(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return a hit without its quiet ends, with a peak of 1 and at most `MAX_HIT_S`."""
    hit = samples / np.abs(samples).max()
    loud = np.flatnonzero(np.abs(hit) > _THRESHOLD)
    hit = hit[loud[0] : loud[-1] + 1]
    max_length = round(MAX_HIT_S * sample_rate)
    if len(hit) > max_length:
        hit = hit[:max_length].copy()
        n_fade = round(_FADE_S * sample_rate)
        hit[-n_fade:] *= np.linspace(1, 0, n_fade, dtype=np.float32)
    return hit


def _brightness(hit: np.ndarray) -> float:
    """Return the spectral centroid, 0 to 1."""
    power = np.abs(np.fft.rfft(hit)) ** 2
    return float(np.linspace(0, 1, len(power)) @ power / power.sum())
