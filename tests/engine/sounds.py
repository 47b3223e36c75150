"""Helpers that make and measure sound: blocks of odd sizes, pitch, level, roughness, spectra."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from audiogen.core.events import EVENT, Event

NOTE_SEED_STEP = 0x9E3779B97F4A7C15  # between the seeds of successive notes


def played(synth: Any, n: int, *sizes: int) -> np.ndarray:
    """The next ``n`` samples of live playing, in blocks of these sizes."""
    blocks, left, size = [], n, cycle(sizes or (512,))
    while left:
        blocks.append(synth.process(min(left, next(size))))
        left -= len(blocks[-1])
    return np.concatenate(blocks)


def engine_output(
    engine: Any, n: int, events: Sequence[Event] = (), sizes: Iterator[int] | None = None
) -> np.ndarray:
    """The first ``n`` samples of an engine's first channel, in blocks of these sizes."""
    table = np.array(list(events), EVENT)
    sizes = sizes or cycle([1024])
    blocks, done = [np.zeros((0, engine.n_channels), np.float32)], 0
    while done < n:
        size = min(next(sizes), n - done)
        inside = (table["offset"] >= done) & (table["offset"] < done + size)
        now = table[inside]
        now["offset"] -= np.uint32(done)
        blocks.append(engine.process(size, now))
        done += size
    return np.concatenate(blocks)[:, 0]


def first_samples(blocks: Iterator[np.ndarray], n: int) -> np.ndarray:
    """The first ``n`` samples of a stream."""
    pieces, done = [], 0
    while done < n:
        pieces.append(next(blocks))
        done += len(pieces[-1])
    return np.concatenate(pieces)[:n]


def padded_sum(*sounds: np.ndarray) -> np.ndarray:
    """Sounds of several lengths, added from their beginnings."""
    total = np.zeros((max(map(len, sounds)), *sounds[0].shape[1:]), np.float32)
    for sound in sounds:
        total[: len(sound)] += sound
    return total


def frequency_hz(samples: np.ndarray, rate: int) -> float:
    """Frequency of a harmonic sound by its autocorrelation, to about 0.1 %."""
    x = samples.astype(np.float64) - samples.mean()
    power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(power)[: len(x) // 2]
    correlation /= np.arange(len(x), len(x) - len(x) // 2, -1)
    low = rate // 2000
    is_peak = (correlation[1:-1] > correlation[:-2]) & (correlation[1:-1] >= correlation[2:])
    peaks = np.flatnonzero(is_peak) + 1
    peaks = peaks[(peaks > low) & (correlation[peaks] > 0.9 * correlation[low:].max())]
    lag = peaks[0]
    left, centre, right = correlation[lag - 1 : lag + 2]
    return rate / (lag + 0.5 * (left - right) / (left - 2 * centre + right))


def rms(samples: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def snr_db(wanted: np.ndarray, got: np.ndarray) -> float:
    """Level of a sound over its error, dB."""
    noise = np.sum((wanted.astype(np.float64) - got) ** 2)
    return float(10.0 * np.log10(np.sum(wanted.astype(np.float64) ** 2) / max(noise, 1e-300)))


def band_limited(samples: np.ndarray, rate: int, highest_hz: float) -> np.ndarray:
    """A sound without what lies above a frequency."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    spectrum[np.fft.rfftfreq(len(samples), 1.0 / rate) > highest_hz] = 0.0
    return np.fft.irfft(spectrum, len(samples))


def second_difference(samples: np.ndarray) -> np.ndarray:
    """Magnitude of the second difference, in which a click stands out; 2 samples shorter."""
    return np.abs(np.diff(samples.astype(np.float64), 2, axis=0))
