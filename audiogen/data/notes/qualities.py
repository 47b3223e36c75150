"""NSynth's note qualities, as far as they can be measured from the sound itself."""

from __future__ import annotations

import numpy as np

# In NSynth's order. Only bright, dark, fast_decay, long_release and percussive are measured;
# the other five are never set.
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
    waveform : ndarray[n_samples], float
    sample_rate : int
    note_on_s : float
        When the key was let go.

    Notes
    -----
    NSynth's flags are from human listeners; these are thresholds of our own. Bright and dark: the
    centroid of the power spectrum above 2 kHz, or below 350 Hz. Percussive: the peak comes within
    60 ms and half a second later 10 dB are gone. Fast decay: 30 dB are gone one second after the
    peak. Long release: half a second after the key was let go the note still is within 30 dB of
    its level at that moment.
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
    found = set()
    if centroid_hz > 2000:
        found.add("bright")
    if centroid_hz < 350:
        found.add("dark")
    if peak_s <= 0.06 and peak_db - level_at(peak_s + 0.5) > 10:
        found.add("percussive")
    if peak_db - level_at(peak_s + 1.0) > 30:
        found.add("fast_decay")
    off_db = level_at(note_on_s - 0.05)
    if off_db > peak_db - 40 and off_db - level_at(note_on_s + 0.5) < 30:
        found.add("long_release")
    return [int(name in found) for name in QUALITIES]
