"""Search for recordings that sound banks share; banks that share some are not independent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.core.counting import counted
from audiogen.data.render.gus_patch import read_patch, read_patch_bank
from audiogen.data.render.sf2 import read_font_samples
from audiogen.errors import ParameterError

EXCERPT, MAX_LAG = 2048, 512  # samples correlated, and largest shift
SIMILAR_SPECTRUM = 0.97  # of fingerprints; below, excerpts aren't correlated, which saves time
SAME_CORRELATION = 0.995  # of two excerpts of one recording, whatever their levels
MIN_SAMPLES = 64  # shorter recordings are single cycles
MAX_SHARED = 0.02  # of the smaller bank's recordings; GM names and waveforms sometimes coincide
_N_NAMED = 5


@dataclass(frozen=True)
class BankRecording:
    """Name and excerpt of one recording of a bank.

    Parameters
    ----------
    name : str
        Name in the bank.
    n_samples : int
        Length.
    excerpt : array [EXCERPT + MAX_LAG], float32
        Samples from the onset, zero mean.
    """

    name: str
    n_samples: int
    excerpt: np.ndarray


def bank_recordings(path: str | PathLike[str]) -> list[BankRecording]:
    """Read the recordings of a .sf2 file or of a folder of GUS patches.

    Recordings below `MIN_SAMPLES` samples, which are single cycles, are left out.

    Raises
    ------
    FormatError
        If the bank can't be read.
    """
    return [
        BankRecording(name, len(data), _excerpt(data))
        for name, data in _named_data(Path(path))
        if len(data) >= MIN_SAMPLES
    ]


def shared_recordings(
    first: list[BankRecording], second: list[BankRecording]
) -> list[tuple[str, str]]:
    """Return the names of recordings that two banks share, by audio or by header.

    Two recordings are the same if their excerpts have a correlation of `SAME_CORRELATION` at some
    shift, or if they have the same name and the same length.

    Parameters
    ----------
    first, second : list of BankRecording
        Recordings of the banks.

    Returns
    -------
    list of (str, str)
        Name in the first bank and name in the second, once for each recording of the first.
    """
    if not first or not second:
        return []
    headers = {(b.name.lower(), b.n_samples): b.name for b in second}
    prints = [np.stack([_fingerprint(r.excerpt) for r in bank]) for bank in (first, second)]
    similar = prints[0] @ prints[1].T > SIMILAR_SPECTRUM
    shared = []
    for a, near in zip(first, similar, strict=True):
        name = headers.get((a.name.lower(), a.n_samples))
        for j in np.flatnonzero(near) if name is None else ():
            if _correlation(a.excerpt, second[j].excerpt) >= SAME_CORRELATION:
                name = second[j].name
                break
        if name is not None:
            shared.append((a.name, name))
    return shared


def _fingerprint(excerpt: np.ndarray) -> np.ndarray:
    """Unit vector of the square roots of spectral magnitudes, which shifts hardly change."""
    magnitude = np.sqrt(np.abs(np.fft.rfft(excerpt * np.hanning(len(excerpt)))))
    return (magnitude / max(float(np.linalg.norm(magnitude)), 1e-12)).astype(np.float32)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Largest correlation of the start of either excerpt with the other excerpt."""
    best = 0.0
    for short, long in ((first[:EXCERPT], second), (second[:EXCERPT], first)):
        windows = np.lib.stride_tricks.sliding_window_view(long, EXCERPT)
        energy = np.square(windows, dtype=np.float64).sum(axis=1)
        level = np.sqrt(energy * np.square(short, dtype=np.float64).sum())
        audible = energy > 0.1 * np.square(long, dtype=np.float64).sum()
        products = np.abs(np.correlate(long, short, "valid"))
        best = max(best, float((products[audible] / level[audible].clip(1e-9)).max(initial=0.0)))
    return best


def require_independent(banks: dict[str, list[BankRecording]]) -> dict[str, int]:
    """Refuse banks that share recordings; return the number of shared ones of each pair.

    Parameters
    ----------
    banks : dict of str to list of BankRecording
        Recordings by the bank's name.

    Raises
    ------
    ParameterError
        If more than `MAX_SHARED` of the smaller bank's recordings are in the other bank; the
        message counts and names them, for the worst pair.
    """
    counts, worst, message = {}, MAX_SHARED, ""
    names = list(banks)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            small, large = sorted((first, second), key=lambda name: len(banks[name]))
            shared = shared_recordings(banks[small], banks[large])
            counts[f"{small} in {large}"] = len(shared)
            share = len(shared) / max(1, len(banks[small]))
            if share > worst:
                worst = share
                examples = ", ".join(dict.fromkeys(name for name, _ in shared[:_N_NAMED]))
                message = (
                    f"banks {first} and {second} overlap: {len(shared)} of"
                    f" {counted(len(banks[small]), 'recording')} of {small} are also in {large}"
                    f" ({examples}{', ...' if len(shared) > _N_NAMED else ''}); a test on one"
                    " would leak the other: leave one of them out"
                )
    if message:
        raise ParameterError(message)
    return counts


def _named_data(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    if path.is_dir():
        for patch in dict.fromkeys(read_patch_bank(path).values()):
            for sample in read_patch(patch):
                yield f"{patch.stem}/{sample.name}", sample.data
    else:
        for recording in read_font_samples(path):
            yield recording.name, recording.data


def _excerpt(data: np.ndarray) -> np.ndarray:
    """Samples starting from the first above a tenth of the peak, without the mean."""
    excerpt = np.zeros(EXCERPT + MAX_LAG, np.float32)
    level = np.abs(data.astype(np.float32))
    onset = int(np.argmax(level > 0.1 * level.max())) if level.max() > 0 else 0
    onset = max(0, min(onset, len(data) - EXCERPT) - MAX_LAG // 4)
    part = data[onset : onset + len(excerpt)].astype(np.float32)
    excerpt[: len(part)] = part - part.mean()
    return excerpt
