"""`encode` inverts the generator: from a recorded note to a latent that sounds like it.

Gradient descent starts at the nearest timbres of the preset (`inversion`). The result is judged by
what the engine plays, and where the nearest timbre is nearer, that is returned.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from audiogen.core.device import choose_device
from audiogen.engine import Synth
from audiogen.engine.device_frames import read_generator
from audiogen.objectives import losses
from audiogen.presets import Latent, Preset
from audiogen.presets.description import Timbre
from audiogen.training.gansynth.encoding.inversion import invert, power_of
from audiogen.training.gansynth.encoding.recorded_note import RecordedNote, at_level, unit_latent

STEPS = 80
N_STARTS = 3  # timbres that the descent starts at
VELOCITY, OTHER_VELOCITIES = 0.65, (0.35, 1.0)  # for all timbres, and for the nearest few
N_FEW = 6
NEAR_VELOCITIES = (-0.2, -0.1, 0.0, 0.1, 0.2)  # around the velocity of the result
N_RANDOM = 8  # random latents, for the baseline


@dataclass(frozen=True)
class Encoding:
    """The latent of a recorded note, with its error and baselines.

    Parameters
    ----------
    z : list of float
        Latent of unit mean square.
    pitch : float, MIDI number
        Pitch of the note.
    velocity : float, 0 to 1
        Velocity at which the latent sounds most like the note.
    compared_s : float, s
        Length of the note that was compared, from its start.
    error_db : float, dB
        Mean difference of the log-mel spectrograms of the note and of what the preset plays, at the
        gain that makes it smallest (`losses.matched_log_mel_distance`).
    nearest : str
        The nearest timbre of the preset.
    nearest_db, random_db : float, dB
        Error of the nearest timbre, at the best of a few velocities; mean error of random latents.
    seconds : float, s
        Time that it took.
    """

    z: list[float]
    pitch: float
    velocity: float
    compared_s: float
    error_db: float
    nearest: str
    nearest_db: float
    random_db: float
    seconds: float

    def latent(self, preset: Preset) -> Latent:
        """The latent as a file holds it."""
        names = ("error_db", "nearest_db", "random_db")
        measured = {name: round(getattr(self, name), 3) for name in names}
        pitch, velocity = round(self.pitch, 3), round(self.velocity, 3)
        return Latent(preset.name, self.z, pitch, velocity, measured)


def encode(
    note: RecordedNote,
    *,
    steps: int = STEPS,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Encoding:
    """Find the latent of a preset that sounds like a recorded note.

    Parameters
    ----------
    note : RecordedNote
        The note, of `prepare_note`.
    steps : int
        Number of steps of the descent.
    seed : int
        Seed of the descent and of the baseline.
    device : str
        Device of the descent; the engine, which judges its result, plays on the CPU.
    progress : callable
        Called with the number of steps taken and that of all.

    Returns
    -------
    Encoding

    Notes
    -----
    Adam changes z, velocity and a gain so that the log-mel frames of the generator come near those
    of the recording, a crop at a time, with new noise in each step.
    """
    start = time.perf_counter()
    generator = read_generator(note.preset).to(choose_device(device))
    player = _Player(note, seed)
    timbres = player.nearest_timbres()
    first = [(unit_latent(z), velocity) for _, _, velocity, z in timbres[:N_STARTS]]
    result = invert(
        generator,
        power_of(torch.from_numpy(note.samples), generator.spectrogram),
        note.pitch,
        [z for z, _ in first],
        [velocity for _, velocity in first],
        steps=steps,
        seed=seed,
        progress=progress,
    )
    nearest = player.at_best_velocity(*first[0])
    error_db, z, velocity = min(player.at_best_velocity(*result), nearest)
    random = np.random.default_rng(seed).standard_normal((N_RANDOM, len(z)))
    random_db = [player.error_db(unit_latent(other), velocity) for other in random]
    return Encoding(
        z=z,
        pitch=note.pitch,
        velocity=velocity,
        compared_s=note.seconds,
        error_db=error_db,
        nearest=timbres[0][1],
        nearest_db=nearest[0],
        random_db=float(np.mean(random_db)),
        seconds=time.perf_counter() - start,
    )


class _Player:
    """Plays latents with the engine and compares them with the note."""

    def __init__(self, note: RecordedNote, seed: int):
        self._note, self._samples = note, torch.from_numpy(note.samples)
        self._synth = Synth(note.preset, seed=seed)

    def error_db(self, z: list[float], velocity: float) -> float:
        """Mean difference of log-mel spectrograms, dB."""
        preset, n = self._note.preset, len(self._samples)
        # Held beyond the samples that are compared, so that they have no release.
        held_s = (n + preset.spectrogram.n_fft) / preset.sample_rate
        sound = self._synth.render([(0.0, held_s, self._note.pitch, velocity)], timbre=z)
        played = torch.from_numpy(at_level(np.pad(sound, (0, max(0, n - len(sound))))[:n]))
        return float(losses.matched_log_mel_distance(played, self._samples, preset.sample_rate))

    def at_best_velocity(self, z: list[float], velocity: float) -> tuple[float, list[float], float]:
        """Error, latent and velocity, at the given velocity or one near it."""
        near = np.unique(np.clip(velocity + np.array(NEAR_VELOCITIES), 0.02, 1.0))
        error, best = min((self.error_db(z, float(v)), float(v)) for v in near)
        return error, z, best

    def nearest_timbres(self) -> list[tuple[float, str, float, list[float]]]:
        """Error, name, velocity and latent of timbres, the nearest first.

        All are tried at `VELOCITY`, and the nearest `N_FEW` also at `OTHER_VELOCITIES`.
        """

        def tried(timbre: Timbre, velocity: float) -> tuple[float, str, float, list[float]]:
            z = list(timbre.z)
            return self.error_db(z, velocity), timbre.name, velocity, z

        timbres = {timbre.name: timbre for timbre in self._note.preset.timbres}
        errors = sorted(tried(timbre, VELOCITY) for timbre in timbres.values())
        few, rest = errors[:N_FEW], errors[N_FEW:]
        best = [
            min(each, *(tried(timbres[each[1]], velocity) for velocity in OTHER_VELOCITIES))
            for each in few
        ]
        return sorted(best) + rest
