"""Training a GANSynth generator as published: adversarially from the start, growing block by block.

Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019; Karras et al., "Progressive
Growing of GANs", ICLR 2018. Both networks begin with their coarsest block; each further one is
faded in, then all are trained for a while. Latents are drawn at random, and a classifier of pitches
beside the critic's score teaches the generator to play the pitch asked for. Constants are in
`recipes`.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen.data.notes.nsynth import NoteSet
from audiogen.data.notes.splits import split_for_training
from audiogen.errors import AudiogenError, DeviceError, ParameterError
from audiogen.models.gansynth import Critic, CriticConfig, Generator, GeneratorConfig, upsample
from audiogen.objectives import losses
from audiogen.representation.spectrogram import (
    denormalise,
    normalise,
    spectrogram_to_waveform,
    waveform_to_spectrogram,
)
from audiogen.training.recipes import GrowingRecipe
from audiogen.training.run.checkpoints import n_bytes_of
from audiogen.training.run.overfit import N_MEANT, Look, overfit, overfit_warning
from audiogen.training.run.precision import has_bfloat16
from audiogen.training.run.processes import Processes

N_LOOKS = 60  # at held-out notes in the course of a training; the last resolution has seven
N_JUDGED = 4  # batches of a look, of each kind, that the critic judges
N_HEARD = 32  # held-out notes of a look that are heard, and generated ones
N_TIMBRES = 16  # of the preset
# What is drawn by chance is drawn anew from the seed, one of these and a number, so that a training
# that goes on needs no memory of what was drawn before.
_STEP, _EPOCH, _LOOK, _TIMBRES = range(4)


class NotesOnDisk:
    """The notes of a set that a one-hot generator can play; their sound is read when it is wanted.

    Parameters
    ----------
    notes : NoteSet
    generator : GeneratorConfig
        Notes beyond its pitches are left out.
    n_samples : int
        Sounds are cut to this length, or padded with silence.

    Raises
    ------
    ParameterError
        If no note is within the pitches.
    """

    def __init__(self, notes: NoteSet, generator: GeneratorConfig, n_samples: int):
        lowest = generator.pitch_min
        self._set = notes.filter(pitches=(lowest, lowest + generator.n_pitches - 1))
        self._n_samples = n_samples
        self.pitches = np.array([note.pitch for note in self._set], np.float64)
        self.names = list(self._set.instruments)
        self.note_names = [note.name for note in self._set]

    def waveforms(self, indices: np.ndarray) -> np.ndarray:
        """Sounds [len(indices), n_samples], float32."""
        sounds = np.zeros((len(indices), self._n_samples), np.float32)
        for sound, index in zip(sounds, indices, strict=True):
            read = self._set.waveform(self._set.notes[index])[: self._n_samples]
            sound[: len(read)] = read
        return sounds

    def split(self, held_out: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the notes to train on, and of those held out, as `split_for_training` says."""
        return split_for_training(self._set, held_out, seed).indices(self.note_names)


@dataclass(frozen=True)
class _Chance:
    """All that is drawn for one step."""

    z: np.ndarray  # [1 + critic_steps, batch, latent_size]; the generator's step comes first
    pitches: np.ndarray  # [1 + critic_steps, batch], asked of the generator
    notes: np.ndarray  # [critic_steps, batch], real ones


class GrowingTrainer:
    """The networks, their optimisers, and a step of both at each resolution.

    Parameters
    ----------
    notes : NoteSet
    recipe : GrowingRecipe
    device : str, optional
        ``cpu`` or ``cuda``; by default a GPU if there is one.
    processes : Processes, optional
        That share each batch; this one alone by default.

    Raises
    ------
    DeviceError
        If there is no such device.
    """

    def __init__(
        self,
        notes: NoteSet,
        recipe: GrowingRecipe,
        device: str | None = None,
        processes: Processes | None = None,
    ):
        self.recipe = recipe
        self.processes = processes or Processes()
        self.device = find_device(device, self.processes.gpu)
        config, spectrogram = recipe.generator, recipe.spectrogram
        self.notes = NotesOnDisk(notes, config, spectrogram.n_samples)
        training, held_out = self.notes.split(recipe.held_out, recipe.seed)
        random = self._random(_LOOK, 0)
        self.training, self.held_out = training, random.permutation(held_out)
        torch.manual_seed(recipe.seed)
        layout: dict[str, Any] = {"device": self.device, "memory_format": torch.channels_last}
        self.generator = Generator(config, spectrogram).to(**layout)
        self.critic = Critic(
            CriticConfig(config.channels, config.start_shape, n_pitches=config.n_pitches)
        ).to(**layout)
        self.critic.joint = self.processes.mean
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.step = 0
        self.seconds = 0.0  # spent in steps, stops not counted
        # The distance between what is heard, since the critic's own differs from step to step as
        # the critic does; at the last resolution alone, since no other makes a preset.
        self.best: dict[str, float] = {"energy_db": math.inf, "step": 0}
        self.warning = ""
        self.begun_with, self.begun_licence = "", ""
        self._looks_of_critic: list[Look] = []  # gap and distance, see `overfit`
        self._begin_stage(0)

    @property
    def n_steps(self) -> int:
        return self.recipe.n_steps

    @property
    def growth(self) -> float:
        """How far the networks have grown, as the ``stage`` that they take."""
        return self.recipe.growth_at(self.recipe.images_at(self.step))

    @property
    def grown(self) -> bool:
        return self.growth == len(self.recipe.generator.channels)

    def train_step(self) -> dict[str, float]:
        """A step of the generator, then one (or more) of the critic, each with a batch of its own.

        Returns
        -------
        dict of float
            ``growth``; ``fooled`` and ``generated_pitch``, the generator's loss by the critic and
            the share of its notes whose pitch the critic's classifier tells; ``wasserstein``,
            ``penalty`` and ``real_pitch`` of the critic's. Now and then a look at held-out notes:
            ``held_out_...`` as `evaluate` has them, and `overfit`.

        Raises
        ------
        AudiogenError
            If a loss or a gradient isn't a number.
        """
        stage = self.recipe.stage_at(self.recipe.images_at(self.step))
        if stage != self._stage:
            self._begin_stage(stage)
        growth, chance = self.growth, self._draw()
        seen = self._generator_step(growth, chance.z[0], chance.pitches[0])
        for z, pitches, notes in zip(chance.z[1:], chance.pitches[1:], chance.notes, strict=True):
            seen |= self._critic_step(growth, z, pitches, notes)
        # One wait for the device, not many.
        values = self.processes.mean(torch.stack(list(seen.values()))).tolist()
        told = {"growth": growth} | dict(zip(seen, values, strict=True))
        self.step += 1
        if self.step * N_LOOKS // self.n_steps != (self.step - 1) * N_LOOKS // self.n_steps:
            told |= self._look()
        return told

    def evaluate(self) -> dict[str, float]:
        """What the critic says of held-out notes, and how far generated sound is from theirs.

        Returns
        -------
        dict of float
            ``wasserstein``: mean score of held-out notes less that of generated ones;
            ``pitch``: share of held-out notes whose pitch the critic's classifier tells;
            ``energy_db``: see `energy_distance`, of the averaged generator.
        """
        judged = self._judge_apart()
        return {
            "wasserstein": judged["held_out"] - judged["generated"],
            "pitch": judged["pitch"],
            "energy_db": self._energy(),
        }

    def overfit(self) -> float:
        """How much the critic has learned its notes by heart, as `gansynth.Trainer.overfit`."""
        return overfit(self._looks_of_critic)

    @torch.no_grad()
    def hear(self, z: np.ndarray, pitches: np.ndarray) -> Tensor:
        """What the averaged generator plays, at any growth: coarse images are repeated.

        Parameters
        ----------
        z : array [n, latent_size]
        pitches : array [n], MIDI numbers

        Returns
        -------
        Tensor [n, n_samples]
        """
        spectrogram, size = self.recipe.spectrogram, self.recipe.batch
        sounds = []
        for i in range(0, len(z), size):
            image = self._generate(
                self.average, self.growth, z[i : i + size], pitches[i : i + size]
            )
            while image.shape[-1] < spectrogram.n_bins:
                image = upsample(image)
            sounds.append(spectrogram_to_waveform(image, spectrogram))
        return torch.cat(sounds)

    def latents(self) -> list[list[float]]:
        """Of the preset's timbres: drawn by the seed, [N_TIMBRES, latent_size]."""
        shape = (N_TIMBRES, self.recipe.generator.latent_size)
        return self._random(_TIMBRES, 0).standard_normal(shape, np.float32).tolist()

    # --- One step -------------------------------------------------------------------------------

    def _begin_stage(self, stage: int) -> None:
        """New optimisers: the weights and their average go on, Adam's moments don't."""
        self._stage = stage
        rate, betas = self.recipe.learning_rate, self.recipe.betas
        self.optimiser = torch.optim.Adam(self.generator.parameters(), rate, betas)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), rate, betas)

    def _random(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.recipe.seed, purpose, number))

    def _draw(self) -> _Chance:
        """Everything of a step that is left to chance, of which this process takes its share.

        Real notes come shuffled, each once before any comes twice. Pitches are asked for as often
        as they are in the set. torch's generator is seeded for the penalty's points.
        """
        recipe = self.recipe
        random = self._random(_STEP, self.step)
        shape = (1 + recipe.critic_steps, recipe.batch)
        z = random.standard_normal((*shape, recipe.generator.latent_size), np.float32)
        pitches = self.notes.pitches[random.choice(self.training, shape)]
        torch.manual_seed(int(random.integers(1 << 63)))
        n = recipe.critic_steps * recipe.batch
        places = self.step * n + np.arange(n)
        epochs, within = np.divmod(places, len(self.training))
        order = [
            _shuffled(len(self.training), recipe.seed, int(epoch))[place]
            for epoch, place in zip(epochs, within, strict=True)
        ]
        chosen = self.training[order].reshape(recipe.critic_steps, -1)
        own = self.processes.own
        return _Chance(*(np.stack([own(rows) for rows in drawn]) for drawn in (z, pitches, chosen)))

    def _generator_step(self, growth: float, z: np.ndarray, pitches: np.ndarray) -> dict:
        self.critic.requires_grad_(False)
        score, logits = self._judge(self._generate(self.generator, growth, z, pitches), growth)
        classes = self._classes(pitches)
        fooled = losses.generator_loss(score)
        told = F.cross_entropy(logits, classes)
        self._descend(fooled + self.recipe.fake_pitch_weight * told, self.optimiser)
        self.critic.requires_grad_(True)
        with torch.no_grad():
            for mean, now in zip(
                self.average.parameters(), self.generator.parameters(), strict=True
            ):
                mean.lerp_(now, 1.0 - self.recipe.average)
        return {"fooled": fooled.detach(), "generated_pitch": _share_told(logits, classes)}

    def _critic_step(
        self, growth: float, z: np.ndarray, pitches: np.ndarray, notes: np.ndarray
    ) -> dict:
        recipe = self.recipe
        real = self._real(notes, growth)
        with torch.no_grad():
            fake = self._generate(self.generator, growth, z, pitches)
        real_score, logits = self._judge(real, growth)
        fake_score, _ = self._judge(fake, growth)
        penalty = losses.gradient_penalty(
            lambda x: self._judge(x, growth)[0], real, fake, self.processes.drawn(torch.rand)
        )
        classes = self._classes(self.notes.pitches[notes])
        told = F.cross_entropy(logits, classes)
        loss = losses.critic_loss(real_score, fake_score, recipe.drift)
        loss = loss + recipe.penalty_weight * penalty + recipe.real_pitch_weight * told
        self._descend(loss, self.critic_optimiser)
        return {
            "wasserstein": (real_score.mean() - fake_score.mean()).detach(),
            "penalty": penalty.detach(),
            "real_pitch": _share_told(logits, classes),
        }

    def _descend(self, loss: Tensor, optimiser: torch.optim.Adam) -> None:
        """One step down; the only place where gradients are, between backward and the step."""
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, math.inf)
        if not torch.isfinite(self.processes.mean(loss.detach()) + norm):
            raise AudiogenError(
                f"the loss became {loss.item():g} at step {self.step}, its gradient"
                f" {norm.item():g}; lower the recipe's learning_rate"
            )
        optimiser.step()

    def _generate(
        self, generator: Generator, growth: float, z: np.ndarray, pitches: np.ndarray
    ) -> Tensor:
        """Spectrograms, not in the generator's units."""
        with self._bfloat16():
            image = generator(
                torch.from_numpy(z).to(self.device),
                torch.from_numpy(pitches).to(self.device),
                stage=growth,
            )
        return denormalise(image.float(), self.recipe.spectrogram)

    def _real(self, notes: np.ndarray, growth: float) -> Tensor:
        """Spectrograms of notes as a generator of this growth would make them."""
        sounds = torch.from_numpy(self.notes.waveforms(notes)).to(self.device)
        image = waveform_to_spectrogram(sounds, self.recipe.spectrogram)
        return coarsened(image, growth, len(self.recipe.generator.channels))

    def _judge(self, spectrogram: Tensor, growth: float) -> tuple[Tensor, Tensor]:
        """Score [batch] and pitch logits of spectrograms; units and clipping are in here.

        So the penalty's gradient is by the spectrogram's own units, as published: at a magnitude
        scale of 0.066 and a frequency scale of 0.8 a slope in frequency weighs 12 times one in log
        magnitude.
        """
        image = normalise(spectrogram, self.recipe.spectrogram)
        with self._bfloat16():
            score, logits = self.critic(image.contiguous(memory_format=torch.channels_last), growth)
        return score.float(), logits.float()

    def _bfloat16(self) -> torch.autocast:
        on_cpu = self.device.type == "cpu"
        there = has_bfloat16() if on_cpu else torch.cuda.is_bf16_supported()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=there)

    def _classes(self, pitches: np.ndarray) -> Tensor:
        classes = pitches.astype(np.int64) - self.recipe.generator.pitch_min
        return torch.from_numpy(classes).to(self.device)

    # --- Looks at held-out notes ----------------------------------------------------------------

    def _look(self) -> dict[str, float]:
        judged, energy = self._judge_apart(), self._energy()
        scores = judged["known"] - judged["held_out"], judged["known"] - judged["generated"]
        self._looks_of_critic = [*self._looks_of_critic, scores][-N_MEANT:]
        self._warn()
        if self.grown and energy < self.best["energy_db"]:
            self.best = {"energy_db": energy, "step": self.step}
        return {
            "held_out_wasserstein": judged["held_out"] - judged["generated"],
            "held_out_pitch": judged["pitch"],
            "held_out_energy_db": energy,
            "overfit": self.overfit(),
        }

    def _warn(self) -> None:
        self.warning = overfit_warning(self._looks_of_critic, "stop earlier")

    @torch.no_grad()
    def _judge_apart(self) -> dict[str, float]:
        """Mean scores of ``known``, ``held_out`` and ``generated`` notes; share of pitches told.

        Batches are of one size, since the critic hears how much a batch varies.
        """
        random = self._random(_LOOK, self.step)
        size = min(self.recipe.batch, len(self.held_out), len(self.training))
        growth, totals = self.growth, np.zeros(4)
        for _ in range(N_JUDGED):
            known, held_out = (
                random.choice(notes, size, replace=False)
                for notes in (self.training, self.held_out)
            )
            pitches = self.notes.pitches[held_out]
            z = random.standard_normal((size, self.recipe.generator.latent_size), np.float32)
            known_score, _ = self._judge(self._real(known, growth), growth)
            score, logits = self._judge(self._real(held_out, growth), growth)
            made = self._generate(self.generator, growth, z, pitches)
            made_score, _ = self._judge(made, growth)
            means = [each.mean() for each in (known_score, score, made_score)]
            totals += torch.stack([*means, _share_told(logits, self._classes(pitches))]).tolist()
        names = ("known", "held_out", "generated", "pitch")
        return dict(zip(names, (totals / N_JUDGED).tolist(), strict=True))

    @torch.no_grad()
    def _energy(self) -> float:
        """Distance of held-out notes and as many generated ones of the same pitches, in dB."""
        chosen = self.held_out[:N_HEARD]
        shape = (len(chosen), self.recipe.generator.latent_size)
        z = self._random(_LOOK, 0).standard_normal(shape, np.float32)  # the same in each look
        made = self.hear(z, self.notes.pitches[chosen])
        real = torch.from_numpy(self.notes.waveforms(chosen)).to(made)
        return energy_distance(made, real, self.recipe.spectrogram.sample_rate)

    # --- Checkpoints ----------------------------------------------------------------------------

    def checkpoint_bytes(self) -> int:
        """About how large a checkpoint becomes: networks, the average, two moments of Adam's."""
        return 4 * n_bytes_of(self.generator) + 3 * n_bytes_of(self.critic)

    def state(self) -> dict[str, Any]:
        """Everything that training goes on from, on the CPU."""
        state = {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "looks_of_critic": self._looks_of_critic,
            "names": self.notes.names,
            "training": [self.notes.note_names[i] for i in self.training],
            "stage": self._stage,
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "critic": self.critic.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "critic_optimiser": self.critic_optimiser.state_dict(),
        }
        return _on_cpu(state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`, as if training had never stopped."""
        names = [self.notes.note_names[i] for i in self.training]
        told = state["recipe"], state["names"], state.get("training", names)
        if told != (asdict(self.recipe), self.notes.names, names):
            raise ParameterError(
                "the checkpoint was made with another recipe, other notes or another split of them;"
                " start anew in another folder, or give the same arguments"
            )
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self._looks_of_critic = state["looks_of_critic"]
        if self._looks_of_critic:
            self._warn()
        self._begin_stage(state["stage"])
        for name in ("generator", "average", "critic", "optimiser", "critic_optimiser"):
            getattr(self, name).load_state_dict(state[name])


def find_device(name: str | None = None, gpu: int = 0) -> torch.device:
    """The device of a name, or a GPU if there is one: that of this number.

    Raises
    ------
    DeviceError
        If it isn't there.
    """
    there = torch.cuda.is_available()
    name = name or ("cuda" if there else "cpu")
    if name not in ("cpu", "cuda"):
        raise DeviceError(f"device {name!r} is unknown; use cpu or cuda")
    if name == "cuda" and not there:
        raise DeviceError("device cuda isn't there: torch sees no GPU; use cpu")
    return torch.device("cuda", gpu) if name == "cuda" else torch.device("cpu")


def coarsened(image: Tensor, growth: float, n_blocks: int) -> Tensor:
    """Images as a generator that has grown so far would make them (Karras et al., section 2).

    Parameters
    ----------
    image : Tensor [batch, 2, n_frames, n_bins]
        Of full size.
    growth : float
        1 for the first block's size; 1.3 for the second's, of whose detail 30 % is there.
    n_blocks : int
        That make the full size.

    Returns
    -------
    Tensor [batch, 2, n_frames / 2**k, n_bins / 2**k]
        Means over squares of 2**k, ``k = n_blocks - ceil(growth)``.

    Examples
    --------
    >>> coarsened(torch.ones(1, 2, 8, 16), 2.5, 4).shape
    torch.Size([1, 2, 4, 8])
    """
    n = math.ceil(growth)
    fine = F.avg_pool2d(image, 1 << (n_blocks - n))
    if growth == n:
        return fine
    return torch.lerp(upsample(F.avg_pool2d(fine, 2)), fine, growth - n + 1)


def energy_distance(a: Tensor, b: Tensor, sample_rate: int) -> float:
    """2 E|A - B| - E|A - A'| - E|B - B'| of two sets of sounds, by `losses.log_mel_distance`.

    0 for two sets that are drawn alike, however much each varies; it grows both with sounds that
    are unlike and with too little variety. Estimates without bias may be a little below 0.
    Szekely and Rizzo, "Energy statistics", J. Statistical Planning and Inference 143 (2013).

    Parameters
    ----------
    a, b : Tensor [n, n_samples]
        Two sounds or more of each; of one, it is at no distance from its set.
    sample_rate : int, Hz

    Returns
    -------
    float, dB
    """
    heard_a, heard_b = (losses.log_mel(sound, sample_rate).flatten(1) for sound in (a, b))

    def apart(x: Tensor, y: Tensor) -> float:
        total = float(torch.cdist(x, y, p=1.0).sum()) / x.shape[1]
        pairs = len(x) * (len(y) - 1) if x is y else len(x) * len(y)
        return total / max(1, pairs)

    return 2.0 * apart(heard_a, heard_b) - apart(heard_a, heard_a) - apart(heard_b, heard_b)


@lru_cache(maxsize=4)
def _shuffled(n: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, _EPOCH, epoch)).permutation(n)


def _share_told(logits: Tensor, classes: Tensor) -> Tensor:
    return (logits.detach().argmax(dim=1) == classes).float().mean()


def _on_cpu(value: Any) -> Any:
    """A state without what only one machine's devices could read."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {name: _on_cpu(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_on_cpu, value))
    return value
