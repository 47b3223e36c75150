"""Numbers with their standard errors: shares, jackknife estimates, means over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audiogen.errors import ParameterError

CONFIDENCE_Z = 1.96  # of a 95 % interval
N_GROUPS = 10  # of the jackknife; each leaves out a tenth of the notes


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Parameters
    ----------
    value : float
        The number.
    standard_error : float
        Its standard error; NaN if it is unknown.
    n : int
        Number of generated notes that it was measured on.
    interval : tuple of (float, float)
        95 % interval.
    """

    value: float
    standard_error: float
    n: int
    interval: tuple[float, float]

    def __str__(self) -> str:
        """The number and its standard error, to two digits of the error."""
        if not np.isfinite(self.value):
            return "-"
        if not np.isfinite(self.standard_error) or self.standard_error <= 0:
            return f"{self.value:.3g}"
        digits = min(4, max(0, 1 - int(np.floor(np.log10(self.standard_error)))))
        return f"{self.value:.{digits}f} ±{self.standard_error:.{digits}f}"

    def content(self) -> dict[str, float | int | list[float]]:
        """Return the fields as plain numbers, for report.json."""
        return {
            "value": self.value,
            "standard_error": self.standard_error,
            "interval": list(self.interval),
            "n": self.n,
        }


def normal_estimate(value: float, standard_error: float, n: int) -> Estimate:
    """Return an estimate whose interval is 1.96 standard errors wide on either side."""
    half = CONFIDENCE_Z * standard_error
    return Estimate(float(value), float(standard_error), n, (value - half, value + half))


def share(hits: int, n: int) -> Estimate:
    """Return a share of notes with Wilson's interval, which stays within 0 and 1.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Examples
    --------
    >>> print(share(90, 100))
    0.900 ±0.030
    """
    if not 0 <= hits <= n or n < 1:
        raise ParameterError(f"hits={hits} of n={n} must be from 0 to n, and n 1 or more")
    value, z2 = hits / n, CONFIDENCE_Z**2
    middle = (value + z2 / (2 * n)) / (1 + z2 / n)
    half = CONFIDENCE_Z * np.sqrt(value * (1 - value) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    error = float(np.sqrt(value * (1 - value) / n))
    return Estimate(value, error, n, (max(0.0, float(middle - half)), min(1.0, middle + half)))


def over_seeds(values: Sequence[float], n: int) -> Estimate:
    """Return the mean over seeds, with the standard error of that mean; NaN for one seed."""
    if not values:
        raise ParameterError("values is empty; it must have one number or more")
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return normal_estimate(float(np.mean(values)), spread / np.sqrt(len(values)), n)


def jackknife(
    measure: Callable[..., float], *sets: np.ndarray, n_groups: int = N_GROUPS, seed: int = 0
) -> Estimate:
    """Return a measure of sets of notes, with the standard error of the grouped jackknife.

    The notes of every set are dealt into groups at random, and the measure is repeated without
    each group. Unlike the bootstrap it never repeats a note, which would look like a copy.

    Parameters
    ----------
    measure : callable
        Function of as many arrays as there are sets.
    *sets : array [n_notes, ...]
        Features of notes.
    n_groups : int
        Number of groups.
    seed : int
        Seed of the groups.

    References
    ----------
    Shao and Wu, "A general theory for jackknife variance estimation", Annals of Statistics 1989.
    """
    if min(map(len, sets)) < 2 * n_groups:
        raise ParameterError(
            f"sets of {', '.join(map(str, map(len, sets)))} notes must have {2 * n_groups} or more"
        )
    random = np.random.default_rng(seed)
    groups = [random.permutation(len(notes)) % n_groups for notes in sets]
    without = np.array(
        [
            measure(*(x[group != left_out] for x, group in zip(sets, groups, strict=True)))
            for left_out in range(n_groups)
        ]
    )
    variance = (n_groups - 1) / n_groups * float(np.sum(np.square(without - np.mean(without))))
    return normal_estimate(measure(*sets), float(np.sqrt(variance)), len(sets[-1]))
