"""Inversion of a GANSynth generator: gradient descent to the latent whose note is a recording's.

Only magnitudes are compared, as log-mel levels of frames, never phases.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from audiogen.models.gansynth import Generator
from audiogen.representation import _torchaudio
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.spectrogram import waveform_to_spectrogram
from audiogen.training.gansynth.encoding.recorded_note import LEVEL, unit_latent
from audiogen.training.run.trainer import cosine_fall

CROP_FRAMES = 32  # frames per step
RATE, RATE_FLOOR = 0.06, 0.02  # Adam's learning rate, and its last value over the first
TRIAL_SHARE = 1 / 3  # of the steps, with all starts; then only the nearest continues
N_BANDS = 64  # mel bands that are compared


def invert(
    generator: Generator,
    power: Tensor,
    pitch: float,
    starts: list[list[float]],
    velocities: list[float],
    *,
    steps: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[float], float]:
    """Find the latent and velocity whose note has a recording's magnitudes.

    Parameters
    ----------
    generator : Generator
        The generator; its weights take no gradients.
    power : Tensor [n_frames, n_bins]
        Squared magnitudes of the recording from the start of its note, at any level (`power_of`).
    pitch : float, MIDI number
        Pitch of the note.
    starts : list of latents
        Latents to start from.
    velocities : list of float
        Velocity of each start.
    steps : int
        Number of steps.
    seed : int
        Seed of crops and noise.
    progress : callable
        Called with the number of steps taken and that of all.

    Returns
    -------
    z : list of float
        Latent of unit mean square.
    velocity : float, 0 to 1
    """
    descent = _Descent(generator, power, pitch, starts, velocities, seed)
    trial = max(1, int(steps * TRIAL_SHARE)) if len(starts) > 1 else steps
    for step in range(steps):
        if step == trial:
            descent.keep_best()
        descent.step(step / steps)
        progress(step + 1, steps)
    descent.keep_best()
    return descent.result()


class _Descent:
    """Latents in descent, each with a velocity and a gain."""

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
        self._bands = _mel_bands(generator.spectrogram)
        # The floor of `losses.log_mel_distance` for a sound of `LEVEL`: 88 dB below a full-scale
        # sine's n_fft^2 / 16, which is 1 / (3 LEVEL^2) of the mean energy of a frame.
        self._floor = 10.0**-8.8 / (3.0 * LEVEL**2) * float(power.sum(dim=1).mean())
        self._wanted = self._log_mel(power)
        self._random = torch.Generator().manual_seed(seed)
        self.z = torch.tensor([unit_latent(z) for z in starts], dtype=torch.float32)
        self.velocity = torch.logit(torch.tensor(velocities).clamp(0.02, 0.98))
        self.gain = self._level_gains(float(power.mean()))
        self._optimise()

    def _optimise(self) -> None:
        parameters = [self.z, self.velocity, self.gain]
        for parameter in parameters:
            parameter.requires_grad_()
        self._optimiser = torch.optim.Adam(parameters, RATE, (0.9, 0.97))

    def step(self, done: float) -> None:
        """Take one step; ``done`` is the share of the steps before it."""
        for group in self._optimiser.param_groups:
            group["lr"] = RATE * cosine_fall(done, RATE_FLOOR)
        start, stop = self._crop()
        self._optimiser.zero_grad(set_to_none=True)
        self._distances(start, stop, self._random).sum().backward()
        self._optimiser.step()
        with torch.no_grad():
            self.z.copy_(self.z / self.z.square().mean(dim=1, keepdim=True).sqrt())

    def keep_best(self) -> None:
        """Continue with the nearest latent only."""
        best = int(self.distances().argmin())
        self.z, self.velocity, self.gain = (
            value.detach()[best : best + 1].clone() for value in (self.z, self.velocity, self.gain)
        )
        self._optimise()

    def result(self) -> tuple[list[float], float]:
        """The first latent, and its velocity."""
        velocity = torch.sigmoid(self.velocity.detach())
        return unit_latent(self.z[0].detach().numpy()), float(velocity[0])

    @torch.no_grad()
    def distances(self) -> Tensor:
        """Distance of each latent over the whole note, with the same noise at each call."""
        return self._distances(0, len(self._wanted), torch.Generator().manual_seed(self._seed))

    def _crop(self) -> tuple[int, int]:
        """Frames of a crop; every second one has the attack, the most telling part of a timbre."""
        total = len(self._wanted)
        length = min(CROP_FRAMES, total)
        where = torch.rand((), generator=self._random)
        start = torch.randint(0, total - length + 1, (), generator=self._random)
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
        """Levels [..., n_bands] of power [..., n_bins], dB."""
        return 10.0 * torch.log10(power @ self._bands + self._floor)

    def _image(self, start: int, stop: int, random: torch.Generator) -> Tensor:
        generator, n = self._generator, len(self.z)
        pitch = torch.full((n,), float(self._pitch))
        noise = None
        if generator.config.conditioning == "harmonic":
            shapes = [generator.config.shape(b) for b in range(len(generator.blocks))]
            noise = [  # unit variance, the same for all latents
                ((torch.rand(shape, generator=random) - 0.5) * math.sqrt(12.0)).expand(n, *shape)
                for shape in shapes
            ]
        velocity = torch.sigmoid(self.velocity)
        device = next(generator.parameters()).device  # the losses are computed on the CPU
        inputs = (each.to(device) for each in (self.z, pitch, velocity))
        return generator(*inputs, noise=noise, frames=(start, stop)).cpu()

    @torch.no_grad()
    def _level_gains(self, power: float) -> Tensor:
        """Gain, nats, that brings each latent's sound to the level of a note of mean ``power``."""
        config = self._generator.spectrogram
        random = torch.Generator().manual_seed(self._seed)
        image = self._image(0, len(self._wanted), random)[:, 0].double()
        generated = torch.exp((image - config.magnitude_offset) * (2.0 / config.magnitude_scale))
        return (0.5 * torch.log(generated.mean(dim=(1, 2)) / power)).float()


def power_of(note: Tensor, config: SpectrogramConfig) -> Tensor:
    """Squared magnitudes of the frames that a note covers.

    Parameters
    ----------
    note : Tensor [n_samples]
        The note, at the sample rate of ``config``.
    config : SpectrogramConfig
        The representation.

    Returns
    -------
    Tensor [n_frames, n_bins]
    """
    n_frames = min(len(note) // config.hop_length, config.n_frames)
    pitch = torch.zeros(())  # it changes phases only
    spectrogram = waveform_to_spectrogram(
        note[: config.n_samples], config, pitch=pitch, frames=(0, n_frames)
    )
    return (torch.exp(spectrogram[0]) - config.magnitude_floor).square()


def _mel_bands(config: SpectrogramConfig) -> Tensor:
    """Weights [n_bins, n_bands] of mel bands that are wider than bins."""
    return _torchaudio.find().functional.melscale_fbanks(
        config.n_bins + 1,
        0.0,
        config.sample_rate / 2,
        min(N_BANDS, config.n_bins // 8),
        config.sample_rate,
    )[1:]
