"""The judge: the network, or other features, behind distances and class metrics.

Each number in a report names its judge and the judge's hash, because numbers of two judges can't be
compared. A judge is any object with the members of `Judge`.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from audiogen.core.atomic_write import written_whole
from audiogen.core.counting import counted
from audiogen.core.packages import require_package
from audiogen.errors import FormatError, ParameterError
from audiogen.evaluation import timbre_features
from audiogen.evaluation.sets.images import log_mel_images

if TYPE_CHECKING:
    import torch

N_IMAGE = 32  # height and width of the classifier's images
EMBEDDING_SIZE, WIDTH = 32, 16
N_STEPS, BATCH, LEARNING_RATE, INPUT_NOISE = 400, 64, 2e-3, 0.05
MIN_TRAINING_NOTES, MIN_PITCHES = 200, 4
_FORMAT = "audiogen pitch judge 1"


class Judge(Protocol):
    """Features and pitch probabilities of notes.

    Attributes
    ----------
    name, hash : str
        Name for people, and hash of everything that the numbers depend on.
    pitches : tuple of int
        MIDI numbers of the classes; empty if the judge has no pitch probabilities.
    evidence : str
        Its accuracy on sound banks that it was not trained on, for reports.
    """

    @property
    def name(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def pitches(self) -> tuple[int, ...]: ...
    @property
    def evidence(self) -> str: ...

    def embed(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return features [n_notes, n_features] of notes [n_notes, n_samples]."""
        ...

    def pitch_probabilities(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return probabilities [n_notes, n_pitches] of the classes `pitches`."""
        ...


class TimbreJudge:
    """The 96 timbre features of `note_features`, without a network and without pitches."""

    name = "timbre-96"
    evidence = "It has no classes, so no accuracy on unseen banks"
    pitches: tuple[int, ...] = ()

    @property
    def hash(self) -> str:
        """Hash of the source of the features."""
        return hashlib.sha256(inspect.getsource(timbre_features).encode()).hexdigest()[:16]

    def embed(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return features [n_notes, 96] of notes [n_notes, n_samples]."""
        return np.stack([timbre_features.note_features(sound, sample_rate) for sound in sounds])

    def pitch_probabilities(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Raise: these features have no classes."""
        raise ParameterError(f"pitch probabilities are not supported by the judge {self.name}")


class PitchJudge:
    """A small convolutional pitch classifier; its last hidden layer is the embedding.

    It stands in for the pitch classifier of GANSynth's evaluation (Engel et al., ICLR 2019), which
    was never released. It is invariant to level, because its images are.
    `audiogen.evaluation.domains.judge.DomainJudge` is the one whose accuracy on unseen sound banks
    is known.

    Parameters
    ----------
    weights : dict of str to array
        Tensors of the network.
    pitches : tuple of int, MIDI numbers
        Pitches of the classes.
    sample_rate : int, Hz
        Sample rate of the notes that it was trained on.
    name : str
        Name for reports.
    """

    evidence = "Its accuracy on unseen banks was not measured"

    def __init__(
        self,
        weights: dict[str, np.ndarray],
        pitches: tuple[int, ...],
        sample_rate: int,
        name: str = "pitch-cnn",
    ) -> None:
        torch = require_package("torch", "train", "the judge")
        self.name, self.pitches, self.sample_rate = name, tuple(pitches), sample_rate
        self.weights = {key: np.ascontiguousarray(weights[key]) for key in sorted(weights)}
        with torch.random.fork_rng(devices=[]):
            self._network = _network(len(pitches))
        try:
            self._network.load_state_dict(
                {key: torch.from_numpy(value.copy()) for key, value in self.weights.items()}
            )
        except RuntimeError as error:
            raise FormatError(f"the judge's weights don't fit its network: {error}") from error
        self._network.eval()

    @property
    def hash(self) -> str:
        """Hash of weights, classes and sample rate."""
        digest = hashlib.sha256(json.dumps([self.pitches, self.sample_rate]).encode())
        for key, value in self.weights.items():
            digest.update(key.encode() + value.tobytes())
        return digest.hexdigest()[:16]

    def embed(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return features [n_notes, 32] of notes [n_notes, n_samples]."""
        return self._forward(self._images(sounds, sample_rate), slice(None, -1))

    def pitch_probabilities(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return probabilities [n_notes, n_pitches] of notes [n_notes, n_samples]."""
        return self.class_probabilities(self._images(sounds, sample_rate))

    def class_probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities [n_notes, n_pitches] of log-mel images [n_notes, 32, 32]."""
        logits = self._forward(images, slice(None)).astype(np.float64)
        exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponential / exponential.sum(axis=1, keepdims=True)

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        """Return features [n_notes, 32] of log-mel images [n_notes, 32, 32]."""
        return self._forward(images, slice(None, -1))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the judge as a safetensors file: data, nothing executable."""
        from safetensors.numpy import save_file

        card = {"pitches": self.pitches, "sample_rate": self.sample_rate, "name": self.name}
        with written_whole(path) as draft:
            save_file(self.weights, draft, {"format": _FORMAT, "card": json.dumps(card)})

    def _images(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        if sample_rate != self.sample_rate:
            raise ParameterError(
                f"sample_rate={sample_rate} must be {self.sample_rate} Hz, the rate of the judge"
                f" {self.name}; resample the sounds"
            )
        return log_mel_images(sounds, sample_rate, N_IMAGE, N_IMAGE)

    def _forward(self, images: np.ndarray, layers: slice) -> np.ndarray:
        import torch

        with torch.no_grad():
            parts = torch.from_numpy(np.asarray(images, np.float32))[:, None].split(256)
            return torch.cat([self._network[layers](part) for part in parts]).double().numpy()


def read_judge(path: str | PathLike[str]) -> Judge:
    """Read a judge that `PitchJudge.save` or `DomainJudge.save` wrote.

    Raises
    ------
    FormatError
        If the file can't be read or isn't a judge.
    """
    from safetensors import SafetensorError, safe_open

    from audiogen.evaluation.domains.judge import FORMAT, DomainJudge

    path = Path(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}
        kind = metadata.get("format")
        card = json.loads(metadata["card"]) if kind in (_FORMAT, FORMAT) else None
    except (OSError, SafetensorError, ValueError) as error:
        raise FormatError(f"{path}: can't be read as a judge ({error})") from error
    if not card or not isinstance(card, dict):
        raise FormatError(f"{path}: isn't a judge; name a new file to have one trained")
    try:
        return DomainJudge(weights, card) if kind == FORMAT else _pitch_judge(weights, card)
    except FormatError as error:
        raise FormatError(f"{path}: {error}; train the judge again") from error


def _pitch_judge(weights: dict[str, np.ndarray], card: dict[str, Any]) -> PitchJudge:
    if missing := [name for name in ("pitches", "sample_rate", "name") if name not in card]:
        raise FormatError(f"the judge's card lacks {', '.join(missing)}")
    try:
        pitches, rate = tuple(int(pitch) for pitch in card["pitches"]), int(card["sample_rate"])
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"pitches and sample_rate of the judge's card must be whole numbers ({error})"
        ) from error
    return PitchJudge(weights, pitches, rate, str(card["name"]))


def train_judge(
    sounds: np.ndarray,
    pitches: np.ndarray,
    sample_rate: int,
    *,
    n_steps: int = N_STEPS,
    seed: int = 0,
    name: str = "pitch-cnn",
) -> PitchJudge:
    """Train a pitch classifier on labelled real notes.

    Parameters
    ----------
    sounds : array [n_notes, n_samples], float
        Real notes.
    pitches : array [n_notes], MIDI numbers
        Labels, rounded to semitones; each value becomes a class.
    sample_rate : int, Hz
        Sample rate of the notes.
    n_steps : int
        Number of steps.
    seed : int
        Seed of weights and batches.
    name : str
        Name of the judge.

    Raises
    ------
    ParameterError
        If there are fewer than 200 notes or 4 pitches.
    """
    torch = require_package("torch", "train", "training a judge")
    classes, labels = np.unique(np.round(pitches).astype(int), return_inverse=True)
    if len(sounds) < MIN_TRAINING_NOTES or len(classes) < MIN_PITCHES:
        raise ParameterError(
            f"{counted(len(sounds), 'note')} and {len(classes)} different pitches are too few to"
            f" train a judge; it needs {MIN_TRAINING_NOTES} notes and {MIN_PITCHES} pitches or more"
        )
    import torch.nn.functional as F

    images = torch.from_numpy(log_mel_images(sounds, sample_rate, N_IMAGE, N_IMAGE))[:, None]
    target = torch.from_numpy(labels)
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = _network(len(classes))
        optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, n_steps)
        for _ in range(n_steps):
            index = torch.from_numpy(random.choice(len(images), BATCH))
            x = images[index] + INPUT_NOISE * torch.randn(BATCH, 1, N_IMAGE, N_IMAGE)
            # Smoothed labels would collapse the features of a class, and hide faults from them.
            loss = F.cross_entropy(network(x), target[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    weights: dict[str, Any] = {key: value.numpy() for key, value in network.state_dict().items()}
    return PitchJudge(weights, tuple(int(pitch) for pitch in classes), sample_rate, name)


def _network(n_classes: int) -> torch.nn.Sequential:
    """Three convolutions, a hidden layer of 32 units (the embedding), and the logits."""
    from torch import nn

    layers: list[nn.Module] = []
    channels = (1, WIDTH, 2 * WIDTH, 2 * WIDTH)
    for before, after in itertools.pairwise(channels):
        layers += [
            nn.Conv2d(before, after, (5, 3), (1, 2), (2, 1)),
            nn.GroupNorm(4, after),
            nn.LeakyReLU(0.2),
        ]
    # Pitch is a place on the frequency axis, so only time is averaged.
    layers += [nn.AdaptiveAvgPool2d((N_IMAGE, 1)), nn.Flatten()]
    layers += [nn.Linear(2 * WIDTH * N_IMAGE, EMBEDDING_SIZE), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(EMBEDDING_SIZE, n_classes))
