"""Vibrato and tremolo of recorded notes: measurement and removal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from audiogen.audio.files import resample
from audiogen.data.notes.nsynth import NOTE_ON_S, held_part
from audiogen.data.subset import evenly_spaced
from audiogen.representation.harmonic import pitch_to_hz

RATES_HZ = (3.0, 8.5)  # of a vibrato
LEAST_SHARE = 0.6  # of the changes of frequency at 1 to 15 Hz that are at the vibrato's rate
LEAST_CENTS, MOST_CENTS = 2.0, 100.0  # depth
N_COMPARED = 24  # notes of an instrument, from its lowest to its highest
RISES_S = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_TRACK_HZ = 400  # rate of tracks of frequency
_LEAST_BAND_HZ, _MOST_BAND_HZ = 20.0, 150.0  # half the width of a partial's band
_SIDEBANDS_HZ = 17.0  # of a vibrato, beside its largest change of frequency
_N_PARTIALS = 6  # of which the strongest one is tracked, with the next strongest as a witness
_LEAST_AGREEMENT = 0.5  # correlation of the two tracks at the vibrato's rate
_HELD_S = (0.4, NOTE_ON_S - 0.2)  # past the attack, before the release
_NEAR_HZ = 0.9  # half the width of a vibrato's peak in the spectrum of a held part
_BAND = 0.4  # half the width of the band of a note's vibrato, over its rate
_TAPER_S = 0.1
_LEVEL_S = (0.25, NOTE_ON_S - 0.2)  # where a tremolo is removed: past the attack
_LEVEL_HZ = (20.0, 40.0)  # low-pass of the power: passed below, removed above
# Removed up to the first step that is quieter than this, relative to the loudest, if that part is
# long enough.
_QUIETEST_DB, _SHORTEST_S = -30.0, 0.5
_MOST_DB = 9.0  # largest gain that removes a tremolo
_LEAST_TREMOLO_DB = 0.2  # a timbre's smaller tremolo is left out
# Least magnitude of the mean complex tremolo over the mean magnitude; below it the notes' phases
# disagree.
_LEAST_COMMON = 0.5
_RISE_PARTS_S = ((0.05, 0.25), (0.25, 0.5), (0.5, 1.0), (1.0, 1.5))  # against the rest
_OVERSAMPLING = 8


class Vibrato(NamedTuple):
    """Sinusoidal modulation of pitch and of level, which begins with the note.

    Parameters
    ----------
    depth_cents : float
        Peak deviation of the pitch.
    rate_hz : float
        Cycles in a second.
    rise_s : float
        Time from the note's start to the whole depth.
    tremolo_db : float, dB
        Peak deviation of the level.
    tremolo_phase : float, degrees
        Phase lead of the level over the pitch, -180 to 180.
    """

    depth_cents: float
    rate_hz: float
    rise_s: float
    tremolo_db: float = 0.0
    tremolo_phase: float = 0.0

    def numbers(self) -> list[float]:
        """The numbers of a timbre's ``vibrato``: without a tremolo, three."""
        return list(self if self.tremolo_db else self[:3])


def vibrato_of(waveforms: np.ndarray, pitches: np.ndarray, sample_rate: int) -> Vibrato | None:
    """Measure the vibrato of an instrument.

    Parameters
    ----------
    waveforms : array [n_notes, n_samples], float32
        Its notes, held for `NOTE_ON_S`.
    pitches : array [n_notes], MIDI numbers
        Their pitches.
    sample_rate : int, Hz
        Sample rate of the notes.

    Returns
    -------
    Vibrato or None
        Medians over up to `N_COMPARED` notes, and the mean of their tremolos as complex numbers, 0
        if their phases disagree; None if fewer than half of the notes have a vibrato.
    """
    chosen = evenly_spaced(np.argsort(pitches, kind="stable").tolist(), N_COMPARED)
    tracks = [_cents(waveforms[i], pitches[i], sample_rate) for i in chosen]
    vibratos = [_vibrato_of_note(track) for track in tracks]
    found = [
        (i, track[0], *vibrato)
        for i, track, vibrato in zip(chosen, tracks, vibratos, strict=True)
        if vibrato is not None
    ]
    if 2 * len(found) < len(tracks) or not found:
        return None
    depth, rate = (float(np.median([note[k] for note in found])) for k in (2, 3))
    depths = np.median([_depth_over_time(track, rate) for _, track, _, rate in found], axis=0)
    times = np.array([(start + stop) / 2 for start, stop in _RISE_PARTS_S])
    far = [
        np.sum((depths[:-1] / depths[-1] - np.minimum(1.0, times / max(rise, 1e-9))) ** 2)
        for rise in RISES_S
    ]
    tremolos = np.array(
        [_tremolo(_level(waveforms[i], sample_rate), track, rate) for i, track, _, rate in found]
    )
    tremolo = tremolos.mean()
    is_common = np.abs(tremolo) > max(_LEAST_TREMOLO_DB, _LEAST_COMMON * np.abs(tremolos).mean())
    return Vibrato(
        round(depth, 1),
        round(rate, 2),
        RISES_S[int(np.argmin(far))],
        round(float(np.abs(tremolo)), 2) if is_common else 0.0,
        round(float(np.degrees(np.angle(tremolo))), 1) if is_common else 0.0,
    )


def without_vibrato(waveform: np.ndarray, pitch: float, sample_rate: int) -> np.ndarray:
    """Return a note without its vibrato and the tremolo at its rate, if it has a vibrato.

    Warps time so that the pitch has no change at the vibrato's rate, and applies a gain that does
    the same for the level, from 0.25 s on.

    Parameters
    ----------
    waveform : array [n_samples], float32
        The note, held for `NOTE_ON_S`.
    pitch : float, MIDI number
        Its pitch.
    sample_rate : int, Hz
        Sample rate of the note.

    Returns
    -------
    array [n_samples], float32
    """
    track = _cents(waveform, pitch, sample_rate)
    found = _vibrato_of_note(track)
    if found is None:
        return waveform
    cents = _at_rate(track[0], found[1])
    level = _level_at_rate(_level(waveform, sample_rate), found[1])
    n = len(waveform)
    times = np.arange(n) / sample_rate
    steps = (np.arange(len(cents)) + 0.5) / _TRACK_HZ
    cents, level = (np.interp(times, steps, each, 0.0, 0.0) for each in (cents, level))
    waveform = waveform * (10.0 ** (-level / 20.0)).astype(np.float32)
    straight = np.cumsum(2.0 ** (cents / 1200.0)) - 1.0  # place of each sample in the new note
    places = np.interp(np.arange(n), straight, np.arange(n))
    return _sampled(waveform, places, sample_rate)


def frequency_change(
    spectrum: np.ndarray, centre: int, reach: int, n_steps: int, width_hz: float
) -> np.ndarray:
    """Return the distance of a partial's frequency from that of a bin, over time.

    The partial's band is shifted to 0 Hz and transformed back at a lower rate.

    Parameters
    ----------
    spectrum : array [n_bins], complex
        Spectrum of the whole sound.
    centre, reach : int, bins
        Middle of the partial's band, and half its width, whose outer half fades.
    n_steps : int
        Steps over the whole sound; at least ``2 * reach + 1``.
    width_hz : float, Hz
        Width of a bin.

    Returns
    -------
    array [n_steps - 1], Hz
    """
    offset = np.abs(np.arange(-reach, reach + 1)) / reach
    padded = np.zeros(n_steps, complex)
    padded[: len(offset)] = spectrum[centre - reach : centre + reach + 1]
    padded[: len(offset)] *= 0.5 + 0.5 * np.cos(np.pi * np.clip(2.0 * offset - 1.0, 0.0, 1.0))
    phase = np.unwrap(np.angle(np.fft.ifft(np.roll(padded, -reach))))
    return np.diff(phase) * n_steps * width_hz / (2.0 * np.pi)


def _cents(waveform: np.ndarray, pitch: float, sample_rate: int) -> np.ndarray:
    """Cents of the two strongest low partials from their medians, [2, n_steps], at `_TRACK_HZ`."""
    held = held_part(waveform, sample_rate)
    spectrum = np.fft.rfft(held)
    width_hz = sample_rate / len(held)
    f0 = float(pitch_to_hz(pitch))
    bands = []
    for k in range(1, _N_PARTIALS + 1):
        band_hz = k * f0 * (2.0 ** (MOST_CENTS / 1200.0) - 1.0) + _SIDEBANDS_HZ
        band_hz = min(max(band_hz, _LEAST_BAND_HZ), _MOST_BAND_HZ, 0.45 * f0)
        centre, reach = round(k * f0 / width_hz), round(band_hz / width_hz)
        if reach < centre < len(spectrum) - reach - 1:
            power = np.square(np.abs(spectrum[centre - reach : centre + reach + 1])).sum()
            bands.append((power, centre, reach))
    tracks = [_track(spectrum, *band[1:], width_hz) for band in sorted(bands, reverse=True)[:2]]
    silent = np.zeros(round(NOTE_ON_S * _TRACK_HZ) - 1)
    return np.stack([*tracks, silent, silent][:2])


def _track(spectrum: np.ndarray, centre: int, reach: int, width_hz: float) -> np.ndarray:
    """Distance of a partial from the median of its frequency, cents."""
    hz = frequency_change(spectrum, centre, reach, round(NOTE_ON_S * _TRACK_HZ), width_hz)
    cents = 1200.0 * np.log2(np.maximum(1.0 + hz / (centre * width_hz), 0.5))
    return cents - np.median(cents)


def _vibrato_of_note(tracks: np.ndarray) -> tuple[float, float] | None:
    """Depth (cents) and rate (Hz) of a note's vibrato, of the tracks of two of its partials.

    Both have the same vibrato, in cents. Beats of two tones are in one of them, or differ.
    """
    part = slice(*(round(time_s * _TRACK_HZ) for time_s in _HELD_S))
    held = tracks[0, part]
    time = np.linspace(-1.0, 1.0, len(held))
    held = held - np.polyval(np.polyfit(time, held, 1), time)
    size = 8192
    power = np.square(np.abs(np.fft.rfft(held * np.hanning(len(held)), size)))
    hz = np.fft.rfftfreq(size, 1.0 / _TRACK_HZ)
    inside = (hz >= RATES_HZ[0]) & (hz <= RATES_HZ[1])
    rate = float(hz[np.argmax(np.where(inside, power, 0.0))])
    total = power[(hz > 1.0) & (hz < 15.0)].sum()
    share = power[np.abs(hz - rate) < _NEAR_HZ].sum() / max(total, 1e-12)
    depth = float(np.sqrt(2.0 * share * np.mean(np.square(held))))
    if share < LEAST_SHARE or not LEAST_CENTS < depth < MOST_CENTS:
        return None
    first, second = (_at_rate(track, rate)[part] for track in tracks)
    norm = np.sqrt(np.sum(first**2) * np.sum(second**2))
    alike = first @ second / max(norm, 1e-12)
    far = np.sum(second**2) / max(np.sum(first**2), 1e-12)
    agrees = alike > _LEAST_AGREEMENT and 0.25 < far < 4.0
    return (depth, rate) if agrees or not tracks[1].any() else None


def _at_rate(cents: np.ndarray, rate: float) -> np.ndarray:
    """The part of a track that changes at about a rate, faded in and out."""
    return _analytic_at_rate(cents, rate).real


def _analytic_at_rate(cents: np.ndarray, rate: float) -> np.ndarray:
    """The analytic signal of `_at_rate`."""
    n_taper = round(_TAPER_S * _TRACK_HZ)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_taper) + 0.5) / n_taper)
    fade = np.ones(len(cents))
    fade[:n_taper], fade[-n_taper:] = rise, rise[::-1]
    spectrum = np.fft.fft(fade * np.clip(cents, -MOST_CENTS, MOST_CENTS))
    hz = np.fft.fftfreq(len(cents), 1.0 / _TRACK_HZ)
    return fade * np.fft.ifft(2.0 * spectrum * (np.abs(hz - rate) < _BAND * rate))


def _level(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Level of a held note, [n_steps], dB, at the steps of its `_cents`."""
    power = np.square(held_part(waveform, sample_rate), dtype=np.float64)
    n_steps = round(NOTE_ON_S * _TRACK_HZ)
    # Low-passed before it is sampled: harmonics of the pitch would fold into the vibrato's band.
    spectrum = np.fft.rfft(power)[: n_steps // 2 + 1]
    hz = np.arange(len(spectrum)) * sample_rate / len(power)
    low, high = _LEVEL_HZ
    spectrum *= 0.5 + 0.5 * np.cos(np.pi * np.clip((hz - low) / (high - low), 0.0, 1.0))
    spectrum *= np.exp(1j * np.pi * hz / _TRACK_HZ)  # half a step later
    smooth = np.fft.irfft(spectrum, n_steps)[:-1] * (n_steps / len(power))
    return 10.0 * np.log10(np.maximum(smooth, 1e-12))


def _level_at_rate(level: np.ndarray, rate: float) -> np.ndarray:
    """The part of a level that changes at about a rate, in `_LEVEL_S` while it is loud; else 0."""
    changes = np.zeros(len(level))
    start, stop = (round(time_s * _TRACK_HZ) for time_s in _LEVEL_S)
    quiet = np.flatnonzero(level[start:stop] < level.max() + _QUIETEST_DB)
    part = slice(start, start + int(quiet[0]) if len(quiet) else stop)
    if part.stop - part.start < _SHORTEST_S * _TRACK_HZ:
        return changes
    time = np.linspace(-1.0, 1.0, part.stop - part.start)
    trend = np.polyval(np.polyfit(time, level[part], 2), time)
    around = np.clip(level[part] - trend, -_MOST_DB, _MOST_DB)
    changes[part] = np.clip(_at_rate(around, rate), -_MOST_DB, _MOST_DB)
    return changes


def _tremolo(level: np.ndarray, cents: np.ndarray, rate: float) -> complex:
    """Depth (dB) and phase, ahead of the vibrato, of the level's sine at the vibrato's rate."""
    part = slice(*(round(time_s * _TRACK_HZ) for time_s in _HELD_S))
    turning = _analytic_at_rate(cents, rate)[part]
    turning = turning / np.maximum(np.abs(turning), 1e-9)
    return complex(2.0 * np.mean(_level_at_rate(level, rate)[part] * np.conj(turning)))


def _depth_over_time(cents: np.ndarray, rate: float) -> list[float]:
    """Depth in `_RISE_PARTS_S`, then that of the rest, cents."""
    band = _at_rate(cents, rate)
    parts = (*_RISE_PARTS_S, (_RISE_PARTS_S[-1][1], _HELD_S[1]))
    return [
        float(np.sqrt(2.0 * np.mean(np.square(band[round(a * _TRACK_HZ) : round(b * _TRACK_HZ)]))))
        for a, b in parts
    ]


def _sampled(waveform: np.ndarray, places: np.ndarray, sample_rate: int) -> np.ndarray:
    """Samples of a sound between its own: cubic interpolation of the oversampled sound."""
    fine = resample(np.asarray(waveform, np.float32), sample_rate, _OVERSAMPLING * sample_rate)
    fine = np.pad(fine, (1, 3 + max(0, _OVERSAMPLING * len(waveform) - len(fine))))
    places = _OVERSAMPLING * places
    first = places.astype(int)
    t = (places - first).astype(np.float32)
    a, b, c, d = (fine[first + i] for i in range(4))  # at -1, 0, 1 and 2 from `first`
    slope, opposite = 0.5 * (c - a), 0.5 * (d - b)
    return b + t * (
        slope
        + t * (3.0 * (c - b) - 2.0 * slope - opposite + t * (2.0 * (b - c) + slope + opposite))
    )
