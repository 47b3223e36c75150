"""Loss of the built-in recipe: energy distances between notes, in spectrograms and in audio."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from audiogen.models.gansynth import identity
from audiogen.objectives import losses
from audiogen.representation import resynthesis
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.spectrogram import denormalise, spectra
from audiogen.training.gansynth.note_batches import Batch
from audiogen.training.gansynth.partial_levels import distance_of_levels, partial_levels
from audiogen.training.gansynth.recipe import BuiltInRecipe

LOWEST_BAND_HZ = 500.0  # upper end of the lowest band whose level is compared


class EnergyLoss:
    """Distances of two generated images of each note to the real one, less that between them.

    All bins, which are mostly noise, have the whole energy distance (`losses.energy_distance`).
    Partials, and the audio that the engine resynthesises, have a share of its repulsion, the
    note's variety: with all of it, what the network can't predict of a steady partial would become
    noise.

    Parameters
    ----------
    recipe : BuiltInRecipe
        Weights of the terms, and the representation.
    joint : callable
        Mean over the processes that share a batch.
    """

    def __init__(self, recipe: BuiltInRecipe, joint: Callable[[Tensor], Tensor] = identity):
        self._recipe, self._joint = recipe, joint

    @property
    def _config(self) -> SpectrogramConfig:
        return self._recipe.spectrogram

    def __call__(
        self, pair: tuple[Tensor, Tensor], sounds: tuple[Tensor, Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of two images of each note of a batch.

        Parameters
        ----------
        pair : two Tensors [batch, 2, n_frames, n_bins]
            Generated images, in the generator's units.
        sounds : two Tensors [batch, n_samples]
            Their audio (`resynthesise`).
        batch : Batch
            The notes.

        Returns
        -------
        loss : Tensor []
            The loss.
        distances : dict of str to Tensor []
            Mean distances to the real notes, by term; and ``variety``, the distance of the two
            images over that to the real one.
        """
        recipe = self._recipe
        first, second = (self.distances(image, batch.image, batch) for image in pair)
        apart = self.distances(*pair, batch, share=batch.variety[:, None, None])
        weights = {
            "magnitude": recipe.magnitude_weight,
            "loud": recipe.loud_weight,
            "peak": recipe.peak_weight,
            "frequency": recipe.frequency_weight,
        }
        extra: list[Tensor] = []
        means: dict[str, Tensor] = {}
        if recipe.resynthesis_weight or recipe.level_weight or recipe.drift_weight:
            weights |= {
                "resynthesis": recipe.resynthesis_weight,
                "level": recipe.level_weight,
                "drift": recipe.drift_weight,
            }
            far = self._sound_distances(batch, *sounds)
            first, second, apart = (a | b for a, b in zip((first, second, apart), far, strict=True))
        if recipe.sideband_weight:
            means["sideband"] = self._sideband_distance(batch, sounds)
            extra.append(recipe.sideband_weight * means["sideband"])
        terms = [
            weight * losses.energy_distance(first[name], second[name], apart[name])
            for name, weight in weights.items()
        ]
        means = {name: 0.5 * (first[name] + second[name]) for name in weights} | means
        between = losses.magnitude_distance(pair[0][:, 0], pair[1][:, 0]).detach()
        means["variety"] = self._joint(between) / self._joint(means["magnitude"].detach())
        return torch.stack([*terms, *extra]).sum(), means

    def distances(
        self, image: Tensor, other: Tensor, batch: Batch, share: Tensor | float = 1.0
    ) -> dict[str, Tensor]:
        """Distances between two images of a batch's notes.

        Parameters
        ----------
        image, other : Tensor [batch, 2, n_frames, n_bins]
            The images.
        batch : Batch
            The notes.
        share : Tensor [batch, 1, 1] or float
            Factor of each note's ``loud``, ``peak`` and ``frequency``.

        Returns
        -------
        dict of str to Tensor []
            ``magnitude``, ``loud``, ``peak`` and ``frequency``.
        """
        scale = self._config.frequency_scale
        first = 1 if batch.frames[0] == 0 else 0  # the first frame has no frequency
        return {
            "magnitude": losses.magnitude_distance(image[:, 0], other[:, 0]),
            "loud": losses.loud_distance(
                image[:, 0], other[:, 0], batch.weight, self._joint, share
            ),
            "peak": losses.peak_distance(image[:, 0], other[:, 0], batch.weight, share),
            "frequency": losses.frequency_distance(
                image[:, 1, first:] / scale,
                other[:, 1, first:] / scale,
                batch.weight[:, first:],
                self._joint,
                share,
            ),
        }

    def random_latents(self, pair: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
        """Energy distance of two images of random latents to the real note, by levels.

        It is least where the levels of mel bands of random latents at a pitch and velocity are
        distributed as those of real notes of all instruments at these: neither louder nor duller.

        Parameters
        ----------
        pair : two Tensors [batch, 2, n_frames, n_bins]
            Images of independent latents at each note's pitch and velocity.
        batch : Batch
            The notes.

        Returns
        -------
        Tensor [], nats
        """
        powers = [self._mel_power(image) for image in (batch.image, *pair)]
        loudest = powers[0].amax(dim=(1, 2), keepdim=True)
        real, first, second = (resynthesis.log_mel(power, loudest) for power in powers)
        far = losses.levels_distance
        return losses.energy_distance(far(first, real), far(second, real), far(first, second))

    def _mel_power(self, image: Tensor) -> Tensor:
        """Power of mel bands [batch, n_frames, n_mels] of images."""
        log_magnitude = denormalise(image, self._config)[:, 0]
        return resynthesis.mel(log_magnitude.exp().square(), self._config)

    def resynthesise(self, image: Tensor, batch: Batch) -> Tensor:
        """Audio of a batch's images, as `resynthesis.resynthesise` returns it."""
        spectrogram = denormalise(image, self._config)
        return resynthesis.resynthesise(
            spectrogram, self._config, batch.pitch, batch.frames, batch.partials
        )

    def _sound_distances(
        self, batch: Batch, first: Tensor, second: Tensor
    ) -> tuple[dict[str, Tensor], ...]:
        """Distances of two resynthesised sounds to the real notes and to each other, by term."""
        config = self._config
        whole = resynthesis.whole_frames(config, batch.frames)
        real = denormalise(batch.image, config)[:, 0].exp().square()
        loudest = resynthesis.mel(real, config).amax(dim=(1, 2), keepdim=True)
        powers = [spectra(sound, config)[:, whole].abs().square() for sound in (first, second)]
        notes = [
            (
                resynthesis.log_mel(resynthesis.mel(power, config), loudest),
                losses.note_levels(_octaves(power, config), loudest),
            )
            for power in (*powers, real[:, whole])
        ]
        share = batch.variety[:, None, None]

        def far(i: int, j: int, share: Tensor | float = 1.0) -> dict[str, Tensor]:
            (bands, levels), (other_bands, other) = notes[i], notes[j]
            n = levels.shape[-1] // 2  # levels of frames; the second half is the whole crop's
            return {
                "resynthesis": losses.resynthesis_distance(share * bands, share * other_bands),
                "level": losses.whole_and_bands(share * (levels - other)),
                "drift": losses.drift_distance(share * levels[..., :n], share * other[..., :n]),
            }

        return far(0, 2), far(1, 2), far(0, 1, share)

    def _sideband_distance(self, batch: Batch, sounds: tuple[Tensor, Tensor]) -> Tensor:
        """Mean distance of sounds' levels on, beside and between partials to the real notes'."""
        config = self._config
        start, stop = batch.frames
        # Samples that no frame outside of the crop overlaps with.
        left = (config.n_fft - config.hop_length) * bool(start)
        right = (stop - start) * config.hop_length
        pitch = batch.pitch.cpu().numpy().astype(np.float64)
        real = batch.waveform[:, left:right]
        wanted, *levels = (
            partial_levels(sound, pitch, config, real, batch.partials)
            for sound in (real, *(each[:, left:right] for each in sounds))
        )
        return torch.stack([distance_of_levels(each, wanted) for each in levels]).mean()


def _octaves(power: Tensor, config: SpectrogramConfig) -> Tensor:
    """Power of whole frames, then of octaves from `LOWEST_BAND_HZ` on, [batch, n, n_frames]."""
    edges, top = [0, max(1, round(LOWEST_BAND_HZ / config.bin_width_hz))], power.shape[-1]
    while 2 * edges[-1] < top:
        edges.append(2 * edges[-1])
    parts = [power[..., a:b].sum(dim=-1) for a, b in pairwise([*edges, top])]
    return torch.stack([power.sum(dim=-1), *parts], dim=1)
