"""Statistics of single notes: attack, changes of level and frequency, bands and partials, level.

All are functions of one waveform. They find faults that distances of averaged spectra do not show:
soft attacks, levels that drift, partials that are too narrow, and missing noise.
"""

from __future__ import annotations

import numpy as np

from audiogen.data.notes.vibrato import frequency_change
from audiogen.errors import ParameterError
from audiogen.evaluation.metrics import level_db
from audiogen.representation.harmonic import nearest_partial, pitch_to_hz

HELD_S = (
    0.5,
    2.5,
)  # part of a note, from its start, that is past the attack and before the release
VARYING_DB = 0.3  # wander plus flutter from which a note counts as varying; sampled loops have 0.00
FLOOR_DB = -90.0  # relative to the loudest bin or band; 16-bit quantisation noise is lower
PARTIAL_HZ, NEAR_HZ = 12.0, 24.0  # bins up to 12 Hz from a partial are its own; up to 24 Hz near it
LOWEST_F0_HZ = 40.0  # below, no bin is far from all partials
_BAND_EDGES_HZ = (30.0, 2000.0, 4000.0, 8000.0)  # bands of the partials and the bins beside them
_SHARE_EDGES_HZ = (2000.0, 5000.0, 10000.0)
# Blackman window of spectra that resolve the bins beside partials: main lobe +-8 Hz, side lobes
# below -58 dB. Under a Hann window steady partials would fill the near bins to -41 dB.
_FRAME_S = 0.384
_ENVELOPE_S, _ENVELOPE_HOP_S = 0.032, 0.005  # window and hop of band levels over time
_AUDIBLE = 1e-4  # power of the quietest band that counts, relative to the loudest band
_WANDER_HZ, _FLUTTER_HZ, _ROUGHNESS_HZ = (0.4, 3.0), (3.0, 8.0), (15.0, 60.0)
_VIBRATO_HZ = 20.0  # half the width of the band of a partial with its vibrato


def note_statistics(
    waveform: np.ndarray, pitch: float, sample_rate: int, partials: np.ndarray | None = None
) -> dict[str, float]:
    """Return the statistics of one note by name.

    Parameters
    ----------
    waveform : array [n_samples], float
        The note from its start; NaN and infinity count as 0. A note shorter than 2.5 s is padded
        with silence.
    pitch : float, MIDI number
        Its pitch; NaN for none, which leaves statistics of partials undefined.
    sample_rate : int, Hz
        Sample rate of the samples, 8000 or more.
    partials : array [n_partials], optional
        Its partials (`audiogen.representation.partials`); harmonic ones by default.

    Returns
    -------
    dict of str to float
        ``attack_ms``, ``wander_db``, ``flutter_db``, ``roughness_db``, ``vibrato_cents``,
        ``off_partials_db LOW-HIGH`` and ``near_partials_db LOW-HIGH`` for each band in kHz,
        ``above_db FREQUENCY`` for each frequency in kHz, and ``level_dbfs``. NaN where a statistic
        is not defined.

    Raises
    ------
    ParameterError
        If the sample rate is below 8000 Hz.
    """
    if sample_rate < 8000:
        raise ParameterError(f"sample_rate={sample_rate} must be 8000 or more; resample the note")
    end = round(HELD_S[1] * sample_rate)
    sound = np.zeros(end)
    waveform = np.nan_to_num(np.asarray(waveform, float), posinf=0.0, neginf=0.0)[:end]
    sound[: len(waveform)] = waveform
    held = sound[round(HELD_S[0] * sample_rate) :]
    return {
        "attack_ms": attack_ms(sound, sample_rate),
        **level_changes(held, sample_rate),
        "vibrato_cents": vibrato_cents(held, pitch, sample_rate, partials),
        **partial_contrast(held, pitch, sample_rate, partials),
        **shares_above(sound, sample_rate),
        "level_dbfs": level_db(sound),
    }


def attack_ms(waveform: np.ndarray, sample_rate: int) -> float:
    """Return the time from 10 % to 90 % of the envelope's 98th percentile, in the first second.

    The envelope is the root mean square under a Hann window of 10 ms.

    Parameters
    ----------
    waveform : array [n_samples], float
        The note from its start.
    sample_rate : int, Hz
        Sample rate of the samples.
    """
    n = round(0.01 * sample_rate)
    window = np.hanning(n) * 2 / n
    power = np.convolve(np.square(waveform[: sample_rate + n]), window, "same")
    envelope = np.sqrt(np.maximum(power, 0.0))[:sample_rate]
    top = np.percentile(envelope, 98)
    if top <= 0:
        return float("nan")
    starts = (np.argmax(envelope > share * top) for share in (0.1, 0.9))
    low, high = starts
    return 1000.0 * float(high - low) / sample_rate


def level_changes(held: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Return how much the levels of bands an octave wide change over time, dB RMS.

    Levels are those of bands from 4 bins of a 32 ms window upwards, without their linear trend in
    dB, and within 40 dB of the loudest band; changes are averaged over the bands. ``wander_db`` has
    the changes at 0.4 to 3 Hz, ``flutter_db`` at 3 to 8 Hz, ``roughness_db`` at 15 to 60 Hz.

    Parameters
    ----------
    held : array [n_samples], float
        Held part of a note.
    sample_rate : int, Hz
        Sample rate of the samples.
    """
    n, hop = round(_ENVELOPE_S * sample_rate), round(_ENVELOPE_HOP_S * sample_rate)
    power = _frame_power(held, np.hanning(n), hop)
    edges = [1, *(2**k for k in range(2, 16) if 2**k < n // 2), n // 2]
    bands = np.add.reduceat(power, edges[:-1], axis=1)
    mean = bands.mean(axis=0)
    if mean.max() <= 0:
        return dict.fromkeys(("wander_db", "flutter_db", "roughness_db"), float("nan"))
    floor = 10 ** (FLOOR_DB / 10) * bands.max()
    level = 10 * np.log10(bands[:, mean > _AUDIBLE * mean.max()] + floor)
    time = np.linspace(-1.0, 1.0, len(level))[:, None]
    level = level - level.mean(axis=0)
    level -= time * (time * level).sum(axis=0) / np.square(time).sum()
    spectrum = _modulation_power(level)
    frequency = np.fft.rfftfreq(len(level), hop / sample_rate)
    changes = {}
    for name, (low, high) in (
        ("wander_db", _WANDER_HZ),
        ("flutter_db", _FLUTTER_HZ),
        ("roughness_db", _ROUGHNESS_HZ),
    ):
        inside = (frequency >= low) & (frequency < high)
        changes[name] = float(np.sqrt(spectrum[inside].sum(axis=0)).mean())
    return changes


def vibrato_cents(
    held: np.ndarray, pitch: float, sample_rate: int, partials: np.ndarray | None = None
) -> float:
    """Return the change of the loudest partial's frequency at 3 to 8 Hz, cents RMS.

    Parameters
    ----------
    held : array [n_samples], float
        Held part of a note.
    pitch : float, MIDI number
        Its pitch.
    sample_rate : int, Hz
        Sample rate of the samples.
    partials : array [n_partials], optional
        Its partials; harmonic ones by default.
    """
    spectrum = np.fft.rfft(held)
    width_hz = sample_rate / len(held)
    reach = round(_VIBRATO_HZ / width_hz)
    frequency = np.arange(len(spectrum)) * width_hz
    near = _partial_distance_hz(frequency, pitch, partials) < PARTIAL_HZ
    near[: reach + 1] = near[len(spectrum) - reach - 1 :] = False
    power = np.where(near, np.square(np.abs(spectrum)), 0.0)
    if power.max() <= 0:
        return float("nan")
    centre = int(np.argmax(power))
    n_steps = 16 * (2 * reach + 1)
    shift_hz = frequency_change(spectrum, centre, reach, n_steps, width_hz)
    edge = n_steps // 20  # the transform is periodic
    shift_hz, step_s = shift_hz[edge : n_steps - edge - 1], 1 / (n_steps * width_hz)
    cents = 1200 * np.log2(np.maximum(1 + shift_hz / (centre * width_hz), 0.5))
    change = _modulation_power(cents[:, None] - cents.mean())
    rate_hz = np.fft.rfftfreq(len(cents), step_s)
    inside = (rate_hz >= _FLUTTER_HZ[0]) & (rate_hz < _FLUTTER_HZ[1])
    return float(np.sqrt(change[inside].sum()))


def partial_contrast(
    held: np.ndarray, pitch: float, sample_rate: int, partials: np.ndarray | None = None
) -> dict[str, float]:
    """Return the levels of the bins beside partials, relative to the partials, by band.

    Spectra have Blackman windows of 384 ms. A partial has the bins within 12 Hz of its
    frequency. ``off_partials_db`` compares the mean power of all other bins with theirs,
    ``near_partials_db`` that of the bins at 12 to 24 Hz, which partials that fluctuate fill.

    Parameters
    ----------
    held : array [n_samples], float
        Held part of a note.
    pitch : float, MIDI number
        Its pitch.
    sample_rate : int, Hz
        Sample rate of the samples.
    partials : array [n_partials], optional
        Its partials; harmonic ones by default.

    Returns
    -------
    dict of str to float, dB
        NaN below a fundamental of 40 Hz, and for bands whose partials are absent or inaudible.
    """
    n = round(_FRAME_S * sample_rate)
    power = _frame_power(held, np.blackman(n), n // 4).mean(axis=0)
    floor = 10 ** (FLOOR_DB / 10) * power.max()
    power = power + floor
    frequency = np.fft.rfftfreq(n, 1 / sample_rate)
    distance = _partial_distance_hz(frequency, pitch, partials)
    partial, near = distance < PARTIAL_HZ, (distance >= PARTIAL_HZ) & (distance < NEAR_HZ)
    defined = 440 * 2 ** ((pitch - 69) / 12) > LOWEST_F0_HZ and power.max() > 0
    contrasts = {}
    for name, bins in (("off_partials_db", ~partial), ("near_partials_db", near)):
        for low, high in partial_bands_hz(sample_rate):
            band = (frequency > low) & (frequency < high)
            value = float("nan")
            if defined and (band & partial).any() and (band & bins).any():
                of_partials = power[band & partial].mean()
                if of_partials > 10 * floor:
                    value = 10 * float(np.log10(power[band & bins].mean() / of_partials))
            contrasts[f"{name} {_khz(low)}-{_khz(high)}"] = value
    return contrasts


def partial_bands_hz(sample_rate: int) -> list[tuple[float, float]]:
    """Return the bands of `partial_contrast`: up to 2, 4 and 8 kHz and 0.49 of the sample rate."""
    edges = [edge for edge in _BAND_EDGES_HZ if edge < 0.4 * sample_rate]
    return list(zip(edges, [*edges[1:], 0.49 * sample_rate], strict=True))


def shares_above(waveform: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Return the power above 2, 5 and 10 kHz relative to the whole, dB, as far as the rate allows.

    Parameters
    ----------
    waveform : array [n_samples], float
        A note.
    sample_rate : int, Hz
        Sample rate of the samples.
    """
    power = np.square(np.abs(np.fft.rfft(waveform)))
    frequency = np.fft.rfftfreq(len(waveform), 1 / sample_rate)
    total = power.sum()
    shares = {}
    for edge in _SHARE_EDGES_HZ:
        if edge < 0.45 * sample_rate:
            share = power[frequency >= edge].sum() / total if total > 0 else float("nan")
            shares[f"above_db {_khz(edge)}"] = 10 * float(np.log10(share + 10 ** (FLOOR_DB / 10)))
    return shares


def is_varying(statistics: dict[str, float]) -> bool:
    """Return whether a note changes while it is held, by its wander and flutter.

    Sampled instruments come in two groups: those that repeat a loop without any change, and those
    that vary. A median over both groups can hide a fault of either.
    """
    return statistics["wander_db"] + statistics["flutter_db"] > VARYING_DB


def _frame_power(sound: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """Power [n_frames, n_bins] of the spectra of windowed frames."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, len(window))[::hop]
    return np.square(np.abs(np.fft.rfft(frames * window, axis=1)))


def _modulation_power(values: np.ndarray) -> np.ndarray:
    """Mean square [n_frequencies, n] of the components of series [n_steps, n], under a Hann window.

    2 for the two halves of the spectrum, 8/3 for the power of the window.
    """
    n = len(values)
    spectrum = np.fft.rfft(values * np.hanning(n)[:, None], axis=0)
    return np.square(np.abs(spectrum)) * (2 * 8 / 3) / n**2


def _partial_distance_hz(
    frequency: np.ndarray, pitch: float, partials: np.ndarray | None
) -> np.ndarray:
    """Distance of each frequency from the nearest partial."""
    return np.abs(frequency - nearest_partial(frequency, pitch_to_hz(pitch), partials)[1])


def _khz(hz: float) -> str:
    """A frequency in kHz, for names: 0, 2, 7.84."""
    return f"{hz / 1000:.3g}" if hz >= 1000 else "0"
