"""From a recorded note to the latent of a GANSynth preset that sounds like it.

The nearest of the preset's timbres are where a descent begins that goes through the generator to
its latent and velocity. What is compared is how loud each bin of each frame is, never its phase.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogen.audio.pitch import note_pitch
from audiogen.engine import Synth
from audiogen.errors import MissingPackageError, ParameterError, PresetError
from audiogen.models.gansynth import Generator, import_weights
from audiogen.objectives import losses
from audiogen.presets import (
    TOML_NAME,
    GansynthPreset,
    Latent,
    Preset,
    check_fields,
    load_preset,
    read_weights,
)
from audiogen.representation import _torchaudio
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.spectrogram import waveform_to_spectrogram

STEPS = 80
N_STARTS = 3  # timbres that a descent begins at; after a third of the steps the best goes on
CROP_FRAMES = 32  # that a step hears
RATE = 0.06  # of the descent; a latent's numbers have deviation 1
VELOCITIES = (0.35, 0.65, 1.0)  # that timbres are tried at
NEAR_VELOCITIES = (-0.2, -0.1, 0.0, 0.1, 0.2)  # that what was found is heard at, too
N_BANDS = 64  # of what is compared
N_RANDOM = 8  # latents that show how near chance comes
LEVEL = 0.1  # root mean square that sounds are compared at; full scale is 1
LEAST_S = 0.15  # of sound
QUIETEST_DB = -40.0  # below its loudest, where a note begins and ends
BLOCK_S, MARGIN_S = 0.005, 0.005  # that its level is looked at in; kept before its beginning


@dataclass(frozen=True)
class Encoding:
    """What was found for a note.

    Parameters
    ----------
    z : list of float
        The latent, of unit mean square.
    pitch : float, MIDI number
    velocity : float, 0 to 1
    heard_s : float, s
        How much of the note was compared, from its beginning.
    error_db : float, dB
        Mean difference of the log-mel spectrograms of the recording and of what the preset makes of
        the latent, at the gain that suits best (`losses.matched_log_mel_distance`).
    nearest : str
        The timbre of the preset that comes nearest.
    nearest_db : float, dB
        The same of that timbre, at the best of a few velocities.
    random_db : float, dB
        The same of random latents, on average.
    seconds : float, s
        That it took.
    """

    z: list[float]
    pitch: float
    velocity: float
    heard_s: float
    error_db: float
    nearest: str
    nearest_db: float
    random_db: float
    seconds: float

    def latent(self, preset: Preset) -> Latent:
        """As a file holds it."""
        names = ("error_db", "nearest_db", "random_db")
        measured = {name: round(getattr(self, name), 3) for name in names}
        pitch, velocity = round(self.pitch, 3), round(self.velocity, 3)
        return Latent(preset.name, self.z, pitch, velocity, measured)


def encode(
    samples: np.ndarray,
    sample_rate: int,
    preset: Preset,
    *,
    pitch: float | None = None,
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Encoding:
    """Find the latent of a preset that sounds like a recorded note.

    Parameters
    ----------
    samples : array [n_samples], float
        One note; silence before it is cut.
    sample_rate : int, Hz
        The preset's.
    preset : Preset
        A GANSynth that was read from a folder.
    pitch : float, MIDI number, optional
        Found by a pitch tracker without.
    steps : int
        Of the descent.
    seed : int
    progress : callable
        Gets steps done and steps in all.

    Returns
    -------
    Encoding

    Raises
    ------
    ParameterError
        If the preset has no latents, or the sound has no note that it can play.

    Notes
    -----
    The descent changes z, velocity and a gain by Adam, so that the log-mel frames that the
    generator makes come near those of the recording, a crop at a time. The grain that the generator
    is given is drawn anew in each step. What is found is heard through the engine; where a timbre
    that the descent began at comes nearer, that is taken.
    """
    began = time.perf_counter()
    if not isinstance(preset, GansynthPreset):
        raise ParameterError(
            f"preset {preset.name!r} has no latents; name a GANSynth preset (`audiogen presets`)"
        )
    if sample_rate != preset.sample_rate:
        raise ParameterError(
            f"sample_rate={sample_rate} isn't that of preset {preset.name!r}; resample to"
            f" {preset.sample_rate} Hz"
        )
    generator = read_generator(preset)
    config = generator.spectrogram
    # What a held note plays once: then the engine goes back to the loop's start.
    longest = preset.sustain.loop_end_frame * config.hop_length
    whole = cut_note(samples, sample_rate)
    if len(whole) < LEAST_S * sample_rate:
        raise ParameterError(
            f"the note lasts {len(whole) / sample_rate:.2f} s; give one of {LEAST_S:g} s or more"
        )
    pitch = _checked_pitch(whole, sample_rate, preset, pitch)
    note = whole[:longest]
    judge = _Judge(preset, note, pitch, seed)
    nearest = judge.nearest_timbres()
    starts = [(on_sphere(z), velocity) for _, _, velocity, z in nearest[:N_STARTS]]
    found = fit(
        generator,
        power_of(torch.from_numpy(judge.note), generator.spectrogram),
        pitch,
        [z for z, _ in starts],
        [velocity for _, velocity in starts],
        steps=steps,
        seed=seed,
        progress=progress,
    )
    nearest_heard = judge.at_best_velocity(*starts[0])
    error_db, z, velocity = min(judge.at_best_velocity(*found), nearest_heard)
    random = np.random.default_rng(seed)
    drawn = random.standard_normal((N_RANDOM, len(z)))
    chance = [judge.error_db(on_sphere(other), velocity) for other in drawn]
    return Encoding(
        z=z,
        pitch=pitch,
        velocity=velocity,
        heard_s=len(note) / sample_rate,
        error_db=error_db,
        nearest=nearest[0][1],
        nearest_db=nearest_heard[0],
        random_db=float(np.mean(chance)),
        seconds=time.perf_counter() - began,
    )


def fit(
    generator: Generator,
    power: Tensor,
    pitch: float,
    starts: list[list[float]],
    velocities: list[float],
    *,
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[float], float]:
    """Descend from some latents towards one whose note has a recording's magnitudes.

    Parameters
    ----------
    generator : Generator
    power : Tensor [n_frames, n_bins]
        Squared magnitudes from the note's beginning, at any level; see `power_of`.
    pitch : float, MIDI number
    starts : list of latents
    velocities : list of float
        One for each start.
    steps : int
    seed : int
    progress : callable

    Returns
    -------
    z : list of float
        Of unit mean square.
    velocity : float, 0 to 1
    """
    descent = _Descent(generator, power, pitch, starts, velocities, seed)
    # The first third also tells which start is best.
    trial = max(1, steps // 3) if len(starts) > 1 else 0
    for step in range(steps):
        if step == trial and trial:
            descent.keep_best()
        descent.step(step / steps)
        progress(step + 1, steps)
    descent.keep_best()
    return descent.found()


class _Descent:
    """Latents on their way, each with a velocity and a gain."""

    def __init__(
        self,
        generator: Generator,
        power: Tensor,
        pitch: float,
        starts: list[list[float]],
        velocities: list[float],
        seed: int,
    ):
        self._generator, self._pitch, self._seed = generator, pitch, seed
        config = generator.spectrogram
        self._bands = _mel_bands(config)
        # Where `losses.log_mel_distance` has it for a sound of `LEVEL`: 88 dB below a full-scale
        # sine's n_fft^2 / 16, which is 1 / (3 LEVEL^2) of the mean energy of a frame.
        self._floor = 10.0**-8.8 / (3.0 * LEVEL**2) * float(power.sum(dim=1).mean())
        self._wanted = self._log_mel(power)
        self._random = torch.Generator().manual_seed(seed)
        velocity = torch.tensor(velocities).clamp(0.02, 0.98)
        self.z = torch.tensor([on_sphere(z) for z in starts], dtype=torch.float32)
        self.velocity = torch.logit(velocity)
        self.gain = self._level_gains(float(power.mean()))
        self._optimise()

    def _optimise(self) -> None:
        parameters = [self.z, self.velocity, self.gain]
        for parameter in parameters:
            parameter.requires_grad_()
        self._optimiser = torch.optim.Adam(parameters, RATE, (0.9, 0.97))

    def step(self, done: float) -> None:
        """One step; ``done`` is the part of the way that lies behind."""
        for group in self._optimiser.param_groups:
            group["lr"] = RATE * (0.02 + 0.98 * math.cos(0.5 * math.pi * done) ** 2)
        start, stop = self._crop()
        self._optimiser.zero_grad(set_to_none=True)
        self._distances(start, stop, self._random).sum().backward()
        self._optimiser.step()
        with torch.no_grad():
            self.z.copy_(_pixel_scale(self.z))

    def keep_best(self) -> None:
        """Of the latents, the one that comes nearest goes on."""
        best = int(self.distances().argmin())
        self.z, self.velocity, self.gain = (
            value.detach()[best : best + 1].clone() for value in (self.z, self.velocity, self.gain)
        )
        self._optimise()

    def found(self) -> tuple[list[float], float]:
        return on_sphere(self.z[0].detach().numpy()), float(
            torch.sigmoid(self.velocity.detach())[0]
        )

    @torch.no_grad()
    def distances(self) -> Tensor:
        """Of the whole note; the grain is the same at each call."""
        return self._distances(0, len(self._wanted), torch.Generator().manual_seed(self._seed))

    def _crop(self) -> tuple[int, int]:
        """Every second crop hears the beginning, where most of a timbre is told."""
        total = len(self._wanted)
        length = min(CROP_FRAMES, total)
        where, start = (
            torch.rand((), generator=self._random),
            torch.randint(0, total - length + 1, (), generator=self._random),
        )
        first = 0 if where < 0.5 else int(start)
        return first, first + length

    def _distances(self, start: int, stop: int, random: torch.Generator) -> Tensor:
        """Mean difference of each latent's log-mel frames from the note's, dB."""
        config = self._generator.spectrogram
        image = self._image(start, stop, random)[:, 0]
        log_magnitude = (image - config.magnitude_offset) / config.magnitude_scale
        power = torch.exp(2.0 * (log_magnitude - self.gain[:, None, None]))
        return (self._log_mel(power) - self._wanted[start:stop]).abs().mean(dim=(1, 2))

    def _log_mel(self, power: Tensor) -> Tensor:
        """dB, of [..., n_bins] to [..., n_bands]."""
        return 10.0 * torch.log10(power @ self._bands + self._floor)

    def _image(self, start: int, stop: int, random: torch.Generator) -> Tensor:
        generator, n = self._generator, len(self.z)
        pitch = torch.full((n,), float(self._pitch))
        noise = None
        if generator.config.conditioning == "harmonic":
            shapes = [generator.config.shape(b) for b in range(len(generator.blocks))]
            noise = [  # of unit variance, one grain for all latents
                ((torch.rand(shape, generator=random) - 0.5) * math.sqrt(12.0)).expand(n, *shape)
                for shape in shapes
            ]
        velocity = torch.sigmoid(self.velocity)
        return generator(self.z, pitch, velocity, noise=noise, frames=(start, stop))

    @torch.no_grad()
    def _level_gains(self, power: float) -> Tensor:
        """What brings each latent's sound to the level of the note, of mean ``power``; nats."""
        config = self._generator.spectrogram
        grain = torch.Generator().manual_seed(self._seed)
        image = self._image(0, len(self._wanted), grain)[:, 0].double()
        made = torch.exp((image - config.magnitude_offset) * (2.0 / config.magnitude_scale))
        return (0.5 * torch.log(made.mean(dim=(1, 2)) / power)).float()


class _Judge:
    """Hears what a preset makes of latents, beside a note."""

    def __init__(self, preset: GansynthPreset, note: np.ndarray, pitch: float, seed: int):
        self.note = at_level(note)
        self._synth = Synth(preset, seed=seed)
        self._preset, self._pitch = preset, pitch

    def error_db(self, z: list[float], velocity: float) -> float:
        """Mean difference of log-mel spectrograms."""
        # Held beyond what is compared, so that no release is heard.
        rate = self._preset.sample_rate
        held_s = (len(self.note) + self._preset.spectrogram.n_fft) / rate
        made = self._synth.render([(0.0, held_s, self._pitch, velocity)], timbre=z)
        made = np.pad(made, (0, max(0, len(self.note) - len(made))))[: len(self.note)]
        heard = torch.from_numpy(at_level(made))
        return float(losses.matched_log_mel_distance(heard, torch.from_numpy(self.note), rate))

    def at_best_velocity(self, z: list[float], velocity: float) -> tuple[float, list[float], float]:
        """Error, latent and velocity: the one given, or one near it."""
        near = np.unique(np.clip(velocity + np.array(NEAR_VELOCITIES), 0.02, 1.0))
        error, best = min((self.error_db(z, float(v)), float(v)) for v in near)
        return error, z, best

    def nearest_timbres(self) -> list[tuple[float, str, float, list[float]]]:
        """Error, name, velocity and latent of each timbre, the nearest first."""
        tried = []
        for timbre in self._preset.timbres:
            errors = [(self.error_db(timbre.z, velocity), velocity) for velocity in VELOCITIES]
            tried.append((min(errors)[0], timbre.name, min(errors)[1], list(timbre.z)))
        return sorted(tried)


def read_generator(preset: GansynthPreset) -> Generator:
    """A preset's generator, for its gradients with respect to what it's told.

    Parameters
    ----------
    preset : GansynthPreset
        Read from a folder.

    Returns
    -------
    Generator
        Its weights take no gradients. The image layers of its coarser blocks aren't the trained
        ones, which no preset holds.
    """
    table = preset.spectrogram.table()
    spectrogram = SpectrogramConfig(
        sample_rate=preset.sample_rate, n_samples=table["n_frames"] * table["hop_length"], **table
    )
    generator = Generator(preset.generator, spectrogram)
    import_weights(generator, read_weights(preset))
    return generator.requires_grad_(False)


def cut_note(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """A recording from where its note begins to where nothing is heard of it.

    It begins where its level first comes within 40 dB of the loudest (or 10 dB above a noisy
    recording's quietest tenth, up to 20 dB below the loudest), and ends where it last does.

    Parameters
    ----------
    samples : array [n_samples], float
    sample_rate : int, Hz

    Returns
    -------
    array, float32

    Raises
    ------
    ParameterError
        If it is silent or isn't finite.
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
    heard = np.flatnonzero(level_db >= bound)
    first = max(0, heard[0] * block - round(MARGIN_S * sample_rate))
    return sound[first : (heard[-1] + 1) * block]


def add_timbre(preset: Preset, encoding: Encoding, name: str, folder: Path) -> Preset:
    """Save what was found as a timbre of a copy of the preset, which is made if it isn't there.

    Parameters
    ----------
    preset : Preset
        That the encoding is for.
    encoding : Encoding
    name : str
        Of the new timbre; small letters, digits, - and _.
    folder : Path
        The copy; its name becomes the preset's. One that is there must have the same weights.

    Returns
    -------
    Preset
        The copy, with a preview in which the timbre is heard.

    Raises
    ------
    PresetError
        If the name is taken or isn't one, or the folder holds something else.
    """
    from audiogen.training.gansynth.export import preview_notes, write_with_preview

    fields, weights = copy_with(preset, name, folder)
    family = next(timbre.family for timbre in preset.timbres if timbre.name == encoding.nearest)
    fields["timbres"][-1] |= {"z": encoding.z, "family": family}
    return write_with_preview(folder, fields, weights, preview_notes)


def copy_with(
    preset: Preset, name: str, folder: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fields and weights of a preset's copy in which the last timbre is a new one; checked.

    Worth a call before a descent: a bad name shows now, not at the end.

    Parameters
    ----------
    preset, name, folder
        As `add_timbre`.

    Returns
    -------
    fields : dict
        The latent of the new timbre is still that of the first.
    weights : dict of str to array

    Raises
    ------
    PresetError
        As `add_timbre`.
    """
    weights, base = read_weights(preset), preset
    if (folder / TOML_NAME).is_file():
        base = load_preset(folder)
        there = read_weights(base)
        if there.keys() != weights.keys() or any(
            not np.array_equal(there[key], weights[key]) for key in weights
        ):
            raise PresetError(
                f"{folder}: is no copy of preset {preset.name!r}, its weights are others; name"
                " another folder, which will be made"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PresetError(f"{folder}: isn't empty and isn't a preset; choose another folder")
    if name in base.timbre_names:
        raise PresetError(f"{folder}: has a timbre {name!r} already; give another name")
    fields = base.to_fields() | {"name": folder.resolve().name}
    fields["timbres"] = [*fields["timbres"], dict(fields["timbres"][0]) | {"name": name}]
    fields["timbres"][-1].pop("program", None)
    check_fields(fields, folder)
    return fields, weights


def on_sphere(z: list[float] | np.ndarray) -> list[float]:
    """A latent of unit mean square, as the generator's pixel norm makes it."""
    vector = np.asarray(z, np.float64)
    return np.round(vector / np.sqrt(np.mean(np.square(vector))), 5).tolist()


def at_level(sound: np.ndarray) -> np.ndarray:
    """A sound of root mean square 0.1, float32; silence stays silent."""
    level = math.sqrt(float(np.mean(np.square(sound, dtype=np.float64))))
    return (sound * (LEVEL / max(level, 1e-9))).astype(np.float32)


def _pixel_scale(z: Tensor) -> Tensor:
    return z / z.square().mean(dim=1, keepdim=True).sqrt()


def power_of(note: Tensor, config: SpectrogramConfig) -> Tensor:
    """Squared magnitudes of the frames that a note covers.

    Parameters
    ----------
    note : Tensor [n_samples]
        At the rate of ``config``.
    config : SpectrogramConfig

    Returns
    -------
    Tensor [n_frames, n_bins]
    """
    n_frames = min(len(note) // config.hop_length, config.n_frames)
    turned = torch.zeros(())  # a pitch, which changes phases only
    spectrogram = waveform_to_spectrogram(
        note[: config.n_samples], config, pitch=turned, frames=(0, n_frames)
    )
    return (torch.exp(spectrogram[0]) - config.magnitude_floor).square()


def _mel_bands(config: SpectrogramConfig) -> Tensor:
    """[n_bins, n_bands]; bands are wider than bins."""
    return _torchaudio.find().functional.melscale_fbanks(
        config.n_bins + 1,
        0.0,
        config.sample_rate / 2,
        min(N_BANDS, config.n_bins // 8),
        config.sample_rate,
    )[1:]


def _checked_pitch(
    note: np.ndarray, sample_rate: int, preset: GansynthPreset, given: float | None
) -> float:
    """The pitch given or found, within what the preset plays."""
    pitch = given
    if pitch is None:
        held_s = len(note) / sample_rate
        try:
            pitch = note_pitch(note, sample_rate, note_on_s=held_s)
        except MissingPackageError:
            pitch = note_pitch(note, sample_rate, note_on_s=held_s, tracker="pyin")
        if math.isnan(pitch):
            raise ParameterError("no pitch was found in the note; give it with --pitch")
    if preset.generator.conditioning == "one_hot":
        pitch = float(round(pitch))
    low, high = preset.pitch_range
    if not low - 0.5 <= pitch <= high + 0.5:
        raise ParameterError(
            f"pitch={pitch:.2f} lies outside of {low} to {high}, which preset {preset.name!r}"
            " plays; give another note, or mend the pitch with --pitch"
        )
    return pitch
