"""Training a SampleRNN: truncated back-propagation through time over a batch of excerpts.

Each row of a batch reads its own excerpt from start to end, chunk after chunk, with the recurrent
state carried over (or, with `state_shuffle`, now and then that of another row); then it takes
another excerpt and begins with the learned initial state.
"""

from __future__ import annotations

import copy
import math
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogen.data.subset import evenly_spaced
from audiogen.errors import AudiogenError
from audiogen.models.samplernn import SampleRNN
from audiogen.training.run.processes import Processes
from audiogen.training.run.trainer import (
    CPU,
    Trainer,
    average_decay,
    cosine_fall,
    n_bytes_of,
    update_average,
    warm_up,
)
from audiogen.training.samplernn.excerpts import Chunk, Excerpts
from audiogen.training.samplernn.optimiser import MuonAndAdam
from audiogen.training.samplernn.quantise_weights import quantised
from audiogen.training.samplernn.recipe import SampleRNNRecipe

EVALUATION_CHUNK = 8192  # samples
EVALUATION_S = 40.0  # s of held-out sound
# Evaluations of a training, at most, and the samples that are trained on between two, at least.
N_EVALUATIONS, SAMPLES_BETWEEN = 20, 1 << 22
# Training sound that gives the input moments for quantised weights: excerpts, s of each.
N_MOMENTS, MOMENTS_S = 16, 1.0
RATE_FLOOR = 0.02  # last learning rate over the highest


class SampleRNNTrainer(Trainer):
    """The network, its optimiser, and the position of each row of the batch.

    Parameters
    ----------
    training, held_out : Excerpts
        The two parts of the data.
    recipe : SampleRNNRecipe
        The recipe.
    processes : Processes, optional
        The processes that share each batch; by default this one alone.
    device : torch.device
        The device of the network.
    """

    may_change = frozenset({"learning_rate"})

    def __init__(
        self,
        training: Excerpts,
        held_out: Excerpts,
        recipe: SampleRNNRecipe,
        processes: Processes | None = None,
        device: torch.device = CPU,
    ):
        super().__init__(recipe, processes, device)
        self.training, self.held_out = training, held_out
        torch.manual_seed(recipe.seed)
        self.random = np.random.default_rng(recipe.seed)
        self.model = SampleRNN(recipe.model).to(self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = MuonAndAdam(self.model, bfloat16=recipe.bfloat16)
        n_chunks = training.n_samples // recipe.chunk
        self._which = np.array([training.draw(self.random) for _ in range(recipe.batch)])
        # Rows begin at different chunks, so that they don't all end at once.
        self._chunk = np.arange(recipe.batch) * n_chunks // recipe.batch
        n_own = len(self.processes.own(self._which))
        self._carried = [s.detach().clone() for s in self.model.initial_state(n_own)]
        self._fresh = torch.ones(recipe.batch, dtype=torch.bool)
        self.best: dict[str, Any] = {"bits": math.inf, "step": 0, "weights": {}}
        self._checksums = [zlib.crc32(part.levels.data) for part in (training, held_out)]

    def train_step(self) -> dict[str, float]:
        """Update once from one chunk of every row; evaluate now and then.

        Returns
        -------
        dict of float
            ``bits`` per sample; after an evaluation ``held_out_bits`` of `quantised_model`. The
            best evaluation is in `best`.

        Raises
        ------
        AudiogenError
            If the loss or a gradient isn't finite; the weights are unchanged.
        """
        recipe = self.recipe
        fall = cosine_fall(self.step / max(1, recipe.steps), RATE_FLOOR)
        rate = recipe.learning_rate * warm_up(self.step) * fall
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        levels, features, inputs, weights = self._batch()
        fresh = self.processes.own(self._fresh).to(self.device)
        state = [
            torch.where(fresh[None, :, None], first, carried)
            for first, carried in zip(
                self.model.initial_state(len(fresh)), self._shuffled_states(), strict=True
            )
        ]
        with self.autocast(recipe.bfloat16):
            bits, state = self.model.bits(levels, state, features, inputs)
        loss = bits.mean() if weights is None else (weights * bits).mean()
        try:
            self.descend(loss, self.optimiser, list(self.model.parameters()), 1.0)
        except AudiogenError as error:
            self._advance()  # a resumed training continues with another batch
            self._fresh[:] = True
            raise AudiogenError(
                f"{error}. The last good weights are saved: --resume with"
                f" --learning-rate {0.5 * recipe.learning_rate:g}"
            ) from None
        decay = average_decay(recipe.average, self.step)
        update_average(self.average.parameters(), self.model.parameters(), decay)
        self._carried = [s.detach() for s in state]
        self._advance()
        self.step += 1
        measured = {"bits": self.processes.mean(bits.detach().mean()).item()}
        if self._evaluates():
            measured |= self.evaluate_held_out()
        return measured

    # --- Evaluation -----------------------------------------------------------------------------

    def _evaluates(self) -> bool:
        """Whether this step is followed by an evaluation."""
        between, left = self._steps_between(self.recipe.steps), self.recipe.steps - self.step
        return not left or (self.step % between == 0 and left >= between)

    def _steps_between(self, n_steps: int) -> int:
        least = SAMPLES_BETWEEN // (self.recipe.batch * self.recipe.chunk)
        return max(1, least, n_steps // N_EVALUATIONS)

    def n_evaluations(self, n_steps: int) -> int:
        """Number of evaluations in a training of ``n_steps``."""
        return max(1, n_steps // self._steps_between(n_steps))

    def evaluate_held_out(self) -> dict[str, float]:
        """Evaluate the quantised averaged weights, and keep them if they are the best."""
        kept = self.quantised_model()
        bits = self.evaluate(model=kept)
        if bits < self.best["bits"]:
            self.best = {"bits": bits, "step": self.step, "weights": kept.state_dict()}
        return {"held_out_bits": bits}

    def best_model(self) -> SampleRNN:
        """A copy of the network with the weights that were best on held-out sound, on the CPU."""
        model = copy.deepcopy(self.average)
        if self.best["weights"]:
            model.load_state_dict(self.best["weights"])
        return model.cpu()

    def quantised_model(self) -> SampleRNN:
        """The averaged weights on the grid of int8 and bfloat16 (`quantise_weights`)."""
        some = evenly_spaced(self.training.all(), N_MOMENTS)
        n = min(self.training.n_samples, round(MOMENTS_S * self.recipe.sample_rate))
        return quantised(self.average, lambda model: self.bits(model, self.training, some, n))

    def evaluate(self, longest_s: float = EVALUATION_S, model: SampleRNN | None = None) -> float:
        """Bits per sample of held-out sound, in float32.

        Parameters
        ----------
        longest_s : float, s
            Length of the sound, taken evenly from all of it.
        model : SampleRNN, optional
            The network; by default with the averaged weights.
        """
        part = self.held_out
        n = max(1, int(longest_s * self.recipe.sample_rate / part.n_samples))
        return self.bits(model or self.average, part, evenly_spaced(part.all(), n), part.n_samples)

    @torch.no_grad()
    def bits(self, model: SampleRNN, part: Excerpts, chosen: list[int], n_samples: int) -> float:
        """Bits per sample of the first ``n_samples`` of some excerpts.

        Parameters
        ----------
        model : SampleRNN
            The network.
        part : Excerpts
            Training or held-out excerpts.
        chosen : list of int
            Excerpts, as `Excerpts.all` numbers them.
        n_samples : int
            Samples of each.
        """
        device = next(model.parameters()).device
        state = model.initial_state(len(chosen))
        top = self.recipe.model.frame_sizes[0]
        size = max(top, EVALUATION_CHUNK // len(chosen) // top * top)
        total, n = 0.0, 0
        for start in range(0, n_samples - top + 1, size):
            length = min(size, (n_samples - start) // top * top)
            chunks = [part.chunk(which, start, length) for which in chosen]
            levels, features, _, _ = _stack(chunks, device)
            bits, state = model.bits(levels, state, features)
            total, n = total + bits.double().sum().item(), n + bits.numel()
        return total / n

    # --- Rows of the batch ----------------------------------------------------------------------

    def _batch(self) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
        size, own = self.recipe.chunk, self.processes.own
        chunks = [
            self.training.chunk(int(which), int(chunk) * size, size)
            for which, chunk in zip(own(self._which), own(self._chunk), strict=True)
        ]
        return _stack(chunks, self.device)

    def _shuffled_states(self) -> list[Tensor]:
        """The state of each row, or, for a share `state_shuffle` of them, that of another row.

        So the network learns to recover the note from its input and its conditioning, which it
        would otherwise take from its state alone.
        """
        if not self.recipe.state_shuffle:
            return self._carried
        n = self.recipe.batch
        shuffled = self.random.random(n) < self.recipe.state_shuffle
        rows = np.where(shuffled, self.random.integers(n, size=n), np.arange(n))
        own = self.processes.own(rows)
        return [self.processes.gathered(s, dim=1)[:, own] for s in self._carried]

    def _advance(self) -> None:
        """Move every row to its next chunk, or to another excerpt."""
        self._chunk += 1
        ended = self._chunk == self.training.n_samples // self.recipe.chunk
        for row in np.flatnonzero(ended):
            self._which[row] = self.training.draw(self.random)
        self._chunk[ended] = 0
        self._fresh = torch.from_numpy(ended)

    # --- Checkpoints ----------------------------------------------------------------------------

    def checkpoint_bytes(self) -> int:
        """Approximate size of a checkpoint: weights, average, best, optimiser, states."""
        return 3 * n_bytes_of(self.model) + self.optimiser.n_bytes + n_bytes_of(*self._carried)

    def differences(self, state: dict[str, Any]) -> list[str]:
        """Reasons why a state doesn't belong to this training; empty if it does."""
        different = super().differences(state)
        if not different and state["checksums"] != self._checksums:
            different.append("other sounds, or another split of them")
        return different

    def own_state(self) -> dict[str, Any]:
        """Return weights, optimiser, random state and the position of each row."""
        return {
            "checksums": self._checksums,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "which": torch.from_numpy(self._which.copy()),
            "chunk": torch.from_numpy(self._chunk.copy()),
            "carried": [self.processes.gathered(s, dim=1) for s in self._carried],
            "fresh": self._fresh,
            "random": self.random.bit_generator.state,
        }

    def restore_own(self, state: dict[str, Any]) -> None:
        """Restore what `own_state` returned."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._which, self._chunk = state["which"].numpy(), state["chunk"].numpy()
        own = [self.processes.own(s.transpose(0, 1)) for s in state["carried"]]
        self._carried = [s.transpose(0, 1).contiguous().to(self.device) for s in own]
        self._fresh = state["fresh"]
        self.random.bit_generator.state = state["random"]


def _stack(
    chunks: list[Chunk], device: torch.device
) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
    """Levels, features, inputs and weights of a batch."""

    def stacked(parts: list[np.ndarray | None]) -> Tensor | None:
        arrays = [part for part in parts if part is not None]
        return torch.from_numpy(np.stack(arrays)).to(device) if arrays else None

    levels, inputs = (
        torch.from_numpy(np.stack(each).astype(np.int64)).to(device)
        for each in ([c.levels for c in chunks], [c.inputs for c in chunks])
    )
    return (
        levels,
        stacked([c.features for c in chunks]),
        inputs,
        stacked([c.weights for c in chunks]),
    )
