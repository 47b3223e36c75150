"""Single sounds of a GANSynth preset, and measures of their timbre.

The sounds of most presets are notes that are held; those of presets without a sustain, such as drum
kits, are hits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiogen.audio.pitch import best_tracker, cents_error, note_pitch
from audiogen.engine import Synth
from audiogen.engine.latents import Timbre
from audiogen.evaluation.metrics import level_db
from audiogen.presets import GansynthPreset

VELOCITY, HOLD_S = 0.8, 0.9
ONSET_S = 0.1  # onset of a note, of which `hardness` is measured
HIT_ONSET_S = 0.02  # onset of a hit; the attacks of drums take 3 ms, recordings have 20 ms of stick
HIT_RANGE_DB = 40.0  # a hit ends where its level stays this far below its loudest
LEVEL_S = 0.01  # window of a hit's level
NOISE_HZ = (100.0, 16000.0)  # band of the spectral flatness, in which recordings have their noise
FLATNESS_FLOOR_DB = -60.0  # of the band's loudest bin; what is below is inaudible beside it
LOWEST_HZ = 20.0  # of a spectral centroid
INAUDIBLE_DB = -100.0  # a quieter hit is silence


@dataclass(frozen=True)
class Feature:
    """A measure of timbre that a macro changes.

    Parameters
    ----------
    name : str
        Name of the macro.
    help : str
        Sentence on the macro's effect.
    measure : str
        Name of the measure, as the effect states it.
    unit : str
        Unit of the values that are shown.
    is_log2 : bool
        Whether the value is a base-2 logarithm of what is shown.
    """

    name: str
    help: str
    measure: str
    unit: str
    is_log2: bool = False

    def shown(self, value: float) -> str:
        """A value as the effect shows it, without its unit."""
        return f"{2**value:.0f}" if self.is_log2 else f"{value:.1f}"


# In the order in which they become macro_1, macro_2, ...: each is made independent of those before.
FEATURES = (
    Feature(
        "brightness",
        "Brightness of the sustain, dark to bright.",
        "spectral centroid",
        "Hz",
        is_log2=True,
    ),
    Feature(
        "breath",
        "Noise between the partials, clean to breathy.",
        "power off the partials relative to that on them",
        "dB",
    ),
    Feature("swell", "Slowness of the attack, short to long.", "attack time", "ms", is_log2=True),
    Feature(
        "hardness",
        "Brightness of the first 100 ms relative to the sustain, soft to hard.",
        "spectral centroid of the onset above that of the sustain",
        "octaves",
    ),
    Feature("decay", "Decay of a held note, steady to short.", "fall of the level", "dB/s"),
)
DRUM_FEATURES = (
    Feature("brightness", "Spectrum, dark to bright.", "spectral centroid", "Hz", is_log2=True),
    Feature("noisiness", "Noise, tonal to noisy.", "spectral flatness", "dB"),
    Feature(
        "length",
        "Length, short to long.",
        f"time until the level stays {HIT_RANGE_DB:.0f} dB below the loudest",
        "ms",
        is_log2=True,
    ),
    Feature(
        "hardness",
        "Brightness of the first 20 ms relative to the rest, soft to hard.",
        "spectral centroid of the onset above that of the rest",
        "octaves",
    ),
)


class Probe:
    """Plays single sounds of a preset, and measures them.

    Parameters
    ----------
    preset : GansynthPreset
        The preset. With a latent or a mix as the timbre, each key of a drum kit plays it at the
        pitch of its drum; with a name, all keys play the drum of that name.

    Attributes
    ----------
    plays_hits : bool
        Whether sounds play to their end, however long a key is held.
    features : tuple of Feature
        Measures of the sounds: `FEATURES`, or `DRUM_FEATURES` of hits.
    nuisances : tuple of str
        Measures that no macro may change, but for the macro of that name.
    clip_s : float, s
        Longest hit, which is cut off there.
    """

    def __init__(self, preset: GansynthPreset) -> None:
        self.preset = preset
        self.plays_hits = preset.sustain is None
        self.features = DRUM_FEATURES if self.plays_hits else FEATURES
        self.nuisances = ("level", "length") if self.plays_hits else ("level", "pitch")
        frames = preset.spectrogram
        self.clip_s = frames.n_frames * frames.hop_length / preset.sample_rate
        self._synth = Synth(preset)

    def keys(self, shares: Sequence[float]) -> list[int]:
        """Keys at shares of the pitch range; of a kit at shares of the pitches of its drums."""
        if self.preset.is_kit:
            by_pitch = {pitch: key for key, pitch in self.preset.drums.values()}
            pitches = sorted(by_pitch)
            return [by_pitch[pitches[round(share * (len(pitches) - 1))]] for share in shares]
        low, high = self.preset.pitch_range
        return [round(low + share * (high - low)) for share in shares]

    def play(
        self,
        notes: Sequence[tuple[float, float, int, float]],
        timbre: Timbre | None,
        seed: int | None = None,
    ) -> np.ndarray:
        """Render notes, as `Synth.render` takes them, at the preset's rate; [n_samples].

        With no timbre each key of a kit plays its own drum.
        """
        rate = self.preset.sample_rate
        return self._synth.render(notes, timbre=timbre, seed=seed, sample_rate=rate, stereo=False)

    def note(self, timbre: Timbre, key: int) -> np.ndarray:
        """A note held for `HOLD_S`, or a hit, [n_samples]."""
        return self.play([(0.0, HOLD_S, key, VELOCITY)], timbre)

    def measure(self, waveform: np.ndarray, key: int) -> dict[str, float]:
        """Measures of what `note` returned, by name: of the features, and of the nuisances."""
        rate = self.preset.sample_rate
        return measure_hit(waveform, rate) if self.plays_hits else measure_note(waveform, rate, key)


def measure_note(waveform: np.ndarray, sample_rate: int, pitch: float) -> dict[str, float]:
    """Timbre features of a note that is held for `HOLD_S`.

    Parameters
    ----------
    waveform : ndarray [n_samples], float
        The note, from its start.
    sample_rate : int, Hz
        Sample rate of the samples.
    pitch : float, MIDI number
        Pitch that was asked for.

    Returns
    -------
    dict of str to float
        ``brightness`` (log2 Hz), ``breath`` (dB), ``swell`` (log2 ms), ``hardness`` (octaves),
        ``decay`` (dB/s), ``level`` (dBFS) and ``pitch`` (cents from the one asked for; NaN if no
        pitch is found).
    """
    x = np.asarray(waveform, np.float64)
    hold, onset = round(HOLD_S * sample_rate), round(ONSET_S * sample_rate)
    sustain = x[2 * onset : hold]
    centroid = _centroid(sustain, sample_rate)
    early, late = level_db(sustain[:onset]), level_db(sustain[-onset:])
    found = note_pitch(x, sample_rate, note_on_s=HOLD_S, tracker=best_tracker())
    return {
        "brightness": centroid,
        "breath": _off_partials_db(sustain, sample_rate, pitch),
        "swell": np.log2(_attack_ms(x[:hold], sample_rate)),
        "hardness": _centroid(x[:onset], sample_rate) - centroid,
        "decay": (early - late) / ((len(sustain) - onset) / sample_rate),
        "level": level_db(x[:hold]),
        "pitch": float(cents_error(found, pitch, octave_free=True)),
    }


def _centroid(x: np.ndarray, sample_rate: int, window: np.ndarray | None = None) -> float:
    """Spectral centroid of the power, log2 Hz; with a Hann window by default."""
    power = np.abs(np.fft.rfft(x * (np.hanning(len(x)) if window is None else window))) ** 2
    frequency = np.arange(len(power)) * sample_rate / len(x)
    return float(np.log2(max(power @ frequency / max(power.sum(), 1e-30), LOWEST_HZ)))


def _off_partials_db(x: np.ndarray, sample_rate: int, pitch: float) -> float:
    """Power farther from any partial than a quarter of their distance, relative to the rest."""
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    number = np.arange(len(power)) * sample_rate / len(x) / f0
    is_off = (np.abs(number - np.rint(number)) > 0.25) & (number > 0.5)
    is_on = ~is_off & (number > 0.5)
    return float(10 * np.log10(max(power[is_off].sum(), 1e-20) / max(power[is_on].sum(), 1e-20)))


def _attack_ms(x: np.ndarray, sample_rate: int) -> float:
    """Time from 10 to 90 % of the largest level of the first half second."""
    width = round(0.02 * sample_rate)
    level = np.sqrt(np.convolve(x[: sample_rate // 2] ** 2, np.hanning(width), "same"))
    top = level.max()
    start = int(np.argmax(level >= 0.1 * top))
    end = int(np.argmax(level >= 0.9 * top))
    return max((end - start) / sample_rate * 1e3, 1.0)


def measure_hit(waveform: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Timbre features of a drum.

    Parameters
    ----------
    waveform : ndarray [n_samples], float
        The hit.
    sample_rate : int, Hz
        Sample rate of the samples.

    Returns
    -------
    dict of str to float
        ``brightness`` (log2 Hz), ``noisiness`` (dB), ``length`` (log2 ms), ``hardness`` (octaves)
        and ``level`` (dBFS of the loudest 10 ms). Silence is dark, tonal, short and soft.
    """
    window = np.hanning(max(round(LEVEL_S * sample_rate), 3))
    onset = round(HIT_ONSET_S * sample_rate)
    x = np.pad(np.asarray(waveform, np.float64), (len(window), len(window) + 2 * onset))
    power = np.convolve(x**2, window / window.sum(), "same")
    level = 10.0 * float(np.log10(max(power.max(), 1e-20)))
    if level < INAUDIBLE_DB:
        darkest = float(np.log2(LOWEST_HZ))
        quiet = {"brightness": darkest, "noisiness": FLATNESS_FLOOR_DB, "length": 0.0}
        return {**quiet, "hardness": 0.0, "level": level}
    loud = np.flatnonzero(power >= 10 ** (-HIT_RANGE_DB / 10) * power.max())
    length_ms = (loud[-1] - loud[0]) / sample_rate * 1e3
    hit = x[loud[0] : max(loud[-1] + 1, loud[0] + 2 * onset)]
    rest = _centroid(hit[onset:], sample_rate, _fade(len(hit) - onset))
    return {
        "brightness": _centroid(hit, sample_rate, _fade(len(hit))),
        "noisiness": _flatness_db(hit, sample_rate),
        "length": float(np.log2(max(length_ms, 1.0))),
        "hardness": _centroid(hit[:onset], sample_rate, _fade(onset)) - rest,
        "level": level,
    }


def _fade(n: int) -> np.ndarray:
    """Second half of a Hann window: a hit begins with silence, and with most of its energy."""
    return np.hanning(2 * n)[n:]


def _flatness_db(hit: np.ndarray, sample_rate: int) -> float:
    """Geometric mean of the power spectrum over its arithmetic mean; white noise has -2.5 dB."""
    power = np.abs(np.fft.rfft(hit * _fade(len(hit)))) ** 2
    frequency = np.arange(len(power)) * sample_rate / len(hit)
    band = power[(frequency >= NOISE_HZ[0]) & (frequency <= NOISE_HZ[1])]
    band = np.maximum(band, 10 ** (FLATNESS_FLOOR_DB / 10) * band.max() + 1e-30)
    return float(10 * (np.log10(band).mean() - np.log10(band.mean())))
