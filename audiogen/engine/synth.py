"""A preset to be played: notes in, samples out, always through the streaming engine."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np

from audiogen.errors import ParameterError
from audiogen.notes import Note, Score, as_score
from audiogen.presets import Preset, load_preset, split_spec

BLOCK = 1024  # samples a call; the result doesn't depend on it
NOTE_OFF, NOTE_ON = 0, 1
EVENT = np.dtype(
    [
        ("offset", "<u4"),  # samples from the block's start
        ("kind", "<u4"),
        ("id", "<u4"),  # a note-off ends the note-on of the same id
        ("timbre", "<u4"),
        ("pitch", "<f4"),  # MIDI number
        ("velocity", "<f4"),  # 0..1
    ]
)


class Synth:
    """One preset, ready to play.

    Parameters
    ----------
    preset : str, path or Preset
    sample_rate : int, Hz, optional
        The preset's own by default.
    seed : int
        Same seed, same samples.
    precision : str
        ``float32``, or ``bfloat16`` on a CPU that has it: faster, and about 1 % off.

    Raises
    ------
    PresetError
        If the preset isn't found or something in it is wrong.

    Examples
    --------
    >>> import audiogen
    >>> synth = audiogen.load("plucked")
    >>> samples = synth.render("C4:0.5 E4 G4 C5:2", seed=1)
    >>> samples.dtype
    dtype('float32')
    """

    def __init__(
        self,
        preset: str | PathLike[str] | Preset,
        sample_rate: int | None = None,
        seed: int = 0,
        precision: str = "float32",
    ):
        self.preset = preset if isinstance(preset, Preset) else load_preset(preset)
        self.sample_rate = self.preset.sample_rate if sample_rate is None else sample_rate
        self.seed = seed
        self._latents = [timbre.z for timbre in self.preset.timbres]
        self._weights = _Weights(self.preset, precision)

    @property
    def timbres(self) -> list[str]:
        """Names of the preset's timbres."""
        return self.preset.timbre_names

    def render(
        self,
        notes: Any,
        *,
        sample_rate: int | None = None,
        seed: int | None = None,
        gain_db: float = 0.0,
        normalize: bool = False,
        timbre: str | Sequence[float] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """Play notes from the first to the last one's end.

        Parameters
        ----------
        notes : Score, path of a MIDI file, str or list of notes
            Whatever `audiogen.notes.as_score` takes.
        sample_rate : int, Hz, optional
        seed : int, optional
        gain_db : float, dB
        normalize : bool
            Bring the peak to 1.
        timbre : str or sequence of float, optional
            A timbre's name, or a latent of the preset's size; the default timbre without.
        progress : callable, optional
            Gets the part that is done, 0 to 1.

        Returns
        -------
        ndarray [n_samples], float32
            As long as it sounds; full scale is 1, and more isn't clipped.

        Raises
        ------
        PresetError, MidiError, ParameterError
        """
        score = as_score(notes)
        rate = self.sample_rate if sample_rate is None else sample_rate
        samples = self._play(score, rate, self.seed if seed is None else seed, timbre, progress)
        return _finish(samples, gain_db, normalize)

    def mix(self, first: str, second: str, amount: float) -> list[float]:
        """A latent between two timbres, on the sphere that the generator knows.

        Parameters
        ----------
        first, second : str
            Names of timbres.
        amount : float
            0 is the first, 1 the second.

        Returns
        -------
        list of float
            To be given as a ``timbre``.
        """
        a, b = (_unit(self.preset.timbre(name).z) for name in (first, second))
        angle = np.arccos(np.clip(a @ b, -1.0, 1.0))
        if angle < 1e-6:
            return (a * np.sqrt(len(a))).tolist()
        mixed = (np.sin((1 - amount) * angle) * a + np.sin(amount * angle) * b) / np.sin(angle)
        return (mixed * np.sqrt(len(a))).tolist()

    def _play(
        self,
        score: Score,
        rate: int,
        seed: int,
        timbre: str | Sequence[float] | None,
        progress: Callable[[float], None] | None,
    ) -> np.ndarray:
        if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 1 << 64:
            raise ParameterError(
                f"seed={seed} can't be used; give a whole number from 0 to 2^64 - 1"
            )
        if not isinstance(rate, (int, np.integer)) or rate < 1:
            raise ParameterError(
                f"sample_rate={rate} can't be used; give a whole number of Hz, such as 48000"
            )
        latents, index = self._latents, 0
        if timbre is None or isinstance(timbre, str):
            index = self.timbres.index(self.preset.timbre(timbre).name)
        else:
            latents, index = [list(map(float, timbre))], 0
        events, times = _events(score.notes, rate, index)
        preset = self.preset
        tail_frames = preset.spectrogram.n_frames - preset.sustain.release_frame + 2
        tail_s = (tail_frames * preset.spectrogram.hop_length + 2 * preset.spectrogram.n_fft) / (
            preset.sample_rate
        )
        engine = self._weights.engine(latents, rate, _most_at_once(score.notes, tail_s), seed)
        total = int(times[-1]) + 1 if len(times) else 0
        blocks, done, upcoming = [], 0, 0
        # To the end of the last voice, and of what the resampler still holds of it: its filter
        # reaches as far beyond the sound as it delays it.
        while done < total + 2 * engine.latency + 1:
            last = int(np.searchsorted(times, done + BLOCK))
            now = events[upcoming:last].copy()
            now["offset"] = times[upcoming:last] - done
            blocks.append(engine.process(BLOCK, now))
            done, upcoming = done + BLOCK, last
            if engine.n_sounding or blocks[-1].any():
                total = max(total, done)
            if progress:
                progress(min(1.0, done / total))
        if engine.n_transposed:
            low, high = self.preset.pitch_range
            warnings.warn(
                f"{engine.n_transposed} notes lie outside the pitches {low} to {high} that preset"
                f" {self.preset.name!r} was trained on; they were moved by octaves",
                stacklevel=3,
            )
        samples = np.concatenate(blocks)[engine.latency :]
        # Without the silence that fills the last block.
        return samples[: np.flatnonzero(samples)[-1] + 1] if samples.any() else samples[:0]


def load(name: str | PathLike[str], sample_rate: int | None = None, seed: int = 0) -> Synth:
    """Load a preset by name or path; the same as ``Synth(name, ...)``."""
    return Synth(name, sample_rate, seed)


def render_score(
    score: Any,
    voices: dict[int | None, str],
    *,
    sample_rate: int | None = None,
    seed: int = 0,
    gain_db: float = 0.0,
    normalize: bool = False,
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Play a score with a preset for each of its programs.

    Parameters
    ----------
    score : Score, path of a MIDI file, str or list of notes
    voices : dict of program to ``PRESET`` or ``PRESET:TIMBRE``
        ``None`` stands for all programs that aren't named.
    sample_rate : int, Hz, optional
        The highest of the presets' by default.
    seed, gain_db, normalize, progress
        As `Synth.render`.

    Returns
    -------
    ndarray [n_samples], float32
    """
    notes = as_score(score).notes
    parts: dict[str, list[Note]] = {}
    for note in notes:
        voice = voices.get(note.program, voices.get(None))
        if voice is None:
            raise ParameterError(
                f"voices has nothing for program {note.program}; give it, or None for all others"
            )
        parts.setdefault(voice, []).append(note)
    synths: dict[str, Synth] = {}
    for voice in parts:
        name = split_spec(voice)[0]
        synths[name] = synths.get(name) or Synth(name)
    if sample_rate is None:
        rate = max((synth.sample_rate for synth in synths.values()), default=16000)
    else:
        rate = sample_rate

    mixed, done = np.zeros(0, np.float32), 0
    for voice, part in parts.items():
        name, timbre = split_spec(voice)

        def report(fraction: float, before: int = done, size: int = len(part)) -> None:
            if progress:
                progress((before + fraction * size) / len(notes))

        samples = synths[name]._play(Score(tuple(part)), rate, seed, timbre, report)
        if len(samples) > len(mixed):
            mixed, samples = samples, mixed
        mixed[: len(samples)] += samples
        done += len(part)
    return _finish(mixed, gain_db, normalize)


class _Weights:
    """A preset's network, read once, on the native engine or on its fallback."""

    def __init__(self, preset: Preset, precision: str):
        from audiogen.ops import _native

        self.preset = preset
        module: Any = _native.find()
        if module is None:
            from audiogen.engine import fallback

            module = fallback
        self.module = module
        generator = preset.generator.model_dump() | {"sample_rate": float(preset.sample_rate)}
        weights = _read_weights(preset)
        self.generator = module.Generator(generator, weights, precision)

    def engine(self, latents: Sequence[Sequence[float]], rate: int, voices: int, seed: int) -> Any:
        preset = self.preset
        instrument = self.module.Instrument(
            self.generator,
            preset.spectrogram.model_dump() | {"sample_rate": float(preset.sample_rate)},
            preset.sustain.model_dump(),
            tuple(map(float, preset.pitch_range)),
            latents,
        )
        return self.module.Engine(instrument, rate, BLOCK, voices, seed)


def _read_weights(preset: Preset) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(preset.weights_path)


def _events(notes: Sequence[Note], rate: int, timbre: int) -> tuple[np.ndarray, np.ndarray]:
    """Note-ons and note-offs in order, and the sample of each; offs come before ons."""
    events = np.zeros(2 * len(notes), EVENT)
    times = np.zeros(2 * len(notes), np.int64)
    for i, note in enumerate(notes):
        start = round(note.start_s * rate)
        # Even the shortest note is struck before it is released.
        end = max(start + 1, round(note.end_s * rate))
        events[2 * i] = (0, NOTE_ON, i, timbre, note.pitch, note.velocity)
        events[2 * i + 1] = (0, NOTE_OFF, i, 0, 0.0, 0.0)
        times[2 * i : 2 * i + 2] = start, end
    order = np.lexsort((events["id"], events["kind"], times))
    return events[order], times[order]


def _most_at_once(notes: Sequence[Note], tail_s: float) -> int:
    """Voices that are enough for no note to be cut off, each sounding on after its end."""
    edges = sorted(
        [(note.start_s, 1) for note in notes] + [(note.end_s + tail_s, -1) for note in notes]
    )
    most = sounding = 0
    for _, change in edges:
        sounding += change
        most = max(most, sounding)
    return max(1, most)


def _unit(z: Sequence[float]) -> np.ndarray:
    vector = np.asarray(z, np.float64)
    return vector / np.linalg.norm(vector)


def _finish(samples: np.ndarray, gain_db: float, normalize: bool) -> np.ndarray:
    if normalize and len(samples):
        samples = samples / max(float(np.abs(samples).max()), 1e-9)
    return (samples * np.float32(10.0 ** (gain_db / 20.0))).astype(np.float32)
