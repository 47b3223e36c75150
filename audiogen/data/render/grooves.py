"""Drum hits become recordings to learn from: played together, in Euclidean rhythms.

A hit by itself teaches a network little but how sounds end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.audio.files import check_sample_rate
from audiogen.core.atomic_write import folder_written_whole
from audiogen.data.recordings import read_recordings
from audiogen.data.render.scores import PEAK
from audiogen.data.source_toml import OF_RECORDINGS, toml_text
from audiogen.errors import ParameterError

N_STEPS = 16  # of a bar
N_BARS = 8
TEMPO = 84.0, 132.0  # beats per minute, of four steps
KIT = 3, 5  # hits in a groove
LONGEST_S = 0.6  # of a hit
STROKES = (2.0, 6.0), (5.0, 12.0)  # in a bar: of the darkest hit of a kit, towards the brightest
ACCENT, GHOST = (0.5, 1.0), (0.1, 0.3)  # how hard a stroke is, and one on a step that has none
MISSED, GHOSTS = 0.1, 0.06  # chance of a stroke to fall out, and of a ghost on another step
SWING = 0.25  # of a step; how late every other one may come
LOOSE = 0.05  # of a step; how late any may come
QUIETEST_DB = -9.0  # of a hit within its groove

_QUIET = 0.01  # of the peak; a hit begins and ends here
_FADE_S = 0.2  # at the end of a hit that is cut


@dataclass(frozen=True)
class RenderedGrooves:
    """What `render_grooves` did.

    Parameters
    ----------
    n_hits : int
        Sounds that were played.
    minutes : float
    left_out : tuple of (str, str)
        Name of a file that isn't among the hits, and why.
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
    """Play grooves with a folder of drum hits.

    Each is `N_BARS` bars of a few hits, peaks at `PEAK` and has a tempo and swing of its own.

    Parameters
    ----------
    hits : path
        Folder of sound files, subfolders included. Of a file longer than `LONGEST_S` the beginning
        is played.
    folder : path
        Where the wavs (mono, 16 bits) and source.toml go; must be new or empty.
    n : int
        How many grooves.
    seed : int
    sample_rate : int, Hz
    licence : str
        Of the hits.
    progress : callable, optional
        Called with (grooves done, grooves in all, name) before each groove and once at the end.

    Returns
    -------
    RenderedGrooves

    Raises
    ------
    ParameterError
        If a number is out of range, or `folder` can't be written.
    FormatError
        If `hits` isn't a folder, or has no sound that can be used.
    """
    import soundfile

    sample_rate = check_sample_rate(sample_rate)
    if not 1 <= n <= 9999:
        raise ParameterError(f"n={n} must be from 1 to 9999 grooves")
    if seed < 0:
        raise ParameterError(f"seed={seed} must be 0 or more")
    found = read_recordings(hits, sample_rate)
    sounds = [_hit(file.samples, sample_rate) for file in found.files]
    seconds = 0.0
    with folder_written_whole(folder) as draft:
        for i in range(n):
            name = f"groove{i:04}.wav"
            if progress:
                progress(i, n, name)
            waveform = groove(sounds, sample_rate, np.random.default_rng((seed, i)))
            soundfile.write(draft / name, waveform, sample_rate, "PCM_16")
            seconds += len(waveform) / sample_rate
        done = RenderedGrooves(len(sounds), seconds / 60, found.skipped)
        fields = {
            "source": f"{n} grooves of {len(sounds)} hits in {Path(hits).resolve().name}",
            "licence": licence,
            "seed": seed,
            "sample_rate": sample_rate,
            "peak": PEAK,
            "minutes": round(done.minutes, 2),
            "hits": [file.name for file in found.files],
            "left_out": [f"{file}: {why}" for file, why in found.skipped],
        }
        text = toml_text("What these grooves are played with.", fields)
        (draft / OF_RECORDINGS).write_text(text, encoding="utf-8")
    if progress:
        progress(n, n, "")
    return done


def groove(hits: Sequence[np.ndarray], sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Play one groove with a few of the hits, the darker ones more seldom.

    Parameters
    ----------
    hits : sequence of array [n_samples]
    sample_rate : int, Hz
    rng : numpy.random.Generator

    Returns
    -------
    array [n_samples], float32
    """
    step = int(15 / rng.uniform(*TEMPO) * sample_rate)  # a quarter of a beat
    swing = rng.uniform(0, SWING) * step
    n_steps = N_BARS * N_STEPS
    chosen = rng.permutation(len(hits))[: rng.integers(KIT[0], KIT[1] + 1)]
    kit = sorted((hits[i] for i in chosen), key=_brightness)
    mix = np.zeros(n_steps * step + 2 * step + max(map(len, kit)))
    for rank, hit in enumerate(kit):
        fewest, most = np.add(STROKES[0], np.subtract(STROKES[1], STROKES[0]) * rank / len(kit))
        pattern = euclidean(int(rng.uniform(fewest, most)), int(rng.integers(N_STEPS)))
        level = 10 ** (rng.uniform(QUIETEST_DB, 0) / 20)
        for i in range(n_steps):
            struck = pattern[i % N_STEPS]
            if rng.random() > (1 - MISSED if struck else GHOSTS):
                continue
            begin = int(i * step + i % 2 * swing + rng.uniform(0, LOOSE) * step)
            mix[begin : begin + len(hit)] += (
                level * rng.uniform(*(ACCENT if struck else GHOST)) * hit
            )
    mix = mix[: n_steps * step]
    return (mix * (PEAK / max(np.abs(mix).max(), 1e-9))).astype(np.float32)


def euclidean(n_strokes: int, turned: int) -> np.ndarray:
    """Return the steps of a bar that are struck, as evenly spaced as they can be.

    Toussaint, "The Euclidean algorithm generates traditional musical rhythms", BRIDGES 2005.

    Parameters
    ----------
    n_strokes : int
        0 to `N_STEPS`.
    turned : int
        Steps by which the pattern comes earlier.

    Returns
    -------
    array [N_STEPS], bool

    Examples
    --------
    >>> "".join(".x"[struck] for struck in euclidean(6, 0).astype(int))
    'x..x..x.x..x..x.'
    """
    return (np.arange(N_STEPS) + turned) * n_strokes % N_STEPS < n_strokes


def _hit(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Without its quiet ends, with a peak of 1, `LONGEST_S` at most."""
    hit = samples / np.abs(samples).max()
    heard = np.flatnonzero(np.abs(hit) > _QUIET)
    hit = hit[heard[0] : heard[-1] + 1]
    longest = round(LONGEST_S * sample_rate)
    if len(hit) > longest:
        hit = hit[:longest].copy()
        n_fade = round(_FADE_S * sample_rate)
        hit[-n_fade:] *= np.linspace(1, 0, n_fade, dtype=np.float32)
    return hit


def _brightness(hit: np.ndarray) -> float:
    """Centroid of the spectrum, 0 to 1."""
    power = np.abs(np.fft.rfft(hit)) ** 2
    return float(np.linspace(0, 1, len(power)) @ power / power.sum())
