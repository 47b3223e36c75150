"""Training a GANSynth generator on a set of notes: energy distance first, then a critic beside it.

Every instrument of the set gets a latent that is learned with the network. The first steps bring
two notes that are made of (latent, pitch, velocity) near to the real one and keep them apart from
each other, so that they vary as real ones do; the others add a Wasserstein critic with gradient
penalty that sees crops, also of latents between instruments, so that the space between two timbres
sounds like one.

Whole instruments may be held out. Of them latents alone are learned, in steps of their own, so that
they can be played and measured, and the networks know nothing of them.
"""

from __future__ import annotations

import copy
import math
import shutil
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from audiogen.data.notes.nsynth import NoteSet
from audiogen.data.notes.splits import Split, hold_out_keys
from audiogen.errors import AudiogenError, ParameterError
from audiogen.models.gansynth import (
    Critic,
    CriticConfig,
    Generator,
    GeneratorConfig,
    activate,
    identity,
)
from audiogen.objectives import losses
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import harmonic_maps
from audiogen.representation.spectrogram import (
    denormalise,
    normalise,
    spectra,
    waveform_to_spectrogram,
)
from audiogen.training.run.checkpoints import n_bytes_of
from audiogen.training.run.overfit import N_MEANT, Look, overfit, overfit_warning
from audiogen.training.run.precision import has_bfloat16
from audiogen.training.run.processes import Processes
from audiogen.training.samplernn import input_noise as heard

# 1e-4 is about the quantisation noise of a 16-bit file; the scale maps it to -0.8 and the loudest
# bins to 0.8.
PRESET_SPECTROGRAM = SpectrogramConfig(
    phase="harmonic", magnitude_floor=1e-4, magnitude_scale=0.1, magnitude_offset=0.121034
)
SLOWEST_NOISE = 8  # frames: what varies more slowly isn't the grain of one note
N_EVALUATIONS = 20  # in the course of each stage
N_LOOKED_AT = 4  # held-out notes of each; batches of the critic's
# A step of the latents of instruments that are held out: after how many of the others, how far.
FIT_EVERY, FIT_RATE = 8, 0.03


@dataclass(frozen=True)
class Recipe:
    """How long and how to train; every number that a result depends on, beside the data.

    Parameters
    ----------
    steps : int
        Of which the last ``adversarial_share`` are with the critic.
    batch, adversarial_batch : int
        Notes of a step without and with the critic; the generator makes each twice.
    crop_frames : int
        Frames of a crop; a multiple of 16.
    adversarial_weight : float
        Of the critic's opinion. Its gradient has norm 1 for each example, that of the
        distances about 0.02.
    heard_weight : float
        Of levels as they are when played; times the variety.
    variety : float, 0..1
        How much partials may vary as noise does: 0 for steady ones, 1 for bowed strings or choirs.
    latent_noise : float
        Deviation added to the learned latents, whose own is 1.
    """

    steps: int = 3600
    adversarial_share: float = 0.125
    batch: int = 4
    adversarial_batch: int = 4
    crop_frames: int = 32
    learning_rate: float = 4e-3
    adversarial_learning_rate: float = 1e-3
    magnitude_weight: float = 2.0
    loud_weight: float = 4.0
    frequency_weight: float = 0.2
    heard_weight: float = 1.0
    adversarial_weight: float = 0.02
    penalty_weight: float = 10.0
    penalty_every: int = 2
    variety: float = 0.0
    latent_noise: float = 0.2
    average: float = 0.998
    held_out: float = 0.05
    seed: int = 0
    generator: GeneratorConfig = field(
        default=GeneratorConfig(
            conditioning="harmonic", latent_size=16, channels=(64, 64, 64, 64, 48, 32, 16)
        )
    )
    spectrogram: SpectrogramConfig = PRESET_SPECTROGRAM

    def __post_init__(self) -> None:
        if self.crop_frames % 16 or self.crop_frames > self.spectrogram.n_frames:
            raise ParameterError(
                f"crop_frames={self.crop_frames} must be a multiple of 16 and at most"
                f" {self.spectrogram.n_frames}"
            )
        if (self.generator.conditioning, self.spectrogram.phase) != ("harmonic", "harmonic"):
            raise ParameterError(
                f"conditioning={self.generator.conditioning!r} and phase={self.spectrogram.phase!r}"
                " aren't for this recipe; both must be 'harmonic'"
            )


@dataclass
class Notes:
    """The notes of a set as arrays.

    Parameters
    ----------
    waveforms : array [n_notes, n_samples], float32
    pitches : array [n_notes], MIDI numbers
    velocities : array [n_notes], 0..1
    instruments : array [n_notes], int
        Into ``names``.
    names : list of str
    note_names : list of str
    split : Split, optional
        Without it a training holds out single keys, drawn by its seed.
    """

    waveforms: np.ndarray
    pitches: np.ndarray
    velocities: np.ndarray
    instruments: np.ndarray
    names: list[str]
    note_names: list[str] = field(default_factory=list)
    split: Split | None = None

    @classmethod
    def read(cls, notes: NoteSet, split: Split | None = None) -> Notes:
        """Read a whole set into memory."""
        names = list(notes.instruments)
        return cls(
            waveforms=notes.waveforms(),
            pitches=np.array([note.pitch for note in notes], np.float64),
            velocities=np.array([note.velocity for note in notes]) / 127.0,
            instruments=np.array([names.index(note.instrument) for note in notes]),
            names=names,
            note_names=[note.name for note in notes],
            split=split,
        )


class Trainer:
    """The networks, their optimisers and the two kinds of step.

    Parameters
    ----------
    notes : Notes
    recipe : Recipe
    compiled : bool, optional
        Whether to run `activate` through torch.compile, which makes a step twice as fast after a
        slow start; by default where there is the C++ compiler that it needs.
    processes : Processes, optional
        That share each batch; this one alone by default.
    """

    def __init__(
        self,
        notes: Notes,
        recipe: Recipe,
        compiled: bool | None = None,
        processes: Processes | None = None,
    ):
        self.notes, self.recipe = notes, recipe
        self.processes = processes or Processes()
        torch.manual_seed(recipe.seed)
        self.draw = np.random.default_rng(recipe.seed)
        self.training, self.held_out = self._parts()
        self._sum = zlib.crc32(np.ascontiguousarray(notes.waveforms).data)
        self.taught = np.unique(notes.instruments[self.training])
        self.untaught = np.flatnonzero(~np.isin(notes.instruments, self.taught))  # notes

        config = recipe.generator
        self.generator = Generator(config, recipe.spectrogram)
        # The frequency channel begins as the harmonic series itself: elsewhere tanh saturates, and
        # an angle gives no gradient to leave that by.
        with torch.no_grad():
            self.generator.to_rgb[-1].weight[1].zero_()
        drop_slow_noise(self.generator)
        self.latents = torch.nn.Parameter(torch.randn(len(notes.names), config.latent_size))
        self.critic = Critic(
            CriticConfig(
                channels=(64, 64, 48, 32, 16),
                start_shape=(recipe.crop_frames // 16, recipe.spectrogram.n_bins // 16),
                n_conditions=8,
                n_pitches=0,
            )
        ).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        if shutil.which("c++") is not None if compiled is None else compiled:
            torch._dynamo.config.recompile_limit = 64  # widths x conditionings x gradient modes
            # Where no C++ compiler works, it runs as it is written.
            torch._dynamo.config.suppress_errors = True
            self.generator.activate = torch.compile(activate, dynamic=True)
        self.generator.uniform = self.processes.drawn(torch.rand)
        self.critic.joint = self.processes.mean
        self.average_latents = self.latents.detach().clone()
        self.optimiser = torch.optim.Adam(self.parameters(), recipe.learning_rate, (0.9, 0.99))
        self.critic_optimiser = torch.optim.Adam(
            self.critic.parameters(), recipe.adversarial_learning_rate, (0.0, 0.99)
        )
        self.fit_optimiser = torch.optim.Adam([self.latents], FIT_RATE, (0.9, 0.99))
        self.step = 0
        self.seconds = 0.0  # spent in steps, stops not counted
        self.best: dict[str, float] = {"energy_db": math.inf, "step": 0}
        self.warning = ""
        # Name and licence of the preset whose weights it got, see `start.start_from`.
        self.begun_with, self.begun_licence = "", ""
        self._looks_of_critic: list[Look] = []  # gap and distance, see `overfit`

    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the notes to train on, and of those held out."""
        if self.notes.split is not None:
            training, held = self.notes.split.indices(self.notes.note_names)
            return training, self.draw.permutation(held)
        if len(self.notes.pitches) < 2:
            raise ParameterError(
                f"the set has {len(self.notes.pitches)} notes; training needs 2 or more, of which"
                " one is held out"
            )
        return hold_out_keys(
            self.notes.instruments, self.notes.pitches, self.recipe.held_out, self.draw
        )

    @property
    def n_steps(self) -> int:
        return self.recipe.steps

    def parameters(self) -> list[Tensor]:
        return [self.latents, *self.generator.parameters()]

    @property
    def _n_first(self) -> int:
        """Steps without the critic."""
        return round((1.0 - self.recipe.adversarial_share) * self.recipe.steps)

    @property
    def adversarial(self) -> bool:
        """Whether the critic takes part in the current step."""
        return self.step >= self._n_first

    def train_step(self) -> dict[str, float]:
        """One step of the generator, and one of the critic when it takes part.

        Returns
        -------
        dict of float
            ``magnitude``, ``loud`` and ``frequency``, the distances to real notes; with a variety
            ``heard``, that of what is played; ``variety``, how far apart two made notes are, over
            how far they are from the real one: 1 where they vary as it does. With the critic
            ``wasserstein`` and ``fooled``. Now and then a look at held-out notes: ``held_out_...``
            as `evaluate` has them, and with the critic `overfit`.

        Raises
        ------
        AudiogenError
            If the loss isn't a number.
        """
        recipe = self.recipe
        size = recipe.adversarial_batch if self.adversarial else recipe.batch
        self._set_rates()
        batch = self._batch(self.processes.own(self.draw.choice(self.training, size)))
        seen = self._critic_step(batch) if self.adversarial else {}

        twice = batch.twice()
        image = self._generate(twice, self._latents(twice))
        made = image[0::2], image[1::2]
        loss, distances = self._energy(made, batch)
        seen |= distances
        if self.adversarial:
            between = self._generate(batch, self._latents_between(batch))
            score = self._score(torch.stack((made[0], between), dim=1).flatten(0, 1), twice)
            seen["fooled"] = losses.generator_loss(score)
            loss = loss + recipe.adversarial_weight * seen["fooled"]
        self._require_finite(loss)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients(self.parameters())
        self._clip_gradients(self.parameters(), 1.0)
        self.optimiser.step()
        if len(self.untaught) and self.step % FIT_EVERY == 0:
            self._fit_untaught()
        self._update_average()
        values = self.processes.mean(torch.stack([value.detach() for value in seen.values()]))
        adversarial, told = self.adversarial, dict(zip(seen, values.tolist(), strict=True))
        self.step += 1
        if self._looks():
            told |= self._look(adversarial)
        return told

    def _fit_untaught(self) -> None:
        """A step of the latents of instruments that the networks don't learn from."""
        chosen = self.draw.choice(self.untaught, self.recipe.adversarial_batch)
        batch = self._batch(self.processes.own(chosen))
        twice = batch.twice()
        image = self._generate(twice, self._latents(twice))
        loss, _ = self._energy((image[0::2], image[1::2]), batch)
        self._require_finite(loss)
        (self.latents.grad,) = torch.autograd.grad(loss, self.latents)
        self.processes.average_gradients([self.latents])
        self._clip_gradients([self.latents], 1.0)
        self.fit_optimiser.step()

    def _looks(self) -> bool:
        """Whether held-out notes are looked at after this step."""
        first, steps = self._n_first, self.recipe.steps
        done, n = (self.step, first) if self.step <= first else (self.step - first, steps - first)
        return done == n or done % max(1, n // N_EVALUATIONS) == 0

    def _look(self, adversarial: bool) -> dict[str, float]:
        # The generator's grain is the same in each look, and the steps' chance isn't touched.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            measured = self.evaluate(N_LOOKED_AT)
            scores = self._scores_apart() if adversarial else None
        seen = {f"held_out_{name}": value for name, value in measured.items()}
        if measured["energy_db"] < self.best["energy_db"]:
            self.best = {"energy_db": measured["energy_db"], "step": self.step}
        if scores is not None:
            self._looks_of_critic = [*self._looks_of_critic, scores][-N_MEANT:]
            seen["overfit"] = self.overfit()
            self._warn()
        return seen

    def overfit(self) -> float:
        """How much the critic has learned its notes by heart, over the last few looks.

        Returns
        -------
        float
            Its mean score of the notes that it is trained on less that of held-out ones, over the
            former less that of generated ones: 0 for a critic that judges both alike, 1 for one
            that takes held-out notes for generated ones.
        """
        return overfit(self._looks_of_critic)

    def _warn(self) -> None:
        advice = "a smaller --adversarial-share"
        self.warning = overfit_warning(self._looks_of_critic, advice)

    @torch.no_grad()
    def _scores_apart(self) -> tuple[float, float]:
        """The critic's mean score of training notes less that of held-out, and of generated ones.

        Batches are of one size, since the critic hears how much a batch varies; chance is drawn
        apart from that of the steps.
        """
        random = np.random.default_rng((self.recipe.seed, self.step))
        size = min(self.recipe.adversarial_batch, len(self.held_out), len(self.training))
        totals = np.zeros(3)
        for _ in range(N_LOOKED_AT):
            frames = self._crop(random)
            known, held_out = (
                self._batch(random.choice(notes, size, replace=False), frames)
                for notes in (self.training, self.held_out)
            )
            fake = self.average(
                self.average_latents[held_out.instruments],
                held_out.pitch,
                held_out.velocity,
                frames=frames,
            )
            judged = ((known.image, known), (held_out.image, held_out), (fake, held_out))
            totals += [float(self._score(image, batch).mean()) for image, batch in judged]
        known_score, held_score, fake_score = totals / N_LOOKED_AT
        return float(known_score - held_score), float(known_score - fake_score)

    @torch.no_grad()
    def evaluate(self, n_notes: int = 32) -> dict[str, float]:
        """Distances to held-out notes of what the averaged weights make, and what is heard.

        Returns
        -------
        dict of float
            ``magnitude`` and ``frequency`` as in training; ``log_mel_db``, see
            `losses.log_mel_distance`, and ``energy_db``, the energy distance by that.
        """
        spectrogram = self.recipe.spectrogram
        totals: dict[str, float] = {}
        chosen = self.held_out[:n_notes]
        for note in chosen:
            batch = self._batch(np.array([note]), (0, spectrogram.n_frames))
            twice = batch.twice()
            z = self.average_latents[twice.instruments]
            image = self.average(z, twice.pitch, twice.velocity)
            whole = (0, spectrogram.n_frames)
            sound = heard.played(denormalise(image, spectrogram), spectrogram, twice.pitch, whole)
            sound = sound[:, spectrogram.pad_front :]
            seen = self._distances(image[:1], batch.image, batch)
            wanted = torch.from_numpy(self.notes.waveforms[[note]])
            sounds = sound[:1, : wanted.shape[1]], sound[1:, : wanted.shape[1]]
            pairs = ((sounds[0], wanted), (sounds[1], wanted), sounds)
            far_db = [losses.log_mel_distance(*pair, spectrogram.sample_rate) for pair in pairs]
            seen |= {"log_mel_db": far_db[0], "energy_db": losses.energy_distance(*far_db)}
            for name, value in seen.items():
                totals[name] = totals.get(name, 0.0) + float(value) / len(chosen)
        return totals

    def _require_finite(self, loss: Tensor) -> None:
        """Before a step is taken, so that the weights stay good."""
        if not torch.isfinite(self.processes.mean(loss.detach())):
            raise AudiogenError(
                f"the loss became {loss.item()} at step {self.step}; lower the learning rate"
            )

    def _clip_gradients(self, parameters: list[Tensor], largest: float) -> None:
        try:
            torch.nn.utils.clip_grad_norm_(parameters, largest, error_if_nonfinite=True)
        except RuntimeError as error:
            raise AudiogenError(
                f"a gradient became infinite or NaN at step {self.step}; lower the learning rate"
            ) from error

    def _set_rates(self) -> None:
        recipe = self.recipe
        first = self._n_first
        if self.adversarial:
            done = (self.step - first) / max(1, recipe.steps - first)
            rate = recipe.adversarial_learning_rate
        else:
            done, rate = self.step / max(1, first), recipe.learning_rate
        fall = 0.05 + 0.95 * math.cos(0.5 * math.pi * done) ** 2
        rate *= min(1.0, (self.step + 1) / 100) * fall
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        for group in self.fit_optimiser.param_groups:
            group["lr"] = FIT_RATE * fall

    def _batch(self, indices: np.ndarray, frames: tuple[int, int] | None = None) -> Batch:
        """Notes from frame to frame; of a crop by default."""
        recipe, notes = self.recipe, self.notes
        frames = frames or self._crop(self.draw)
        pitch = torch.from_numpy(notes.pitches[indices].astype(np.float32))
        waveform = torch.from_numpy(notes.waveforms[indices])
        spectrogram = waveform_to_spectrogram(
            waveform, recipe.spectrogram, pitch=pitch, frames=frames
        )
        if frames[0] == 0:  # the first frame holds the phase, which the engine sets itself
            spectrogram[:, 1, 0] = 0.0
        return Batch(
            frames=frames,
            pitch=pitch,
            velocity=torch.from_numpy(notes.velocities[indices].astype(np.float32)),
            instruments=torch.from_numpy(notes.instruments[indices]),
            weight=losses.loudness_weight(spectrogram[:, 0]),
            image=normalise(spectrogram, recipe.spectrogram),
        )

    def _crop(self, random: np.random.Generator) -> tuple[int, int]:
        """A third of the crops hear the attack, a sixth the release."""
        length, total = self.recipe.crop_frames, self.recipe.spectrogram.n_frames
        where = random.random()
        if where < 1 / 3:
            start = 0
        elif where < 1 / 2:
            first = min(max(0, self.recipe.generator.note_off_frame - 8), total - length)
            start = int(random.integers(first, total - length + 1))
        else:
            start = int(random.integers(0, total - length + 1))
        return start, start + length

    def _latents(self, batch: Batch) -> Tensor:
        z = self.latents[batch.instruments]
        return z + self.recipe.latent_noise * self.processes.drawn(torch.randn)(z.shape)

    def _latents_between(self, batch: Batch) -> Tensor:
        n = len(batch.pitch) * self.processes.size
        drawn = self.taught[self.draw.integers(0, len(self.taught), n)]
        others = self.processes.own(torch.from_numpy(drawn))
        where = self.processes.own(torch.from_numpy(self.draw.random((n, 1)).astype(np.float32)))
        return losses.slerp(self.latents[batch.instruments], self.latents[others], where)

    def _generate(self, batch: Batch, z: Tensor) -> Tensor:
        # Convolutions in bfloat16 where the CPU has it, the rest in float32.
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bfloat16()):
            image = self.generator(z, batch.pitch, batch.velocity, frames=batch.frames)
        return image.float()

    def _energy(
        self, made: tuple[Tensor, Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of two images of each note, and what is told of them.

        Magnitudes of all bins, which are mostly noise, by their energy distance. Partials by as
        much of it as the recipe's ``variety``: what the network fails to know of a steady one
        would else become noise. So with what is heard of both.
        """
        recipe, joint = self.recipe, self.processes.mean
        first, second = (self._distances(image, batch.image, batch, joint) for image in made)
        apart = self._distances(*made, batch, joint)
        terms = [
            ("magnitude", recipe.magnitude_weight, 1.0),
            ("loud", recipe.loud_weight, recipe.variety),
            ("frequency", recipe.frequency_weight, recipe.variety),
        ]
        if recipe.variety:
            first["heard"], second["heard"], apart["heard"] = self._heard(batch, *made)
            terms.append(("heard", recipe.heard_weight * recipe.variety, 1.0))
        loss = sum(
            weight * losses.energy_distance(first[name], second[name], share * apart[name])
            for name, weight, share in terms
        )
        told = {name: 0.5 * (first[name] + second[name]) for name in first}
        told["variety"] = joint(apart["magnitude"].detach()) / joint(told["magnitude"].detach())
        return torch.as_tensor(loss), told

    def _distances(
        self,
        image: Tensor,
        other: Tensor,
        batch: Batch,
        joint: Callable[[Tensor], Tensor] = identity,
    ) -> dict[str, Tensor]:
        scale = self.recipe.spectrogram.frequency_scale
        first = 1 if batch.frames[0] == 0 else 0  # the first frame has no frequency
        return {
            "magnitude": losses.magnitude_distance(image[:, 0], other[:, 0]),
            "loud": losses.loud_distance(image[:, 0], other[:, 0], batch.weight, joint),
            "frequency": losses.frequency_distance(
                image[:, 1, first:] / scale,
                other[:, 1, first:] / scale,
                batch.weight[:, first:],
                joint,
            ),
        }

    def _heard(self, batch: Batch, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Distances of what is heard: of two images to the real notes, and to each other."""
        config = self.recipe.spectrogram
        real = heard.mel(denormalise(batch.image, config)[:, 0].exp().square(), config)
        loudest = real.amax(dim=(1, 2), keepdim=True)
        whole = heard.whole_frames(config, batch.frames)
        levels = []
        for image in (first, second):
            sound = heard.played(denormalise(image, config), config, batch.pitch, batch.frames)
            power = spectra(sound, config)[:, whole].abs().square()
            levels.append(heard.log_mel(heard.mel(power, config), loudest))
        wanted = heard.log_mel(real[:, whole], loudest)
        return (
            losses.heard_distance(levels[0], wanted),
            losses.heard_distance(levels[1], wanted),
            losses.heard_distance(*levels),
        )

    def _score(self, image: Tensor, batch: Batch) -> Tensor:
        """The critic's opinion of images beside the harmonic maps of the pitch asked for.

        Phases of bins at the floor mean nothing, so the critic doesn't see them.
        """
        audible = ((image[:, :1] + 0.8) * 5.0).clamp(0.0, 1.0)
        maps = torch.from_numpy(
            harmonic_maps(batch.pitch.numpy(), self.recipe.spectrogram, image.shape[-1])
        )
        maps = maps[:, :, None].expand(-1, -1, image.shape[2], -1)
        seen = torch.cat((image[:, :1], image[:, 1:] * audible, maps), dim=1)
        return self.critic(seen.contiguous(memory_format=torch.channels_last))[0]

    def _critic_step(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            z = self._latents(batch)
            mixed = torch.from_numpy(self.draw.random((len(z) * self.processes.size, 1)) < 0.5)
            z = torch.where(self.processes.own(mixed), self._latents_between(batch), z)
            fake = self._generate(batch, z)
        self.critic.requires_grad_(True)
        real_score, fake_score = self._score(batch.image, batch), self._score(fake, batch)
        loss = losses.critic_loss(real_score, fake_score)
        if self.step % self.recipe.penalty_every == 0:
            penalty = losses.gradient_penalty(
                lambda image: self._score(image, batch),
                batch.image,
                fake,
                self.processes.drawn(torch.rand),
            )
            loss = loss + self.recipe.penalty_every * self.recipe.penalty_weight * penalty
        self._require_finite(loss)
        self.critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients(self.critic.parameters())
        self._clip_gradients(list(self.critic.parameters()), math.inf)
        self.critic_optimiser.step()
        self.critic.requires_grad_(False)  # the generator's step wants no gradients of its weights
        return {"wasserstein": (real_score.mean() - fake_score.mean()).detach()}

    @torch.no_grad()
    def _update_average(self) -> None:
        # Young averages forget faster, so that they don't remember the first weights.
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.generator.parameters(), strict=True)
        for mean, now in pairs:
            mean.lerp_(now, 1.0 - keep)
        self.average_latents.lerp_(self.latents, 1.0 - keep)

    def checkpoint_bytes(self) -> int:
        """About how large a checkpoint becomes: networks, the average, two moments of Adam's."""
        generator = n_bytes_of(self.generator) + n_bytes_of(self.latents.detach())
        return 4 * generator + 3 * n_bytes_of(self.critic)

    def state(self) -> dict:
        """Everything that training goes on from."""
        return {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "looks_of_critic": self._looks_of_critic,
            "names": self.notes.names,
            "held_out": self.held_out.tolist(),
            "sum_of_sounds": self._sum,
            "begun_with": self.begun_with,
            "begun_licence": self.begun_licence,
            "generator": self.generator.state_dict(),
            "latents": self.latents.detach(),
            "average": self.average.state_dict(),
            "average_latents": self.average_latents,
            "critic": self.critic.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "critic_optimiser": self.critic_optimiser.state_dict(),
            "fit_optimiser": self.fit_optimiser.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "numpy_rng": self.draw.bit_generator.state,
        }

    def restore(self, state: dict) -> None:
        """Go on from a `state`, as if training had never stopped."""
        here = asdict(self.recipe)
        fields = [name for name, value in state["recipe"].items() if value != here.get(name)]
        parts = sorted(state["held_out"]), state.get("sum_of_sounds", self._sum)
        other = [f"another recipe ({', '.join(fields)})"] if fields else []
        if state["names"] != self.notes.names:
            other.append("other instruments")
        elif parts != (sorted(self.held_out.tolist()), self._sum):
            other.append("other sounds or another split of them (as by an older audiogen)")
        if other:
            raise ParameterError(
                f"the checkpoint was made with {' and '.join(other)}; start anew in another folder,"
                " or give the same arguments"
            )
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self._looks_of_critic = state["looks_of_critic"]
        self.begun_with = state.get("begun_with", self.begun_with)
        self.begun_licence = state.get("begun_licence", self.begun_licence)
        if self._looks_of_critic:
            self._warn()
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.critic.load_state_dict(state["critic"])
        with torch.no_grad():
            self.latents.copy_(state["latents"])
            self.average_latents.copy_(state["average_latents"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.fit_optimiser.load_state_dict(state["fit_optimiser"])
        torch.set_rng_state(state["torch_rng"])
        self.draw.bit_generator.state = state["numpy_rng"]


@torch.no_grad()
def drop_slow_noise(generator: Generator) -> None:
    """Let no block hear noise whose grains are longer than `SLOWEST_NOISE` frames, for good.

    What a network can't know of a note's level an energy distance makes chance, and from long
    grains that chance is a level that wanders by many dB while a key is held.
    """
    for b, block in enumerate(generator.blocks):
        if generator.spectrogram.n_frames > SLOWEST_NOISE * generator.config.shape(b)[0]:
            for part in block.conditioning.noise.parameters():
                part.zero_().requires_grad_(False)


@dataclass
class Batch:
    """Crops of notes, and what the generator is told about them."""

    frames: tuple[int, int]
    pitch: Tensor  # [batch], MIDI number
    velocity: Tensor  # [batch], 0..1
    instruments: Tensor  # [batch], int64
    weight: Tensor  # [batch, n_frames, n_bins], loudness
    image: Tensor  # [batch, 2, n_frames, n_bins], generator's units

    def twice(self) -> Batch:
        """Each note twice, one after the other."""
        double = {
            name: value.repeat_interleave(2, dim=0)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return Batch(frames=self.frames, **double)
