"""NSynth's note qualities, as far as they can be measured from the waveform."""

from __future__ import annotations

import numpy as np

# In NSynth's order. The other five than bright, dark, fast_decay, long_release and percussive are
# never set.
QUALITIES = (
    "bright",
    "dark",
    "distortion",
    "fast_decay",
    "long_release",
    "multiphonic",
    "nonlinear_env",
    "percussive",
    "reverb",
    "tempo-synced",
)


def measure_qualities(waveform: np.ndarray, sample_rate: int, note_on_s: float) -> list[int]:
    """Return NSynth's ten quality flags (0 or 1), in the order of `QUALITIES`.

    Parameters
    ----------
    waveform : array [n_samples], float
        Note from its attack on.
    sample_rate : int, Hz
        Sample rate of the samples.
    note_on_s : float, s
        Time of the key's release.

    Notes
    -----
    NSynth's flags come from human listeners; these come from thresholds. Bright and dark: the
    centroid of the power spectrum is above 2 kHz or below 350 Hz. Percussive: the peak is within
    60 ms, and the level falls by 10 dB within half a second. Fast decay: the level falls by 30 dB
    within a second of the peak. Long release: half a second after the release of the key the level
    is within 30 dB of its level at the release.
    """
    power = np.abs(np.fft.rfft(waveform)) ** 2
    frequency_hz = np.fft.rfftfreq(len(waveform), 1 / sample_rate)
    total = float(power.sum())
    if total == 0.0:
        return [0] * len(QUALITIES)
    centroid_hz = float(power @ frequency_hz) / total

    block = max(1, round(0.01 * sample_rate))  # 10 ms
    blocks = waveform[: len(waveform) // block * block].reshape(-1, block)
    level_db = 10 * np.log10(np.mean(np.square(blocks, dtype=np.float64), axis=1) + 1e-12)
    peak = int(np.argmax(level_db))

    def level_at(time_s: float) -> float:
        first = min(round(time_s * 100), len(level_db) - 1)
        return float(np.mean(level_db[first : first + 5]))

    peak_s, peak_db = peak / 100, float(level_db[peak])
    off_db = level_at(note_on_s - 0.05)
    flags = {
        "bright": centroid_hz > 2000,
        "dark": centroid_hz < 350,
        "percussive": peak_s <= 0.06 and peak_db - level_at(peak_s + 0.5) > 10,
        "fast_decay": peak_db - level_at(peak_s + 1.0) > 30,
        "long_release": off_db > peak_db - 40 and off_db - level_at(note_on_s + 0.5) < 30,
    }
    return [int(flags.get(name, False)) for name in QUALITIES]
