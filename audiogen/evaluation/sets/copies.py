"""Copies: the nearest training note of each generated one, and an alarm with a known error rate.

Held-out real notes have nearest training notes, too. A note is suspicious if it is nearer to the
training set than 95 % of the held-out ones are. The alarm is exact: if generated and held-out notes
were exchangeable, it would ring in fewer than one of a thousand evaluations.

Meehan, Chaudhuri and Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models",
AISTATS 2020, compare the same two sets of distances by their ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiogen.core.counting import counted
from audiogen.core.packages import require_package
from audiogen.errors import ParameterError, ShapeError
from audiogen.evaluation.sets.estimate import Estimate, share
from audiogen.evaluation.sets.images import RANGE_DB, log_mel_images
from audiogen.evaluation.sets.sounds import SoundSet

SUSPICIOUS = 0.05  # share of the held-out notes below the threshold
ALARM = 0.001  # probability of a false alarm
MIN_NOTES = 40
N_IMAGE = 64


@dataclass(frozen=True)
class Copies:
    """Result of `find_copies`.

    Parameters
    ----------
    distances : array [n_notes], dB
        Distance of each generated note to its nearest training note.
    nearest : array [n_notes], int
        Index of that note.
    threshold : float, dB
        Distance below which a note is suspicious.
    p_value : float
        Probability of as many suspicious notes among exchangeable ones.
    """

    distances: np.ndarray
    nearest: np.ndarray
    threshold: float
    p_value: float

    @property
    def suspicious(self) -> np.ndarray:
        """Whether each note is suspicious [n_notes]."""
        return self.distances < self.threshold

    @property
    def alarm(self) -> bool:
        """Whether there are too many suspicious notes for a model that does not copy."""
        return self.p_value < ALARM

    def estimate(self) -> Estimate:
        """Return the share of suspicious notes; 0.05 is expected of a model that does not copy."""
        return share(int(self.suspicious.sum()), len(self.distances))


def copy_images(notes: SoundSet) -> np.ndarray:
    """Return log-mel images [n, 64 * 64] in dB; the level of a note plays no part."""
    images = log_mel_images(notes.sounds, notes.sample_rate, N_IMAGE, N_IMAGE)
    return images.reshape(len(notes), -1) * (RANGE_DB / 2)


def find_copies(training: np.ndarray, held_out: np.ndarray, generated: np.ndarray) -> Copies:
    """Find the nearest training note of each generated one, and calibrate on held-out ones.

    Parameters
    ----------
    training, held_out, generated : array [n, n_features]
        Images in dB (`copy_images`) of training notes, of held-out real notes, and of generated
        notes. The distance is the root mean square difference.

    Raises
    ------
    ShapeError
        If they differ in the number of features.
    ParameterError
        If there are fewer than 40 held-out or generated notes, or no training notes.
    """
    stats = require_package("scipy.stats", "train", "the alarm for copies")
    shapes = [x.shape for x in (training, held_out, generated)]
    if any(len(shape) != 2 or shape[1] != shapes[0][1] for shape in shapes):
        raise ShapeError(f"images have shapes {shapes}; they must be [n, n_features] with one size")
    n_held, n_made = len(held_out), len(generated)
    if min(n_held, n_made) < MIN_NOTES or not len(training):
        raise ParameterError(
            f"{counted(min(n_held, n_made), 'note')} are too few for copies, which needs"
            f" {MIN_NOTES} held-out and generated notes or more, and training notes"
        )
    held_distance, _ = _nearest(held_out, training)
    distances, nearest = _nearest(generated, training)
    # The k-th smallest distance of held-out notes is the threshold.
    k = max(1, int(SUSPICIOUS * (n_held + 1)))
    threshold = float(np.sort(held_distance)[k - 1])
    n_below = int((distances < threshold).sum())
    # Exchangeable notes: n_below or more come before the k-th held-out one, if and only if the
    # first k - 1 + n_below of the pooled order have k - 1 held-out notes or fewer.
    p_value = float(stats.hypergeom.cdf(k - 1, n_held + n_made, n_held, k - 1 + n_below))
    return Copies(distances, nearest, threshold, p_value if n_below else 1.0)


def _nearest(notes: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square distance to the nearest training note, and its index."""
    a, b = np.asarray(notes, np.float32), np.asarray(training, np.float32)
    squares = np.square(b).sum(axis=1)
    index = np.concatenate(
        [
            np.argmin(squares - 2 * part @ b.T, axis=1)
            for part in np.array_split(a, max(1, len(a) // 256))
        ]
    )
    # Of the difference itself: the expanded square above rounds a copy's distance to some 0.01 dB.
    return np.sqrt(np.square(a - b[index]).mean(axis=1)), index
