"""Training a SampleRNN: truncated back-propagation through time over many excerpts at once.

Each row of a batch reads its own excerpt from front to back, chunk after chunk, with the state
carried over exactly (or now and then another row's: `Recipe`, lost); at the end it takes another
excerpt and begins with the learned first state.
"""

from __future__ import annotations

import copy
import math
import time
import zlib
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogen.data.subset import evenly_spaced
from audiogen.errors import AudiogenError, ParameterError
from audiogen.models.samplernn import SampleRNN, SampleRNNConfig
from audiogen.training.run.checkpoints import n_bytes_of
from audiogen.training.run.optimiser import MuonAndAdam
from audiogen.training.run.precision import has_bfloat16
from audiogen.training.run.processes import Processes
from audiogen.training.samplernn.excerpts import Chunk, Excerpts
from audiogen.training.samplernn.quantise_weights import on_grid

EVALUATION_CHUNK = 8192  # samples
N_TIMED = 12  # steps
# Looks at held-out sound in a training, and samples that are read from one to the next at least.
N_LOOKS, LEAST_BETWEEN = 20, 1 << 22
# Training sound that tells what matrices hear as they are brought to the grid: excerpts, s of each.
N_HEARD, HEARD_S = 16, 1.0
LARGEST_ONSET_WEIGHT = 100.0


@dataclass(frozen=True)
class Recipe:
    """How long and how to train; every number that a result depends on, beside the data.

    Parameters
    ----------
    steps : int
    batch : int
        Excerpts that are read at once.
    chunk : int, samples
        Between two updates; a multiple of the model's longest frame.
    excerpt_s : float, s
        How long a state is carried; of recordings.
    learning_rate : float
        Of matrices (`MuonAndAdam`).
    average : float
        Share of the averaged weights that a step keeps.
    held_out : float
    augmentation : float
        How much recordings are varied (`RecordedExcerpts`).
    astray : float
        How wrong what is heard of the past may be (`RecordedExcerpts`, `NoteExcerpts`).
    onset_weight : float
        How much samples count where recorded sounds begin (`RecordedExcerpts`).
    lost : float
        Share of the excerpts that go on from another one's state at each chunk. So a network learns
        to find its way back by what it hears and is told, where it would be sure of another note.
    bfloat16 : bool
        Products in bfloat16 with float32 sums; by default where the CPU has them.
    sample_rate : int, Hz
    seed : int
    model : SampleRNNConfig
    """

    steps: int = 4000
    batch: int = 16
    chunk: int = 512
    excerpt_s: float = 8.0
    learning_rate: float = 0.02
    average: float = 0.998
    held_out: float = 0.05
    augmentation: float = 0.0
    astray: float = 0.0
    onset_weight: float = 1.0
    lost: float = 0.0
    bfloat16: bool = field(default_factory=has_bfloat16)
    sample_rate: int = 16000
    seed: int = 0
    model: SampleRNNConfig = field(
        default=SampleRNNConfig(frame_sizes=(2,), dim=256, embedding_size=64, quantisation="mu_law")
    )

    def __post_init__(self) -> None:
        top = self.model.frame_sizes[0]
        if self.chunk < 1 or self.chunk % top:
            raise ParameterError(
                f"chunk={self.chunk} must be a multiple of the longest frame, {top} samples"
            )
        for name in ("augmentation", "astray", "lost"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ParameterError(f"{name}={value:g} must be between 0 and 1")
        if not 1.0 <= self.onset_weight <= LARGEST_ONSET_WEIGHT:
            raise ParameterError(
                f"onset_weight={self.onset_weight:g} must be between 1 and {LARGEST_ONSET_WEIGHT:g}"
            )


def default_recipe(of_notes: bool) -> Recipe:
    """What is trained by unless told otherwise.

    A held tone says little that is new in half a second, so many notes are read at once, and their
    tiers may be slower.
    """
    recipe = Recipe()
    if not of_notes:
        return recipe
    model = replace(recipe.model, frame_sizes=(16, 4))
    return replace(recipe, batch=64, astray=0.25, lost=0.05, model=model)


def _flat(recipe: Recipe) -> dict[str, Any]:
    """Its fields and the model's."""
    flat = asdict(recipe)
    model = flat.pop("model")
    return flat | model


def recipe_of(state: dict[str, Any]) -> Recipe:
    """What a checkpoint was trained by; older ones don't say all of it."""
    known = Recipe.__dataclass_fields__
    said = {name: value for name, value in state["recipe"].items() if name in known}
    return Recipe(**said | {"model": SampleRNNConfig(**said["model"])})


class Trainer:
    """The network, its optimiser, and where each row of the batch reads.

    Parameters
    ----------
    training, held_out : Excerpts
    recipe : Recipe
    processes : Processes, optional
        That share each batch; this one alone by default.
    """

    def __init__(
        self,
        training: Excerpts,
        held_out: Excerpts,
        recipe: Recipe,
        processes: Processes | None = None,
    ):
        self.training, self.held_out, self.recipe = training, held_out, recipe
        self.processes = processes or Processes()
        torch.manual_seed(recipe.seed)
        self.random = np.random.default_rng(recipe.seed)
        self.model = SampleRNN(recipe.model)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = MuonAndAdam(self.model, bfloat16=recipe.bfloat16)
        n_chunks = training.n_samples // recipe.chunk
        self._which = np.array([training.draw(self.random) for _ in range(recipe.batch)])
        # Rows begin at different places, so that not all end together.
        self._chunk = np.arange(recipe.batch) * n_chunks // recipe.batch
        n_own = len(self.processes.own(self._which))
        self._carried = [s.detach().clone() for s in self.model.initial_state(n_own)]
        self._fresh = torch.ones(recipe.batch, dtype=torch.bool)
        self.best: dict[str, Any] = {"bits": math.inf, "step": 0, "weights": {}}
        self._sums = [zlib.crc32(source.levels.data) for source in (training, held_out)]
        self.step = 0
        self.seconds = 0.0
        self.warning = ""
        # Name and licence of the preset whose weights it got.
        self.begun_with, self.begun_licence = "", ""

    @property
    def n_steps(self) -> int:
        return self.recipe.steps

    def train_step(self) -> dict[str, float]:
        """One update from one chunk of every row; now and then a look at held-out sound.

        Returns
        -------
        dict of float
            ``bits`` a sample, and ``held_out_bits`` where they were looked at: those of what
            would be kept of the training then, see `kept_model`. The best look's are in `best`.

        Raises
        ------
        AudiogenError
            If the loss or a gradient isn't a number; the weights are still good.
        """
        recipe = self.recipe
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate() * group.get("share", 1.0)
        levels, features, heard, weights = self._batch()
        fresh = self.processes.own(self._fresh)
        state = [
            torch.where(fresh[None, :, None], first, carried)
            for first, carried in zip(
                self.model.initial_state(len(fresh)), self._some_lost(), strict=True
            )
        ]
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            bits, state = self.model.bits(levels, state, features, heard)
        loss = bits.mean() if weights is None else (weights * bits).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.processes.average_gradients(self.model.parameters())
        try:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0, error_if_nonfinite=True)
        except RuntimeError as error:
            self._advance()  # so that what comes after isn't the same again
            self._fresh[:] = True
            raise AudiogenError(
                f"the loss became {loss.item()} at step {self.step} and its gradient isn't a"
                " number; the last good weights are kept: go on with --resume and half the"
                f" --learning-rate, {0.5 * recipe.learning_rate:g}"
            ) from error
        self.optimiser.step()
        keep = min(recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.model.parameters()), 1.0 - keep
            )
        self._carried = [s.detach() for s in state]
        self._advance()
        self.step += 1
        seen = {"bits": self.processes.mean(bits.detach().mean()).item()}
        if self._looks():
            kept = self.kept_model()
            held_out = seen["held_out_bits"] = self.evaluate(model=kept)
            if held_out < self.best["bits"]:
                self.best = {"bits": held_out, "step": self.step, "weights": kept.state_dict()}
        return seen

    def _looks(self) -> bool:
        """Whether held-out sound is looked at after this step."""
        between, left = self.between_looks(self.recipe.steps), self.recipe.steps - self.step
        return not left or (self.step % between == 0 and left >= between)

    def between_looks(self, steps: int) -> int:
        """Steps from one look to the next, in a training of so many."""
        least = LEAST_BETWEEN // (self.recipe.batch * self.recipe.chunk)
        return max(1, least, steps // N_LOOKS)

    def best_model(self) -> SampleRNN:
        """What did best on held-out sound."""
        model = copy.deepcopy(self.average)
        if self.best["weights"]:
            model.load_state_dict(self.best["weights"])
        return model

    def kept_model(self) -> SampleRNN:
        """The averaged weights, on the grid that all precisions hold (`grid`)."""
        some = evenly_spaced(self.training.all(), N_HEARD)
        n = min(self.training.n_samples, round(HEARD_S * self.recipe.sample_rate))
        return on_grid(self.average, lambda model: self._bits(model, self.training, some, n))

    def evaluate(self, longest_s: float = 40.0, model: SampleRNN | None = None) -> float:
        """Bits a sample of held-out sound, in float32.

        Parameters
        ----------
        longest_s : float, s
            Of sound that is looked at, from all over.
        model : SampleRNN, optional
            The averaged weights by default.
        """
        source = self.held_out
        n = max(1, int(longest_s * self.recipe.sample_rate / source.n_samples))
        return self._bits(
            model or self.average, source, evenly_spaced(source.all(), n), source.n_samples
        )

    @torch.no_grad()
    def _bits(self, model: SampleRNN, source: Excerpts, chosen: list[int], n_samples: int) -> float:
        """A sample of the first ``n_samples`` of some excerpts."""
        state = model.initial_state(len(chosen))
        top = self.recipe.model.frame_sizes[0]
        size = max(top, EVALUATION_CHUNK // len(chosen) // top * top)
        total, seen = 0.0, 0
        for start in range(0, n_samples - top + 1, size):
            length = min(size, (n_samples - start) // top * top)
            levels, features, _, _ = _stack([source.chunk(w, start, length) for w in chosen])
            bits, state = model.bits(levels, state, features)
            total, seen = total + bits.double().sum().item(), seen + bits.numel()
        return total / seen

    def _rate(self) -> float:
        """Up in 100 steps, then down along a cosine."""
        done = self.step / max(1, self.recipe.steps)
        fall = 0.02 + 0.98 * math.cos(0.5 * math.pi * done) ** 2
        return self.recipe.learning_rate * min(1.0, (self.step + 1) / 100) * fall

    def _batch(self) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
        size, own = self.recipe.chunk, self.processes.own
        return _stack(
            [
                self.training.chunk(int(which), int(chunk) * size, size)
                for which, chunk in zip(own(self._which), own(self._chunk), strict=True)
            ]
        )

    def _some_lost(self) -> list[Tensor]:
        """The states that rows go on from: their own, or now and then another row's."""
        if not self.recipe.lost:
            return self._carried
        n = self.recipe.batch
        lost = self.random.random(n) < self.recipe.lost
        of = np.where(lost, self.random.integers(n, size=n), np.arange(n))
        return [self.processes.gathered(s, dim=1)[:, self.processes.own(of)] for s in self._carried]

    def _advance(self) -> None:
        self._chunk += 1
        ended = self._chunk == self.training.n_samples // self.recipe.chunk
        for row in np.flatnonzero(ended):
            self._which[row] = self.training.draw(self.random)
        self._chunk[ended] = 0
        self._fresh = torch.from_numpy(ended)

    def checkpoint_bytes(self) -> int:
        """About how large a checkpoint becomes: weights, average, best, the optimiser."""
        return 3 * n_bytes_of(self.model) + self.optimiser.n_bytes + n_bytes_of(*self._carried)

    def state(self) -> dict[str, Any]:
        """Everything that training goes on from; all processes must ask for it."""
        return {
            "recipe": asdict(self.recipe),
            "sums_of_data": self._sums,
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "which": torch.from_numpy(self._which.copy()),
            "chunk": torch.from_numpy(self._chunk.copy()),
            "carried": [self.processes.gathered(s, dim=1) for s in self._carried],
            "fresh": self._fresh,
            "best": self.best,
            "begun_with": self.begun_with,
            "begun_licence": self.begun_licence,
            "random": self.random.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`, as if training had never stopped; its rate may be another."""
        here, there = _flat(self.recipe), _flat(recipe_of(state))
        differ = [name for name in here if name != "learning_rate" and there[name] != here[name]]
        if state["optimiser"].keys() != self.optimiser.state_dict().keys():
            differ.append("optimiser")
        if differ:
            raise ParameterError(
                f"the checkpoint was made with another recipe ({', '.join(differ)}); start anew in"
                " another folder, or leave out what differs"
            )
        if state.get("sums_of_data", self._sums) != self._sums:
            raise ParameterError(
                "the checkpoint was made with other sounds, or another split of them; start anew in"
                " another folder, or give the same"
            )
        self.step, self.seconds = state["step"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._which, self._chunk = state["which"].numpy(), state["chunk"].numpy()
        self._carried = [self.processes.own(s.transpose(0, 1)) for s in state["carried"]]
        self._carried = [s.transpose(0, 1).contiguous() for s in self._carried]
        self._fresh = state["fresh"]
        self.best = state["best"]
        self.begun_with = state.get("begun_with", self.begun_with)
        self.begun_licence = state.get("begun_licence", self.begun_licence)
        self.random.bit_generator.state = state["random"]


def steps_in(seconds: float, trainer: Trainer) -> int:
    """How many steps a training of some length has, by the time that some and a look take.

    Looks at held-out sound get half of it at most.

    Parameters
    ----------
    seconds : float, s
    trainer : Trainer
        A fresh one; it's used up.
    """
    trainer.train_step()
    start = time.monotonic()
    for _ in range(N_TIMED):
        trainer.train_step()
    a_step = (time.monotonic() - start) / N_TIMED
    start = time.monotonic()
    trainer.evaluate(model=trainer.kept_model())
    a_look = time.monotonic() - start
    steps = int(seconds / a_step)
    looks = max(1, steps // trainer.between_looks(steps))
    return max(1, int((seconds - min(looks * a_look, 0.5 * seconds)) / a_step))


def _stack(parts: list[Chunk]) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
    """Chunks of rows as a batch: levels, features, what is heard, weights."""
    levels = np.stack([part.levels for part in parts]).astype(np.int64)
    heard = np.stack([part.heard for part in parts]).astype(np.int64)
    features = _stacked([part.features for part in parts])
    weights = _stacked([part.weights for part in parts])
    return torch.from_numpy(levels), features, torch.from_numpy(heard), weights


def _stacked(parts: list[np.ndarray | None]) -> Tensor | None:
    """Of what all have, or none has."""
    there = [part for part in parts if part is not None]
    return torch.from_numpy(np.stack(there)) if there else None
