"""Training a GANSynth generator by the built-in recipe: energy distance, then a critic beside it.

Every instrument of the set has a learned latent. Each step generates two notes from (latent, pitch,
velocity), brings both near the real one and keeps them apart from each other, so that they vary as
real notes do. The last steps add a critic of the notes' resynthesised audio (`Adversary`).

Whole instruments may be held out: only their latents are learned, in steps of their own, so that
the preset plays them and the evaluation measures instruments that the networks never saw.
"""

from __future__ import annotations

import copy
import math
import shutil
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen.data.notes.splits import hold_out_keys
from audiogen.errors import ParameterError
from audiogen.models.gansynth import Generator, NoiseGain, activate, pixel_norm
from audiogen.objectives import losses
from audiogen.representation.spectrogram import (
    normalise,
    waveform_to_spectrogram,
)
from audiogen.training.gansynth.adversary import Adversary
from audiogen.training.gansynth.energy import EnergyLoss
from audiogen.training.gansynth.note_batches import Batch, Notes
from audiogen.training.gansynth.recipe import BuiltInRecipe
from audiogen.training.run.processes import Processes
from audiogen.training.run.trainer import (
    CPU,
    Trainer,
    average_decay,
    cosine_fall,
    n_bytes_of,
    random_state,
    set_random_state,
    update_average,
    warm_up,
)

SLOWEST_NOISE = 8  # frames; slower noise changes the level of a note instead of its grain
N_EVALUATIONS = 20  # in each phase, without and with the critic
N_EVALUATED = 4  # held-out notes of an evaluation while training, and batches of the critic
_SAVED = ("generator", "average", "optimiser", "fit_optimiser")
CRITIC_ALONE = 100  # steps in which the critic learns and the generator ignores it
N_FINAL = 32  # held-out notes of the evaluation at the end
RANDOM_EVERY = 2  # steps, between two steps with random latents
FIT_EVERY = 8  # steps, between two steps of the latents of held-out instruments
FIT_RATE = 0.03  # their learning rate
FEW_INSTRUMENTS = 32  # up to which the latents have the whole rate
RATE_FLOOR = 0.05  # last learning rate over the highest


class BuiltInTrainer(Trainer):
    """The networks, their optimisers and the two kinds of step.

    Parameters
    ----------
    notes : Notes
        The notes.
    recipe : BuiltInRecipe
        The recipe.
    compiled : bool, optional
        Whether to run `activate` through torch.compile, which halves the time of a step after a
        slow start; by default on a CPU with a C++ compiler.
    processes : Processes, optional
        The processes that share each batch; by default this one alone.
    device : torch.device
        The device of the networks.
    """

    def __init__(
        self,
        notes: Notes,
        recipe: BuiltInRecipe,
        compiled: bool | None = None,
        processes: Processes | None = None,
        device: torch.device = CPU,
    ):
        super().__init__(recipe, processes, device)
        self.notes = notes
        torch.manual_seed(recipe.seed)
        self.random = np.random.default_rng(recipe.seed)
        self.training, self.held_out = self._parts()
        self._checksum = zlib.crc32(np.ascontiguousarray(notes.waveforms).data)
        self.trained_instruments = np.unique(notes.instruments[self.training])
        unseen = ~np.isin(notes.instruments, self.trained_instruments)
        self.unseen_notes = np.flatnonzero(unseen)  # notes of held-out instruments

        config = recipe.generator
        self.generator = Generator(config, recipe.spectrogram)
        # The frequency channel begins as the harmonic series itself: elsewhere tanh saturates, and
        # a saturated angle has no gradient.
        with torch.no_grad():
            self.generator.to_rgb[-1].weight[1].zero_()
        drop_slow_noise(self.generator)
        latents = torch.randn(len(notes.names), config.latent_size)
        self.generator.to(self.device)
        self.latents = torch.nn.Parameter(latents.to(self.device))
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.average_latents = self.latents.detach().clone()
        if compiled is None:
            compiled = self.device.type == "cpu" and shutil.which("c++") is not None
        if compiled:
            torch._dynamo.config.recompile_limit = 64  # widths x conditionings x gradient modes
            torch._dynamo.config.suppress_errors = True  # without a working compiler: uncompiled
            self.generator.activate = torch.compile(activate, dynamic=True)
        self.generator.uniform = self.processes.drawn(torch.rand)
        self.optimiser = torch.optim.Adam(
            self.parameter_groups(), recipe.learning_rate, (0.9, 0.99)
        )
        self.fit_optimiser = torch.optim.Adam([self.latents], FIT_RATE, (0.9, 0.99))
        self.best: dict[str, Any] = {"energy_db": math.inf, "step": 0}
        self.loss = EnergyLoss(recipe, self.processes.mean)
        self.adversary = Adversary(
            recipe, len(notes.names), self.processes, self.device, self.autocast
        )
        self.varieties = self._varieties()

    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the notes to train on and of those held out."""
        if self.notes.split is not None:
            training, held_out = self.notes.split.indices(self.notes.note_names)
            return training, self.random.permutation(held_out)
        if len(self.notes.pitches) < 2:
            raise ParameterError(
                f"the set has {len(self.notes.pitches)} notes; training needs 2 or more, one of"
                " them held out"
            )
        return hold_out_keys(
            self.notes.instruments, self.notes.pitches, self.recipe.held_out, self.random
        )

    def _varieties(self) -> np.ndarray:
        """Variety of each note, [n_notes], float32: the recipe's, or measured."""
        recipe, notes = self.recipe, self.notes
        if recipe.variety is not None:
            return np.full(len(notes.pitches), recipe.variety, np.float32)
        return notes.varieties(recipe.spectrogram, recipe.generator.note_off_frame)

    def parameters(self) -> list[Tensor]:
        """Parameters of the generator, and the latents."""
        return [self.latents, *self.generator.parameters()]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of the optimiser: the latents, `NoiseGain.by_input`, and all other parameters."""
        gains = [module for module in self.generator.modules() if isinstance(module, NoiseGain)]
        by_input = [gain.by_input for gain in gains]
        fast = {id(each) for each in (self.latents, *by_input)}
        others = [each for each in self.parameters() if id(each) not in fast]
        return [{"params": group} for group in ([self.latents], by_input, others)]

    @property
    def _n_first(self) -> int:
        """Number of steps without the critic."""
        return round((1.0 - self.recipe.adversarial_share) * self.recipe.steps)

    @property
    def adversarial(self) -> bool:
        """Whether the critic takes part in the current step."""
        return self.step >= self._n_first

    @property
    def _has_critic(self) -> bool:
        return self.adversarial and self.recipe.adversarial_weight > 0.0

    @property
    def _n_alone(self) -> int:
        """Number of steps until the generator receives the critic's gradient."""
        first = self._n_first
        return first + min(CRITIC_ALONE, (self.recipe.steps - first) // 5)

    def phases(self) -> list[tuple[float, int]]:
        """Share and a step of the phases without and with the critic."""
        share = self.recipe.adversarial_share
        return [(s, step) for s, step in ((1.0 - share, 0), (share, self._n_alone)) if s]

    # --- Steps ----------------------------------------------------------------------------------

    def train_step(self) -> dict[str, float]:
        """Take a step of the generator, and one of the critic when it takes part.

        Returns
        -------
        dict of float
            ``magnitude``, ``loud``, ``peak``, ``frequency``, ``resynthesis``, ``level``, ``drift``
            and ``sideband``: distances to the real notes; ``variety``, the distance of two
            generated notes over that to the real one. In each `RANDOM_EVERY`-th step ``random``,
            the energy distance of random latents. With the critic ``critic``, its loss, and what
            it adds to the generator's, ``fooled`` and ``features`` (`Adversary.generator_loss`).
            After an evaluation ``held_out_...``, and with the critic ``overfit``.

        Raises
        ------
        AudiogenError
            If the loss or a gradient isn't finite; the weights are unchanged.
        """
        recipe = self.recipe
        adversarial, has_critic = self.adversarial, self._has_critic
        self._set_rates()
        size = recipe.adversarial_batch if adversarial else recipe.batch
        batch = self.batch(self.processes.own(self.random.choice(self.training, size)))
        twice = batch.twice()
        image = self._generate(twice, self._latents(twice))
        pair, sounds = self._pair(image, batch)
        loss, values = self.loss(pair, sounds, batch)
        if has_critic:
            loss, told = self._with_critic(loss, image, sounds, batch)
            values |= told
        if recipe.random_weight and self.step % RANDOM_EVERY == 0:
            harmonic = replace(batch, partials=None)  # as the engine plays latents without a name
            images = [self._generate(harmonic, self._latents_anywhere(batch)) for _ in range(2)]
            values["random"] = self.loss.random_latents((images[0], images[1]), batch)
            loss = loss + recipe.random_weight * values["random"]
        self.descend(loss, self.optimiser, self.parameters(), 1.0)
        if len(self.unseen_notes) and self.step % FIT_EVERY == 0:
            self._fit_unseen_latents()
        decay = average_decay(recipe.average, self.step)
        update_average(
            [*self.average.parameters(), self.average_latents],
            [*self.generator.parameters(), self.latents],
            decay,
        )
        means = self.processes.mean(torch.stack([value.detach() for value in values.values()]))
        measured = dict(zip(values, means.tolist(), strict=True))
        self.step += 1
        if self._evaluates():
            measured |= self._evaluate(has_critic)
        return measured

    def _pair(
        self, image: Tensor, batch: Batch
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """The two images of each note, and what they sound like."""
        pair = image[0::2], image[1::2]
        first, second = (self.loss.resynthesise(each, batch) for each in pair)
        return pair, (first, second)

    def _fit_unseen_latents(self) -> None:
        """A step of the latents of held-out instruments; the networks don't change."""
        chosen = self.random.choice(self.unseen_notes, self.recipe.adversarial_batch)
        batch = self.batch(self.processes.own(chosen))
        twice = batch.twice()
        image = self._generate(twice, self._latents(twice))
        loss, _ = self.loss(*self._pair(image, batch), batch)
        self.descend(loss, self.fit_optimiser, [self.latents], 1.0, only=True)

    def _with_critic(
        self, loss: Tensor, image: Tensor, sounds: tuple[Tensor, Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Take a step of the critic; add its term to the loss of the generator."""
        adversary, recipe = self.adversary, self.recipe
        with torch.no_grad():
            real = self.loss.resynthesise(batch.image, batch)
        levels = adversary.levels((real, *sounds), batch)
        adversary.critic.requires_grad_(True)
        penalised = self.step % recipe.penalty_every == 0
        critic_loss = adversary.critic_loss(levels, batch, penalised)
        self.descend(critic_loss, adversary.optimiser, list(adversary.critic.parameters()), 1.0)
        adversary.critic.requires_grad_(False)  # the generator's step needs no gradients of it
        values = {"critic": critic_loss}
        if self.step >= self._n_alone:
            own, parts = adversary.generator_loss(levels, batch)
            loss = loss + adversary.weight(loss, own, image, self.step) * own
            values |= parts
        return loss, values

    def _set_rates(self) -> None:
        recipe, first = self.recipe, self._n_first
        if self.adversarial:
            done = (self.step - first) / max(1, recipe.steps - first)
            rate = recipe.adversarial_learning_rate
        else:
            done, rate = self.step / max(1, first), recipe.learning_rate
        fall = cosine_fall(done, RATE_FLOOR)
        gain_rate = recipe.latent_rate
        if self.adversarial and recipe.learning_rate:
            gain_rate *= rate / recipe.learning_rate
        # An instrument of many is rarely in a batch, and Adam moves its latent on in between.
        latent_rate = max(rate, gain_rate * min(1.0, FEW_INSTRUMENTS / len(self.latents)))
        rates = latent_rate, gain_rate, rate
        for group, highest in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = highest * warm_up(self.step) * fall
        for group in self.fit_optimiser.param_groups:
            group["lr"] = FIT_RATE * fall

    # --- Batches and images ---------------------------------------------------------------------

    def batch(self, indices: np.ndarray, frames: tuple[int, int] | None = None) -> Batch:
        """Read notes as a batch.

        Parameters
        ----------
        indices : array of int
            The notes.
        frames : (start, stop), optional
            Frames of the crop; drawn at random by default.

        Returns
        -------
        Batch
        """
        config, notes = self.recipe.spectrogram, self.notes
        frames = frames or self._crop(self.random)

        def tensor(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(self.device)

        pitch = tensor(notes.pitches[indices].astype(np.float32))
        waveform = tensor(notes.waveforms[indices])
        partials = notes.partials(indices)
        spectrogram = waveform_to_spectrogram(
            waveform, config, pitch=pitch, frames=frames, partials=partials
        )
        start = frames[0] * config.hop_length - config.pad_front
        stop = start + (frames[1] - frames[0] - 1) * config.hop_length + config.n_fft
        padded = F.pad(waveform, (max(0, -start), max(0, stop - waveform.shape[1])))
        if frames[0] == 0:  # the first frame holds the phase, which the engine sets itself
            spectrogram[:, 1, 0] = 0.0
        return Batch(
            frames=frames,
            pitch=pitch,
            velocity=tensor(notes.velocities[indices].astype(np.float32)),
            instruments=tensor(notes.instruments[indices]),
            weight=losses.loudness_weight(spectrogram[:, 0]),
            image=normalise(spectrogram, config),
            variety=tensor(self.varieties[indices]),
            waveform=padded[:, max(0, start) : max(0, start) + stop - start],
            partials=partials,
        )

    def _crop(self, random: np.random.Generator) -> tuple[int, int]:
        """Frames of a crop: a third of the crops has the attack, a sixth the release.

        For one-shot sounds, half of the crops start at the attack; the others are drawn more often
        from the beginning than from the end.
        """
        length, total = self.recipe.crop_frames, self.recipe.spectrogram.n_frames
        where = random.random()
        if self.recipe.is_one_shot:
            start = 0 if where < 1 / 2 else int((total - length + 1) * random.random() ** 2)
        elif where < 1 / 3:
            start = 0
        elif where < 1 / 2:
            first = min(max(0, self.recipe.generator.note_off_frame - 8), total - length)
            start = int(random.integers(first, total - length + 1))
        else:
            start = int(random.integers(0, total - length + 1))
        return start, start + length

    def _latents(self, batch: Batch) -> Tensor:
        z = self.latents[batch.instruments]
        noise = self.processes.drawn(torch.randn)(z.shape, device=self.device)
        return z + self.recipe.latent_noise * noise

    def _latents_anywhere(self, batch: Batch) -> Tensor:
        """Random latents, and as many between two instruments; they take no gradients.

        They have the mean and the covariance of the instruments' latents, as those that a preset
        plays (`engine.latents.random_latent`).
        """
        known = pixel_norm(self.latents.detach())
        trained = known[torch.from_numpy(self.trained_instruments).to(self.device)]
        weights = self.processes.drawn(torch.randn)(
            (len(batch.pitch), len(trained)), device=self.device
        )
        mean = trained.mean(dim=0)
        z = mean + weights @ (trained - mean) / math.sqrt(max(1, len(trained) - 1))
        if len(trained) < 2:
            z = self.processes.drawn(torch.randn)(
                (len(batch.pitch), known.shape[1]), device=self.device
            )
        n = len(z) * self.processes.size
        drawn = self.random.choice(self.trained_instruments, n)
        first = self.processes.own(torch.from_numpy(drawn)).to(self.device)
        is_between = self.processes.own(torch.from_numpy(self.random.random((n, 1)) < 0.5))
        return torch.where(is_between.to(self.device), self._slerp(known[first]).detach(), z)

    def _slerp(self, first: Tensor) -> Tensor:
        """Latents at random places between ``first`` and those of instruments drawn at random."""
        n = len(first) * self.processes.size
        drawn = self.trained_instruments[self.random.integers(0, len(self.trained_instruments), n)]
        places = self.random.random((n, 1)).astype(np.float32)
        others, where = (
            self.processes.own(torch.from_numpy(each)).to(self.device) for each in (drawn, places)
        )
        return losses.slerp(first, self.latents[others], where)

    def _generate(self, batch: Batch, z: Tensor) -> Tensor:
        with self.autocast():
            image = self._images(self.generator, z, batch)
        return image.float()

    @staticmethod
    def _images(generator: Generator, z: Tensor, batch: Batch) -> Tensor:
        notes = batch.pitch, batch.velocity
        return generator(z, *notes, frames=batch.frames, partials=batch.partials)

    # --- Evaluation -----------------------------------------------------------------------------

    def _evaluates(self) -> bool:
        """Whether this step is followed by an evaluation."""
        first, steps = self._n_first, self.recipe.steps
        done, n = (self.step, first) if self.step <= first else (self.step - first, steps - first)
        return done == n or done % max(1, n // N_EVALUATIONS) == 0

    def n_evaluations(self, n_steps: int) -> int:
        """Number of evaluations in a training of ``n_steps``."""
        return min(n_steps, len(self.phases()) * N_EVALUATIONS)

    def evaluate_held_out(self) -> dict[str, float]:
        """Evaluate as between two steps; return measurements by name."""
        return self._evaluate(self._has_critic)

    def _evaluate(self, adversarial: bool) -> dict[str, float]:
        """Evaluate held-out notes with the same noise each time, apart from that of the steps."""
        gpus = [] if self.device.type == "cpu" else [self.device]
        with torch.random.fork_rng(devices=gpus):
            torch.manual_seed(self.recipe.seed)
            measured = self.evaluate(N_EVALUATED)
            gaps = self._critic_gaps() if adversarial else None
        values = {f"held_out_{name}": value for name, value in measured.items()}
        if measured["energy_db"] < self.best["energy_db"]:
            self.best = {"energy_db": measured["energy_db"], "step": self.step}
        if gaps is not None:
            values["overfit"] = self.adversary.overfit.add(*gaps, 0.0)
            self.warning = self.adversary.overfit.warning
        return values

    @torch.no_grad()
    def _critic_gaps(self) -> tuple[float, float] | None:
        """Mean score of real notes over that of generated ones, of known and of held-out notes.

        None if all held-out notes are of instruments that the critic has learned nothing of.
        Random numbers are not those of the steps.
        """
        random = np.random.default_rng((self.recipe.seed, self.step))
        known_instruments = np.isin(self.notes.instruments[self.held_out], self.trained_instruments)
        judged = self.held_out[known_instruments]
        size = min(self.recipe.adversarial_batch, len(judged), len(self.training))
        if not size:
            return None
        gaps = np.zeros(2)
        for _ in range(N_EVALUATED):
            frames = self._crop(random)
            for i, notes in enumerate((self.training, judged)):
                batch = self.batch(random.choice(notes, size, replace=False), frames)
                z = self.average_latents[batch.instruments]
                images = [self._images(self.average, z, batch) for _ in range(2)]
                sounds = [self.loss.resynthesise(image, batch) for image in (batch.image, *images)]
                gaps[i] += self.adversary.gap(self.adversary.levels(sounds, batch), batch)
        known, held_out = (gaps / N_EVALUATED).tolist()
        return known, held_out

    @torch.no_grad()
    def evaluate(self, n_notes: int = N_FINAL) -> dict[str, float]:
        """Distances between held-out notes and what the averaged weights generate.

        Parameters
        ----------
        n_notes : int
            Number of held-out notes, at most.

        Returns
        -------
        dict of float
            ``magnitude``, ``loud``, ``peak`` and ``frequency`` as in training; ``log_mel_db``, see
            `losses.log_mel_distance`, and ``energy_db``, the energy distance by it.
        """
        config = self.recipe.spectrogram
        totals: dict[str, float] = {}
        chosen = self.held_out[:n_notes]
        for note in chosen:
            batch = self.batch(np.array([note]), (0, config.n_frames))
            twice = batch.twice()
            z = self.average_latents[twice.instruments]
            image = self._images(self.average, z, twice)
            sound = self.loss.resynthesise(image, twice)[:, config.pad_front :]
            values = self.loss.distances(image[:1], batch.image, batch)
            real = self._sound(note)
            sounds = sound[:1, : real.shape[1]], sound[1:, : real.shape[1]]
            pairs = ((sounds[0], real), (sounds[1], real), sounds)
            far_db = [losses.log_mel_distance(*pair, config.sample_rate) for pair in pairs]
            values |= {"log_mel_db": far_db[0], "energy_db": losses.energy_distance(*far_db)}
            for name, value in values.items():
                totals[name] = totals.get(name, 0.0) + float(value) / len(chosen)
        return totals

    def baseline(self) -> dict[str, float]:
        """Baseline of `evaluate`: how far random training notes are from the held-out ones.

        Returns
        -------
        dict of float
            ``log_mel_db_random``.
        """
        chosen = self.held_out[:N_FINAL]
        others = np.random.default_rng(self.recipe.seed).choice(self.training, len(chosen))
        rate = self.recipe.spectrogram.sample_rate
        far_db = [
            float(losses.log_mel_distance(self._sound(note), self._sound(other), rate))
            for note, other in zip(chosen, others, strict=True)
        ]
        return {"log_mel_db_random": float(np.mean(far_db))}

    def _sound(self, note: int) -> Tensor:
        """A real note [1, n_samples]."""
        return torch.from_numpy(self.notes.waveforms[[note]]).to(self.device)

    # --- Checkpoints ----------------------------------------------------------------------------

    def checkpoint_bytes(self) -> int:
        """Approximate size of a checkpoint: networks, average, two moments of Adam."""
        generator = n_bytes_of(self.generator, self.latents.detach())
        return 4 * generator + 3 * n_bytes_of(self.adversary.critic)

    def differences(self, state: dict[str, Any]) -> list[str]:
        """Reasons why a state doesn't belong to this training; empty if it does."""
        different = super().differences(state)
        if different and state["kind"] != self.kind:
            return different
        here = sorted(self.held_out.tolist()), self._checksum
        if state["names"] != self.notes.names:
            different.append("other instruments")
        elif (sorted(state["held_out"]), state["checksum"]) != here:
            different.append("other sounds, or another split of them")
        elif state.get("partials", partials := self._partials()) != partials:
            different.append("partials of instruments that another version of audiogen measured")
        return different

    def _partials(self) -> list[tuple[Any, ...]]:
        """Partials of each instrument, as a checkpoint keeps them."""
        return [
            (list(own.ratios), list(own.inharmonicity), own.lowest_pitch)
            for own in self.notes.timbre_partials
        ]

    def own_state(self) -> dict[str, Any]:
        """Return weights, latents, optimisers, random states and the split."""
        modules = {name: getattr(self, name).state_dict() for name in _SAVED}
        return (
            modules
            | self.adversary.state()
            | {
                "names": self.notes.names,
                "held_out": self.held_out.tolist(),
                "checksum": self._checksum,
                "partials": self._partials(),
                "latents": self.latents,
                "average_latents": self.average_latents,
                "torch_random": random_state(self.device),
                "random": self.random.bit_generator.state,
            }
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`, as if training had never stopped; see `Trainer.restore`."""
        groups = state.get("optimiser", {}).get("param_groups", ())
        if state["kind"] == self.kind and len(groups) != len(self.optimiser.param_groups):
            raise ParameterError(
                "the checkpoint was written by an earlier version of audiogen and can't be resumed;"
                " make a preset of it with audiogen preset pack, or begin a new run in another"
                " folder"
            )
        super().restore(state)

    def restore_own(self, state: dict[str, Any]) -> None:
        """Restore what `own_state` returned."""
        for name in _SAVED:
            getattr(self, name).load_state_dict(state[name])
        with torch.no_grad():
            self.latents.copy_(state["latents"])
            self.average_latents.copy_(state["average_latents"])
        self.adversary.restore(state)
        self.warning = self.adversary.overfit.warning
        set_random_state(state["torch_random"], self.device)
        self.random.bit_generator.state = state["random"]


@torch.no_grad()
def drop_slow_noise(generator: Generator) -> None:
    """Remove the noise input of blocks whose grains are longer than `SLOWEST_NOISE` frames.

    An energy distance makes random what a network can't predict of a note's level; from long
    grains that is a level that drifts by several dB while a key is held.

    Parameters
    ----------
    generator : Generator
        The generator; its weights are changed and take no more gradients.
    """
    for b, block in enumerate(generator.blocks):
        if generator.spectrogram.n_frames > SLOWEST_NOISE * generator.config.shape(b)[0]:
            for parameter in block.conditioning.noise.parameters():
                parameter.zero_().requires_grad_(False)
