"""A recorded note to encode: cut, checked and tracked, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from audiogen.audio.pitch import note_pitch, tone_pitch
from audiogen.errors import MissingPackageError, ParameterError
from audiogen.presets import GansynthPreset, Preset

LEVEL = 0.1  # root mean square at which sounds are compared; full scale is 1
SHORTEST_S = 0.15  # shortest note whose pitch is tracked; others have a frame or more
QUIETEST_DB = -40.0  # level of the start and the end of a note, below its loudest
BLOCK_S, MARGIN_S = 0.005, 0.005  # resolution of that level; kept before the start


@dataclass(frozen=True)
class RecordedNote:
    """A note that a preset can play.

    Parameters
    ----------
    samples : array [n_samples], float32
        The note from its start, as long as the preset plays without its loop, at `LEVEL`.
    pitch : float, MIDI number
        Its pitch.
    preset : GansynthPreset
        The preset; of a drum kit its `GansynthPreset.without_keys`.
    """

    samples: np.ndarray
    pitch: float
    preset: GansynthPreset

    @property
    def seconds(self) -> float:
        """Length, s."""
        return len(self.samples) / self.preset.sample_rate


def prepare_note(
    samples: np.ndarray, sample_rate: int, preset: Preset, pitch: float | None = None
) -> RecordedNote:
    """Cut a recording to its note, check that a preset can play it, and track its pitch.

    Parameters
    ----------
    samples : array [n_samples], float
        The recording of one note.
    sample_rate : int, Hz
        Its sample rate, which must be the preset's.
    preset : Preset
        A GANSynth that was read from a folder.
    pitch : float, MIDI number, optional
        The pitch. If it isn't given, it is tracked; for a drum kit it is the sound's strongest
        frequency, or the lowest pitch if the sound has no tone.

    Returns
    -------
    RecordedNote

    Raises
    ------
    ParameterError
        If the preset has no latents, or the sound has no note that it can play.
    """
    if not isinstance(preset, GansynthPreset):
        raise ParameterError(
            f"preset {preset.name!r} has no latents; name a GANSynth preset (`audiogen presets`)"
        )
    if sample_rate != preset.sample_rate:
        raise ParameterError(
            f"sample_rate={sample_rate} must be that of preset {preset.name!r}; resample to"
            f" {preset.sample_rate} Hz"
        )
    whole = cut_note(samples, sample_rate)
    tracked = pitch is None and not preset.is_kit
    shortest_s = SHORTEST_S if tracked else preset.spectrogram.hop_length / sample_rate
    if len(whole) < shortest_s * sample_rate:
        hint = " for pitch tracking; give a longer note or --pitch" if tracked else ""
        raise ParameterError(
            f"the note is {len(whole) / sample_rate:.3g} s long; it must be at least"
            f" {shortest_s:.3g} s{hint}"
        )
    if preset.is_kit:
        preset = preset.without_keys()
        if pitch is None:
            pitch = tone_pitch(whole, sample_rate, *preset.pitch_range)
    pitch = _checked_pitch(whole, sample_rate, preset, pitch)
    # A held note goes back to the start of its loop at this point.
    sustain, spectrogram = preset.sustain, preset.spectrogram
    n_frames = sustain.loop_end_frame if sustain else spectrogram.n_frames
    longest = n_frames * spectrogram.hop_length
    return RecordedNote(at_level(whole[:longest]), pitch, preset)


def cut_note(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cut a recording from the start of its note to where it becomes inaudible.

    It starts where its level first comes within 40 dB of the loudest (or 10 dB above the quietest
    tenth of a noisy recording, up to 20 dB below the loudest), and ends where it last does.

    Parameters
    ----------
    samples : array [n_samples], float
        The recording.
    sample_rate : int, Hz
        Its sample rate.

    Returns
    -------
    array, float32

    Raises
    ------
    ParameterError
        If it is silent or not finite.
    """
    sound = np.asarray(samples, np.float32)
    if sound.ndim != 1 or not np.isfinite(sound).all():
        raise ParameterError(
            f"samples of shape {sound.shape} must have one dimension and be finite"
        )
    block = max(1, round(BLOCK_S * sample_rate))
    padded = np.pad(sound, (0, -len(sound) % block)).astype(np.float64)
    level = np.sqrt(np.square(padded.reshape(-1, block)).mean(axis=1))
    if not len(level) or level.max() < 1e-5:
        raise ParameterError("the recording is silent; give one of a note")
    level_db = 20.0 * np.log10(np.maximum(level, 1e-9))
    loudest = level_db.max()
    bound = np.clip(np.percentile(level_db, 10) + 10.0, loudest + QUIETEST_DB, loudest - 20.0)
    audible = np.flatnonzero(level_db >= bound)
    first = max(0, audible[0] * block - round(MARGIN_S * sample_rate))
    return sound[first : (audible[-1] + 1) * block]


def _checked_pitch(
    note: np.ndarray, sample_rate: int, preset: GansynthPreset, pitch: float | None
) -> float:
    """The pitch that was given or is tracked, within the preset's range."""
    if pitch is None:
        held_s = len(note) / sample_rate
        try:
            pitch = note_pitch(note, sample_rate, note_on_s=held_s)
        except MissingPackageError:
            pitch = note_pitch(note, sample_rate, note_on_s=held_s, tracker="pyin")
        if math.isnan(pitch):
            raise ParameterError("the note has no pitch that can be tracked; give it with --pitch")
    if preset.generator.conditioning == "one_hot":
        pitch = float(round(pitch))
    low, high = preset.pitch_range
    if not low - 0.5 <= pitch <= high + 0.5:
        raise ParameterError(
            f"pitch={pitch:.2f} must be {low} to {high}, the range of preset {preset.name!r}; give"
            " another note, or correct the pitch with --pitch"
        )
    return pitch


def unit_latent(z: list[float] | np.ndarray) -> list[float]:
    """A latent scaled to unit mean square, as the generator's pixel norm does."""
    vector = np.asarray(z, np.float64)
    return np.round(vector / np.sqrt(np.mean(np.square(vector))), 5).tolist()


def at_level(sound: np.ndarray) -> np.ndarray:
    """A sound scaled to a root mean square of `LEVEL`, float32; silence stays silent."""
    level = math.sqrt(float(np.mean(np.square(sound, dtype=np.float64))))
    return (sound * (LEVEL / max(level, 1e-9))).astype(np.float32)
