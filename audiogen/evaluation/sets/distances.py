"""Distances and class metrics of sets of notes on a judge's features, with standard errors."""

from __future__ import annotations

import numpy as np

from audiogen.core.counting import counted
from audiogen.errors import ParameterError
from audiogen.evaluation import metrics
from audiogen.evaluation.sets.estimate import Estimate, jackknife, normal_estimate

NOTES_PER_FEATURE = 2  # for a covariance matrix of full rank in each group of the jackknife
MIN_KID_NOTES = 40
N_BINS, MIN_PER_BIN, N_CLUSTERINGS = 50, 5, 5  # of the number of different bins


def frechet(reference: np.ndarray, generated: np.ndarray) -> Estimate:
    """Frechet distance of features [n, n_features], with its jackknife error.

    Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017, equation 6. It is
    biased upwards for few notes, so only results from equal numbers are comparable.

    Raises
    ------
    ParameterError
        If there are fewer than two notes for each feature.
    """
    _check("fid", reference, generated, NOTES_PER_FEATURE * reference.shape[1])
    return jackknife(metrics.frechet_distance, reference, generated)


def kernel(reference: np.ndarray, generated: np.ndarray) -> Estimate:
    """Unbiased kernel distance of features [n, n_features], with its jackknife error.

    Binkowski et al., "Demystifying MMD GANs", ICLR 2018.

    Raises
    ------
    ParameterError
        If there are fewer than 40 notes.
    """
    _check("kid", reference, generated, MIN_KID_NOTES)
    return jackknife(metrics.kernel_distance, reference, generated)


def different_bins(reference: np.ndarray, generated: np.ndarray, seed: int = 0) -> Estimate:
    """Share of 50 statistically different bins, the mean over five clusterings.

    Richardson and Weiss, "On GANs and GMMs", NeurIPS 2018. Two sets from one source have about
    0.05. The standard error is the larger of the binomial one, over bins, and that of the mean over
    clusterings.

    Raises
    ------
    ParameterError
        If there are fewer than 5 notes for each bin.
    """
    _check("ndb", reference, generated, MIN_PER_BIN * N_BINS)
    shares = [
        metrics.ndb(reference, generated, n_bins=N_BINS, seed=seed + i)
        for i in range(N_CLUSTERINGS)
    ]
    value = float(np.mean(shares))
    over_bins = np.sqrt(value * (1 - value) / N_BINS)
    over_clusterings = np.std(shares, ddof=1) / np.sqrt(N_CLUSTERINGS)
    return normal_estimate(value, float(max(over_bins, over_clusterings)), len(generated))


def inception_score(probabilities: np.ndarray) -> float:
    """exp(E KL(p(class | note) || p(class))) of class probabilities [n_notes, n_classes].

    Salimans et al., "Improved techniques for training GANs", NIPS 2016. From 1 to the number of
    classes; it sees neither variety within a class nor copies.

    Examples
    --------
    >>> inception_score(np.eye(4)), inception_score(np.full((3, 4), 0.25))
    (4.0, 1.0)
    """
    p = np.asarray(probabilities, np.float64)
    logs = np.log(np.maximum(p, 1e-300)) - np.log(np.maximum(p.mean(axis=0), 1e-300))
    return round(float(np.exp((p * logs).sum(axis=1).mean())), 12)


def pitch_entropy(probabilities: np.ndarray) -> float:
    """Mean entropy, in nats, of the class probabilities [n_notes, n_classes] of single notes.

    It is low if the judge is sure of each pitch (Engel et al., "GANSynth", ICLR 2019, section 4).
    """
    p = np.asarray(probabilities, np.float64)
    return float(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=1).mean())


def _check(name: str, reference: np.ndarray, generated: np.ndarray, least: int) -> None:
    n = min(len(reference), len(generated))
    if n < least:
        raise ParameterError(
            f"{counted(n, 'note')} are too few for {name}, which needs {least} of each kind or more"
        )
