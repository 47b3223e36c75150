"""Judges of family and pitch that were trained on several sound banks, with a novelty alarm.

A judge's card has its accuracy on banks that it was not trained on. Since the judge itself
is trained on all banks, that accuracy is measured on judges trained the same way with one bank left
out, whose algorithm is also selected without that bank.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.core.atomic_write import written_whole
from audiogen.core.packages import require_package
from audiogen.data.notes.families import FAMILIES
from audiogen.errors import FormatError, ParameterError
from audiogen.evaluation.domains.banks import PITCHES, Domain
from audiogen.evaluation.domains.images import SAMPLE_RATE, inputs, note_images
from audiogen.evaluation.domains.selection import select
from audiogen.evaluation.domains.sweep import (
    N_CLASSES,
    Notes,
    Record,
    accuracy,
    draw_hyperparameters,
    split,
    train,
)

FORMAT = "audiogen domain judge 1"
SHIPPED = Path(__file__).with_name("judge.safetensors")
FALSE_ALARMS = 0.05  # share of notes of known banks that the novelty alarm marks
N_STEPS = 1000
_SHRINKAGE = 0.05  # of the features' covariance, towards its mean variance


@dataclass(frozen=True)
class Unheard:
    """Results on a bank that a judge was not trained on.

    Parameters
    ----------
    bank : str
        Name of the bank.
    algorithm : str
        Algorithm that was selected without the bank.
    family, pitch : float
        Accuracies on all its notes.
    flagged : float
        Share of its notes that the novelty alarm marks.
    n : int
        Number of its notes.
    """

    bank: str
    algorithm: str
    family: float
    pitch: float
    flagged: float
    n: int


class DomainJudge:
    """A classifier of family and pitch; its last hidden layer is the embedding.

    Parameters
    ----------
    weights : dict of str to array
        Tensors of the network, and ``novelty.means`` [n_families, n_features] and
        ``novelty.precision`` [n_features, n_features] of the training features.
    card : mapping
        ``name``, ``threshold`` of the novelty alarm, ``unheard`` (the fields of `Unheard` for each
        bank), and the banks, the algorithm and its hyperparameters.

    Raises
    ------
    FormatError
        If tensors or fields are missing, or have the wrong shape.
    """

    pitches = tuple(range(PITCHES[0], PITCHES[1] + 1))
    families = FAMILIES

    def __init__(self, weights: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> None:
        torch = require_package("torch", "train", "the judge")
        from audiogen.evaluation.domains.network import image_network

        self.weights = {key: np.ascontiguousarray(weights[key]) for key in sorted(weights)}
        self.card = dict(card)
        network = {k: torch.from_numpy(v.copy()) for k, v in self.weights.items()}
        try:
            self._means = network.pop("novelty.means").double().numpy()
            self._precision = network.pop("novelty.precision").double().numpy()
            self.name, self._threshold = str(card["name"]), float(card["threshold"])
            self.unheard = [Unheard(**fields) for fields in card["unheard"]]
            with torch.random.fork_rng(devices=[]):
                self._network = image_network(sum(N_CLASSES))
            self._network.load_state_dict(network)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise FormatError(f"the judge's tensors or card are incomplete: {reason}") from error
        self._network.eval()

    @property
    def hash(self) -> str:
        """Hash of weights and threshold."""
        digest = hashlib.sha256(repr(self._threshold).encode())
        for key, value in self.weights.items():
            digest.update(key.encode() + value.tobytes())
        return digest.hexdigest()[:16]

    @property
    def evidence(self) -> str:
        """Accuracies on banks that judges trained the same way were not trained on."""
        parts = [f"{u.bank} {u.family:.0%} family, {u.pitch:.0%} pitch" for u in self.unheard]
        means = [np.mean([getattr(u, label) for u in self.unheard]) for label in _MEASURED]
        return (
            f"On unseen banks: family {means[0]:.0%}, pitch {means[1]:.0%}"
            f" ({'; '.join(parts)}); the novelty alarm marks {means[2]:.0%} of their notes and"
            f" {FALSE_ALARMS:.0%} of known banks'"
        )

    def embed(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return features [n_notes, 64] of notes [n_notes, n_samples]."""
        return self.embed_images(judge_images(sounds, sample_rate))

    def pitch_probabilities(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return probabilities [n_notes, 49] of the pitches 36 to 84."""
        return self.probabilities(judge_images(sounds, sample_rate))[1]

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        """Return features [n_notes, 64] of images of `note_images`."""
        import torch

        with torch.no_grad():
            parts = torch.from_numpy(inputs(images)).split(256)
            features = [self._network.features(part) for part in parts]
        return torch.cat(features).double().numpy()

    def probabilities(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities of families [n_notes, 11] and of pitches [n_notes, 49]."""
        classifier = self._network.classifier
        logits = self.embed_images(images) @ classifier.weight.detach().double().numpy().T
        logits = logits + classifier.bias.detach().double().numpy()
        families, pitches = np.split(logits, [N_CLASSES[0]], axis=1)
        return _softmax(families), _softmax(pitches)

    def is_novel(self, images: np.ndarray) -> np.ndarray:
        """Return whether each image is farther from the training notes than 95 % of known notes.

        The distance is the Mahalanobis distance to the nearest family's mean (Lee et al., "A Simple
        Unified Framework for Detecting Out-of-Distribution Samples", NeurIPS 2018).
        """
        return self.distances(images) > self._threshold

    def distances(self, images: np.ndarray) -> np.ndarray:
        """Return squared distances [n_notes] to the nearest family's mean."""
        return _distances(self.embed_images(images), self._means, self._precision)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the judge as a safetensors file: data, nothing executable."""
        from safetensors.numpy import save_file

        with written_whole(path) as draft:
            save_file(self.weights, draft, {"format": FORMAT, "card": json.dumps(self.card)})


_MEASURED = ("family", "pitch", "flagged")


def judge_images(sounds: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return images of notes at any sample rate of 16 kHz or more.

    Raises
    ------
    ParameterError
        If the sample rate is lower.
    """
    from audiogen.audio.files import resample

    if sample_rate < SAMPLE_RATE:
        raise ParameterError(
            f"sample_rate={sample_rate} must be {SAMPLE_RATE} Hz or more for this judge, whose"
            " training notes extend to 6.6 kHz; use recordings of a higher rate"
        )
    sounds = np.asarray(sounds, np.float32)
    return note_images(np.stack([resample(s, sample_rate, SAMPLE_RATE) for s in sounds]))


def make_judge(
    domains: Sequence[Domain],
    records: Sequence[Record],
    *,
    name: str,
    banks: Sequence[Mapping[str, Any]] = (),
    n_steps: int = N_STEPS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DomainJudge:
    """Select by a sweep, train on all domains, and evaluate with each domain left out.

    Parameters
    ----------
    domains : sequence of Domain
        The domains of the sweep.
    records : sequence of Record
        Runs of the sweep.
    name : str
        Name of the judge.
    banks : sequence of mapping
        Provenance of the banks, for the card.
    n_steps : int
        Number of steps of each training.
    seed : int
        Seed of weights and batches.
    progress : callable
        Function of (trainings done, total).

    Raises
    ------
    ParameterError
        If the sweep lacks the runs that the selection needs.
    """
    plans = [(domain.name, *select(records, without=domain.name)) for domain in domains]
    unheard = []
    for done, (left_out, algorithm, draw) in enumerate(plans):
        progress(done, len(plans) + 1)
        known = [domain for domain in domains if domain.name != left_out]
        judge = _trained(known, algorithm, draw, n_steps, seed, {"name": name})
        notes = next(domain for domain in domains if domain.name == left_out)
        family, pitch = accuracy(judge._network, Notes(notes.images, notes.labels))
        flagged = float(judge.is_novel(notes.images).mean())
        unheard.append(
            asdict(Unheard(left_out, algorithm, family, pitch, flagged, len(notes.labels)))
        )
    progress(len(plans), len(plans) + 1)
    algorithm, draw = select(records)
    card = {"name": name, "unheard": unheard, "banks": [dict(bank) for bank in banks]}
    return _trained(domains, algorithm, draw, n_steps, seed, card)


def read_domain_judge(path: str | PathLike[str]) -> DomainJudge:
    """Read a judge that `DomainJudge.save` wrote.

    Raises
    ------
    FormatError
        If the file can't be read or isn't such a judge.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}
        card = json.loads(metadata["card"]) if metadata.get("format") == FORMAT else None
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise FormatError(f"{path}: can't be read as a judge ({error})") from error
    if not isinstance(card, dict):
        raise FormatError(f"{path}: isn't a judge of domains; make one with audiogen domains judge")
    return DomainJudge(weights, card)


def shipped_judge() -> DomainJudge:
    """Read the judge that the package comes with."""
    return read_domain_judge(SHIPPED)


def _trained(
    domains: Sequence[Domain],
    algorithm: str,
    draw: int,
    n_steps: int,
    seed: int,
    card: Mapping[str, Any],
) -> DomainJudge:
    """A judge trained on four fifths of each domain; the rest calibrates the novelty alarm."""
    values = draw_hyperparameters(algorithm, draw, 0, n_steps)
    parts = [split(domain, seed) for domain in domains]
    network = train(algorithm, [rest for rest, _ in parts], values, n_steps, seed)
    weights = {key: value.numpy() for key, value in network.state_dict().items()}
    size = network.n_features
    blank = {"novelty.means": np.zeros((len(FAMILIES), size)), "novelty.precision": np.eye(size)}
    draft = DomainJudge(weights | blank, {"threshold": np.inf, "unheard": [], **card})
    rest, aside = (_joined(of) for of in zip(*parts, strict=True))
    means, precision = _fitted(draft.embed_images(rest.images), rest.labels[:, 0])
    distances = _distances(draft.embed_images(aside.images), means, precision)
    calibrated = {
        **card,
        "unheard": card.get("unheard", []),
        "threshold": float(np.quantile(distances, 1 - FALSE_ALARMS)),
        "algorithm": algorithm,
        "hyperparameters": values,
        "steps": n_steps,
        "seed": seed,
    }
    fitted = {"novelty.means": means, "novelty.precision": precision}
    return DomainJudge(weights | {k: v.astype(np.float32) for k, v in fitted.items()}, calibrated)


def _joined(parts: Sequence[Notes]) -> Notes:
    images = np.concatenate([notes.images for notes in parts])
    return Notes(images, np.concatenate([notes.labels for notes in parts]))


def _fitted(features: np.ndarray, families: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of each family, and the inverse of their shared covariance.

    A family without notes has the overall mean.
    """
    means = np.tile(features.mean(axis=0), (len(FAMILIES), 1))
    for family in np.unique(families):
        means[family] = features[families == family].mean(axis=0)
    covariance = np.cov((features - means[families]).T)
    level = np.trace(covariance) / len(covariance)
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * level * np.eye(len(covariance))
    return means, np.linalg.inv(covariance)


def _distances(features: np.ndarray, means: np.ndarray, precision: np.ndarray) -> np.ndarray:
    offsets = features[:, None] - means
    return np.einsum("nfi,ij,nfj->nf", offsets, precision, offsets).min(axis=1)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)
